"""What a run's configuration is made of: entries by name, sources, the trainer's own settings. May import contracts,
run_folder and weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from minegan_zoo.contracts import MineganError
from minegan_zoo.run_folder import MODEL
from minegan_zoo.weights import family_of, is_source_folder

RELATIVISTIC = "relativistic"  # the option of an objective by which fakes are scored against real images
PER_LAYER = "per_layer"  # that of a strategy by which a code is mined for every layer
NEW = (RELATIVISTIC, PER_LAYER)  # older runs did not know them, and did as where they are false


@dataclass(frozen=True)
class Choice:
    """An entry by name, with its options."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class SourceChoice:
    """A source by name, with its weights and options."""

    name: str
    weights: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> SourceChoice:
        """`name`, `name=weights` or a folder, as the command line takes it: of a source, or of the run that made it.

        Such a folder names its family itself. One whose name holds "=" is meant as a whole.
        """
        name, separator, weights = text.partition("=")
        if not separator or Path(text).exists():
            for folder in (Path(text), Path(text, MODEL)):
                if folder.is_dir() and is_source_folder(folder):
                    return cls(family_of(folder), str(folder))
            return cls(text)
        if not weights:
            raise MineganError(f"the source {text!r} names no weights after the equals sign")
        return cls(name, weights)


CARRIED_OUT = (
    "state_every", "samples_every", "log_every", "watch_every", "trackers", "fid_samples", "batch_per_device",
    "compile", "channels_last",
)  # fmt: skip
"""Settings of the trainer that a run may change when it is resumed."""


@dataclass(frozen=True)
class Training:
    """What the trainer itself can be told, whatever the method."""

    ema_images: int = 10_000
    """Half-life of the averaged weights, in generated images."""
    ema_rampup: float = 0.15
    """The half-life is at most this share of the images generated so far."""
    beta1: float = 0.0
    beta2: float = 0.99
    """Adam's betas."""
    state_every: int = 200
    """Steps between resumable states."""
    samples_every: int = 200
    """Steps between sample grids."""
    log_every: int = 10
    """Steps between lines of metrics.jsonl."""
    precision: Literal["no", "bf16"] = "no"
    """What the forward passes are computed in; "no" is float32."""
    batch_per_device: int | None = None
    """The most images that a device takes at once; a larger share of the batch is run in pieces."""
    compile: bool = False
    """Run sources and critic through `torch.compile`, where it works."""
    channels_last: bool = False
    """Keep convolutions' memory in channels-last order."""
    psi: float | None = None
    """What the base noise of the model's samples is multiplied with; left open, as the strategy has it."""
    hold_out: float = 0.1
    """Share of the target images that is never trained on, where there are at least 20: to watch memorisation, and for
    rules that end a stage."""
    watch_every: int = 200
    """Steps between looks at memorisation, diversity and the critic; 0 = never."""
    trackers: tuple[str, ...] = ("tensorboard",)
    """Experiment trackers, by the names that accelerate gives them."""
    fid_samples: int = 1000
    """Images generated for each FID in the report; 0 leaves it out."""

    def computed(self) -> Training:
        """With the defaults of all that says how a run is carried out and recorded, not what it computes.

        Samples as wide as what was trained on are those of a run that does not say.
        """
        usual = Training()
        psi = None if self.psi == 1 else self.psi
        return replace(self, psi=psi, **{name: vars(usual)[name] for name in CARRIED_OUT})

    def check(self) -> None:
        """MineganError where a value is out of its range."""
        least = {"state_every": 1, "samples_every": 1, "log_every": 1, "batch_per_device": 1, "ema_images": 0}
        for name, bound in (least | {"watch_every": 0, "fid_samples": 0, "ema_rampup": 0.0, "psi": 0.0}).items():
            value = vars(self)[name]
            if value is not None and not value >= bound:
                raise MineganError(f"training.{name} must be at least {bound}, not {value}")
        if self.fid_samples == 1:
            raise MineganError("training.fid_samples must be 0 or at least 2: one image has no distribution")
        for name in ("beta1", "beta2", "hold_out"):
            if not 0 <= vars(self)[name] < 1:
                raise MineganError(f"training.{name} must be at least 0 and less than 1, not {vars(self)[name]}")
