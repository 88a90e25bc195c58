"""Pretrained BigGANs: what is published where. Data only; imports contracts."""

from __future__ import annotations

from collections.abc import Mapping

from minegan_zoo.contracts import Card, ImageSpec, LatentSpace
from minegan_zoo_biggan.architecture import latent_spaces

PAPER = (
    "A. Brock, J. Donahue, K. Simonyan: Large Scale GAN Training for High Fidelity Natural Image Synthesis. "
    "ICLR 2019, arXiv 1809.11096."
)
IMAGENET = "ImageNet (ILSVRC 2012, 1000 classes, 1.28 million photographs); for non-commercial research by its terms"

AJBROCK = "https://github.com/ajbrock/BigGAN-PyTorch"
AJBROCK_LATENTS = latent_spaces(dim_z=120, class_dim=128, conditioned=5)

HUGGING_FACE = "https://github.com/huggingface/pytorch-pretrained-BigGAN"
HUGGING_FACE_FILES = "https://s3.amazonaws.com/models.huggingface.co/biggan"
# the blocks, two for every stage, and the first layer
HUGGING_FACE_CONDITIONED = {128: 11, 256: 13, 512: 15}


def _ajbrock(what: str, drive: str) -> tuple[ImageSpec, Mapping[str, LatentSpace], Card]:
    card = Card(
        summary=f"ImageNet photographs, 128x128, class-conditional, with discriminator; {what}",
        origin=f"{AJBROCK}#pretrained-models",
        licence="MIT, that of the repository; it states no other one for the weights",
        training_data=IMAGENET,
        citation=f"{PAPER} Implementation and weights: A. Brock, A. Andonian, BigGAN-PyTorch, 2019.",
        notes=(
            f"Cannot be fetched by program: download {drive} by hand, unpack it, and give the folder that holds "
            "G_ema.pth, D.pth and state_dict.pth as weights. The publisher states no sha256."
        ),
    )
    return ImageSpec(3, 128), AJBROCK_LATENTS, card


def _hugging_face(resolution: int) -> tuple[ImageSpec, Mapping[str, LatentSpace], Card]:
    name = f"{HUGGING_FACE_FILES}/biggan-deep-{resolution}"
    card = Card(
        summary=f"ImageNet photographs, {resolution}x{resolution}, class-conditional, no discriminator",
        weights=f"{name}-pytorch_model.bin",
        origin=f"{HUGGING_FACE} (DeepMind's TF Hub modules, converted)",
        licence="MIT by the repository's LICENSE, Apache by its setup.py; it states no other one for the weights",
        training_data=IMAGENET,
        citation=f"{PAPER} PyTorch conversion: T. Wolf, pytorch-pretrained-BigGAN, Hugging Face, 2019.",
        notes=(
            f"`truncation` also picks the batch-norm statistics. {name}-config.json may lie beside the file; "
            "it says what is assumed without. The publisher states no sha256."
        ),
    )
    conditioned = HUGGING_FACE_CONDITIONED[resolution]
    spaces = latent_spaces(dim_z=128, class_dim=128, conditioned=conditioned, prior="truncated")
    return ImageSpec(3, resolution), spaces, card


BIGGAN = {
    "imagenet-128": _ajbrock(
        "taken just before collapse",
        "https://drive.google.com/open?id=1nAle7FCVFZdix2--ks0r5JBkFnKw8ctW",
    ),
    "imagenet-128-100k": _ajbrock(
        "after 100,000 iterations, well before collapse",
        "https://drive.google.com/open?id=1dmZrcVJUAWkPBGza_XgswSuT-UODXZcO",
    ),
}
BIGGAN_DEEP = {f"imagenet-{resolution}": _hugging_face(resolution) for resolution in (128, 256, 512)}
