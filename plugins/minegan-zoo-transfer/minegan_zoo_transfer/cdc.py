"""CDC: cross-domain correspondence, an anchor region and a patch critic. Imports contracts and this package's own."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from einops import rearrange
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from minegan_zoo.contracts import Batch, Code, GeneratorSource, MineganError, Regulariser, Run, Stage

from .adapters import names_within
from .finetuning import Finetuning
from .layers import COLOURS, as_module, convolving, feature_maps
from .patches import PatchHead, PatchScore, remove_patch_heads


class Correspondence(Regulariser):
    """weight times how far similarities between samples have left the start's (arXiv 2104.06820, eq. 1 to 3).

    For every sample, softmax over its cosine similarities to the others, before and after adaptation. The divergence is
    the paper's, of the adapted from the start (the released code takes the reverse), averaged over all pairs as in the
    released code, for which the paper's weight is meant, and over all layers (it draws one a sample: noisier, and no
    faster).
    """

    def __init__(self, weight: float, samples: int) -> None:
        self.weight, self.samples = weight, samples
        self.sources: list[GeneratorSource] = []
        self.starts: list[GeneratorSource] = []

    def prepare(self, run: Run) -> None:
        self.sources, self.starts = list(run.sources), copy.deepcopy(list(run.sources))
        for start in self.starts:
            as_module(start).eval().requires_grad_(False)

    def __call__(self, batch: Batch) -> Tensor:
        return self.weight * torch.stack([self.distance(index) for index in batch.codes]).mean()

    def distance(self, index: int) -> Tensor:
        """Of one source, on new samples: the paper's loss is over the whole prior."""
        source, start = self.sources[index], self.starts[index]
        code = source.prior(self.samples, source.inputs[0], torch.default_generator)
        with torch.no_grad():
            before = layer_maps(start, code)
        after = layer_maps(source, code)
        return torch.stack([divergence(*pair) for pair in zip(after, before, strict=True)]).mean()


def layer_maps(source: GeneratorSource, code: Code) -> list[Tensor]:
    """What the source's convolutions give for a code, but for those that write images: (n, c, h, w) each."""
    network = as_module(source)
    with feature_maps(convolving(network)) as maps:
        source.synthesize(code)
    return [values for values in maps.values() if values.shape[1] > COLOURS]


def divergence(after: Tensor, before: Tensor) -> Tensor:
    """KL(after || before) of the similarities of n samples' features (n, ...), averaged over n (n - 1) pairs."""
    log_p, log_q = log_similarities(after), log_similarities(before)
    return (log_p.exp() * (log_p - log_q)).mean()


def log_similarities(features: Tensor) -> Tensor:
    """(n, ...) -> (n, n - 1): log softmax over each sample's cosine similarities to the others (eq. 1 and 2)."""
    n = len(features)
    flat = F.normalize(features.flatten(1).float(), dim=1)
    others = ~torch.eye(n, dtype=torch.bool, device=features.device)
    return rearrange((flat @ flat.T)[others], "(n others) -> n others", n=n).log_softmax(1)


class CDC(Finetuning):
    """Few-shot generation by cross-domain correspondence (Ojha et al., CVPR 2021, arXiv 2104.06820, section 3).

    Every `anchor_every`-th step trains on base noise near one of as many anchors as there are target images, with the
    critic as it is; the other steps on any base noise, with a critic of patches (eq. 4 and 5). Anchors are of z: a
    conditional source's class is drawn anew each time.
    """

    def __init__(
        self,
        weight: float,
        pairs_of: int,
        anchor_every: int,
        anchor_spread: float,
        patch_map: int,
        source_lr: float,
        critic_lr: float,
    ) -> None:
        super().__init__(source_lr, critic_lr)
        if pairs_of < 3 or anchor_every < 1:
            raise MineganError("cdc: pairs_of must be at least 3 (softmax over two or more), anchor_every at least 1")
        self.anchor_every, self.anchor_spread, self.patch_map = anchor_every, anchor_spread, patch_map
        self.regularisers = (Correspondence(weight, pairs_of),)
        self.anchors: Tensor | None = None
        self.patches: PatchHead | None = None

    def stages(self, steps: int) -> tuple[Stage, ...]:
        (stage,) = super().stages(steps)
        return (replace(stage, regularisers=self.regularisers),)

    def prepare(self, stage: Stage, run: Run) -> None:
        if self.anchors is None:
            self.anchors = torch.randn(len(run.target), run.noise_dim, generator=run.rng)
        self.patches = PatchHead(run, self.patch_map)

    def trainable(self, stage: Stage, run: Run) -> Mapping[str, float]:
        # the added convolution has an equalized rate, so a critic's own scale of rates is not for it
        names = names_within(as_module(run.critic), PatchScore)
        return {
            **stage.train,
            **dict.fromkeys((f"critic:{name}" for name in names), self.critic_lr / run.critic.lr_scale),
        }

    def noise(self, stage: Stage, step: int, u: Tensor, rng: Generator) -> Tensor:
        if not self._anchored(step):
            return u
        assert self.anchors is not None
        rows = torch.randint(len(self.anchors), (len(u),), generator=rng)
        return self.anchors[rows].to(u) + self.anchor_spread * u

    def scores(
        self,
        stage: Stage,
        step: int,
        critic: Callable[[Tensor, Tensor | None], Tensor],
        images: Tensor,
        labels: Tensor | None,
    ) -> Tensor:
        if self._anchored(step):
            return critic(images, labels)
        assert self.patches is not None
        return self.patches.scores(images, labels)

    def _anchored(self, step: int) -> bool:
        return step % self.anchor_every == 0

    def state(self) -> Mapping[str, Any]:
        return {} if self.anchors is None else {"anchors": self.anchors}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.anchors = state.get("anchors")

    def summary(self) -> Mapping[str, Any]:
        side = self.patches.side if self.patches else 0
        return {"anchors": 0 if self.anchors is None else len(self.anchors), "patch_map": side}

    def finish(self, run: Run) -> None:
        critic: nn.Module = as_module(run.critic)
        remove_patch_heads(critic)
