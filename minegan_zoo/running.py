"""Carry out a run's configuration: assemble, claim the folder, train or resume, save, report.

May import everything but api and the CLI.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import Tensor

from minegan_zoo import assembly as parts
from minegan_zoo.atomic import clear_leftovers
from minegan_zoo.batches import TargetBatches
from minegan_zoo.compiling import Compiled
from minegan_zoo.config import RunConfig
from minegan_zoo.contracts import GeneratorSource, MineganError, Strategy
from minegan_zoo.data import ImageSet
from minegan_zoo.devices import device_of
from minegan_zoo.evaluation import evaluate
from minegan_zoo.gallery import Evaluate, Gallery
from minegan_zoo.minegan import MinedGAN
from minegan_zoo.processes import Processes
from minegan_zoo.recorder import Recorder
from minegan_zoo.registry import generators
from minegan_zoo.report import write_report
from minegan_zoo.run_folder import CONFIG, METRICS, MODEL
from minegan_zoo.saved import remember, save_model
from minegan_zoo.sources import as_module, match_groups, named_groups, save_source
from minegan_zoo.stopping import StopRequest
from minegan_zoo.trackers import check_trackers
from minegan_zoo.trainer import Trainer
from minegan_zoo.watch import Watch

MOST_WATCHED = 5000
"""Training sets larger than this are not watched for copies: few images are what is copied."""


def run(
    config: RunConfig,
    out: Path | None,
    *,
    target: Any = None,
    test: Any = None,
    sources: Sequence[GeneratorSource] | None = None,
    quiet: bool = False,
) -> MinedGAN:
    """Carry out a configuration; with a folder, start it or go on where it was left.

    Under `accelerate launch` or `torchrun` every process calls it; the first one writes the folder.
    """
    check_trackers(config.training.trackers)
    assembly = parts.assemble(config, target, test, sources)
    model, processes = resume_or_start(assembly, out, quiet=quiet)
    remember(model, assembly.seen)
    if out is not None and processes.is_main:
        save_model(model, out / MODEL)
        write_report(out)
    processes.wait()
    return model


def check(config: RunConfig) -> str:
    """Build every part of a run and train nothing: its configuration and stages as text."""
    check_trackers(config.training.trackers)
    assembly = parts.assemble(config)
    lines = [assembly.config.to_toml()]
    lines += [f"# {note}" for note in assembly.notes]
    target, image = assembly.target, assembly.model.image
    lines.append(f"# {len(target)} target images from {target.origin}, canonical image {image}")
    strategy = assembly.method.strategy
    most = "" if type(strategy).trainable is Strategy.trainable else "at most "  # it may free less, once it knows more
    for stage in strategy.stages(assembly.steps):
        groups = named_groups(assembly.model.sources, assembly.model.miners, assembly.method.critic, stage)
        free, to_come = set(), ""
        for pattern in stage.train:
            try:
                free |= {p for found in match_groups(pattern, groups).values() for p in found}
            except MineganError:  # `assemble` would have refused it, unless `prepare` may bring such parts
                to_come = ", and what the strategy adds"
        count = sum(parameter.numel() for parameter in free)
        named = ", ".join(stage.train)
        lines.append(f"# stage {stage.name}: {stage.steps} steps, {most}{count:,} parameters free ({named}){to_come}")
    return "\n".join(lines)


def run_pretraining(
    config: RunConfig, out: Path | None, *, target: Any = None, test: Any = None, quiet: bool = False
) -> GeneratorSource:
    """Carry out a pretraining configuration of one family."""
    check_trackers(config.training.trackers)
    (choice,) = config.sources
    source = generators.create(choice.name, None, **choice.options)
    assembly = parts.assemble(config, target, test, [source])
    model, processes = resume_or_start(assembly, out, quiet=quiet)
    trained = model.sources[0]
    if out is not None and processes.is_main:
        save_source(trained, out / MODEL, assembly.method.critic)
        write_report(out)
    processes.wait()
    return trained


def resume_or_start(assembly: parts.Assembly, out: Path | None, *, quiet: bool = False) -> tuple[MinedGAN, Processes]:
    """Train; gives the averaged model. The notes are said once, when the run starts."""
    config, settings = assembly.config, assembly.config.training
    processes = Processes(cpu=device_of(config.device).type == "cpu", precision=settings.precision)
    if config.batch < processes.count:
        raise MineganError(
            f"a batch of {config.batch} cannot be shared by {processes.count} processes: each needs an image at least"
        )
    if out is not None:
        if processes.is_main:
            _claim(out, config)
        processes.wait()
    parts.move_to(assembly, processes.device, channels_last=settings.channels_last)
    shown = out if processes.is_main else None

    def recorder(resumed_at: int | None) -> Recorder:
        made = Recorder(
            shown,
            steps=assembly.steps,
            resumed_at=resumed_at,
            quiet=quiet or not processes.is_main,
            trackers=settings.trackers,
            settings={name: str(value) for name, value in asdict(config).items()},
            sources=assembly.source_names(),
        )
        if resumed_at is None:
            made.event("start", 0, {**assembly.facts(), "device": str(processes.device), "processes": processes.count})
        for note in assembly.notes if resumed_at is None else (f"resuming at step {resumed_at}",):
            made.say(note)
        return made

    scores = None
    if settings.compile:
        for index in range(len(assembly.model.sources)):
            assembly.model.compile_source(index)
        scores = Compiled(as_module(assembly.method.critic), "the critic")
    trainer = Trainer(
        assembly.model,
        assembly.method,
        TargetBatches.on(processes.device, assembly.target.images, assembly.target.labels),
        recorder,
        steps=assembly.steps,
        batch=config.batch,
        seed=config.seed,
        settings=settings,
        processes=processes,
        gallery=_gallery(assembly, watched=out is not None),
        scores=scores,
        folder=out,
        versions=config.versions(),
    )
    with StopRequest() as stop:
        try:
            trainer.train(stop)
        except BaseException:  # an interrupted or failed run has its page too
            if shown is not None and (shown / METRICS).exists():
                with suppress(OSError, MineganError):
                    write_report(shown)
            raise
    return trainer.finished(), processes


def _gallery(assembly: parts.Assembly, *, watched: bool) -> Gallery:
    config, target, held_out = assembly.config, assembly.target, assembly.held_out
    stages = assembly.method.strategy.stages(assembly.steps)
    ruled = any(stage.until for stage in stages)
    tried = any((stage.undo_above, stage.alone_above) != (None, None) for stage in stages)
    held = None if held_out is None else held_out.images

    def watch() -> Watch:
        from minegan_zoo.extractors import load_extractor

        return Watch(load_extractor(None, assembly.model.device).features, target.images, held)

    watches = ruled or (watched and config.training.watch_every > 0 and 1 < len(target) <= MOST_WATCHED)
    measures = watches or (tried and len(target) <= MOST_WATCHED)
    evaluator = _evaluator(assembly, assembly.real) if watched and assembly.real else None
    return Gallery(
        assembly.model.noise_dim, config.seed, evaluator, watch if measures else None, target.images, held,
        watches=watches,
    )  # fmt: skip


def _evaluator(assembly: parts.Assembly, real: ImageSet) -> Evaluate:
    count = assembly.config.training.fid_samples

    def measure(sample: Callable[[int], Tensor]) -> Mapping[str, Any]:
        records = evaluate(
            sample(count),
            real,
            training_digests=assembly.seen,
            allow_training=assembly.test is None,
            checkpoint="the stage's last, averaged",
            device=assembly.model.device,
        )
        return {name: record.as_dict() for name, record in records.items()}

    return measure


def _claim(out: Path, config: RunConfig) -> None:
    """Make the folder this run's; MineganError where it holds another run or something else."""
    existing = out / CONFIG
    if existing.exists():
        claimed = RunConfig.read(existing).checked()
        differences = config.differences(claimed)
        if differences:
            raise MineganError(
                f"{out} holds a run with other settings ({config.contrast(claimed, differences)}): repeat its command "
                "to resume it, or choose another --out"
            )
        clear_leftovers(out / MODEL)
        if config != claimed:
            _write_config(existing, config)
        return
    if out.exists() and (not out.is_dir() or any(path.suffix != ".partial" for path in out.iterdir())):
        raise MineganError(f"{out} exists and is no run folder: choose another --out or empty it")
    _write_config(existing, config)


def _write_config(path: Path, config: RunConfig) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_suffix(".partial")  # half a configuration would bar the way
        aside.write_text(config.to_toml(), "utf-8")
        aside.replace(path)
    except OSError as error:
        raise MineganError(f"cannot write to {path.parent}: {error.strerror}") from error
