"""A function compiled by torch where that works; where it does not, it runs as it is, which is said once.

Imports nothing of ours.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch


class Compiled:
    """Calls `function` compiled; after a failure to compile, as it is."""

    def __init__(self, function: Callable[..., Any], name: str) -> None:
        self.function, self.name = function, name
        self._compiled: Callable[..., Any] | None = torch.compile(function)

    def __call__(self, *arguments: Any) -> Any:
        if self._compiled is None:
            return self.function(*arguments)
        try:
            return self._compiled(*arguments)
        except RuntimeError as error:  # a mistake in the call itself fails again uncompiled
            result = self.function(*arguments)
            self._compiled = None
            warnings.warn(f"torch.compile does not work for {self.name}, it runs as it is: {error}", stacklevel=2)
            return result
