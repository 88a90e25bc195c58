"""A run in words: what the selector chose is said plainly."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from minegan_zoo.account import title, verdict
from minegan_zoo.wording import column, duration, metric_value


@pytest.mark.parametrize(
    ("p", "words"),
    [
        ([0.97, 0.02, 0.01], "settled on a: 97%"),
        ([0.2, 0.7, 0.1], "prefers b with 70%; a keeps 20%"),
        ([0.34, 0.33, 0.33], "did not settle: it spreads its samples almost evenly over all 3 sources"),
        ([0.5, 0.5], "almost evenly over both sources"),
        ([0.55, 0.42, 0.03], "did not settle on one source: a 55% and b 42%."),
    ],
)
def test_the_choice_in_words(p: list[float], words: str) -> None:
    assert words in verdict("abc"[: len(p)], p)
    assert verdict("abc", p, so_far=True).startswith("So far, the selector")
    assert verdict("a", [1.0]) == ""


def test_values_are_short() -> None:
    assert [metric_value(value) for value in (123.44, 9.876, 0.0123, 2.3e-6)] == ["123.4", "9.88", "0.0123", "2.3e−06"]
    assert [duration(seconds) for seconds in (9.96, 75, 3700)] == ["10.0 s", "1 min 15 s", "1 h 1 min"]
    assert column("fid_train") == "FID on training images ↓"
    assert column("class_accuracy") == "class accuracy ↑"


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("some/where/boots", "boots"),
        ("torchvision:FashionMNIST?root=/some/where&classes=7,9", "FashionMNIST, classes=7,9"),
        ("torchvision:MNIST?root=here", "MNIST"),
        ("hf-dataset:owner/name", "owner/name"),
    ],
)
def test_a_target_is_named_without_the_way_to_it(target: str, words: str) -> None:
    results: Any = SimpleNamespace(config=SimpleNamespace(target=target))
    assert title(results) == words
