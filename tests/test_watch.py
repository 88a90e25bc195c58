"""The watch over few-image runs: closed forms of every number, and warnings only where something is wrong."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from minegan_zoo import metrics, neighbours, watch
from minegan_zoo.neighbours import nearest
from minegan_zoo.pixels import to_float
from minegan_zoo.watch import Watch, mean_distance, nearest_pairs, warnings

FINE = {"memorisation": 0.9, "near_copies": 0.1, "diversity": 0.9, "critic_overfit": 0.2, "critic_overfit_error": 0.1}


def pixels(images: Tensor) -> Tensor:
    return images.flatten(1).float()


def dots(*values: int) -> Tensor:
    """One image of one pixel for each value: its own feature."""
    return torch.tensor(values, dtype=torch.uint8).view(-1, 1, 1, 1)


def draws(n: int, seed: int) -> Tensor:
    """Images of 16 pixels of a Gaussian."""
    rng = torch.Generator().manual_seed(seed)
    return (128 + 30 * torch.randn(n, 1, 4, 4, generator=rng)).round().clamp(0, 255).to(torch.uint8)


def test_samples_by_hand() -> None:
    held_out = dots(104, 98, 209)  # at distances 4, 2 and 9
    found = Watch(pixels, dots(100, 200), held_out).samples(to_float(dots(101, 201, 202)))  # at 1, 1 and 2
    assert found == pytest.approx({"memorisation": 1 / 4, "diversity": (100 + 101 + 1) / 3 / 100})


def test_training_images_stand_in_for_held_out_ones() -> None:
    train = dots(0, 10, 12, 30)  # each to its nearest other: 10, 2, 2, 18
    found = Watch(pixels, train, dots()).samples(to_float(dots(3, 33)))
    assert found == pytest.approx({"memorisation_loo": 3 / 6, "diversity": 30 / ((10 + 12 + 30 + 2 + 20 + 18) / 6)})


def test_copies_have_no_distance() -> None:
    train = draws(40, 0)
    found = Watch(pixels, train, draws(20, 1)).samples(to_float(train))
    assert found["memorisation"] == 0 and found["near_copies"] == 1
    assert found["diversity"] == pytest.approx(1)
    assert Watch(pixels, train).samples(to_float(train))["memorisation_loo"] == 0


def test_fresh_draws_are_as_far_as_held_out_ones() -> None:
    found = Watch(pixels, draws(300, 0), draws(300, 1)).samples(to_float(draws(300, 2)))
    assert found["memorisation"] == pytest.approx(1, abs=0.05)
    assert found["near_copies"] == pytest.approx(0.05, abs=0.04)
    assert found["diversity"] == pytest.approx(1, abs=0.03)
    assert warnings(found) == []
    alone = Watch(pixels, draws(300, 0)).samples(to_float(draws(300, 2)))
    assert alone["memorisation_loo"] == pytest.approx(1, abs=0.05) and warnings(alone) == []


def test_repeated_images_are_less_diverse() -> None:
    found = Watch(pixels, draws(200, 0)).samples(to_float(draws(3, 1).repeat(50, 1, 1, 1)))
    assert found["diversity"] == pytest.approx(2 / 3, abs=0.1)


def test_kid_is_the_metric_on_held_out_images() -> None:
    held_out, fake = draws(12, 1), draws(20, 2)
    found = Watch(pixels, draws(10, 0), held_out).samples(to_float(fake))
    assert found["kid"] == metrics.kid(pixels(held_out), pixels(fake), 0).value
    assert "kid" not in Watch(pixels, draws(10, 0), held_out[:4]).samples(to_float(fake))


def test_what_cannot_be_had_is_left_out() -> None:
    same = dots(7, 7, 7)
    for held_out in (None, same):
        assert Watch(pixels, same, held_out).samples(to_float(dots(7, 9))) == {}
    assert Watch(pixels, dots(7)).samples(to_float(dots(7, 9))) == {}


def test_features_of_real_images_are_computed_once() -> None:
    seen: list[int] = []

    def extract(images: Tensor) -> Tensor:
        seen.append(len(images))
        return pixels(images)

    watching = Watch(extract, draws(9, 0), draws(6, 1))
    for seed in (2, 3):
        watching.samples(to_float(draws(4, seed)))
    assert seen == [9, 6, 4, 4]


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    points, among = torch.randn(50, 3, dtype=torch.float64), torch.randn(30, 3, dtype=torch.float64)
    distances, indices = nearest(points, among)
    every = (points[:, None] - among).norm(dim=2)
    assert torch.allclose(distances, every.min(1).values) and torch.equal(indices, every.argmin(1))
    assert torch.allclose(nearest(points, among, rank=2)[0], every.sort(1).values[:, 1])
    monkeypatch.setattr(neighbours, "AT_ONCE", 100)
    chunked = nearest(points, among)
    assert torch.equal(chunked[0], distances) and torch.equal(chunked[1], indices)


def test_a_large_set_is_sampled_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    line = torch.arange(1001, dtype=torch.float64)[:, None]
    assert mean_distance(line) == pytest.approx(1002 / 3)
    monkeypatch.setattr(watch, "MOST", 101)
    assert mean_distance(line) == pytest.approx(10 * 102 / 3)


@pytest.mark.parametrize(("held_out", "overfit"), [(3.0, 0.0), (2.0, 0.5), (1.0, 1.0), (-5.0, 1.0), (4.0, -0.5)])
def test_overfitting_of_the_critic(held_out: float, overfit: float) -> None:
    found = Watch.critic(torch.full((4,), 3.0), torch.full((2,), held_out), torch.full((8,), 1.0))
    assert found == {"critic_overfit": overfit, "critic_overfit_error": 0.0}


def test_the_error_of_overfitting() -> None:
    found = Watch.critic(torch.tensor([2.0, 4.0]), torch.tensor([0.0, 2.0]), torch.tensor([-3.0, -1.0]))
    assert found["critic_overfit"] == pytest.approx(2 / 5)
    assert found["critic_overfit_error"] == pytest.approx(math.sqrt(1 / 2 + 1 / 2) / 5)


def test_a_critic_that_tells_nothing_apart_overfits_nothing() -> None:
    alike = {"critic_overfit": 0.0, "critic_overfit_error": 0.0}
    assert Watch.critic(torch.ones(4), torch.zeros(4), torch.ones(4)) == alike
    assert Watch.critic(torch.ones(4), torch.zeros(4), 2 * torch.ones(4)) == alike
    noisy = torch.tensor([-1.0, 1.0, -1.0, 1.0])
    assert Watch.critic(noisy + 0.1, noisy - 1, noisy) == alike
    assert Watch.critic(noisy, torch.ones(0), noisy) == {}


def test_pairs_show_the_nearest_first() -> None:
    train, samples = dots(100, 200, 250), to_float(dots(190, 101, 130))
    expected = to_float(dots(101, 100, 190, 200, 130, 100))
    assert torch.equal(nearest_pairs(samples, train), expected)
    assert torch.equal(nearest_pairs(samples, train, 1), expected[:2])
    assert torch.equal(Watch(pixels, train).pairs(samples), expected)
    nothing = nearest_pairs(samples, train, extract=lambda images: -pixels(images))  # negation keeps distances
    assert torch.equal(nothing, expected)
    assert torch.equal(Watch(lambda images: pixels(images) % 100, train).pairs(samples, 1), to_float(dots(101, 100)))


def test_no_numbers_no_warnings() -> None:
    assert warnings({}) == [] and warnings(FINE) == []


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"memorisation": 0.62}, ["samples copy", "0.62", "held-out images", "strategy.source_lr", "ada"]),
        ({"memorisation_loo": 0.3}, ["samples copy", "0.30", "the other training images", "fewer steps"]),
        ({"near_copies": 0.45}, ["some samples copy", "45%", "minegan++"]),
        ({"diversity": 0.3}, ["diversity collapsed", "0.30", "the strategy's learning rates (its options in _lr)"]),
        ({"critic_overfit": 0.8}, ["the critic overfits", "0.80", "ada", "strategy.critic_lr"]),
    ],
)
def test_a_warning_says_what_and_what_to_change(facts: dict[str, float], words: list[str]) -> None:
    (text,) = warnings(FINE | facts)
    title, separator, rest = text.partition(": ")
    assert separator and text.startswith(words[0]) and all(word in rest for word in words[1:])
    (again,) = warnings(FINE | {name: 0.9 * value if value < 0.7 else 1.1 * value for name, value in facts.items()})
    assert again.partition(": ")[0] == title


@pytest.mark.parametrize(
    ("start", "facts", "titles"),
    [
        ({"memorisation": 0.65}, {"memorisation": 0.65}, []),
        ({"memorisation": 0.65}, {"memorisation": 0.5}, ["samples copy the training images"]),
        ({"memorisation": 1.4}, {"memorisation": 0.65}, ["samples copy the training images"]),
        ({"memorisation_loo": 0.65}, {"memorisation_loo": 0.64}, []),
        ({"near_copies": 0.5}, {"near_copies": 0.5}, []),
        ({"near_copies": 0.5}, {"near_copies": 0.6}, ["some samples copy training images"]),
        ({"diversity": 0.15}, {"diversity": 0.14}, ["diversity is low from the start"]),
        ({"diversity": 0.15}, {"diversity": 0.5}, ["diversity is low from the start"]),
        ({"diversity": 0.3}, {"diversity": 0.15}, ["diversity collapsed"]),
        ({"diversity": 0.3}, {"diversity": 0.7}, []),
    ],
)
def test_what_was_so_before_training_is_no_fault_of_its_steps(
    start: dict[str, float], facts: dict[str, float], titles: list[str]
) -> None:
    assert [text.partition(":")[0] for text in warnings(facts, start)] == titles


def test_uncertain_overfitting_is_no_warning() -> None:
    assert warnings({"critic_overfit": 0.8, "critic_overfit_error": 0.5}) == []
