"""What a ProGAN is made of, as data: widths, latents and the dialect its weights were trained in; no torch.

Both networks are rebuilt from these records, which is what a source folder keeps. Imports contracts.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from minegan_zoo.contracts import ImageSpec, LatentSpace, MineganError

DialectName = Literal["paper", "gan_zoo", "rosinality"]


@dataclass(frozen=True)
class Dialect:
    """Where implementations of Progressive GAN (Karras et al., arXiv 1710.10196) differ."""

    scaled_bias: bool
    """Equalised learning rate multiplies the bias too."""
    norm_first: bool
    """Pixel norm before the activation instead of after it."""
    plain_rgb: bool
    """RGB layers and the head are not equalised."""
    linear_gain: float
    """Equalising gain of layers without activation."""
    start_gain: float
    """Equalising gain of latent -> 4x4, where the fan-in counts the latent's dimensions."""
    start_bias: Literal["pixel", "channel"]
    joint_norm: bool
    """The class code is normalised together with z."""
    from_rgb_activation: bool
    widen_first: bool
    """A critic block changes its width in the first convolution instead of the second."""
    statistics: Literal["features", "images"]
    """Minibatch standard deviation: of the 4x4 features in groups of 4, or of all input images."""
    leftover: Literal["whole", "divisor"]
    """A batch that 4 does not divide: one group, or groups of the largest divisor below 4."""
    fades_second: bool
    """The critic fades at 8x8 too (pytorch_GAN_zoo's does not)."""


MOST_LEVELS = 12
MOST = 1 << 20
"""What a file may claim before its tensors are compared with it."""
_GAIN = math.sqrt(2)
DIALECTS: Mapping[str, Dialect] = {
    "paper": Dialect(
        scaled_bias=False,
        norm_first=False,
        plain_rgb=False,
        linear_gain=1.0,
        start_gain=_GAIN / 4,
        start_bias="channel",
        joint_norm=False,
        from_rgb_activation=True,
        widen_first=False,
        statistics="features",
        leftover="divisor",
        fades_second=True,
    ),
    "gan_zoo": Dialect(
        scaled_bias=True,
        norm_first=False,
        plain_rgb=False,
        linear_gain=_GAIN,
        start_gain=_GAIN,
        start_bias="pixel",
        joint_norm=True,
        from_rgb_activation=True,
        widen_first=False,
        statistics="features",
        leftover="whole",
        fades_second=False,
    ),
    "rosinality": Dialect(
        scaled_bias=False,
        norm_first=True,
        plain_rgb=True,
        linear_gain=_GAIN,
        start_gain=_GAIN / 4,
        start_bias="channel",
        joint_norm=False,
        from_rgb_activation=False,
        widen_first=True,
        statistics="images",
        leftover="whole",
        fades_second=True,
    ),
}


def _check(what: str, count: int, most: int = MOST) -> None:
    if not 1 <= count <= most:
        raise MineganError(f"progan: {what} must number 1 to {most}, not {count}")


@dataclass(frozen=True)
class Pyramid:
    """What generator and critic have in common."""

    widths: tuple[int, ...]
    """Feature channels at 4x4, 8x8, ... up to the image's resolution."""
    channels: int = 3
    dialect: DialectName = "paper"
    alpha: float = 1.0
    """Share of the highest resolution in a fade between the two highest."""
    rgb_layers: int = 1
    """How many of the highest resolutions have an RGB layer; 2 are in use while alpha is below 1."""
    leak: float = 0.2
    equalized: bool = True

    def __post_init__(self) -> None:
        _check("resolutions", len(self.widths), MOST_LEVELS)
        _check("RGB layers", self.rgb_layers, len(self.widths))
        for width in (self.channels, *self.widths):
            _check("channels", width)
        if self.dialect not in DIALECTS:
            raise MineganError(f"progan: unknown dialect {self.dialect!r}; there are {', '.join(DIALECTS)}")
        if not 0.0 <= self.alpha <= 1.0:
            raise MineganError(f"progan: alpha is the share of the new resolution, from 0 to 1, not {self.alpha}")
        if self.fades and self.rgb_layers < 2:
            raise MineganError(f"progan: no fade (alpha {self.alpha}) without an RGB layer at half of {self.image}")

    @property
    def resolutions(self) -> tuple[int, ...]:
        return tuple(4 << level for level in range(len(self.widths)))

    @property
    def rgb_resolutions(self) -> tuple[int, ...]:
        return self.resolutions[-self.rgb_layers :]

    @property
    def image(self) -> ImageSpec:
        return ImageSpec(self.channels, self.resolutions[-1])

    @property
    def fades(self) -> bool:
        return self.alpha < 1.0 and len(self.widths) > 1

    @property
    def style(self) -> Dialect:
        return DIALECTS[self.dialect]


@dataclass(frozen=True)
class GeneratorPlan(Pyramid):
    """A ProGAN generator."""

    z_dim: int = 512
    attributes: tuple[int, ...] = ()
    """Values of each class attribute; empty = unconditional."""
    class_dim: int = 0
    """Width of the class embedding; 0 = classes enter as (soft) one-hot vectors."""
    tanh: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        for size in (self.z_dim, *self.attributes):
            _check("z dimensions and values an attribute", size)
        if self.class_dim:
            _check("dimensions of the class embedding", self.class_dim)
            _check("attributes with an embedding", len(self.attributes), 1)

    @property
    def num_classes(self) -> int:
        return sum(self.attributes)

    @property
    def latents(self) -> dict[str, LatentSpace]:
        """z of unit mean square; normal where the class is normalised with it, which makes its length count."""
        if not self.attributes:
            return {"z": LatentSpace((self.z_dim,), "sphere")}
        return {
            "z": LatentSpace((self.z_dim,), "normal" if self.style.joint_norm else "sphere"),
            "class": LatentSpace((self.class_dim or self.num_classes,), "class-embedding"),
        }


@dataclass(frozen=True)
class CriticPlan(Pyramid):
    """A ProGAN discriminator."""

    num_classes: int = 0
    projection: bool = False
    """The label's class logit is part of the score, instead of an auxiliary classifier that no score sees."""
    minibatch_std: bool = True


AnyPlan = TypeVar("AnyPlan", GeneratorPlan, CriticPlan)


@dataclass(frozen=True)
class ProGANPlan:
    """Both networks; `critic` is None where a file holds the generator alone."""

    generator: GeneratorPlan
    critic: CriticPlan | None

    def config(self) -> dict[str, Any]:
        """JSON values from which `from_config` makes this plan again."""
        return {
            "generator": dataclasses.asdict(self.generator),
            "critic": None if self.critic is None else dataclasses.asdict(self.critic),
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> ProGANPlan:
        critic = config.get("critic")
        return cls(
            _restored(GeneratorPlan, config.get("generator")), None if critic is None else _restored(CriticPlan, critic)
        )

    def changed(
        self,
        resolution: int | None = None,
        alpha: float | None = None,
        leak: float | None = None,
        equalized: bool | None = None,
        tanh: bool | None = None,
    ) -> ProGANPlan:
        """The same networks up to `resolution` and with these settings; None keeps what is there.

        A fade belongs to the highest resolution: a lower one starts without. Raises MineganError where the pyramid
        does not reach that far or has no RGB layer there.
        """
        generator = _changed(self.generator, resolution, alpha, leak, equalized)
        critic = None if self.critic is None else _changed(self.critic, resolution, alpha, leak, equalized)
        return ProGANPlan(generator if tanh is None else dataclasses.replace(generator, tanh=tanh), critic)


def _restored(kind: type[AnyPlan], values: Any) -> AnyPlan:
    """A plan from its JSON values; what they leave out has the default."""
    defaults = dataclasses.asdict(kind(widths=(1,)))
    if not isinstance(values, Mapping) or not {"widths"} <= set(values) <= set(defaults):
        raise MineganError(f"progan: the source folder's config holds no {kind.__name__}; save the source again")
    restored: dict[str, Any] = {}
    for name, value in values.items():
        default = defaults[name]
        if isinstance(default, tuple):
            whole = isinstance(value, list | tuple) and all(type(item) is int for item in value)
            restored[name] = tuple(value) if whole else value
        else:
            restored[name] = float(value) if isinstance(default, float) and type(value) is int else value
        if type(restored[name]) is not type(default):
            raise MineganError(f"progan: the source folder's config says {name} = {value!r:.80}; save the source again")
    return kind(**restored)


def _changed(
    plan: AnyPlan, resolution: int | None, alpha: float | None, leak: float | None, equalized: bool | None
) -> AnyPlan:
    resolution = plan.image.resolution if resolution is None else resolution
    if resolution not in plan.rgb_resolutions:
        has = ", ".join(map(str, plan.rgb_resolutions))
        raise MineganError(f"progan: these weights give images at resolution {has}, not {resolution}")
    removed = len(plan.widths) - 1 - plan.resolutions.index(resolution)
    if alpha is None:
        alpha = 1.0 if removed else plan.alpha
    return dataclasses.replace(
        plan,
        widths=plan.widths[: len(plan.widths) - removed],
        rgb_layers=plan.rgb_layers - removed,
        alpha=float(alpha),
        leak=plan.leak if leak is None else leak,
        equalized=plan.equalized if equalized is None else equalized,
    )
