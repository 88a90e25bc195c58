"""What runs with gradient, and what that gradient is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Generator, Tensor, nn

import minegan_zoo as mz
from minegan_zoo.builtin.critics import ConvCritic
from minegan_zoo.builtin.objectives import Logistic
from minegan_zoo.builtin.selectors.winners import Max
from minegan_zoo.contracts import Code, ImageSpec, MineganError
from minegan_zoo.draws import Draw, Made
from minegan_zoo.minegan import MinedGAN
from minegan_zoo.selection import propose, run_scores
from minegan_zoo.steps import Steps

IMAGE = ImageSpec(3, 16)
NAMES = ("stylegan2.tiny", "progan.tiny", "biggan.tiny")


def mined(selector: nn.Module) -> MinedGAN:
    torch.manual_seed(0)
    sources = [mz.load_source(name).eval() for name in NAMES]
    miners = [mz.miners.create("mlp", {k: s.latents[k] for k in s.inputs[0]}, 32, width=16) for s in sources]
    return MinedGAN(sources, miners, selector, IMAGE, 32)


class PlainCritic(nn.Module):
    """Scores a sample by itself alone."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.LeakyReLU(), nn.Flatten(), nn.LazyLinear(1))
        self.net(torch.zeros(1, 3, 16, 16))

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.net(images)[:, 0]


class BatchCritic(PlainCritic):
    """Scores a sample by its batch too, as minibatch standard deviation does."""

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        return super().forward(images) + images.std(0, correction=0).mean()


def gradients(model: MinedGAN) -> list[Tensor]:
    return [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in model.miner_modules.parameters()]


@pytest.mark.parametrize("objective", ["logistic", "hinge", "wgan-gp"])
def test_winners_gradient_equals_the_naive_one_without_minibatch_statistics(objective: str) -> None:
    model, critic = mined(mz.selectors.create("max", 3)), PlainCritic()
    loss_of = mz.objectives.create(objective).miner_loss
    draw = model.draw(8, Generator().manual_seed(1))
    # naive: every source with gradient, then the best score a u
    scores = torch.stack([critic(model.synthesize(index, draw, torch.arange(8))[0]) for index in range(3)])
    loss_of(scores.max(0).values).mean().backward()
    naive = gradients(model)
    assert len(set(scores.argmax(0).tolist())) > 1, "the case must mix sources"

    model.zero_grad()
    kept = model.score(critic, draw, propose(model, draw, Generator(), select=True).pairs)
    weights = model.selector.miner_weights(kept)
    fakes = model.run(draw, weights, gradient=True)
    (loss_of(critic(fakes.images)) * fakes.weight).sum().div(8).backward()
    torch.testing.assert_close(kept, scores.detach(), rtol=1e-4, atol=1e-4)
    assert len(fakes.images) == 8, "only the winners may run with gradient"
    for winners, reference in zip(gradients(model), naive, strict=True):
        torch.testing.assert_close(winners, reference, rtol=1e-3, atol=1e-6)


def test_with_minibatch_statistics_the_loss_is_the_score_on_the_batch_of_winners() -> None:
    model, critic = mined(mz.selectors.create("max", 3)), BatchCritic()
    draw = model.draw(8, Generator().manual_seed(1))
    scores = model.score(critic, draw, propose(model, draw, Generator(), select=True).pairs)
    weights = model.selector.miner_weights(scores)
    # scores pick: each source's are of its own batch
    own = torch.stack([critic(model.synthesize(index, draw, torch.arange(8))[0]) for index in range(3)])
    torch.testing.assert_close(scores, own.detach(), rtol=1e-4, atol=1e-4)
    # the loss is that of the winners' batch, in the order of sources
    fakes = model.run(draw, weights, gradient=True)
    winners = own.argmax(0)
    rows = [(index, row) for index in range(3) for row in range(8) if winners[row] == index]
    assert list(zip(fakes.source.tolist(), fakes.row.tolist(), strict=True)) == rows
    by_hand = torch.cat([model.synthesize(index, draw, torch.tensor([row]))[0] for index, row in rows])
    torch.testing.assert_close(critic(fakes.images), critic(by_hand), rtol=1e-4, atol=1e-4)
    assert not torch.allclose(critic(fakes.images), own[fakes.source, fakes.row], atol=1e-5)


def test_a_proposal_of_one_source_a_u_leaves_nothing_to_pick() -> None:
    model = mined(mz.selectors.create("mixture", 3))
    draw = model.draw(30, Generator().manual_seed(0))
    proposal = propose(model, draw, Generator().manual_seed(0), select=True)
    assert not proposal.open
    assert proposal.pairs.sum(0).tolist() == [1] * 30
    assert all(9 <= count <= 11 for count in proposal.pairs.sum(1).tolist()), "draws are stratified"


def test_images_that_were_scored_are_run_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    model, critic = mined(mz.selectors.create("max", 3)), PlainCritic()
    draw = model.draw(8, Generator().manual_seed(1))
    made: dict[int, Made] = {}
    scores = model.score(critic, draw, propose(model, draw, Generator(), select=True).pairs, made)
    weights = model.selector.critic_weights(scores)
    assert len(weights.sum(1).nonzero()) > 1, "the case must mix sources"
    anew = model.run(draw, weights, gradient=False)
    monkeypatch.setattr(MinedGAN, "synthesize", None)
    taken = model.run(draw, weights, gradient=False, made=made)
    torch.testing.assert_close(taken.images, anew.images)
    for index, code in anew.codes.items():
        torch.testing.assert_close(taken.codes[index], code)
    assert (taken.source.tolist(), taken.row.tolist()) == (anew.source.tolist(), anew.row.tolist())


@pytest.mark.parametrize(
    ("selector", "objective", "critic", "miner"),
    [("max", "logistic", 3 * 8, 8), ("max", "wgan-gp", 5 * 3 * 8, 8), ("mixture", "logistic", 8, 8)],
)
def test_candidates_are_scored_once_a_critic_update_and_the_miners_learn_by_the_last_scores(
    selector: str, objective: str, critic: int, miner: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    synthesize, draw, observe = MinedGAN.synthesize, Steps._draw, Max.observe
    made, drawn, observed = [0], list[Tensor](), list[Tensor]()

    def counted(self: MinedGAN, index: int, draw: Draw, rows: Tensor, **options: bool) -> tuple[Tensor, Code]:
        made[-1] += len(rows)
        return synthesize(self, index, draw, rows, **options)

    def kept(self: Steps, *arguments: Any) -> Draw:
        found = draw(self, *arguments)
        drawn.append(found.u)
        return found

    def seen(self: Max, u: Tensor, scores: Tensor) -> None:
        observed.append(u)
        observe(self, u, scores)

    def alone(step: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            before = made[-1]
            found = step(*arguments)
            made[-1:] = [made[-1] - before, 0]
            return found

        return call

    monkeypatch.setattr(MinedGAN, "synthesize", counted)
    monkeypatch.setattr(Steps, "_draw", kept)
    monkeypatch.setattr(Max, "observe", seen)
    monkeypatch.setattr(Steps, "critic", alone(Steps.critic))
    monkeypatch.setattr(Steps, "miner", alone(Steps.miner))
    target = torch.randint(256, (8, 3, 16, 16), dtype=torch.uint8, generator=Generator().manual_seed(0))
    mz.mine(
        NAMES, target, strategy="minegan-noft", selector=selector, objective=objective, steps=2, batch=8,
        options={"training.fid_samples": 0, "training.watch_every": 0},
    )  # fmt: skip
    updates = 5 if objective == "wgan-gp" else 1
    steps = [made[at : at + updates + 1] for at in (0, updates + 1)]
    assert [(sum(step[:-1]), step[-1]) for step in steps] == [(critic, miner)] * 2
    if selector == "max":
        assert [u.tolist() for u in observed] == [u.tolist() for u in drawn[updates - 1 :: updates]]
        assert len(drawn) == 2 * updates, "the miners' noise is the critic's"


def test_a_selector_may_only_weigh_what_it_proposed(monkeypatch: pytest.MonkeyPatch) -> None:
    proposed = torch.tensor([False, True, True])[:, None].expand(3, 4)
    monkeypatch.setattr(Max, "propose", lambda self, n, rng: proposed)
    monkeypatch.setattr(Max, "critic_weights", lambda self, scores: torch.full_like(scores, 1 / 3))
    target = torch.zeros(4, 3, 16, 16, dtype=torch.uint8)
    with pytest.raises(MineganError, match="Max gives weight to pairs of source and noise"):
        mz.mine(NAMES, target, selector="max", steps=2, batch=4)


def test_penalties_are_the_papers_formulas() -> None:
    weight = torch.randn(3 * 4 * 4, dtype=torch.float64)

    def linear(images: Tensor) -> Tensor:
        return images.flatten(1) @ weight

    real, fake = torch.randn(5, 3, 4, 4, dtype=torch.float64), torch.randn(5, 3, 4, 4, dtype=torch.float64)
    gp = mz.objectives.create("wgan-gp", weight=10).penalty(linear, real, fake)
    r1 = Logistic(2.0, 16).penalty(linear, real, fake)
    torch.testing.assert_close(gp.item(), 10 * (weight.norm().item() - 1) ** 2)
    torch.testing.assert_close(r1.item(), 2.0 / 2 * weight.square().sum().item())


def test_run_scores_marks_what_did_not_run() -> None:
    model = mined(mz.selectors.create("max", 3))
    draw = model.draw(2, Generator().manual_seed(0))
    weights = torch.tensor([[1.0, 0.0], [0.0, 0.0], [0.0, 1.0]])
    scores = run_scores(model.run(draw, weights, gradient=False), torch.tensor([5.0, 7.0]), weights.shape)
    assert scores.tolist() == [[5.0, -torch.inf], [-torch.inf] * 2, [-torch.inf, 7.0]]


def test_conv_critic_takes_any_batch_and_its_labels() -> None:
    critic = ConvCritic(ImageSpec(1, 20), 3, 8, 16)
    critic.reset_parameters()
    images = torch.randn(3, 1, 20, 20)
    critic.eval()
    assert critic(images[:1]).shape == (1,)
    torch.testing.assert_close(critic(images)[:1], critic(images[:1]), rtol=1e-4, atol=1e-5)
    assert not torch.equal(critic(images, torch.tensor([0, 1, 2])), critic(images))
    grouped = [parameter for group in critic.groups().values() for parameter in group]
    assert sorted(map(id, grouped)) == sorted(map(id, critic.parameters()))


def test_base_noise_may_be_smaller_than_a_sources_z() -> None:
    images = torch.randint(0, 256, (6, 3, 16, 16), generator=Generator().manual_seed(0), dtype=torch.uint8)
    model = mz.mine("progan.tiny", images, steps=2, batch=2, options={"noise_dim": 4, "training.fid_samples": 0})
    u = torch.randn(3, 4)
    assert model.sample(3, u=u).shape == model.sample_source(0, u, mined=False).shape == (3, 3, 16, 16)
    assert torch.equal(model.sample_source(0, u, mined=False, seed=1), model.sample_source(0, u, mined=False, seed=1))
