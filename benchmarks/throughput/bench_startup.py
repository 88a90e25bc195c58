"""How soon something happens: `--help`, `list` with 0 and 100 more plugins, a source's first image."""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from throughput.results import Keep, Record, record_of
from throughput.timing import Times, ratio

HEAVY = ("torch", "timm", "kornia", "torchvision", "accelerate")
HELLO = """
import typer
from rich.console import Console
from rich.table import Table
app = typer.Typer()
@app.command()
def hello(name: str = "you"):
    table = Table("greeting", "name")
    table.add_row("hello", name)
    Console().print(table)
@app.command()
def bye():
    pass
app()
"""
AT_EXIT = """
import atexit, sys
atexit.register(lambda: print(*(f"loaded: {name}" for name in list(sys.modules)), sep="\\n", file=sys.stderr))
"""
OURS = "from minegan_zoo.cli import main; main()"
FIRST_IMAGE = """
import minegan_zoo as mz, torch
source = mz.load_source({name!r})
with torch.no_grad():
    source.synthesize(source.prior(1, source.inputs[0], torch.Generator().manual_seed(0)))
"""
PLUGIN = '''
from minegan_zoo.contracts import API, GeneratorEntry, ImageSpec, LatentSpace, hookimpl
MINEGAN_ZOO_API = API
def build(weights, *, width: int = 8):
    """A plugin that is only listed."""
@hookimpl
def register_generators(register):
    register(GeneratorEntry("family{0}", build))
    register(GeneratorEntry("family{0}.tag", build, ImageSpec(3, 32), {{"z": LatentSpace((8,), "normal")}}))
'''


def bench_command_line(quick: bool, tmp_path: Path, benchmark: Any, keep: Keep) -> None:
    """Processes in turn; each command against a hello-world of typer and rich in the same round."""
    crowd = crowded(tmp_path, 100)
    cases: dict[str, tuple[list[str], Path | None]] = {
        "hello": (["-c", HELLO, "hello"], None),
        "--help, 0 more plugins": (["-c", OURS, "--help"], None),
        "--help, 100 more plugins": (["-c", OURS, "--help"], crowd),
        "list, 0 more plugins": (["-c", OURS, "list"], None),
        "list, 100 more plugins": (["-c", OURS, "list"], crowd),
    }
    walls: dict[str, list[float]] = {name: [] for name in cases}
    cpus: dict[str, list[float]] = {name: [] for name in cases}

    def taking_turns() -> None:
        for index in range(2 if quick else 15):
            for name in list(cases)[:: -1 if index % 2 else 1]:
                wall, cpu = launched(*cases[name])
                walls[name].append(wall)
                cpus[name].append(cpu)

    benchmark.pedantic(taking_turns, rounds=1, iterations=1)
    times = {name: Times(walls[name][1:], cpus[name][1:]) for name in cases}  # the first fills the disk's cache
    keep(Record("hello-world of typer and rich", times["hello"].seconds, "s"))
    for name, (arguments, path) in list(cases.items())[1:]:
        imported = modules(arguments, path)
        assert path is None or "list" not in name or any(module.startswith("crowd_99") for module in imported)
        heavy = sorted({module.split(".")[0] for module in imported} & set(HEAVY))
        keep(record_of(name, ratio(times[name], times["hello"]), note=f"imports {', '.join(heavy) or 'nothing heavy'}"))
        keep(Record(f"{name}, heavy imports", len(heavy), "packages"))


def bench_first_image(quick: bool, benchmark: Any, keep: Keep) -> None:
    """A new process from nothing to one image, against one that only imports torch."""
    cases = {"torch": "import torch", "image": FIRST_IMAGE.format(name="stylegan2.fashion-shoes-32")}
    walls: dict[str, list[float]] = {name: [] for name in cases}
    cpus: dict[str, list[float]] = {name: [] for name in cases}

    def taking_turns() -> None:
        for _ in range(2 if quick else 8):
            for name, code in cases.items():
                wall, cpu = launched(["-c", code], None)
                walls[name].append(wall)
                cpus[name].append(cpu)

    benchmark.pedantic(taking_turns, rounds=1, iterations=1)
    times = {name: Times(walls[name][1:], cpus[name][1:]) for name in cases}
    keep(record_of("load_source to first image / import torch", ratio(times["image"], times["torch"])))
    keep(Record("load_source to first image", statistics.median(times["image"].wall), "s"))


def crowded(folder: Path, count: int) -> Path:
    """A folder for PYTHONPATH that holds so many installed distributions with a plugin each."""
    for index in range(count):
        (folder / f"crowd_{index}.py").write_text(PLUGIN.format(index))
        info = folder / f"crowd_{index}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: crowd-{index}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[minegan_zoo]\ncrowd-{index} = crowd_{index}\n")
    return folder


def launched(arguments: list[str], path: Path | None) -> tuple[float, float]:
    """(wall, processor) seconds of a Python process."""
    before, start = os.times(), time.perf_counter()
    subprocess.run([sys.executable, *arguments], env=_environment(path), check=True, capture_output=True)
    wall, after = time.perf_counter() - start, os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return wall, spent


def modules(arguments: list[str], path: Path | None) -> list[str]:
    """What a process imported: what -X importtime saw, and what was there in the end."""
    assert arguments[0] == "-c"
    command = [sys.executable, "-X", "importtime", "-c", f"{AT_EXIT}{arguments[1]}", *arguments[2:]]
    done = subprocess.run(command, env=_environment(path), check=True, capture_output=True, text=True)
    return re.findall(r"^(?:import time:.*\||loaded:)\s*(\S+)$", done.stderr, re.MULTILINE)


def _environment(path: Path | None) -> dict[str, str]:
    return {**os.environ, "COLUMNS": "100"} | ({} if path is None else {"PYTHONPATH": str(path)})
