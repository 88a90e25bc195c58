"""ADA's transformations against their definition: arXiv 2006.06676, appendix B."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

import minegan_zoo as mz
from minegan_zoo.contracts import Augmentation

POLICIES = ["blit", "geometric", "colour", "blit,geometric,colour"]


def ada(policy: str = "blit,geometric,colour", p: float = 0.0, seed: int = 0) -> Any:
    built = mz.augmentations.create("ada", policy=policy, start=p, most=1.0)
    assert isinstance(built, Augmentation)
    torch.manual_seed(seed)
    return built


def pictures(n: int, channels: int = 3, size: int = 16) -> Tensor:
    return torch.rand(n, channels, size, size, generator=torch.Generator().manual_seed(7)) * 2 - 1


# What holds for every transformation


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("channels", [1, 3])
def test_shape_is_kept_and_seeds_repeat(channels: int, policy: str) -> None:
    for n in (1, 5):
        images = pictures(n, channels)
        out = ada(policy, 0.9)(images)
        assert out.shape == images.shape and out.dtype == images.dtype and out.isfinite().all()
        assert torch.equal(out, ada(policy, 0.9)(images)) and not torch.equal(out, ada(policy, 0.9, seed=1)(images))


def test_without_probability_images_pass_untouched_and_nothing_is_drawn() -> None:
    augmentation, images = ada(p=0.0), pictures(3)
    before = torch.get_rng_state()
    assert augmentation(images) is images
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("policy", POLICIES)
def test_gradients_are_right_to_second_order(policy: str) -> None:
    images = pictures(4, size=8).double().requires_grad_(True)

    def scored(x: Tensor) -> Tensor:
        return ada(policy, 0.8)(x).pow(3)

    assert torch.autograd.gradcheck(scored, images, fast_mode=True)
    assert torch.autograd.gradgradcheck(scored, images, fast_mode=True)


@pytest.mark.parametrize("policy", POLICIES)
def test_each_image_gets_its_own_draw_and_depends_on_itself_only(policy: str) -> None:
    images = pictures(1).expand(6, -1, -1, -1)
    out = ada(policy, 1.0)(images)
    assert all(not torch.allclose(out[0], row) for row in out[1:])
    changed = torch.cat([images[:5], torch.zeros(1, 3, 16, 16)])
    assert torch.equal(ada(policy, 1.0)(changed)[:5], out[:5])


@pytest.mark.parametrize("policy", POLICIES)
def test_precision_and_memory_format_change_nothing(policy: str) -> None:
    images = pictures(8)
    out = ada(policy, 0.7)(images)
    torch.testing.assert_close(ada(policy, 0.7)(images.to(memory_format=torch.channels_last)), out)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(ada(policy, 0.7)(images), out)
    half = ada(policy, 0.7)(images.bfloat16())
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), out, atol=0.1, rtol=0.02)


# Blits


def moved_by_pixels(image: Tensor) -> dict[tuple[bool, int, int, int], Tensor]:
    """(C, 16, 16) -> mirrored?, quarter turns, down, right -> what that gives, by other means."""
    found = {}
    for mirrored in (False, True):
        for quarter in range(4):
            turned = torch.rot90(image.flip(2) if mirrored else image, quarter, (1, 2))
            tall = torch.cat([turned[:, :2].flip(1), turned, turned[:, -2:].flip(1)], 1)
            wide = torch.cat([tall[:, :, :2].flip(2), tall, tall[:, :, -2:].flip(2)], 2)
            for down in range(-2, 3):
                for right in range(-2, 3):
                    at = wide.roll((down, right), (1, 2))[:, 2:-2, 2:-2]
                    found[mirrored, quarter, down, right] = at
    return found


def blits_seen(p: float, n: int) -> list[tuple[bool, int, int, int]]:
    image = pictures(1)[0]
    known = {picture.numpy().tobytes(): key for key, picture in moved_by_pixels(image).items()}
    out = ada("blit", p)(image.expand(n, -1, -1, -1))
    return [known[row.numpy().tobytes()] for row in out]  # bit for bit


def test_blits_are_flips_quarter_turns_and_shifts_by_up_to_an_eighth() -> None:
    seen = blits_seen(1.0, 4000)
    assert len(set(seen)) == 2 * 4 * 25
    assert 0.46 < sum(mirrored for mirrored, *_ in seen) / 4000 < 0.54
    for quarter in range(4):
        assert 0.21 < sum(key[1] == quarter for key in seen) / 4000 < 0.29
    assert 0.21 < sum(key[2] == 0 for key in seen) / 4000 < 0.29  # |uniform(-2, 2)| < 0.5
    assert 0.09 < sum(key[3] == 2 for key in seen) / 4000 < 0.16


def test_each_blit_strikes_with_probability_p() -> None:
    seen = blits_seen(0.4, 4000)
    assert 0.17 < sum(mirrored for mirrored, *_ in seen) / 4000 < 0.23  # half of what is struck
    assert 0.27 < sum(key[1] != 0 for key in seen) / 4000 < 0.33  # three quarters
    assert 0.34 < sum(key[2:] != (0, 0) for key in seen) / 4000 < 0.41  # fifteen sixteenths
    still = 0.8 * 0.7 * (1 - 0.4 * 15 / 16)
    assert abs(sum(key == (False, 0, 0, 0) for key in seen) / 4000 - still) < 0.03


# The geometric transformations


def maps_seen(p: float, n: int = 1500, size: int = 24) -> tuple[Tensor, Tensor]:
    """The affine maps (n, 2, 3) from output to input positions in [-1, 1], read off two ramps; which hold: (n,)."""
    position = (torch.arange(size) + 0.5) / size * 2 - 1
    ramps = torch.stack([position.expand(size, size), position[:, None].expand(size, size)])
    out = ada("geometric", p)(ramps.repeat(n, 1, 1, 1))
    middle = slice(size // 2 - 3, size // 2 + 3)  # elsewhere a mirror may have folded the ramp
    at = torch.cat([ramps, torch.ones(1, size, size)])[:, middle, middle].flatten(1).T
    values = out[:, :, middle, middle].flatten(2).mT
    maps = torch.linalg.lstsq(at.expand(n, -1, -1), values).solution.mT
    off = (maps @ at.T - values.mT).abs().amax((1, 2))
    return maps, (off < 0.01)


def test_geometric_maps_are_affine_with_the_papers_strengths() -> None:
    maps, holds = maps_seen(1.0)
    assert holds.float().mean() > 0.9
    linear = maps[holds][:, :, :2]
    size = -linear.det().log2() / 2
    assert abs(size.mean()) < 0.03 and 0.18 < size.std() < 0.22
    stretches = torch.linalg.svdvals(linear).log2()
    stretch = (stretches[:, 0] - stretches[:, 1]) / 2  # |N(0, 0.2)|
    assert 0.18 < stretch.square().mean().sqrt() < 0.22
    shift = -torch.linalg.solve(linear, maps[holds][:, :, 2]) / 2  # in widths; the largest are folded away
    assert abs(shift.mean()) < 0.01 and 0.11 < shift.std() < 0.13
    turn = torch.atan2(linear[:, 1, 0] - linear[:, 0, 1], linear[:, 0, 0] + linear[:, 1, 1])
    assert torch.histc(turn, 4, -math.pi, math.pi).min() > 0.2 * len(turn)  # every way


def test_each_geometric_transformation_strikes_with_probability_p() -> None:
    maps, holds = maps_seen(0.3)
    linear = maps[:, :, :2][holds]
    turn = torch.atan2(linear[:, 1, 0] - linear[:, 0, 1], linear[:, 0, 0] + linear[:, 1, 1])
    assert 0.26 < (turn.abs() > 0.005).float().mean() < 0.34  # either turn
    assert 0.26 < ((linear.det().log2() / 2).abs() > 0.005).float().mean() < 0.34
    still = (maps - torch.eye(2, 3)).abs().amax((1, 2)) < 1e-5
    assert abs(still.float().mean() - 0.7**4) < 0.04


def test_images_that_nothing_strikes_are_copied_exactly() -> None:
    images = pictures(200)
    same = (ada("geometric", 0.3)(images) == images).flatten(1).all(1)
    assert 0.15 < same.float().mean() < 0.33  # 0.7 to the fourth


def test_what_moves_in_is_the_reflection() -> None:
    """A cosine that is even about every edge goes on beyond them: all pixels of its images follow the affine map."""
    size = 32
    position = (torch.arange(size) + 0.5) / size * 2 - 1
    x, y = position.expand(size, size), position[:, None].expand(size, size)

    def hills(x: Tensor, y: Tensor) -> Tensor:
        return torch.cos(math.pi * (x + 1)) + torch.cos(math.pi * (y + 1) / 2)

    out = ada("geometric", 1.0)(torch.stack([x, y, hills(x, y)]).repeat(300, 1, 1, 1))
    at, middle = torch.stack([x, y, torch.ones(size, size)]), slice(14, 18)
    near = at[:, middle, middle].flatten(1).T.expand(300, -1, -1)
    maps = torch.linalg.lstsq(near, out[:, :2, middle, middle].flatten(2).mT).solution.mT
    found_x, found_y = torch.einsum("nij,jhw->inhw", maps, at)
    off = (out[:, 2] - hills(found_x, found_y)).abs().amax((1, 2))
    assert (off < 0.05).float().mean() > 0.9  # in the rest the middle is an edge


def test_resampling_keeps_fine_detail() -> None:
    """Of the power of waves of 3 and 4 pixels, bilinear lookup would leave a half and two thirds."""
    for period, kept in ((3, 0.8), (4, 0.88)):
        wave = math.sqrt(2) * torch.sin(2 * math.pi / period * torch.arange(48)).expand(300, 1, 48, 48)
        power = ada("geometric", 1.0)(wave)[:, :, 12:-12, 12:-12].square().mean((1, 2, 3))
        assert kept < power.median() < 1


# Colour


def colours_seen(p: float, n: int = 2000) -> tuple[Tensor, Tensor]:
    """The matrices (n, 3, 3) and offsets (n, 3), read off random colours."""
    images = pictures(1, size=6)
    out = ada("colour", p)(images.expand(n, -1, -1, -1)).flatten(2).mT
    known = F.pad(images[0].flatten(1).T, (0, 1), value=1.0)
    maps = torch.linalg.lstsq(known.expand(n, -1, -1), out).solution.mT
    torch.testing.assert_close(maps @ known.T, out.mT, atol=1e-4, rtol=1e-4)  # nothing is clamped
    return maps[:, :, :3], maps[:, :, 3]


def test_colours_scale_luma_and_turn_chroma_with_the_papers_strengths() -> None:
    matrix, offset = colours_seen(1.0)
    grey = torch.ones(3) / math.sqrt(3)
    luma = (matrix @ grey) @ grey
    torch.testing.assert_close(matrix @ grey, luma[:, None] * grey, atol=1e-4, rtol=1e-4)  # grey stays grey
    assert 0.46 < (luma < 0).float().mean() < 0.54  # luma flip
    contrast = luma.abs()
    assert abs(contrast.log2().mean()) < 0.05 and 0.46 < contrast.log2().std() < 0.54
    brightness = offset[:, 0] / luma
    assert abs(brightness.mean()) < 0.02 and 0.18 < brightness.std() < 0.22
    torch.testing.assert_close(offset, offset[:, :1].expand(-1, 3), atol=1e-4, rtol=1e-4)
    # chroma: a similarity, of the strength contrast times saturation, turned every way
    across = torch.tensor([[1.0, -1, 0], [1, 1, -2]]) / torch.tensor([[2.0], [6.0]]).sqrt()
    chroma = across @ matrix @ across.T
    saturation = chroma.det().sqrt() / contrast
    assert abs(saturation.log2().mean()) < 0.1 and 0.93 < saturation.log2().std() < 1.07
    torch.testing.assert_close(chroma[:, 0, 0], chroma[:, 1, 1], atol=1e-3, rtol=1e-3)
    hue = torch.atan2(chroma[:, 1, 0], chroma[:, 0, 0])
    assert torch.histc(hue, 4, -math.pi, math.pi).min() > 0.2 * len(hue)


def test_a_luma_flip_undoes_itself() -> None:
    """Those drawn alone are reflections that keep chroma: their squares are the identity."""
    matrix, offset = colours_seen(0.3)
    alone = (matrix.diagonal(dim1=1, dim2=2).sum(1) - 1).abs() < 1e-4
    alone &= offset.abs().amax(1) < 1e-5
    flips = matrix[alone & ((matrix @ matrix.mT - torch.eye(3)).abs().amax((1, 2)) < 1e-4)]
    assert len(flips) > 20
    torch.testing.assert_close(flips @ flips, torch.eye(3).expand(len(flips), 3, 3), atol=1e-4, rtol=0)
    torch.testing.assert_close(flips, (torch.eye(3) - 2 / 3).expand(len(flips), 3, 3), atol=1e-4, rtol=0)


def test_grey_images_get_what_grey_rgb_images_get() -> None:
    out = ada("colour", 1.0)(pictures(2000, 1, 4))
    line = pictures(2000, 1, 4)
    gain = (out.amax((1, 2, 3)) - out.amin((1, 2, 3))) / (line.amax((1, 2, 3)) - line.amin((1, 2, 3)))
    assert abs(gain.log2().mean()) < 0.05 and 0.46 < gain.log2().std() < 0.54
    flipped = (out * (line - line.mean((1, 2, 3), keepdim=True))).sum((1, 2, 3)) < 0
    assert 0.46 < flipped.float().mean() < 0.54
