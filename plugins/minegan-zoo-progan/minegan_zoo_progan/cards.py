"""Pretrained ProGANs: what is published where. Data only; imports contracts."""

from __future__ import annotations

from collections.abc import Mapping

from minegan_zoo.contracts import Card, ImageSpec, LatentSpace

GAN_ZOO = "https://github.com/facebookresearch/pytorch_GAN_zoo (torch.hub, model PGAN)"
FILES = "https://dl.fbaipublicfiles.com/gan_zoo/PGAN"
LICENCE = "BSD 3-Clause, that of the repository; it states no other one for the weights"
CITATION = (
    "T. Karras, T. Aila, S. Laine, J. Lehtinen: Progressive Growing of GANs for Improved Quality, Stability, and "
    "Variation. ICLR 2018, arXiv 1710.10196. Implementation and weights: pytorch_GAN_zoo, Facebook, 2019."
)
HASH = "The publisher states no sha256; by torch.hub's convention the file name ends in its first eight digits."
FACES = "; for non-commercial research by the terms of CelebA"

PRETRAINED: Mapping[str, tuple[ImageSpec, Card]] = {
    "celebahq-256": (
        ImageSpec(3, 256),
        Card(
            summary="Faces of celebrities, aligned, 256x256",
            weights=f"{FILES}/celebaHQ_s6_i80000-6196db68.pth",
            origin=GAN_ZOO,
            licence=LICENCE,
            training_data=f"CelebA-HQ (30,000 photographs of faces){FACES}",
            citation=CITATION,
            notes=HASH,
        ),
    ),
    "celebahq-512": (
        ImageSpec(3, 512),
        Card(
            summary="Faces of celebrities, aligned, 512x512",
            weights=f"{FILES}/celebaHQ16_december_s7_i96000-9c72988c.pth",
            origin=GAN_ZOO,
            licence=LICENCE,
            training_data=f"CelebA-HQ (30,000 photographs of faces){FACES}",
            citation=CITATION,
            notes=HASH,
        ),
    ),
    "celeba-cropped-128": (
        ImageSpec(3, 128),
        Card(
            summary="Faces of celebrities, aligned and cropped, 128x128",
            weights=f"{FILES}/celebaCropped_s5_i83000-2b0acc76.pth",
            origin=GAN_ZOO,
            licence=LICENCE,
            training_data=f"CelebA (about 200,000 photographs of faces), aligned and cropped{FACES}",
            citation=CITATION,
            notes=HASH,
        ),
    ),
    "dtd-128": (
        ImageSpec(3, 128),
        Card(
            summary="Textures, 128x128",
            weights=f"{FILES}/testDTD_s5_i96000-04efa39f.pth",
            origin=GAN_ZOO,
            licence=LICENCE,
            training_data="Describable Textures Dataset (5,640 photographs of 47 kinds of texture); for research",
            citation=CITATION,
            notes=HASH,
        ),
    ),
}
"""Tag -> image and card."""

LATENTS: Mapping[str, LatentSpace] = {"z": LatentSpace((512,), "sphere")}
"""What all of the above take."""
