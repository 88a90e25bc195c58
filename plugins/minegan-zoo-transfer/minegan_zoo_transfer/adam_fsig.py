"""AdAM: probe which kernels matter for the target, keep and modulate those, finetune the others.

Imports contracts and this package's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from minegan_zoo.contracts import Critic, GeneratorSource, MineganError, Run, Stage, Strategy

from .adapters import fold, names_of, names_within
from .critic_head import evaluating, final_groups
from .fisher import check_samples, fisher_diagonal, surprise
from .layers import Place, as_module, convolutions, has_bias, image_layers, matching
from .modulation import KernelModulation, importance_of_rows, modulate, modulations, most_important
from .scales import scaling

MAPPING, NOISE = "mapping.*,*.mapping.*", "*.noise_strength,*.noise_weight"
"""What StyleGANs call their mapping network, and how strong their noise is."""


class AdAM(Strategy):
    """Adaptation-aware kernel modulation (Zhao et al., NeurIPS 2022, arXiv 2210.16559, section 4).

    `probe` trains the modulations of all kernels of both networks, and the critic's last layers; then the Fisher
    information of the modulations (of single samples) says which kernels matter. `adapt` starts again: of those that
    matter the modulation is free, of the others the kernel itself. Layers that read or write images and StyleGAN's
    mapping network are modulated whatever they matter; in `adapt` the biases beside modulations and the strengths of
    StyleGAN's noise are free.

    Unlike in the released code, the linear layers by which ProGAN and BigGAN read z and classes stay as they are, and
    biases take no part in probing. It takes the information of 1000 samples; the default here is a quarter, as budgets
    are small.
    """

    mines = False

    def __init__(
        self, probe_share: float, modulated: float, samples: int, styles: str, source_lr: float, critic_lr: float
    ) -> None:
        for name, value in {"probe_share": probe_share, "modulated": modulated}.items():
            if not 0 < value < 1:
                raise MineganError(f"adam-fsig: {name} is a share between 0 and 1, not {value}")
        check_samples("adam-fsig", samples)
        self.probe_share, self.modulated, self.samples, self.styles = probe_share, modulated, samples, styles
        self.source_lr, self.critic_lr = source_lr, critic_lr
        self.important: dict[str, Tensor] = {}
        self._final_start: list[Tensor] = []

    def stages(self, steps: int) -> tuple[Stage, ...]:
        probing = max(1, round(steps * self.probe_share))
        rates = {"critic": self.critic_lr, "sources": self.source_lr}
        return Stage("probe", probing, rates), Stage("adapt", steps - probing, rates)

    def prepare(self, stage: Stage, run: Run) -> None:
        if stage.name == "probe":
            self._final_start = [parameter.detach().clone() for parameter in self._final(run)]
            for source in map(as_module, run.sources):
                modulate(convolutions(source) + _fully_connected(scaling(source, self.styles)), run.rng)
                modulate(image_layers(source) + _fully_connected(matching(source, MAPPING)), run.rng, ranked=False)
            final, critic = set(self._final(run)), as_module(run.critic)
            modulate([place for place in convolutions(critic) if place.parameter not in final], run.rng)
            modulate([place for place in image_layers(critic) if place.parameter not in final], run.rng, ranked=False)
            return
        if not self.important:
            self.important = self._probe(run)
        for part, name, modulation in self._modulations(run):
            every = torch.ones_like(modulation.modulated)
            modulation.restart(self.important[f"{part}/{name}"] if modulation.ranked else every, run.rng)
        with torch.no_grad():
            for parameter, start in zip(self._final(run), self._final_start, strict=True):
                parameter.copy_(start)

    def trainable(self, stage: Stage, run: Run) -> Mapping[str, float]:
        parts: dict[str, tuple[GeneratorSource | Critic, float]] = {"critic": (run.critic, self.critic_lr)}
        parts |= {f"sources/{index}": (source, self.source_lr) for index, source in enumerate(run.sources)}
        rates = {f"critic:{name}": self.critic_lr for name in names_of(as_module(run.critic), self._final(run))}
        for group, (part, rate) in parts.items():
            # modulations are relative to the weights, so a network's own scale of rates is not for them
            names = names_within(as_module(part), KernelModulation)
            rates |= dict.fromkeys((f"{group}:{name}" for name in names), rate / part.lr_scale)
            if stage.name == "adapt":
                rates |= dict.fromkeys((f"{group}:{name}" for name in _freed(as_module(part))), rate)
        return rates

    @staticmethod
    def _final(run: Run) -> list[nn.Parameter]:
        return [parameter for group in final_groups(run).values() for parameter in group]

    @staticmethod
    def _modulations(run: Run) -> list[tuple[str, str, KernelModulation]]:
        """Part, name within it, modulation: of all sources and the critic."""
        parts = {f"source {index}": as_module(source) for index, source in enumerate(run.sources)}
        parts["critic"] = as_module(run.critic)
        return [(part, name, each) for part, module in parts.items() for name, each in modulations(module).items()]

    def _probe(self, run: Run) -> dict[str, Tensor]:
        """Which kernels matter; of convolutions and styles of a source, and of the critic, the same share each."""
        critic = as_module(run.critic)

        def loss_of_critic() -> Tensor:
            row = int(torch.randint(len(run.target), (1,), generator=run.rng))
            with torch.no_grad():
                fake = run.sample(1, run.rng)[0]
            real = run.target[row : row + 1].to(fake.device).float() / 127.5 - 1
            return (F.softplus(-critic(real)) + F.softplus(critic(fake))).sum()

        found = [each for each in self._modulations(run) if each[2].ranked]
        important: dict[str, Tensor] = {}
        with evaluating(critic):
            for loss, of_critic in ((lambda: surprise(run), False), (loss_of_critic, True)):
                mine = [(part, name, each) for part, name, each in found if (part == "critic") == of_critic]
                fisher = fisher_diagonal(loss, [p for _, _, each in mine for p in (each.v, each.u)], self.samples)
                kinds: dict[tuple[str, bool], dict[str, Tensor]] = {}
                for (part, name, each), of_v, of_u in zip(mine, fisher[::2], fisher[1::2], strict=True):
                    kind = kinds.setdefault((part, each.convolution), {})
                    kind[f"{part}/{name}"] = importance_of_rows(of_v, of_u)
                for kind in kinds.values():
                    important |= most_important(kind, self.modulated)
        return important

    def state(self) -> Mapping[str, Any]:
        return dict(self.important)

    def restore(self, state: Mapping[str, Any]) -> None:
        self.important = dict(state)

    def summary(self) -> Mapping[str, Any]:
        rows = torch.cat(list(self.important.values())) if self.important else torch.zeros(0)
        return {"kernels": len(rows), "modulated": int(rows.sum())}

    def finish(self, run: Run) -> None:
        for part in (*run.sources, run.critic):
            fold(as_module(part))


def _fully_connected(found: list[Place]) -> list[Place]:
    return [place for place in found if place.parameter.ndim == 2]


def _freed(part: nn.Module) -> list[str]:
    """What adapting frees beside modulations: weights of which some rows are not modulated, biases, noise strengths."""
    found = modulations(part)
    weights = [f"{name.rpartition('.')[0]}.original" for name, each in found.items() if each.ranked]
    holders = dict.fromkeys(name.split(".parametrizations.")[0] for name in found)
    biases = [f"{holder}.bias" for holder in holders if has_bias(part.get_submodule(holder))]
    return weights + biases + [place.full_name for place in matching(part, NOISE)]
