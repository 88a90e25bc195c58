"""report.html: what a run made of its sources, in one file that needs nothing else.

May import run_folder, results, wording, account, provenance and curves, and no torch.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from minegan_zoo import account, curves, provenance
from minegan_zoo.results import Results
from minegan_zoo.run_folder import REPORT
from minegan_zoo.wording import column, metric_value

COLOURS = 8
"""How many the template has; of more sources, the most probable ones are coloured."""
WIDEST = 720
"""Pixels of an embedded grid; wider ones are reduced, so that a report of sixteen sources can still be sent."""
ON_THE_WAY = 6
"""How many of the grids between the stages' ends are shown."""


@dataclass(frozen=True)
class Picture:
    """One grid of images, embedded."""

    caption: str
    remark: str
    uri: str
    width: int


@dataclass(frozen=True)
class Source:
    """One source, and what became of it on the same base noise."""

    index: int
    name: str
    colour: int | None
    probability: float
    dropped: int | None
    """The step from which the selector never chooses it again."""
    before_drop: float | None
    """Its last probability above zero, where it was dropped."""
    free: Mapping[str, float]
    """Layer -> the share of it that a sparse stage leaves free."""
    pictures: Sequence[Picture]


def write_report(folder: Path) -> Path:
    """Write RUN/report.html from what the run folder holds, finished or not; gives its path.

    Raises MineganError where the folder holds no run.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    results = Results.read(folder)
    environment = Environment(
        loader=PackageLoader("minegan_zoo"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"column": column, "metric": metric_value}
    page = environment.get_template("report.html").render(_view(results))
    aside = folder / f".{REPORT}"
    aside.write_text(page, "utf-8")
    return aside.replace(folder / REPORT)


def _view(results: Results) -> dict[str, Any]:
    rows = account.rows(results)
    sources = _sources(results)
    return {
        "title": account.title(results),
        "lead": account.lead(results),
        "finished": results.finished,
        "tiles": account.tiles(results, rows),
        "warnings": account.warnings(results, rows),
        "notes": list(results.start.get("notes", ())),
        "story": _story(results),
        "way": _way(results),
        "sources": sources,
        "verdict": account.verdict(
            results.sources,
            results.probabilities,
            account.nearest(results),
            so_far=not results.finished,
            alone=next(iter(results.alone.values()), ""),
        ),
        "probabilities": curves.probability_chart(results, {s.index: s.colour for s in reversed(sources)}),
        "watched": curves.watch_charts(results),
        "alarms": account.alarms(results),
        "nearest": _nearest(results),
        "held_out": results.start.get("held_out", 0),
        "charts": curves.training_charts(results),
        "rows": rows,
        "columns": list(dict.fromkeys(name for row in rows for name in row.records)),
        "measured": provenance.measured(rows),
        "facts": provenance.facts(results),
        "command": provenance.command(results),
        "function": "pretrain" if results.config.strategy.name == "scratch" else "mine",
        "config": results.config_text,
        "version": version("minegan-zoo"),
    }


def _story(results: Results) -> list[Picture]:
    """Target, before, and after each stage; of several sources, the most probable one stands for before."""
    p = results.probabilities
    first = p.index(max(p)) if p else 0
    remark = results.sources[first]
    found = [
        _picture(results, results.samples("target"), "Target", "images it learned from"),
        _picture(results, results.samples("before", source=first), "Before", remark),
    ]
    for stage in results.stages:
        file = results.samples("end", stage.name) if stage.finished else results.samples("progress", stage.name)
        remark = f"after step {stage.last_step:,}" if stage.finished else f"so far, step {_step_of(results, file):,}"
        remark += ", undone" if stage.name in results.undone else ""
        remark += f", from here on {results.alone[stage.name]} alone" if stage.name in results.alone else ""
        found.append(_picture(results, file, STAGE_TITLES.get(stage.name, stage.name.capitalize()), remark))
    return [picture for picture in found if picture]


STAGE_TITLES = {"mine": "Mined", "finetune": "Finetuned", "train": "Trained"}


def _way(results: Results) -> list[Picture]:
    """Some grids from between the stages' ends, evenly chosen."""
    events = [event for event in results.of("samples") if event["of"] in ("progress", "end")]
    count = min(ON_THE_WAY, len(events))
    chosen = [events[round(index * (len(events) - 1) / max(1, count - 1))] for index in range(count)]
    found = [_picture(results, event["file"], f"Step {event['step']:,}", event["stage"]) for event in chosen]
    return [picture for picture in found if picture] if len(events) > len(results.stages) else []


def _nearest(results: Results) -> Picture | None:
    """The last picture of samples beside their nearest training images."""
    event = next((event for event in reversed(results.of("samples")) if event["of"] == "nearest"), None)
    if event is None:
        return None
    return _picture(results, event["file"], "Nearest to training images", f"step {event['step']:,}")


def _sources(results: Results) -> list[Source]:
    """The most probable first."""
    names = results.sources
    p = results.probabilities or [1 / len(names)] * len(names)
    order = sorted(range(len(names)), key=lambda index: -p[index])
    coloured = sorted(order[: COLOURS if len(names) <= COLOURS else COLOURS - 1])
    found = []
    for index in order:
        files = [("Before", results.samples("before", source=index))]
        for stage in results.stages:
            title = STAGE_TITLES.get(stage.name, stage.name.capitalize())
            files.append((title, results.samples("source", stage.name, index)))
        pictures = [_picture(results, file, caption, "") for caption, file in files]
        colour = coloured.index(index) if index in coloured else None
        found.append(
            Source(
                index,
                names[index],
                colour,
                p[index],
                results.dropped.get(index),
                results.probability_before_drop(index),
                results.free.get(index, {}),
                [picture for picture in pictures if picture],
            )
        )
    return found


def _step_of(results: Results, file: str | None) -> int:
    return next((int(event["step"]) for event in results.of("samples") if event["file"] == file), 0)


def _picture(results: Results, file: str | None, caption: str, remark: str) -> Picture | None:
    """A sample grid as a data URI, reduced where it is large; None where it is missing."""
    from PIL import Image

    path = results.folder / (file or "")
    if not path.is_file():
        return None
    data, kind = path.read_bytes(), "png"
    with Image.open(path) as image:
        width = image.width
        if width > WIDEST:
            small, buffer = image.convert("RGB"), io.BytesIO()
            small.thumbnail((WIDEST, WIDEST * image.height), Image.Resampling.LANCZOS)
            small.save(buffer, "WEBP", quality=88)
            data, kind, width = buffer.getvalue(), "webp", small.width
    return Picture(caption, remark, f"data:image/{kind};base64,{base64.b64encode(data).decode()}", width)
