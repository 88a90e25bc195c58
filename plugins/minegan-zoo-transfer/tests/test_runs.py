"""Every method on every family, through whole short runs: what moves, what stays, what is kept, how it resumes."""

from __future__ import annotations

import fnmatch
from pathlib import Path
from typing import Any

import pytest
import torch
from minegan_zoo_transfer.layers import convolutions, image_layers
from torch import Tensor, nn

import minegan_zoo as mz
from minegan_zoo import steps

FAMILIES = ("biggan.tiny", "progan.tiny", "stylegan2.tiny")
SETTINGS: dict[str, Any] = {
    "fid_samples": 0, "samples_every": 1000, "log_every": 1000, "hold_out": 0.0, "watch_every": 0, "trackers": (),
}  # fmt: skip
FEW = {"ewc": {"strategy.samples": 2}, "adam-fsig": {"strategy.samples": 2, "strategy.probe_share": 0.5}}
SCALES = {"biggan.tiny": ("*.bn?.*", "output_layer.0.*"), "stylegan2.tiny": ("*.affine.*", "*.convs.*.bias")}
HEADS = {
    "biggan.tiny": {"linear.weight", "linear.bias"},
    "progan.tiny": {"head.weight", "head.bias"},
    "stylegan2.tiny": {"head.out.weight", "head.out.bias"},
}
FINAL = {  # what AdAM trains as it is: the last convolution, and all after it
    "biggan.tiny": HEADS["biggan.tiny"] | {"blocks.3.0.conv1.bias"},
    "progan.tiny": HEADS["progan.tiny"] | {"blocks.4.conv.weight", "blocks.4.dense.weight"},
    "stylegan2.tiny": {"head.conv.weight", "head.hidden.weight", "head.out.weight"},
}
LOWER = {
    "biggan.tiny": ("blocks.0.*", "blocks.1.*"),
    "progan.tiny": ("from_rgb.*", "blocks.16.*", "blocks.8.*"),
    "stylegan2.tiny": ("blocks.1.*",),
}


def target(size: int, n: int = 6) -> Tensor:
    return torch.randint(0, 256, (n, 3, size, size), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def source_of(family: str) -> Any:
    torch.manual_seed(0)
    return mz.load_source(family)


def mine(source: Any, strategy: str, out: Path | None = None, **options: Any) -> mz.MinedGAN:
    settings = {**SETTINGS, **FEW.get(strategy, {}), **options}
    images = target(source.image.resolution)
    return mz.mine([source], images, strategy=strategy, steps=4, batch=4, out=out, options=settings)


def changed(before: dict[str, Tensor], after: nn.Module) -> set[str]:
    """The parameters that differ; a critic's power iterations go on in frozen layers too."""
    now = after.state_dict()
    assert before.keys() == now.keys(), "what the method added is still there"
    return {name for name, _ in after.named_parameters() if not torch.equal(before[name], now[name])}


def scales_of(family: str, source: nn.Module) -> set[str]:
    """What scale-shift and bsa free."""
    names = dict(source.named_parameters())
    if family in SCALES:
        return {name for name in names if any(fnmatch.fnmatch(name, pattern) for pattern in SCALES[family])}
    weights = {place.full_name for place in convolutions(source)}
    return weights | {name.replace("weight", "bias") for name in weights}


@pytest.fixture(params=FAMILIES, scope="module")
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def run(family: str, strategy: str, **options: Any) -> tuple[Any, mz.MinedGAN, set[str], set[str]]:
    """The source before, the model, and which tensors of source and critic have changed."""
    source = source_of(family)
    model = mine(source, strategy, **options)
    critic = source.own_critic().state_dict()
    assert isinstance(model.critic, nn.Module)
    return source, model, changed(source.state_dict(), model.source_modules[0]), changed(critic, model.critic)


def test_scale_shift_moves_scales_and_shifts_alone(family: str) -> None:
    source, model, moved, critic = run(family, "scale-shift")
    free = scales_of(family, source)
    assert moved <= free
    assert len(moved) > len(free) / 2
    assert len(critic) > 4
    assert not model.miner_modules


def test_bsa_needs_no_critic_and_moves_scales_and_one_class(family: str) -> None:
    source, model, moved, critic = run(family, "bsa")
    assert moved <= scales_of(family, source) and moved
    assert not critic
    code = model.miner_modules[0](torch.randn(3, model.noise_dim))
    if source.num_classes:
        assert torch.equal(code["class"][0], code["class"][1])
        mean = source.prior(4096, frozenset({"z", "class"}), torch.Generator().manual_seed(0))["class"].mean(0)
        assert 0 < float((code["class"][0] - mean).detach().abs().max()) < 0.1
    # z is the prior's
    assert all(torch.equal(scale, torch.ones_like(scale)) for scale in model.miner_modules[0].scales)


def test_freezed_keeps_the_lower_layers_of_the_critic(family: str) -> None:
    _, _, moved, critic = run(family, "freezed")
    assert len(moved) > 4
    lower = {name for name in critic if any(fnmatch.fnmatch(name, pattern) for pattern in LOWER[family])}
    assert not lower
    assert HEADS[family] & critic


@pytest.mark.parametrize("strategy", ["l2sp", "ewc", "cdc"])
def test_regularised_finetuning_moves_both_networks(family: str, strategy: str) -> None:
    _, _, moved, critic = run(family, strategy)
    assert len(moved) > 8
    assert len(critic) > 4


@pytest.mark.parametrize("strategy", ["l2sp", "ewc"])
def test_a_heavy_anchor_holds_the_source(strategy: str) -> None:
    def distance(weight: float) -> float:
        source = source_of("progan.tiny")
        model = mine(source, strategy, **{"strategy.weight": weight, "training.beta1": 0.5})
        pairs = zip(source.parameters(), model.source_modules[0].parameters(), strict=True)
        return float(sum((one - other).detach().square().sum() for one, other in pairs))

    # from the second step on the penalty pulls back
    assert distance(1e12) < 0.9 * distance(0.0)


def test_adam_moves_kernels_and_what_is_beside_them(family: str) -> None:
    source, _, moved, critic = run(family, "adam-fsig")
    names = dict(source.named_parameters())
    kernels = {place.full_name for place in convolutions(source)}
    images = {place.full_name for place in image_layers(source)}
    beside = {name for name in names if name.endswith(("bias", "noise_strength")) or name.startswith("mapping")}
    styles = scales_of(family, source) if family != "progan.tiny" else set()
    assert moved <= kernels | images | beside | styles
    assert len(moved & kernels) > len(kernels) / 2 and moved & images and moved & beside
    assert not any(name.startswith(("linear", "shared", "blocks.4.dense")) for name in moved)
    assert critic >= FINAL[family]
    if family == "stylegan2.tiny":
        assert {"mapping.layers.0.weight", "synthesis.blocks.1.convs.0.noise_strength"} <= moved


def test_genda_moves_the_adaptor_and_the_head_alone(family: str) -> None:
    _, model, moved, critic = run(family, "genda")
    assert not moved
    assert critic == HEADS[family]
    assert any(float((scale - 1).detach().abs().max()) > 0 for scale in model.miner_modules[0].scales)


@pytest.mark.parametrize("strategy", ["bsa", "cdc", "adam-fsig"])
def test_the_saved_model_holds_plain_networks(strategy: str, tmp_path: Path) -> None:
    model = mine(source_of("progan.tiny"), strategy)
    model.save(tmp_path / "model")
    again = mz.MinedGAN.load(tmp_path / "model")
    assert torch.equal(model.sample(3, seed=1), again.sample(3, seed=1))
    plain = mz.load_source("progan", tmp_path / "model" / "sources" / "0")
    assert plain.state_dict().keys() == source_of("progan.tiny").state_dict().keys()


@pytest.mark.parametrize("strategy", ["bsa", "cdc", "adam-fsig", "genda"])
def test_a_run_that_was_cut_off_ends_with_the_same_weights(
    strategy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def weights(out: Path) -> dict[str, Tensor]:
        model = mine(source_of("progan.tiny"), strategy, out, state_every=1)
        assert isinstance(model.critic, nn.Module)
        return {**model.state_dict(), **{f"critic/{name}": each for name, each in model.critic.state_dict().items()}}

    undisturbed = weights(tmp_path / "a")
    train, left = steps.Steps.miner, [3]

    def cut_off(*arguments: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise SystemExit("the power failed")
        return train(*arguments)

    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(steps.Steps, "miner", cut_off)
        weights(tmp_path / "b")
    resumed = weights(tmp_path / "b")
    assert [name for name in undisturbed if not torch.equal(undisturbed[name], resumed[name])] == []


def test_several_sources_are_adapted_together() -> None:
    sources = [source_of("progan.tiny"), source_of("stylegan2.tiny")]
    for strategy in ("scale-shift", "ewc", "cdc", "adam-fsig"):
        options = {**SETTINGS, **FEW.get(strategy, {}), "keep_above": 0.99}  # drops a source when selection ends
        model = mz.mine(sources, target(16), strategy=strategy, steps=2, batch=4, options=options)
        assert model.sample(3, seed=0).isfinite().all()


def test_methods_say_what_they_cannot_do() -> None:
    with pytest.raises(mz.MineganError, match=r"bsa compares what progan.tiny makes .16x16 RGB. with .* 32x32 RGB"):
        mz.mine(["biggan.tiny", "progan.tiny"], target(32), strategy="bsa", steps=2, batch=4, options=SETTINGS)
    with pytest.raises(mz.MineganError, match=r"frozen is the share of the critic's groups"):
        mz.strategies.create("freezed", frozen=1.0)
    with pytest.raises(mz.MineganError, match=r"probe_share is a share between 0 and 1"):
        mz.strategies.create("adam-fsig", probe_share=0.0)
    for name in ("ewc", "adam-fsig"):
        with pytest.raises(mz.MineganError, match=rf"{name}: .* set strategy.samples to 1 or more, not 0"):
            mz.strategies.create(name, samples=0)
    with pytest.raises(mz.MineganError, match=r"strength is above 0 and at most 1"):
        mz.strategies.create("genda", strength=0.0)
    with pytest.raises(mz.MineganError, match=r"timm's 'no-such-network' with its weights cannot be had.*'critic'"):
        mine(source_of("progan.tiny"), "bsa", **{"strategy.perceptual": "no-such-network"})
    with pytest.raises(mz.MineganError, match=r"no feature map of at most 1x1: set strategy.patch_map to 4 or more"):
        mine(source_of("progan.tiny"), "cdc", **{"strategy.patch_map": 1})
