"""Stop after the step under way when a person or a cluster asks for it. May import nothing of ours."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, NoReturn


class StopRequest:
    """Within, SIGINT and SIGTERM only set `signal`; a second SIGINT interrupts at once.

    Signals can be caught in the main thread only; elsewhere this does nothing.
    """

    def __init__(self) -> None:
        self.signal = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._receive)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.signal == signal.SIGINT and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal = number


def leave(number: int) -> NoReturn:
    """End as a signal asked: SystemExit(143) for SIGTERM, else KeyboardInterrupt."""
    if number == signal.SIGTERM:
        raise SystemExit(143)
    raise KeyboardInterrupt
