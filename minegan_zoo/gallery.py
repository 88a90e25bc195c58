"""What a run shows of its samples, always for the same base noise, and how it watches over few images.

Evaluation and watch are injected. May import checkpoint, contracts, draws, minegan, modes, pixels, recorder,
sources and watch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import torch
from torch import Generator, Tensor, nn

from minegan_zoo.checkpoint import preserved_random_state
from minegan_zoo.draws import Draw
from minegan_zoo.minegan import MinedGAN
from minegan_zoo.modes import evaluating
from minegan_zoo.pixels import to_float
from minegan_zoo.recorder import Recorder
from minegan_zoo.sources import DroppedSource
from minegan_zoo.watch import Watch, warnings

PREVIEW = 25
"""How many images a sample grid holds."""
WATCHED = 256
"""How many samples are compared with the training images."""
SCORED = 64
"""How many images of each kind show whether the critic overfits."""

Evaluate = Callable[[Callable[[int], Tensor]], Mapping[str, Any]]
"""A sampler (n -> images) -> name of a metric -> its record as JSON values."""


class Gallery:
    """Writes sample grids, evaluations and what the watch finds as a run's events.

    Random numbers that this draws (a source's own noise, first weights of a network that measures) are given back:
    training goes on as if nothing had been shown.
    """

    def __init__(
        self,
        noise_dim: int,
        seed: int,
        evaluate: Evaluate | None,
        make_watch: Callable[[], Watch] | None = None,
        train: Tensor | None = None,
        held_out: Tensor | None = None,
        *,
        watches: bool = True,
    ) -> None:
        """`train` (N, C, R, R) and `held_out` (H, C, R, R), uint8, are what `make_watch` watches over.

        Without `watches` that only measures, where it is asked to.
        """
        self.watches = watches
        self.noise_dim, self.seed, self.evaluate = noise_dim, seed, evaluate
        self.preview_u = self._noise(PREVIEW)
        self._make_watch, self.train, self.held_out = make_watch, train, held_out

    @cached_property
    def _watch(self) -> Watch | None:
        return self._make_watch() if self._make_watch else None

    @preserved_random_state()
    def show_start(self, recorder: Recorder, model: MinedGAN, target: Tensor) -> None:
        """Targets (N, C, R, R) uint8, every source before mining, and by what the watch will judge the training."""
        recorder.samples("target", 0, to_float(target[:PREVIEW]), {"of": "target"})
        for index in range(len(model.sources)):

            def sample(n: int, index: int = index) -> Tensor:
                return model.sample_source(index, self._noise(n), mined=False)

            images = model.sample_source(index, self.preview_u, mined=False)
            recorder.samples(f"before-source-{index}", 0, images, {"of": "before", "source": index})
            self._measure(recorder, 0, {"stage": "before", "source": index}, sample)
        if self.watches and self._watch is not None:
            recorder.watch_start(self._watch.samples(model.sample(WATCHED, seed=self.seed)))

    @preserved_random_state()
    def show(self, recorder: Recorder, model: MinedGAN, stage: str, step: int, of: str = "progress") -> None:
        """The model as it is sampled."""
        images = model.sample(PREVIEW, seed=self.seed, u=self.preview_u)
        recorder.samples(stage, step, images, {"of": of, "stage": stage})

    @preserved_random_state()
    def show_end(self, recorder: Recorder, model: MinedGAN, stage: str, step: int) -> None:
        """The model at the end of a stage, each of its sources alone, and its metrics."""
        self.show(recorder, model, stage, step, of="end")
        for index, source in enumerate(model.sources) if len(model.sources) > 1 else ():
            if not isinstance(source, DroppedSource):
                images = model.sample_source(index, self.preview_u)
                facts = {"of": "source", "stage": stage, "source": index}
                recorder.samples(f"{stage}-source-{index}", step, images, facts)
        self._measure(recorder, step, {"stage": stage}, lambda n: model.sample(n, seed=self.seed))

    @preserved_random_state()
    def watch(self, recorder: Recorder, model: MinedGAN, critic: nn.Module, stage: str, step: int) -> None:
        """Whether samples copy, diversity falls, the critic overfits."""
        if not self.watches or self._watch is None or self.train is None:
            return
        with evaluating(critic):
            images = model.sample(WATCHED, seed=self.seed)
            facts = self._watch.samples(images)
            if self.held_out is not None and not model.class_names:
                real = [to_float(some[:SCORED]).to(model.device) for some in (self.train, self.held_out)]
                scores = [critic(some, None).float().cpu() for some in (*real, images[:SCORED].to(model.device))]
                facts |= self._watch.critic(*scores)
        recorder.watch(stage, step, facts, warnings(facts, recorder.start))
        recorder.samples(f"{stage}-nearest", step, self._watch.pairs(images), {"of": "nearest", "stage": stage})

    @preserved_random_state()
    def distance(self, model: MinedGAN) -> float | None:
        """From samples to held-out images (KID); None where none are held out."""
        if self._watch is None:
            return None
        return self._watch.samples(model.sample(WATCHED, seed=self.seed)).get("kid")

    @preserved_random_state()
    def gained(self, model: MinedGAN, source: int | None = None) -> tuple[float, float] | None:
        """KID from samples to the training images without and with miners; None of too few.

        Samples of one source, or of all, as the selector chooses them for base noise.
        """
        if self._watch is None:
            return None
        u = self._noise(WATCHED)
        if source is None:
            chosen = model.choose_sources(Draw(u.to(model.device), None, []), Generator().manual_seed(self.seed))
        else:
            chosen = torch.full((WATCHED,), source)
        parts = {index: u[chosen == index] for index in chosen.unique().tolist()}
        before, after = (
            self._watch.to_training(
                torch.cat([model.sample_source(i, some, mined=mined, seed=self.seed) for i, some in parts.items()])
            )
            for mined in (False, True)
        )
        return None if before is None or after is None else (before, after)

    @preserved_random_state()
    def _measure(
        self, recorder: Recorder, step: int, facts: Mapping[str, Any], sample: Callable[[int], Tensor]
    ) -> None:
        if self.evaluate is not None:
            recorder.event("evaluation", step, {**facts, "metrics": self.evaluate(sample)})

    def _noise(self, n: int) -> Tensor:
        return torch.randn(n, self.noise_dim, generator=Generator().manual_seed(self.seed))
