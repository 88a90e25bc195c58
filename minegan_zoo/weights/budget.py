"""What reading one file may cost, so that a small hostile file cannot ask for much. May import contracts only."""

from __future__ import annotations

from minegan_zoo.contracts import MineganError

STEPS = 2_000_000
"""Pickle opcodes and what weighs like one; public checkpoints take some ten thousand."""
SPARE_BYTES = 1 << 20


class Budget:
    """Steps (time, small objects) and bytes (copies of what the file holds) that are left for one file."""

    def __init__(self, file_bytes: int) -> None:
        self._steps = STEPS
        self._bytes = 2 * file_bytes + SPARE_BYTES

    def step(self, count: int = 1) -> None:
        """Spend steps; raises MineganError when none are left."""
        self._steps -= count
        if self._steps < 0:
            raise MineganError(f"takes more than {STEPS} steps to read: it is no checkpoint, or a hostile one")

    def copy(self, count: int) -> None:
        """Spend bytes of memory beyond the mapped file; raises MineganError when none are left."""
        self._bytes -= count
        if self._bytes < 0:
            raise MineganError("unpacks to much more than its size: it is no checkpoint, or a hostile one")
