"""The ProGAN family keeps the generator contract, whatever its options."""

from __future__ import annotations

import copy
import re
import subprocess
import sys
from pathlib import Path

import minegan_zoo_progan as plugin
import pytest
import torch
from minegan_zoo_progan.generator import ProGAN
from minegan_zoo_progan.layers import EnlargingConv2d, EqualConv2d

from minegan_zoo.contracts import GeneratorEntry, MineganError
from minegan_zoo.weights import SavedSource, write_source


def small(**options: int | float) -> ProGAN:
    return plugin.build(None, **{"resolution": 16, "channel_base": 128, "channel_max": 16, "z_dim": 12, **options})


NETWORKS: dict[str, dict[str, int | float]] = {
    "plain": {},
    "grey": {"channels": 1},
    "fading": {"alpha": 0.3},
    "classes": {"num_classes": 5},
    "4x4": {"resolution": 4},
}


@pytest.fixture(params=NETWORKS.values(), ids=NETWORKS.keys())
def source(request: pytest.FixtureRequest) -> ProGAN:
    torch.manual_seed(0)
    return small(**request.param)


def draw(source: ProGAN, n: int, seed: int = 0) -> dict[str, torch.Tensor]:
    return source.prior(n, source.inputs[0], torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("n", [1, 3])
def test_images_have_the_declared_shape_and_depend_on_their_own_row(source: ProGAN, n: int) -> None:
    code = draw(source, n)
    images = source.synthesize(code)
    size = source.image.resolution
    assert images.shape == (n, source.image.channels, size, size) and images.dtype == torch.float32
    assert torch.equal(images, source.synthesize(code))
    last = source.synthesize({name: value[-1:] for name, value in code.items()})
    torch.testing.assert_close(images[-1:], last)
    torch.testing.assert_close(images, copy.deepcopy(source).train().synthesize(code))


def test_gradient_reaches_every_code_tensor_and_every_parameter_in_use(source: ProGAN) -> None:
    code = {name: value.requires_grad_() for name, value in draw(source, 3).items()}
    source.synthesize(code).square().sum().backward()
    assert all(value.grad is not None and value.grad.abs().sum() > 0 for value in code.values())
    idle = {name for name, parameter in source.named_parameters() if parameter.grad is None}
    assert idle <= {"embedding.weight"}


def test_groups_partition_the_parameters_from_latent_to_pixel(source: ProGAN) -> None:
    critic = source.own_critic()
    assert critic is not None
    for network in (source, critic):
        grouped = [id(parameter) for group in network.groups().values() for parameter in group]
        assert sorted(grouped) == sorted(id(parameter) for parameter in network.parameters())
        assert not any("/" in name for name in network.groups())
    sizes = [f"{4 << level}x{4 << level}" for level in range(len(source.plan.widths))]
    assert [name for name in source.groups() if name != "class"] == sizes
    assert list(critic.groups()) == [*reversed(sizes), "head"]


def test_prior_is_the_sphere_of_unit_mean_square() -> None:
    source, before = small(), torch.get_rng_state()
    z = draw(source, 20_000)["z"]
    assert torch.equal(torch.get_rng_state(), before)
    torch.testing.assert_close(z.square().mean(dim=1), torch.ones(20_000))
    assert z.mean(dim=0).abs().max() < 5 / 20_000**0.5
    covariance = z.T @ z / 20_000
    torch.testing.assert_close(covariance, torch.eye(12), atol=0.05, rtol=0)
    assert torch.equal(z, draw(source, 20_000)["z"])


def test_images_do_not_depend_on_the_length_of_z() -> None:
    source = small()
    z = draw(source, 2)["z"]
    torch.testing.assert_close(source.synthesize({"z": z * 3}), source.synthesize({"z": z}), atol=1e-5, rtol=1e-5)


def test_class_codes_are_what_the_prior_draws() -> None:
    source = small(num_classes=5)
    codes = source.class_codes(torch.arange(5))
    assert codes.shape == (5, *source.latents["class"].shape)
    drawn = draw(source, 200)["class"]
    nearest = torch.cdist(drawn, codes).argmin(dim=1)
    torch.testing.assert_close(drawn, codes[nearest])
    assert set(nearest.tolist()) == set(range(5))
    for wrong in (torch.tensor([5]), torch.tensor([-1]), torch.zeros(2, 2, dtype=torch.long)):
        with pytest.raises(MineganError, match="labels"):
            source.class_codes(wrong)


def test_wrong_keys_are_named() -> None:
    source = small()
    with pytest.raises(MineganError, match=r"w.*takes z"):
        source.synthesize({"w": torch.zeros(1, 12)})
    with pytest.raises(MineganError, match="no latent space class"):
        source.prior(1, frozenset({"z", "class"}), torch.Generator())
    with pytest.raises(MineganError, match="unconditional"):
        source.class_codes(torch.tensor([0]))


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 6, 8])
def test_critic_scores_groups_of_the_largest_divisor_up_to_four(n: int) -> None:
    torch.manual_seed(1)
    critic = small().own_critic()
    assert critic is not None
    images = torch.randn(n, 3, 16, 16)
    group = max(size for size in (1, 2, 3, 4) if n % size == 0)
    apart = torch.cat([critic(part) for part in images.split(group)])
    torch.testing.assert_close(critic(images), apart)
    if group > 1:
        assert not torch.allclose(critic(images)[:1], critic(images[:1]))


def test_labels_add_their_logit_to_the_score() -> None:
    critic = small(num_classes=5).own_critic()
    assert critic is not None
    images, labels = torch.randn(4, 3, 16, 16), torch.tensor([0, 4, 2, 2])
    heads = critic.heads(critic.forward_features(images))
    torch.testing.assert_close(critic(images), heads[:, 0])
    torch.testing.assert_close(critic(images, labels), heads[:, 0] + heads[range(4), labels + 1])


def test_scores_are_the_head_of_the_features(source: ProGAN) -> None:
    critic = source.own_critic()
    assert critic is not None
    images = torch.randn(4, *[source.image.channels, source.image.resolution, source.image.resolution])
    features = critic.forward_features(images.requires_grad_())
    assert features.shape == (4, source.plan.widths[0])
    for labels in (None, torch.tensor([0, 4, 2, 2]) if source.num_classes else None):
        assert torch.equal(critic.forward_head(features, labels), critic(images, labels))
    (slope,) = torch.autograd.grad(features.square().sum(), images, create_graph=True)
    slope.square().sum().backward()
    own = {name: p for name, p in critic.named_parameters() if not name.startswith("head.") and p.ndim > 1}
    assert all(p.grad is not None and p.grad.isfinite().all() for p in own.values())


def test_gradient_penalty_has_a_finite_second_gradient_on_blank_images() -> None:
    critic = small().own_critic()
    assert critic is not None
    images = torch.full((4, 3, 16, 16), -1.0, requires_grad=True)
    (gradient,) = torch.autograd.grad(critic(images).sum(), images, create_graph=True)
    gradient.square().sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in critic.parameters())


@pytest.mark.parametrize("options", [{}, {"alpha": 0.3}, {"num_classes": 3}], ids=["plain", "fading", "classes"])
def test_compiles_without_graph_breaks(options: dict[str, int | float]) -> None:
    source = small(**options)
    critic = source.own_critic()
    assert critic is not None
    code = draw(source, 4)
    names, inputs = list(code), [value.requires_grad_() for value in code.values()]

    def score(*values: torch.Tensor) -> torch.Tensor:
        return critic(source.synthesize(dict(zip(names, values, strict=True))))

    compiled = torch.compile(score, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(*inputs), score(*inputs))
    gradients = [torch.autograd.grad(run(*inputs).sum(), inputs) for run in (compiled, score)]
    torch.testing.assert_close(*gradients)


def test_a_copy_shares_the_critic() -> None:
    source = small()
    twin = copy.deepcopy(source)
    assert twin.own_critic() is source.own_critic()
    assert not any("critic" in name for name in source.state_dict())


def test_reset_draws_new_weights() -> None:
    source = small()
    code = draw(source, 2)
    before = source.synthesize(code)
    source.reset_parameters()
    assert not torch.allclose(source.synthesize(code), before)


def test_bfloat16_autocast_stays_close_and_returns_float32(source: ProGAN) -> None:
    code = draw(source, 4)
    critic = source.own_critic()
    assert critic is not None
    images = source.synthesize(code)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        coarse, score = source.synthesize(code), critic(images)
    assert coarse.dtype == score.dtype == torch.float32
    assert (coarse - images).abs().max() < 0.05 * images.abs().max()


@pytest.mark.parametrize("options", [{}, {"alpha": 0.3}, {"num_classes": 3}], ids=["plain", "fading", "classes"])
def test_a_source_folder_gives_the_same_networks(tmp_path: Path, options: dict[str, int | float]) -> None:
    source = small(**options)
    critic = source.own_critic()
    assert critic is not None
    saved = SavedSource("progan", dict(source.config()), {}, source.state_dict(), critic.state_dict())
    write_source(tmp_path / "source", saved)
    again = plugin.build(tmp_path / "source")
    twin = again.own_critic()
    assert twin is not None
    code = draw(source, 2)
    images = source.synthesize(code)
    assert torch.equal(again.synthesize(code), images)
    assert torch.equal(twin(images), critic(images))
    assert again.config() == source.config()


@pytest.mark.parametrize(
    "wrong",
    [
        {"generator": None},
        {"generator": {"widths": "16"}},
        {"generator": {"widths": [16, 0]}},
        {"generator": {"widths": [16, 8], "leak": "0.2"}},
        {"generator": {"widths": [16, 8], "colours": 3}},
        {"generator": {"widths": [1 << 40, 1 << 40]}},
    ],
)
def test_a_broken_config_is_refused(tmp_path: Path, wrong: dict[str, object]) -> None:
    source = small()
    write_source(tmp_path / "source", SavedSource("progan", {**source.config(), **wrong}, {}, source.state_dict(), {}))
    with pytest.raises(MineganError):
        plugin.build(tmp_path / "source")


def test_options_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MineganError, match="power of two"):
        plugin.build(None, resolution=24)
    with pytest.raises(MineganError, match="alpha"):
        plugin.build(None, resolution=8, alpha=1.5)
    with pytest.raises(MineganError, match="channels, z_dim come from"):
        plugin.build(tmp_path, channels=1, z_dim=3)


def test_the_tiny_entry_is_what_it_says() -> None:
    entries = {}
    plugin.register_generators(lambda entry: entries.update({entry.name: entry}))
    tiny = entries["progan.tiny"].build(None)
    assert tiny.image == entries["progan.tiny"].image
    assert tiny.latents == entries["progan.tiny"].latents
    assert sum(p.numel() for p in tiny.parameters()) < 1_000_000


def test_pretrained_entries_say_where_they_come_from() -> None:
    entries: list[GeneratorEntry] = []
    plugin.register_generators(entries.append)
    cards = [entry.card for entry in entries if entry.card is not None]
    assert len(cards) >= 4 and len({card.weights for card in cards}) == len(cards)
    for card in cards:
        assert card.weights.startswith(("https://", "package:minegan_zoo_progan/"))
        assert card.summary and card.origin and card.licence and card.training_data
        assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in card.sha256.values())


def test_importing_the_plugin_loads_no_torch() -> None:
    code = (
        "import sys, minegan_zoo_progan as p; p.register_generators(lambda e: None); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("size", [4, 16])
def test_an_enlarging_convolution_is_nearest_upsampling_and_a_convolution(size: int) -> None:
    """Value, gradient and gradient of the gradient, in float64, on both of its ways."""
    torch.manual_seed(0)
    layer = EnlargingConv2d(3, 2, 3, gain=2**0.5).double()
    plain = EqualConv2d(3, 2, 3, gain=2**0.5).double()
    plain.load_state_dict(layer.state_dict())
    x = torch.randn(2, 3, size, size, dtype=torch.float64, requires_grad=True)
    results = []
    for found in (layer(x), plain(x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3))):
        (first,) = torch.autograd.grad(found.square().sum(), x, create_graph=True)
        (second,) = torch.autograd.grad(first.pow(3).sum(), x)
        results.append((found, first, second))
    torch.testing.assert_close(*results)
