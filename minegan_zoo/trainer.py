"""One loop over a strategy's stages: critic steps, a miner step, averages, records, states.

Evaluation is injected. May import everything below it but no registry: it is handed the parts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor

from minegan_zoo.averages import Averages
from minegan_zoo.checkpoint import load_state, preserved_random_state, random_state, restore_random_state, save_state
from minegan_zoo.config import Training
from minegan_zoo.contracts import (
    Augmentation,
    Batch,
    Critic,
    GeneratorSource,
    Miner,
    MineganError,
    Objective,
    Run,
    Selector,
    Stage,
    Strategy,
)
from minegan_zoo.data import to_float
from minegan_zoo.minegan import MinedGAN, run_scores, selector_weights
from minegan_zoo.optimizers import StageOptimizers
from minegan_zoo.recorder import Recorder
from minegan_zoo.sources import as_module, frozen, named_groups
from minegan_zoo.stopping import StopRequest

PREVIEW = 25
"""How many images a sample grid holds."""

Evaluate = Callable[[Callable[[int], Tensor]], Mapping[str, Any]]
"""A sampler (n -> images) -> name of a metric -> its record as JSON values."""


@dataclass
class Position:
    """Where a run stands."""

    stage: int = 0
    stage_step: int = 0
    step: int = 0
    critic_updates: int = 0
    miner_updates: int = 0
    images: int = 0


@dataclass(frozen=True)
class Method:
    """The parts of the method besides the model."""

    strategy: Strategy
    critic: Critic
    objective: Objective
    augmentation: Augmentation | None


class Trainer(Run):
    """Trains a `MinedGAN` in place; `average()` is what is kept."""

    def __init__(
        self,
        model: MinedGAN,
        method: Method,
        images: Tensor,
        labels: Tensor | None,
        recorder: Callable[[int | None], Recorder],
        *,
        steps: int,
        batch: int,
        seed: int,
        settings: Training,
        folder: Path | None = None,
        autocast: Callable[[], AbstractContextManager[Any]] = nullcontext,
        evaluate: Evaluate | None = None,
    ) -> None:
        """`images` (N, C, R, R) uint8 canonical and `labels` (N,) or None stay on the model's device."""
        self.model, self.method = model, method
        self.images, self.labels = images, labels
        self.batch, self.settings, self.folder = batch, settings, folder
        self.autocast, self.evaluate = autocast, evaluate
        self.stages = method.strategy.stages(steps)
        self.rng = Generator().manual_seed(seed)
        self.seed = seed
        self.position = Position()
        self.averages = Averages(settings.ema_images, settings.ema_rampup)
        self.preview_u = torch.randn(PREVIEW, model.noise_dim, generator=Generator().manual_seed(seed))
        self.optimizers: StageOptimizers | None = None
        self.begun: int | None = None
        self.totals: dict[str, tuple[float, int]] = {}
        self._new_recorder = recorder

    @property
    def sources(self) -> Sequence[GeneratorSource]:  # type: ignore[override]
        return self.model.sources

    @property
    def miners(self) -> Sequence[Miner]:  # type: ignore[override]
        return self.model.miners

    @property
    def critic(self) -> Critic:  # type: ignore[override]
        return self.method.critic

    @property
    def selector(self) -> Selector:  # type: ignore[override]
        return self.model.selector

    def average(self) -> MinedGAN:
        """The model with averaged weights wherever some were trained, in eval mode."""
        return self.averages.model(self.model)

    def train(self) -> None:
        """Run all stages, or what is left of them when the folder holds a state.

        Raises MineganError for a non-finite loss, KeyboardInterrupt and SystemExit(143) after a signal; the state is
        saved before.
        """
        resumed = self._resume()
        self.recorder = self._new_recorder(self.position.step if resumed else None)
        with self.recorder.showing(self.position.step), StopRequest() as stop:
            if not resumed:
                self._show_start()
            while True:
                stage = self.stages[self.position.stage]
                if self.begun != self.position.stage:
                    self._begin(self.position.stage)
                while self.position.stage_step < stage.steps:
                    self._step(stage)
                    if self.position.stage_step == stage.steps:
                        self._show_end(stage)
                    elif self.position.step % self.settings.samples_every == 0:
                        self._show_samples(stage, per_source=False)
                    if stop.requested:
                        self._save_state()
                        stop.leave()
                    if self.position.step % self.settings.state_every == 0 or self.position.stage_step == stage.steps:
                        self._save_state()
                if self.position.stage == len(self.stages) - 1:
                    break
                self.position.stage += 1
                self.position.stage_step = 0
        self.model.eval()

    # One step

    def _step(self, stage: Stage) -> None:
        started = time.perf_counter()
        facts: dict[str, float] = {}
        for _ in range(self.method.objective.critic_steps):
            facts |= self._critic_step()
        facts |= self._miner_step(stage)
        self.position.stage_step += 1
        self.position.step += 1
        self.position.images += self.batch
        self.averages.update(self.position.images, self.batch)
        self._record(facts, time.perf_counter() - started)

    def _critic_step(self) -> dict[str, float]:
        assert self.optimizers is not None
        if self.optimizers.critic is None:
            return {}
        objective, n = self.method.objective, self.batch
        # what the selector shows the critic
        real, labels = self._real(n)
        draw = self.model.draw(n, self.rng, labels=labels)
        with self.autocast():
            weights, _ = selector_weights(self.model, self.critic_scores, draw, self.rng, self.selector.critic_weights)
            fakes = self.model.run(draw, weights, gradient=False)
            # scores of both, augmented alike
            real, fake = self._augment(real), self._augment(fakes.images)
            real_scores = self.critic_scores(real, labels)
            fake_labels = None if labels is None else labels[fakes.row]
            fake_scores = self.critic_scores(fake, fake_labels)
        real_scores, fake_scores = real_scores.float(), fake_scores.float()
        loss = (objective.critic_loss(real_scores[fakes.row], fake_scores) * fakes.weight).sum() / n
        facts = {"critic_loss": float(loss.detach()), "real_score": float(real_scores.detach().mean())}
        facts["fake_score"] = float(fake_scores.detach().mean())
        # the penalty, lazily, in full precision
        if self.position.critic_updates % objective.penalty_every == 0:
            penalty = objective.penalty(
                lambda images: self.critic_scores(images, fake_labels), real[fakes.row].float(), fake.float()
            )
            if penalty is not None:
                facts["penalty"] = float(penalty.detach())
                loss = loss + penalty * objective.penalty_every
        self._check_finite(loss, facts, draw.u, fakes.images)
        self.optimizers.critic.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizers.step_critic()
        if self.method.augmentation is not None:
            self.method.augmentation.update(real_scores.detach())
        self.position.critic_updates += 1
        return facts

    def _miner_step(self, stage: Stage) -> dict[str, float]:
        assert self.optimizers is not None
        if self.optimizers.miner is None:
            return {}
        n = self.batch
        # what the selector gives weight to, run with gradient
        draw = self.model.draw(n, self.rng, labels=self._fake_labels(n))
        with frozen(self.critic), self.autocast():
            weights, scores = selector_weights(
                self.model, self.critic_scores, draw, self.rng, self.selector.miner_weights
            )
            fakes = self.model.run(draw, weights, gradient=True)
            labels = None if draw.labels is None else draw.labels[fakes.row]
            fake_scores = self.critic_scores(self._augment(fakes.images), labels).float()
            loss = (self.method.objective.miner_loss(fake_scores) * fakes.weight).sum() / n
            for regulariser in stage.regularisers:
                loss = loss + regulariser(Batch(draw.u, fakes.codes, fakes.images, fake_scores))
            facts = {"miner_loss": float(loss.detach())}
            self._check_finite(loss, facts, draw.u, fakes.images)
            self.optimizers.miner.zero_grad(set_to_none=True)
            loss.backward()
        self.optimizers.step_miner()
        self.selector.update(run_scores(fakes, fake_scores, weights.shape) if scores is None else scores)
        self.position.miner_updates += 1
        return facts

    def critic_scores(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """The critic as a function: images (n, C, H, W) -> (n,)."""
        return as_module(self.critic)(images, labels)  # type: ignore[no-any-return]

    def _real(self, n: int) -> tuple[Tensor, Tensor | None]:
        """A batch of target images, without repeats where there are enough, and their labels."""
        total = len(self.images)
        rows = torch.cat([torch.randperm(total, generator=self.rng) for _ in range(-(-n // total))])[:n]
        rows = rows.to(self.images.device)
        return to_float(self.images[rows]), None if self.labels is None else self.labels[rows]

    def _fake_labels(self, n: int) -> Tensor | None:
        if self.labels is None:
            return None
        return self.labels[torch.randint(len(self.labels), (n,), generator=self.rng).to(self.labels.device)]

    def _augment(self, images: Tensor) -> Tensor:
        return images if self.method.augmentation is None else as_module(self.method.augmentation)(images)

    # Stages

    def _begin(self, index: int) -> None:
        """Free what the stage trains, with optimizers that remember the last stage's moments."""
        stage = self.stages[index]
        self.method.strategy.prepare(stage, self)
        groups = named_groups(self.sources, self.miners, self.critic)
        betas = (self.settings.beta1, self.settings.beta2)
        self.optimizers = StageOptimizers(stage, groups, betas, self.method.objective.penalty_every, self.optimizers)
        as_module(self.critic).train()
        self.model.train()
        for source in self.model.source_modules:
            source.train(stage.batch_stats)
        for name, module in self.model.trainable_parts():
            if any(parameter.requires_grad for parameter in module.parameters()):
                self.averages.add(name, module)
        self.begun = index

    def _show_start(self) -> None:
        """Targets, and every source before mining, on the same u as all later samples."""
        self.recorder.samples("target", 0, to_float(self.images[:PREVIEW]), {"of": "target"})
        for index in range(len(self.sources)):
            images = self.model.sample_source(index, self.preview_u, mined=False)
            self.recorder.samples(f"before-source-{index}", 0, images, {"of": "before", "source": index})
            self._evaluate({"stage": "before", "source": index}, lambda n, i=index: self._sample_before(i, n))

    def _show_end(self, stage: Stage) -> None:
        self._show_samples(stage, per_source=True)
        model = self.average()
        self._evaluate({"stage": stage.name}, lambda n: model.sample(n, seed=self.seed))

    def _show_samples(self, stage: Stage, *, per_source: bool) -> None:
        model = self.average()
        images = model.sample(PREVIEW, seed=self.seed, u=self.preview_u)
        facts = {"of": "end" if per_source else "progress", "stage": stage.name}
        self.recorder.samples(stage.name, self.position.step, images, facts)
        for index in range(len(self.sources)) if per_source and len(self.sources) > 1 else ():
            images = model.sample_source(index, self.preview_u)
            facts = {"of": "source", "stage": stage.name, "source": index}
            self.recorder.samples(f"{stage.name}-source-{index}", self.position.step, images, facts)

    def _sample_before(self, index: int, n: int) -> Tensor:
        u = torch.randn(n, self.model.noise_dim, generator=Generator().manual_seed(self.seed))
        return self.model.sample_source(index, u, mined=False)

    def _evaluate(self, facts: Mapping[str, Any], sample: Callable[[int], Tensor]) -> None:
        if self.evaluate is not None:
            with preserved_random_state():
                self.recorder.event("evaluation", self.position.step, {**facts, "metrics": self.evaluate(sample)})

    def _record(self, facts: Mapping[str, float], seconds: float) -> None:
        for name, value in {**facts, "seconds": seconds}.items():
            total, count = self.totals.get(name, (0.0, 0))
            self.totals[name] = (total + value, count + 1)
        means = {name: total / count for name, (total, count) in self.totals.items()}
        means["images_per_second"] = self.batch / means["seconds"]
        stage, step = self.stages[self.position.stage].name, self.position.step
        counts = {"critic_updates": self.position.critic_updates, "miner_updates": self.position.miner_updates}
        shown = {**means, **counts, "p": self.selector.probabilities().tolist()}
        self.recorder.progress(stage, step, shown)
        if step % self.settings.log_every == 0 or self.position.stage_step == self.stages[self.position.stage].steps:
            self.recorder.step(stage, step, shown)
            self.totals = {}

    # State

    def _save_state(self) -> None:
        if self.folder is not None:
            save_state(self.folder / "state", self.position.step, self._state())

    def _state(self) -> dict[str, Any]:
        augmentation = self.method.augmentation
        return {
            "position": vars(self.position),
            "model": self.model.state_dict(),
            "critic": as_module(self.critic).state_dict(),
            "augmentation": {} if augmentation is None else as_module(augmentation).state_dict(),
            "averages": self.averages.state_dict(),
            "optimizers": self.optimizers.state_dict() if self.optimizers else {},
            "rng": self.rng.get_state(),
            "random": random_state(),
            "totals": self.totals,
        }

    def _resume(self) -> bool:
        state = None if self.folder is None else load_state(self.folder / "state")
        if state is None:
            return False
        self.position = Position(**state["position"])
        for index in range(self.position.stage + 1):
            self._begin(index)
        assert self.optimizers is not None
        self.model.load_state_dict(state["model"])
        as_module(self.critic).load_state_dict(state["critic"])
        if self.method.augmentation is not None:
            as_module(self.method.augmentation).load_state_dict(state["augmentation"])
        self.averages.load_state_dict(state["averages"])
        self.optimizers.load_state_dict(state["optimizers"])
        self.rng.set_state(state["rng"])
        restore_random_state(state["random"])
        self.totals = {name: (total, count) for name, (total, count) in state["totals"].items()}
        return True

    def _check_finite(self, loss: Tensor, facts: Mapping[str, float], u: Tensor, images: Tensor) -> None:
        if bool(torch.isfinite(loss)):
            return
        place = "nothing was saved, as the run has no folder"
        if self.folder is not None:
            batch = {"u": u, "images": images, "facts": {name: repr(value) for name, value in facts.items()}}
            save_state(self.folder / "failed", self.position.step, {**self._state(), "batch": batch})
            place = f"the step's state and batch are in {self.folder / 'failed'}"
        raise MineganError(
            f"the loss became non-finite at step {self.position.step + 1} ({', '.join(f'{k} {v}' for k, v in facts.items())}); "
            f"{place}. Lower the learning rates (strategy.miner_lr, strategy.source_lr, strategy.critic_lr) or choose "
            "another objective."
        )
