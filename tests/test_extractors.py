"""Extractors: in eval mode, pinned, on the device asked for; LPIPS as a distance of features; what cannot be had."""

from __future__ import annotations

from typing import Any

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn
from torch_fidelity.sample_similarity_lpips import SampleSimilarityLPIPS

from minegan_zoo.contracts import MineganError
from minegan_zoo.extractors import BUNDLED, BUNDLED_SHA256, LPIPS, bundled, load_extractor
from minegan_zoo.extractors import extractor as loading

RANDOM = "timm-random:test_efficientnet"


def pixels(n: int, seed: int, channels: int = 1, resolution: int = 32) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    coarse = torch.rand(n, channels, 4, 4, generator=rng)
    return (nn.functional.interpolate(coarse, (resolution, resolution), mode="bilinear") * 255).byte()


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights that are downloaded elsewhere are drawn here: timm's, and LPIPS's with VGG-16's."""
    create = timm.create_model
    monkeypatch.setattr("timm.create_model", lambda name, pretrained=False, **options: create(name, **options))
    torch.manual_seed(0)
    vgg = nn.Module()
    vgg.features = torchvision.models.vgg.make_layers(torchvision.models.vgg.cfgs["D"])
    weights = {f"lin{i}.model.1.weight": torch.rand(1, c, 1, 1) for i, c in enumerate((64, 128, 256, 512, 512))}
    monkeypatch.setattr("torch_fidelity.sample_similarity_lpips.torchvision_load_pretrained_vgg16", lambda: vgg)
    monkeypatch.setattr("torch_fidelity.sample_similarity_lpips.load_state_dict_from_url", lambda *_, **__: weights)


# Networks


@pytest.mark.parametrize("name", [BUNDLED, RANDOM, "pixels", "timm:test_efficientnet", f"{LPIPS}@32"])
def test_networks_are_in_eval_mode(name: str, drawn: None) -> None:
    """No batch statistics, no dropout: features of an image do not depend on its batch or on the call."""
    extractor = load_extractor(name)
    assert not any(module.training for module in extractor.network.modules())
    assert not any(parameter.requires_grad for parameter in extractor.network.parameters())
    images = pixels(6, 0)
    together = extractor.features(images)
    assert torch.equal(together, extractor.features(images))
    assert torch.allclose(together, extractor.features(images, batch=1), atol=1e-5)
    assert together.dtype == torch.float32 and not together.requires_grad


def test_a_training_steps_precision_is_no_metrics() -> None:
    extractor = load_extractor()
    plain = extractor.features(pixels(3, 0))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(extractor.features(pixels(3, 0)), plain)


def test_the_bundled_extractor_is_pinned_and_tells_images_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    extractor = load_extractor()
    assert (extractor.name, extractor.sha256) == (BUNDLED, BUNDLED_SHA256)
    assert extractor.features(pixels(5, 0)).shape == (5, 64)
    assert (extractor.features(pixels(50, 0)).std(0) > 0).sum() >= 60  # nearly all features are alive
    monkeypatch.setattr(bundled, "BUNDLED_SHA256", "0" * 64)
    with pytest.raises(MineganError, match="damaged"):
        load_extractor()


def test_grey_and_its_rgb_copy_have_equal_features() -> None:
    grey = pixels(4, 0)
    for name in (BUNDLED, RANDOM):
        extractor = load_extractor(name)
        assert torch.allclose(extractor.features(grey), extractor.features(grey.repeat(1, 3, 1, 1)), atol=1e-5)


def test_random_timm_networks_are_the_same_every_time_and_leave_the_random_state_alone() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = load_extractor(RANDOM)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(6)
    assert load_extractor(RANDOM).sha256 == first.sha256
    assert load_extractor("timm-random:test_resnet").sha256 != first.sha256


DISTILLED = "timm:deit_tiny_distilled_patch16_224"  # two heads, whose mean is its answer


@pytest.mark.parametrize("name", [BUNDLED, "timm:test_efficientnet", "timm:test_vit", DISTILLED])
def test_logits_are_the_whole_networks(name: str, drawn: None) -> None:
    extractor = load_extractor(name, logits=True)
    images = pixels(3, 0, 3, extractor.network.size)  # as large as it sees them
    features, logits = extractor.layers(images)
    inner: Any = extractor.network.inner
    if name == BUNDLED:
        grey = (images.float() / 127.5 - 1).mul(torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1, keepdim=True)
        wanted = inner.logits(grey)
        assert len(extractor.class_names) == logits.shape[1] == 20
    else:
        wanted = inner((images.float() / 255 - extractor.network.mean) / extractor.network.std)
    assert torch.allclose(logits, wanted, atol=1e-4)
    assert torch.equal(load_extractor(name).features(images), features)
    assert load_extractor(name).sha256 == extractor.sha256


def test_sizes() -> None:
    """FD-DINOv2's network sees 224x224, of which a random one stands for it here; small ones for their own sizes."""
    vit = load_extractor("timm-random:test_vit@96")
    assert vit.features(pixels(2, 0, 3, 40)).shape == (2, 64) and vit.resize.endswith("antialiased to 96")
    assert vit.network.inner.patch_embed.img_size == (96, 96)
    assert load_extractor("timm-random:test_resnet@64").resize != load_extractor("timm-random:test_resnet").resize
    images = pixels(2, 0, 3, 16)
    assert torch.allclose(load_extractor("pixels").features(images), (images.float() / 127.5 - 1).flatten(1))
    assert load_extractor("pixels@8").features(images[:, :1]).shape == (2, 64)


# LPIPS


@pytest.mark.parametrize("resolution", [32, 48])
def test_squared_distances_of_lpips_features_are_lpips(resolution: int, drawn: None) -> None:
    extractor = load_extractor(f"{LPIPS}@32")
    first, second = pixels(3, 0, 3, resolution), pixels(3, 1, 3, resolution)
    lpips = SampleSimilarityLPIPS("lpips")
    seen = [
        nn.functional.interpolate(images.float(), (32, 32), mode="bilinear", antialias=True)
        for images in (first, second)
    ]
    wanted = lpips(*seen)
    found = (extractor.features(first) - extractor.features(second)).square().sum(1)
    assert torch.allclose(found, wanted, rtol=1e-4) and (wanted > 0).all()
    assert load_extractor(f"{LPIPS}@32").resize == "torch bilinear antialiased to 32"


# What cannot be had


def test_extractors_that_cannot_be_had_say_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MineganError, match="did you mean inception-v3-compat"):
        load_extractor("inception-v3")
    with pytest.raises(MineganError, match="did you mean pixels"):
        load_extractor("pixel")
    with pytest.raises(MineganError, match="or timm:MODEL"):
        load_extractor("timm")
    for name in ("timm-random:nonsense_net", "timm-random:test_resnet.no_such_tag"):
        with pytest.raises(MineganError, match="list_models"):
            load_extractor(name)
    with pytest.raises(MineganError, match="without a slash"):
        load_extractor("timm:hf_hub/x")
    for name, what in {f"{BUNDLED}@64": "leave @64 out", "pixels@big": "number of pixels"}.items():
        with pytest.raises(MineganError, match=what):
            load_extractor(name)

    def offline(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr("timm.create_model", offline)
    with pytest.raises(MineganError, match=r"timm:resnet18 cannot be had: no network; .* bundled"):
        load_extractor("timm:resnet18")
    monkeypatch.setattr("torch_fidelity.feature_extractor_inceptionv3.load_state_dict_from_url", offline)
    with pytest.raises(MineganError, match="weights of extractor inception-v3-compat cannot be had"):
        load_extractor("inception-v3-compat")
    monkeypatch.setattr("torch_fidelity.sample_similarity_lpips.load_state_dict_from_url", offline)
    with pytest.raises(MineganError, match="weights of extractor lpips-vgg16 cannot be had"):
        load_extractor(LPIPS)


@pytest.mark.parametrize("name", ["pixels", RANDOM, "vgg16", f"{LPIPS}@32"])
def test_no_logits_are_made_up(name: str, drawn: None) -> None:
    with pytest.raises(MineganError, match="is no classifier"):
        load_extractor(name, logits=True)


def test_features_too_large_for_memory_are_refused_after_one_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    extractor = load_extractor("pixels")
    monkeypatch.setattr(loading, "MOST_BYTES", 4 * 256 * 300)
    assert len(extractor.features(pixels(300, 0))) == 300
    with pytest.raises(MineganError, match="301 images by pixels"):
        extractor.features(pixels(301, 0))


def test_a_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_extractor(device="cpu").device == torch.device("cpu")
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert load_extractor().device == torch.device("cpu")
    with pytest.raises(MineganError, match="no CUDA device"):
        load_extractor(device="cuda")
