"""What a BigGAN source and its critic promise, on random networks."""

from __future__ import annotations

import copy
import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from minegan_zoo_biggan.norm import BatchStatistics
from torch.nn import functional as F

from minegan_zoo.contracts import GeneratorSource, LatentSpace, MineganError
from minegan_zoo.registry import generators
from minegan_zoo.sources import load_source, save_source

SMALL = {"resolution": 32, "channels": 1, "ch": 4, "dim_z": 12, "shared_dim": 5}
NETWORKS = {
    "biggan.tiny": ("biggan.tiny", {}),
    "biggan-deep.tiny": ("biggan-deep.tiny", {}),
    "unconditional": ("biggan", SMALL),
    "tables": ("biggan", {**SMALL, "num_classes": 4, "shared_dim": 0, "hier": False}),
    "flat z": ("biggan", {**SMALL, "num_classes": 4, "hier": False, "attention": "8_16"}),
    "64": ("biggan-deep", {**SMALL, "resolution": 64, "num_classes": 2, "attention": "32"}),
}


def build(network: str) -> GeneratorSource:
    torch.manual_seed(0)
    name, options = NETWORKS[network]
    return load_source(name) if name.endswith("tiny") else generators.create(name, None, **options)


def draw(source: GeneratorSource, n: int, seed: int = 0, keys: frozenset[str] = frozenset()) -> dict[str, torch.Tensor]:
    code = source.prior(n, keys or source.inputs[0], torch.Generator().manual_seed(seed))
    return {key: value.detach().requires_grad_() for key, value in code.items()}


@pytest.fixture(params=NETWORKS)
def source(request: pytest.FixtureRequest) -> GeneratorSource:
    return build(request.param)


@pytest.mark.parametrize("n", [1, 3])
def test_same_code_gives_same_image_row_by_row(source: GeneratorSource, n: int) -> None:
    code = draw(source, n)
    images = source.synthesize(code)
    assert images.shape == (n, source.image.channels, source.image.resolution, source.image.resolution)
    assert images.dtype == torch.float32 and images.abs().max() <= 1
    assert torch.equal(images, source.synthesize(code))
    first = source.synthesize({key: value[:1] for key, value in code.items()})
    torch.testing.assert_close(first, images[:1], atol=1e-5, rtol=1e-5)


def test_gradient_reaches_every_entry_of_every_code(source: GeneratorSource) -> None:
    for keys in source.inputs:
        code = draw(source, 2, keys=keys)
        (source.synthesize(code) * torch.randn(2, 1, *[source.image.resolution] * 2)).sum().backward()
        assert all((value.grad != 0).all() for value in code.values() if value.grad is not None)
        assert all(value.grad is not None for value in code.values())


def test_groups_partition_the_parameters(source: GeneratorSource) -> None:
    for part in (source, source.own_critic()):
        grouped = [parameter for group in part.groups().values() for parameter in group]
        assert sorted(map(id, grouped)) == sorted(map(id, part.parameters()))
        assert all(group and "/" not in name for name, group in part.groups().items())


def test_groups_are_ordered_from_latent_to_pixel_and_from_pixel_to_score() -> None:
    source = build("biggan.tiny")
    assert list(source.groups()) == ["shared", "linear", "block.0", "block.1", "block.2", "output"]
    assert list(source.own_critic().groups()) == ["block.0", "block.1", "block.2", "block.3", "linear", "embed"]


def test_a_copy_shares_the_critic(source: GeneratorSource) -> None:
    twin = copy.deepcopy(source)
    assert twin.own_critic() is source.own_critic() is not None
    assert not any(name.startswith("_critic") for name, _ in source.named_parameters())


def test_wrong_keys_and_shapes_are_the_users_mistakes() -> None:
    source = build("biggan.tiny")
    code = draw(source, 2)
    with pytest.raises(MineganError, match=r"takes class, z or class\+, z, not z"):
        source.synthesize({"z": code["z"]})
    with pytest.raises(MineganError, match=r"'z' has shape \(n, 16\)"):
        source.synthesize({**code, "z": code["z"][:, 1:]})
    with pytest.raises(MineganError, match="no latent space 'w'"):
        source.prior(1, frozenset({"w"}), torch.Generator())
    with pytest.raises(MineganError, match="unconditional"):
        build("unconditional").class_codes(torch.tensor([0]))
    for network in ("biggan.tiny", "tables"):
        with pytest.raises(MineganError, match=r"lie in 0 \.\.\. \d, got \[-1, 9\]"):
            build(network).class_codes(torch.tensor([9, -1, 9]))
    with pytest.raises(MineganError, match="truncation"):
        load_source("biggan.tiny", truncation=0.0)


def test_priors_follow_their_distributions() -> None:
    state = torch.get_rng_state()
    source = build("biggan.tiny")
    torch.set_rng_state(state)
    code = source.prior(4000, source.inputs[0], torch.Generator().manual_seed(1))
    assert torch.equal(torch.get_rng_state(), state)  # draws from its own generator alone
    assert abs(code["z"].mean()) < 0.02 and abs(code["z"].std() - 1) < 0.02
    rows = source.class_codes(torch.arange(3))
    found = (code["class"][:, None] == rows).all(2)
    assert (found.sum(1) == 1).all() and (found.float().mean(0) - 1 / 3).abs().max() < 0.03


@pytest.mark.parametrize("truncation", [0.5, 0.04])
def test_truncated_prior(truncation: float) -> None:
    source = load_source("biggan.tiny", truncation=truncation)
    assert source.latents["z"] == LatentSpace((16,), "truncated", truncation)
    z = source.prior(4000, frozenset({"z"}), torch.Generator().manual_seed(1))["z"] / truncation
    density, mass = math.exp(-2) / math.sqrt(2 * math.pi), math.erf(math.sqrt(2))
    assert z.abs().max() <= 2.0001
    assert abs(z.mean()) < 0.02 and abs(z.var() - (1 - 4 * density / mass)) < 0.02


def test_soft_labels_mix_the_codes() -> None:
    for network in ("biggan.tiny", "tables"):
        source = build(network)
        soft = torch.softmax(torch.randn(2, source.num_classes), dim=1)
        table = source.class_codes(torch.arange(source.num_classes))
        torch.testing.assert_close(source.class_codes(soft), soft @ table)


def test_training_updates_statistics_and_evaluation_does_not(source: GeneratorSource) -> None:
    buffers = {name: value.clone() for name, value in source.named_buffers()}
    code = draw(source, 8)
    source.synthesize(code)
    assert all(torch.equal(value, buffers[name]) for name, value in source.named_buffers())
    source.train()
    seen: dict[torch.nn.Module, torch.Tensor] = {}
    norms = {name: module for name, module in source.named_modules() if isinstance(module, BatchStatistics)}
    for module in norms.values():
        module.register_forward_hook(lambda module, inputs, output: seen.update({module: inputs[0].detach()}))
    images = source.synthesize(code)
    for name, module in norms.items():
        x = seen[module]
        mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3))
        torch.testing.assert_close(module.stored_mean, 0.9 * buffers[f"{name}.stored_mean"] + 0.1 * mean)
        torch.testing.assert_close(module.stored_var, 0.9 * buffers[f"{name}.stored_var"] + 0.1 * var)
        module.stored_mean, module.stored_var = mean, x.var((0, 2, 3), correction=0)
    source.eval()  # with the batch's own statistics, evaluation gives the batch's images
    torch.testing.assert_close(source.synthesize(code), images, atol=1e-3, rtol=1e-3)


def test_sigma_is_the_largest_singular_value_and_its_gradient_keeps_the_scale() -> None:
    layer = build("biggan.tiny").blocks[0][0].conv1
    torch.nn.init.normal_(layer.weight)
    layer.train()
    for _ in range(300):
        layer.normalised()
    layer.eval()
    assert abs(torch.linalg.matrix_norm(layer.normalised().flatten(1), 2) - 1) < 1e-3
    # weight / sigma does not change with the weight's scale, so the gradient is orthogonal to the weight.
    (layer.normalised() * torch.randn_like(layer.weight)).sum().backward()
    cosine = F.cosine_similarity(layer.weight.grad.flatten(), layer.weight.flatten(), dim=0)
    assert layer.weight.grad.norm() > 0.1 and abs(cosine) < 1e-4


def test_evaluation_takes_one_power_step_from_the_stored_vector() -> None:
    layer = build("biggan.tiny").blocks[1][0].conv2
    matrix = layer.weight.detach().flatten(1)
    layer.u0.normal_()  # of no particular length
    v = F.normalize(layer.u0 @ matrix)
    sigma = (v @ matrix.t() @ F.normalize(v @ matrix.t()).t()).item()
    torch.testing.assert_close(layer.normalised(), layer.weight / sigma)


@pytest.mark.parametrize("resample", ["up", "down"])
def test_fused_resampling_is_resampling(resample: str) -> None:
    from minegan_zoo_biggan.spectral import Conv2d

    layer = Conv2d(5, 3, 3, "none", 1e-8, resample=resample)
    layer.reset_parameters()
    torch.nn.init.normal_(layer.bias)
    x = torch.randn(2, 5, 6, 6)
    if resample == "up":
        expected = F.conv2d(F.interpolate(x, scale_factor=2), layer.weight, layer.bias, padding=1)
    else:
        expected = F.avg_pool2d(F.conv2d(x, layer.weight, layer.bias, padding=1), 2)
    torch.testing.assert_close(layer(x), expected, atol=1e-5, rtol=1e-5)


def test_half_precision_and_channels_last(source: GeneratorSource) -> None:
    code = draw(source, 2)
    images, scores = source.synthesize(code), source.own_critic()(source.synthesize(code))
    source.to(memory_format=torch.channels_last)
    torch.testing.assert_close(source.synthesize(code), images, atol=1e-4, rtol=1e-4)
    with torch.autocast("cpu", torch.bfloat16):
        half = source.synthesize(code)
        assert half.dtype == source.own_critic()(half).dtype == torch.float32
        assert (source.own_critic()(images) - scores).abs().max() < 0.1 * scores.abs().max() + 0.5
    assert (half - images).abs().mean() < 0.05


@pytest.mark.parametrize("network", ["biggan.tiny", "biggan-deep.tiny", "tables"])
def test_compiles_without_graph_breaks(network: str) -> None:
    source = build(network)
    critic, code = source.own_critic(), draw(source, 2)

    def score(z: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        return critic(source.synthesize({"z": z, "class": label}))

    compiled = torch.compile(score, backend="eager", fullgraph=True)
    inputs = (code["z"], code["class"])
    torch.testing.assert_close(compiled(*inputs), score(*inputs))
    gradients = [torch.autograd.grad(run(*inputs).sum(), inputs) for run in (compiled, score)]
    torch.testing.assert_close(*gradients)


def test_a_saved_source_gives_the_same_images_and_scores(source: GeneratorSource, tmp_path: Path) -> None:
    save_source(source, tmp_path / "saved")
    family = source.loaded_from.name.split(".")[0]
    again = load_source(family, tmp_path / "saved")
    code = draw(source, 2)
    images = source.synthesize(code)
    assert torch.equal(again.synthesize(code), images)
    assert torch.equal(again.own_critic()(images), source.own_critic()(images))
    with pytest.raises(MineganError, match=f"looks like {family}: load it under that name"):
        load_source("biggan" if family == "biggan-deep" else "biggan-deep", tmp_path / "saved")
    with pytest.raises(MineganError, match=r"resolution=\d+, not 128: leave the option out"):
        load_source(family, tmp_path / "saved", resolution=128)


def test_a_saved_source_keeps_its_truncation(tmp_path: Path) -> None:
    save_source(load_source("biggan.tiny", truncation=0.5), tmp_path / "saved")
    assert load_source("biggan", tmp_path / "saved").truncation == 0.5
    assert load_source("biggan", tmp_path / "saved", truncation=0.7).truncation == 0.7


def test_reset_draws_everything_anew() -> None:
    source = build("biggan.tiny")
    before = {name: value.clone() for name, value in source.state_dict().items()}
    source.train()
    source.synthesize(draw(source, 4))
    source.reset_parameters()
    after = source.state_dict()
    drawn = [name for name in before if name.endswith((".weight", ".u0")) and before[name].numel() > 1]
    assert not any(torch.equal(before[name], after[name]) for name in drawn)
    assert all(torch.equal(before[name], after[name]) for name in before if not name.endswith((".weight", ".u0")))
    torch.manual_seed(3)
    source.reset_parameters()
    first = source.linear.weight.clone()
    torch.manual_seed(3)
    source.reset_parameters()
    assert torch.equal(source.linear.weight, first)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"resolution": 48}, "defined for 32, 64, 128, 256, 512 pixels, not for 48"),
        ({"attention": "big"}, "not a list of resolutions"),
        ({"dim_z": 3}, "give dim_z = 4 or more"),
        ({"shared_dim": 0}, "needs a shared class embedding"),
        ({"ch": 0}, "too narrow for 32x32: give at least 1"),
    ],
)
def test_impossible_networks(options: dict[str, object], words: str) -> None:
    with pytest.raises(MineganError, match=words):
        generators.create("biggan", None, **options)


def test_published_weights_without_an_address_say_what_to_do() -> None:
    with pytest.raises(MineganError, match="by hand from the address in their card"):
        load_source("biggan.imagenet-128")
    assert "drive.google.com" in generators.entry("biggan.imagenet-128").card.notes


def test_registering_loads_no_torch() -> None:
    program = "import sys, minegan_zoo_biggan; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
