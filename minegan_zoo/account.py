"""What a run's report says besides pictures and charts. May import run_folder, config and results."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minegan_zoo.config import Choice, Training
from minegan_zoo.results import Event, Results
from minegan_zoo.run_folder import CONFIG, FAILED, IN_PYTHON

PREFERRED = 0.6
"""The probability from which a source is called the selector's choice."""
MANY = 4
"""More sources than these are counted instead of named."""
ARROWS = {"fid": "↓", "kid": "↓", "precision": "↑", "recall": "↑"}
"""Where better values lie."""


@dataclass(frozen=True)
class Row:
    """One line of the table of metrics: name of a metric -> its record."""

    name: str
    before: bool
    records: Mapping[str, Event]


@dataclass(frozen=True)
class Tile:
    """A number to be seen first."""

    label: str
    value: str
    remark: str


@dataclass(frozen=True)
class Fact:
    label: str
    lines: Sequence[str]


def title(results: Results) -> str:
    """The target's name without the folders that lead there."""
    target = results.config.target
    return target.capitalize() if target == IN_PYTHON else Path(target).name or target


def lead(results: Results) -> str:
    """One sentence: what was made from what."""
    count = results.start.get("target_images")
    target = IN_PYTHON if results.config.target == IN_PYTHON else title(results)
    target = f"{count} images ({target})" if count else target
    if results.config.strategy.name == "scratch":
        return f"{listed(results.sources)}, trained from random weights on {target}."
    many = len(results.sources) > MANY
    sources = f"{len(results.sources)} pretrained sources" if many else listed(results.sources)
    return f"A generator for {target}, {'mined' if results.mines else 'finetuned'} from {sources}."


def progress(results: Results) -> str:
    total = results.total_steps
    return f"step {results.step:,} of {total:,}" if total else f"step {results.step:,}"


def rows(results: Results) -> list[Row]:
    """The metrics of every source before, then after each stage."""
    found = [
        Row(f"{name}, before", True, results.metrics("before", index)) for index, name in enumerate(results.sources)
    ]
    found += [Row(f"after {stage.name}", False, results.metrics(stage.name)) for stage in results.stages]
    return [row for row in found if row.records]


def tiles(results: Results, table: Sequence[Row]) -> list[Tile]:
    found = []
    name = next((name for row in table for name in row.records if name.startswith("fid")), None)
    before = [row for row in table if row.before and name in row.records]
    after = [row for row in table if not row.before and name in row.records]
    if name and after:
        value, remark = metric_value(after[-1].records[name]["value"]), after[-1].name
        if before:
            best = min(before, key=lambda row: row.records[name]["value"])
            value = f"{metric_value(best.records[name]['value'])} → {value}"
            remark = f"{'best source' if len(before) > 1 else ''} before → {remark}".strip()
        found.append(Tile(column(name), value, remark))
    if len(results.sources) > 1 and results.probabilities:
        top = max(results.probabilities)
        chosen = results.sources[results.probabilities.index(top)] if top >= PREFERRED else "not settled"
        found.append(Tile("Selector", chosen, f"{'' if top >= PREFERRED else 'highest '}probability {top:.2f}"))
    if results.steps:
        found.append(
            Tile("Training time", duration(results.seconds), f"{results.step:,} steps of {results.config.batch} images")
        )
        found.append(Tile("Speed", f"{results.images_per_second or 0:,.3g} images/s", "training alone, no evaluation"))
    return found


def verdict(
    names: Sequence[str], p: Sequence[float], nearest: tuple[int, str] | None = None, *, so_far: bool = False
) -> str:
    """What the selector chose; `nearest` is the source that was closest to the target, and how that is known."""
    if len(p) < 2:
        return ""
    order = sorted(range(len(p)), key=lambda index: -p[index])
    first, second = order[:2]
    spread = math.exp(-sum(value * math.log(value) for value in p if value > 0))  # as many sources, equally used
    selector = "So far, the selector" if so_far else "The selector"
    if p[first] >= 0.9:
        text = f"{selector} settled on {names[first]}: {p[first]:.0%} of the samples come from it."
    elif p[first] >= PREFERRED:
        text = f"{selector} prefers {names[first]} with {p[first]:.0%}; {names[second]} keeps {p[second]:.0%}."
    elif spread > 0.9 * len(p):
        everyone = "both sources" if len(p) == 2 else f"all {len(p)} sources"
        return f"{selector} did not settle: it spreads its samples almost evenly over {everyone}."
    else:
        shares = [f"{names[index]} {p[index]:.0%}" for index in order if p[index] >= 0.1] or ["none has 10%"]
        return f"{selector} did not settle on one source: {listed(shares)}."
    if nearest is None:
        return text
    if nearest[0] == first:
        return f"{text} {names[first]} was also the closest to the target before mining ({nearest[1]})."
    return f"{text} Before mining, another source was closer to the target: {names[nearest[0]]} ({nearest[1]})."


def nearest(results: Results) -> tuple[int, str] | None:
    """The source of the lowest FID before mining, and both its FID and the chosen source's; None if not measured."""
    found = [results.metrics("before", index) for index in range(len(results.sources))]
    name = next((name for name in found[0] if name.startswith("fid")), None)
    if name is None or not results.probabilities or not all(name in records for records in found):
        return None
    values = [records[name]["value"] for records in found]
    best = values.index(min(values))
    chosen = results.probabilities.index(max(results.probabilities))
    against = "" if best == chosen else f" against {metric_value(values[chosen])}"
    return best, f"{metric_title(name)} {metric_value(values[best])}{against}"


def warnings(results: Results, table: Sequence[Row]) -> list[tuple[str, str]]:
    """Title and text of what a reader must not miss."""
    found = []
    if not results.finished and (results.folder / FAILED).exists():
        text = f"The loss became non-finite. The folder {FAILED}/ holds the step's state and batch."
        found.append((f"Failed after {progress(results)}", text))
    elif not results.finished:
        text = "The command that started this run goes on from its last saved state."
        found.append((f"Unfinished: {progress(results)}", text))
    trained = [record for row in table for name, record in row.records.items() if name.endswith("_train")]
    if trained:
        shared, real = trained[0]["trained_on"], trained[0]["real_count"]
        share = f"All {real}" if shared == real else f"{shared} of the {real}"
        text = (
            f"{share} real images that the samples are compared with were trained on (fid_train). Such numbers reward "
            "copying the target; do not set them beside FID on other images. Images that training never sees can be "
            "given as test images."
        )
        found.append(("FID is measured on the training images", text))
    return found


def measured(table: Sequence[Row]) -> list[Fact]:
    """How the table's numbers were measured, from their own records; several values where records differ."""
    records = [record for row in table for record in row.records.values()]

    def all_of(text: str) -> list[str]:
        return list(dict.fromkeys(text.format(**record) for record in records))

    settings = [
        f"{metric_title(name)}: {', '.join(f'{key} {value:g}' for key, value in record['settings'].items())}"
        for row in table
        for name, record in row.records.items()
        if record["settings"]
    ]
    seen = [_disjoint(record["trained_on"], record["real_count"]) for record in records]
    facts = [
        Fact("Real images", all_of("{real_count} of {real_name} (sha256 {real_digest:.12})")),
        Fact("Trained on", list(dict.fromkeys(seen))),
        Fact("Samples", all_of("{fake_count}, seed {seed}, {quantisation}")),
        Fact("Features", all_of("{extractor} (sha256 {extractor_sha256:.12})")),
        Fact("Resize", all_of("{resize}")),
        Fact("Tool", all_of("{tool}, on {device}")),
        Fact("Settings", list(dict.fromkeys(settings))),
    ]
    return [fact for fact in facts if fact.lines]


def _disjoint(trained_on: int | None, real: int) -> str:
    if trained_on is None:
        return "not checked whether training saw any of these images"
    return f"{trained_on or 'none'} of these {real} images, pixel for pixel"


def facts(results: Results) -> list[Fact]:
    """What was mined from what, and how."""
    config, start = results.config, results.start
    critic = _choice(config.critic)
    adopted = start.get("adopted", results.model.get("recipe", {}).get("adopted"))
    if adopted is not None:
        critic += f": starts as the discriminator of {results.sources[adopted]}"
    image = start.get("image", results.model.get("image"))
    steps = [f"{stage.name}: to step {stage.last_step:,}" for stage in results.stages]
    found = {
        "Sources": [_source_line(choice.name, choice.weights, choice.options) for choice in config.sources],
        "Target": [config.target + (f" ({start['target_images']} images)" if "target_images" in start else "")],
        "Limit": [f"{config.limit} images, a seeded subset"] if config.limit else [],
        "Images for FID": [config.test] if config.test else [],
        "Canonical image": [f"{image['channels']} × {image['resolution']} × {image['resolution']}"] if image else [],
        "Strategy": [_choice(config.strategy)],
        "Miner": [_choice(config.miner)] if results.mines else [],
        "Selector": [_choice(config.selector)] if len(results.sources) > 1 else [],
        "Critic": [critic],
        "Objective": [_choice(config.objective)],
        "Augmentation": [_choice(config.augmentation)] if config.augmentation else [],
        "Stages": steps,
        "Batch and seed": [f"{config.batch}, {config.seed}"],
        "Trainer": [", ".join(f"{name}={value}" for name, value in _unusual(config.training).items())],
        "Device": [start["device"]] if "device" in start else [],
    }
    return [Fact(label, lines) for label, lines in found.items() if any(lines)]


def command(results: Results) -> str:
    """What repeats the run; empty where only Python can."""
    config = results.config
    again = f"--out {shlex.quote(f'{results.folder}-again')}"
    if IN_PYTHON in (config.target, config.test):
        return ""
    if config.strategy.name != "scratch" or len(config.sources) != 1:
        return f"minegan-zoo mine --config {shlex.quote(str(results.folder / CONFIG))} {again}"
    (family,) = config.sources
    flags = {
        "images": config.target, "test": config.test, "limit": config.limit, "steps": config.steps,
        "batch": config.batch, "seed": config.seed, "device": config.device, "objective": config.objective.name,
        "augmentation": config.augmentation.name if config.augmentation else None,
    }  # fmt: skip
    settings = {**family.options, **{f"training.{name}": value for name, value in _unusual(config.training).items()}}
    for part in ("strategy", "critic", "objective", "augmentation"):
        choice = vars(config)[part]
        settings |= {f"{part}.{name}": value for name, value in choice.options.items()} if choice else {}
    words = [f"minegan-zoo pretrain {shlex.quote(family.name)}"]
    words += [f"--{flag} {shlex.quote(str(value))}" for flag, value in flags.items() if value is not None]
    words += ["--labels"] if config.labels else []
    words += [f"--set {shlex.quote(f'{name}={_plain(value)}')}" for name, value in settings.items() if value != ""]
    return " \\\n  ".join([*words, again])


def listed(names: Sequence[str]) -> str:
    """a, b and c."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def metric_title(name: str) -> str:
    """`fid_train` as people write it."""
    base, separator, _ = name.partition("_train")
    written = base.upper() if base in ("fid", "kid") else base
    return f"{written} on training images" if separator else written


def column(name: str) -> str:
    """A metric's title, and where better values lie."""
    return f"{metric_title(name)} {ARROWS.get(name.removesuffix('_train'), '')}".strip()


def metric_value(value: float) -> str:
    """123.4, 1.23, 0.0123 or 1.2e−05."""
    digits = 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 4
    tiny = 0 < abs(value) < 0.001
    return (f"{value:.1e}" if tiny else f"{value:.{digits}f}").replace("-", "−")


def duration(seconds: float) -> str:
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s"
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {whole % 60} s"


def _unusual(training: Training) -> dict[str, Any]:
    usual = vars(Training())
    return {name: value for name, value in vars(training).items() if value != usual[name]}


def _choice(choice: Choice) -> str:
    options = ", ".join(f"{name}={_plain(value)}" for name, value in choice.options.items() if value != "")
    return f"{choice.name} ({options})" if options else choice.name


def _source_line(name: str, weights: str | None, options: Mapping[str, Any]) -> str:
    return _choice(Choice(name, options)) + (f", weights {weights}" if weights else "")


def _plain(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
