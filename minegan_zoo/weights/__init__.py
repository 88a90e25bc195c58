"""Weights: fetch them, read any checkpoint as an inert tree, keep them in our own folder.

No architecture names here. Importing this package loads no torch: names are resolved on first use. Its files import
`minegan_zoo.contracts` and each other only.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from minegan_zoo.weights.checkpoint import read_checkpoint
    from minegan_zoo.weights.digest import verify
    from minegan_zoo.weights.folder import SavedSource, family_of, is_source_folder, read_source, write_source
    from minegan_zoo.weights.loading import load_strict
    from minegan_zoo.weights.record import Record, module_tensors
    from minegan_zoo.weights.reference import fetch

__all__ = [
    "Record",
    "SavedSource",
    "family_of",
    "fetch",
    "is_source_folder",
    "load_strict",
    "module_tensors",
    "read_checkpoint",
    "read_source",
    "verify",
    "write_source",
]

_HOMES = {
    "Record": "record",
    "module_tensors": "record",
    "read_checkpoint": "checkpoint",
    "SavedSource": "folder",
    "family_of": "folder",
    "is_source_folder": "folder",
    "read_source": "folder",
    "write_source": "folder",
    "load_strict": "loading",
    "fetch": "reference",
    "verify": "digest",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
