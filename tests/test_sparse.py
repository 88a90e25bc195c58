"""MineGAN++: what a neuron is, which ones matter, and that the others stay as they are, bit for bit."""

from __future__ import annotations

import dataclasses
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Generator, Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

import minegan_zoo as mz
from minegan_zoo.builtin.strategies.neurons import hold, layers_of
from minegan_zoo.builtin.strategies.sparse import importances, most_important
from minegan_zoo.checkpoint import load_state
from minegan_zoo.contracts import ImageSpec, MineganError, Run
from minegan_zoo.recorder import read_events
from minegan_zoo.registry import strategies

FAMILIES = ["biggan.tiny", "progan.tiny", "stylegan2.tiny"]
SETTINGS = {"fid_samples": 0, "log_every": 1, "state_every": 1, "samples_every": 100}


def target() -> Tensor:
    return torch.randint(0, 256, (12, 3, 16, 16), generator=Generator().manual_seed(0), dtype=torch.uint8)


def mine(out: Path, sources: list[Any], steps: int = 8) -> mz.MinedGAN:
    options = {**SETTINGS, "share": 0.3, "mine_share": 0.25, "probes": 8}
    return mz.mine(sources, target(), strategy="minegan++", steps=steps, batch=4, out=out, options=options)


def found(out: Path) -> Mapping[str, Mapping[str, Tensor]]:
    """What the state says is free: source -> layer -> (neurons,)."""
    state = load_state(out / "state")
    assert state is not None
    free: Mapping[str, Mapping[str, Tensor]] = state["strategy"]["free"]
    return free


def entries(source: nn.Module, free: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The free neurons of each parameter as a mask of its shape."""
    named = dict(source.named_parameters())
    masks = {name: torch.zeros_like(parameter, dtype=torch.bool) for name, parameter in named.items()}
    for owner, layer in layers_of(source).items():
        for name, mask in layer.masks(free[owner]):
            masks[name] = mask.expand_as(named[name])
    return masks


# What a neuron is


class Odd(nn.Module):
    """Modules of every layout, and parameters of its own that have no neurons in common."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 4)
        self.conv = nn.Conv2d(2, 6, 3)
        self.up = nn.ConvTranspose2d(2, 5, 3)
        self.depthwise = nn.ConvTranspose2d(3, 3, 3, groups=3)
        self.table = nn.Embedding(7, 2)
        self.norm = spectral_norm(nn.Linear(3, 8))
        self.shared = nn.Module()
        self.shared.weight, self.shared.bias = nn.Parameter(torch.ones(6, 2)), nn.Parameter(torch.ones(3))
        self.gain = nn.Parameter(torch.ones([]))
        self.five, self.three = nn.Parameter(torch.ones(5)), nn.Parameter(torch.ones(3))


def test_a_neuron_is_what_makes_one_output() -> None:
    layers = layers_of(Odd())
    assert {name: layer.neurons for name, layer in layers.items()} == {
        "linear": 4, "conv": 6, "up": 5, "depthwise": 3, "table": 7, "norm": 8, "shared": 3, "five": 5, "three": 3,
    }  # fmt: skip
    held = {name for layer in layers.values() for name in layer.parameters}
    assert held == {name for name, _ in Odd().named_parameters()} - {"gain"}
    for name in ("linear", "conv", "up", "norm"):
        assert {part.rpartition(".")[2] for part in layers[name].parameters} in (
            {"weight", "bias"},
            {"original", "bias"},
        )


@pytest.mark.parametrize("name", ["linear", "conv", "up", "depthwise", "table", "norm", "shared"])
def test_a_free_neuron_moves_and_no_other_does(name: str) -> None:
    source = Odd()
    before = {key: value.detach().clone() for key, value in source.named_parameters()}
    layers = layers_of(source)
    free = {owner: torch.zeros(layer.neurons, dtype=torch.bool) for owner, layer in layers.items()}
    free[name][1] = True
    hold(source, free)
    source.requires_grad_(False).requires_grad_(True)  # as stages do; the hooks stay
    optimizer = torch.optim.Adam(source.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        torch.stack([parameter.sum() for parameter in source.parameters()]).sum().backward()
        optimizer.step()
    for key, parameter in source.named_parameters():
        moved = parameter != before[key]
        if key not in layers[name].parameters:
            assert not bool(moved.any()), key
            continue
        if key == "up.weight":  # (in, out, h, w), the others (out, ...)
            moved = moved.movedim(1, 0)
        assert moved.reshape(layers[name].neurons, -1).all(1).tolist() == free[name].tolist(), key
        assert not bool(moved.reshape(layers[name].neurons, -1)[~free[name]].any()), key


# Which ones matter


class Dense(nn.Module):
    """A source of one layer whose outputs are the image."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 4)


class Sum(nn.Module):
    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        return images.flatten(1).sum(1)


class Always(nn.Module):
    def __init__(self, probabilities: list[float]) -> None:
        super().__init__()
        self.values = torch.tensor(probabilities)

    def probabilities(self) -> Tensor:
        return self.values


def by_hand(sources: list[Any], probabilities: list[float], drawn: list[Tensor]) -> Run:
    """A run whose first source makes all samples; what they are made of is kept in `drawn`."""

    def sample(n: int, rng: Generator) -> tuple[Tensor, dict[str, Tensor]]:
        z = torch.randn(n, 3, generator=rng)
        drawn.append(z)
        return sources[0].layer(z).reshape(n, 1, 2, 2), {"z": z}

    rng = Generator().manual_seed(0)
    selector: Any = Always(probabilities)
    critic: Any = Sum()
    return Run(sources, (), critic, selector, rng, 3, target(), None, ImageSpec(1, 2), sample)


def test_importance_is_what_the_score_would_lose() -> None:
    sources = [Dense(), Dense()]
    drawn: list[Tensor] = []
    first, second = importances(sources, by_hand(sources, [1.0, 0.0], drawn), probes=10)
    assert [len(z) for z in drawn] == [4, 4, 4]
    # the score is the mean sum of the outputs w z + b: its slope in w is the mean z, in b it is one
    weight, bias = sources[0].layer.weight.detach(), sources[0].layer.bias.detach()
    expected = sum((weight * z.mean(0)).square().sum(1) + bias.square() for z in drawn)
    torch.testing.assert_close(first["layer"], expected)
    assert second["layer"].tolist() == [0, 0, 0, 0]
    assert all(parameter.grad is None for parameter in sources[0].parameters())


def test_probing_leaves_the_critic_as_it_was() -> None:
    source, critic = Dense(), nn.Sequential(nn.Flatten(), spectral_norm(nn.Linear(4, 3)), nn.Linear(3, 1)).train()
    critic[0].eval()  # as frozen layers are
    before = {name: value.clone() for name, value in critic.state_dict().items()}
    importances([source], dataclasses.replace(by_hand([source], [1.0], []), critic=critic), probes=8)
    assert [name for name, value in critic.state_dict().items() if not torch.equal(value, before[name])] == []
    assert critic.training and critic[1].training and not critic[0].training


def test_more_is_probed_where_more_sources_can_be_drawn() -> None:
    sources = [Dense(), Dense(), Dense()]
    drawn: list[Tensor] = []
    importances(sources, by_hand(sources, [0.5, 0.5, 0.0], drawn), probes=8)
    assert len(drawn) == 4


def test_the_share_is_of_all_layers_together() -> None:
    importance = {"a": torch.tensor([5.0, 1.0, 4.0]), "b": torch.tensor([0.0, 9.0, 0.0, 0.0, 0.0])}
    free = most_important(importance, 0.375)
    assert {name: neurons.tolist() for name, neurons in free.items()} == {
        "a": [True, False, True], "b": [False, True, False, False, False]
    }  # fmt: skip
    assert all(map(torch.all, most_important(importance, 1.0).values()))
    assert not most_important({"a": torch.zeros(3)}, 0.5)["a"].any()
    assert most_important({}, 0.5) == {}


def test_what_was_found_is_restored_without_probing() -> None:
    drawn: list[Tensor] = []
    first, again = (strategies.create("minegan++", probes=8) for _ in range(2))
    sources = [Dense()]
    mining, finetuning = first.stages(10)
    run = by_hand(sources, [1.0], drawn)
    first.prepare(mining, run)
    assert drawn == [] and first.state()["free"] == {} and first.summary() == {"free": {}}
    first.prepare(finetuning, run)
    assert len(drawn) == 2 and first.summary() == {"free": {"sources/0/layer": 0.5}}
    again.restore(first.state())
    again.prepare(mining, run)
    again.prepare(finetuning, run)
    assert len(drawn) == 2 and again.summary() == first.summary()
    first.finish(run)
    again.finish(run)
    sources[0].layer(torch.ones(1, 3)).sum().backward()
    gradient = sources[0].layer.bias.grad
    assert gradient is not None and gradient.tolist() == [1, 1, 1, 1], "the hooks are gone"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"share": 0.0}, "share must lie above 0"),
        ({"share": 1.5}, "at most 1, not 1.5"),
        ({"probes": 0}, "probes must"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(MineganError, match=words):
        strategies.create("minegan++", **options)


# In runs


@pytest.mark.parametrize("name", FAMILIES)
def test_finetuning_leaves_what_does_not_matter_bit_for_bit(name: str, tmp_path: Path) -> None:
    source = mz.load_source(name)
    assert isinstance(source, nn.Module)
    (mined,) = mine(tmp_path / "run", [source], steps=4).source_modules
    free = found(tmp_path / "run")["0"]
    neurons = torch.cat(list(free.values()))
    assert int(neurons.sum()) == round(0.3 * len(neurons))
    masks, moved = entries(source, free), 0
    for (key, before), after in zip(source.named_parameters(), mined.parameters(), strict=True):
        changed = before != after
        assert not bool((changed & ~masks[key]).any()), key
        moved += int(changed.sum())
    assert moved > 0.5 * sum(int(mask.sum()) for mask in masks.values())  # relu and dead inputs keep the rest
    told = [event["summary"] for event in read_events(tmp_path / "run") if event["event"] == "stage"]
    assert told[0] == {"free": {}}
    shares = told[1]["free"]
    assert shares == {
        f"sources/0/{owner}": pytest.approx(float(each.float().mean()), abs=1e-4) for owner, each in free.items()
    }
    assert len(set(shares.values())) > 2


def test_a_killed_run_resumes_with_the_same_mask_and_ends_with_the_same_weights(tmp_path: Path) -> None:
    sources = ["stylegan2.tiny"]
    undisturbed = mine(tmp_path / "a", sources)
    code = (
        f"import torch; torch.set_num_threads({torch.get_num_threads()}); "  # sums depend on it
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import test_sparse, pathlib; "
        f"test_sparse.mine(pathlib.Path({str(tmp_path / 'b')!r}), {sources!r})"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    metrics = tmp_path / "b" / "metrics.jsonl"
    while not (metrics.exists() and sum('"step",' in line for line in metrics.open()) > 4):
        assert process.poll() is None, "the run ended before it could be killed"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    before = found(tmp_path / "b")
    resumed = mine(tmp_path / "b", sources)
    after = found(tmp_path / "b")
    assert before.keys() == after.keys() == {"0"}
    for index, layers in before.items():
        assert all(torch.equal(neurons, after[index][name]) for name, neurons in layers.items())
    one, other = undisturbed.state_dict(), resumed.state_dict()
    assert [key for key in one if not torch.equal(one[key], other[key])] == []
