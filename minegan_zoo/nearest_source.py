"""Which source's samples are near to the target: where the critic starts, and how much of it each source makes.

May import contracts, sources, data, neighbours, modes, samplers and extractors.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from minegan_zoo.contracts import GeneratorSource
from minegan_zoo.data import ImageSet, to_uint8
from minegan_zoo.modes import evaluating
from minegan_zoo.neighbours import nearest
from minegan_zoo.samplers import SourceSampler
from minegan_zoo.sources import as_module, to_image

SAMPLES, BATCH = 64, 8
"""Images drawn of each source, and at once."""


def distances(sources: Sequence[GeneratorSource], target: ImageSet, seed: int, device: torch.device) -> list[float]:
    """Of each source, the mean Euclidean distance from a target image to the nearest of its own samples.

    In the bundled features. A source that has seen only a part of the target is judged by the others' distances too.
    """
    with torch.random.fork_rng():  # the run's own draws stay what they are without this
        found = [_samples(source, target, seed, device) for source in sources]
    means: list[float] = _to_nearest(found, target.images, device).mean(1).tolist()
    return means


def parts(samples: Sequence[Tensor | None], target: Tensor, device: torch.device) -> Tensor:
    """Of each source (S,), the part of the target images whose nearest sample is one of its.

    `samples` are as many images (n, C, H, W) of each, uint8 as the target's (m, C, H, W); None: it takes no part.
    Unlike the wins by a critic's scores this favours nobody for making better images of its own part.
    """
    there = [index for index, images in enumerate(samples) if images is not None]
    closest = _to_nearest([images for images in samples if images is not None], target, device).argmin(0)
    counts = torch.zeros(len(samples))
    counts[there] = closest.bincount(minlength=len(there)).float().cpu()
    return counts / counts.sum()


def _to_nearest(samples: Sequence[Tensor], target: Tensor, device: torch.device) -> Tensor:
    """Euclidean distance (sets, m) from each target image to the nearest image of each set, in the bundled features."""
    from minegan_zoo.extractors import load_extractor  # slow to import, and one source needs none

    with torch.random.fork_rng():
        extractor = load_extractor(None, device)
        wanted = extractor.features(target)
        return torch.stack([nearest(wanted, extractor.features(images))[0] for images in samples])


def _samples(source: GeneratorSource, like: ImageSet, seed: int, device: torch.device) -> Tensor:
    """The first samples of its prior, uint8, in the target's form."""
    torch.manual_seed(seed)
    module = as_module(source)
    home = next((parameter.device for parameter in module.parameters()), device)
    module.to(device)
    try:
        with evaluating(module):  # somebody's own source may be in training mode
            images = SourceSampler(source, BATCH).sample(SAMPLES, seed)
    finally:
        module.to(home)
    return to_uint8(to_image(images, like.image))
