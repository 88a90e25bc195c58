"""Folders that are written aside and renamed, so that a full disk or a kill never leaves half of one.

May import contracts only.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from minegan_zoo.contracts import MineganError


@contextmanager
def written_aside(folder: Path) -> Iterator[Path]:
    """Yield an empty folder that takes the place of `folder` when the block ends well; else nothing changes.

    Raises MineganError where the disk does not take it; what stood at `folder` before is then still there.
    """
    aside: Path | None = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        yield aside
        # temporary folders and safetensors' files would stay hidden from other users
        mask = _umask()
        aside.chmod(0o777 & ~mask)
        for path in aside.rglob("*"):
            if path.is_file():
                path.chmod(0o666 & ~mask)
                _flush(path)
        _swap_in(aside, folder)
    except OSError as error:
        raise MineganError(
            f"cannot write {folder}: {error.strerror or error}. What was saved before is untouched: free some space or "
            "choose another place, then run the same command again."
        ) from error
    finally:
        if aside is not None:
            shutil.rmtree(aside, ignore_errors=True)


def clear_leftovers(folder: Path) -> None:
    """Remove what a killed process left of its attempt to write `folder`; nobody may be writing it now."""
    for left in folder.parent.glob(f".{folder.name}-*"):
        shutil.rmtree(left, ignore_errors=True)


def _swap_in(aside: Path, folder: Path) -> None:
    if not folder.exists():
        aside.rename(folder)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        folder.rename(old)
        try:
            aside.rename(folder)
        except OSError:
            with suppress(OSError):
                old.rename(folder)
            raise
    finally:
        shutil.rmtree(old, ignore_errors=True)


def _flush(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
