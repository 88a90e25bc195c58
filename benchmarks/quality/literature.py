"""`papers`: the settings of the literature as run files, what their cards say, and our numbers beside the published.

papers/NAME.toml is what `minegan-zoo mine --config` executes, from a folder that holds weights/ and data/ as
papers/cards/NAME.toml says; any other method runs with `--strategy`.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from minegan_zoo import registry
from minegan_zoo.config import Choice, RunConfig
from minegan_zoo.contracts import MineganError
from minegan_zoo.critic_choice import image_of_critic
from minegan_zoo.method_choice import choose_psi, choose_relativistic
from minegan_zoo.minegan import MinedGAN
from minegan_zoo.recorder import read_events
from minegan_zoo.sources import canonical_image, noise_dim_of

PAPERS = Path(__file__).parent / "papers"


@dataclass(frozen=True)
class Recipe:
    """One call of `evaluate`."""

    metrics: Sequence[str]
    extractor: str
    samples: int
    real: str
    """"test", or "training" where the literature has no other images: metrics are then named fid_train and so on."""


@dataclass(frozen=True)
class Published:
    method: str
    metric: str
    value: float
    source: str
    """Who says so, and where."""


@dataclass(frozen=True)
class Setting:
    """A run file and its card."""

    name: str
    run: Path
    title: str
    note: str
    weights: Sequence[Mapping[str, str]]
    """Each with its place (empty: fetched by name), origin and licence."""
    data: Sequence[Mapping[str, str]]
    """Each with its place and origin."""
    recipes: Sequence[Recipe]
    published: Sequence[Published]


def settings() -> list[Setting]:
    """All of them, by name."""
    found = []
    for run in sorted(PAPERS.glob("*.toml")):
        card = tomllib.loads((PAPERS / "cards" / run.name).read_text("utf-8"))
        found.append(
            Setting(
                run.stem,
                run,
                card["title"],
                card.get("note", ""),
                card["weights"],
                card["data"],
                [Recipe(**recipe) for recipe in card["recipe"]],
                [Published(**row) for row in card.get("published", [])],
            )
        )
    return found


def setting(name: str) -> Setting:
    """MineganError where there is none of this name."""
    found = {each.name: each for each in settings()}
    if name not in found:
        raise MineganError(f"there is no setting {name}: there are {', '.join(found)}")
    return found[name]


def measure(name: str, run: Path, results: Path, recipes: Sequence[Recipe] | None = None) -> Path:
    """Measure a finished run of a setting by its card and write the records; gives their file.

    Relative paths are meant as the run had them: call it from the same folder. A run that is not the setting's, but for
    its method, with that one's defaults, and its seed, is measured too and named so: `comparison` leaves it out.
    """
    import minegan_zoo as mz

    config, wanted = RunConfig.read(run / "config.toml"), RunConfig.read(setting(name).run).checked()
    model = mz.MinedGAN.load(run)
    wanted = _with_own_choices(wanted, config, run, model)
    others = [part for part in config.differences(wanted) if not _is_free(part, config, wanted, model)]
    records: dict[str, Any] = {}
    for recipe in setting(name).recipes if recipes is None else recipes:
        real = config.test if recipe.real == "test" else config.target
        if real is None:
            raise MineganError(f"{run} names no test images: run papers/{name}.toml as it is")
        found = mz.evaluate(
            model,
            real,
            metrics=recipe.metrics,
            extractor=recipe.extractor,
            samples=recipe.samples,
            training=config.target,
            allow_training=recipe.real == "training",
            checkpoint="last, averaged",
        )
        records |= {metric: record.as_dict() for metric, record in found.items()}
    method = config.strategy.name + _augmented(config, run)
    toml = config.to_toml()
    other = f"-other-{hashlib.sha256(toml.encode()).hexdigest()[:8]}" if others else ""
    path = results / name / f"{method}-s{config.seed}{other}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    result = {"setting": name, "method": method, "differs": others, "config": toml, "records": records}
    path.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    return path


def _augmented(config: RunConfig, run: Path) -> str:
    """What a method's name has behind it: the augmentation, unless its strategy takes it by itself."""
    chosen = config.augmentation.name if config.augmentation else "none"
    strategy = registry.strategies.create(config.strategy.name, **config.strategy.options)
    own = strategy.augmentation(_images_of(run)) or "none"
    return "" if chosen == own else f"+{chosen}"


def _with_own_choices(wanted: RunConfig, config: RunConfig, run: Path, model: MinedGAN) -> RunConfig:
    """A setting's file with samples as wide, and scores relativistic or not, as the run's strategy has them there."""
    strategy = registry.strategies.create(config.strategy.name, **config.strategy.options)
    strategy.for_sources(len(model.sources))
    wanted = choose_psi(wanted, _images_of(run), strategy, model.sources, [])
    return choose_relativistic(wanted, _images_of(run), strategy, model.critic, []) if model.critic else wanted


def _images_of(run: Path) -> int:
    """How many it was trained on."""
    return int(next(event for event in read_events(run) if event["event"] == "start")["target_images"])


def _is_free(part: str, run: RunConfig, wanted: RunConfig, model: MinedGAN) -> bool:
    """Whether a run may differ from a setting's file in a part: in its method by name, as that is by default, in what
    this brings with it, and in what a run works out where nobody says.
    """
    match part:
        case "seed":
            return True
        case "strategy":
            return run.strategy == replace(run, strategy=Choice(run.strategy.name)).checked().strategy
        case "augmentation":
            chosen = run.augmentation
            return chosen is None or chosen == replace(run, augmentation=Choice(chosen.name)).checked().augmentation
        case "miner":
            strategy = registry.strategies.create(run.strategy.name, **run.strategy.options)
            return bool(strategy.miner == run.miner.name)
        case "critic":
            named = {**run.critic.options, "source": ""} == {**wanted.critic.options, "source": ""}
            plain = replace(run, critic=Choice("conv")).checked().critic
            without = run.critic == plain and all(source.own_critic() is None for source in model.sources)
            return wanted.critic.name == "source" and (named if run.critic.name == "source" else without)
        case "resolution":
            adopted = model.recipe.adopted if model.recipe else None
            own = canonical_image(model.sources, 3, image_of_critic(run, model.sources, adopted))
            return wanted.resolution is None and run.resolution == own.resolution
        case "noise_dim":
            return wanted.noise_dim is None and run.noise_dim == noise_dim_of(model.sources)
        case _:
            return False


def comparison(each: Setting, results: Path) -> list[tuple[str, str, float | None, float | None, str]]:
    """(method, metric, published, ours, where it was published); ours is a mean over the setting's seeds there are."""
    ours: dict[tuple[str, str], list[float]] = {}
    for path in sorted((results / each.name).glob("*.json")):
        found = json.loads(path.read_text("utf-8"))
        for metric, record in ({} if found["differs"] else found["records"]).items():
            ours.setdefault((found["method"], metric), []).append(record["value"])
    means = {key: sum(values) / len(values) for key, values in ours.items()}
    rows: list[tuple[str, str, float | None, float | None, str]] = [
        (row.method, row.metric, row.value, means.pop((row.method, row.metric), None), row.source)
        for row in each.published
    ]
    return rows + [(method, metric, None, value, "") for (method, metric), value in means.items()]
