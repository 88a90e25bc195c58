"""Which ratios became worse: `python -m throughput.compare BASE` against the results of a commit; exit code 1 for any.

Only what means the same on every machine is compared. A change counts where it is more than the tolerance and, if both
sides have quartiles, these do not overlap.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from throughput.bars import BARS
from throughput.results import FOLDER, Group, Record, read

COMPARABLE = ("x", "share", "%", "packages")
LARGER_IS_BETTER = ("naive / ours", ", batch ", "bfloat16", "compiled", "share of its products")


def regressions(old: Mapping[str, Group], new: Mapping[str, Group], tolerance: float) -> Iterator[str]:
    """One line for each: ratios and shares that are worse or no longer there, bars that were met."""
    for name, group in sorted(old.items()):
        for record in group.records:
            if record.unit in COMPARABLE and not (name in new and new[name].value(record.case)):
                yield f"{name}: {record.case}: {record.value:.3g} {record.unit} -> no longer there"
    for name in sorted(old.keys() & new.keys()):
        for now in new[name].records:
            before = old[name].value(now.case)
            if before is not None and now.unit in COMPARABLE and _worse(before, now, tolerance):
                yield f"{name}: {now.case}: {before.value:.3g} -> {now.value:.3g} {now.unit}"
    for bar in BARS:
        was, found = bar.found(old), bar.found(new)
        if was and found and bar.met(was.value) and not bar.met(found.value):
            yield f"bar: {bar.text} {bar.bound}: {was.value:.3g} -> {found.value:.3g}"


def _worse(before: Record, now: Record, tolerance: float) -> bool:
    larger_is_better = any(part in now.case for part in LARGER_IS_BETTER)
    better, worse = (before, now) if larger_is_better else (now, before)
    if None not in (before.low, before.high, now.low, now.high):
        assert better.low is not None and worse.high is not None
        if worse.high >= better.low:
            return False
    absolute = 1.0 if now.unit == "%" else 0.0
    return better.value > worse.value * (1 + tolerance) + absolute


def main() -> None:
    """Compare, print, exit."""
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("base", help="a commit, or a folder of results")
    parser.add_argument("--tolerance", type=float, default=0.1, help="what noise may do")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        base = Path(arguments.base)
        if not base.is_dir():
            base = Path(folder)
            _check_out(arguments.base, base)
        old = read(base)
        if not old:
            raise SystemExit(f"there are no results at {arguments.base}")
        lines = list(regressions(old, read(), arguments.tolerance))
    print("\n".join(lines) or "nothing became worse")
    raise SystemExit(1 if lines else 0)


def _check_out(commit: str, folder: Path) -> None:
    """The results of a commit, into `folder`."""

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=FOLDER, check=False, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{commit} is neither a folder nor a commit: {done.stderr.strip()}")
        return done.stdout

    for name in git("ls-tree", "--name-only", commit, "./").split():
        (folder / name).write_text(git("show", f"{commit}:./{name}"), "utf-8")


if __name__ == "__main__":
    main()
