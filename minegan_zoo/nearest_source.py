"""How near each source's samples are to the target: the nearest one's discriminator is the critic's start.

May import contracts, sources, data, neighbours, modes, pixels, samplers and extractors.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from minegan_zoo.contracts import GeneratorSource
from minegan_zoo.data import ImageSet
from minegan_zoo.modes import evaluating
from minegan_zoo.neighbours import nearest
from minegan_zoo.pixels import to_uint8
from minegan_zoo.samplers import SourceSampler
from minegan_zoo.sources import as_module, to_image

SAMPLES, BATCH = 64, 8
"""Images drawn of each source, and at once."""


def distances(sources: Sequence[GeneratorSource], target: ImageSet, seed: int, device: torch.device) -> list[float]:
    """Of each source, the mean Euclidean distance from a target image to the nearest of its own samples.

    In the bundled features. A source that has seen only a part of the target is judged by the others' distances too.
    """
    from minegan_zoo.extractors import load_extractor  # slow to import, and one source needs none

    # the run's own draws stay what they are without this
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        extractor = load_extractor(None, device)
        wanted = extractor.features(target.images)
        found = [extractor.features(_samples(source, target, seed, device)) for source in sources]
    return [float(nearest(wanted, features)[0].mean()) for features in found]


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
