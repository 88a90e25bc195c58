"""`MinedGAN`: sources + miners + selector as one generator.

May import contracts, compiling, draws, modes, recipe, sources and saved.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path

import torch
from torch import Generator, Tensor, nn

from minegan_zoo.compiling import Compiled
from minegan_zoo.contracts import (
    Code,
    Critic,
    GeneratorSource,
    ImageSpec,
    MineganError,
    Miner,
    Selector,
    Shared,
)
from minegan_zoo.draws import Draw, Fakes, Made
from minegan_zoo.modes import evaluating
from minegan_zoo.recipe import Choose, Recipe
from minegan_zoo.sources import DroppedSource, as_module, code_from_noise, key_set, to_image

CHUNK = 64
"""How many images are synthesised at once when sampling."""


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
        self._unmined: dict[int, frozenset[str]] = {}
        self._compiled: dict[int, Callable[[Code], Tensor]] = {}
        self.recipe: Recipe | None = None
        self.trained_on: frozenset[str] = frozenset()  # digests as `ImageSet` gives them, what its sources saw included

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
    def psi(self) -> float:
        """What the base noise of samples is multiplied with unless they are told."""
        return self.recipe.psi if self.recipe else 1.0

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    # Sampling

    @torch.no_grad()
    def sample(
        self,
        n: int,
        seed: int | None = None,
        *,
        u: Tensor | None = None,
        labels: Tensor | None = None,
        choose: Choose | None = None,
        psi: float | None = None,
    ) -> Tensor:
        """Images (n, C, H, W), float32, canonical, clamped to [-1, 1], on the CPU.

        u (n, noise_dim) ~ N(0, psi^2 I) unless it is given, and every row draws its source by the selector's
        probabilities; `choose="winner"` takes the source that the critic scores best for its u instead (after `max`,
        whose miners are trained only where they win). psi below 1 trades diversity for fidelity, as truncation does
        (BigGAN, arXiv 1809.11096, section 3.1), above 1 the reverse, but where a source normalises z; None: the
        model's own. `labels` (n,) index `class_names`; drawn where they are not given. The same seed gives the same
        images; without one, u given means seed 0, else the draw is fresh.
        """
        if u is not None and tuple(u.shape) != (n, self.noise_dim):
            raise MineganError(f"u must be of shape ({n}, {self.noise_dim}), not {tuple(u.shape)}")
        if psi is not None and (u is not None or not 0 <= psi < math.inf):
            raise MineganError(
                f"psi is at least 0 and for noise that is drawn, not {psi}{' beside u' * (u is not None)}"
            )
        rng = Generator().manual_seed(seed or 0)
        if seed is None and u is None:
            rng.seed()
        if u is None:
            u = torch.randn(n, self.noise_dim, generator=rng) * (self.psi if psi is None else psi)
        draw = self.draw(n, rng, u=u, labels=labels)
        chosen = self.choose_sources(draw, rng, choose or (self.recipe.choose if self.recipe else "probability"))
        images = torch.empty(n, self.image.channels, self.image.resolution, self.image.resolution)
        for index in range(len(self.sources)):
            mine = (chosen == index).nonzero()[:, 0]
            for rows in mine.split(CHUNK) if len(mine) else ():
                images[rows] = self.synthesize(index, draw, rows)[0].float().clamp(-1, 1).cpu()
        return images

    @torch.no_grad()
    def sample_source(self, index: int, u: Tensor, *, mined: bool = True, seed: int = 0) -> Tensor:
        """Images of one source for u (n, noise_dim), with its miner or, `mined=False`, as it was before any mining."""
        draw = self.draw(len(u), Generator().manual_seed(seed), u=u, mined=mined)
        batches = torch.arange(len(u)).split(CHUNK)
        images = [self.synthesize(index, draw, rows, mined=mined)[0].float().clamp(-1, 1).cpu() for rows in batches]
        return torch.cat(images)

    def choose_sources(self, draw: Draw, rng: Generator, choose: Choose = "probability") -> Tensor:
        """(n,) indices of sources, one for each u of the draw; on the CPU."""
        if choose == "winner" and len(self.sources) > 1:
            if self.critic is None:
                raise MineganError("winners are chosen by the critic, and this model has none: choose by probability")
            kept, critic = ~self.selector.dropped().cpu(), as_module(self.critic)
            with evaluating(critic):
                scores = [
                    self.score(critic, draw.part(rows), kept[:, None].expand(-1, len(rows)))
                    for rows in torch.arange(len(draw.u)).split(CHUNK)
                ]
            return torch.cat(scores, 1).argmax(0).cpu()
        p = self.selector.probabilities_given(draw.u).T.cpu().double()
        return torch.multinomial(p, 1, generator=rng)[:, 0]

    def draw(
        self,
        n: int,
        rng: Generator,
        *,
        u: Tensor | None = None,
        labels: Tensor | None = None,
        mined: bool = True,
    ) -> Draw:
        """Base noise from `rng` unless given, and for each source what no miner makes; on the model's device."""
        u = torch.randn(n, self.noise_dim, generator=rng) if u is None else u
        u = u.to(self.device, torch.float32)
        if labels is not None and (not self.class_names or labels.shape != (n,)):
            classes = f"{len(self.class_names)} classes" if self.class_names else "no classes"
            raise MineganError(
                f"labels must be ({n},) for a model with classes, not {tuple(labels.shape)} for {classes}"
            )
        if labels is not None and not 0 <= int(labels.min()) <= int(labels.max()) < len(self.class_names):
            raise MineganError(
                f"labels must lie between 0 and {len(self.class_names) - 1}: {', '.join(self.class_names)}"
            )
        if labels is None and self.class_names:
            labels = torch.randint(len(self.class_names), (n,), generator=rng)
        labels = None if labels is None else labels.to(self.device)
        extras = [
            code_from_noise(source, u, rng, self._drawn_keys(index) if mined else None) if source.inputs else {}
            for index, source in enumerate(self.sources)
        ]
        if labels is not None and not self.miner_modules:
            for source, code in zip(self.sources, extras, strict=True):
                if "class" in code:
                    code["class"] = source.class_codes(labels)
        return Draw(u, labels, extras)

    def _drawn_keys(self, index: int) -> frozenset[str]:
        """What of a source's input its miner does not make."""
        if not self.miner_modules:
            return self.sources[index].inputs[0]
        if index not in self._unmined:
            miner = self.miners[index]
            labels = torch.zeros(1, dtype=torch.int64, device=self.device) if miner.num_classes else None
            with torch.no_grad():
                mined = self.miner_modules[index](torch.zeros(1, self.noise_dim, device=self.device), labels)
            self._unmined[index] = key_set(self.sources[index], tuple(mined))[0] - set(mined)
        return self._unmined[index]

    def synthesize(self, index: int, draw: Draw, rows: Tensor, *, mined: bool = True) -> tuple[Tensor, Code]:
        """Canonical images and the code of source `index` for some rows of a draw."""
        source = self.sources[index]
        rows = rows.to(draw.u.device)
        code = {name: value[rows] for name, value in draw.extras[index].items()}
        if self.miner_modules and mined:
            labels = draw.labels[rows] if draw.labels is not None and self.miners[index].num_classes else None
            code |= self.miner_modules[index](draw.u[rows], labels)
        make = self._compiled.get(index, source.synthesize)
        return to_image(make(code), self.image), code

    # Training

    def mine(self, draw: Draw) -> dict[int, Code]:
        """Source -> what its miner makes of every u of the draw; sources that were dropped are left out."""
        return {
            index: miner(draw.u, draw.labels if miner.num_classes else None)
            for index, miner in enumerate(self.miner_modules)
            if isinstance(miner, Miner)
        }

    def score(
        self,
        critic: Callable[[Tensor, Tensor | None], Tensor],
        draw: Draw,
        proposed: Tensor,
        made: dict[int, Made] | None = None,
    ) -> Tensor:
        """Scores (sources, n) of the proposed pairs, -inf elsewhere; without gradient. `made` takes what it scored."""
        scores = draw.u.new_full(proposed.shape, -torch.inf)
        with torch.no_grad():
            for index in range(len(self.sources)):
                rows = proposed[index].nonzero()[:, 0]
                if len(rows):
                    labels = None if draw.labels is None else draw.labels[rows]
                    images, code = self.synthesize(index, draw, rows)
                    scores[index, rows] = critic(images, labels).float()
                    if made is not None:
                        made[index] = Made(rows, images, code)
        return scores

    def run(self, draw: Draw, weights: Tensor, *, gradient: bool, made: Mapping[int, Made] | None = None) -> Fakes:
        """Synthesise every pair with weight (sources, n) > 0, as one batch in the order of sources.

        Those that `score` made are taken from `made` instead, without gradient.
        """
        images, codes, kept = [], {}, weights > 0
        with nullcontext() if gradient else torch.no_grad():
            for index in range(len(self.sources)):
                rows = kept[index].nonzero()[:, 0]
                if len(rows):
                    batch, codes[index] = made[index].of(rows) if made else self.synthesize(index, draw, rows)
                    images.append(batch)
        source, row = kept.nonzero(as_tuple=True)
        return Fakes(torch.cat(images), source, row, weights[source, row], codes)

    def compile_source(self, index: int) -> None:
        """Run a source through `torch.compile` from here on, where it works; averages and copies run as they are."""
        source = self.sources[index]
        self._compiled[index] = Compiled(source.synthesize, f"source {index}")

    def release(self, index: int) -> None:
        """Take a source that the selector has dropped, and its miner, from memory; its place stays."""
        source = self.sources[index]
        self.source_modules[index] = DroppedSource(source.image, source.loaded_from)
        if self.miner_modules:
            self.miner_modules[index] = nn.Identity()
        self._unmined[index] = frozenset()
        self._compiled.pop(index, None)

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
