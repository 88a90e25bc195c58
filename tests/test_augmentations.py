"""DiffAugment against its definition: arXiv 2006.10738."""

from __future__ import annotations

import pytest
import torch

import minegan_zoo as mz
from minegan_zoo.contracts import Augmentation, MineganError


def augmented(images: torch.Tensor, policy: str, seed: int = 0) -> torch.Tensor:
    augmentation = mz.augmentations.create("diffaugment", policy=policy)
    assert isinstance(augmentation, Augmentation)
    torch.manual_seed(seed)
    return augmentation.forward(images)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("policy", ["color", "translation", "cutout", "color,translation,cutout", "cutout, color"])
def test_shape_is_kept_and_seeds_repeat(channels: int, policy: str) -> None:
    images = torch.rand(4, channels, 16, 16) * 2 - 1
    out = augmented(images, policy)
    assert out.shape == images.shape and out.dtype == images.dtype
    assert torch.equal(out, augmented(images, policy)) and not torch.equal(out, augmented(images, policy, seed=1))


@pytest.mark.parametrize("policy", ["color", "translation", "cutout", "color,translation,cutout"])
def test_gradients_are_right_to_second_order(policy: str) -> None:
    images = torch.rand(2, 3, 4, 8, dtype=torch.float64, requires_grad=True)

    def scored(x: torch.Tensor) -> torch.Tensor:
        return augmented(x, policy).pow(3)

    assert torch.autograd.gradcheck(scored, images, fast_mode=True)
    assert torch.autograd.gradgradcheck(scored, images, fast_mode=True)


def test_each_image_gets_its_own_draw_and_depends_on_itself_only() -> None:
    images = torch.rand(1, 3, 16, 16).expand(6, -1, -1, -1)
    out = augmented(images, "color,translation,cutout")
    assert all(not torch.allclose(out[0], row) for row in out[1:])
    changed = torch.cat([images[:5], torch.zeros(1, 3, 16, 16)])
    assert torch.equal(augmented(changed, "color,translation,cutout")[:5], out[:5])


def test_color_is_affine_with_the_papers_ranges() -> None:
    """On an image of one grey value, contrast and saturation do nothing: what is left is brightness."""
    flat = augmented(torch.zeros(4000, 3, 1, 1), "color")
    assert flat.min() >= -0.5 and flat.max() <= 0.5 and flat.min() < -0.49 and flat.max() > 0.49
    assert abs(flat.mean()) < 0.02
    # two grey halves differ by 1 times contrast; a pure hue differs from grey by saturation times contrast
    halves = torch.tensor([-0.5, 0.5]).expand(4000, 3, 1, 2)
    contrast = (augmented(halves, "color")[..., 1] - augmented(halves, "color")[..., 0])[:, 0, 0]
    assert 0.5 <= contrast.min() < 0.51 and 1.49 < contrast.max() <= 1.5
    hue = torch.tensor([0.5, -0.5, 0.0])[:, None, None].expand(4000, 3, 1, 1)
    saturation = (augmented(hue, "color")[:, 0] - augmented(hue, "color")[:, 1])[:, 0, 0] / contrast
    assert 0 <= saturation.min() < 0.01 and 1.99 < saturation.max() <= 2.001


def test_translation_moves_by_up_to_an_eighth_and_fills_with_zero() -> None:
    images = torch.arange(1.0, 257).reshape(1, 1, 16, 16).expand(500, -1, -1, -1)
    out = augmented(images, "translation")
    seen = set()
    for row in out:
        y, x = divmod(int(row[0, 8, 8]) - 1, 16)
        down, right = 8 - y, 8 - x
        wanted = torch.zeros(16, 16)
        wanted[max(down, 0) : 16 + min(down, 0), max(right, 0) : 16 + min(right, 0)] = images[
            0, 0, max(-down, 0) : 16 - max(down, 0), max(-right, 0) : 16 - max(right, 0)
        ]
        assert torch.equal(row[0], wanted)
        seen.add((down, right))
    assert seen == {(down, right) for down in range(-2, 3) for right in range(-2, 3)}


def test_cutout_zeroes_one_square_of_half_the_size() -> None:
    cut = augmented(torch.ones(500, 3, 16, 16), "cutout") == 0
    assert torch.equal(cut[:, :1].expand(-1, 3, -1, -1), cut)  # all channels alike
    rows, columns = cut[:, 0].any(2).sum(1), cut[:, 0].any(1).sum(1)
    assert torch.equal(cut[:, 0].sum((1, 2)), rows * columns)  # a rectangle
    assert rows.max() == columns.max() == 8 and rows.min() == columns.min() == 4  # less where it sticks out
    assert cut[:, 0].any(0).all()  # anywhere


def test_unknown_policy_names_the_known_ones() -> None:
    with pytest.raises(MineganError, match="may hold color, translation, cutout"):
        mz.augmentations.create("diffaugment", policy="colour")


def test_translation_is_diffaugments_and_none_gives_the_very_images() -> None:
    images = torch.rand(4, 1, 16, 16) * 2 - 1
    shifting = mz.augmentations.create("translation")
    torch.manual_seed(3)
    assert torch.equal(shifting.forward(images), augmented(images, "translation", seed=3))
    assert mz.augmentations.create("none").forward(images) is images
