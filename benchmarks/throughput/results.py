"""Measurements as JSON, one file a group: what was measured, on what machine, with what versions. Imports torch."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from throughput.timing import Ratio

FOLDER = Path(__file__).parents[1] / "results" / "throughput"
PACKAGES = ("torch", "timm", "kornia", "torch-fidelity", "typer", "rich", "pytest-benchmark")


@dataclass(frozen=True)
class Record:
    """One number. Ratios, shares and counts can be compared between machines, seconds and rates cannot."""

    case: str
    value: float
    unit: str
    low: float | None = None
    high: float | None = None
    """The quartiles over rounds."""
    cpu: float | None = None
    """The same from processor time instead of wall time."""
    note: str = ""
    commit: str = ""
    """What was measured, with "+" where files were changed. Filled in when it is written, like the threads."""
    threads: int = 0


Keep = Callable[[Record], None]


def record_of(case: str, ratio: Ratio, unit: str = "x", note: str = "") -> Record:
    return Record(case, ratio.median, unit, ratio.low, ratio.high, ratio.cpu, note)


@dataclass(frozen=True)
class Group:
    """The records of one bench_*.py, and where they come from."""

    name: str
    machine: Mapping[str, Any]
    records: Sequence[Record]

    def value(self, case: str) -> Record | None:
        return next((record for record in self.records if record.case == case), None)


def machine() -> dict[str, Any]:
    """What a reader needs to know to judge a group's numbers."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "versions": {name: metadata.version(name) for name in PACKAGES},
    }


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor()
    )


def write(name: str, records: Sequence[Record], measured_at: str, folder: Path = FOLDER) -> Path:
    """Replace what was measured of these cases; other cases of the group stay, unless machine or versions differ."""
    folder.mkdir(parents=True, exist_ok=True)
    here, old, threads = machine(), read(folder).get(name), torch.get_num_threads()
    kept = {record.case: record for record in old.records} if old and old.machine == here else {}
    new = [replace(record, commit=measured_at, threads=threads) for record in records]
    merged = kept | {record.case: record for record in new}
    path = folder / f"{name}.json"
    content = {"group": name, "machine": here, "records": [asdict(record) for record in merged.values()]}
    path.write_text(json.dumps(content, indent=1) + "\n", "utf-8")
    return path


def read(folder: Path = FOLDER) -> dict[str, Group]:
    """Group name -> what was last measured."""
    found = {}
    for path in sorted(folder.glob("*.json")):
        content = json.loads(path.read_text("utf-8"))
        records = [Record(**record) for record in content["records"]]
        found[path.stem] = Group(content["group"], content["machine"], records)
    return found
