"""Averaged weights of whatever is trained. May import minegan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from torch import nn

from minegan_zoo.minegan import MinedGAN

if TYPE_CHECKING:
    from timm.utils import ModelEmaV3


class Averages:
    """An exponential moving average a trained part; parts that no stage has trained have none and cost nothing."""

    def __init__(self, half_life: int, rampup: float) -> None:
        """`half_life` in images, at most `rampup` times the images generated so far (as StyleGAN2-ADA does it)."""
        self.half_life, self.rampup = half_life, rampup
        self._parts: dict[str, tuple[nn.Module, ModelEmaV3]] = {}

    def add(self, name: str, module: nn.Module) -> None:
        """Average `module` from its present weights on; once."""
        from timm.utils import ModelEmaV3  # slow to import, and only training needs it

        if name not in self._parts:
            self._parts[name] = (module, ModelEmaV3(module))

    def add_trained(self, model: MinedGAN) -> None:
        """Add those of the model's parts of which something is trained."""
        for name, module in model.trainable_parts():
            if any(parameter.requires_grad for parameter in module.parameters()):
                self.add(name, module)

    def drop(self, *names: str) -> None:
        """Forget parts that are no more."""
        for name in names:
            self._parts.pop(name, None)

    def update(self, images: int, batch: int) -> None:
        """After a step that brought the images generated so far to `images`."""
        half_life = max(min(self.half_life, self.rampup * images), 1e-8)
        for module, average in self._parts.values():
            average.decay = 0.5 ** (batch / half_life)
            average.update(module)

    def model(self, model: MinedGAN) -> MinedGAN:
        """`model` with averages in the place of what is trained; shares all else with it. In eval mode."""

        def averaged(name: str, module: Any) -> Any:
            return self._parts[name][1].module if name in self._parts else module

        sources = [averaged(f"sources/{index}", source) for index, source in enumerate(model.sources)]
        miners = [averaged(f"miners/{index}", miner) for index, miner in enumerate(model.miners)]
        average = MinedGAN(
            sources, miners, model.selector, model.image, model.noise_dim, model.critic, model.class_names
        )
        average.recipe = model.recipe
        return average

    def state_dict(self) -> dict[str, Any]:
        """Name of a part -> its averaged tensors."""
        return {name: average.module.state_dict() for name, (_, average) in self._parts.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The reverse; the same parts must have been added."""
        for name, (_, average) in self._parts.items():
            average.module.load_state_dict(state[name])
