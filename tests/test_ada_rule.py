"""How ADA's probability follows the critic: arXiv 2006.06676, section 2.3."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import minegan_zoo as mz
from minegan_zoo.contracts import MineganError


def rule(images: int, every: int, target: float = 0.6) -> Any:
    return mz.augmentations.create("ada", images=images, every=every, target=target)


def test_p_moves_at_the_documented_speed() -> None:
    augmentation = rule(images=1000, every=4)
    for update in range(1, 21):
        augmentation.update(torch.full((10,), 3.0))
        assert float(augmentation.p) == pytest.approx(update // 4 * 0.04, abs=1e-6)
    for update in range(1, 9):
        augmentation.update(torch.tensor([1.0, 2.0, 0.1, 5.0, 1.0, 1.0, 1.0, -1.0, -9.0, -2.0]))  # mean sign 0.4
        assert float(augmentation.p) == pytest.approx(0.2 - update // 4 * 0.04, abs=1e-6)
    for _ in range(40):
        augmentation.update(-torch.ones(10))
    assert float(augmentation.p) == 0


def test_the_target_is_the_mean_sign_over_all_updates_since() -> None:
    augmentation = rule(images=100, every=2, target=0.5)
    augmentation.update(torch.ones(6))
    augmentation.update(torch.tensor([1.0, -1.0]))  # 6 of 8: above
    assert float(augmentation.p) == pytest.approx(0.08)
    augmentation.update(torch.ones(2))
    augmentation.update(torch.tensor([1.0, 1.0, 1.0, -1.0, -1.0, -1.0]))  # 2 of 8: below
    assert float(augmentation.p) == pytest.approx(0.0)


def test_p_stops_at_the_most() -> None:
    augmentation = mz.augmentations.create("ada", images=10, every=1)
    for _ in range(5):
        augmentation.update(torch.ones(8))
    assert float(augmentation.p) == pytest.approx(0.8)


def test_a_state_goes_on_as_if_never_interrupted() -> None:
    scores = torch.randn(30, 8, generator=torch.Generator().manual_seed(3)) + 1
    whole = rule(images=200, every=4)
    for row in scores[:10]:
        whole.update(row)
    resumed = rule(images=200, every=4)
    resumed.load_state_dict(whole.state_dict())
    for row in scores[10:]:
        whole.update(row)
        resumed.update(row)
        assert torch.equal(whole.p, resumed.p)
    assert 0 < float(whole.p) < 1
    draws = []
    for augmentation in (whole, resumed):
        torch.manual_seed(5)
        draws.append(augmentation(torch.ones(4, 3, 8, 8).cumsum(3)))
    assert torch.equal(*draws)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"policy": "blit,color"}, "may hold blit, geometric, colour"),
        ({"start": 0.9}, "0 <= start <= most <= 1"),
        ({"images": 0}, "at least 1"),
    ],
)
def test_mistakes_name_what_is_valid(options: dict[str, object], words: str) -> None:
    with pytest.raises(MineganError, match=words):
        mz.augmentations.create("ada", **options)
