"""Experiment trackers by the names that accelerate gives them: tensorboard, wandb, mlflow, ... Imports contracts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minegan_zoo.contracts import MineganError

if TYPE_CHECKING:
    from accelerate.tracking import GeneralTracker

PROJECT = "minegan_zoo"


def check_trackers(names: Sequence[str]) -> None:
    """MineganError for a name that accelerate does not know and for one whose package is not installed."""
    from accelerate.tracking import LOGGER_TYPE_TO_CLASS, get_available_trackers
    from accelerate.utils import LoggerType

    available = [str(tracker.value) for tracker in get_available_trackers()]
    for name in names:
        if name not in LOGGER_TYPE_TO_CLASS:
            raise MineganError(
                f"unknown tracker {name!r} in training.trackers; known: {', '.join(LOGGER_TYPE_TO_CLASS)}"
            )
        # what its user has registered with accelerate brings no package
        if name not in available and name in [str(kind.value) for kind in LoggerType]:
            raise MineganError(f"the tracker {name!r} in training.trackers is not installed: pip install {name}")


def open_trackers(
    names: Sequence[str], folder: Path, config: Mapping[str, Any], resumed_at: int | None
) -> list[GeneralTracker]:
    """Start the trackers `names`, which are checked; those that log to files do so below `folder`."""
    from accelerate.tracking import LOGGER_TYPE_TO_CLASS, TensorBoardTracker

    trackers: list[GeneralTracker] = []
    for name in names:
        kind = LOGGER_TYPE_TO_CLASS[name]
        if kind is TensorBoardTracker:
            purge = None if resumed_at is None else resumed_at + 1
            tracker: GeneralTracker = kind("tensorboard", str(folder), purge_step=purge)
        else:
            tracker = kind(PROJECT, str(folder)) if kind.requires_logging_directory else kind(PROJECT)
        tracker.start()
        if kind is not TensorBoardTracker and resumed_at is None:
            tracker.store_init_configuration(dict(config))
        trackers.append(tracker)
    return trackers
