"""`MinedGAN`: sources + miners + selector as one generator, and the rule that only what has weight runs with gradient.

May import contracts, registry, sources and checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import one_hot

from minegan_zoo.contracts import (
    Code,
    Critic,
    GeneratorSource,
    ImageSpec,
    MineganError,
    Miner,
    Selector,
    Shared,
    Stage,
)
from minegan_zoo.sources import as_module, code_from_noise, to_image

CHUNK = 64
"""How many images are synthesised at once when sampling."""


@dataclass(frozen=True)
class Recipe:
    """The registry calls that rebuild a model's parts, and what the model was made for."""

    miner: str
    miner_options: Mapping[str, Any]
    selector: str
    selector_options: Mapping[str, Any]
    critic: str
    critic_options: Mapping[str, Any]
    adopted: int | None
    """The source whose discriminator the critic is; None for a critic of its own."""
    strategy: str = ""
    target: str = ""


@dataclass(frozen=True)
class Draw:
    """One draw of base noise, with the codes that no miner makes (random classes, say) drawn for every source."""

    u: Tensor  # (n, noise_dim)
    labels: Tensor | None  # (n,)
    extras: Sequence[Code]  # a source: name -> (n, *shape)


@dataclass(frozen=True)
class Fakes:
    """The pairs of source and u that carry weight, run as one batch of m images."""

    images: Tensor  # (m, C, H, W) canonical
    source: Tensor  # (m,)
    row: Tensor  # (m,) the u of each image
    weight: Tensor  # (m,) sums to n
    codes: Mapping[int, Code]  # source -> name -> (m_i, *shape)


class MinedGAN(nn.Module):
    """A generator for the target domain, made of frozen or finetuned sources, a miner for each, and a selector."""

    def __init__(
        self,
        sources: Sequence[GeneratorSource],
        miners: Sequence[Miner],
        selector: Selector,
        image: ImageSpec,
        noise_dim: int,
        critic: Critic | None = None,
        class_names: Sequence[str] = (),
    ) -> None:
        """`miners` is empty for methods without mining, else one a source; `critic` is what trained the model."""
        super().__init__()
        if miners and len(miners) != len(sources):
            raise MineganError(f"{len(sources)} sources need as many miners, not {len(miners)}")
        self.source_modules = nn.ModuleList(map(as_module, sources))
        self.miner_modules = nn.ModuleList(map(as_module, miners))
        self.selector_module = as_module(selector)
        self.image = image
        self.noise_dim = noise_dim
        self.class_names = tuple(class_names)
        self._critic: Shared[Critic | None] = Shared(critic)
        self.recipe: Recipe | None = None

    @property
    def sources(self) -> list[GeneratorSource]:
        return list(self.source_modules)  # type: ignore[arg-type]

    @property
    def miners(self) -> list[Miner]:
        return list(self.miner_modules)  # type: ignore[arg-type]

    @property
    def selector(self) -> Selector:
        return self.selector_module  # type: ignore[return-value]

    @property
    def critic(self) -> Critic | None:
        return self._critic.value

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    # Sampling

    @torch.no_grad()
    def sample(
        self, n: int, seed: int | None = None, *, u: Tensor | None = None, labels: Tensor | None = None
    ) -> Tensor:
        """Images (n, C, H, W), float32, canonical, clamped to [-1, 1], on the CPU.

        Every row draws its source by the selector's probabilities, then u (n, noise_dim) ~ N(0, I) unless it is given.
        The same seed gives the same images; without one, u given means seed 0 and otherwise the draw is fresh.
        """
        if u is not None and tuple(u.shape) != (n, self.noise_dim):
            raise MineganError(f"u must be of shape ({n}, {self.noise_dim}), not {tuple(u.shape)}")
        rng = Generator()
        if seed is None and u is None:
            rng.seed()
        else:
            rng.manual_seed(seed or 0)
        chosen = self.draw_sources(n, rng)
        draw = self.draw(n, rng, u=u, labels=labels)
        images = torch.empty(n, self.image.channels, self.image.resolution, self.image.resolution)
        for index in range(len(self.sources)):
            mine = (chosen == index).nonzero()[:, 0]
            for rows in mine.split(CHUNK) if len(mine) else ():
                images[rows] = self.synthesize(index, draw, rows)[0].float().clamp(-1, 1).cpu()
        return images

    @torch.no_grad()
    def sample_source(self, index: int, u: Tensor, *, mined: bool = True, seed: int = 0) -> Tensor:
        """Images of one source for u (n, noise_dim), with its miner or, `mined=False`, as it was before any mining."""
        draw = self.draw(len(u), Generator().manual_seed(seed), u=u)
        batches = torch.arange(len(u)).split(CHUNK)
        images = [self.synthesize(index, draw, rows, mined=mined)[0].float().clamp(-1, 1).cpu() for rows in batches]
        return torch.cat(images)

    def draw_sources(self, n: int, rng: Generator) -> Tensor:
        """(n,) indices of sources, by the selector's probabilities."""
        return torch.multinomial(self.selector.probabilities().cpu().double(), n, replacement=True, generator=rng)

    def draw(self, n: int, rng: Generator, *, u: Tensor | None = None, labels: Tensor | None = None) -> Draw:
        """Base noise from `rng` unless given, and for each source what no miner makes; on the model's device."""
        u = torch.randn(n, self.noise_dim, generator=rng) if u is None else u
        u = u.to(self.device, torch.float32)
        if labels is not None and (not self.class_names or labels.shape != (n,)):
            classes = f"{len(self.class_names)} classes" if self.class_names else "no classes"
            raise MineganError(
                f"labels must be ({n},) for a model with classes, not {tuple(labels.shape)} for {classes}"
            )
        if labels is None and self.class_names:
            labels = torch.randint(len(self.class_names), (n,), generator=rng)
        labels = None if labels is None else labels.to(self.device)
        extras = [code_from_noise(source, u, rng) for source in self.sources]
        if labels is not None and not self.miner_modules:
            for source, code in zip(self.sources, extras, strict=True):
                if "class" in code:
                    code["class"] = source.class_codes(labels)
        return Draw(u, labels, extras)

    def synthesize(self, index: int, draw: Draw, rows: Tensor, *, mined: bool = True) -> tuple[Tensor, Code]:
        """Canonical images and the code of source `index` for some rows of a draw."""
        source = self.sources[index]
        rows = rows.to(draw.u.device)
        code = {name: value[rows] for name, value in draw.extras[index].items()}
        if self.miner_modules and mined:
            labels = None if draw.labels is None else draw.labels[rows]
            code |= self.miners[index](draw.u[rows], labels)  # type: ignore[operator]
        return to_image(source.synthesize(code), self.image), code

    # Training

    def score(self, critic: Callable[[Tensor, Tensor | None], Tensor], draw: Draw, proposed: Tensor) -> Tensor:
        """Scores (sources, n) of the proposed pairs, -inf elsewhere; without gradient."""
        scores = draw.u.new_full(proposed.shape, -torch.inf)
        with torch.no_grad():
            for index in range(len(self.sources)):
                rows = proposed[index].nonzero()[:, 0]
                if len(rows):
                    labels = None if draw.labels is None else draw.labels[rows]
                    scores[index, rows] = critic(self.synthesize(index, draw, rows)[0], labels).float()
        return scores

    def run(self, draw: Draw, weights: Tensor, *, gradient: bool) -> Fakes:
        """Synthesise every pair with weight (sources, n) > 0, as one batch in the order of sources."""
        images, codes, kept = [], {}, weights > 0
        with nullcontext() if gradient else torch.no_grad():
            for index in range(len(self.sources)):
                rows = kept[index].nonzero()[:, 0]
                if len(rows):
                    batch, codes[index] = self.synthesize(index, draw, rows)
                    images.append(batch)
        source, row = kept.nonzero(as_tuple=True)
        return Fakes(torch.cat(images), source, row, weights[source, row], codes)

    def trainable_parts(self) -> Iterator[tuple[str, nn.Module]]:
        """Sources and miners by the names of their groups."""
        for index, source in enumerate(self.source_modules):
            yield f"sources/{index}", source
        for index, miner in enumerate(self.miner_modules):
            yield f"miners/{index}", miner

    # Keeping

    def save(self, folder: str | Path) -> None:
        """Write the model folder (safetensors, JSON, card), aside and renamed: an old one is never half replaced."""
        from minegan_zoo.saved import save_model

        save_model(self, Path(folder))

    @classmethod
    def load(cls, folder: str | Path) -> MinedGAN:
        """Read a model folder, by its path or as `hf-hub:owner/name`; on the CPU, in eval mode."""
        from minegan_zoo.saved import load_model

        return load_model(str(folder))


def selector_weights(
    model: MinedGAN,
    critic: Callable[[Tensor, Tensor | None], Tensor],
    draw: Draw,
    rng: Generator,
    rule: Callable[[Tensor], Tensor] | None,
) -> tuple[Tensor, Tensor | None]:
    """What to run: weights (sources, n), and the scores they came from.

    Without a `rule` sources are drawn by the selector's probabilities. Where that, or the proposal, leaves one source a
    u there is nothing to pick: nothing is scored and the scores are None.
    """
    n = len(draw.u)
    if len(model.sources) == 1:
        return draw.u.new_ones(1, n), None
    if rule is None:
        chosen = model.draw_sources(n, rng)
        return one_hot(chosen, len(model.sources)).T.to(draw.u), None
    proposed = model.selector.propose(n, rng).to(model.device)
    if bool((proposed.sum(0) == 1).all()):
        return proposed.to(draw.u.dtype), None
    scores = model.score(critic, draw, proposed)
    return rule(scores), scores


def run_scores(fakes: Fakes, scores: Tensor, shape: Sequence[int]) -> Tensor:
    """The scores (m,) of the pairs that ran, spread to (sources, n) with -inf elsewhere."""
    spread = scores.new_full(tuple(shape), -torch.inf)
    spread[fakes.source, fakes.row] = scores.detach().float()
    return spread


@torch.no_grad()
def settle(model: MinedGAN, critic: Callable[[Tensor, Tensor | None], Tensor], stage: Stage) -> None:
    """Let the selector count on fresh draws of the model that is kept, once a stage that selects has ended."""
    draws = model.selector.settle_draws if stage.select and len(model.sources) > 1 else 0
    if draws:
        rng = Generator().manual_seed(0)
        batches = [model.draw(min(CHUNK, draws - start), rng) for start in range(0, draws, CHUNK)]
        everything = [torch.ones(len(model.sources), len(draw.u), dtype=torch.bool) for draw in batches]
        scores = [model.score(critic, draw, proposed) for draw, proposed in zip(batches, everything, strict=True)]
        model.selector.settle(torch.cat(scores, 1))
