"""Reads randomly damaged checkpoints: each must load or raise MineganError, fast, small, without running anything.

    python benchmarks/fuzz_checkpoints.py --mutations 1000                   # tiny files of every format
    python benchmarks/fuzz_checkpoints.py --mutations 1000 FILE...           # other files
    python benchmarks/fuzz_checkpoints.py --mutations 1000 FAMILY=FILE...    # loaded as sources, with what lies beside

Prints one JSON line a file; exits with 1 and the offending bytes' seed where a reading misbehaved.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from checkpoint_files import write_all

from minegan_zoo.contracts import MineganError
from minegan_zoo.registry import generators
from minegan_zoo.weights import Record, read_checkpoint

SECONDS = 10.0
"""The most processor time that one reading may take."""
MEMORY = 512 << 20
"""The most address space that readings may add to a process that has read the whole file."""
FORBIDDEN = ("exec", "compile", "import", "os.", "subprocess.", "socket.", "ctypes.", "shutil.", "pickle.find_class")
LENGTHS = (b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x00\x00\x00\x80", b"\x00\x00\x00\x00", b"\x00\x00\x00\x40")


class Watch:
    """An audit hook that notes what a reading has no business doing."""

    def __init__(self) -> None:
        self.on = False
        self.seen: list[str] = []
        sys.addaudithook(self._hook)

    def _hook(self, event: str, args: tuple[Any, ...]) -> None:
        if self.on and event.startswith(FORBIDDEN):
            self.seen.append(f"{event} {args!r:.200}")


def mutate(data: bytes, rng: random.Random) -> bytes:
    """A damaged copy: flipped bits, overwritten lengths, cut, repeated, or swapped stretches."""
    made = bytearray(data)
    kind = rng.choice(("flip", "flip", "flip", "length", "cut", "drop", "repeat", "noise", "move"))
    at, size = rng.randrange(len(data)), rng.randint(1, 64)
    if kind == "flip":
        for _ in range(rng.choice((1, 1, 2, 8))):
            made[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    elif kind == "length":
        made[at : at + 4] = rng.choice(LENGTHS)
    elif kind == "cut":
        del made[at:]
    elif kind == "drop":
        del made[at : at + size]
    elif kind == "repeat":
        made[at:at] = data[at : at + size] * rng.choice((1, 2, 100))
    elif kind == "noise":
        made[at : at + size] = rng.randbytes(size)
    else:
        other = rng.randrange(len(data))
        made[at : at + size] = data[other : other + size]
    return bytes(made)


def walk(tree: Any) -> float:
    """Touch every number, so that a view beyond its storage would show."""
    if isinstance(tree, torch.Tensor):
        return float(tree.to(torch.complex128).abs().nan_to_num().sum())
    if isinstance(tree, dict):
        return sum(walk(value) for value in tree.values())
    if isinstance(tree, list | tuple | set):
        return sum(walk(value) for value in tree)
    if isinstance(tree, Record):
        return walk(tree.state) + walk(tree.args)
    return 0.0


def attempt(path: Path, family: str) -> str:
    """Read one file, or load it: "loads", or "refused" by a MineganError that names it. Anything else is raised."""
    try:
        if family:
            generators.entry(family).build(path)  # options are not checked: that evaluates annotations
        else:
            walk(read_checkpoint(path))
    except MineganError as error:
        assert path.name in str(error), f"the error does not name the file: {error}"
        return "refused"
    return "loads"


def fuzz(target: str, mutations: int, seed: int, watch: Watch, folder: Path) -> dict[str, Any]:
    """Read `mutations` damaged copies of the file of `target`, [FAMILY=]FILE."""
    family, _, name = target.rpartition("=")
    file = Path(name)
    data, path = file.read_bytes(), folder / f"damaged{file.suffix}"
    if family:
        path = Path(shutil.copytree(file.parent, tempfile.mkdtemp(dir=folder), dirs_exist_ok=True)) / file.name
    attempt(file, family)
    before, outcomes, slowest, failures = _peak(), Counter[str](), 0.0, []
    for index in range(mutations):
        path.unlink(missing_ok=True)  # a mapped file must not be written to
        path.write_bytes(mutate(data, random.Random(f"{file.name} {seed} {index}")))
        start = time.process_time()
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        watch.on = True
        try:
            outcomes[attempt(path, family)] += 1
        except BaseException:
            watch.on = False  # formatting the traceback compiles
            failures.append(f"mutation {index}: {traceback.format_exc(limit=-4)}")
        finally:
            watch.on = False
            signal.setitimer(signal.ITIMER_PROF, 0)
        slowest = max(slowest, time.process_time() - start)
    grown = (_peak() - before) >> 10
    return {"file": target, **outcomes, "slowest_s": round(slowest, 3), "grown_mib": grown, "failures": failures}


def _too_long(signum: int, frame: FrameType | None) -> None:
    raise TimeoutError(f"takes more than {SECONDS} s")


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _address_space() -> int:
    pages = Path("/proc/self/statm").read_text().split()[0]
    return int(pages) * resource.getpagesize()


def main() -> None:
    """Fuzz every file that is named, or a tiny one of each format."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("files", nargs="*", metavar="[FAMILY=]FILE")
    parser.add_argument("--mutations", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    signal.signal(signal.SIGPROF, _too_long)
    watch, failed = Watch(), False
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        files: list[str] = options.files or list(map(str, write_all(folder).values()))
        for target in files:
            family, _, name = target.rpartition("=")
            attempt(Path(name), family)  # what is imported on first use
        limit = _address_space() + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        for target in files:
            result = fuzz(target, options.mutations, options.seed, watch, folder)
            failures = [*result.pop("failures"), *watch.seen]
            failed = failed or bool(failures)
            print(json.dumps(result), *failures[:5], sep="\n", flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
