"""Reading a checkpoint, keeping a mined model and opening it, saving a run's state and going on from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

import minegan_zoo as mz
from minegan_zoo.sources import save_source
from throughput.networks import TARGET, bundled
from throughput.results import Keep, Record, record_of
from throughput.runs import WARMUP, options, run
from throughput.timing import Measure, ratio


def bench_source(quick: bool, tmp_path: Path, measure: Measure, keep: Keep) -> None:
    """A StyleGAN2 of 256x256 from our folder, against its bare tensors through safetensors."""
    torch.manual_seed(0)
    source = mz.generators.create("stylegan2", None, resolution=64 if quick else 256)
    save_source(source, tmp_path / "source")
    critic = {f"critic.{name}": value for name, value in source.own_critic().state_dict().items()}
    save_file(source.state_dict() | critic, tmp_path / "bare.safetensors")

    def bare() -> float:
        return sum(float(tensor.sum()) for tensor in load_file(tmp_path / "bare.safetensors").values())

    def ours() -> float:
        loaded: Any = mz.load_source("stylegan2", tmp_path / "source")
        parts = (*loaded.state_dict().values(), *loaded.own_critic().state_dict().values())
        return sum(float(tensor.sum()) for tensor in parts)

    times = measure({"ours": ours, "bare": bare, "save": lambda: save_source(source, tmp_path / "again")}, rounds=5)
    size = sum(value.nbytes for value in (*source.state_dict().values(), *critic.values())) / 2**20
    keep(record_of("load a source / read its tensors", ratio(times["ours"], times["bare"]), note="reading all"))
    keep(Record("load a source", size / times["ours"].seconds, "MiB/s"))
    keep(Record("save a source", size / times["save"].seconds, "MiB/s"))


def bench_run(quick: bool, tmp_path: Path, measure: Measure, keep: Keep) -> None:
    """A run's model and state, in units of one of its steps. Bundled StyleGAN2, 32x32, batch 32."""
    source, out = bundled(1), tmp_path / "run"
    clock = run(source, TARGET, steps=2 if quick else 10, batch=32, out=out)
    model = mz.MinedGAN.load(out / "model")
    folders = iter(range(1000))

    def resume() -> None:  # finished: opens the state, trains nothing, writes the model again
        mz.mine(source, TARGET, strategy="minegan-noft", selector="max", objective="hinge", batch=32, out=out,
                steps=(2 if quick else 10) + WARMUP, options=options("minegan-noft"))  # fmt: skip

    rivals = {
        "save the model": lambda: model.save(tmp_path / f"model-{next(folders)}"),
        "load the model": lambda: mz.MinedGAN.load(out / "model"),
        "resume a finished run": resume,
    }
    times = measure(rivals, rounds=5)
    for name in rivals:
        keep(Record(f"{name}, in steps", times[name].seconds / clock.seconds(), "steps"))
