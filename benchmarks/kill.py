"""SIGKILL at random points of a real run, resumed by the same command: does it end as an undisturbed one does?

    python benchmarks/kill.py --kills 50 --out kill.json

A run of three small sources (mining, finetuning of a sparse sub-network, ADA, states at every third step) is killed so
many times, somewhere between its start and its end, then left to finish. Exits with 1 unless every file of the model
folder equals the undisturbed run's, byte for byte. One thread, on the CPU.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

SOURCES = ("progan.tiny", "biggan.tiny", "stylegan2.tiny")
OPTIONS = (
    "training.state_every=3", "training.samples_every=20", "training.watch_every=25", "training.fid_samples=0",
    "training.log_every=1", "miner.width=16",
)  # fmt: skip


def command(folder: Path, target: Path, steps: int) -> list[str]:
    settings = [part for option in OPTIONS for part in ("--set", option)]
    return [
        sys.executable, "-m", "minegan_zoo", "mine", *SOURCES, "--target", str(target), "--out", str(folder),
        "--strategy", "minegan++", "--augmentation", "ada", "--steps", str(steps), "--batch", "4", *settings,
    ]  # fmt: skip


def start(folder: Path, target: Path, steps: int) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command(folder, target, steps), env=environment, stderr=subprocess.DEVNULL)


def steps_told(folder: Path) -> tuple[int, int]:
    """The file of events, which every life begins anew, and how many steps it tells."""
    with suppress(FileNotFoundError), (folder / "metrics.jsonl").open() as file:
        return os.fstat(file.fileno()).st_ino, file.read().count('"event": "step"')
    return 0, 0


def kill_and_resume(folder: Path, target: Path, steps: int, kills: int, rng: random.Random) -> list[dict[str, Any]]:
    """Start, kill, start again ...; what each kill met."""
    found: list[dict[str, Any]] = []
    while len(found) < kills:
        process, begun = start(folder, target, steps), time.monotonic()
        wait, (before, _) = rng.uniform(0, 2.5), steps_told(folder)
        # most kills hit training or the writing of states, some the set-up
        early, first = rng.random() < 0.1, None
        while not early and process.poll() is None:
            file, told = steps_told(folder)
            first = told if file != before and first is None else first
            if first is not None and told > first:
                break
            time.sleep(0.02)
        time.sleep(wait)
        if process.poll() is not None:
            raise SystemExit(
                f"the run ended by itself ({process.returncode}) after {len(found)} kills: give it more --steps"
            )
        process.send_signal(signal.SIGKILL)
        process.wait()
        states = sorted(path.name for path in (folder / "state").glob("[0-9]*"))
        found.append({"after_seconds": round(time.monotonic() - begun, 2), "states": states})
        print(f"kill {len(found)}: state {states[-1] if states else 'none yet'}", flush=True)
    if start(folder, target, steps).wait() != 0:
        raise SystemExit(f"the run did not resume after {kills} kills")
    return found


def differences(one: Path, other: Path) -> list[str]:
    """Tensors of two model folders that are not equal, bit for bit."""
    files = sorted(path.relative_to(one) for path in one.rglob("*.safetensors"))
    unlike = []
    for file in files:
        mine, theirs = load_file(one / file), load_file(other / file)
        unlike += [f"{file}: {name}" for name in mine if not torch.equal(mine[name], theirs[name])]
    return unlike


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        pixels = torch.randint(0, 256, (40, 3, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
        save_file({"images": pixels}, root / "target.safetensors")
        target = root / "target.safetensors"
        kills = kill_and_resume(
            root / "killed", target, arguments.steps, arguments.kills, random.Random(arguments.seed)
        )
        if start(root / "undisturbed", target, arguments.steps).wait() != 0:
            raise SystemExit("the undisturbed run failed")
        unlike = differences(root / "undisturbed" / "model", root / "killed" / "model")
    result = {"kills": len(kills), "steps": arguments.steps, "unequal_tensors": unlike, "met": kills}
    if arguments.out:
        arguments.out.write_text(json.dumps(result, indent=2) + "\n", "utf-8")
    print(f"{len(kills)} kills, {len(unlike)} tensors differ from the undisturbed run's")
    raise SystemExit(1 if unlike else 0)


if __name__ == "__main__":
    main()
