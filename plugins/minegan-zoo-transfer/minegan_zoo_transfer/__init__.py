"""Rival transfer methods for minegan_zoo, as strategies over the same trainer, sources and budgets.

Light: imports contracts only, builders import torch when they are called.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from minegan_zoo.contracts import API, LatentSpace, Miner, MinerEntry, Strategy, StrategyEntry, hookimpl

MINEGAN_ZOO_API = API
SCALES = "*.affine.*,*.bn?.*,*norm*,output_layer.0.*"
"""What networks call the parameters that scale and shift their features."""


def build_scale_shift(*, scales: str = SCALES, source_lr: float = 4e-3, critic_lr: float = 2e-3) -> Strategy:
    """Adversarial adaptation of the generator's normalisation or modulation scales and shifts only.

    Noguchi and Harada's parametrisation (arXiv 1904.01774), adversarial as in Mo et al. (arXiv 2002.10964). `scales`
    are comma-separated shell-style patterns of their names; of convolutions with such styles (StyleGAN2 and 3) the bias
    is the shift. By default a source without any gets a scale on every convolution, whose bias is the shift.
    """
    from .finetuning import ScaleShift

    return ScaleShift(scales, source_lr, critic_lr)


def build_bsa(
    *,
    scales: str = SCALES,
    perceptual: str = "critic",
    layers: int = 10,
    prior_weight: float = 0.1,
    scale_weight: float = 0.02,
    start: str = "prior",
    source_lr: float = 5e-3,
    code_lr: float = 0.05,
    class_lr: float = 1e-3,
) -> Strategy:
    """Batch statistics adaptation: scales, shifts and a code for each target image, by reconstruction, no critic.

    Noguchi and Harada (arXiv 1904.01774). `scales` as in scale-shift. `perceptual` compares the maps of the first
    `layers` convolutions (0: all) of the run's critic ("critic"), of a timm model with its pretrained weights (the
    paper's: "vgg16.tv_in1k") or of none ("none"). `prior_weight` holds codes near N(0, I), `scale_weight` scales and
    shifts near their start; codes `start` from the "prior" or from "zero". Learning rates of codes and the target's
    class embedding are the released code's; that of scales lies between its two (5e-4 for BigGAN, 3e-2 for SNGAN).
    """
    from .bsa import BSA

    return BSA(scales, perceptual, layers, prior_weight, scale_weight, start, source_lr, code_lr, class_lr)


def build_freezed(*, frozen: float = 0.5, source_lr: float = 4e-3, critic_lr: float = 2e-3) -> Strategy:
    """Finetuning with the critic's lower layers frozen.

    Mo et al. (arXiv 2002.10964). `frozen` is the share of the critic's groups, from the pixels on; the paper froze four
    of eight for StyleGAN.
    """
    from .finetuning import FreezeD

    return FreezeD(frozen, source_lr, critic_lr)


def build_l2sp(
    *, weight: float = 1e-3, critic_weight: float = 1e-3, source_lr: float = 4e-3, critic_lr: float = 2e-3
) -> Strategy:
    """Finetuning with an L2 penalty on leaving the start.

    Li et al. (arXiv 1802.01483). `weight` is alpha for the sources, `critic_weight` for the critic (0: none). The
    paper's 0.1 is for weights of usual size; those of networks with equalized learning rates, which are of the size of
    one, it holds where they are.
    """
    from .finetuning import L2SP

    return L2SP(weight, critic_weight, source_lr, critic_lr)


def build_ewc(
    *, weight: float = 1e-3, samples: int = 250, source_lr: float = 4e-3, critic_lr: float = 2e-3
) -> Strategy:
    """Finetuning with elastic weight consolidation: weights stay where the Fisher information says they matter.

    Li et al. (arXiv 2012.02780). `weight` is lambda in units of one over the mean information, whose size depends on
    the network; `samples` is how many images of the source it is estimated from.
    """
    from .finetuning import EWC

    return EWC(weight, samples, source_lr, critic_lr)


def build_cdc(
    *,
    weight: float = 1000.0,
    pairs_of: int = 4,
    anchor_every: int = 4,
    anchor_spread: float = 0.1,
    patch_map: int = 0,
    source_lr: float = 4e-3,
    critic_lr: float = 2e-3,
) -> Strategy:
    """Cross-domain correspondence: similarities between samples stay as they were; anchors and a patch critic.

    Ojha et al. (arXiv 2104.06820). `weight` is lambda, of the similarities among `pairs_of` samples. Every
    `anchor_every`-th step trains near anchors (standard deviation `anchor_spread`) with the whole critic, the others
    anywhere with a critic of patches, which reads the first feature map at most `patch_map` wide (0: half of the
    widest one, at most 32).
    """
    from .cdc import CDC

    return CDC(weight, pairs_of, anchor_every, anchor_spread, patch_map, source_lr, critic_lr)


def build_adam_fsig(
    *,
    probe_share: float = 0.25,
    modulated: float = 0.5,
    samples: int = 250,
    styles: str = SCALES,
    source_lr: float = 4e-3,
    critic_lr: float = 2e-3,
) -> Strategy:
    """AdAM: probes which kernels matter for the target, modulates those and finetunes the others.

    Zhao et al. (arXiv 2210.16559). `probe_share` of the steps probe; `modulated` is the share of kernels kept and
    modulated (for far targets the paper takes 0.25), chosen by the Fisher information of `samples` samples. `styles`
    name the fully connected layers whose rows are kernels too: those that scale and shift features.
    """
    from .adam_fsig import AdAM

    return AdAM(probe_share, modulated, samples, styles, source_lr, critic_lr)


def build_genda(*, strength: float = 0.5, miner_lr: float = 1e-2, critic_lr: float = 2e-3) -> Strategy:
    """GenDA: an affine adaptor of z before the frozen generator, a new head on the frozen critic.

    Yang et al. (arXiv 2111.09876). `strength` shrinks the base noise in training (the diversity constraint; 1: none)
    unless a source normalises z. The adaptor has few parameters of the size of one each, hence its learning rate.
    """
    from .genda import GenDA

    return GenDA(strength, miner_lr, critic_lr)


def build_adaptor(latents: Mapping[str, LatentSpace], noise_dim: int) -> Miner:
    """The miner of genda and bsa: an elementwise affine map of z, a learnt constant for the class."""
    from .adaptor import Adaptor

    return Adaptor(latents, noise_dim)


@hookimpl
def register_miners(register: Callable[[MinerEntry], None]) -> None:
    register(MinerEntry("adaptor", build_adaptor))


@hookimpl
def register_strategies(register: Callable[[StrategyEntry], None]) -> None:
    register(StrategyEntry("scale-shift", build_scale_shift))
    register(StrategyEntry("bsa", build_bsa))
    register(StrategyEntry("freezed", build_freezed))
    register(StrategyEntry("l2sp", build_l2sp))
    register(StrategyEntry("ewc", build_ewc))
    register(StrategyEntry("cdc", build_cdc))
    register(StrategyEntry("adam-fsig", build_adam_fsig))
    register(StrategyEntry("genda", build_genda))
