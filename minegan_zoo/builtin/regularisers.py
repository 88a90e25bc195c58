"""Terms of the miner's loss that keep sources, images or codes near what they should not leave.

What is measured at the start is held in buffers, so that the state of a run has it. May import contracts only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

import torch
from torch import Generator, Tensor, nn

from minegan_zoo.contracts import Batch, GeneratorSource, MineganError, Regulariser, Run

PRIOR_DRAWS = 4096
CHUNK = 256
EPS = 1e-5


class L2SP(nn.Module, Regulariser):
    """weight / 2 * |w - w0|^2 over the free parameters w of the sources; w0 is what they were before the stage.

    L2-SP: Li et al., ICML 2018 (arXiv 1802.01483), without its second term, which is for new layers: there are none.
    """

    def __init__(self, weight: float) -> None:
        super().__init__()
        self.weight = _checked(weight, "l2sp")
        self.held: list[nn.Parameter] = []

    def prepare(self, run: Run) -> None:
        sources = cast(Sequence[nn.Module], run.sources)
        self.held = [parameter for source in sources for parameter in source.parameters()]
        for index, parameter in enumerate(self.held):
            self.register_buffer(f"start_{index}", parameter.detach().clone())

    def forward(self, batch: Batch) -> Tensor:
        distances = [
            (parameter - start).square().sum()
            for parameter, start in zip(self.held, self.buffers(), strict=True)
            if parameter.requires_grad
        ]
        return self.weight / 2 * sum(distances, start=batch.images.new_zeros([]))


class ModeSeeking(Regulariser):
    """weight / (d(images) / d(u) + 1e-5), averaged over pairs of images of one source and class; d is mean |a - b|.

    Base noises that differ are to give images that differ. Mao et al., CVPR 2019 (arXiv 1903.05628), eq. 2, which
    maximises the ratio; its reciprocal, as in the authors' code, is bounded below.
    """

    def __init__(self, weight: float) -> None:
        self.weight = _checked(weight, "mode-seeking")

    def __call__(self, batch: Batch) -> Tensor:
        total = batch.images.new_zeros([])
        for rows in _alike(batch):
            of_images = _distances(batch.images[rows].float())
            of_noises = _distances(batch.u[batch.row[rows]])
            total = total + (1 / (of_images / of_noises + EPS)).sum()
        return self.weight * total / len(batch.images)


class CodePrior(nn.Module, Regulariser):
    """weight * (|m - m0|^2 + |s - s0|^2) / |s0|^2 for the mined codes of every latent space of a source.

    m and s are the codes' mean and standard deviation over the batch, m0 and s0 their prior's, a coordinate each: the
    squared 2-Wasserstein distance of Gaussians with these moments (Dowson and Landau, 1982), relative to the prior's
    variance. Summed over spaces and sources; the batch is the step's whole one, however many pieces it is run in.
    Without `classes` class embeddings are left free: one class is far from the mean of all and has no spread.
    """

    def __init__(self, weight: float, classes: bool = True) -> None:
        super().__init__()
        self.weight, self.classes = _checked(weight, "code-prior"), classes
        self.spaces: dict[tuple[int, str], str] = {}  # "" where codes are free
        self.register_load_state_dict_pre_hook(_keep_unsaved)

    def prepare(self, run: Run) -> None:
        for index, source in enumerate(run.sources):
            for name, space in source.latents.items():
                if space.prior == "class-embedding" and not self.classes:
                    self.spaces[index, name] = ""
                    continue
                key = f"{index}_{name.replace('.', '_')}"
                for moment, value in zip(("mean", "deviation"), _prior_moments(source, name), strict=True):
                    self.register_buffer(f"{moment}_{key}", value)
                self.spaces[index, name] = key

    def forward(self, batch: Batch) -> Tensor:
        total = batch.images.new_zeros([])
        for index, codes in batch.mined().items():
            for name, code in codes.items():
                key = self.spaces[index, name]
                if key and code.requires_grad and len(code) > 1:  # else it is not trained, or has no deviation
                    code = code.float()
                    mean, deviation = self.get_buffer(f"mean_{key}"), self.get_buffer(f"deviation_{key}")
                    distance = (code.mean(0) - mean).square().sum() + (code.std(0) - deviation).square().sum()
                    relative = distance / deviation.expand_as(code[0]).square().sum().clamp(min=EPS)
                    total = total + relative
        return self.weight * total


def _keep_unsaved(module: nn.Module, state: dict[str, Tensor], prefix: str, *_: object) -> None:
    """A run that began when its source declared fewer spaces goes on with what was measured of the others just now."""
    for name, mean in list(module.named_buffers()):
        moments = name, name.replace("mean_", "deviation_", 1)
        if name.startswith("mean_") and not any(prefix + each in state for each in moments):
            state |= {prefix + moments[0]: mean, prefix + moments[1]: module.get_buffer(moments[1])}


def _checked(weight: float, name: str) -> float:
    if not weight >= 0:
        raise MineganError(f"the weight of the regulariser {name!r} must not be negative, it is {weight}")
    return weight


def _alike(batch: Batch) -> Iterator[Tensor]:
    """The images of each source, and each class where there are labels, of which there are two or more."""
    kinds = batch.source if batch.labels is None else torch.stack([batch.source, batch.labels], 1)
    _, kind = kinds.unique(dim=0, return_inverse=True)
    for number in range(int(kind.max()) + 1):
        rows = (kind == number).nonzero()[:, 0]
        if len(rows) > 1:
            yield rows


def _distances(values: Tensor) -> Tensor:
    """(n, ...) -> (n,): mean absolute difference to the one before, the first's to the last."""
    return (values - values.roll(1, 0)).abs().flatten(1).mean(1)


@torch.no_grad()
def _prior_moments(source: GeneratorSource, name: str) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of a space's prior, which broadcast over a code."""
    if source.latents[name].prior == "normal":
        return torch.zeros([]), torch.ones([])
    keys = min((keys for keys in source.inputs if name in keys), key=len)
    rng = Generator().manual_seed(0)
    draws = [source.prior(CHUNK, keys, rng)[name].double() for _ in range(PRIOR_DRAWS // CHUNK)]
    mean = torch.stack([draw.mean(0) for draw in draws]).mean(0)
    variance = torch.stack([(draw - mean).square().mean(0) for draw in draws]).mean(0)
    return mean.float(), variance.sqrt().float()
