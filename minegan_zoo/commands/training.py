"""Commands that train or sample: mine, pretrain, demo, sample."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from minegan_zoo.commands.console import say
from minegan_zoo.contracts import MineganError

if TYPE_CHECKING:
    from minegan_zoo.config import RunConfig

Sources = Annotated[
    list[str] | None, typer.Argument(help="NAME, NAME=WEIGHTS, or the folder of a source or an earlier run.")
]
Out = Annotated[Path | None, typer.Option(help="The run folder; the same command again resumes it.")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="An option of a part, as in miner.width=256.")
]
Test = Annotated[str | None, typer.Option(help="Images for FID that training never sees.")]
Steps = Annotated[int | None, typer.Option(help="Training steps.")]
Batch = Annotated[int | None, typer.Option(help="Images per step.")]
Seed = Annotated[int | None, typer.Option(help="Seed of everything random.")]
Device = Annotated[str | None, typer.Option(help="cpu or cuda; by default cuda where there is one.")]
Limit = Annotated[int | None, typer.Option(help="Use this many images, a seeded subset.")]


class Chooses(StrEnum):
    """How samples choose their source."""

    probability = "probability"
    winner = "winner"


Choose = Annotated[Chooses | None, typer.Option(help="How samples choose their source.")]
Objective = Annotated[str | None, typer.Option(help="wgan-gp, logistic, hinge, ...")]
Augmentation = Annotated[
    str | None, typer.Option(help="ada, diffaugment, translation, none; by default the strategy's own.")
]


def mine(
    sources: Sources = None,
    target: Annotated[str | None, typer.Option(help="Folder, archive or torchvision:NAME of target images.")] = None,
    out: Out = None,
    strategy: Annotated[str | None, typer.Option(help="minegan, minegan-noft, transfergan, scratch, ...")] = None,
    miner: Annotated[str | None, typer.Option(help="mlp, ...")] = None,
    selector: Annotated[str | None, typer.Option(help="partition, max, ...")] = None,
    critic: Annotated[str | None, typer.Option(help="source (a source's discriminator), conv, ...")] = None,
    objective: Objective = None,
    augmentation: Augmentation = None,
    steps: Steps = None,
    batch: Batch = None,
    seed: Seed = None,
    resolution: Annotated[int | None, typer.Option(help="Of the canonical image that the critic sees.")] = None,
    limit: Limit = None,
    test: Test = None,
    labels: Annotated[
        bool | None,
        typer.Option("--labels/--no-labels", help="Condition on the target's class folders; by default if there are."),
    ] = None,
    choose: Choose = None,
    drop_below: Annotated[
        float | None, typer.Option(help="Drop sources that stay below this many times the uniform share.")
    ] = None,
    device: Device = None,
    set_: Settings = None,
    config: Annotated[Path | None, typer.Option(help="A run's TOML; what else is given overrides it.")] = None,
    dry_run: Annotated[bool, typer.Option(help="Check and show everything, train nothing.")] = False,
) -> None:
    """Mine pretrained sources for a target domain."""
    from minegan_zoo.config import Choice, RunConfig, SourceChoice

    if config is None and (not sources or target is None):
        raise MineganError("name the sources and the images: minegan-zoo mine SOURCE... --target FOLDER --out RUN")
    given: dict[str, Any] = {
        "target": target, "steps": steps, "batch": batch, "seed": seed, "resolution": resolution, "limit": limit,
        "test": test, "device": device, "labels": labels,
        "choose": choose.value if choose else None,
    }  # fmt: skip
    if drop_below is not None:
        set_ = [*(set_ or []), f"selector.drop_below={drop_below}"]
    if sources:
        given["sources"] = tuple(SourceChoice.parse(source) for source in sources)
    for part, name in {
        "strategy": strategy, "miner": miner, "selector": selector, "critic": critic, "objective": objective,
        "augmentation": augmentation,
    }.items():  # fmt: skip
        given[part] = Choice(name) if name else None
    _run(_configure(RunConfig.read(config) if config else None, given, set_), out, dry_run=dry_run)


def pretrain(
    family: Annotated[str, typer.Argument(help="A family: biggan, progan, stylegan2, ...")],
    images: Annotated[str, typer.Option(help="Folder, archive or torchvision:NAME of training images.")],
    out: Out = None,
    labels: Annotated[bool, typer.Option(help="Condition on the images' classes.")] = False,
    objective: Objective = None,
    augmentation: Augmentation = None,
    steps: Steps = None,
    batch: Batch = None,
    seed: Seed = None,
    limit: Limit = None,
    test: Test = None,
    device: Device = None,
    set_: Settings = None,
) -> None:
    """Train a source from random weights; OUT/model is then FAMILY=OUT/model."""
    from minegan_zoo.config import Choice, RunConfig, SourceChoice
    from minegan_zoo.registry import generators

    _need_out(out)
    architecture = {option.name for option in generators.info(family).options}
    settings = _parse_settings(set_)
    own = {key: settings.pop(key) for key in list(settings) if key in architecture}
    given: dict[str, Any] = {
        "sources": (SourceChoice(family, None, generators.check(family, own)),), "target": images, "labels": labels,
        "steps": steps, "batch": batch, "seed": seed, "limit": limit, "test": test, "device": device,
        "strategy": Choice("scratch"), "objective": Choice(objective) if objective else None,
        "augmentation": Choice(augmentation) if augmentation else None,
    }  # fmt: skip
    config = RunConfig(**{name: value for name, value in given.items() if value is not None})
    config = config.with_options(settings).checked()
    from minegan_zoo.running import run_pretraining  # with torch, which a mistake need not wait for

    run_pretraining(config, out)
    _say_once(f"trained: {family}={out}/model")


def demo(
    out: Annotated[Path, typer.Option(help="The run folder.")] = Path("runs/demo"),
    steps: Steps = None,
    seed: Seed = None,
) -> None:
    """Mine three bundled sources of three families for 100 images of one kind of shoe."""
    from minegan_zoo.demo import demo_config

    _run(_configure(demo_config(), {"steps": steps, "seed": seed}, None), out, dry_run=False)


def sample(
    model: Annotated[str, typer.Argument(help="A run or model folder, or the name of a source.")],
    n: Annotated[int, typer.Option("-n", "--number", min=1, help="How many images.")] = 64,
    out: Annotated[Path, typer.Option(help="A PNG file, or a folder with --separate.")] = Path("samples.png"),
    separate: Annotated[bool, typer.Option(help="One file an image.")] = False,
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same images.")] = None,
    class_: Annotated[str | None, typer.Option("--class", help="One of the model's classes.")] = None,
    choose: Choose = None,
    psi: Annotated[
        float | None, typer.Option(min=0, help="Less than 1: fidelity for diversity; more: the reverse.")
    ] = None,
    device: Device = None,
) -> None:
    """Write samples of a mined model, or of a source as it is."""
    from minegan_zoo.sampling import sample_images, write_samples

    images = sample_images(model, n, seed, device, class_, choose.value if choose else None, psi)
    say(f"wrote {write_samples(images, out, separate=separate)}")


def _run(config: RunConfig, out: Path | None, *, dry_run: bool) -> None:
    from minegan_zoo.running import check, run

    if dry_run:
        print(check(config))
        return
    run(config, _need_out(out))
    _say_once(f"finished: {out}/report.html shows it; sample it with: minegan-zoo sample {out}/model")


def _say_once(text: str) -> None:
    """After a run, by the first of its processes alone."""
    from accelerate import PartialState

    if PartialState().is_main_process:
        say(text)


def _configure(base: RunConfig | None, given: dict[str, Any], settings: list[str] | None) -> RunConfig:
    import dataclasses

    from minegan_zoo.config import RunConfig

    wanted = {name: value for name, value in given.items() if value is not None}
    config = dataclasses.replace(base, **wanted) if base else RunConfig(**wanted)
    return config.with_options(_parse_settings(settings)).checked()


def _need_out(out: Path | None) -> Path:
    if out is None:
        raise MineganError("name a folder for the run: --out runs/NAME")
    return out


def _parse_settings(settings: list[str] | None) -> dict[str, str]:
    pairs = {}
    for setting in settings or []:
        key, separator, value = setting.partition("=")
        if not separator or not key:
            raise MineganError(f"--set takes KEY=VALUE, not {setting!r}")
        pairs[key] = value
    return pairs
