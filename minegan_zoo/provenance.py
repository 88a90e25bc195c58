"""What a run was made from, how it was measured, and how to repeat it, for its report.

May import run_folder, settings, results, wording and account.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from minegan_zoo.account import Row
from minegan_zoo.results import Results, StageResult
from minegan_zoo.run_folder import CONFIG, IN_PYTHON
from minegan_zoo.settings import Choice, Training
from minegan_zoo.wording import chosen, metric_title, plain

ENDINGS = {"steps": "all of its steps", "plateau": "where its rule saw no more improvement"}
"""Why a stage ended, as its event says -> in words."""


@dataclass(frozen=True)
class Fact:
    label: str
    lines: Sequence[str]


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
    blind = [
        f"{record['unseen']}: what differs in it alone counts for nothing" for record in records if record.get("unseen")
    ]
    facts = [
        Fact("Real images", all_of("{real_count} of {real_name} (sha256 {real_digest:.12})")),
        Fact("Trained on", list(dict.fromkeys(seen))),
        Fact("Samples", all_of("{fake_count}, seed {seed}, {quantisation}")),
        Fact("Features", all_of("{extractor} (sha256 {extractor_sha256:.12})")),
        Fact("Not seen by these", list(dict.fromkeys(blind))),
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
    critic = chosen(config.critic)
    adopted = start.get("adopted", results.model.get("recipe", {}).get("adopted"))
    if adopted is not None:
        critic += f": starts as the discriminator of {results.sources[adopted]}"
    image = start.get("image", results.model.get("image"))
    held_out = start.get("held_out", 0)
    found = {
        "Sources": [_source_line(choice.name, choice.weights, choice.options) for choice in config.sources],
        "Target": [config.target + (f" ({start['target_images']} images)" if "target_images" in start else "")],
        "Limit": [f"{config.limit} images, a seeded subset"] if config.limit else [],
        "Held out": [f"{held_out} of the target's images: they judge, training never sees them"] if held_out else [],
        "Images for FID": [config.test] if config.test else [],
        "Canonical image": [f"{image['channels']} × {image['resolution']} × {image['resolution']}"] if image else [],
        "Strategy": [chosen(config.strategy), *_summaries(results)],
        "Miner": [chosen(config.miner)] if results.mines else [],
        "Selector": [chosen(config.selector)] if len(results.sources) > 1 else [],
        "Critic": [critic],
        "Objective": [chosen(config.objective)],
        "Augmentation": [chosen(config.augmentation)] if config.augmentation else [],
        "Stages": [_stage_line(stage) for stage in results.stages],
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
    words += [f"--set {shlex.quote(f'{name}={plain(value)}')}" for name, value in settings.items() if value != ""]
    return " \\\n  ".join([*words, again])


def _unusual(training: Training) -> dict[str, Any]:
    usual = vars(Training())
    return {name: value for name, value in vars(training).items() if value != usual[name]}


def _summaries(results: Results) -> list[str]:
    """The plain values that the strategy told of each stage."""
    lines = []
    for event in results.of("stage"):
        told = {name: value for name, value in event["summary"].items() if not isinstance(value, dict | list)}
        values = (f"{name.replace('_', ' ')} {_short(value)}" for name, value in told.items())
        lines += [f"{event['stage']}: {', '.join(values)}"] if told else []
    return lines


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _stage_line(stage: StageResult) -> str:
    ending = ENDINGS.get(stage.reason, stage.reason) if stage.finished else "unfinished"
    return f"{stage.name}: to step {stage.last_step:,}" + (f", {ending}" if ending else "")


def _source_line(name: str, weights: str | None, options: Mapping[str, Any]) -> str:
    return chosen(Choice(name, options)) + (f", weights {weights}" if weights else "")
