"""What loading a published model's size costs, against reading its tensors: processor time and memory.

    python benchmarks/load_cost.py --out load_cost.json            # all, one at a time, in a temporary folder
    python benchmarks/load_cost.py stylegan3-r-1024 biggan-512     # some

Random-weight files in the public formats are written, measured and removed one after the other. Reading is what torch
does with the same file, `torch.load` or for NVIDIA's `pickle.load` with stand-ins for its classes; loading is
`load_source`, generator and discriminator. Each runs in processes of its own, warmed up on a small file of the same
kind. Memory is how far the process grows. Exits with 1 where loading takes more than 1.5 times the time or 2.2 times
the memory of reading.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from full_size_gans import biggan, biggan_deep, progan
from full_size_stylegans import stylegan, stylegan2, stylegan2_ada, stylegan3

TIME, MEMORY = 1.5, 2.2
"""The most that loading may cost, times reading."""

RUN = r"""
import json, pickle, re, sys, time, types
from pathlib import Path
import torch
import minegan_zoo as mz
class StandIn(dict):  # for any class that is not installed
    def __init__(self, *args):
        self.args = args
    def __setstate__(self, state):
        self.state = state
class Unpickler(pickle.Unpickler):
    def find_class(self, module, name):
        try:
            return super().find_class(module, name)
        except ImportError:
            return StandIn
lenient = types.ModuleType("lenient")
lenient.Unpickler, lenient.load = Unpickler, lambda file, **options: Unpickler(file, **options).load()
def read(path):
    files = [path] if path.is_file() else [file for file in path.iterdir() if file.suffix != ".json"]
    for file in files:
        if file.suffix == ".pkl":
            with file.open("rb") as opened:
                yield lenient.load(opened)
        else:
            yield torch.load(file, pickle_module=lenient, weights_only=False)
what, family, path, warm_up = sys.argv[1:]
def run(path):
    return list(read(path)) if what == "read" else mz.load_source(family, path)
def peak():
    return int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024
run(Path(warm_up))
Path("/proc/self/clear_refs").write_text("5")  # forget the peak of importing
before, start = peak(), time.process_time()
kept = run(Path(path))
print(json.dumps([time.process_time() - start, peak() - before]))
"""


@dataclass(frozen=True)
class Case:
    """`write(folder, narrow=...)` writes a checkpoint into a folder and gives what to load."""

    family: str
    write: Callable[..., Path]


CASES = {
    "biggan-128": Case("biggan", partial(biggan, resolution=128, ch=96)),
    "biggan-256": Case("biggan", partial(biggan, resolution=256, ch=96)),
    "biggan-512": Case("biggan", partial(biggan, resolution=512, ch=96)),
    "biggan-deep-128": Case("biggan-deep", partial(biggan_deep, resolution=128, ch=128)),
    "biggan-deep-256": Case("biggan-deep", partial(biggan_deep, resolution=256, ch=128)),
    "biggan-deep-512": Case("biggan-deep", partial(biggan_deep, resolution=512, ch=128)),
    "pgan-1024": Case("progan", progan),
    "stylegan-1024": Case("stylegan", stylegan),
    "stylegan2-256": Case("stylegan2", partial(stylegan2, resolution=256, base=32768)),
    "stylegan2-1024": Case("stylegan2", partial(stylegan2, resolution=1024, base=32768)),
    "stylegan2-ada-256": Case("stylegan2", partial(stylegan2_ada, resolution=256, base=16384)),
    "stylegan2-ada-1024": Case("stylegan2", partial(stylegan2_ada, resolution=1024, base=32768)),
    "stylegan3-t-256": Case("stylegan3", partial(stylegan3, resolution=256, variant="t", base=16384)),
    "stylegan3-t-1024": Case("stylegan3", partial(stylegan3, resolution=1024, variant="t", base=32768)),
    "stylegan3-r-256": Case("stylegan3", partial(stylegan3, resolution=256, variant="r", base=16384)),
    "stylegan3-r-1024": Case("stylegan3", partial(stylegan3, resolution=1024, variant="r", base=32768)),
}


@dataclass(frozen=True)
class Cost:
    """Sizes in MiB, times in seconds of the processor, the least of several runs."""

    case: str
    file_mib: float
    read_s: float
    load_s: float
    read_mib: float
    load_mib: float

    @property
    def time(self) -> float:
        return self.load_s / self.read_s

    @property
    def memory(self) -> float:
        return self.load_mib / self.read_mib

    @property
    def holds(self) -> bool:
        return self.time <= TIME and self.memory <= MEMORY

    def row(self) -> str:
        """A line of the Markdown table."""
        cells = (
            f"{self.case} | {self.file_mib:.0f} | {self.read_s:.2f} | {self.load_s:.2f} | {self.time:.2f} | "
            f"{self.read_mib:.0f} | {self.load_mib:.0f} | {self.memory:.2f}"
        )
        return f"| {cells} |" if self.holds else f"| {cells} | over |"


HEADER = """| model | file, MiB | read, s | load, s | ratio | read, MiB | load, MiB | ratio |
|---|---|---|---|---|---|---|---|"""


def measure(name: str, repeats: int) -> Cost:
    """Write the case's file and a small one, read and load the first in fresh processes, remove both."""
    case = CASES[name]
    with tempfile.TemporaryDirectory(prefix=name) as folder:
        places = {narrow: Path(folder, str(narrow)) for narrow in (1, 8)}
        for place in places.values():
            place.mkdir()
        whole, small = (case.write(place, narrow=narrow) for narrow, place in places.items())
        size = sum(file.stat().st_size for file in places[1].rglob("*")) / 2**20
        runs: dict[str, list[list[float]]] = {"read": [], "load": []}
        for _ in range(repeats):
            for what, costs in runs.items():
                command = [sys.executable, "-c", RUN, what, case.family, str(whole), str(small)]
                done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
                costs.append(json.loads(done.stdout))
    (read_s, read_mib), (load_s, load_mib) = (map(min, zip(*costs, strict=True)) for costs in runs.values())
    return Cost(name, size, read_s, load_s, read_mib, load_mib)


def main() -> None:
    """Print the table, a row at a time."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("cases", nargs="*", metavar="MODEL", help=", ".join(CASES))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, help="a JSON file of all numbers")
    options = parser.parse_args()
    if unknown := set(options.cases) - set(CASES):
        parser.error(f"no such model: {', '.join(sorted(unknown))}")
    print(HEADER, flush=True)
    costs: list[Cost] = []
    for name in options.cases or CASES:
        costs.append(measure(name, options.repeats))
        print(costs[-1].row(), flush=True)
    if options.out is not None:
        rows: list[dict[str, Any]] = [asdict(cost) for cost in costs]
        options.out.write_text(json.dumps(rows, indent=2) + "\n")
    sys.exit(not all(cost.holds for cost in costs))


if __name__ == "__main__":
    main()
