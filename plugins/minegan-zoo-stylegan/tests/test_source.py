"""What a StyleGAN source and its critic promise beyond the conformance kit, which looks at the tiny networks only."""

from __future__ import annotations

import copy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from minegan_zoo.contracts import Critic, GeneratorSource, MineganError
from minegan_zoo.registry import generators
from minegan_zoo.sources import load_source, save_source

SMALL: dict[str, Any] = {"resolution": 16, "z_dim": 12, "mapping_layers": 2, "channel_base": 128, "channel_max": 8}
WIDE = {"w_dim": 10, "num_classes": 3}
NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "stylegan": ("stylegan", {**SMALL, "channels": 1}),
    "stylegan in a fade": ("stylegan", {**SMALL, "alpha": 0.4}),
    "stylegan2": ("stylegan2", {**SMALL, "w_dim": 10, "channels": 1}),
    "stylegan2 orig": ("stylegan2", {**SMALL, "architecture": "orig"}),
    "stylegan2 resnet, conditional": ("stylegan2", {**SMALL, **WIDE, "architecture": "resnet"}),
    "stylegan2, conditional": ("stylegan2", {**SMALL, **WIDE}),
    "stylegan3-t, conditional": ("stylegan3", {**SMALL, **WIDE, "num_layers": 4}),
    "stylegan3-r": ("stylegan3", {**SMALL, "num_layers": 4, "channels": 1, "variant": "r"}),
}


def build(network: str, **options: Any) -> GeneratorSource:
    torch.manual_seed(0)
    family, shape = NETWORKS[network]
    source = generators.create(family, None, **shape, **options)
    with torch.no_grad():  # noise strengths and the like begin at zero
        for parameter in source.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return source


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def critic_of(source: GeneratorSource) -> Critic:
    critic = source.own_critic()
    assert critic is not None
    return critic


@pytest.fixture(params=NETWORKS)
def source(request: pytest.FixtureRequest) -> GeneratorSource:
    return build(request.param)


def test_every_key_set_gives_images_row_by_row(source: GeneratorSource) -> None:
    size = (source.image.channels, source.image.resolution, source.image.resolution)
    assert source.inputs[0] == {"z", "class"} & source.latents.keys()
    assert len(source.inputs) == (6 if "noise.0" in source.latents else 3)
    for keys in source.inputs:
        code = source.prior(3, keys, rng())
        assert code.keys() == keys
        with torch.no_grad():
            images = source.synthesize(code)
            first = source.synthesize({key: value[:1] for key, value in code.items()})
            assert torch.equal(images, source.synthesize(code))
        assert images.shape == (3, *size) and images.dtype == torch.float32 and images.isfinite().all()
        torch.testing.assert_close(images[:1], first, atol=1e-4, rtol=1e-4)


def test_gradient_reaches_every_code(source: GeneratorSource) -> None:
    for keys in source.inputs:
        code = {key: value.requires_grad_() for key, value in source.prior(2, keys, rng()).items()}
        source.synthesize(code).square().sum().backward()
        for key, value in code.items():
            assert value.grad is not None and value.grad.abs().amax(dim=tuple(range(1, value.ndim))).min() > 0, key


def test_groups_partition_parameters_from_latent_to_pixel(source: GeneratorSource) -> None:
    for part in (source, critic_of(source)):
        listed = [parameter for group in part.groups().values() for parameter in group]
        assert {id(p) for p in listed} == {id(p) for p in part.parameters()}
        assert len(listed) == len(list(part.parameters()))
    assert next(iter(source.groups())) == "mapping" and list(critic_of(source).groups())[-1] == "head"


def test_prior_of_w_is_the_mapped_prior_of_z(source: GeneratorSource) -> None:
    with torch.no_grad():
        images = [source.synthesize(source.prior(2, keys, rng())) for keys in source.inputs[:3]]
    torch.testing.assert_close(images[0], images[1])
    torch.testing.assert_close(images[0], images[2])
    z = source.prior(4000, frozenset({"z"}), rng())["z"]
    assert z.mean().abs() < 0.02 and (z.std() - 1).abs() < 0.02


def test_deep_copies_share_the_critic(source: GeneratorSource) -> None:
    twin = copy.deepcopy(source)
    assert twin.own_critic() is source.own_critic()
    assert {id(p) for p in twin.parameters()}.isdisjoint(id(p) for p in source.parameters())
    assert {id(p) for p in critic_of(source).parameters()}.isdisjoint(id(p) for p in source.parameters())


def test_source_folders_keep_everything(source: GeneratorSource, tmp_path: Path) -> None:
    assert source.loaded_from is not None
    save_source(source, tmp_path / "s")
    again = load_source(source.loaded_from.name, tmp_path / "s")
    code = source.prior(2, source.inputs[-1], rng())
    images = torch.randn(4, source.image.channels, *[source.image.resolution] * 2)
    with torch.no_grad():
        assert torch.equal(source.synthesize(code), again.synthesize(code))
        assert torch.equal(critic_of(source)(images), critic_of(again)(images))


@pytest.mark.parametrize("network", [name for name in NETWORKS if "conditional" in name])
def test_conditional_scores_without_labels_are_the_mean_over_classes(network: str) -> None:
    source = build(network)
    critic = critic_of(source)
    images = torch.randn(4, source.image.channels, *[source.image.resolution] * 2)
    with torch.no_grad():
        each = torch.stack([critic(images, torch.full((4,), label)) for label in range(3)])
        torch.testing.assert_close(critic(images), each.mean(dim=0), atol=1e-5, rtol=1e-4)
    assert each.std(dim=0).min() > 0
    codes = source.class_codes(torch.tensor([0, 2, 2]))
    assert codes.shape == (3, *source.latents["class"].shape)
    assert torch.equal(codes[1], codes[2]) and not torch.equal(codes[0], codes[1])
    for part in (source.class_codes, lambda labels: critic(images[:1], labels)):
        with pytest.raises(MineganError, match=r"0 \.\.\. 2"):
            part(torch.tensor([3]))


def test_critics_score_any_number_and_are_twice_differentiable(source: GeneratorSource) -> None:
    critic = critic_of(source)
    for n in (1, 3, 4):
        images = torch.randn(n, source.image.channels, *[source.image.resolution] * 2, requires_grad=True)
        scores = critic(images)
        assert scores.shape == (n,)
    (gradient,) = torch.autograd.grad(scores.sum(), images, create_graph=True)
    gradient.square().sum().backward()
    assert all(p.grad is not None for name, p in critic.named_parameters() if name.endswith("conv0.weight"))
    with pytest.raises(MineganError, match="16x16"):
        critic(images[:, :, :8, :8])


def test_scores_are_the_head_of_the_features(source: GeneratorSource) -> None:
    critic = critic_of(source)
    images = torch.randn(4, source.image.channels, *[source.image.resolution] * 2, requires_grad=True)
    features = critic.forward_features(images)
    assert features.ndim == 2 and len(features) == 4 and features.dtype == torch.float32
    for labels in (None, torch.tensor([0, 2, 1, 1]) if critic.num_classes else None):
        assert torch.equal(critic.forward_head(features, labels), critic(images, labels))
    (slope,) = torch.autograd.grad(features.square().sum(), images, create_graph=True)
    slope.square().sum().backward()
    convolutions = [p for p in critic.parameters() if p.ndim == 4]
    assert convolutions and all(p.grad is not None and p.grad.isfinite().all() for p in convolutions)


@pytest.mark.parametrize("network", ["stylegan", "stylegan2, conditional", "stylegan3-r"])
def test_truncation_moves_w_towards_its_mean(network: str, tmp_path: Path) -> None:
    save_source(build(network), tmp_path / "s")
    family = NETWORKS[network][0]
    keys, wide = frozenset({"w+"}), load_source(family, tmp_path / "s").prior(4096, frozenset({"w+"}), rng(1))["w+"]
    mean = wide[:, 0].mean(dim=0)
    for psi in (0.5, 0.0):
        narrow = load_source(family, tmp_path / "s", truncation=psi).prior(4096, keys, rng(1))["w+"]
        torch.testing.assert_close(narrow, mean + psi * (wide - mean), atol=0.1 * wide.std().item(), rtol=0)
    assert narrow.std(dim=0).max() < 1e-5
    half = load_source(family, tmp_path / "s", truncation=0.5, truncation_cutoff=1)
    code = half.prior(2, keys, rng(1))["w+"]
    assert torch.equal(code[:, 1:], load_source(family, tmp_path / "s").prior(2, keys, rng(1))["w+"][:, 1:])
    assert not torch.equal(code[:, 0], code[:, 1])
    given = {"w": torch.randn(2, *half.latents["w"].shape)}
    assert torch.equal(half.synthesize(given), load_source(family, tmp_path / "s").synthesize(given))


@pytest.mark.parametrize("network", ["stylegan", "stylegan2"])
def test_noise_modes(network: str) -> None:
    def image(noise: str, **given: Tensor) -> Tensor:
        source = build(network, noise=noise)
        torch.manual_seed(1)
        with torch.no_grad():
            return source.synthesize({**source.prior(2, source.inputs[0], rng()), **given})

    source = build(network)
    maps = {key: torch.zeros(2, *space.shape) for key, space in source.latents.items() if key.startswith("noise.")}
    torch.testing.assert_close(image("none"), image("const", **maps))
    assert not torch.allclose(image("none"), image("const")) and not torch.allclose(image("const"), image("random"))
    assert torch.equal(image("const"), image("const"))
    with pytest.raises(MineganError, match="const"):
        build(network, noise="loud")


def test_cropping_stops_at_the_image_of_that_size(tmp_path: Path) -> None:
    source = build("stylegan2")
    save_source(source, tmp_path / "s")
    small = load_source("stylegan2", tmp_path / "s", resolution=8)
    assert small.image.resolution == 8 and small.own_critic() is None and small.latents["w+"].shape == (4, 10)
    # with the last block's contribution gone, the larger image is the smaller one, upsampled
    last = source.synthesis.blocks[-1].torgb
    with torch.no_grad():
        last.weight.zero_()
        last.bias.zero_()
        code = source.prior(2, frozenset({"w"}), rng())
        expected = source.synthesis.blocks[-1].fir.up(small.synthesize(code))
        torch.testing.assert_close(source.synthesize(code), expected)
    for resolution in (12, 32, 2):
        with pytest.raises(MineganError, match=r"\[4, 8, 16\]"):
            load_source("stylegan2", tmp_path / "s", resolution=resolution)
    save_source(build("stylegan2 orig"), tmp_path / "o")
    with pytest.raises(MineganError, match=r"\[16\]"):
        load_source("stylegan2", tmp_path / "o", resolution=8)


def test_alpha_is_the_share_of_the_new_resolution(tmp_path: Path) -> None:
    save_source(build("stylegan in a fade"), tmp_path / "s")
    half, new, old = (load_source("stylegan", tmp_path / "s", alpha=alpha) for alpha in (0.4, 1.0, 0.0))
    lower = load_source("stylegan", tmp_path / "s", resolution=8)
    code = half.prior(2, half.inputs[0], rng())
    images = torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        one, two, mixed = (source.synthesize(code) for source in (old, new, half))
        torch.testing.assert_close(mixed, 0.6 * one + 0.4 * two)
        nearest = lower.synthesize(code).repeat_interleave(2, 2).repeat_interleave(2, 3)
        torch.testing.assert_close(one, nearest)
        small = torch.nn.functional.avg_pool2d(images, 2)
        torch.testing.assert_close(critic_of(old)(images), critic_of(lower)(small))
    with pytest.raises(MineganError, match="cannot fade at 8"):
        load_source("stylegan", tmp_path / "s", resolution=8, alpha=0.5)
    with pytest.raises(MineganError, match="alpha"):
        load_source("stylegan", tmp_path / "s", alpha=1.5)


def test_mistakes_say_what_to_do(source: GeneratorSource, tmp_path: Path) -> None:
    code = source.prior(2, source.inputs[0], rng())
    with pytest.raises(MineganError, match="accepts"):
        source.synthesize({**code, "w": torch.zeros(2, *source.latents["w"].shape)})
    with pytest.raises(MineganError, match="shape"):
        source.synthesize({**code, "z": code["z"][:, :-1]})
    with pytest.raises(MineganError, match="latent space"):
        source.prior(2, frozenset({"x"}), rng())
    assert source.loaded_from is not None
    save_source(source, tmp_path / "s")
    with pytest.raises(MineganError, match="leave the option out"):
        load_source(source.loaded_from.name, tmp_path / "s", z_dim=13)


@pytest.mark.parametrize("family", ["stylegan", "stylegan2", "stylegan3"])
def test_impossible_networks(family: str) -> None:
    for resolution in (4, 24):
        with pytest.raises(MineganError, match="resolution"):
            generators.create(family, None, resolution=resolution)
    with pytest.raises(MineganError, match="channels"):
        generators.create(family, None, resolution=16, channels=-1)


def test_bf16_autocast_keeps_images_float32_and_close() -> None:
    for network in ("stylegan", "stylegan2", "stylegan3-r"):
        source = build(network)
        code = source.prior(2, frozenset({"w"}), rng())
        with torch.no_grad():
            exact = source.synthesize(code)
            with torch.autocast("cpu", torch.bfloat16):
                rough, score = source.synthesize(code), critic_of(source)(exact)
        assert rough.dtype == torch.float32 and score.dtype == torch.float32
        assert (rough - exact).abs().max() < 0.1 * exact.abs().max()


@pytest.mark.parametrize("network", ["stylegan", "stylegan2, conditional", "stylegan3-r"])
def test_compiles_without_graph_breaks(network: str) -> None:
    source = build(network)
    w = source.prior(2, frozenset({"w"}), rng())["w"].requires_grad_()

    def score(w: Tensor) -> Tensor:
        return critic_of(source)(source.synthesize({"w": w}))

    compiled = torch.compile(score, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(w), score(w))
    gradients = [torch.autograd.grad(run(w).sum(), w)[0] for run in (compiled, score)]
    torch.testing.assert_close(*gradients)


def test_entry_module_imports_no_torch() -> None:
    code = "import sys, minegan_zoo_stylegan; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
