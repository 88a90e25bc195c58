"""The same method run otherwise: in bfloat16, compiled, with channels last. Samples stay what they were, or nearly."""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Generator, Tensor, nn

import minegan_zoo as mz
from minegan_zoo.recorder import read_events

SOURCES = ("biggan.tiny", "progan.tiny", "stylegan2.tiny")
ROUNDING = 1e-3
"""How far samples may be off in the mean, in standard deviations: Adam makes full steps of small gradients."""
COMPILE: Callable[..., Any] = torch.compile


def mine(
    source: str, out: Path | None = None, *, batch: int = 8, critic: str = "source", **options: Any
) -> mz.MinedGAN:
    images = torch.randint(0, 256, (16, 3, 16, 16), generator=Generator().manual_seed(0), dtype=torch.uint8)
    slow = {"source_lr": 5e-4, "critic_lr": 5e-4}  # at the first steps of a stage Adam makes rounding as large as that
    more = {
        "fid_samples": 0,
        "watch_every": 0,
        "log_every": 1,
        "miner.width": 16,
        "penalty_every": 2,
        **slow,
        **options,
    }
    return mz.mine(source, images, steps=4, batch=batch, critic=critic, device="cpu", out=out, options=more)


@functools.cache
def plain(source: str) -> Tensor:
    return mine(source).sample(16, seed=0)


def seen_dtypes(monkeypatch: pytest.MonkeyPatch) -> set[torch.dtype]:
    """The dtypes of what convolutions return, from here on."""
    seen: set[torch.dtype] = set()
    convolve = nn.functional.conv2d

    def spied(*arguments: Any, **options: Any) -> Tensor:
        result = convolve(*arguments, **options)
        seen.add(result.dtype)
        return result

    monkeypatch.setattr(nn.functional, "conv2d", spied)
    return seen


@pytest.mark.parametrize("source", SOURCES)
def test_bf16_trains_to_nearly_the_same_samples(source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected, seen = plain(source), seen_dtypes(monkeypatch)
    model = mine(source, tmp_path / "run", precision="bf16")
    assert torch.bfloat16 in seen, "forward passes are in bfloat16"
    assert {tensor.dtype for tensor in model.state_dict().values() if tensor.is_floating_point()} == {torch.float32}
    steps = [event for event in read_events(tmp_path / "run") if event["event"] == "step"]
    facts = [value for step in steps for name, value in step.items() if name.endswith(("_loss", "_score", "penalty"))]
    assert len(facts) > 16 and all(map(math.isfinite, facts))
    images = model.sample(16, seed=0)
    assert images.dtype == torch.float32
    assert 0 < (images - expected).abs().mean() < 0.05 * expected.std(), "another seed's are 1.2 away"


@pytest.mark.parametrize("source", SOURCES)
def test_channels_last_changes_the_order_in_memory_alone(source: str) -> None:
    model = mine(source, channels_last=True)
    kernels = [each for each in model.source_modules[0].parameters() if each.dim() == 4 and min(each.shape) > 1]
    assert all(kernel.is_contiguous(memory_format=torch.channels_last) for kernel in kernels) and kernels
    assert (model.sample(16, seed=0) - plain(source)).abs().mean() < ROUNDING * plain(source).std()


def test_a_compiled_run_gives_the_same_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Traced and differentiated ahead of time, as for the default backend, whose C++ would take minutes."""
    compiled: list[str] = []

    def compile_(function: Callable[..., Any]) -> Callable[..., Any]:
        compiled.append(type(function).__name__)
        return COMPILE(function, backend="aot_eager")

    monkeypatch.setattr(torch, "compile", compile_)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "torch.compile does not work")
        model = mine("progan.tiny", **{"training.compile": True})
    assert len(compiled) == 2, "source and critic"
    assert (model.sample(16, seed=0) - plain("progan.tiny")).abs().mean() < ROUNDING * plain("progan.tiny").std()


def test_what_does_not_compile_runs_as_it_is_which_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(graph: Any, inputs: Any) -> Any:
        raise RuntimeError("no C++ compiler")

    monkeypatch.setattr(torch, "compile", lambda function: COMPILE(function, backend=broken))
    with pytest.warns(UserWarning, match=r"(?s)torch.compile does not work for .* no C\+\+ compiler") as caught:
        model = mine("progan.tiny", **{"training.compile": True})
    told = [str(warning.message).split(",")[0] for warning in caught if "torch.compile" in str(warning.message)]
    assert sorted(told) == [f"torch.compile does not work for {part}" for part in ("source 0", "the critic")]
    assert torch.equal(model.sample(16, seed=0), plain("progan.tiny"))
