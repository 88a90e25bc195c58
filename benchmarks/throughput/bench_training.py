"""What the trainer adds to its steps' arithmetic: data, records, averages, progress, pictures, states."""

from __future__ import annotations

import copy
import statistics
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Generator, Tensor
from torch.nn import functional as F
from torch.optim import Adam

import minegan_zoo as mz
from minegan_zoo.contracts import GeneratorSource
from minegan_zoo.sources import as_module
from throughput.networks import TARGET, bundled, slim
from throughput.results import Keep, Record, record_of
from throughput.runs import WARMUP, run
from throughput.timing import Times, interleaved, ratio

PERIODIC = ("state_every", "samples_every", "watch_every")
EVERY = 200
"""Steps between them by default."""


@pytest.mark.parametrize(("resolution", "batch"), [(32, 32), (256, 4)])
def bench_overhead(resolution: int, batch: int, quick: bool, tmp_path: Path, benchmark: Any, keep: Keep) -> None:
    """Around the updates by the clock of one run; within them, short runs in turn with the bare arithmetic.

    At 256x256 the network is a slim one, which makes the share larger than that of a usual one.
    """
    source = bundled(1)[0] if resolution == 32 else slim(resolution)
    target: Path | Tensor = TARGET
    if resolution != 32:
        target = torch.randint(256, (32, 3, resolution, resolution), dtype=torch.uint8)
    bare = Bare(source, batch)
    steps, rounds = (4, 1) if quick else (22, 5) if resolution == 32 else (6, 3)
    around: list[float] = []
    periodic: list[float] = []
    walls: dict[str, list[float]] = {"bare": [], "ours": []}
    cpus: dict[str, list[float]] = {"bare": [], "ours": []}

    def taking_turns() -> None:
        for index in range(rounds):
            times = interleaved({"bare": bare.step}, steps)["bare"]
            walls["bare"].append(times.seconds)
            cpus["bare"].append(statistics.median(times.cpu))
            halfway = steps // 2  # where everything is done that is done now and then
            settings = dict.fromkeys(PERIODIC, WARMUP + halfway)
            clock = run([source], target, steps=steps, batch=batch, out=tmp_path / str(index), training=settings)
            walls["ours"].append(clock.seconds())
            cpus["ours"].append(clock.processor_seconds())
            gaps = [whole - step for whole, step in zip(clock.whole(), clock.steps(), strict=False)]
            periodic.append(gaps.pop(halfway - 1) / (EVERY * clock.seconds()))
            around.append(statistics.mean(gaps) / clock.seconds())

    benchmark.pedantic(taking_turns, rounds=1, iterations=1)
    within = ratio(Times(walls["ours"], cpus["ours"]), Times(walls["bare"], cpus["bare"]))
    case = f"{resolution}x{resolution}"
    keep(record_of(f"{case}, updates / bare arithmetic", within))
    keep(Record(f"{case}, around the updates", 100 * statistics.median(around), "%"))
    keep(Record(f"{case}, state, pictures, watch every {EVERY} steps", 100 * statistics.median(periodic), "%"))
    total = 100 * (within.cpu - 1 + statistics.median(around) + statistics.median(periodic))
    keep(Record(f"{case}, overhead", total, "%", note="the sum; within the updates by processor time"))


class Bare:
    """One hinge step of one source: critic and miner updates on a fixed batch, and nothing else."""

    def __init__(self, source: GeneratorSource, batch: int) -> None:
        torch.manual_seed(0)
        self.source = copy.deepcopy(source)
        as_module(self.source).requires_grad_(False)
        self.critic = copy.deepcopy(as_module(source.own_critic()))
        self.miner: Any = mz.miners.create("mlp", {"z": source.latents["z"]}, source.latents["z"].shape[0])
        shape = (batch, source.image.channels, source.image.resolution, source.image.resolution)
        self.real = torch.rand(shape, generator=Generator().manual_seed(0)) * 2 - 1
        self.u = torch.randn(batch, self.miner.noise_dim)
        self.critic_optimizer = Adam(self.critic.parameters(), 2e-3, betas=(0.0, 0.99))
        self.miner_optimizer = Adam(self.miner.parameters(), 5e-4, betas=(0.0, 0.99))

    def step(self) -> None:
        self.critic.requires_grad_(True)
        with torch.no_grad():
            fake = self.source.synthesize(self.miner(self.u))
        loss = (F.relu(1 - self.critic(self.real)) + F.relu(1 + self.critic(fake))).mean()
        self.critic_optimizer.zero_grad()
        loss.backward()
        self.critic_optimizer.step()
        self.critic.requires_grad_(False)
        loss = -self.critic(self.source.synthesize(self.miner(self.u))).mean()
        self.miner_optimizer.zero_grad()
        loss.backward()
        self.miner_optimizer.step()
