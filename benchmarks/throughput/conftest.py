"""Fixtures of the benchmarks: `measure` takes rivals' times in turn, `keep` writes what a test found."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import torch
from quality.commit import commit

from throughput import results
from throughput.results import Keep, Record
from throughput.timing import Call, Measure, Times, interleaved

_KEPT = pytest.StashKey[dict[str, list[Record]]]()
_COMMIT = pytest.StashKey[str]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("throughput")
    group.addoption("--quick", action="store_true", help="One round of small sizes: does everything run?")
    group.addoption("--dry", action="store_true", help="Print the numbers, write no results.")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_KEPT] = {}
    config.stash[_COMMIT] = commit()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1)))


@pytest.fixture
def quick(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--quick"))


@pytest.fixture
def keep(request: pytest.FixtureRequest) -> Iterator[Keep]:
    """Remember one number for the results of the test's file, which are written when the test has ended."""
    config, group = request.config, request.path.stem.removeprefix("bench_")
    found: list[Record] = []
    yield found.append
    config.stash[_KEPT].setdefault(group, []).extend(found)
    if found and not (config.getoption("--quick") or config.getoption("--dry")):
        results.write(group, found, config.stash[_COMMIT])


@pytest.fixture
def measure(benchmark: Any, quick: bool) -> Measure:
    """(rivals, rounds) -> their times, in turn; pytest-benchmark shows the time of all of it."""

    def run(rivals: Mapping[str, Call], rounds: int, warmup: int = 1) -> dict[str, Times]:
        few = 1 if quick else rounds
        taken: dict[str, Times] = benchmark.pedantic(interleaved, args=(rivals, few, warmup), rounds=1, iterations=1)
        return taken

    return run


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for group, records in config.stash[_KEPT].items():
        terminalreporter.section(group)
        for record in records:
            spread = "" if record.low is None else f"  [{record.low:.3g} ... {record.high:.3g}]"
            cpu = "" if record.cpu is None else f"  cpu {record.cpu:.3g}"
            terminalreporter.write_line(
                f"{record.case:60} {record.value:10.4g} {record.unit}{spread}{cpu}  {record.note}"
            )
