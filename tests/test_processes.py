"""Several processes on one run equal one; one that is killed ends it with a clear message, and it resumes.

This file is also the script that the processes run: `torchrun ... test_processes.py FOLDER CASE...`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Generator

import minegan_zoo as mz
from minegan_zoo.config import RunConfig
from minegan_zoo.processes import Processes
from minegan_zoo.recorder import read_events
from minegan_zoo.running import run

BINARIES = Path(sys.executable).parent
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
TORCHRUN = [str(BINARIES / "torchrun"), "--standalone", "--nproc-per-node"]
UNLIKE = {"seconds", "images_per_second", "processes", "device"}
"""What a run's records may tell differently."""
NUMBERS = {"critic_loss", "miner_loss", "penalty", "regularisers", "real_score", "fake_score", "kid", "p"}
PAIR = ["progan.tiny", "biggan.tiny"]
QUICK = {"fid_samples": 0, "watch_every": 0, "log_every": 1, "miner.width": 16}
STAGES: list[dict[str, Any]] = [
    {"name": "mine", "share": 0.6, "train": {"miners": 5e-4, "critic": 2e-3}, "until": {"every": 1, "patience": 2}},
    {
        "name": "tune", "share": 0.4, "train": {"sources": 5e-4, "critic": 2e-3}, "select": False,
        "regularisers": [{"name": "l2sp", "weight": 100.0}],
    },
]  # fmt: skip
CASES: dict[str, dict[str, Any]] = {
    # each process scores its own rows and finds other winners
    "max": {
        "sources": PAIR, "critic": "conv", "selector": "partition", "augmentation": "ada",
        "options": {
            "critic.width": 8, "draws": 64, "keep_above": 0.0, "penalty_every": 2, "gamma": 1.0,
            "augmentation.every": 100,
        },
    },
    # fakes meet the real scores of their own process, ada those of all
    "relativistic": {
        "sources": "progan.tiny", "critic": "conv", "strategy": "minegan-noft", "augmentation": "ada",
        "options": {"critic.width": 8, "objective.relativistic": True, "augmentation.every": 100},
    },
    # pieces within processes, a rule that the main process measures, a regulariser, classes
    "mixture": {
        "sources": [*PAIR, "stylegan2.tiny"], "critic": "conv", "objective": "hinge", "labels": True,
        "strategy": "stages",
        "options": {"critic.width": 8, "batch_per_device": 3, "hold_out": 0.3, "stages": STAGES},
    },
    "sparse": {
        "sources": "biggan.tiny", "strategy": "minegan++", "objective": "hinge", "augmentation": "none",
        "options": {"probes": 4},
    },
}  # fmt: skip


COMMAND = [
    "mine", "progan.tiny", "--target", "images.safetensors", "--no-labels", "--out", "killed", "--critic", "conv",
    "--steps", "24", "--batch", "8", "--device", "cpu", "--set", "critic.width=8", "--set", "state_every=3",
    "--augmentation", "none",  # what augmentations draw differs between processes
    # rounding grows with the rates
    "--set", "mine_share=0.4", "--set", "miner_lr=5e-4", "--set", "source_lr=5e-4",
    *(part for name, value in QUICK.items() for part in ("--set", f"{name}={value}")),
]  # fmt: skip


def write_images(place: Path) -> None:
    """Twenty images of two classes as safetensors."""
    images = torch.randint(0, 256, (20, 3, 16, 16), generator=Generator().manual_seed(0), dtype=torch.uint8)
    save_file({"images": images, "labels": torch.arange(20) % 2}, place / "images.safetensors")


def mine(name: str, out: Path, batch: int = 8) -> None:
    """Run a case on the images two folders above."""
    case = {"steps": 4, "labels": False, "resolution": 16, **CASES[name]}
    options = {**QUICK, **case.pop("options")}
    images = out.parent.parent / "images.safetensors"
    mz.mine(case.pop("sources"), images, batch=batch, device="cpu", out=out, options=options, **case)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """As the processes that are compared have: sums depend on it, and Adam makes full steps of their rounding."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with images.safetensors."""
    folder = tmp_path_factory.mktemp("place")
    write_images(folder)
    return folder


# Two equal one


@pytest.fixture(scope="module")
def both(place: Path) -> Path:
    """`place`, where every case was run by one process in one/CASE and by two in two/CASE."""
    command = [*TORCHRUN, "2", __file__, str(place / "two"), *CASES]
    finished = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=300)
    assert finished.returncode == 0, finished.stderr
    (place / "told.txt").write_text(finished.stderr)
    for name in CASES:
        mine(name, place / "one" / name)
    return place


def assert_alike(one: Path, other: Path) -> None:
    """All tensors of two runs, those of their optimizers included, are the same but for rounding."""
    files = sorted(path.relative_to(one) for path in one.rglob("*.safetensors"))
    assert files == sorted(path.relative_to(other) for path in other.rglob("*.safetensors"))
    assert len(files) > 2
    for file in files:
        tensors, others = load_file(one / file), load_file(other / file)
        assert tensors.keys() == others.keys()
        for name, tensor in tensors.items():
            if not name.startswith("/random/"):  # the process's own numbers, which only augmentations draw
                # a gradient near zero is mostly rounding, of which Adam makes steps of full length; where two of a
                # thousand weights step the other way, the pull back to the start, a gradient, differs by a tenth
                moments = name.startswith("/optimizers/")
                share, each = (0.1, 0.0) if moments else (1e-4, 3e-4)  # all weights step by 5e-4, several times
                distance = (tensor.double() - others[name].double()).norm()
                bound = share * tensor.double().norm() + each * tensor.numel() ** 0.5 + 2e-5
                assert distance <= bound, f"{file}, {name}: {distance}"


@pytest.mark.parametrize("name", CASES)
def test_two_processes_train_as_one_with_the_same_batch(name: str, both: Path) -> None:
    assert_alike(both / "one" / name, both / "two" / name)
    one, two = (read_events(both / number / name) for number in ("one", "two"))
    assert [(event["event"], event["step"]) for event in one] == [(event["event"], event["step"]) for event in two]
    assert two[0]["processes"] == 2
    for event, other in zip(one, two, strict=True):
        for fact in event.keys() - UNLIKE:
            if fact in NUMBERS:
                assert other[fact] == pytest.approx(event[fact], rel=1e-2, abs=1e-3), (event["step"], fact)
            else:
                assert other[fact] == event[fact], (event["step"], fact)


def test_the_cases_are_what_they_are_meant_to_be(both: Path) -> None:
    """Different winners, a rule that ended a stage, neurons that were held."""
    shares = [event["p"] for event in read_events(both / "one" / "max") if event["event"] == "step"]
    assert 0 < shares[0][0] < 1
    mixture = read_events(both / "two" / "mixture")
    assert [event["kid"] for event in mixture if event["event"] == "rule"]
    assert all("regularisers" in event for event in mixture if event.get("stage") == "tune" and "p" in event)
    summary = [event["summary"] for event in read_events(both / "two" / "sparse") if event["event"] == "stage"][-1]
    assert {0.0, 1.0} < set(summary["free"].values()), "layers that are held, free, and held in part"


def test_only_the_main_process_writes(both: Path) -> None:
    told = (both / "told.txt").read_text()
    wrote = [line for line in told.splitlines() if line.startswith("another process wrote")]
    assert wrote == [f"another process wrote {both / 'two' / 'marker'}"], "what tells of writing works"
    assert told.count("finetune 4/4") == 2, "max and sparse, told by one process each"
    for name in CASES:
        (tracked,) = (both / "two" / name / "tensorboard").iterdir()
        assert tracked.stat().st_size > 0


def test_a_batch_smaller_than_the_processes_is_refused(both: Path) -> None:
    assert "refused: a batch of 1 cannot be shared by 2 processes" in (both / "told.txt").read_text()
    assert not (both / "two" / "small").exists()


# A process that ends


def test_what_one_process_is_asked_is_asked_of_all(both: Path) -> None:
    assert (both / "told.txt").read_text().count(f"asked {int(signal.SIGTERM)}") == 2


def ranks(launcher: int) -> dict[int, int]:
    """Rank -> process, of the processes that a launcher started."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
            environment = (process / "environ").read_bytes().split(b"\0")
            rank = [int(each[5:]) for each in environment if each.startswith(b"RANK=")]
            if parent == launcher and rank:
                found[rank[0]] = int(process.name)
    return found


def life(place: Path, launcher: list[str], until: int, end: Callable[[int], None]) -> str:
    """Start the command, call `end` with the launcher's process at a step; what was told until all had ended."""
    command = [*launcher, str(BINARIES / "minegan-zoo"), *COMMAND]
    process = subprocess.Popen(command, cwd=place, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True)
    metrics = place / "killed" / "metrics.jsonl"
    while not (metrics.exists() and f'"step", "step": {until},' in metrics.read_text()):
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.02)
    end(process.pid)
    _, told = process.communicate(timeout=120)
    assert process.returncode != 0
    return told


def test_when_a_process_ends_the_others_say_so_and_any_number_resumes(place: Path) -> None:
    def kill(rank: int) -> Callable[[int], None]:
        return lambda launcher: os.kill(ranks(launcher)[rank], signal.SIGKILL)

    def state() -> int:
        (saved,) = (place / "killed" / "state").glob("[0-9]*")
        return int(saved.name)

    # a process is killed: the other one says so, and what was saved is what the next life begins with
    told = life(place, [*TORCHRUN, "2"], 7, kill(1))
    assert "error: another process of this run has ended (process 0 of 2" in told
    assert "Start the same command again: it goes on from the last saved state" in told
    assert state() >= 6 and state() % 3 == 0
    # a cluster preempts the run: all processes save the step under way
    accelerate = [str(BINARIES / "accelerate"), "launch", "--multi_gpu", "--num_machines", "1", "--num_processes", "2"]
    before, told = state(), life(place, accelerate, 12, lambda launcher: os.kill(launcher, signal.SIGTERM))
    assert f"resuming at step {before}" in told
    assert "another process of this run" not in told
    assert state() >= 12
    # one process finishes it as if nothing had been
    config = RunConfig.read(place / "killed" / "config.toml")
    images = place / "images.safetensors"
    run(config, place / "killed", target=images)
    run(config, place / "undisturbed", target=images)
    assert_alike(place / "undisturbed", place / "killed")
    steps = [event["step"] for event in read_events(place / "killed") if event["event"] == "step"]
    assert steps == list(range(1, 25))
    assert not [path for path in (place / "killed").rglob(".*")]


def watch_writing(folder: Path) -> None:
    """Tell of every file that this process opens for writing, makes or renames below `folder`."""

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        writes = event in ("os.mkdir", "os.rename") or (event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR))
        if writes and str(arguments[0]).startswith(str(folder)):
            print(f"another process wrote {arguments[0]}", file=sys.stderr)

    sys.addaudithook(hook)


if __name__ == "__main__":
    if os.environ["RANK"] != "0":
        watch_writing(Path(sys.argv[1]))
    for each in sys.argv[2:]:
        mine(each, Path(sys.argv[1]) / each)
    if os.environ["RANK"] != "0":
        (Path(sys.argv[1]) / "marker").write_text("")
    asked = Processes(cpu=True, precision="no").largest(signal.SIGTERM if os.environ["RANK"] == "1" else 0)
    print(f"asked {asked}", file=sys.stderr)
    try:
        mine("max", Path(sys.argv[1]) / "small", batch=1)
    except mz.MineganError as error:
        print(f"refused: {error}", file=sys.stderr)
