"""Adaptive discriminator augmentation. Imports contracts only.

On torch's `affine_grid` and `grid_sample`: kornia's `warp_affine` wraps the same two, wants the matrices in pixels and
takes 1.1 to 1.5 times as long; its colour operations clamp to [0, 1].
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from minegan_zoo.contracts import Augmentation, MineganError

STEPS = ("blit", "geometric", "colour")


class ADA(nn.Module, Augmentation):
    """Adaptive discriminator augmentation (Karras et al., arXiv 2006.06676), the "bgc" pipeline of its appendix B.

    Each transformation strikes each image with probability p. `blit`: mirroring, quarter turns, shifts by whole pixels
    up to an eighth of the size; `geometric`: scaling, turning, stretching, shifting, in one resampling together with
    the blits; `colour`: brightness, contrast, luma flip, hue and saturation in one matrix (grey images: the first
    three). What moves in is the image's reflection. Images without a `geometric` draw are moved exactly.

    p rises while the mean sign of the critic's scores of real images is above `target`, else it falls: once in `every`
    updates, by the share of `images` seen since. Scores whose zero means nothing come from the middle between real and
    fake ones (`Objective.realness`). Draws come from torch's global CPU generator, so that they resume with it on every
    device; p and the running sums are buffers.
    """

    p: Tensor
    signs: Tensor
    scores: Tensor
    updates: Tensor

    def __init__(self, policy: str, target: float, images: int, every: int, start: float, most: float) -> None:
        super().__init__()
        self.steps = {name.strip() for name in policy.split(",")}
        if unknown := sorted(self.steps - set(STEPS)):
            raise MineganError(f"ada: policy {policy!r} holds {unknown}; it may hold {', '.join(STEPS)}")
        if not 0 <= start <= most <= 1:
            raise MineganError(f"ada: choose 0 <= start <= most <= 1, not start {start} and most {most}")
        if not -1 <= target <= 1:
            raise MineganError(f"ada: target is a mean sign, from -1 to 1, not {target}")
        if images < 1 or every < 1:
            raise MineganError(f"ada: images and every must be at least 1, not {images} and {every}")
        self.target, self.images, self.every, self.most = target, images, every, most
        self.register_buffer("p", torch.tensor(start))
        self.register_buffer("signs", torch.tensor(0.0))  # sum of signs, and of how many scores, since p last moved
        self.register_buffer("scores", torch.tensor(0))
        self.register_buffer("updates", torch.tensor(0))

    def forward(self, images: Tensor) -> Tensor:
        """(n, C, R, R) -> the same shape and dtype; grey or RGB. The very images while p is 0."""
        p = float(self.p)
        if p == 0:
            return images
        with torch.autocast(images.device.type, enabled=False):  # half-precision coordinates would miss their pixels
            out = images.to(torch.promote_types(images.dtype, torch.float32))
            if self.steps & {"blit", "geometric"}:
                out = self._moved(out, p)
            if "colour" in self.steps:
                out = recoloured(out, p)
        return out.to(images.dtype)

    @torch.no_grad()
    def update(self, real_scores: Tensor) -> None:
        """Section 2.3's rule with r_t = E[sign(D(real))]; (n,) scores of augmented real images."""
        self.signs += real_scores.sign().sum(dtype=self.signs.dtype)
        self.scores += len(real_scores)
        self.updates += 1
        if self.updates == self.every:
            direction = (self.signs / self.scores - self.target).sign()
            self.p += direction * self.scores / self.images
            self.p.clamp_(0, self.most)
            for sums in (self.signs, self.scores, self.updates):
                sums.zero_()

    def facts(self) -> Mapping[str, float]:
        """p, as it is now."""
        return {"p": float(self.p)}

    def _moved(self, images: Tensor, p: float) -> Tensor:
        n, size = len(images), images.shape[-1]
        matrix, resampled = torch.eye(3).expand(n, 3, 3), torch.zeros(n, dtype=torch.bool)
        if "blit" in self.steps:
            matrix = blits(n, p, size)
        if "geometric" in self.steps:
            general, resampled = geometry(n, p)
            matrix = general @ matrix
        back = torch.linalg.inv(matrix)[:, :2].to(images)
        rows = resampled.nonzero().squeeze(1).to(images.device)
        # whole pixels are copied, the rest resampled
        out = lookup(images, back, size, "nearest")
        return out.index_copy(0, rows, resample(images[rows], back[rows])) if len(rows) else out


# Draws. Matrices say where a point of the image goes, where the image is the square [-1, 1].


def blits(n: int, p: float, size: int) -> Tensor:
    """Mirroring, quarter turns, shifts by whole pixels: (n, 3, 3)."""
    mirror = 1 - 2 * struck(p, torch.randint(2, (n,)).float())
    quarter = struck(p, torch.randint(4, (n,)).float())
    pixels = struck(p, ((torch.rand(n, 2) * 2 - 1) * size / 8).round())
    turn = turned(math.pi / 2 * quarter).round()  # exact
    return shifted(2 / size * pixels) @ turn @ scaled(mirror, torch.ones(n))


def geometry(n: int, p: float) -> tuple[Tensor, Tensor]:
    """Scaling, turning, stretching, turning, shifting: (n, 3, 3), and which of them move anything: (n,)."""
    turning = 1 - math.sqrt(1 - p)  # twice, so that p of all images are turned
    size = struck(p, 0.2 * torch.randn(n))
    before = struck(turning, (torch.rand(n) * 2 - 1) * math.pi)
    stretch = struck(p, 0.2 * torch.randn(n))
    after = struck(turning, (torch.rand(n) * 2 - 1) * math.pi)
    shift = struck(p, 0.125 * torch.randn(n, 2))
    matrix = turned(before) @ scaled(size.exp2(), size.exp2())
    matrix = shifted(2 * shift) @ turned(after) @ scaled(stretch.exp2(), (-stretch).exp2()) @ matrix
    return matrix, torch.stack([size, before, stretch, after, *shift.T]).any(0)


def recoloured(images: Tensor, p: float) -> Tensor:
    """Brightness, contrast, luma flip, hue, saturation; all leave grey grey, so they scale luma and turn chroma."""
    n = len(images)
    brightness = struck(p, 0.2 * torch.randn(n))
    contrast = struck(p, 0.5 * torch.randn(n)).exp2()
    luma = contrast * (1 - 2 * struck(p, torch.randint(2, (n,)).float()))
    offset = rearrange(luma * brightness, "n -> n 1 1 1").to(images)
    if images.shape[1] == 1:
        return images * rearrange(luma, "n -> n 1 1 1").to(images) + offset
    hue = struck(p, (torch.rand(n) * 2 - 1) * math.pi)
    chroma = contrast * struck(p, torch.randn(n)).exp2()
    grey = torch.full((3, 3), 1 / 3)  # projects on the luma axis
    quarter = torch.tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / math.sqrt(3)  # turns chroma about it
    luma, cos, sin = (rearrange(each, "n -> n 1 1") for each in (luma, chroma * hue.cos(), chroma * hue.sin()))
    matrix = luma * grey + cos * (torch.eye(3) - grey) + sin * quarter
    return torch.einsum("nij,njhw->nihw", matrix.to(images), images) + offset


def struck(p: float, values: Tensor) -> Tensor:
    """(n, ...): each row with probability p, else 0."""
    return values * (torch.rand(len(values), *[1] * (values.ndim - 1)) < p)


def scaled(right: Tensor, down: Tensor) -> Tensor:
    return torch.diag_embed(torch.stack([right, down, torch.ones_like(right)], 1))


def turned(angle: Tensor) -> Tensor:
    cos, sin, zero, one = angle.cos(), angle.sin(), torch.zeros_like(angle), torch.ones_like(angle)
    return rearrange(torch.stack([cos, -sin, zero, sin, cos, zero, zero, zero, one]), "(i j) n -> n i j", i=3)


def shifted(by: Tensor) -> Tensor:
    return torch.eye(3) + F.pad(by[:, :, None], (2, 0, 0, 1))


# Resampling


def lookup(images: Tensor, back: Tensor, size: int, mode: str) -> Tensor:
    """(n, C, size, size): each pixel is looked up where `back` (n, 2, 3) sends it; the edges are mirrors."""
    grid = F.affine_grid(back, [len(images), 1, size, size], align_corners=False)
    return F.grid_sample(images, grid, mode=mode, padding_mode="reflection", align_corners=False)


def resample(images: Tensor, back: Tensor) -> Tensor:
    """Bilinear lookup at twice the resolution, between two low-pass filters, as the paper does.

    With Lanczos filters in place of the paper's sym6: they are symmetric, hence shift nothing, and stay 22 to 24 dB
    from ideal resampling on 32x32 pictures of clothes, where sym6 has 15 to 22 and bilinear lookup alone 15 to 19.
    """
    size = images.shape[-1]
    margin = 8  # of fine pixels, for the filter that follows
    coarse = torch.arange(size).to(images) + 0.5
    fine = (torch.arange(-margin, 2 * size + margin).to(images) + 0.5) / 2
    double = lanczos(fine[margin:-margin, None] - coarse)
    halve = lanczos(coarse[:, None] - fine)
    zoom = torch.tensor([1 + margin / size, 1 + margin / size, 1]).to(back)
    return halve @ lookup(double @ images @ double.T, back * zoom, len(fine), "bilinear") @ halve.T


def lanczos(distance: Tensor) -> Tensor:
    """Weights of a low-pass filter, whose rows sum to 1; distances in pixels of the lower resolution."""
    weights = torch.sinc(distance) * torch.sinc(distance / 4) * (distance.abs() < 4)
    return weights / weights.sum(1, keepdim=True)
