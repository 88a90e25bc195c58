"""The functions that a user calls: load a source, mine, pretrain, evaluate. May import everything but the CLI."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from minegan_zoo import assembly as parts
from minegan_zoo.batches import TargetBatches
from minegan_zoo.config import Choice, RunConfig, SourceChoice
from minegan_zoo.contracts import GeneratorSource, MineganError
from minegan_zoo.evaluation import evaluate
from minegan_zoo.gallery import Evaluate
from minegan_zoo.minegan import MinedGAN
from minegan_zoo.recorder import Recorder
from minegan_zoo.registry import generators
from minegan_zoo.report import write_report
from minegan_zoo.run_folder import CONFIG, IN_PYTHON, METRICS, MODEL
from minegan_zoo.saved import open_any, save_model
from minegan_zoo.sources import match_groups, named_groups, save_source
from minegan_zoo.trainer import Trainer

if TYPE_CHECKING:
    from accelerate import Accelerator

__all__ = ["evaluate", "load_source", "mine", "pretrain", "resume_or_start"]


def load_source(name: str, weights: str | Path | None = None, **options: Any) -> GeneratorSource:
    """A generator by name: "family" with `weights`, "family.tag", or a mined folder.

    `weights` is a file or folder, a URL, or `hf-hub:owner/name`. A mined folder of several sources needs `source=i`.
    Raises MineganError for an unknown name, a family without weights, unreadable weights or a wrong option.
    """
    opened = open_any(name, None if weights is None else str(weights), **options)
    if len(opened) != 1:
        raise MineganError(f"{name} holds {len(opened)} sources: choose one with source=0 to source={len(opened) - 1}")
    return opened[0]


def mine(
    sources: str | GeneratorSource | Sequence[str | GeneratorSource],
    images: Any,
    *,
    strategy: str = "minegan",
    miner: str = "mlp",
    selector: str | None = None,
    critic: str = "source",
    objective: str | None = None,
    augmentation: str | None = None,
    steps: int | None = None,
    batch: int | None = None,
    seed: int = 0,
    device: str | None = None,
    out: str | Path | None = None,
    options: Mapping[str, Any] | None = None,
    test: Any = None,
    resolution: int | None = None,
    limit: int | None = None,
) -> MinedGAN:
    """Turn pretrained sources into a generator of the domain that `images` show (Wang et al., CVPR 2020).

    `sources` are names, `name=weights`, mined folders or loaded sources (which are left as they are); `images` and
    `test` (for FID, never trained on) are anything that `minegan_zoo.data.load_images` reads. `options` are
    "part.option" -> value, as `--set` takes them. With `out`, the run folder is written, and the same call again
    resumes it. Raises MineganError for any mistake of its caller and for a loss that becomes non-finite.
    """
    many = [sources] if isinstance(sources, str | GeneratorSource) else list(sources)
    if any(isinstance(source, str) for source in many):
        named = all(isinstance(source, str) for source in many)
        loaded = None if named else [s for source in many for s in _open(source)]
        choices = tuple(_choice_of(source) for source in many)
    else:
        loaded = [source for source in many if isinstance(source, GeneratorSource)]
        choices = tuple(_choice_of(source) for source in many)
    config = RunConfig(
        sources=choices,
        target=str(images) if isinstance(images, str | Path) else IN_PYTHON,
        test=None if test is None else str(test) if isinstance(test, str | Path) else IN_PYTHON,
        limit=limit,
        strategy=Choice(strategy),
        miner=Choice(miner),
        selector=Choice(selector) if selector else RunConfig.selector,
        critic=Choice(critic),
        objective=Choice(objective) if objective else RunConfig.objective,
        augmentation=Choice(augmentation) if augmentation else None,
        steps=steps,
        batch=RunConfig.batch if batch is None else batch,
        seed=seed,
        resolution=resolution,
        device=device,
    ).with_options(options or {})
    return run(config, None if out is None else Path(out), target=images, test=test, sources=loaded)


def run(
    config: RunConfig,
    out: Path | None,
    *,
    target: Any = None,
    test: Any = None,
    sources: Sequence[GeneratorSource] | None = None,
    quiet: bool = False,
) -> MinedGAN:
    """Carry out a configuration; with a folder, start it or go on where it was left."""
    assembly = parts.assemble(config, target, test, sources)
    model = resume_or_start(assembly, out, quiet=quiet)
    if out is not None:
        save_model(model, out / MODEL)
        write_report(out)
    return model


def check(config: RunConfig) -> str:
    """Build every part of a run and train nothing: its configuration and stages as text."""
    assembly = parts.assemble(config)
    groups = named_groups(assembly.model.sources, assembly.model.miners, assembly.method.critic)
    lines = [assembly.config.to_toml()]
    lines += [f"# {note}" for note in assembly.notes]
    target, image = assembly.target, assembly.model.image
    lines.append(f"# {len(target)} target images from {target.origin}, canonical image {image}")
    for stage in assembly.method.strategy.stages(assembly.steps):
        trained = {name for pattern in stage.train for name in match_groups(pattern, groups)}
        count = sum(parameter.numel() for name in trained for parameter in groups[name])
        lines.append(f"# stage {stage.name}: {stage.steps} steps, {count:,} parameters free ({', '.join(stage.train)})")
    return "\n".join(lines)


def pretrain(
    family: str,
    images: Any,
    *,
    objective: str | None = None,
    augmentation: str | None = None,
    labels: bool = False,
    steps: int | None = None,
    batch: int | None = None,
    seed: int = 0,
    device: str | None = None,
    out: str | Path | None = None,
    options: Mapping[str, Any] | None = None,
    architecture: Mapping[str, Any] | None = None,
    test: Any = None,
    limit: int | None = None,
) -> GeneratorSource:
    """Train a family from random weights: the strategy `scratch` over the same trainer.

    `architecture` are the family's own options (resolution, channels, ...). With `labels`, the images' classes
    condition generator and critic. With `out`, out/model is a source folder: `load_source(family, out/model)`.
    """
    config = RunConfig(
        sources=(SourceChoice(family, None, dict(architecture or {})),),
        target=str(images) if isinstance(images, str | Path) else IN_PYTHON,
        test=None if test is None else str(test) if isinstance(test, str | Path) else IN_PYTHON,
        limit=limit,
        labels=labels,
        strategy=Choice("scratch"),
        objective=Choice(objective) if objective else RunConfig.objective,
        augmentation=Choice(augmentation) if augmentation else None,
        steps=steps,
        batch=RunConfig.batch if batch is None else batch,
        seed=seed,
        device=device,
    ).with_options(options or {})
    return run_pretraining(config, None if out is None else Path(out), target=images, test=test)


def run_pretraining(
    config: RunConfig, out: Path | None, *, target: Any = None, test: Any = None, quiet: bool = False
) -> GeneratorSource:
    """Carry out a pretraining configuration of one family."""
    (choice,) = config.sources
    source = generators.create(choice.name, None, **choice.options)
    assembly = parts.assemble(config, target, test, [source])
    model = resume_or_start(assembly, out, quiet=quiet)
    trained = model.sources[0]
    if out is not None:
        save_source(trained, out / MODEL, assembly.method.critic)
        write_report(out)
    return trained


def resume_or_start(assembly: parts.Assembly, out: Path | None, *, quiet: bool = False) -> MinedGAN:
    """Train; gives the averaged model. The notes are said once, when the run starts."""
    config = assembly.config
    if out is not None:
        _claim(out, config)
    accelerator = _accelerator(config)
    parts.move_to(assembly, accelerator.device)
    target = assembly.target

    def recorder(resumed_at: int | None) -> Recorder:
        made = Recorder(out, steps=assembly.steps, resumed_at=resumed_at, quiet=quiet)
        if resumed_at is None:
            made.event("start", 0, {**assembly.facts(), "device": str(accelerator.device)})
        for note in assembly.notes if resumed_at is None else (f"resuming at step {resumed_at}",):
            made.say(note)
        return made

    trainer = Trainer(
        assembly.model,
        assembly.method,
        TargetBatches(
            target.images.to(accelerator.device),
            None if not config.labels or target.labels is None else target.labels.to(accelerator.device),
        ),
        recorder,
        steps=assembly.steps,
        batch=config.batch,
        seed=config.seed,
        settings=config.training,
        folder=out,
        autocast=accelerator.autocast,
        evaluate=_evaluator(assembly) if out is not None and config.training.fid_samples else None,
    )
    try:
        trainer.train()
    except BaseException:  # an interrupted or failed run has its page too
        if out is not None and (out / METRICS).exists():
            with suppress(OSError, MineganError):
                write_report(out)
        raise
    return trainer.average().eval()


def _accelerator(config: RunConfig) -> Accelerator:
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state(reset_partial_state=True)  # an earlier run of this process may have chosen otherwise
    cpu = parts.device_of(config.device).type == "cpu"
    accelerator = Accelerator(cpu=cpu, mixed_precision=config.training.precision)
    if accelerator.num_processes > 1:
        raise MineganError("training in several processes is not supported: start one, without a launcher")
    return accelerator


def _evaluator(assembly: parts.Assembly) -> Evaluate:
    count = assembly.config.training.fid_samples
    real = assembly.test or assembly.target
    digests = assembly.target.image_digests()

    def measure(sample: Callable[[int], Tensor]) -> Mapping[str, Any]:
        records = evaluate(sample(count), real, training_digests=digests, allow_training=assembly.test is None)
        return {name: record.as_dict() for name, record in records.items()}

    return measure


def _claim(out: Path, config: RunConfig) -> None:
    """Make the folder this run's; MineganError where it holds another run or something else."""
    existing = out / CONFIG
    if existing.exists():
        differences = config.differences(RunConfig.read(existing).checked())
        if differences:
            raise MineganError(
                f"{out} holds a run with other settings ({', '.join(differences)} differ): repeat its command to "
                "resume it, or choose another --out"
            )
        return
    if out.exists() and (not out.is_dir() or any(path.suffix != ".partial" for path in out.iterdir())):
        raise MineganError(f"{out} exists and is no run folder: choose another --out or empty it")
    try:
        out.mkdir(parents=True, exist_ok=True)
        aside = existing.with_suffix(".partial")  # half a configuration would bar the way
        aside.write_text(config.to_toml(), "utf-8")
        aside.replace(existing)
    except OSError as error:
        raise MineganError(f"cannot write to {out}: {error.strerror}") from error


def _open(source: str | GeneratorSource) -> list[GeneratorSource]:
    if isinstance(source, GeneratorSource):
        return [source]
    choice = SourceChoice.parse(source)
    return open_any(choice.name, choice.weights)


def _choice_of(source: str | GeneratorSource) -> SourceChoice:
    if isinstance(source, str):
        return SourceChoice.parse(source)
    if source.loaded_from is None:
        raise MineganError(f"{type(source).__name__} cannot be named in a run: make it with load_source(...)")
    made = source.loaded_from
    return SourceChoice(made.name, made.weights, made.options)
