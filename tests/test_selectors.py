"""What every selector keeps: columns on the simplex, its state, its options' ranges, what it has dropped."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Generator, Tensor, nn
from torch.nn.functional import one_hot

import minegan_zoo as mz
from minegan_zoo import conformance
from minegan_zoo.contracts import MineganError, Selector, SelectorEntry
from minegan_zoo.weights import load_strict

ALL = ("max", "partition", "softmax", "uniform", "fixed", "mixture", "candidates")
DROPPING = ("max", "partition", "softmax", "mixture", "candidates")
NOISE_DIM = 4


def play(selector: Any, means: Tensor, updates: int, *, batch: int = 32, seed: int = 0) -> None:
    """Updates on scores that are means (S,) + noise."""
    rng = Generator().manual_seed(seed)
    for _ in range(updates):
        proposed = selector.propose(batch, rng)
        scores = means[:, None] + torch.randn(len(means), batch, generator=rng)
        u = torch.randn(batch, NOISE_DIM, generator=rng)
        selector.observe(u, scores.masked_fill(~proposed, -torch.inf))


# What every selector keeps


@pytest.mark.parametrize("name", ALL)
def test_the_cores_selectors_keep_every_rule(name: str) -> None:
    for check in conformance.selector_checks(mz.selectors.entry(name)).values():
        check()


class Sound(nn.Module, Selector):
    """Draws a source a u, all alike."""

    def __init__(self, num_sources: int) -> None:
        super().__init__()
        self.num_sources = num_sources

    def propose(self, n: int, rng: Generator) -> Tensor:
        return one_hot(torch.randint(self.num_sources, (n,), generator=rng), self.num_sources).T.bool()

    def critic_weights(self, scores: Tensor) -> Tensor:
        return one_hot(scores.argmax(0), self.num_sources).T.float()

    def probabilities(self) -> Tensor:
        return torch.full((self.num_sources,), 1 / self.num_sources)


class Unseeded(Sound):
    def propose(self, n: int, rng: Generator) -> Tensor:
        return super().propose(n, torch.default_generator)


class Summed(Sound):
    def miner_weights(self, scores: Tensor) -> Tensor:
        return torch.ones_like(scores)


class Unscored(Sound):
    def critic_weights(self, scores: Tensor) -> Tensor:
        return torch.full_like(scores, 1 / self.num_sources)


class Unfaithful(Sound):
    def dropped(self) -> Tensor:
        return torch.arange(self.num_sources) > 0


class Forgetful(Sound):
    seen = 0

    def update(self, scores: Tensor) -> None:
        self.seen += 1

    def probabilities(self) -> Tensor:
        return torch.arange(1.0, self.num_sources + 1).pow(self.seen).softmax(0)


class Sharing(Sound):
    """Takes the shares as they are, and may forget them."""

    share_samples = 4
    kept = True

    def __init__(self, num_sources: int) -> None:
        super().__init__(num_sources)
        shares = torch.full((num_sources,), 1 / num_sources)
        if self.kept:
            self.register_buffer("shares", shares)
        else:
            self.shares = shares

    def share(self, shares: Tensor) -> None:
        self.shares.copy_(shares)

    def probabilities(self) -> Tensor:
        return self.shares.clone()  # type: ignore[no-any-return,operator]


class Doubling(Sharing):
    def share(self, shares: Tensor) -> None:
        self.shares.copy_(2 * shares)


class Fleeting(Sharing):
    kept = False


@pytest.mark.parametrize(
    ("build", "rule", "words"),
    [
        (Sound, None, ""),
        (Sharing, None, ""),
        (Doubling, "check_probabilities", r"after share\(shares\).*columns that sum to one"),
        (Fleeting, "check_state", "keep it all in buffers"),
        (Unseeded, "check_proposals", "draw everything from rng"),
        (Summed, "check_weights", "miner_weights.*columns that sum to one"),
        (Unscored, "check_weights", "critic_weights.*give -inf no weight"),
        (Unfaithful, "check_probabilities", "never choose it again"),
        (Forgetful, "check_state", "keep it all in buffers"),
    ],
)
def test_a_broken_selector_breaks_its_rule(build: Any, rule: str | None, words: str) -> None:
    for name, check in conformance.selector_checks(SelectorEntry("mine", build)).items():
        if name == rule:
            with pytest.raises(conformance.RuleBroken, match=f"(?s){words}") as broken:
                check()
            assert broken.value.__notes__[0].startswith("rule: ")
        else:
            check()


@pytest.mark.parametrize("name", ALL)
def test_what_was_saved_goes_on_exactly_as_what_was_not(name: str, tmp_path: Any) -> None:
    means = torch.tensor([0.0, 2.0, -2.0])
    selector = mz.selectors.create(name, 3)
    play(selector, means, 60)
    save_file(selector.state_dict(), tmp_path / "selector.safetensors")
    fresh, strict = mz.selectors.create(name, 3), mz.selectors.create(name, 3)
    fresh.load_state_dict(load_file(tmp_path / "selector.safetensors"))
    load_strict(strict, load_file(tmp_path / "selector.safetensors"), "the selector")
    twins = [copy.deepcopy(selector), fresh, strict]
    play(selector, means, 60, seed=1)
    u = torch.randn(5, NOISE_DIM, generator=Generator().manual_seed(2))
    for twin in twins:
        play(twin, means, 60, seed=1)
        assert torch.equal(twin.probabilities(), selector.probabilities())
        assert torch.equal(twin.probabilities_given(u), selector.probabilities_given(u))
        assert {k: v.tolist() for k, v in twin.state_dict().items()} == {
            k: v.tolist() for k, v in selector.state_dict().items()
        }


@pytest.mark.parametrize("name", ALL)
def test_one_that_learned_nothing_is_saved_too(name: str, tmp_path: Any) -> None:
    selector = mz.selectors.create(name, 2)
    save_file(selector.state_dict(), tmp_path / "selector.safetensors")
    load_strict(selector, load_file(tmp_path / "selector.safetensors"), "the selector")
    assert selector.probabilities().tolist() == [0.5, 0.5]


WRONG = [
    *((name, {"drop_below": 1.0}, "0 <= drop_below < 1") for name in DROPPING),
    *((name, {"patience": 0}, "patience >= 1") for name in DROPPING),
    *((name, {"draws": 0}, "draws >= 1") for name in ("max", "partition", "softmax", "candidates")),
    ("partition", {"keep_above": 1.0}, "0 <= keep_above < 1"),
    ("partition", {"sharpness": 0.0}, "0 < sharpness < inf"),
    ("partition", {"sharpness": float("inf")}, "0 < sharpness < inf"),
    ("softmax", {"width": 0}, "width >= 1"),
    ("softmax", {"rate": float("nan")}, "rate > 0"),
    ("mixture", {"rate": -1}, "rate >= 0"),
    ("mixture", {"floor": 1}, "0 <= floor < 1"),
    ("mixture", {"memory": 1}, "0 <= memory < 1"),
    ("mixture", {"sharpness": 0}, "sharpness > 0"),
    ("mixture", {"warmup": -1}, "warmup >= 0"),
    ("candidates", {"count": 1}, "count >= 2"),
    ("candidates", {"count": 5}, "pool >= count"),
    ("candidates", {"explore": 0}, "0 < explore <= 1"),
    ("fixed", {"probabilities": (0.5, 0.5)}, "2 probabilities for 3 sources"),
    ("fixed", {"probabilities": (0.5, 0.7, -0.2)}, "not negative"),
    ("fixed", {"probabilities": (0.5, 0.2, 0.2)}, "sum to 1"),
]


@pytest.mark.parametrize(("name", "options", "words"), WRONG)
def test_options_out_of_range_are_refused(name: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(MineganError, match=f"the selector '{name}'.*{words}"):
        mz.selectors.create(name, 3, **options)


@pytest.mark.parametrize("name", ALL)
def test_a_selector_of_no_sources_is_refused(name: str) -> None:
    with pytest.raises(MineganError, match="num_sources >= 1"):
        mz.selectors.create(name, 0)


def test_options_are_told() -> None:
    told = {name: [str(option) for option in mz.selectors.info(name).options] for name in ALL}
    assert told["fixed"] == ["probabilities: tuple of float = ()"]
    assert told["uniform"] == []
    assert "count: int = 2" in told["candidates"]
    for name in DROPPING:
        assert any(option.startswith("drop_below: float") for option in told[name])
    assert "drop_below: float = 0.0" in told["max"] and "drop_below: float = 0.3" in told["mixture"]


# Dropping


QUICK = {"mixture": {"warmup": 0, "rate": 0.5, "entropy": 0.5}, "softmax": {"rate": 0.1}}


@pytest.mark.parametrize("name", DROPPING)
def test_a_source_is_dropped_after_its_patience_and_never_comes_back(name: str) -> None:
    selector = mz.selectors.create(name, 3, drop_below=0.5, patience=20, **QUICK.get(name, {}))
    play(selector, torch.tensor([5.0, -10.0, 5.0]), 19)
    assert not selector.dropped().any(), "not before its patience"
    play(selector, torch.tensor([5.0, -10.0, 5.0]), 100)
    assert selector.dropped().tolist() == [False, True, False]
    # were it the best from now on, it would stay away
    rng = Generator().manual_seed(0)
    assert not selector.propose(500, rng)[1].any()
    scores = torch.tensor([[0.0], [9.0], [1.0]]).expand(-1, 20)
    proposed = selector.propose(20, rng)
    weights = selector.critic_weights(scores.masked_fill(~proposed, -torch.inf))
    assert weights[1].sum() == 0 and torch.equal(weights.sum(0), torch.ones(20))
    play(selector, torch.tensor([0.0, 9.0, 0.0]), 30)
    selector.settle(torch.tensor([[0.0, 2.0], [-torch.inf, -torch.inf], [1.0, 1.0]]))
    u = torch.randn(6, NOISE_DIM)
    for p in (selector.probabilities(), *selector.probabilities_given(u).T):
        assert p[1] == 0
        torch.testing.assert_close(p.sum(), torch.tensor(1.0))


@pytest.mark.parametrize("name", DROPPING)
def test_the_last_source_stays(name: str) -> None:
    selector = mz.selectors.create(name, 4, drop_below=0.99, patience=1)
    play(selector, torch.zeros(4), 400, batch=8)
    assert selector.dropped().sum() == 3
    assert sorted(selector.probabilities().tolist()) == [0.0, 0.0, 0.0, 1.0]
    assert selector.propose(50, Generator()).sum(0).tolist() == [1] * 50


@pytest.mark.parametrize("name", ["max", "softmax"])
def test_the_papers_rule_drops_nothing_unless_told(name: str) -> None:
    selector = mz.selectors.create(name, 2)
    play(selector, torch.tensor([0.0, 50.0]), 200)
    assert selector.probabilities()[0] < 0.01
    assert not selector.dropped().any()


def test_sources_just_below_the_share_start_their_patience_anew() -> None:
    selector = mz.selectors.create("max", 2, draws=4, drop_below=0.5, patience=3)
    first, second = torch.tensor([[1.0] * 4, [0.0] * 4]), torch.tensor([[0.0] * 4, [1.0] * 4])
    for scores in (first, first, second, second, first, first):
        selector.update(scores)
    assert not selector.dropped().any()
    selector.update(first)
    assert selector.dropped().tolist() == [False, True]


def test_a_mixture_of_many_sources_shares_a_batch_between_few_of_them_without_bias() -> None:
    selector = mz.selectors.create("mixture", 16, pool=4)
    rng = Generator().manual_seed(0)
    batches = torch.stack([selector.propose(32, rng) for _ in range(500)])  # (500, 16, 32)
    assert batches.sum(1).eq(1).all()
    assert batches.any(2).sum(1).max() <= 4
    assert (batches.float().mean((0, 2)) - 1 / 16).abs().max() < 0.02
    assert mz.selectors.create("mixture", 3).propose(32, rng).any(1).all(), "few sources are all drawn"
