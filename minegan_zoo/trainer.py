"""One loop over a strategy's stages: steps, averages, records, rules that end a stage, states.

Evaluation and watch are injected. May import everything below it but no registry: it is handed the parts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Generator, Tensor, nn

from minegan_zoo import checkpoint
from minegan_zoo.alone import who_goes_on
from minegan_zoo.averages import Averages
from minegan_zoo.batches import TargetBatches
from minegan_zoo.config import Training
from minegan_zoo.contracts import Run, Stage
from minegan_zoo.gallery import Gallery
from minegan_zoo.method import Method
from minegan_zoo.minegan import MinedGAN
from minegan_zoo.modes import train_what_is_free
from minegan_zoo.optimizers import StageOptimizers, of_kept
from minegan_zoo.position import Position
from minegan_zoo.processes import Processes
from minegan_zoo.recorder import Means, Recorder
from minegan_zoo.run_folder import FAILED, STATE
from minegan_zoo.run_view import run_of
from minegan_zoo.selection import Score, settle
from minegan_zoo.sources import as_module, lr_scales, named_groups, regulariser_modules
from minegan_zoo.steps import Shown, Steps
from minegan_zoo.stopping import StopRequest, leave
from minegan_zoo.undoing import Start, start_of, undo


class Trainer:
    """Trains a `MinedGAN` in place; `finished()` is what is kept."""

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
        processes: Processes,
        gallery: Gallery,
        scores: Score | None = None,
        folder: Path | None = None,
        versions: Mapping[str, str] | None = None,
    ) -> None:
        """`scores` is the critic compiled, if it is; `versions` are those of the packages that the run is made of."""
        self.model, self.method, self.critic = model, method, as_module(method.critic)
        self.augmentation = as_module(method.augmentation) if method.augmentation is not None else nn.Module()
        self.seed, self.versions = seed, dict(versions or {})
        self.target, self.batch, self.settings, self.folder = target, batch, settings, folder
        self.processes, self.gallery = processes, gallery
        self.stages = method.strategy.stages(steps)
        self.rng = Generator().manual_seed(seed)
        self.position, self.means = Position(), Means()
        self.averages = Averages(settings.ema_images, settings.ema_rampup)
        self.optimizers: StageOptimizers | None = None
        self.begun: int | None = None
        self.start: Start | None = None
        self.steps = Steps(
            model, method, target, processes, self.rng, batch, settings.batch_per_device,
            scores or self.critic, self.critic, self._check_finite,
        )  # fmt: skip
        self._new_recorder = recorder

    def average(self) -> MinedGAN:
        """The model with averaged weights wherever some were trained, in eval mode."""
        return self.averages.model(self.model)

    def finished(self) -> MinedGAN:
        """The average, with whatever the strategy added folded into its parts."""
        kept = self.average()
        self.method.strategy.finish(self._run(kept))
        return kept.eval()

    def train(self, stop: StopRequest) -> None:
        """Run all stages, or what is left of them when the folder holds a state.

        Raises MineganError for a non-finite loss, KeyboardInterrupt and SystemExit(143) once `stop` has a signal; the
        state is saved before.
        """
        resumed = self._resume()
        self.processes.scatter_random(self.seed + (self.position.step << 16))
        self.recorder = self._new_recorder(self.position.step if resumed else None)
        with self.recorder.showing(self.position.step):
            if not resumed and self.processes.is_main:
                self.gallery.show_start(self.recorder, self.model.eval(), self.target.images)
            while True:
                stage = self.stages[self.position.stage]
                if self.begun != self.position.stage:
                    self._begin(self.position.stage)
                    summary = {"stage": stage.name, "summary": self.method.strategy.summary()}
                    self.recorder.event("stage", self.position.step, summary)
                while self.position.stage_step < stage.steps and not self.position.ended:
                    self._step(stage)
                    self._after_step(stage, stop)
                if self.position.stage == len(self.stages) - 1:
                    break
                self.position.next_stage()
        self.model.eval()

    def _step(self, stage: Stage) -> None:
        assert self.optimizers is not None
        started = time.perf_counter()
        facts: dict[str, float] = {}
        shown: Shown | None = None
        at, critic = self.position, self.optimizers.critic if stage.adversarial else None
        for _ in range(self.method.objective.critic_steps if critic is not None else 0):
            assert critic is not None
            told, shown = self.steps.critic(stage, at.stage_step, critic, at.critic_updates)
            facts |= told
            self.position.critic_updates += 1
        if self.optimizers.miner is not None:
            facts |= self.steps.miner(stage, self.position.stage_step, self.optimizers.miner, shown)
            self.position.miner_updates += 1
        self.position.stepped(self.batch)
        self.averages.update(self.position.images, self.batch)
        self._drop_losers()
        self._record(facts, time.perf_counter() - started)

    def _after_step(self, stage: Stage, stop: StopRequest) -> None:
        """What is due now and then: rules, pictures, the watch, states."""
        step, settings = self.position.step, self.settings
        self._apply_rule(stage)
        last = self.position.stage_step == stage.steps or self.position.ended
        if last:
            if told := settle(self.average(), self.critic, self.target, self.stages[self.position.stage :]):
                self.recorder.say(told)
            self.processes.align([self.model.selector_module])  # noise that differs between processes moves scores
            if self.start is not None:
                self._undo(stage, self.start)
            if stage.alone_above is not None:
                self._go_on_alone(stage)
            self._drop_losers()
        if self.processes.is_main:
            if last:
                self.gallery.show_end(self.recorder, self.average(), stage.name, step)
                self.recorder.stage_end(stage.name, step, early=self.position.ended)
            elif step % settings.samples_every == 0:
                self.gallery.show(self.recorder, self.average(), stage.name, step)
            if settings.watch_every and (last or step % settings.watch_every == 0):
                self.gallery.watch(self.recorder, self.average(), self.critic, stage.name, step)
        if asked := self.processes.largest(stop.signal):  # of one process, it ends them all
            self._save_state()
            leave(asked)
        if last or step % settings.state_every == 0:
            self._save_state()

    def _apply_rule(self, stage: Stage) -> None:
        """End the stage when samples have come no nearer to held-out target images for long enough."""
        rule, position = stage.until, self.position
        if rule is None or position.stage_step % rule.every:
            return
        distance = self.processes.agree(lambda: self.gallery.distance(self.average()))
        if distance is not None:
            position.measured(distance, rule)
            self.recorder.event("rule", position.step, {"stage": stage.name, "kid": distance, "stale": position.stale})

    def _undo(self, stage: Stage, start: Start) -> None:
        """Put miner and critic back where the stage brought the source's samples no nearer to the target."""
        gained = self.processes.agree(lambda: self.gallery.gained(self.average()))
        if undo(stage, gained, self.model, self.critic, start):
            self.averages.drop("miners/0")
            self.optimizers = None  # no moments of what has not been
            self.position.undone = True
            self.recorder.undone(stage.name, self.position.step, *gained)

    def _go_on_alone(self, stage: Stage) -> None:
        """Leave the target to one of several sources where none covers it."""
        chosen = self.processes.agree(lambda: who_goes_on(stage, self.average(), self.gallery.gained))
        if chosen is not None:
            chosen.keep(self.model.selector)
            self.recorder.alone(stage.name, self.position.step, chosen.source, chosen.left, chosen.own_left)

    def _begin(self, index: int) -> None:
        """Free what the stage trains, with optimizers that remember the last stage's moments."""
        stage = self.stages[index]
        run = self._run(self.model)
        self.method.strategy.prepare(stage, run)
        for regulariser in (*stage.regularisers, *stage.critic_regularisers):
            regulariser.prepare(run)
        for module in regulariser_modules(stage).values():
            module.to(self.processes.device)
        self.processes.align([self.model, self.critic, *regulariser_modules(stage).values()])
        self.start = None if self.position.undone else start_of(stage, self.model, self.critic)
        self._optimize(stage)
        train_what_is_free(self.critic)
        self.model.train()
        self.model.source_modules.train(stage.batch_stats)
        self.averages.add_trained(self.model)
        self.begun = index

    def _optimize(self, stage: Stage) -> None:
        mining = not self.position.undone
        self.model.miner_modules.requires_grad_(mining)
        groups = named_groups(self.model.sources, self.model.miners if mining else [], self.method.critic, stage)
        scales, betas = lr_scales(self.model.sources, self.method.critic), (self.settings.beta1, self.settings.beta2)
        train = of_kept(self.method.strategy.trainable(stage, self._run(self.model)), self.position.dropped, mining)
        every = self.method.objective.penalty_every
        self.optimizers = StageOptimizers(stage, train, groups, scales, betas, every, self.optimizers)

    def _run(self, model: MinedGAN) -> Run:
        return run_of(model, self.method, self.target, self.rng, undone=self.position.undone)

    def _drop_losers(self) -> None:
        """Take from memory what the selector will never choose again."""
        new = [i for i in self.model.selector.dropped().nonzero()[:, 0].tolist() if i not in self.position.dropped]
        for index in new:
            self.position.dropped[index] = self.position.stage
            self.recorder.dropped(index, self.position.step)
        self._release(new, self.position.stage)

    def _release(self, indices: Sequence[int], stage: int) -> None:
        for index in indices:
            if not self.model.recipe or index != self.model.recipe.adopted:  # a loaded critic is built from its source
                self.model.release(index)
                self.averages.drop(f"sources/{index}", f"miners/{index}")
        if indices:
            self._optimize(self.stages[stage])

    def _record(self, facts: Mapping[str, float], seconds: float) -> None:
        self.means.add({**facts, "seconds": seconds})
        means = self.means.values()
        stage, step = self.stages[self.position.stage], self.position.step
        means["images_per_second"] = self.batch / means["seconds"]
        shown = {**means, **self.position.updates(), "p": self.model.selector.probabilities().tolist()}
        self.recorder.progress(stage.name, step, shown)
        if step % self.settings.log_every == 0 or self.position.stage_step == stage.steps:
            self.recorder.step(stage.name, step, shown)
            self.means.clear()

    def _save_state(self) -> None:
        # every process has the same state but for its random numbers, which only augmentations draw
        if self.folder is not None and self.processes.is_main:
            checkpoint.check_weights(self.position.step, self.model, self.critic)
            checkpoint.save_state(self.folder / STATE, self.position.step, self._state())

    def _state(self) -> dict[str, Any]:
        stage = self.stages[self.position.stage]
        return {
            "versions": self.versions,
            "position": self.position.as_dict(),
            "model": self.model.state_dict(),
            "critic": self.critic.state_dict(),
            "augmentation": self.augmentation.state_dict(),
            "regularisers": {name: part.state_dict() for name, part in regulariser_modules(stage).items()},
            "strategy": self.method.strategy.state(),
            "averages": self.averages.state_dict(),
            "optimizers": self.optimizers.state_dict() if self.optimizers else {},
            "rng": self.rng.get_state(),
            "random": checkpoint.random_state(),
            "means": self.means.totals,
            "start": dict(self.start or {}),
            "target": self.target.digest,
        }

    def _resume(self) -> bool:
        place = (self.folder or Path()) / STATE
        state = checkpoint.load_state(place) if self.folder is not None else None
        if state is None:
            return False
        with checkpoint.belonging(place):
            checkpoint.check_origin(state, self.versions, self.target.digest, place)
            self.position = Position(**state["position"])
        self.method.strategy.restore(state["strategy"])
        for index in range(self.position.stage + 1):
            self._begin(index)
            self._release([source for source, stage in self.position.dropped.items() if stage == index], index)
        assert self.optimizers is not None
        with checkpoint.belonging(place):
            self.model.load_state_dict(state["model"])
            self.critic.load_state_dict(state["critic"])
            self.augmentation.load_state_dict(state["augmentation"])
            for name, part in regulariser_modules(self.stages[self.position.stage]).items():
                part.load_state_dict(state["regularisers"][name])
            self.averages.load_state_dict(state["averages"])
            self.optimizers.load_state_dict(state["optimizers"])
            self.rng.set_state(state["rng"])
            checkpoint.restore_random_state(state["random"])
            self.means.totals = state["means"]
            self.start = state.get("start") or None  # of earlier versions: none
        return True

    def _check_finite(self, loss: Tensor, facts: Mapping[str, float], u: Tensor, images: Tensor) -> None:
        if bool(loss.isfinite()):
            return
        name = FAILED if self.processes.is_main else f"{FAILED}-{self.processes.rank}"
        place, batch = self.folder and self.folder / name, {"u": u, "images": images}
        raise checkpoint.non_finite(place, self.position.step, facts, self._state(), batch)
