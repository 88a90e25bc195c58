"""What the trainer adds to its steps' arithmetic: data, records, averages, progress, states; and looks at the model."""

from __future__ import annotations

import copy
import statistics
from collections.abc import Callable
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
from throughput.timing import Times, ratio, timed

EVERY = 200
"""Steps between states, and between looks at the model (pictures and the watch), by default."""


@pytest.mark.parametrize(("resolution", "batch"), [(32, 32), (256, 4)])
def bench_overhead(resolution: int, batch: int, quick: bool, tmp_path: Path, benchmark: Any, keep: Keep) -> None:
    """Runs whose steps take turns with the bare arithmetic, and what a run's clock shows between its updates.

    At 256x256 the network is a slim one, which makes the share larger than that of a usual one.
    """
    source = bundled(1)[0] if resolution == 32 else slim(resolution)
    target: Path | Tensor = TARGET
    if resolution != 32:
        target = torch.randint(256, (32, 3, resolution, resolution), dtype=torch.uint8)
    bare = Bare(source, batch)
    steps, rounds = (4, 1) if quick else (40, 3) if resolution == 32 else (24, 5)
    # where a state is saved, and where the model is looked at
    state, look = steps // 2, steps // 2 + 1
    settings = {"state_every": WARMUP + state, "samples_every": WARMUP + look, "watch_every": WARMUP + look}
    pairs: dict[str, list[tuple[float, float]]] = {"ours": [], "bare": []}
    shares: dict[str, list[float]] = {"around": [], "state": [], "look": []}

    def taking_turns() -> None:
        for index in range(rounds):
            turns = Turns(bare.step)
            out = tmp_path / str(index)
            clock = run([source], target, steps=steps, batch=batch, out=out, training=settings, before_step=turns)
            pairs["ours"] += zip(clock.steps(), clock.processor(), strict=True)
            pairs["bare"] += turns.times[WARMUP:]
            walls = [wall for wall, _ in turns.times[WARMUP + 1 :]]
            gaps = [whole - step - wall for whole, step, wall in zip(clock.whole(), clock.steps(), walls, strict=False)]
            step = clock.seconds()
            shares["look"].append(gaps.pop(look - 1) / (EVERY * step))
            shares["state"].append(gaps.pop(state - 1) / (EVERY * step))
            shares["around"].append(statistics.mean(gaps) / step)

    benchmark.pedantic(taking_turns, rounds=1, iterations=1)
    ours, theirs = (Times(*zip(*pairs[name], strict=True)) for name in ("ours", "bare"))
    within, by_processor = ratio(ours, theirs), ratio(Times(ours.cpu, ours.cpu), Times(theirs.cpu, theirs.cpu))
    case = f"{resolution}x{resolution}"
    percent = {name: 100 * statistics.median(found) for name, found in shares.items()}
    keep(record_of(f"{case}, updates / bare arithmetic", within))
    keep(Record(f"{case}, around the updates", percent["around"], "%", note="data, records, averages, progress"))
    keep(Record(f"{case}, a state every {EVERY} steps", percent["state"], "%"))
    rest, spread = percent["around"] + percent["state"], (by_processor.median, by_processor.low, by_processor.high)
    total, low, high = (100 * (bound - 1) + rest for bound in spread)
    keep(Record(f"{case}, overhead", total, "%", low, high, note="the sum; within the updates by processor time"))
    keep(Record(f"{case}, pictures and watch every {EVERY} steps", percent["look"], "%", note="not in the sum"))


class Turns:
    """A call that is timed before every step."""

    def __init__(self, call: Callable[[], object]) -> None:
        self.call, self.times = call, list[tuple[float, float]]()

    def __call__(self, step: int) -> None:
        self.times.append(timed(self.call))


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
