"""The parts of a mined model, as abstract classes to mix into modules. Never imports torch at run time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from minegan_zoo.contracts.specs import Code, ImageSpec, LatentSpace, LoadedFrom, MineganError

if TYPE_CHECKING:
    from torch import Generator, Tensor
    from torch.nn import Parameter

T = TypeVar("T")


class Shared(Generic[T]):
    """Holds `value` so that `nn.Module` does not register it and `copy.deepcopy` does not copy it.

    A source keeps its discriminator in one: the discriminator is not part of the generator's parameters.
    """

    def __init__(self, value: T) -> None:
        self.value = value

    def __deepcopy__(self, memo: dict[int, Any]) -> Shared[T]:
        return self


class GeneratorSource(ABC):
    """A pretrained generator, to be mixed into an `nn.Module`: code -> images.

    In `eval()` mode batch norm runs on stored statistics, in `train()` mode on the batch's; nothing else may depend on
    the mode.
    """

    image: ImageSpec
    latents: Mapping[str, LatentSpace]
    inputs: tuple[frozenset[str], ...]
    """The key sets that `synthesize` accepts, the default first."""
    per_layer_keys: frozenset[str] = frozenset()
    """The one of them with a code of its own for every layer, such as {w+}; empty where there is none. It reaches
    images that no single code makes (W+: Abdal et al., 2019, arXiv 1904.03189)."""
    num_classes: int = 0
    """0 = unconditional."""
    loaded_from: LoadedFrom | None = None
    trained_on: frozenset[str] = frozenset()
    """Digests of images that it is known to have been trained on; of a checkpoint from elsewhere, and of a
    pretrained folder, nobody knows any."""
    checkpoint_format: str = ""
    """Whose format the weights came in, in a few words; set by the family's builder."""
    lr_scale: float = 1.0
    """What learning rates are multiplied with for this network: 1 where its own are equalized (Karras et al., 2018)."""
    finetuned_psi: float = 1.0
    """How much wider base noise is better drawn once it is finetuned, which narrows what it makes of its prior, where
    that was measured; 1 also where the length of z is lost on it. (BigGAN's truncation trick, the other way round.)"""

    @abstractmethod
    def prior(self, n: int, keys: frozenset[str], rng: Generator) -> dict[str, Tensor]:
        """The unmined baseline: draw (n, *shape) for every key, from `rng` alone, on the source's own device."""

    @abstractmethod
    def synthesize(self, code: Code) -> Tensor:
        """Images (n, C, H, W), float32, never clamped; differentiable in every tensor of `code`.

        Row i depends on row i of the code only, and the same code gives the same image (but for `noise="random"`).
        Raises MineganError when the keys are no member of `inputs`.
        """

    @abstractmethod
    def groups(self) -> Mapping[str, list[Parameter]]:
        """Named parts ordered from latent to pixel: a partition of `parameters()`. Names hold no slash."""

    def class_codes(self, labels: Tensor) -> Tensor:
        """(n,) int64 labels -> the "class" space (n, *shape); (n, attributes) where there are several."""
        raise MineganError(f"{type(self).__name__} is unconditional: it has no class codes")

    def own_critic(self) -> Critic | None:
        """Its pretrained discriminator, the same object at each call; None where there is none."""
        return None

    def config(self) -> Mapping[str, Any] | None:
        """What besides the tensors rebuilds this network, as JSON values.

        Where this is not None, the family's builder reads folders written by `minegan_zoo.weights.write_source`.
        Otherwise a saved source is rebuilt by the builder call that first made it, then given the saved tensors.
        """
        return None

    def reset_parameters(self) -> None:
        """Draw every weight anew from the family's initial distribution, for training from scratch."""
        raise MineganError(f"{type(self).__name__} cannot be trained from scratch: it defines no reset_parameters()")


class Critic(ABC):
    """Images -> one real number a sample, to be mixed into an `nn.Module`."""

    image: ImageSpec
    num_classes: int = 0
    lr_scale: float = 1.0
    """As a source's."""
    lower_groups: Sequence[str] = ()
    """The first of `groups()`, which had better stay as they are while its source is finetuned to another domain, where
    that was tried and helps (FreezeD, Mo et al., 2020, arXiv 2002.10964)."""
    relativistic: bool = False
    """Whether its source was measured to be mined better with fakes scored against real images (R3GAN, Huang et al.,
    2025, arXiv 2501.05441)."""

    @abstractmethod
    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """(n, C, H, W) in [-1, 1] -> (n,) for any n >= 1; without labels a class term is left out.

        Minibatch statistics use the reference's grouping where it divides n, else the largest divisor of n below it.
        """

    @abstractmethod
    def groups(self) -> Mapping[str, list[Parameter]]:
        """Named parts ordered from pixel to score: a partition of `parameters()`. Names hold no slash."""

    def forward_features(self, images: Tensor) -> Tensor:
        """(n, C, H, W) -> (n, d): what the score is read from. Critics that show it can be given new classes."""
        raise MineganError(f"{type(self).__name__} shows no features: use another critic, such as 'conv'")

    def forward_head(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        """(n, d) -> (n,): `forward` is the head of the features."""
        raise MineganError(f"{type(self).__name__} shows no features: use another critic, such as 'conv'")

    def reset_parameters(self) -> None:
        """Draw every weight anew, for training from scratch."""
        raise MineganError(f"{type(self).__name__} cannot be trained from scratch: it defines no reset_parameters()")


class Miner(ABC):
    """Base noise u ~ N(0, I) -> the code of one source, to be mixed into an `nn.Module`. No batch statistics."""

    noise_dim: int
    num_classes: int = 0
    """How many classes of the target it is conditioned on; 0 = it ignores labels."""

    @abstractmethod
    def forward(self, u: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        """(n, noise_dim), labels (n,) -> exactly the latent spaces that the miner was built for, each (n, *shape)."""

    def start_from(self, draws: Code) -> None:  # noqa: B027 - a miner may begin anywhere
        """Draws (m, *shape) of those spaces whose prior a spec does not tell: "class-embedding" and "mapped".

        Called once, before a run's first step, so that a miner can begin at their mean and scale; what it keeps of them
        belongs to its state_dict. Default: nothing.
        """


class Selector(ABC):
    """Which source a sample comes from; to be mixed into an `nn.Module`. S sources, n base noises.

    Scores are (S, n) with -inf where a pair was not proposed.
    """

    num_sources: int
    settle_draws: int = 0
    """How many fresh draws to score for `settle`."""
    share_samples: int = 0
    """How many samples of each source to compare with the target for `share`; 0: it is not called."""

    def propose(self, n: int, rng: Generator) -> Tensor:
        """Bool (S, n): which pairs to score, at least one in every column. Default: all."""
        import torch

        return torch.ones(self.num_sources, n, dtype=torch.bool)

    @abstractmethod
    def critic_weights(self, scores: Tensor) -> Tensor:
        """(S, n), columns on the simplex: what the critic sees. Zero = the pair is not run; -inf gets no weight."""

    def miner_weights(self, scores: Tensor) -> Tensor:
        """(S, n), columns on the simplex: what the miners see. Default: what the critic sees."""
        return self.critic_weights(scores)

    def update(self, scores: Tensor) -> None:  # noqa: B027 - a selector without learning has nothing to do
        """Learn from a step: from the scores by which the critic's last batch was picked or, where nothing was picked,
        those of the images that the miner step ran."""

    def observe(self, u: Tensor, scores: Tensor) -> None:
        """The same scores with the base noise (n, noise_dim) that they belong to. Default: `update`."""
        self.update(scores)

    def settle(self, scores: Tensor) -> None:  # noqa: B027 - most have nothing to do
        """Selection has ended: (S, settle_draws) scores by the model that is kept, -inf of what is dropped.

        It may drop sources.
        """

    def share(self, shares: Tensor) -> None:  # noqa: B027 - most have nothing to do
        """After `settle`: of each source (S,), the part of the target images whose nearest sample is one of its.

        In the critic's features; 0 of what is dropped. Where the critic shows none these are `probabilities`. It may
        drop further sources. A second time with all of it one source's, if that goes on alone (`Stage.alone_above`).
        """

    @abstractmethod
    def probabilities(self) -> Tensor:
        """(S,), sums to one: how often a sample is drawn from each source. Saved with the model."""

    def probabilities_given(self, u: Tensor) -> Tensor:
        """(S, n), columns sum to one: the same for each base noise. Default: `probabilities` for all."""
        return self.probabilities()[:, None].expand(-1, len(u))

    def dropped(self) -> Tensor:
        """Bool (S,): sources that it will never choose again; the run takes them from memory. Default: none."""
        import torch

        return torch.zeros(self.num_sources, dtype=torch.bool)


class Objective(ABC):
    """A loss family. Both losses are minimised and give one value a score, elementwise: what is scored may be
    patches, (n, patches). The selector weighs them.
    """

    critic_steps: int = 1
    """Critic updates per miner update."""
    penalty_every: int = 1
    """The penalty is added at every so-manieth critic update, multiplied by this number (lazy regularisation)."""

    @abstractmethod
    def critic_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """(n, ...), (n, ...) -> the same shape: real and fake scores, paired."""

    @abstractmethod
    def miner_loss(self, fake: Tensor) -> Tensor:
        """(n, ...) -> the same shape."""

    def miner_loss_paired(self, real: Tensor, fake: Tensor) -> Tensor:
        """`miner_loss` for families that compare fakes with real images: (n, ...), (n, ...) -> the same shape.

        `real` are the scores, without a graph, that the critic gave before its update to the real images of the same
        rows, whatever their classes. A critic that is not trained gives none: then `miner_loss` is taken.
        """
        return self.miner_loss(fake)

    def realness(self, real: Tensor, fake: float) -> Tensor:
        """(n,) scores of real images, the mean of fakes -> (n,): above 0 where the critic takes an image to be real.

        What adaptive augmentations go by. Default: the scores, for a family whose scores have a meaningful zero.
        """
        return real

    def penalty(self, critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> Tensor | None:
        """A scalar, the mean over the images, with a graph to the critic's weights; None where the family has none.
        Images are paired; `critic` is a function alone.
        """
        return None


class Augmentation(ABC):
    """Applied to real and fake images alike before the critic; to be mixed into an `nn.Module`. Differentiable."""

    @abstractmethod
    def forward(self, images: Tensor) -> Tensor:
        """(n, C, H, W) -> the same shape."""

    def update(self, real_scores: Tensor) -> None:  # noqa: B027 - only adaptive augmentations learn
        """Adapt to the critic's scores (n,) of augmented real images, as `Objective.realness` gives them, once a critic
        update."""

    def facts(self) -> Mapping[str, float]:
        """What a run should record of it, beside the losses, after each critic update. Default: nothing."""
        return {}
