"""What miners do before they have learned anything: step 0 is the source, whatever its prior."""

from __future__ import annotations

import pytest
import torch
from torch import Generator, Tensor

import minegan_zoo as mz
from minegan_zoo.contracts import GeneratorSource, LatentSpace, MineganError, Miner
from minegan_zoo.minegan import MinedGAN
from minegan_zoo.sources import code_from_noise, key_set

IDENTICAL = ("residual", "affine", "flow")
SOURCES = {
    "normal with classes": ("biggan.tiny", {}),
    "truncated": ("biggan.tiny", {"truncation": 0.4}),
    "sphere": ("progan.tiny", {}),
    "normal": ("stylegan2.tiny", {}),
}


def opened(case: str) -> GeneratorSource:
    name, options = SOURCES[case]
    torch.manual_seed(0)
    return mz.load_source(name, **options)


def built(miner: str, source: GeneratorSource, noise_dim: int = 32, **options: int) -> Miner:
    """As a run builds it: for the spaces that it asks for, shown the source's prior."""
    names = key_set(source, mz.miners.entry(miner).spaces)[1]
    made: Miner = mz.miners.create(miner, {name: source.latents[name] for name in names}, noise_dim, **options)
    unknown = frozenset(n for n in names if source.latents[n].prior in ("class-embedding", "mapped"))
    if unknown:
        made.start_from(source.prior(4096, unknown, Generator().manual_seed(0)))
    return made


def noise(n: int, noise_dim: int = 32, seed: int = 1) -> Tensor:
    return torch.randn(n, noise_dim, generator=Generator().manual_seed(seed))


@pytest.mark.parametrize("case", SOURCES)
@pytest.mark.parametrize("name", IDENTICAL)
def test_step_0_is_the_unmined_code(name: str, case: str) -> None:
    source, u = opened(case), noise(5)
    code = built(name, source)(u)  # type: ignore[operator]
    torch.testing.assert_close(code["z"], code_from_noise(source, u, Generator())["z"], rtol=0, atol=1e-6)
    if "class" in code:
        mean = source.class_codes(torch.arange(source.num_classes)).mean(0).detach()
        assert code["class"].std(0).max() < 1e-6
        torch.testing.assert_close(code["class"][0], mean, rtol=0, atol=0.05 * float(mean.abs().max() + 1))


@pytest.mark.parametrize("case", ["sphere", "normal"])
@pytest.mark.parametrize("name", IDENTICAL)
def test_step_0_samples_equal_the_sources(name: str, case: str) -> None:
    source, u = opened(case), noise(4)
    model = MinedGAN([source], [built(name, source)], mz.selectors.create("max", 1), source.image, 32).eval()
    mined, unmined = model.sample_source(0, u), model.sample_source(0, u, mined=False)
    torch.testing.assert_close(mined, unmined, rtol=0, atol=1e-5)
    assert unmined.std(0).max() > 1e-3, "the source must depend on z"


@pytest.mark.parametrize("truncation", [1.0, 0.4])
def test_step_0_samples_equal_a_conditional_sources_at_its_mean_class(truncation: float) -> None:
    torch.manual_seed(0)
    source, u = mz.load_source("biggan.tiny", truncation=truncation), noise(4)
    model = MinedGAN([source], [built("residual", source)], mz.selectors.create("max", 1), source.image, 32).eval()
    with torch.no_grad():
        z = code_from_noise(source, u, Generator())["z"]
        draws = source.prior(4096, frozenset({"class"}), Generator().manual_seed(0))["class"]
        images = source.synthesize({"z": z, "class": draws.mean(0).expand(4, -1)})
    torch.testing.assert_close(model.sample_source(0, u), images.clamp(-1, 1), rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["residual", "affine", "flow", "gaussian-mixture", "labelled"])
def test_nothing_learned_leaves_the_bounds_of_a_truncated_prior_or_the_sphere(name: str) -> None:
    latents = {"z": LatentSpace((6,), "truncated", 0.5), "s": LatentSpace((6,), "sphere")}
    miner = mz.miners.create(name, latents, 8, **({"num_classes": 2} if name == "labelled" else {}))
    with torch.no_grad():
        for parameter in miner.parameters():
            parameter.normal_()
    code = miner(noise(500, 8), torch.zeros(500, dtype=torch.int64))
    assert code["z"].abs().max() <= 1.0 and code["z"].abs().max() > 0.9
    torch.testing.assert_close(code["s"].square().mean(1), torch.ones(500), rtol=0, atol=1e-3)


@pytest.mark.parametrize(("name", "space"), [("w", "w"), ("wplus", "w+"), ("layerwise", "w+")])
def test_w_starts_with_the_mean_and_covariance_of_mapped_codes(name: str, space: str) -> None:
    source = opened("normal")
    code = built(name, source)(noise(8192))[space].flatten(1)  # type: ignore[operator]
    own = source.prior(8192, frozenset({space}), Generator().manual_seed(5))[space].flatten(1)
    largest = torch.linalg.eigvalsh(own.T.cov())[-1]
    assert (code.mean(0) - own.mean(0)).norm() < 0.1 * largest.sqrt()
    assert torch.linalg.matrix_norm(code.T.cov() - own.T.cov(), 2) < 0.1 * largest


def test_rows_of_w_plus_keep_their_own_means_and_scales() -> None:
    draws = torch.randn(4096, 1, 5) * torch.tensor([[1.0], [0.25]]) + torch.tensor([[3.0], [-1.0]])
    miner = mz.miners.create("wplus", {"w+": LatentSpace((2, 5), "mapped")}, 8)
    miner.start_from({"w+": draws})
    code = miner(noise(8192, 8))["w+"]
    torch.testing.assert_close(code.mean((0, 2)), torch.tensor([3.0, -1.0]), rtol=0, atol=0.05)
    torch.testing.assert_close(code.std(0).mean(1), torch.tensor([1.0, 0.25]), rtol=0, atol=0.02)


def test_a_mapped_space_wider_than_u_starts_with_its_largest_components() -> None:
    spread = torch.tensor([3.0, 0.01, 2.0, 0.01])
    miner = mz.miners.create("w", {"w": LatentSpace((4,), "mapped")}, 2)
    miner.start_from({"w": torch.randn(4096, 4) * spread})
    torch.testing.assert_close(miner(noise(8192, 2))["w"].std(0), spread, rtol=0.1, atol=0.1)


def test_a_mapped_space_without_spread_starts_at_its_mean() -> None:
    miner = mz.miners.create("w", {"w": LatentSpace((4,), "mapped")}, 4)
    miner.start_from({"w": torch.full((16, 4), 2.0)})
    assert miner(noise(64, 4))["w"].isfinite().all() and miner(torch.zeros(1, 4))["w"].eq(2).all()


def test_noise_maps_start_as_standard_noise_and_are_changed_smoothly_and_cheaply() -> None:
    latents = {
        "z": LatentSpace((8,), "normal"),
        "noise.0": LatentSpace((1, 4, 4), "normal"),
        "noise.1": LatentSpace((1, 1024, 1024), "normal"),
    }
    miner = mz.miners.create("noise", latents, 8, width=16)
    u = noise(2, 8)
    start = miner(u)
    large = start["noise.1"]
    assert torch.equal(start["z"], u) and torch.equal(large[0], large[1])
    assert abs(large.mean()) < 0.01 and abs(large.std() - 1) < 0.01
    assert sum(parameter.numel() for parameter in miner.parameters()) < 20_000
    with torch.no_grad():
        for parameter in miner.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    assert not torch.equal(miner(u)["noise.1"][0], miner(u)["noise.1"][1]), "maps must depend on u"
    for fixed in (0, 1):  # what is left of a map without the noise: its shift, and shift plus gain
        for buffer in [buffer for name, buffer in miner.named_buffers() if name.endswith("fixed")]:
            buffer.fill_(fixed)
        smooth = miner(u)["noise.1"].detach()
        assert smooth.std() > 0.05 and smooth.diff(dim=2).abs().max() < 0.1 * smooth.std()
    other = mz.miners.create("noise", latents, 8, width=16, seed=5)
    assert not torch.equal(other(u)["noise.0"], start["noise.0"])


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("w", {}, "'w' makes w and was given z"),
        ("wplus", {}, r"'wplus' makes w\+"),
        ("layerwise", {}, r"'layerwise' makes w\+ .* \(a StyleGAN has"),
        ("noise", {}, r"makes z and noise\.\*"),
        ("residual", {"depth": 1}, "at least 2 layers, not 1"),
        ("residual", {"width": 0}, "width of at least 1 unit, not 0"),
        ("affine", {"rank": -1}, "rank of 0"),
        ("gaussian-mixture", {"components": 0}, "at least 1 component"),
        ("gaussian-mixture", {"spread": 1.0}, "spread of 0 to below 1"),
        ("labelled", {}, "one sub-folder per class"),
        ("labelled", {"num_classes": 1}, "at least 2 classes, not 1"),
        ("flow", {"width": 4}, "set noise_dim to 32 or more"),
    ],
)
def test_mistakes_are_named_with_their_remedy(name: str, options: dict[str, int], words: str) -> None:
    with pytest.raises(MineganError, match=words):
        mz.miners.create(name, {"z": LatentSpace((32,), "normal")}, 16, **options)


def test_noise_says_what_its_maps_need() -> None:
    latents = {"z": LatentSpace((4,), "normal"), "noise.0": LatentSpace((1, 4, 4), "normal")}
    with pytest.raises(MineganError, match="a map_width of at least 1, not 8 and 0"):
        mz.miners.create("noise", latents, 4, map_width=0)


def test_a_flow_needs_two_dimensions_and_a_z() -> None:
    with pytest.raises(MineganError, match="at least 2 dimensions"):
        mz.miners.create("flow", {"z": LatentSpace((1,), "normal")}, 4)
    with pytest.raises(MineganError, match="makes z and was given w"):
        mz.miners.create("flow", {"w": LatentSpace((4,), "mapped")}, 4)
