"""A source together with its miner, as a source of the next run. May import what minegan may, and minegan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Generator, Tensor, nn

from minegan_zoo.adoption import inner_critic
from minegan_zoo.contracts import Code, Critic, GeneratorSource, LatentSpace, MineganError, Miner, Shared
from minegan_zoo.minegan import MinedGAN
from minegan_zoo.registry import selectors
from minegan_zoo.run_folder import short_name
from minegan_zoo.sources import key_set


class MinedSource(nn.Module, GeneratorSource):
    """A mined model of one source as a source again: its latent "z" is the base noise u.

    Of a model with K classes, z has K dimensions more: the largest of them names the class.
    """

    def __init__(self, model: MinedGAN, index: int = 0) -> None:
        super().__init__()
        if not model.miner_modules:
            raise MineganError("this model was made without mining: use its source itself")
        self.inner = model.source_modules[index]
        self.miner = model.miner_modules[index]
        self.recipe, self.trained_on = model.recipe, model.trained_on
        self.canonical, self.class_names = model.image, model.class_names
        self.noise_dim = model.noise_dim
        self.image, self.lr_scale = self._source.image, self._source.lr_scale
        self.latents: Mapping[str, LatentSpace] = {"z": LatentSpace((model.noise_dim + self._classes,), "normal")}
        self.inputs = (frozenset({"z"}),)
        adopted = model.recipe.adopted if model.recipe else None
        # the critic that trained the model is this source's own if it was adopted from it, or from nobody
        trained = model.critic if adopted in (None, index) else None
        self._critic = Shared(inner_critic(trained) if trained else self._source.own_critic())
        self._critic_is_source = adopted == index or trained is None

    @property
    def _source(self) -> GeneratorSource:
        return self.inner  # type: ignore[return-value]

    @property
    def _classes(self) -> int:
        return self.miner.num_classes  # type: ignore[return-value]

    def prior(self, n: int, keys: frozenset[str], rng: Generator) -> dict[str, Tensor]:
        u = torch.randn(n, *self.latents["z"].shape, generator=rng, device=rng.device)
        return {"z": u.to(next(self.parameters()).device)}

    def synthesize(self, code: Code) -> Tensor:
        if set(code) != {"z"}:
            raise MineganError(f"a mined source takes the code 'z' alone, not {sorted(code)}")
        u, scores = code["z"].split([self.noise_dim, self._classes], dim=1)
        mined = self.miner(u, scores.argmax(1) if self._classes else None)
        missing = key_set(self._source, tuple(mined))[0] - set(mined)
        if missing:
            # one fixed draw: the same u gives the same image
            fixed = self._source.prior(1, missing, Generator().manual_seed(0))
            mined |= {name: fixed[name].expand(len(code["z"]), *fixed[name].shape[1:]) for name in missing}
        return self._source.synthesize(mined)

    def groups(self) -> dict[str, list[nn.Parameter]]:
        return {"miner": list(self.miner.parameters()), **self._source.groups()}

    def own_critic(self) -> Critic | None:
        return self._critic.value

    def as_model(self, critic: Critic | None = None) -> MinedGAN:
        """The same as a mined model of one source, with `critic` or the critic that trained it."""
        selector = selectors.create("max", 1)
        critic = critic or self.own_critic()
        miner: Miner = self.miner  # type: ignore[assignment]
        model = MinedGAN([self._source], [miner], selector, self.canonical, self.noise_dim, critic, self.class_names)
        model.trained_on = self.trained_on
        if self.recipe is not None:
            adopted = 0 if self._critic_is_source else None
            model.recipe = replace(self.recipe, selector="max", selector_options={}, adopted=adopted)
        return model

    def reset_parameters(self) -> None:
        raise MineganError("a mined source cannot be trained from scratch: name the family instead")


def title_of(source: GeneratorSource) -> str:
    """What a source is called, without the folders that lead to it; of a mined one, also what it was mined from."""
    if source.loaded_from is None:
        return "source"
    name = short_name(source.loaded_from.name)
    return f"{name} ({title_of(source._source)})" if isinstance(source, MinedSource) else name
