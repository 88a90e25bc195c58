"""The terms of the methods against closed forms, and what they read from networks."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from minegan_zoo_transfer.cdc import divergence, log_similarities
from minegan_zoo_transfer.critic_head import final_groups, head_of
from minegan_zoo_transfer.layers import convolutions
from minegan_zoo_transfer.modulation import modulations
from minegan_zoo_transfer.patches import HEAD
from minegan_zoo_transfer.reconstruction import Features, distance_to_normal
from torch import Generator, Tensor, nn
from torch.nn import functional as F

import minegan_zoo as mz
from minegan_zoo.contracts import Batch, Critic, GeneratorSource, ImageSpec, LatentSpace, Run


class LinearSource(nn.Module, GeneratorSource):
    """z (n, 4) -> grey 2x2 images W z."""

    image = ImageSpec(1, 2)
    latents: Mapping[str, LatentSpace] = {"z": LatentSpace((4,), "normal")}
    inputs = (frozenset({"z"}),)

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 4, generator=Generator().manual_seed(1)))

    def prior(self, n: int, keys: frozenset[str], rng: Generator) -> dict[str, Tensor]:
        return {"z": torch.randn(n, 4, generator=rng)}

    def synthesize(self, code: Mapping[str, Tensor]) -> Tensor:
        return (code["z"] @ self.weight.T).view(-1, 1, 2, 2)

    def groups(self) -> dict[str, list[nn.Parameter]]:
        return {"body": [self.weight]}


class LinearCritic(nn.Module, Critic):
    """images -> c . x."""

    image = ImageSpec(1, 2)

    def __init__(self) -> None:
        super().__init__()
        self.direction = nn.Parameter(torch.tensor([0.5, -1.0, 0.25, 2.0]))

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        return images.flatten(1) @ self.direction

    def groups(self) -> dict[str, list[nn.Parameter]]:
        return {"all": [self.direction]}


def run_of(source: Any, critic: Any, sample: Callable[[int, Generator], Any] | None = None, n: int = 5) -> Run:
    image = source.image
    target = torch.randint(0, 256, (n, image.channels, image.resolution, image.resolution)).to(torch.uint8)
    rng = Generator().manual_seed(0)

    def unmined(count: int, rng: Generator) -> Any:
        code = source.prior(count, source.inputs[0], rng)
        return source.synthesize(code), code

    selector = mz.selectors.create("uniform", 1)
    return Run([source], [], critic, selector, rng, 4, target, None, image, sample or unmined)


def batch_of(source: Any, n: int = 4) -> Batch:
    code = source.prior(n, source.inputs[0], Generator().manual_seed(3))
    zeros = torch.zeros(n, dtype=torch.int64)
    return Batch(torch.randn(n, 4), {0: code}, zeros, zeros, source.synthesize(code), torch.zeros(n), None, 1.0)


def test_ewc_weighs_by_the_fisher_information_of_single_samples() -> None:
    source, critic = LinearSource(), LinearCritic()
    draws = torch.randn(6, 4)
    left = list(draws)
    strategy = mz.strategies.create("ewc", weight=3.0, samples=6)
    (stage,) = strategy.stages(1)
    run = run_of(source, critic, lambda n, rng: (source.synthesize({"z": left.pop()[None]}), {}))
    strategy.prepare(stage, run)
    stage.regularisers[0].prepare(run)
    assert stage.regularisers[0](batch_of(source)).item() == 0
    # d/dW of -log sigmoid(c . W z) = -sigmoid(-c . W z) c z^T
    gradients = [
        torch.sigmoid(-(source.weight @ z) @ critic.direction) * torch.outer(critic.direction, z) for z in draws
    ]
    fisher = torch.stack(gradients).square().mean(0)
    step = torch.randn(4, 4)
    with torch.no_grad():
        source.weight += step
    torch.testing.assert_close(
        stage.regularisers[0](batch_of(source)), 3.0 * (fisher / fisher.mean() * step.square()).sum()
    )
    assert strategy.summary()["lambda"] == pytest.approx(3.0 / fisher.mean().item())
    # saved and restored, it is not estimated again
    again = mz.strategies.create("ewc", weight=3.0, samples=6)
    again.restore(strategy.state())
    again.prepare(stage, run)
    torch.testing.assert_close(again.state(), strategy.state())


def test_l2sp_is_half_the_squared_distance_of_each_side() -> None:
    source, critic = LinearSource(), LinearCritic()
    (stage,) = mz.strategies.create("l2sp", weight=0.2, critic_weight=0.4).stages(1)
    terms = (stage.regularisers[0], stage.critic_regularisers[0])
    for term in terms:
        term.prepare(run_of(source, critic))
    with torch.no_grad():
        source.weight += 2.0
        critic.direction -= 1.0
    values = [term(batch_of(source)).item() for term in terms]
    assert values == pytest.approx([0.1 * 16 * 4, 0.2 * 4])
    assert not mz.strategies.create("l2sp", critic_weight=0.0).stages(1)[0].critic_regularisers


def test_freezed_says_when_it_would_freeze_nothing() -> None:
    strategy = mz.strategies.create("freezed")
    (stage,) = strategy.stages(1)
    with pytest.raises(mz.MineganError, match=r"0.5 of the critic's groups \(all\) freezes none: raise"):
        strategy.trainable(stage, run_of(LinearSource(), LinearCritic()))
    free = mz.strategies.create("freezed", frozen=0.0).trainable(stage, run_of(LinearSource(), LinearCritic()))
    assert set(free) == {"sources", "critic/all"}
    source = mz.load_source("biggan.tiny")  # without labels nothing depends on its embedding, which does not count
    free = strategy.trainable(stage, run_of(source, source.own_critic()))
    assert list(free) == ["sources", "critic/block.2", "critic/block.3", "critic/linear"]


def test_rates_of_modulations_are_not_scaled_with_the_network() -> None:
    source = mz.load_source("biggan.tiny")
    strategy = mz.strategies.create("adam-fsig", source_lr=1.0, critic_lr=1.0)
    run = run_of(source, source.own_critic())
    strategy.prepare(probe := strategy.stages(8)[0], run)
    rates = strategy.trainable(probe, run).items()
    of_modulations = {rate for name, rate in rates if name.startswith("sources/0:") and name.endswith(".v")}
    assert of_modulations == {1.0 / source.lr_scale} and source.lr_scale < 1


def test_adam_keeps_the_kernels_whose_modulation_is_the_most_informative() -> None:
    torch.manual_seed(0)
    source = mz.load_source("progan.tiny")
    critic: Any = source.own_critic()
    run = run_of(source, critic)
    strategy = mz.strategies.create("adam-fsig", samples=3, modulated=0.25)
    probe, adapt = strategy.stages(8)
    assert (probe.steps, adapt.steps) == (2, 6)
    strategy.prepare(probe, run)
    head = [each.detach().clone() for each in head_of(run)]
    parts = {"source 0": source, "critic": critic}
    deaf = next(name for name, each in modulations(critic).items() if each.convolution and each.ranked)
    with torch.no_grad():
        for part in parts.values():
            for each in modulations(part).values():
                each.v.add_(0.1)
        modulations(critic)[deaf].u.zero_()  # v then moves nothing; what u tells is shared by all rows
        for parameter in head_of(run):
            parameter.add_(1.0)
    every = {f"{part}/{name}": each for part in parts for name, each in modulations(parts[part]).items()}
    assert {name for name, each in every.items() if not each.ranked} == {
        "source 0/to_rgb.16.parametrizations.weight.0", "critic/from_rgb.16.parametrizations.weight.0"
    }  # fmt: skip
    strategy.prepare(adapt, run)
    chosen = strategy.state()
    assert chosen.keys() == {name for name, each in every.items() if each.ranked}
    for part in parts:
        rows = torch.cat([rows for name, rows in chosen.items() if name.startswith(part)])
        assert float(rows.float().mean()) == pytest.approx(0.25, abs=0.02)
    assert len(set(chosen[f"critic/{deaf}"].tolist())) == 1, "its rows matter alike"
    # adapting starts again from the source
    for part in parts:
        for name, each in modulations(parts[part]).items():
            wanted = chosen.get(f"{part}/{name}", torch.ones_like(each.modulated))  # images' layers are not ranked
            assert torch.equal(each.modulated, wanted) and not each.v.any() and each.u.std() > 0.3
    assert all(torch.equal(one, other) for one, other in zip(head, head_of(run), strict=True))


def test_similarities_are_a_softmax_of_cosines_to_the_others() -> None:
    features = torch.tensor([[2.0, 0.0], [0.0, 3.0], [5.0, 0.0]])  # the first and the last are parallel
    e = math.e
    expected = torch.tensor([[1, e], [1, 1], [e, 1]]) / torch.tensor([[1 + e], [2], [1 + e]])
    torch.testing.assert_close(log_similarities(features).exp(), expected)
    assert float(divergence(features, 7 * features)) == pytest.approx(0, abs=1e-7)
    # all alike: KL(uniform || expected), over all six pairs
    alike = torch.ones(3, 2)
    by_hand = sum(0.5 * math.log(0.5 / float(q)) for q in expected.flatten()) / 6
    assert float(divergence(alike, features)) == pytest.approx(by_hand, rel=1e-5)


def test_correspondence_is_zero_at_the_start_and_reaches_the_source() -> None:
    torch.manual_seed(0)
    source = mz.load_source("progan.tiny")
    assert isinstance(source, nn.Module)
    (stage,) = mz.strategies.create("cdc").stages(1)
    (term,) = stage.regularisers
    term.prepare(run_of(source, source.own_critic()))
    batch = batch_of(source)
    assert term(batch).item() == pytest.approx(0, abs=1e-3)
    with torch.no_grad():
        for parameter in source.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
    value = term(batch)
    value.backward()
    assert value.item() > 0.1
    touched = {name for name, p in source.named_parameters() if p.grad is not None and bool(p.grad.any())}
    assert {place.full_name for place in convolutions(source)} <= touched


def test_cdc_reads_anchors_whole_and_the_rest_in_patches() -> None:
    torch.manual_seed(0)
    source = mz.load_source("progan.tiny")
    critic: Any = source.own_critic()
    strategy = mz.strategies.create("cdc", anchor_every=3, anchor_spread=0.1)
    (stage,) = strategy.stages(9)
    run = run_of(source, critic, n=5)
    parameters = len(list(critic.parameters()))
    strategy.prepare(stage, run)
    anchors = strategy.state()["anchors"]
    assert anchors.shape == (5, run.noise_dim)
    u = torch.randn(64, run.noise_dim)
    for step in range(6):
        noise = strategy.noise(stage, step, u, run.rng)
        if step % 3:
            assert torch.equal(noise, u)
        else:
            nearest = (noise[:, None] - anchors).norm(dim=2).min(1)
            torch.testing.assert_close(nearest.values, 0.1 * u.norm(dim=1))
            assert len(nearest.indices.unique()) == 5
    images = torch.randn(4, 3, 16, 16, requires_grad=True)
    torch.testing.assert_close(strategy.scores(stage, 0, critic, images, None), critic(images))
    scores = strategy.scores(stage, 1, critic, images, None)
    # one convolution on an inner map of 8x8; in the groups of the critic
    assert scores.shape == (4, 64)
    assert strategy.summary() == {"anchors": 5, "patch_map": 8}
    free = torch.autograd.grad(scores.sum(), list(critic.parameters()), allow_unused=True)
    used = [name for (name, _), g in zip(critic.named_parameters(), free, strict=True) if g is not None]
    assert any(HEAD in name for name in used) and not any(name.startswith("head") for name in used)
    assert sum(map(len, critic.groups().values())) == len(list(critic.parameters())) == parameters + 2
    strategy.finish(run)
    assert len(list(critic.parameters())) == parameters


@pytest.mark.parametrize("family", ["biggan.tiny", "progan.tiny", "stylegan2.tiny"])
def test_the_head_is_what_reads_the_features(family: str) -> None:
    source = mz.load_source(family)
    critic: Any = source.own_critic()
    run = run_of(source, critic)
    head = head_of(run)
    assert 1 <= len(head) <= 2
    images = torch.randn(2, 3, source.image.resolution, source.image.resolution)
    features = critic.eval().forward_features(images)
    with torch.no_grad():
        for parameter in head:
            parameter.zero_().add_(1e-3 * torch.randn_like(parameter))
    torch.testing.assert_close(critic.forward_features(images), features)
    final = final_groups(run)
    assert set(head) <= {parameter for group in final.values() for parameter in group}
    assert list(final) == {"biggan.tiny": ["block.3", "linear"], "progan.tiny": ["4x4", "head"]}.get(family, ["head"])


def test_codes_are_held_near_the_normal() -> None:
    z = torch.randn(3, 2)
    torch.manual_seed(5)
    value = distance_to_normal(z)
    torch.manual_seed(5)
    draws = torch.randn(30, 2)
    distances = [[float((a - b).square().sum()) for b in draws] for a in z]
    nearest_draw = sum(min(row) for row in distances) / 3
    nearest_code = sum(min(row[index] for row in distances) for index in range(30)) / 30
    assert float(value) == pytest.approx(nearest_draw + nearest_code, rel=1e-4)
    # codes far from the prior cost their squared distance
    assert float(distance_to_normal(z + 100)) > 2 * 98**2


def test_reconstruction_is_the_absolute_difference_and_a_share_a_layer() -> None:
    source = LinearSource()
    (stage,) = mz.strategies.create("bsa", perceptual="none", prior_weight=0.0, scale_weight=0.0).stages(1)
    term: Any = stage.regularisers[0]
    run = run_of(source, LinearCritic())
    term.prepare(run)
    assert not stage.adversarial and term.codes[0].shape == (5, 4)
    z = torch.zeros(2, 4)
    torch.manual_seed(2)
    value = term.loss(source, z, {}, run.target[:2])
    torch.manual_seed(2)
    images = source.synthesize({"z": 0.01 * torch.randn(2, 4)})
    torch.testing.assert_close(value, F.l1_loss(images, run.target[:2].float() / 127.5 - 1))
    # every layer of the critic counts a tenth, whatever its scale; its gradient does not vanish
    gan = mz.load_source("progan.tiny")
    features = Features("critic", 3, run_of(gan, gan.own_critic()))
    fake = torch.randn(2, 3, 16, 16, requires_grad=True)
    distance = features.distance(fake, torch.randn(2, 3, 16, 16))
    distance.backward()
    assert distance.item() == pytest.approx(0.3)
    assert fake.grad is not None and bool(fake.grad.any())
