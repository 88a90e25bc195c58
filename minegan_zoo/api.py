"""The functions that a user calls: load a source, mine, pretrain, evaluate. May import everything but the CLI."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from minegan_zoo.config import Choice, RunConfig, SourceChoice
from minegan_zoo.contracts import GeneratorSource, MineganError
from minegan_zoo.evaluation import evaluate
from minegan_zoo.minegan import MinedGAN
from minegan_zoo.run_folder import IN_PYTHON
from minegan_zoo.running import run, run_pretraining
from minegan_zoo.saved import open_any

__all__ = ["evaluate", "load_source", "mine", "pretrain"]


def load_source(name: str, weights: str | Path | None = None, **options: Any) -> GeneratorSource:
    """A generator by name: "family" with `weights`, "family.tag", or the folder of a source, a mined model or a run.

    `weights` is a file or folder, a URL, or `hf-hub:owner/name`. A mined folder of several sources needs `source=i`.
    Raises MineganError for an unknown name, a family without weights, unreadable weights or a wrong option.
    """
    choice = SourceChoice.parse(name) if weights is None else SourceChoice(name, str(weights))
    opened = open_any(choice.name, choice.weights, **options)
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
    labels: bool | None = None,
    choose: Literal["probability", "winner"] = "probability",
) -> MinedGAN:
    """Turn pretrained sources into a generator of the domain that `images` show (Wang et al., CVPR 2020).

    `sources` are names, `name=weights`, mined folders or loaded sources (which are left as they are); `images` and
    `test` (for FID, never trained on) are anything that `minegan_zoo.data.load_images` reads. `options` are
    "part.option" -> value, as `--set` takes them. `augmentation` is the strategy's own for so many images unless it is
    given ("none": nothing). `labels` condition the model on the images' classes; None: where they are a folder of at
    least two class folders. With `out`, the run folder is written, and the same call again resumes it. Raises
    MineganError for any mistake of its caller and for a loss that becomes non-finite.
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
        labels=labels,
        choose=choose,
        strategy=Choice(strategy),
        miner=Choice(miner),
        selector=Choice(selector) if selector else RunConfig.selector,
        critic=Choice(critic),
        objective=Choice(objective) if objective else RunConfig.objective,
        augmentation=None if augmentation is None else Choice(augmentation),
        steps=steps,
        batch=RunConfig.batch if batch is None else batch,
        seed=seed,
        resolution=resolution,
        device=device,
    ).with_options(options or {})
    return run(config, None if out is None else Path(out), target=images, test=test, sources=loaded)


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
        augmentation=None if augmentation is None else Choice(augmentation),
        steps=steps,
        batch=RunConfig.batch if batch is None else batch,
        seed=seed,
        device=device,
    ).with_options(options or {})
    return run_pretraining(config, None if out is None else Path(out), target=images, test=test)


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
