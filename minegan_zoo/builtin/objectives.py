"""The loss families: WGAN-GP, non-saturating logistic with lazy R1, hinge. May import contracts only."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from minegan_zoo.contracts import MineganError, Objective


class WGANGP(Objective):
    """Wasserstein critic with gradient penalty (Gulrajani et al., 2017, eq. 3), the loss of the MineGAN paper."""

    def __init__(self, weight: float, critic_steps: int) -> None:
        if not weight >= 0 or critic_steps < 1:
            raise MineganError(f"wgan-gp needs weight >= 0 and critic_steps >= 1, not {weight} and {critic_steps}")
        self.weight = weight
        self.critic_steps = critic_steps

    def critic_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        return fake - real

    def miner_loss(self, fake: Tensor) -> Tensor:
        return -fake

    def realness(self, real: Tensor, fake: float) -> Tensor:
        return _above_middle(real, fake)

    def penalty(self, critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> Tensor:
        """weight * E[(|grad of the critic at random points between real and fake| - 1)^2]."""
        share = torch.rand(len(real), 1, 1, 1, device=real.device, dtype=real.dtype)
        between = torch.lerp(real, fake, share).detach().requires_grad_(True)
        norms = _gradients(critic, between).flatten(1).norm(dim=1)
        return self.weight * (norms - 1).square().mean()


class Logistic(Objective):
    """Non-saturating logistic loss (Goodfellow et al., 2014) with lazy R1 (Mescheder et al., 2018; StyleGAN2, 3.1).

    `relativistic`: of the differences between paired fake and real scores (Jolicoeur-Martineau, arXiv 1807.00734;
    R3GAN, Huang et al., arXiv 2501.05441, eq. 2, without its R2). Each fake is compared with a real image instead of a
    fixed threshold, past which the loss does not see which modes are missing.
    """

    def __init__(self, gamma: float, penalty_every: int, relativistic: bool = False) -> None:
        if not gamma >= 0 or penalty_every < 1:
            raise MineganError(f"logistic needs gamma >= 0 and penalty_every >= 1, not {gamma} and {penalty_every}")
        self.gamma = gamma
        self.penalty_every = penalty_every
        self.relativistic = relativistic

    def critic_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        return F.softplus(fake - real) if self.relativistic else F.softplus(-real) + F.softplus(fake)

    def miner_loss(self, fake: Tensor) -> Tensor:
        return F.softplus(-fake)

    def miner_loss_paired(self, real: Tensor, fake: Tensor) -> Tensor:
        return F.softplus(real - fake) if self.relativistic else self.miner_loss(fake)

    def realness(self, real: Tensor, fake: float) -> Tensor:
        return _above_middle(real, fake) if self.relativistic else real

    def penalty(self, critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> Tensor:
        """gamma / 2 * E[|grad of the critic at real images|^2]."""
        images = real.detach().requires_grad_(True)
        return self.gamma / 2 * _gradients(critic, images).flatten(1).square().sum(1).mean()


class Hinge(Objective):
    """Hinge loss (Lim and Ye, 2017), BigGAN's; for critics with spectral norm, which need no penalty."""

    def critic_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        return F.relu(1 - real) + F.relu(1 + fake)

    def miner_loss(self, fake: Tensor) -> Tensor:
        return -fake


def _above_middle(real: Tensor, fake: float) -> Tensor:
    """Of scores whose zero means nothing: how far each is above the middle between the means of real and fake ones."""
    return real - (real.mean() + fake) / 2


def _gradients(critic: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    (gradients,) = torch.autograd.grad(critic(images).sum(), images, create_graph=True)
    return gradients
