"""One run by the library's own trainer, measured by the protocol instead of the run's report."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from minegan_zoo import registry
from minegan_zoo.assembly import Assembly, assemble
from minegan_zoo.batches import TargetBatches
from minegan_zoo.checkpoint import preserved_random_state
from minegan_zoo.config import Choice, RunConfig
from minegan_zoo.contracts import GeneratorSource
from minegan_zoo.data import ImageSet, count_held_out
from minegan_zoo.extractors import load_extractor
from minegan_zoo.gallery import Gallery
from minegan_zoo.method_choice import choose_per_layer, choose_psi, choose_relativistic
from minegan_zoo.metrics import METRICS, Evidence
from minegan_zoo.minegan import MinedGAN
from minegan_zoo.pixels import to_uint8
from minegan_zoo.processes import Processes
from minegan_zoo.recorder import Recorder, read_events
from minegan_zoo.run_folder import IN_PYTHON
from minegan_zoo.settings import PER_LAYER, RELATIVISTIC
from minegan_zoo.stopping import StopRequest
from minegan_zoo.trainer import Trainer
from minegan_zoo.watch import Watch

from .protocol import METHODS, Protocol, Spec
from .sources import Recipe, choice


@dataclasses.dataclass(frozen=True, eq=False)
class Trained:
    """A finished run."""

    model: MinedGAN
    target: ImageSet
    """What it was trained on: without the images that the library's defaults hold out."""
    facts: Mapping[str, Any]
    """JSON values for its result."""


def configure(spec: Spec, protocol: Protocol, cache: Path) -> RunConfig:
    """The run of a spec, but for its steps: the library's defaults, and what the method changes."""
    method = METHODS[spec.method]
    every = max(1, spec.updates // protocol.points)
    parts: dict[str, Any] = {part: Choice(name) for part, name in method.parts.items()}
    config = RunConfig(
        sources=tuple(choice(name, protocol.recipes[name], cache) for name in spec.sources),
        target=IN_PYTHON,
        strategy=Choice(method.strategy),
        seed=spec.seed,
        device="cpu",
        labels=False,
    )
    options = {**method.options, **{f"strategy.{name}": rate for name, rate in spec.rates}}
    config = dataclasses.replace(config, **parts).with_options(options).checked()
    recorded = dataclasses.replace(
        config.training,
        samples_every=every,
        state_every=every,
        log_every=max(1, every // 5),
        watch_every=0,
        fid_samples=0,
        trackers=(),
    )
    return dataclasses.replace(config, training=recorded)


def settings_of(spec: Spec, protocol: Protocol) -> str:
    """What of its configuration a run's numbers depend on.

    Not where sources lie, nor how often it is recorded; nor what selects among several, where there is one. With the
    augmentation that the strategy takes for so many images, the scores that it takes for such a critic, whether a code
    is mined for every layer, and how wide samples' noise is.
    """
    config = configure(spec, protocol, Path())
    strategy = registry.strategies.create(config.strategy.name, **config.strategy.options)
    strategy.for_sources(len(spec.sources))
    images = spec.shots - count_held_out(spec.shots, config.training.hold_out)
    sources = [_untrained(protocol.recipes[name]) for name in spec.sources[: None if strategy.mines else 1]]
    config, _ = choose_per_layer(config, images, strategy, sources, [])
    config = choose_psi(config, images, strategy, sources, [])
    critic = sources[0].own_critic() if config.critic.name == "source" else None
    if critic is not None:
        config = choose_relativistic(config, images, strategy, critic, [])
    if not config.objective.options.get(RELATIVISTIC):  # rows are older than the option
        plain = {name: value for name, value in config.objective.options.items() if name != RELATIVISTIC}
        config = dataclasses.replace(config, objective=Choice(config.objective.name, plain))
    if config.augmentation is None:
        own = strategy.augmentation(images)
        config = dataclasses.replace(config, augmentation=Choice(own) if own else None)
    elif config.augmentation.name == "none":
        config = dataclasses.replace(config, augmentation=None)
    options = dict(config.strategy.options)
    if options.get("freeze_lower"):  # its default; rows are older than it
        del options["freeze_lower"]
    if not options.get(PER_LAYER):  # rows are older than it
        options.pop(PER_LAYER, None)
    if len(config.sources) == 1:
        options.pop("select_steps", None)
        config = dataclasses.replace(config, selector=Choice("fixed"))
    config = dataclasses.replace(config, strategy=Choice(config.strategy.name, options))
    return dataclasses.replace(config, sources=(), training=config.training.computed()).to_toml()


@preserved_random_state()
def _untrained(recipe: Recipe) -> GeneratorSource:
    """One of its family and architecture."""
    source: GeneratorSource = registry.generators.create(recipe.family, **recipe.architecture)
    return source


def train(spec: Spec, protocol: Protocol, cache: Path, shots: ImageSet, real: ImageSet, out: Path) -> Trained:
    """Train on `shots`, or go on where `out` was left, with measurements against `real` on the way."""
    config = configure(spec, protocol, cache)
    per_step = _critic_updates_a_step(config)
    assembly = assemble(dataclasses.replace(config, steps=max(1, spec.updates // per_step)), shots)
    extractor = load_extractor(None, "cpu")
    real_features = extractor.features(real.images)

    def measure(sample: Callable[[int], Tensor]) -> Mapping[str, float]:
        fake = extractor.features(to_uint8(sample(protocol.samples)))
        evidence = Evidence(real=real_features, fake=fake, seed=spec.seed)
        return {name: METRICS[name].measure(evidence).value for name in protocol.over_steps}

    model = _fit(assembly, measure, out)
    facts = {
        **_story(read_events(out), per_step, model.selector.probabilities().tolist()),
        "notes": list(assembly.notes),
        "config": assembly.config.to_toml().replace(str(cache), "CACHE"),
    }
    return Trained(model, assembly.target, facts)


def _critic_updates_a_step(config: RunConfig) -> int:
    """1 for a method without a critic too, whose budget is in generator updates."""
    strategy = registry.strategies.create(config.strategy.name, **config.strategy.options)
    objective = registry.objectives.create(config.objective.name, **config.objective.options)
    return int(objective.critic_steps) if any(stage.adversarial for stage in strategy.stages(100)) else 1


class _Measured(Gallery):
    """Measures at fixed steps and draws nothing."""

    def show_start(self, recorder: Recorder, model: MinedGAN, target: Tensor) -> None:
        self.show(recorder, model, "start", 0)

    def show(self, recorder: Recorder, model: MinedGAN, stage: str, step: int, of: str = "progress") -> None:
        self._measure(recorder, step, {"stage": stage}, lambda n: model.sample(n, seed=self.seed))

    def show_end(self, recorder: Recorder, model: MinedGAN, stage: str, step: int) -> None:
        self.show(recorder, model, stage, step)


def _fit(assembly: Assembly, measure: Callable[[Callable[[int], Tensor]], Mapping[str, float]], out: Path) -> MinedGAN:
    """As `minegan_zoo.running` has the trainer do it."""
    config, target, held_out = assembly.config, assembly.target, assembly.held_out
    held = None if held_out is None else held_out.images

    def watch() -> Watch:  # asked for by rules that end a stage
        return Watch(load_extractor(None, "cpu").features, target.images, held)

    processes = Processes(cpu=True, precision=config.training.precision)
    trainer = Trainer(
        assembly.model,
        assembly.method,
        TargetBatches.on(processes.device, target.images, target.labels),
        lambda resumed: Recorder(out, steps=assembly.steps, resumed_at=resumed, trackers=config.training.trackers),
        steps=assembly.steps,
        batch=config.batch,
        seed=config.seed,
        settings=config.training,
        processes=processes,
        gallery=_Measured(assembly.model.noise_dim, config.seed, measure, watch, target.images, held),
        folder=out,
        versions=config.versions(),
    )
    with StopRequest() as stop:
        trainer.train(stop)
    return trainer.finished()


def _story(events: Sequence[Mapping[str, Any]], per_step: int, settled: Sequence[float]) -> dict[str, Any]:
    """What a run recorded on its way, and its selector's probabilities in the end."""
    steps = [event for event in events if event["event"] == "step"]
    measured = [event for event in events if event["event"] == "evaluation"]
    before, seconds = 0, 0.0
    for event in steps:
        seconds, before = seconds + event["seconds"] * (event["step"] - before), event["step"]
    shares = [[per_step * event["step"], *event["p"]] for event in steps[:-1]]
    return {
        "critic_updates": steps[-1]["critic_updates"],
        "generator_updates": steps[-1]["miner_updates"],
        "training_seconds": round(seconds, 1),
        "stages": [{"name": event["stage"], **event["summary"]} for event in events if event["event"] == "stage"],
        "over_steps": [{"updates": per_step * event["step"], **event["metrics"]} for event in measured],
        "p": [*shares, [per_step * steps[-1]["step"], *settled]] if len(settled) > 1 else [],
    }
