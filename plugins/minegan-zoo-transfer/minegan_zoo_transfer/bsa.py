"""BSA: batch statistics adaptation, without a critic. Imports contracts and this package's own."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from minegan_zoo.contracts import Run, Stage, Strategy

from .adapters import fold, names_of
from .adaptor import Adaptor
from .anchor import Anchor
from .finetuning import free_scales
from .genda import check_miners
from .layers import as_module
from .reconstruction import Reconstruction
from .scales import add_scales, scale_names


class BSA(Strategy):
    """Image generation from small datasets via batch statistics adaptation (Noguchi and Harada, ICCV 2019, 1904.01774).

    Only scale and shift of the generator's features, a code for every target image and, where there are classes, one
    embedding for the target are free, and a reconstruction loss trains them: a step is one generator update.

    Unlike the released code's: scales and shifts are held near where they start, not near 1 and 0, as most networks
    have no such start; learning rates do not decay, as budgets differ; the first linear layer stays as it is (its
    learning rate was 1e-7); samples come from the source's whole prior, as every method's do, not a truncated one.
    """

    miner = "adaptor"

    def __init__(
        self,
        scales: str,
        perceptual: str,
        layers: int,
        prior_weight: float,
        scale_weight: float,
        start: str,
        source_lr: float,
        code_lr: float,
        class_lr: float,
    ) -> None:
        self.scales, self.source_lr, self.code_lr, self.class_lr = scales, source_lr, code_lr, class_lr
        self.regularisers = (
            Reconstruction(perceptual, layers, prior_weight, start),
            Anchor(scale_weight, self._held, lambda: self._shares),
        )
        self._shares: list[Tensor] = []

    def _held(self, run: Run) -> list[nn.Parameter]:
        """The scales and shifts, each of which the penalty averages over its elements."""
        held = [
            as_module(source).get_parameter(name)
            for source in run.sources
            for name in scale_names(as_module(source), self.scales)
        ]
        self._shares = [parameter.new_tensor(1 / parameter.numel()) for parameter in held]
        return held

    def stages(self, steps: int) -> tuple[Stage, ...]:
        rates = {"sources": self.source_lr, "miners": self.class_lr, "regularisers": self.code_lr}
        return (Stage("reconstruct", steps, rates, regularisers=self.regularisers, adversarial=False, select=False),)

    def prepare(self, stage: Stage, run: Run) -> None:
        check_miners(run, "bsa")
        add_scales([as_module(source) for source in run.sources], self.scales)

    def trainable(self, stage: Stage, run: Run) -> Mapping[str, float]:
        rates = {"regularisers": self.code_lr} | free_scales(run, self.scales, self.source_lr)
        for index, miner in enumerate(run.miners):
            if isinstance(miner, Adaptor):
                rates |= {f"miners/{index}:{name}": self.class_lr for name in names_of(miner, miner.constants())}
        return rates

    def finish(self, run: Run) -> None:
        for source in run.sources:
            fold(as_module(source))
