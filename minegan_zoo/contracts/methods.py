"""A method of transfer: its stages, their regularisers and rules, and what it may touch. Never imports torch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from minegan_zoo.contracts.parts import Critic, GeneratorSource, Miner, Selector
from minegan_zoo.contracts.specs import Code, ImageSpec

if TYPE_CHECKING:
    from torch import Generator, Tensor


@dataclass(frozen=True)
class Batch:
    """What a regulariser may look at in a miner step: m images of n base noises."""

    u: Tensor  # (n, noise_dim)
    codes: Mapping[int, Code]  # source -> name -> (its rows, *shape)
    source: Tensor  # (m,) of each image
    row: Tensor  # (m,) its row of u
    images: Tensor  # (m, C, H, W) canonical
    scores: Tensor  # (m,)
    labels: Tensor | None  # (m,)
    share: float  # of the step's whole batch: a mean over these images counts this much
    mined: Callable[[], Mapping[int, Code]] = dict
    """Source -> what its miner makes of all base noises of the step's whole batch, of which this may be a piece."""


class Regulariser(ABC):
    """A term of the miner's loss. One that has weights is also an `nn.Module`; they are the group "regularisers/I"."""

    def prepare(self, run: Run) -> None:  # noqa: B027 - most need nothing
        """Called before its stage begins, and again when a run is resumed: keep what is needed of the frozen start."""

    @abstractmethod
    def __call__(self, batch: Batch) -> Tensor:
        """A scalar: the mean over the batch's images, added to the miner's loss as it is."""


@dataclass(frozen=True)
class Plateau:
    """A rule to end a stage before its steps are over: held-out target images are no longer approached.

    Every `every` steps the kernel distance (KID, bundled features) between samples and target images that are never
    trained on is measured; the stage ends when its best value is `patience` measurements old.
    """

    every: int = 50
    patience: int = 4


@dataclass(frozen=True)
class Stage:
    """A stretch of training in which the same parameters are free."""

    name: str
    steps: int
    train: Mapping[str, float]
    """Pattern over groups ("miners", "critic", "sources/*/body.*") -> Adam's learning rate.

    A part after a colon picks parameters by their names within the group's module: "sources/*:*.bias". Later patterns
    win.
    """
    until: Plateau | None = None
    """What may end the stage before its steps are over."""
    regularisers: tuple[Regulariser, ...] = ()
    critic_regularisers: tuple[Regulariser, ...] = ()
    """Terms of the critic's loss; their batch holds the fakes that it was shown, without a graph."""
    adversarial: bool = True
    """False: no critic and no adversarial term; the regularisers are the whole loss."""
    select: bool = True
    """The selector picks and learns; otherwise sources are drawn by its probabilities, which stay as they are."""
    batch_stats: bool = False
    """Sources normalise by batch statistics (training from scratch) instead of the stored ones."""
    undo_above: float | None = None
    """Undo the mining of a lone source that did not pay, in a stage that trains miner and critic alone.

    Where it began with the source's own samples and its end has left more than this share of their distance (KID) to
    the training images, both are put back to where they began, and the miner stays there. It is not measured of
    several sources, of a target with classes, and with fewer than 5 or more than 5000 training images.
    """
    alone_above: float | None = None
    """Go on with one of several sources, none of which covers the target, after a stage that trains miners and critic.

    None does where the distance (KID to the training images) of what they make together is, with their miners, more
    than this share of what it is without, and no source alone is at more than twice that. The one goes on whose own
    distance its miner shortened the most, as a share, and where none was shortened by a tenth, the nearest. It is
    given all of the target (`Selector.share`), by a selector with `share_samples`, when selection has ended; not of a
    target with classes, nor with fewer than 5 or more than 5000 training images.
    """


@dataclass(frozen=True)
class Run:
    """What `Strategy.prepare` may touch."""

    sources: Sequence[GeneratorSource]
    miners: Sequence[Miner]
    """One a source; none for a strategy that does not mine."""
    critic: Critic
    selector: Selector
    rng: Generator
    noise_dim: int
    target: Tensor
    """The training images (N, C, R, R), uint8, canonical."""
    target_labels: Tensor | None
    """(N,)"""
    image: ImageSpec
    """The canonical image."""
    sample: Callable[[int, Generator], tuple[Tensor, Code]]
    """(n, rng) -> what the model makes now, canonical (n, C, R, R) with a graph, of one source by the selector's
    probabilities, and its code."""
    undone: bool = False
    """An earlier stage's mining was undone: the miner makes the source's own samples, and is not trained."""
    psi: float = 1.0
    """What the base noise of samples will be multiplied with."""


class Strategy(ABC):
    """A method of transfer: which parameters are trained, when, how fast."""

    mines: bool = True
    """False: no miners, codes come from each source's prior."""
    miner: str = ""
    """The miner that it is defined with, which then takes the place of the run's; empty: the run's."""
    freezes_critic: bool = False
    """Whether layers of any critic stay as they begin, which is of use where they have been trained before."""
    default_steps: int = 1000

    def for_sources(self, count: int) -> None:  # noqa: B027 - to most, one source is as good as several
        """Told how many sources the run has, before its stages are asked for."""

    @abstractmethod
    def stages(self, steps: int) -> tuple[Stage, ...]:
        """Stages whose steps sum to `steps`."""

    def notes(self, steps: int) -> tuple[str, ...]:
        """What its user should know of a run of so many steps; each is said once, when the run starts."""
        return ()

    def augmentation(self, images: int) -> str:
        """The augmentation entry, with its defaults, that an adversarial run takes which names none; empty: nothing.

        `images`: how many are trained on, after some were held out.
        """
        return ""

    def per_layer(self, images: int) -> bool:
        """Whether miners that can do so make a code for every layer of the sources that take one.

        An option of that name, `per_layer: bool | None = None`, is recorded as what became of it; `images` as in
        `augmentation`.
        """
        return False

    def relativistic(self, critic: Critic, images: int) -> bool:
        """Whether fakes are scored against real images where the run leaves that open.

        It is asked for objectives with an option `relativistic: bool | None = None`; `images` as in `augmentation`.
        """
        return False

    def psi(self, sources: Sequence[GeneratorSource], images: int) -> float:
        """What samples' base noise is multiplied with where the run leaves that open; `images` as in `augmentation`."""
        return 1.0

    def prepare(self, stage: Stage, run: Run) -> None:  # noqa: B027 - most strategies change nothing
        """Called before a stage begins; may change modules in place.

        Called again when a run is resumed, before the saved tensors are loaded: what it found by running the model it
        then has from `restore`.
        """

    def trainable(self, stage: Stage, run: Run) -> Mapping[str, float]:
        """The stage's `train` now that its parts are known and prepared, for patterns that depend on them."""
        return stage.train

    def noise(self, stage: Stage, step: int, u: Tensor, rng: Generator) -> Tensor:
        """The base noise that step `step` of a stage trains on, given u ~ N(0, I); (n, noise_dim) both."""
        return u

    def scores(
        self,
        stage: Stage,
        step: int,
        critic: Callable[[Tensor, Tensor | None], Tensor],
        images: Tensor,
        labels: Tensor | None,
    ) -> Tensor:
        """What a step reads from the critic for images (n, C, R, R), in place of the critic's own scores: (n,), or
        (n, patches), whose losses are averaged over an image; a penalty is taken of an image's mean score.
        """
        return critic(images, labels)

    def state(self) -> Mapping[str, Any]:
        """What `prepare` found by running the model, as a tree of tensors and plain values; saved with the run."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:  # noqa: B027 - nothing was saved
        """The reverse, before `prepare` is called again."""

    def summary(self) -> Mapping[str, Any]:
        """What the report should say of it, as JSON values; asked for when a stage has begun."""
        return {}

    def finish(self, run: Run) -> None:  # noqa: B027 - most strategies add nothing
        """Called with the model that is kept: fold what `prepare` added, so that its parts are plain again."""
