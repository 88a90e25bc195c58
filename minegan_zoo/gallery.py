"""What a run shows of its samples: before mining, on the way, after each stage, always for the same base noise.

Evaluation is injected. May import checkpoint, data, minegan and recorder.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Generator, Tensor

from minegan_zoo.checkpoint import preserved_random_state
from minegan_zoo.data import to_float
from minegan_zoo.minegan import MinedGAN
from minegan_zoo.recorder import Recorder

PREVIEW = 25
"""How many images a sample grid holds."""

Evaluate = Callable[[Callable[[int], Tensor]], Mapping[str, Any]]
"""A sampler (n -> images) -> name of a metric -> its record as JSON values."""


class Gallery:
    """Writes sample grids and evaluations as a run's events."""

    def __init__(self, noise_dim: int, seed: int, evaluate: Evaluate | None) -> None:
        self.noise_dim, self.seed, self.evaluate = noise_dim, seed, evaluate
        self.preview_u = self._noise(PREVIEW)

    def show_start(self, recorder: Recorder, model: MinedGAN, target: Tensor) -> None:
        """Targets (N, C, R, R) uint8, and every source before mining."""
        recorder.samples("target", 0, to_float(target[:PREVIEW]), {"of": "target"})
        for index in range(len(model.sources)):

            def sample(n: int, index: int = index) -> Tensor:
                return model.sample_source(index, self._noise(n), mined=False)

            images = model.sample_source(index, self.preview_u, mined=False)
            recorder.samples(f"before-source-{index}", 0, images, {"of": "before", "source": index})
            self._measure(recorder, 0, {"stage": "before", "source": index}, sample)

    def show(self, recorder: Recorder, model: MinedGAN, stage: str, step: int, of: str = "progress") -> None:
        """The model as it is sampled."""
        images = model.sample(PREVIEW, seed=self.seed, u=self.preview_u)
        recorder.samples(stage, step, images, {"of": of, "stage": stage})

    def show_end(self, recorder: Recorder, model: MinedGAN, stage: str, step: int) -> None:
        """The model at the end of a stage, each of its sources alone, and its metrics."""
        self.show(recorder, model, stage, step, of="end")
        for index in range(len(model.sources)) if len(model.sources) > 1 else ():
            images = model.sample_source(index, self.preview_u)
            facts = {"of": "source", "stage": stage, "source": index}
            recorder.samples(f"{stage}-source-{index}", step, images, facts)
        self._measure(recorder, step, {"stage": stage}, lambda n: model.sample(n, seed=self.seed))

    def _measure(
        self, recorder: Recorder, step: int, facts: Mapping[str, Any], sample: Callable[[int], Tensor]
    ) -> None:
        if self.evaluate is not None:
            with preserved_random_state():
                recorder.event("evaluation", step, {**facts, "metrics": self.evaluate(sample)})

    def _noise(self, n: int) -> Tensor:
        return torch.randn(n, self.noise_dim, generator=Generator().manual_seed(self.seed))
