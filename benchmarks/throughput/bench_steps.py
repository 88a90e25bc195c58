"""A mining step against the straightforward one; what mining and finetuning cost in each family."""

from __future__ import annotations

import copy
import statistics
from typing import Any

import pytest
import torch
from torch import Generator, nn

import minegan_zoo as mz
from minegan_zoo.contracts import ImageSpec
from minegan_zoo.minegan import MinedGAN
from throughput import peak
from throughput.naive import NaiveSteps
from throughput.networks import FAMILIES, TARGET, independent, random_source
from throughput.results import Keep, Record, record_of
from throughput.runs import run
from throughput.timing import Times, interleaved, ratio

BATCH = 16


@pytest.mark.parametrize("resolution", [32, 64])
@pytest.mark.parametrize("count", [1, 2, 4])
def bench_naive(count: int, resolution: int, quick: bool, benchmark: Any, keep: Keep) -> None:
    """Short runs in turn, with the same networks, batch, loss and optimizers."""
    if quick and resolution > 32:
        pytest.skip("large")
    naive = naive_steps(count, resolution)
    check_equal_math(count, resolution)
    source, target = independent(resolution), targets(resolution)
    steps, rounds = (2, 1) if quick else (6 if resolution == 32 else 3, 5)
    walls: dict[str, list[float]] = {"naive": [], "ours": []}
    cpus: dict[str, list[float]] = {"naive": [], "ours": []}

    def taking_turns() -> None:
        for _ in range(rounds):
            times = interleaved({"naive": naive.step}, steps, warmup=1)["naive"]
            walls["naive"].append(times.seconds)
            cpus["naive"].append(statistics.median(times.cpu))
            clock = run([source] * count, target, steps=steps, batch=BATCH)
            walls["ours"].append(clock.seconds())
            cpus["ours"].append(clock.processor_seconds())

    benchmark.pedantic(taking_turns, rounds=1, iterations=1)
    times = {name: Times(walls[name], cpus[name]) for name in walls}
    keep(record_of(f"{count} sources {resolution}x{resolution}, naive / ours", ratio(times["naive"], times["ours"])))


@pytest.mark.parametrize("count", [1, 4])
def bench_naive_memory(count: int, quick: bool, benchmark: Any, keep: Keep) -> None:
    """Peak memory beyond what is resident between steps, each in a process of its own."""
    if quick and count > 1:
        pytest.skip("large")
    found = benchmark.pedantic(lambda: {kind: peak.measured(kind, count) for kind in ("ours", "naive")}, rounds=1)
    keep(Record(f"{count} sources, memory, ours / naive", found["ours"] / found["naive"], "x"))
    keep(Record(f"{count} sources, memory", found["ours"], "MiB"))


@pytest.mark.parametrize("family", FAMILIES)
def bench_families(family: str, quick: bool, benchmark: Any, keep: Keep) -> None:
    """Images/s of mining alone and of plain finetuning: usual widths at 32x32, random weights, a critic of our own."""
    if family == "stylegan3" and not torch.cuda.is_available():
        pytest.skip("half a minute a step on two cores")
    batch, steps = 8, 1 if quick else 4
    for strategy, stage in (("minegan-noft", "mining"), ("transfergan", "finetuning, no miner")):
        clock = run(
            [random_source(family, 32)], TARGET, steps=steps, batch=batch, strategy=strategy, objective="logistic",
            critic="conv",
        )  # fmt: skip
        keep(Record(f"{family}, {stage}", batch / clock.seconds(), "images/s"))
    benchmark.pedantic(lambda: None)


def naive_steps(count: int, resolution: int) -> NaiveSteps:
    source = independent(resolution)
    torch.manual_seed(0)
    miners = [mz.miners.create("mlp", source.latents, 128) for _ in range(count)]
    sources = [copy.deepcopy(source) for _ in range(count)]
    critic = copy.deepcopy(source.own_critic())
    assert isinstance(critic, nn.Module)
    target = targets(resolution).float() / 127.5 - 1
    return NaiveSteps(sources, miners, critic, target, BATCH)


def targets(resolution: int) -> torch.Tensor:
    """(64, 3, R, R) uint8."""
    return torch.randint(256, (64, 3, resolution, resolution), dtype=torch.uint8, generator=Generator().manual_seed(0))


def check_equal_math(count: int, resolution: int) -> None:
    """The naive step's miner gradients are the library's."""
    naive = naive_steps(count, resolution)
    u = torch.randn(BATCH, naive.noise_dim, generator=Generator().manual_seed(1))
    (-naive.best(u).mean()).backward()
    wanted = [parameter.grad for miner in naive.miners for parameter in miner.parameters()]
    for miner in naive.miners:
        miner.zero_grad()
    selector = mz.selectors.create("max", count)
    model = MinedGAN(naive.sources, naive.miners, selector, ImageSpec(3, resolution), naive.noise_dim)  # type: ignore[arg-type]
    draw = model.draw(BATCH, Generator().manual_seed(2), u=u)
    everything = torch.ones(count, BATCH, dtype=torch.bool)
    scores = model.score(lambda images, labels: naive.critic(images), draw, everything)
    fakes = model.run(draw, selector.miner_weights(scores), gradient=True)
    (-(naive.critic(fakes.images) * fakes.weight).sum() / BATCH).backward()
    found = [parameter.grad for miner in naive.miners for parameter in miner.parameters()]
    pairs = [(a, b) for a, b in zip(found, wanted, strict=True) if a is not None and b is not None]
    ours, theirs = (torch.cat([grad.flatten() for grad in side]) for side in zip(*pairs, strict=True))
    # sources that won nothing have no gradient here and a zero one there; rounding turns some slopes of leaky ReLUs
    assert all(b is None or not b.any() for a, b in zip(found, wanted, strict=True) if a is None)
    assert float((ours - theirs).norm() / theirs.norm()) < 0.01
