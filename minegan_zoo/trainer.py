"""One loop over a strategy's stages: critic steps, a miner step, averages, records, states.

Evaluation is injected. May import everything below it but no registry: it is handed the parts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor

from minegan_zoo.averages import Averages
from minegan_zoo.batches import TargetBatches
from minegan_zoo.checkpoint import load_state, random_state, restore_random_state, save_state
from minegan_zoo.config import Training
from minegan_zoo.contracts import Batch, Code, MineganError, Run, Stage
from minegan_zoo.gallery import Evaluate, Gallery
from minegan_zoo.method import Method
from minegan_zoo.minegan import MinedGAN, run_scores, selector_weights, settle
from minegan_zoo.optimizers import StageOptimizers
from minegan_zoo.recorder import Means, Recorder
from minegan_zoo.sources import as_module, frozen, named_groups
from minegan_zoo.stopping import StopRequest


@dataclass
class Position:
    """Where a run stands."""

    stage: int = 0
    stage_step: int = 0
    step: int = 0
    critic_updates: int = 0
    miner_updates: int = 0
    images: int = 0


class Trainer:
    """Trains a `MinedGAN` in place; `average()` is what is kept."""

    def __init__(
        self,
        model: MinedGAN,
        method: Method,
        target: TargetBatches,
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
        self.model, self.method, self.critic = model, method, method.critic
        self.target = target
        self.batch, self.settings, self.folder = batch, settings, folder
        self.autocast = autocast
        self.stages = method.strategy.stages(steps)
        self.rng = Generator().manual_seed(seed)
        self.position = Position()
        self.averages = Averages(settings.ema_images, settings.ema_rampup)
        self.gallery = Gallery(model.noise_dim, seed, evaluate)
        self.optimizers: StageOptimizers | None = None
        self.begun: int | None = None
        self.means = Means()
        self._new_recorder = recorder

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
                self.model.eval()
                self.gallery.show_start(self.recorder, self.model, self.target.images)
            while True:
                stage = self.stages[self.position.stage]
                if self.begun != self.position.stage:
                    self._begin(self.position.stage)
                while self.position.stage_step < stage.steps:
                    self._step(stage)
                    if self.position.stage_step == stage.steps:
                        settle(self.average(), self.critic_scores, stage)
                        self.gallery.show_end(self.recorder, self.average(), stage.name, self.position.step)
                    elif self.position.step % self.settings.samples_every == 0:
                        self.gallery.show(self.recorder, self.average(), stage.name, self.position.step)
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
            facts |= self._critic_step(stage)
        facts |= self._miner_step(stage)
        self.position.stage_step += 1
        self.position.step += 1
        self.position.images += self.batch
        self.averages.update(self.position.images, self.batch)
        self._record(facts, time.perf_counter() - started)

    def _critic_step(self, stage: Stage) -> dict[str, float]:
        assert self.optimizers is not None
        if self.optimizers.critic is None:
            return {}
        objective, n = self.method.objective, self.batch
        # what the selector shows the critic
        real, labels = self.target.images_and_labels(n, self.rng)
        draw = self.model.draw(n, self.rng, labels=labels)
        with self.autocast():
            rule = self.model.selector.critic_weights if stage.select else None
            weights, _ = selector_weights(self.model, self.critic_scores, draw, self.rng, rule)
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
        draw = self.model.draw(n, self.rng, labels=self.target.labels_alone(n, self.rng))
        with frozen(self.critic), self.autocast():
            rule = self.model.selector.miner_weights if stage.select else None
            weights, scores = selector_weights(self.model, self.critic_scores, draw, self.rng, rule)
            fakes = self.model.run(draw, weights, gradient=True)
            labels = None if draw.labels is None else draw.labels[fakes.row]
            fake_scores = self.critic_scores(self._augment(fakes.images), labels).float()
            loss = (self.method.objective.miner_loss(fake_scores) * fakes.weight).sum() / n
            for regulariser in stage.regularisers:
                loss = loss + regulariser(
                    Batch(draw.u, fakes.codes, fakes.source, fakes.row, fakes.images, fake_scores, labels, 1.0)
                )
            facts = {"miner_loss": float(loss.detach())}
            self._check_finite(loss, facts, draw.u, fakes.images)
            self.optimizers.miner.zero_grad(set_to_none=True)
            loss.backward()
        self.optimizers.step_miner()
        if stage.select:
            self.model.selector.update(run_scores(fakes, fake_scores, weights.shape) if scores is None else scores)
        self.position.miner_updates += 1
        return facts

    def critic_scores(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """The critic as a function: images (n, C, H, W) -> (n,)."""
        return as_module(self.critic)(images, labels)

    def _augment(self, images: Tensor) -> Tensor:
        return images if self.method.augmentation is None else as_module(self.method.augmentation)(images)

    # Stages

    def _begin(self, index: int) -> None:
        """Free what the stage trains, with optimizers that remember the last stage's moments."""
        stage = self.stages[index]
        model = self.model
        run = Run(
            model.sources, model.miners, self.critic, model.selector, self.rng, model.noise_dim,
            self.target.images, self.target.labels, model.image, self._sample,
        )  # fmt: skip
        self.method.strategy.prepare(stage, run)
        groups = named_groups(model.sources, model.miners, self.critic)
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

    def _sample(self, n: int, rng: Generator) -> tuple[Tensor, Code]:
        """For `Run.sample`: (n, C, R, R) with a graph, of one source by the selector's probabilities, and its code."""
        (index,) = self.model.draw_sources(1, rng).tolist()
        draw = self.model.draw(n, rng)
        return self.model.synthesize(index, draw, torch.arange(n))

    def _record(self, facts: Mapping[str, float], seconds: float) -> None:
        self.means.add({**facts, "seconds": seconds})
        means = self.means.values()
        means["images_per_second"] = self.batch / means["seconds"]
        stage, step = self.stages[self.position.stage].name, self.position.step
        counts = {"critic_updates": self.position.critic_updates, "miner_updates": self.position.miner_updates}
        shown = {**means, **counts, "p": self.model.selector.probabilities().tolist()}
        self.recorder.progress(stage, step, shown)
        if step % self.settings.log_every == 0 or self.position.stage_step == self.stages[self.position.stage].steps:
            self.recorder.step(stage, step, shown)
            self.means.clear()

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
            "means": self.means.totals,
            "target": self.target.digest(),
        }

    def _resume(self) -> bool:
        state = None if self.folder is None else load_state(self.folder / "state")
        if state is None:
            return False
        if state["target"] != self.target.digest():
            raise MineganError(f"{self.folder} was trained on other target images: choose another folder for these")
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
        self.means.totals = state["means"]
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
            f"the loss became non-finite at step {self.position.step + 1} "
            f"({', '.join(f'{name} {value}' for name, value in facts.items())}); {place}. Lower the learning rates "
            "(strategy.miner_lr, strategy.source_lr, strategy.critic_lr) or choose another objective."
        )
