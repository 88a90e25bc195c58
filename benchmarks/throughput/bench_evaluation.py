"""Features/s of the bundled extractor, and a FID of 10 000 images."""

from __future__ import annotations

from typing import Any

import torch
from torch import Generator, Tensor

import minegan_zoo as mz
from throughput.networks import bundled
from throughput.results import Keep, Record, record_of
from throughput.timing import Measure, ratio


class Sampling:
    """A source as what `evaluate` measures."""

    def __init__(self, source: Any) -> None:
        self.source = source

    @torch.no_grad()
    def sample(self, n: int, seed: int | None = None) -> Tensor:
        rng = Generator().manual_seed(seed or 0)
        keys = self.source.inputs[0]
        codes = (self.source.prior(min(64, n - start), keys, rng) for start in range(0, n, 64))
        return torch.cat([self.source.synthesize(code) for code in codes]).clamp(-1, 1)


def bench_fid(quick: bool, measure: Measure, keep: Keep) -> None:
    """A FID of as many samples as real images, against its parts: sampling, and features alone."""
    count = 500 if quick else 10_000
    model = Sampling(bundled(1)[0])
    real = torch.randint(256, (count, 1, 32, 32), dtype=torch.uint8, generator=Generator().manual_seed(0))
    fakes = model.sample(count, 0)
    rivals = {
        "sampling": lambda: model.sample(count, 0),
        "fid of a tensor": lambda: mz.evaluate(fakes, real, metrics=("fid",)),
        "fid of a model": lambda: mz.evaluate(model, real, metrics=("fid",), samples=count),
    }
    times = measure(rivals, rounds=3)
    keep(Record(f"fid of {count} samples", times["fid of a model"].seconds, "s"))
    keep(record_of("fid of a model / sampling and fid of a tensor", _sum_ratio(times)))
    keep(Record("features/s", 2 * count / times["fid of a tensor"].seconds, "images/s", note="both sets, FID included"))


def _sum_ratio(times: Any) -> Any:
    from throughput.timing import Times

    a, b = times["sampling"], times["fid of a tensor"]
    parts = Times(
        [x + y for x, y in zip(a.wall, b.wall, strict=True)], [x + y for x, y in zip(a.cpu, b.cpu, strict=True)]
    )
    return ratio(times["fid of a model"], parts)
