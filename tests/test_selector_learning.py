"""What the core's selectors learn, against closed forms and known score distributions."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Generator, Tensor

import minegan_zoo as mz

NOISE_DIM = 4


def gumbel(shape: tuple[int, ...], rng: Generator) -> Tensor:
    return -torch.log(-torch.log(torch.rand(shape, generator=rng)))


def play(selector: Any, means: Tensor, updates: int, *, batch: int = 32, seed: int = 0) -> None:
    """Updates on scores that are means (S,) + Gumbel noise: source i is the best of all with softmax(means)_i."""
    rng = Generator().manual_seed(seed)
    for _ in range(updates):
        proposed = selector.propose(batch, rng)
        scores = means[:, None] + gumbel((len(means), batch), rng)
        u = torch.randn(batch, NOISE_DIM, generator=rng)
        selector.observe(u, scores.masked_fill(~proposed, -torch.inf))


# The paper's rule, and its learned variant


def test_max_counts_how_often_each_source_wins() -> None:
    selector = mz.selectors.create("max", 2)
    selector.update(torch.tensor([[1.0, 0.0, 5.0, 2.0], [0.0, 1.0, 1.0, 1.0]]))
    assert selector.probabilities().tolist() == [0.75, 0.25]
    for _ in range(400):  # 2000 draws that source 1 wins fade the first out
        selector.update(torch.tensor([[0.0] * 10, [1.0] * 10]))
    assert selector.probabilities()[1] > 0.98


@pytest.mark.parametrize("name", ["max", "softmax", "candidates"])
def test_when_mining_ends_p_is_how_often_each_is_the_best(name: str) -> None:
    selector = mz.selectors.create(name, 3)
    assert selector.settle_draws == 1000
    play(selector, torch.tensor([0.0, 3.0, 0.0]), 20)
    scores = torch.randn(3, 1000, generator=Generator().manual_seed(0))
    selector.settle(scores)
    expected = torch.bincount(scores.argmax(0), minlength=3) / 1000
    torch.testing.assert_close(selector.probabilities(), expected)


def test_softmax_learns_which_source_is_the_best_for_each_u() -> None:
    rng = Generator().manual_seed(0)
    directions = torch.randn(3, 16, generator=rng)
    selector = mz.selectors.create("softmax", 3)
    for _ in range(400):
        u = torch.randn(32, 16, generator=rng)
        scores = directions @ u.T
        assert torch.equal(selector.critic_weights(scores).argmax(0), scores.argmax(0))
        selector.observe(u, scores)
    u = torch.randn(4000, 16, generator=rng)
    best = (directions @ u.T).argmax(0)
    predicted = selector.probabilities_given(u)
    assert (predicted.argmax(0) == best).float().mean() > 0.92
    shares = torch.bincount(best, minlength=3) / 4000
    torch.testing.assert_close(predicted.mean(1), shares, atol=0.04, rtol=0)
    torch.testing.assert_close(selector.probabilities(), shares, atol=0.05, rtol=0)


def test_softmax_steps_as_adam_does() -> None:
    rng = Generator().manual_seed(0)
    selector = mz.selectors.create("softmax", 2, width=3, rate=0.01)
    u, scores = torch.randn(8, 5, generator=rng), torch.randn(2, 8, generator=rng)
    selector.observe(u, scores)
    weights = selector.weights.clone().requires_grad_(True)
    reference = torch.optim.Adam([weights], lr=0.01)
    reference.state[weights] = {"step": torch.tensor(1.0), "exp_avg": selector.moments[0].clone()}
    reference.state[weights]["exp_avg_sq"] = selector.moments[1].clone()
    inner, outer = weights[:18].view(3, 6), weights[18:].view(2, 4)
    hidden = (u @ inner[:, 1:].T + inner[:, 0]).relu()
    torch.nn.functional.cross_entropy(hidden @ outer[:, 1:].T + outer[:, 0], scores.argmax(0)).backward()
    reference.step()
    selector.observe(u, scores)
    torch.testing.assert_close(selector.weights, weights.detach())


# One source a u


def test_uniform_and_fixed_draw_in_strata() -> None:
    rng = Generator().manual_seed(0)
    assert mz.selectors.create("uniform", 4).propose(32, rng).sum(1).tolist() == [8] * 4
    assert mz.selectors.create("fixed", 4).probabilities().tolist() == [0.25] * 4
    selector = mz.selectors.create("fixed", 3, probabilities="0.75,0,0.25")
    assert selector.propose(32, rng).sum(1).tolist() == [24, 0, 8]
    assert selector.dropped().tolist() == [False, True, False]
    thirds = mz.selectors.create("fixed", 3, probabilities=(0.333, 0.333, 0.333)).probabilities()
    torch.testing.assert_close(thirds, torch.full((3,), 1 / 3))


@pytest.mark.parametrize("end", [0.0, 1 - 2**-24])
def test_a_source_of_probability_zero_is_never_drawn(end: float, monkeypatch: pytest.MonkeyPatch) -> None:
    selector = mz.selectors.create("fixed", 5, probabilities=(0, 0.7, 0.2, 0.1, 0))
    monkeypatch.setattr(torch, "rand", lambda n, generator: torch.full((n,), end))
    assert selector.propose(64, Generator())[[0, 4]].sum() == 0


def mixture(count: int, **changed: Any) -> Any:
    plain = {"rate": 0.5, "warmup": 0, "memory": 0.0, "sharpness": 1.0, "drop_below": 0.0}
    return mz.selectors.create("mixture", count, **{**plain, **changed})


def test_mixture_ascends_the_exact_gradient_of_expected_score_and_entropy() -> None:
    selector = mixture(3)
    selector.logits.copy_(torch.tensor([0.3, -0.2, 0.5]))
    logits = selector.logits.clone().requires_grad_(True)
    scores = torch.tensor([[1.0, 3.0, -1.0], [0.0, 2.0, 4.0], [-2.0, 0.5, 0.0]])
    p = logits.softmax(0)
    value = (p * scores.mean(1) / scores.std(correction=0)).sum() - 0.02 * (p * p.log()).sum()
    (gradient,) = torch.autograd.grad(value, logits)
    before = selector.logits.clone()
    selector.update(scores)
    # the entropy's own constant drops out, since sum_i dp_i = 0
    torch.testing.assert_close(selector.logits - before, 0.5 * gradient, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_mixture_does_not_care_for_the_critics_scale_or_offset(scale: float) -> None:
    plain, scaled = mz.selectors.create("mixture", 3), mz.selectors.create("mixture", 3)
    rng = Generator().manual_seed(0)
    for _ in range(100):
        scores = torch.randn(3, 16, generator=rng) + torch.tensor([[0.0], [0.5], [0.0]])
        plain.update(scores)
        scaled.update(scale * (scores - 7))
    torch.testing.assert_close(scaled.probabilities(), plain.probabilities(), rtol=0.02, atol=1e-3)


def test_mixture_settles_on_the_best_source_and_drops_the_rest_for_good() -> None:
    selector = mz.selectors.create("mixture", 3, rate=0.2, warmup=5)
    rng = Generator().manual_seed(0)
    for step in range(300):
        proposed = selector.propose(32, rng)
        assert step > 20 or proposed.sum(1).min() >= 1, "the critic sees the losers until they are dropped"
        scores = torch.randn(3, 32, generator=rng) + torch.tensor([[0.0], [1.0], [0.0]])
        selector.update(scores.masked_fill(~proposed, -torch.inf))
    assert selector.probabilities().tolist() == [0.0, 1.0, 0.0]
    assert selector.propose(1000, rng).sum(1).tolist() == [0, 1000, 0]


def test_by_default_mixture_settles_while_a_short_run_mines() -> None:
    strategy = mz.strategies.create("minegan")
    strategy.for_sources(3)
    mining, _ = strategy.stages(400)
    selector = mz.selectors.create("mixture", 3)
    play(selector, torch.tensor([0.0, 3.0, 0.0]), mining.steps)
    assert selector.probabilities()[1] > 0.9


def test_mixture_of_many_equal_sources_keeps_them() -> None:
    selector = mz.selectors.create("mixture", 16)
    rng = Generator().manual_seed(0)
    for _ in range(150):
        proposed = selector.propose(32, rng)
        selector.update(torch.randn(16, 32, generator=rng).masked_fill(~proposed, -torch.inf))
    assert selector.probabilities().isfinite().all()
    assert (selector.probabilities() > 0).sum() >= 8


def test_mixture_keeps_both_sources_of_a_target_that_they_share() -> None:
    # whoever is drawn more than the target holds of it is scored lower: the critic's answer to p
    selector = mz.selectors.create("mixture", 3)
    rng = Generator().manual_seed(0)
    share = torch.tensor([0.6, 0.4, 0.0])
    for _ in range(600):
        proposed = selector.propose(32, rng)
        means = 4 * (share - proposed.float().mean(1)) - 2 * (share == 0)
        scores = means[:, None] + torch.randn(3, 32, generator=rng)
        selector.update(scores.masked_fill(~proposed, -torch.inf))
    p = selector.probabilities()
    assert p[2] < 0.05
    assert p[0] > 0.25 and p[1] > 0.25


def test_mixture_learns_from_batches_of_one_and_from_equal_scores() -> None:
    selector = mz.selectors.create("mixture", 2, drop_below=0)
    rng = Generator().manual_seed(0)
    for _ in range(300):
        proposed = selector.propose(1, rng)
        scores = torch.randn(2, 1, generator=rng) + torch.tensor([[0.0], [1.0]])
        selector.update(scores.masked_fill(~proposed, -torch.inf))
    assert 0.6 < selector.probabilities()[1] < 1
    selector = mz.selectors.create("mixture", 2)
    for _ in range(100):
        selector.update(torch.full((2, 8), 12345.678))
    torch.testing.assert_close(selector.probabilities(), torch.tensor([0.5, 0.5]))


# A few candidates a u


@pytest.mark.parametrize(("count", "pool"), [(2, 4), (3, 3), (2, 20), (20, 20)])
def test_candidates_are_so_many_different_sources_a_u_from_a_small_pool(count: int, pool: int) -> None:
    selector = mz.selectors.create("candidates", 16, count=count, pool=pool)
    play(selector, torch.tensor([3.0] + [0.0] * 15), 100)
    rng = Generator().manual_seed(0)
    times = torch.zeros(16)
    for _ in range(100):
        proposed = selector.propose(200, rng)
        assert proposed.sum(0).tolist() == [min(count, 16)] * 200
        assert proposed.any(1).sum() == min(pool, 16), "a batch runs few different sources"
        times += proposed.sum(1)
    assert times.min() > 0, "losers are explored"
    assert times[0] == times.max(), "the best is proposed most"


@pytest.mark.parametrize("count", [2, 3, 4])
def test_candidates_find_how_often_each_source_is_the_best_of_all(count: int) -> None:
    means = torch.tensor([0.0, 1.0, 2.0, -1.0])
    selector = mz.selectors.create("candidates", 4, count=count, pool=max(3, count), draws=4000, drop_below=0)
    play(selector, means, 400)
    torch.testing.assert_close(selector.probabilities(), means.softmax(0), atol=0.04, rtol=0)


def test_what_candidates_learn_does_not_depend_on_what_was_proposed() -> None:
    means = torch.tensor([1.0, 0.0, 0.0])
    learned = []
    for skew in (torch.tensor([0.1, 1.0, 1.0]), torch.tensor([1.0, 0.1, 1.0])):
        selector = mz.selectors.create("candidates", 3, draws=20000, drop_below=0)
        rng = Generator().manual_seed(0)
        for _ in range(200):
            chosen = torch.multinomial(skew.expand(64, -1), 2, generator=rng)
            proposed = torch.zeros(64, 3, dtype=torch.bool).scatter_(1, chosen, True).T
            scores = means[:, None] + gumbel((3, 64), rng)
            selector.update(scores.masked_fill(~proposed, -torch.inf))
        learned.append(selector.probabilities())
    for p in learned:
        torch.testing.assert_close(p, means.softmax(0), atol=0.03, rtol=0)


def test_candidates_find_the_best_of_sixteen() -> None:
    means = torch.zeros(16)
    means[5] = math.log(30)  # the best of all on two thirds of the draws
    selector = mz.selectors.create("candidates", 16)
    play(selector, means, 150)
    assert selector.probabilities().argmax() == 5
    assert 0.5 < selector.probabilities()[5] < 0.8
