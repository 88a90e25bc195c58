"""One self-contained HTML page of all results. May import everything of the benchmark."""

from __future__ import annotations

import base64
import hashlib
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minegan_zoo.charts import Chart
from minegan_zoo.wording import ARROWS, column, metric_value

from .bars import check_bars
from .charts import Scatter, colours, fid_chart, probability_chart, scatter
from .places import Places
from .protocol import REFERENCES, TASKS, UNTAUGHT, Protocol, Rates
from .results import SECOND, WHOLE, Cell, Results
from .tuning import read_summary

PAGE = "index.html"


@dataclass(frozen=True)
class Entry:
    """One cell of a table."""

    text: str
    spread: str
    best: bool


@dataclass(frozen=True)
class Row:
    name: str
    colour: int | None
    reference: bool
    count: int
    """Seeds."""
    entries: Sequence[Entry]
    sheet: str
    """Data URI of its samples; empty where there are none."""


@dataclass(frozen=True)
class Table:
    """A task at one number of images."""

    anchor: str
    title: str
    shots: int
    columns: Sequence[str]
    rows: Sequence[Row]
    fid: Chart | None
    scatter: Scatter | None
    probabilities: Sequence[Chart]
    copies: Sequence[tuple[str, int | None, float]]
    """Row, colour, distance to its nearest training images over that of held-out real images."""


@dataclass(frozen=True)
class SourceRow:
    """What a source makes before any mining, against test images of the classes that it was trained on."""

    name: str
    trained: str
    """Family, classes and steps."""
    entries: Sequence[Entry]
    real: Entry
    """FID of other real images of these classes."""
    sheet: str


OF_SOURCES = ("fid", "kid", "precision", "recall")


def write_page(results: Results, protocol: Protocol, places: Places, rates: Rates) -> Path:
    """Write it among the results, which may be more than the protocol's; gives its path."""
    from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PackageLoader, StrictUndefined

    environment = Environment(
        loader=ChoiceLoader([FileSystemLoader(Path(__file__).parent), PackageLoader("minegan_zoo")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    wanted = set(protocol.specs(rates))
    view = {
        "protocol": protocol,
        "found": sum(result.spec in wanted for result in results.found),
        "wanted": len(wanted),
        "stale": sum(result.stale and result.spec in wanted for result in results.found),
        "stale_beyond": sum(result.stale and result.spec not in wanted for result in results.found),
        "mixed": mixed_sources(results),
        "bars": check_bars(results),
        "tables": [_table(results, protocol, task, shots) for task, shots in results.tables()],
        "sources": _sources(results, protocol),
        "source_columns": [column(name) for name in OF_SOURCES],
        "measured": _measured(results),
        "sets": _sets(results),
        "commits": Counter(result.raw.get("commit", "commits before these were recorded") for result in results.found),
        "versions": Counter(", ".join(map(" ".join, r.raw["versions"].items())) for r in results.found),
        "tuning": read_summary(places),
    }
    page = environment.get_template("page.html").render(view)
    places.results.mkdir(parents=True, exist_ok=True)
    aside = places.results / f".{PAGE}"
    aside.write_text(page, "utf-8")
    return aside.replace(places.results / PAGE)


def _table(results: Results, protocol: Protocol, task: str, shots: int) -> Table:
    columns = [(WHOLE, name) for name in protocol.metrics] + [(SECOND, name) for name in protocol.second_metrics]
    chosen = colours(results, task, shots)
    names = results.rows(task, shots)
    cells = {row: [results.cell(task, row, shots, metric, space) for space, metric in columns] for row in names}
    ranked = [row for row in names if row in REFERENCES]
    ranked += sorted((row for row in names if row not in REFERENCES), key=lambda row: _order(cells[row][0]))
    best = [
        _best([cells[row][place] for row in ranked if row not in REFERENCES], metric)
        for place, (_, metric) in enumerate(columns)
    ]
    rows = [
        Row(
            row,
            chosen.get(row),
            row in REFERENCES,
            len(results.of(task, row, shots)),
            [_entry(cell, bar if row not in REFERENCES else None) for cell, bar in zip(cells[row], best, strict=True)],
            _sheet(results, task, row, shots),
        )
        for row in ranked
    ]
    near = [(row, results.cell(task, row, shots, "memorisation")) for row in ranked]
    drawn = [row for row in ranked if row.startswith(("minegan", "minegan-noft")) and "@" not in row]
    charts = [probability_chart(results, task, row, shots) for row in drawn]
    return Table(
        anchor=f"{task}-{shots}",
        title=TASKS[task].title,
        shots=shots,
        columns=[column(name) if space == WHOLE else f"{column(name)}, fixed space" for space, name in columns],
        rows=rows,
        fid=fid_chart(results, task, shots, chosen),
        scatter=scatter(results, task, shots, chosen),
        probabilities=[chart for chart in charts if chart],
        copies=[(row, chosen.get(row), cell.mean) for row, cell in near if cell],
    )


def _sources(results: Results, protocol: Protocol) -> list[SourceRow]:
    """Those that were measured, in the order of the recipes."""
    found = []
    for name, recipe in protocol.recipes.items():
        cells = [results.cell(f"own-{name}", "unmined", 0, metric) for metric in OF_SOURCES]
        if any(cells):
            classes = ", ".join(map(str, TASKS[f"own-{name}"].classes))
            found.append(
                SourceRow(
                    name,
                    f"{recipe.family}, {recipe.dataset} {classes}, {recipe.steps} steps",
                    [_entry(cell, None) for cell in cells],
                    _entry(results.cell(f"own-{name}", "other-real", 0, "fid"), None),
                    _sheet(results, f"own-{name}", "unmined", 0),
                )
            )
    return found


def _order(cell: Cell | None) -> float:
    return cell.mean if cell else math.inf


def _best(cells: Sequence[Cell | None], metric: str) -> float | None:
    found = [cell.mean for cell in cells if cell]
    if not found or metric not in ARROWS:
        return None
    return min(found) if ARROWS[metric] == "↓" else max(found)


def _entry(cell: Cell | None, best: float | None) -> Entry:
    if cell is None:
        return Entry("–", "", False)
    spread = "" if math.isnan(cell.spread) else f"± {metric_value(cell.spread)}"
    return Entry(metric_value(cell.mean), spread, cell.mean == best)


def _sheet(results: Results, task: str, row: str, shots: int) -> str:
    path = next((result.sheet for result in results.of(task, row, shots) if result.sheet.is_file()), None)
    return "" if path is None else f"data:image/webp;base64,{base64.b64encode(path.read_bytes()).decode()}"


def mixed_sources(results: Results) -> list[str]:
    """Sources of which the results come from different weights: another processor trained them anew."""
    seen: dict[str, set[str]] = {}
    for result in results.found:
        if result.spec.method.partition("+")[0] in UNTAUGHT:
            continue
        for source, digest in result.raw["sources"].items():
            seen.setdefault(source, set()).add(digest)
    return sorted(source for source, digests in seen.items() if len(digests) > 1)


def _measured(results: Results) -> list[dict[str, Any]]:
    """How each feature space's numbers were made, as the last result tells."""
    if not results.found:
        return []
    keys = ("extractor", "extractor_sha256", "resize", "quantisation", "fake_count", "device", "dtype")
    spaces = results.found[-1].raw["spaces"]
    nothing = {hashlib.sha256().hexdigest(): "none: it has no weights"}
    return [
        {key: nothing.get(space["shared"][key], space["shared"][key]) for key in keys}
        | {
            "tools": dict(
                Counter(record.get("tool", space["shared"].get("tool")) for record in space["metrics"].values())
            )
        }
        for space in spaces
    ]


def _sets(results: Results) -> list[tuple[str, int, str, int]]:
    """The real sets: name, images, digest, and how many of their images any run was trained on."""
    found: dict[str, tuple[str, int, str, int]] = {}
    for result in results.found:
        shared = result.raw["spaces"][0]["shared"]
        name, overlap = shared["real_name"], shared["trained_on"] or 0
        before = found[name][3] if name in found else 0
        found[name] = name, shared["real_count"], shared["real_digest"], before + overlap
    return list(found.values())
