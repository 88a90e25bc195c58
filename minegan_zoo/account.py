"""What happened in a run, in words and numbers, for its report. May import run_folder, results and wording."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from minegan_zoo.results import Event, Results
from minegan_zoo.run_folder import FAILED, IN_PYTHON
from minegan_zoo.wording import column, duration, listed, metric_title, metric_value, sentence

PREFERRED = 0.6
"""The probability from which a source is called the selector's choice."""
MANY = 4
"""More sources than these are counted instead of named."""
COPYING = {"memorisation": "1 = as held-out images", "memorisation_loo": "1 = as among themselves"}
"""The numbers that tell how near samples lie to training images, and what they are measured by."""


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
class Alarm:
    """A warning of the watch over copies, collapse and overfitting; numbers are those of its last time."""

    title: str
    text: str
    first: int
    last: int
    """Steps."""
    holds: bool
    """Whether the last look found it still."""


def title(results: Results) -> str:
    """The target's name without the folders that lead there: "boots", "FashionMNIST, classes=9", "owner/name"."""
    target = results.config.target
    if target.startswith(("torchvision:", "hf-dataset:")):
        name, _, query = target.partition(":")[2].partition("?")
        return ", ".join([name, *(part for part in query.split("&") if part and not part.startswith("root="))])
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
    for key, remark in COPYING.items():
        values = [event[key] for event in results.watched if key in event]
        found += [Tile("Distance to training images", f"{values[-1]:.2f}", remark)] if values else []
    if results.steps:
        found.append(
            Tile("Training time", duration(results.seconds), f"{results.step:,} steps of {results.config.batch} images")
        )
        found.append(Tile("Speed", f"{results.images_per_second or 0:,.3g} images/s", "training alone, no evaluation"))
    return found


def verdict(
    names: Sequence[str],
    p: Sequence[float],
    nearest: tuple[int, str] | None = None,
    *,
    so_far: bool = False,
    alone: str = "",
) -> str:
    """What the selector chose; `nearest` is the source that was closest to the target, and how that is known; `alone`
    the one that goes on without it, where none covers the target."""
    if len(p) < 2:
        return ""
    if alone:
        return f"Mining showed that no source covers the target: {alone} is finetuned alone, without the others."
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
    found = [(told.title, told.text) for told in alarms(results) if told.holds]
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


def alarms(results: Results) -> list[Alarm]:
    """What was warned of during the run, each trouble once, in the order of its first time."""
    found: dict[str, Alarm] = {}
    for event in results.watched:
        for warning in event.get("warnings", ()):
            title, _, text = warning.partition(": ")
            first = found[title].first if title in found else int(event["step"])
            step, holds = int(event["step"]), event is results.watched[-1]
            found[title] = Alarm(sentence(title), f"{sentence(text)}.", first, step, holds)
    return list(found.values())
