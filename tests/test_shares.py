"""How much of the target each source makes, and that samples follow it."""

from __future__ import annotations

import pytest
import torch
from torch import Generator, Tensor, nn

import minegan_zoo as mz
from minegan_zoo import shares
from minegan_zoo.batches import TargetBatches
from minegan_zoo.contracts import Critic, GeneratorSource, Selector, Stage
from minegan_zoo.draws import Draw
from minegan_zoo.minegan import MinedGAN
from minegan_zoo.pixels import to_uint8
from minegan_zoo.samplers import SourceSampler
from minegan_zoo.selection import settle
from minegan_zoo.sources import as_module

NAMES = ("progan.fashion-tops-32", "stylegan2.fashion-shoes-32", "biggan.fashion-others-32")
QUICK = {"training.fid_samples": 0, "training.watch_every": 0, "training.hold_out": 0}


@pytest.fixture(scope="module")
def sources() -> list[GeneratorSource]:
    return [mz.load_source(name) for name in NAMES]


def samples(source: GeneratorSource, n: int, seed: int = 5) -> Tensor:
    return SourceSampler(source).sample(n, seed=seed)


def mined(sources: list[GeneratorSource], target: Tensor, **options: object) -> MinedGAN:
    return mz.mine(
        sources, target, strategy="minegan-noft", steps=4, batch=16, device="cpu", options={**QUICK, **options}
    )


def test_sources_are_drawn_as_often_as_the_target_shows_their_images(sources: list[GeneratorSource]) -> None:
    target = torch.cat([samples(sources[0], 12), samples(sources[1], 28)])
    model = mined(sources, target)
    p = model.selector.probabilities()
    torch.testing.assert_close(p, torch.tensor([0.3, 0.7, 0.0]), atol=0.06, rtol=0)
    assert model.selector.dropped().tolist() == [False, False, True]
    u = torch.randn(2000, model.noise_dim, generator=Generator().manual_seed(1))
    torch.testing.assert_close(model.selector.probabilities_given(u).mean(1), p, atol=0.02, rtol=0)


class BySign(nn.Module, Selector):
    """Source 0 for u whose first number is positive, source 1 for the others, source 2 never."""

    num_sources = 3

    def critic_weights(self, scores: Tensor) -> Tensor:
        return scores.softmax(0)

    def probabilities(self) -> Tensor:
        return torch.tensor([0.5, 0.5, 0.0])

    def probabilities_given(self, u: Tensor) -> Tensor:
        positive = (u[:, 0] > 0).float()
        return torch.stack([positive, 1 - positive, torch.zeros(len(u))])

    def dropped(self) -> Tensor:
        return torch.tensor([False, False, True])


def test_each_source_is_judged_by_its_own_base_noise_and_the_target_s_classes(
    sources: list[GeneratorSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = mined(sources, samples(sources[0], 8), **{"selector.keep_above": 0.0})
    model.selector_module, model.class_names = BySign(), ("this", "that")
    drawn: list[Draw] = []
    draw_of = MinedGAN.draw

    def draw(model: MinedGAN, n: int, rng: Generator, **given: Tensor) -> Draw:
        drawn.append(draw_of(model, n, rng, **given))  # type: ignore[arg-type]
        return drawn[-1]

    monkeypatch.setattr(MinedGAN, "draw", draw)
    monkeypatch.setattr(shares, "TARGETS", 5)
    device = torch.device("cpu")
    target = TargetBatches.on(device, to_uint8(samples(sources[0], 20)), torch.ones(20, dtype=torch.int64))
    assert model.critic is not None
    critic, rng = as_module(model.critic), Generator().manual_seed(0)
    found = shares.shares_of_target(model, critic, target, 100, rng)
    assert found is not None and found[2] == 0 and found.sum() == 1
    torch.testing.assert_close(found * 5, (found * 5).round())  # five target images, not twenty
    chosen = torch.cat([draw.u[:, 0] for draw in drawn])
    assert len(chosen) == 200 and (chosen[:100] > 0).all() and (chosen[100:] <= 0).all()
    assert all((draw.labels == 1).all() for draw in drawn if draw.labels is not None) and drawn[0].labels is not None


class Blind(nn.Module, Critic):
    """Shows no features."""

    def __init__(self, critic: Critic) -> None:
        super().__init__()
        self.inner, self.image, self.num_classes = critic, critic.image, 0

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.inner(images)  # type: ignore[operator,no-any-return]

    def groups(self) -> dict[str, list[nn.Parameter]]:
        return {"all": list(self.parameters())}


def test_wins_stay_where_the_critic_shows_no_features(sources: list[GeneratorSource]) -> None:
    model = mined(sources, samples(sources[0], 8), **{"selector.keep_above": 0.0})
    target = TargetBatches.on(torch.device("cpu"), to_uint8(samples(sources[0], 8)), None)
    assert model.critic is not None
    critic, wins = Blind(model.critic), torch.tensor([0.2, 0.3, 0.5])
    assert shares.shares_of_target(model, critic, target, 10, Generator().manual_seed(0)) is None
    fresh = mz.selectors.create("partition", 3)
    fresh.counts.copy_(wins * 1000)
    model.selector_module, stages = as_module(fresh), [Stage("mine", 1, {"miners": 1e-3})]
    assert "shows no features" in settle(model, critic, target, stages)
    torch.testing.assert_close(model.selector.probabilities(), wins)
    assert settle(model, as_module(model.critic), target, stages) == ""
    assert model.selector.probabilities()[0] > 0.5, "what it makes of the target, which is its own"
