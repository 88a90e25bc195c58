"""Pretrained StyleGANs: what is published where. Data only; imports contracts.

Addresses are those of the publishers' README files, none of which states a sha256.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from minegan_zoo.contracts import Card, ImageSpec, LatentSpace

Published = tuple[ImageSpec, Mapping[str, LatentSpace] | None, Card]

PAPERS = {
    1: "T. Karras, S. Laine, T. Aila: A Style-Based Generator Architecture for GANs. CVPR 2019, arXiv 1812.04948.",
    2: "T. Karras et al.: Analyzing and Improving the Image Quality of StyleGAN. CVPR 2020, arXiv 1912.04958.",
    3: "T. Karras et al.: Alias-Free Generative Adversarial Networks. NeurIPS 2021, arXiv 2106.12423.",
}
ADA_PAPER = "T. Karras et al.: Training GANs with Limited Data. NeurIPS 2020, arXiv 2006.06676."
NVIDIA_LICENCE = "NVIDIA Source Code License: non-commercial, for research or evaluation only"

ADA = "https://github.com/NVlabs/stylegan2-ada-pytorch"
ADA_FILES = "https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained"
ALIAS_FREE = "https://github.com/NVlabs/stylegan3"
NGC_FILES = "https://api.ngc.nvidia.com/v2/models/nvidia/research/{0}/versions/1/files"

DATA = {
    "ffhq": "FFHQ, 70 000 aligned faces from Flickr; for non-commercial use by its terms (CC BY-NC-SA 4.0)",
    "ffhqu": "FFHQ-U, FFHQ unaligned; for non-commercial use by its terms (CC BY-NC-SA 4.0)",
    "metfaces": "MetFaces, 1336 faces from works of art of the Metropolitan Museum; CC BY-NC 2.0",
    "metfacesu": "MetFaces-U, MetFaces unaligned; CC BY-NC 2.0",
    "afhqv2": "AFHQv2, faces of cats, dogs and wild animals; for non-commercial use by its terms (CC BY-NC 4.0)",
    "afhqcat": "AFHQ Cat; for non-commercial use by its terms (CC BY-NC 4.0)",
    "afhqdog": "AFHQ Dog; for non-commercial use by its terms (CC BY-NC 4.0)",
    "afhqwild": "AFHQ Wild; for non-commercial use by its terms (CC BY-NC 4.0)",
    "brecahad": "BreCaHAD, 512x512 crops of breast cancer histology",
    "cifar10": "CIFAR-10, ten classes of objects",
    "celebahq": "CelebA-HQ, celebrities' faces; for non-commercial research by its terms",
    "lsundog": "LSUN Dog",
}


def latents(z_dim: int, num_ws: int, noise_sizes: Iterable[int] = (), classes: int = 0) -> dict[str, LatentSpace]:
    """The latent spaces of a network whose z, w and class embedding have the same width."""
    return {
        "z": LatentSpace((z_dim,), "normal"),
        **({"class": LatentSpace((z_dim,), "class-embedding")} if classes else {}),
        "w": LatentSpace((z_dim,), "mapped"),
        "w+": LatentSpace((num_ws, z_dim), "mapped"),
        **{f"noise.{k}": LatentSpace((1, size, size), "normal") for k, size in enumerate(noise_sizes)},
    }


def _latents2(resolution: int, classes: int = 0) -> dict[str, LatentSpace]:
    sizes = [4 << i for i in range(resolution.bit_length() - 2)]
    return latents(512, 2 * len(sizes), [4, *(size for size in sizes[1:] for _ in range(2))], classes)


def _ada(name: str, resolution: int, how: str, classes: int = 0) -> Published:
    card = Card(
        summary=f"{DATA[name].split(',')[0].split(';')[0]}, {resolution}x{resolution}; {how}",
        weights=f"{ADA_FILES}/{name}.pkl",
        origin=ADA,
        licence=NVIDIA_LICENCE,
        training_data=DATA[name],
        citation=f"{ADA_PAPER} {PAPERS[2]}",
        notes="The publisher states no sha256.",
    )
    return ImageSpec(3, resolution), _latents2(resolution, classes), card


def _ngc(family: int, name: str, resolution: int, variant: str = "") -> Published:
    file = f"stylegan{family}-{variant}{name}-{resolution}x{resolution}.pkl"
    equivariance = {"": "", "t-": ", translation equivariant", "r-": ", translation and rotation equivariant"}[variant]
    card = Card(
        summary=f"{DATA[name].split(',')[0].split(';')[0]}, {resolution}x{resolution}{equivariance}",
        weights=f"{NGC_FILES.format(f'stylegan{family}')}/{file}",
        origin=ALIAS_FREE,
        licence=NVIDIA_LICENCE,
        training_data=DATA[name],
        citation=f"{PAPERS[family]} Published with: {PAPERS[3]}" if family != 3 else PAPERS[3],
        notes="The publisher states no sha256.",
    )
    spaces = _latents2(resolution) if family == 2 else latents(512, 16)
    return ImageSpec(3, resolution), None if name == "cifar10" else spaces, card


def _rosinality(family: int, resolution: int, drive: str, how: str) -> Published:
    repository = {1: "style-based-gan-pytorch", 2: "stylegan2-pytorch"}[family]
    card = Card(
        summary=f"FFHQ, {resolution}x{resolution}; {how}",
        origin=f"https://github.com/rosinality/{repository}",
        licence="MIT, that of the repository; it states no other one for the weights",
        training_data=DATA["ffhq"],
        citation=f"{PAPERS[family]} Implementation and weights: rosinality (Kim Seonghyeon), {repository}.",
        notes=(
            f"Cannot be fetched by program: download {drive} by hand and give the file as weights. The "
            "publisher states no sha256."
        ),
    )
    blocks = resolution.bit_length() - 2
    spaces = latents(512, blocks, [4 << i for i in range(blocks)]) if family == 1 else _latents2(resolution)
    return ImageSpec(3, resolution), spaces, card


SCRATCH = "trained from scratch with ADA"
DRIVE = "https://drive.google.com/open?id="
STYLEGAN: dict[str, Published] = {
    f"ffhq-{resolution}": _rosinality(1, resolution, DRIVE + place, f"saved at the end of training at {resolution}")
    for resolution, place in {
        256: "1QlXFPIOFzsJyjZ1AtfpnVhqW4Z0r8GLZ",
        512: "13f0tXPX0EfHdac0zcudfC8osD4OdsxZQ",
        1024: "1NJMqp2AN1de8cPXTBzYC7mX2wXF9ox-i",
    }.items()
}
STYLEGAN2: dict[str, Published] = {
    "ada-ffhq-1024": _ada("ffhq", 1024, "trained as the original StyleGAN2"),
    "ada-metfaces-1024": _ada("metfaces", 1024, "transferred from FFHQ with ADA"),
    "ada-afhqcat-512": _ada("afhqcat", 512, SCRATCH),
    "ada-afhqdog-512": _ada("afhqdog", 512, SCRATCH),
    "ada-afhqwild-512": _ada("afhqwild", 512, SCRATCH),
    "ada-cifar10-32": _ada("cifar10", 32, "class-conditional", classes=10),
    "ada-brecahad-512": _ada("brecahad", 512, SCRATCH),
    "rosinality-ffhq-256": _rosinality(
        2, 256, f"{DRIVE}1PQutd-JboOCOZqmd95XWxWrO8gGEvRcO", "550 000 iterations, FID about 4.5 by its author"
    ),
    **{
        f"{name}-{resolution}": _ngc(2, name, resolution)
        for name, resolutions in {
            "ffhq": (1024, 512, 256),
            "ffhqu": (1024, 256),
            "metfaces": (1024,),
            "metfacesu": (1024,),
            "afhqv2": (512,),
            "afhqcat": (512,),
            "afhqdog": (512,),
            "afhqwild": (512,),
            "brecahad": (512,),
            "cifar10": (32,),
            "celebahq": (256,),
            "lsundog": (256,),
        }.items()
        for resolution in resolutions
    },
}
STYLEGAN3: dict[str, Published] = {
    f"{variant}-{name}-{resolution}": _ngc(3, name, resolution, f"{variant}-")
    for variant in ("t", "r")
    for name, resolution in (
        ("ffhq", 1024),
        ("ffhqu", 1024),
        ("ffhqu", 256),
        ("metfaces", 1024),
        ("metfacesu", 1024),
        ("afhqv2", 512),
    )
}
