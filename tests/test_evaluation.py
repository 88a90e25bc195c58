"""Metrics equal torch-fidelity's and closed forms; records tell how they were measured; training images are refused."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest
import torch
import torch_fidelity
from torch import Tensor
from torch.utils.data import Dataset

from minegan_zoo import samplers
from minegan_zoo.contracts import ImageSpec, MineganError
from minegan_zoo.data import load_images, to_float
from minegan_zoo.evaluation import MetricRecord, evaluate
from minegan_zoo.extractors import BUNDLED, BUNDLED_SHA256, bundled, load_extractor, register_extractors
from minegan_zoo.metrics import fid, kid, precision_recall


def pixels(n: int, seed: int, channels: int = 1, resolution: int = 32) -> Tensor:
    """Blobs, uint8: no two alike, and not as far from any natural image as noise."""
    rng = torch.Generator().manual_seed(seed)
    coarse = torch.rand(n, channels, 4, 4, generator=rng)
    return (torch.nn.functional.interpolate(coarse, (resolution, resolution), mode="bilinear") * 255).byte()


class Images(Dataset[Tensor]):
    def __init__(self, images: Tensor) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Tensor:
        return self.images[index]


class Blobs:
    """A model: other images for another seed."""

    def __init__(self, channels: int = 1, resolution: int = 32) -> None:
        self.calls: list[tuple[int, int | None]] = []
        self.channels, self.resolution = channels, resolution

    def sample(self, n: int, seed: int | None = None) -> Tensor:
        self.calls.append((n, seed))
        return to_float(pixels(n, seed or 0, self.channels, self.resolution))


# Metrics on features


def gaussian(n: int, mean: np.ndarray, covariance: np.ndarray) -> Tensor:
    """Features whose sample mean and covariance are exactly these."""
    noise = np.random.default_rng(0).normal(size=(n, len(mean)))
    noise -= noise.mean(0)
    white = noise @ np.linalg.inv(np.linalg.cholesky(np.cov(noise, rowvar=False))).T
    return torch.from_numpy(white @ np.linalg.cholesky(covariance).T + mean)


def test_fid_is_the_closed_form_on_gaussians() -> None:
    """|m1 - m2|^2 + sum over shared axes of (sqrt(a) - sqrt(b))^2, for covariances that commute."""
    rng = np.random.default_rng(1)
    axes, _ = np.linalg.qr(rng.normal(size=(8, 8)))
    a, b = rng.uniform(0.5, 4, 8), rng.uniform(0.5, 4, 8)
    mean = rng.normal(size=8)
    real = gaussian(100, np.zeros(8), axes * a @ axes.T)
    fake = gaussian(90, mean, axes * b @ axes.T)
    wanted = mean @ mean + ((np.sqrt(a) - np.sqrt(b)) ** 2).sum()
    assert fid(real, fake).value == pytest.approx(wanted, rel=1e-9)
    assert fid(real, real).value == pytest.approx(0, abs=1e-9)


def test_kid_is_the_unbiased_mmd_of_the_cubic_kernel() -> None:
    real, fake = torch.randn(2, 30, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    fake = fake[:25] + 0.5

    def kernel(x: Tensor, y: Tensor) -> Tensor:
        return (x @ y.T / 5 + 1) ** 3

    def off_diagonal_mean(x: Tensor) -> Tensor:
        return (kernel(x, x).sum() - kernel(x, x).diag().sum()) / (len(x) * (len(x) - 1))

    # subsets of min(30, 25) take every fake, and of the real ones 25: the mean over many is near the whole's
    score = kid(real, fake, 0)
    whole = off_diagonal_mean(real) + off_diagonal_mean(fake) - 2 * kernel(real, fake).mean()
    assert score.settings == {"kid_subsets": 100, "kid_subset_size": 25}
    assert score.std is not None and abs(score.value - whole.item()) < 4 * score.std / math.sqrt(100)
    equal = kid(fake, real[:25], 0)
    whole = off_diagonal_mean(real[:25]) + off_diagonal_mean(fake) - 2 * kernel(real[:25], fake).mean()
    assert equal.value == pytest.approx(whole.item(), rel=1e-9) and equal.std == pytest.approx(0, abs=1e-12)


def test_kid_subsets_are_at_most_a_thousand(monkeypatch: pytest.MonkeyPatch) -> None:
    means = {"kernel_inception_distance_mean": 0.5, "kernel_inception_distance_std": 0.1}
    monkeypatch.setattr("torch_fidelity.metric_kid.kid_features_to_metric", lambda *_, **__: means)  # slow
    score = kid(torch.zeros(1100, 2), torch.zeros(1200, 2), 0)
    assert (score.value, score.std, score.settings["kid_subset_size"]) == (0.5, 0.1, 1000)


def test_precision_and_recall_tell_a_collapsed_from_a_spread_model() -> None:
    real = torch.randn(200, 4, generator=torch.Generator().manual_seed(0))
    collapsed = real[:1] + 1e-3 * torch.randn(200, 4, generator=torch.Generator().manual_seed(1))
    spread = 10 * torch.randn(200, 4, generator=torch.Generator().manual_seed(2))
    of_collapsed, of_spread, of_itself = (precision_recall(real, fake) for fake in (collapsed, spread, real))
    assert of_collapsed[0].value == 1 and of_collapsed[1].value < 0.02
    assert of_spread[0].value < 0.2 and of_spread[1].value > 0.8
    assert of_itself[0].value == of_itself[1].value == 1


# The same images through torch-fidelity alone


@pytest.mark.parametrize(
    ("extractor", "channels", "resolution"),
    [(BUNDLED, 1, 32), (BUNDLED, 3, 48), ("timm-random:test_efficientnet", 3, 40)],
)
def test_values_equal_torch_fidelitys_own(extractor: str, channels: int, resolution: int) -> None:
    real, fake = pixels(60, 1, channels, resolution), pixels(70, 2, channels, resolution)
    found = evaluate(fake, real, metrics=("fid", "kid", "precision", "recall"), extractor=extractor, seed=3)
    register_extractors(extractor)
    wanted = torch_fidelity.calculate_metrics(
        input1=Images(fake), input2=Images(real), feature_extractor=extractor, fid=True, kid=True, prc=True,
        kid_subset_size=60, rng_seed=3, cuda=torch.cuda.is_available(), cache=False, save_cpu_ram=True, verbose=False,
    )  # fmt: skip
    assert found["fid"].value == pytest.approx(wanted["frechet_inception_distance"], rel=1e-6)
    assert found["kid"].value == pytest.approx(wanted["kernel_inception_distance_mean"], rel=1e-6)
    assert found["kid"].std == pytest.approx(wanted["kernel_inception_distance_std"], rel=1e-6)
    assert found["precision"].value == wanted["precision"] and found["recall"].value == wanted["recall"]


# Extractors


@pytest.mark.parametrize("name", [BUNDLED, "timm-random:test_efficientnet"])
def test_networks_are_in_eval_mode(name: str) -> None:
    """No batch statistics, no dropout: features of an image do not depend on its batch or on the call."""
    extractor = load_extractor(name)
    assert not any(module.training for module in extractor.network.modules())
    images = pixels(6, 0)
    together = extractor.features(images)
    assert torch.equal(together, extractor.features(images))
    assert torch.allclose(together, extractor.features(images, batch=1), atol=1e-5)
    assert together.dtype == torch.float32 and not together.requires_grad


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
    for name in (BUNDLED, "timm-random:test_efficientnet"):
        extractor = load_extractor(name)
        assert torch.allclose(extractor.features(grey), extractor.features(grey.repeat(1, 3, 1, 1)), atol=1e-5)


def test_random_timm_networks_are_the_same_every_time_and_leave_the_random_state_alone() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = load_extractor("timm-random:test_efficientnet")
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(6)
    assert load_extractor("timm-random:test_efficientnet").sha256 == first.sha256
    assert load_extractor("timm-random:test_resnet").sha256 != first.sha256


def test_extractors_that_cannot_be_had_say_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MineganError, match="did you mean inception-v3-compat"):
        load_extractor("inception-v3")
    with pytest.raises(MineganError, match="list_models"):
        load_extractor("timm-random:nonsense_net")

    def offline(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr("timm.create_model", offline)
    with pytest.raises(MineganError, match=r"timm:resnet18 cannot be had: no network; .* bundled"):
        load_extractor("timm:resnet18")
    monkeypatch.setattr("torch_fidelity.feature_extractor_inceptionv3.load_state_dict_from_url", offline)
    with pytest.raises(MineganError, match="weights of extractor inception-v3-compat cannot be had"):
        load_extractor("inception-v3-compat")


# Records


def test_record_says_how_it_was_measured(capfd: pytest.CaptureFixture[str]) -> None:
    real = load_images(pixels(40, 1), ImageSpec(1, 32))
    found = evaluate(Blobs(), real, metrics=("fid", "kid"), samples=50, seed=7)
    record = found["kid"]
    assert list(found) == ["fid", "kid"] and record.metric == "kid" and record.tool == "torch-fidelity 0.4.0"
    assert (record.extractor, record.extractor_sha256) == (BUNDLED, BUNDLED_SHA256)
    assert (record.real_count, record.fake_count, record.seed) == (40, 50, 7)
    assert (record.real_name, record.real_digest) == ("tensor", real.digest)
    assert record.resize == "pillow-lanczos, centre crop; torch bilinear antialiased to 32"
    assert record.settings == {"kid_subsets": 100, "kid_subset_size": 40} and record.trained_on is None
    assert found["fid"].std is None and record.std is not None
    assert json.loads(json.dumps(record.as_dict())) == record.as_dict()
    assert set(record.as_dict()) == {field.name for field in dataclasses.fields(MetricRecord)}
    with pytest.raises(dataclasses.FrozenInstanceError):
        record.value = 0.0  # type: ignore[misc]
    assert capfd.readouterr() == ("", "")  # torch-fidelity is silent


def test_a_model_is_measured_on_its_own_samples() -> None:
    real = pixels(40, 1)
    by_model = evaluate(Blobs(), real, samples=50, seed=7)
    by_tensor = evaluate(to_float(pixels(50, 7)), real, seed=7)
    assert by_model == by_tensor
    assert evaluate(Blobs(), real, samples=50, seed=8)["fid"].value != by_model["fid"].value
    closer = evaluate(pixels(200, 3), real)["fid"].value
    assert closer < evaluate(255 - pixels(200, 3) // 4, real)["fid"].value


def test_default_sample_count_and_large_models_come_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Blobs()
    assert evaluate(model, pixels(5, 1), metrics=("fid",))["fid"].fake_count == 1000
    monkeypatch.setattr(samplers, "CHUNK_BYTES", 4 * 32 * 32 * 20)
    model = Blobs()
    evaluate(model, pixels(5, 1), metrics=("fid",), samples=50, seed=1)
    seeds = [seed for n, seed in model.calls if n > 1]
    assert [n for n, _ in model.calls] == [1, 20, 20, 10] and seeds[0] == 1 and len(set(seeds)) == 3


def test_real_images_are_brought_to_the_models_form() -> None:
    real = pixels(20, 1, channels=1, resolution=32)
    record = evaluate(Blobs(channels=3, resolution=16), real, samples=20)["fid"]
    assert record.real_digest == load_images(real, ImageSpec(3, 16)).digest


# Training images


def test_training_images_are_refused_unless_asked_for_and_then_named_so() -> None:
    real, other = load_images(pixels(40, 1), ImageSpec(1, 32)), load_images(pixels(40, 2), ImageSpec(1, 32))
    training = frozenset(list(real.image_digests())[:3])
    with pytest.raises(MineganError, match=r"3 of 40 real images of tensor were .* allow_training"):
        evaluate(pixels(40, 3), real, training_digests=training)
    allowed = evaluate(pixels(40, 3), real, training_digests=training, allow_training=True)
    assert list(allowed) == ["fid_train", "kid_train"]
    assert allowed["fid_train"].metric == "fid_train" and allowed["fid_train"].trained_on == 3
    disjoint = evaluate(pixels(40, 3), other, training_digests=training)
    assert list(disjoint) == ["fid", "kid"] and disjoint["fid"].trained_on == 0


def test_training_images_in_another_form_prove_nothing() -> None:
    training = load_images(pixels(5, 1), ImageSpec(3, 16)).image_digests()
    with pytest.raises(MineganError, match="prepared as 3x16, real ones as 1x32"):
        evaluate(pixels(5, 2), pixels(5, 3), training_digests=training)


# Mistakes


def test_mistakes_say_what_to_do() -> None:
    with pytest.raises(MineganError, match="no metric fidd: did you mean fid"):
        evaluate(pixels(5, 1), pixels(5, 2), metrics=("fidd",))
    with pytest.raises(MineganError, match="a sequence of names"):
        evaluate(pixels(5, 1), pixels(5, 2), metrics="fid")
    with pytest.raises(MineganError, match="at least 2 of each"):
        evaluate(pixels(5, 1), pixels(1, 2))
    with pytest.raises(MineganError, match="the tensor holds 5"):
        evaluate(pixels(5, 1), pixels(5, 2), samples=9)
    with pytest.raises(MineganError, match="not finite"):
        evaluate(torch.full((4, 1, 32, 32), math.nan), pixels(5, 2))
    with pytest.raises(MineganError, match=r"must be \(n, 1 or 3, R, R\)"):
        evaluate(torch.zeros(4, 2, 32, 32), pixels(5, 2))
