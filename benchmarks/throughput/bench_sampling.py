"""Images/s of every family: float32 against bfloat16, eager against compiled. To 256 on a CPU, to 1024 on a GPU."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from minegan_zoo.sources import as_module
from throughput.networks import FAMILIES, random_source, sampler
from throughput.results import Keep, Record, record_of
from throughput.timing import Measure, ratio

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
RESOLUTIONS = (32, 128, 256, 512, 1024) if DEVICE == "cuda" else (32, 128, 256)
BATCH = 8


@pytest.mark.parametrize("resolution", RESOLUTIONS)
@pytest.mark.parametrize("family", FAMILIES)
def bench_sampling(family: str, resolution: int, quick: bool, measure: Measure, keep: Keep) -> None:
    if quick and resolution > 32:
        pytest.skip("large")
    if "biggan" in family and resolution > 512:
        pytest.skip("BigGAN ends at 512")
    source = random_source(family, resolution)
    as_module(source).to(DEVICE)
    eager = sampler(source, BATCH)
    rivals: dict[str, Callable[[], Tensor]] = {"float32": eager}
    slow = DEVICE == "cpu" and family == "stylegan3"  # a bfloat16 batch of its filters takes minutes there
    if not slow:
        rivals["bfloat16"] = _half(eager)
    if not (slow or quick) and (resolution <= 128 or DEVICE == "cuda"):
        compiled = torch.compile(eager)
        rivals |= {"compiled": compiled, "bfloat16 compiled": _half(compiled)}
    times = measure(rivals, rounds=9 if resolution == 32 else 3)
    case = f"{family} {resolution}"
    keep(Record(f"{case}, images/s", BATCH / times["float32"].seconds, "images/s"))
    for name in list(rivals)[1:]:
        keep(record_of(f"{case}, {name}", ratio(times["float32"], times[name])))


def _half(call: Callable[[], Tensor]) -> Callable[[], Tensor]:
    def run() -> Tensor:
        with torch.autocast(DEVICE, torch.bfloat16):
            return call()

    return run
