"""Metrics equal torch-fidelity's on the same images; records tell how; training images are refused."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from importlib.metadata import version

import numpy as np
import pytest
import torch
import torch_fidelity
import torchvision
from torch import Tensor
from torch.utils.data import Dataset
from torch_fidelity.sample_similarity_lpips import SampleSimilarityLPIPS

import minegan_zoo as mz
from minegan_zoo import samplers
from minegan_zoo.contracts import ImageSpec, MineganError
from minegan_zoo.data import load_images
from minegan_zoo.evaluation import evaluate
from minegan_zoo.extractors import BUNDLED, BUNDLED_SHA256, LPIPS, load_extractor, register_extractors, tensors_digest
from minegan_zoo.extractors.models import LpipsExtractor
from minegan_zoo.pixels import to_float
from minegan_zoo.records import MetricRecord
from minegan_zoo.watch import Watch


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


def unnamed(records: Mapping[str, MetricRecord]) -> dict[str, MetricRecord]:
    """Records without what tells one model from another."""
    same = {"model": "", "model_sha256": "", "checkpoint": ""}
    return {name: dataclasses.replace(record, **same) for name, record in records.items()}


# The same images through torch-fidelity alone


@pytest.mark.parametrize(
    ("extractor", "channels", "resolution"),
    [(BUNDLED, 1, 32), (BUNDLED, 3, 48), ("timm-random:test_efficientnet", 3, 40), ("pixels@8", 3, 20)],
)
def test_values_equal_torch_fidelitys_own(extractor: str, channels: int, resolution: int) -> None:
    real, fake = pixels(60, 1, channels, resolution), pixels(70, 2, channels, resolution)
    classifies = extractor == BUNDLED
    names = ["fid", "kid", "kmmd_rbf_median", "precision", "recall"] + ["inception_score"] * classifies
    found = evaluate(fake, real, metrics=names, extractor=extractor, seed=3)
    register_extractors(extractor)
    settings = {
        "input1": Images(fake), "input2": Images(real), "feature_extractor": extractor, "kid_subset_size": 60,
        "rng_seed": 3, "cuda": torch.cuda.is_available(), "cache": False, "save_cpu_ram": True, "verbose": False,
    }  # fmt: skip
    wanted = torch_fidelity.calculate_metrics(fid=True, kid=True, prc=True, isc=classifies, **settings)
    sigma = found["kmmd_rbf_median"].settings["kid_kernel_rbf_sigma"]
    gaussian = torch_fidelity.calculate_metrics(kid=True, kid_kernel="rbf", kid_kernel_rbf_sigma=sigma, **settings)
    assert found["kmmd_rbf_median"].value == pytest.approx(gaussian["kernel_inception_distance_mean"], rel=1e-6)
    assert found["fid"].value == pytest.approx(wanted["frechet_inception_distance"], rel=1e-6)
    assert found["kid"].value == pytest.approx(wanted["kernel_inception_distance_mean"], rel=1e-6)
    assert found["kid"].std == pytest.approx(wanted["kernel_inception_distance_std"], rel=1e-6)
    if classifies:
        assert found["inception_score"].value == pytest.approx(wanted["inception_score_mean"], rel=1e-6)
        assert found["inception_score"].std == pytest.approx(wanted["inception_score_std"], rel=1e-6)
    assert found["precision"].value == wanted["precision"] and found["recall"].value == wanted["recall"]


# Records


def test_record_says_how_it_was_measured(capfd: pytest.CaptureFixture[str]) -> None:
    real = load_images(pixels(40, 1), ImageSpec(1, 32))
    found = evaluate(Blobs(), real, metrics=("fid", "kid"), samples=50, seed=7, checkpoint="last", device="cpu")
    record = found["kid"]
    assert (record.checkpoint, record.device, record.dtype, record.quantisation) == ("last", "cpu", "float32", "uint8")
    assert (record.training_count, record.training_digest) == (0, None)
    assert list(found) == ["fid", "kid"] and record.metric == "kid" and record.tool == "torch-fidelity 0.4.0"
    assert (record.extractor, record.extractor_sha256) == (BUNDLED, BUNDLED_SHA256)
    assert (record.real_count, record.fake_count, record.seed) == (40, 50, 7)
    assert (record.real_name, record.real_digest) == ("tensor", real.digest)
    assert record.resize == "pillow-lanczos, centre crop; grey by ITU-R 601, torch bilinear antialiased to 32"
    assert (record.features, record.unseen, record.real_skipped) == (64, "", 0)
    assert (record.model, record.model_sha256) == ("Blobs", "")  # nothing is known of it
    assert record.settings == {"kid_subsets": 100, "kid_subset_size": 40} and record.trained_on is None
    assert found["fid"].std is None and record.std is not None
    density = evaluate(Blobs(), real, metrics=("density",), samples=50)["density"]
    assert density.tool == f"minegan-zoo {version('minegan-zoo')}" and density.settings == {"neighbours": 5}
    assert json.loads(json.dumps(record.as_dict())) == record.as_dict()
    assert set(record.as_dict()) == {field.name for field in dataclasses.fields(MetricRecord)}
    with pytest.raises(dataclasses.FrozenInstanceError):
        record.value = 0.0  # type: ignore[misc]
    assert capfd.readouterr() == ("", "")  # torch-fidelity is silent


def test_a_model_is_measured_on_its_own_samples() -> None:
    real = pixels(40, 1)
    by_model = evaluate(Blobs(), real, samples=50, seed=7)
    by_tensor = evaluate(to_float(pixels(50, 7)), real, seed=7)
    assert unnamed(by_model) == unnamed(by_tensor)
    assert evaluate(Blobs(), real, samples=50, seed=8)["fid"].value != by_model["fid"].value
    closer = evaluate(pixels(200, 3), real)["fid"].value
    assert closer < evaluate(255 - pixels(200, 3) // 4, real)["fid"].value


def test_a_source_is_measured_as_it_is() -> None:
    source = mz.load_source("progan.tiny")
    images = pixels(20, 1, source.image.channels, source.image.resolution)
    found = evaluate(source, images, samples=70, seed=3)
    assert found == evaluate(source, images, samples=70, seed=3)
    assert found["fid"].fake_count == 70 and found["fid"].value != evaluate(source, images, samples=70)["fid"].value
    drawn = samplers.SourceSampler(source).sample(70, seed=3)
    assert len(drawn.flatten(1).unique(dim=0)) == 70 and drawn.abs().max() <= 1
    assert unnamed(found) == unnamed(evaluate(drawn, images, seed=3))
    assert (found["fid"].model, found["fid"].checkpoint) == ("progan.tiny", "as loaded")
    assert found["fid"].model_sha256 == tensors_digest(source) != ""


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


def test_records_prove_what_they_were_compared_with() -> None:
    train = load_images(pixels(12, 1), ImageSpec(1, 32))
    by_images = evaluate(pixels(40, 3), pixels(40, 2), training=train)["fid"]
    by_digests = evaluate(pixels(40, 3), pixels(40, 2), training_digests=train.image_digests())["fid"]
    assert by_images == by_digests and by_images.training_count == 12 and by_images.trained_on == 0
    wanted = hashlib.sha256("\n".join(sorted(train.image_digests())).encode()).hexdigest()
    assert by_images.training_digest == wanted
    other = evaluate(pixels(40, 3), pixels(40, 2), training=pixels(12, 4))["fid"]
    assert other.training_digest != wanted and other.value == by_images.value


def test_copies_are_told_from_new_images() -> None:
    train, real = pixels(60, 1), pixels(60, 2)
    names = ("memorisation", "authenticity", "intra_cluster_distance", "mean_variance")
    new = evaluate(pixels(100, 3), real, metrics=names, training=train)
    copies = evaluate(train[:3].repeat(20, 1, 1, 1), real, metrics=names, training=train)
    assert list(new) == list(copies) == list(names)
    assert new["memorisation"].value == pytest.approx(1, abs=0.15) and copies["memorisation"].value == 0
    assert new["authenticity"].value > 0.3 and copies["authenticity"].value == 0
    assert new["intra_cluster_distance"].value > 1 and copies["intra_cluster_distance"].value == 0
    assert copies["mean_variance"].value < new["mean_variance"].value
    real_too = torch.cat([real, train[:1]])
    allowed = evaluate(
        pixels(100, 3), real_too, metrics=("coverage", "mean_variance"), training=train, allow_training=True
    )
    assert list(allowed) == ["coverage_train", "mean_variance"]  # which real images judge the one, not the other
    with pytest.raises(MineganError, match=r"memorisation compares .* held-out images, but 1 of the real"):
        evaluate(pixels(9, 3), real_too, metrics=("memorisation",), training=train, allow_training=True)


def test_memorisation_is_the_watchs() -> None:
    train, real, fake = (load_images(pixels(30, seed), ImageSpec(1, 32)).images for seed in (1, 2, 3))
    watched = Watch(load_extractor().features, train, real).samples(to_float(fake))
    found = evaluate(fake, real, metrics=("memorisation",), training=train)
    assert found["memorisation"].value == pytest.approx(watched["memorisation"], rel=1e-5)


def test_training_images_in_another_form_prove_nothing() -> None:
    training = load_images(pixels(5, 1), ImageSpec(3, 16)).image_digests()
    with pytest.raises(MineganError, match="prepared as 3x16, real ones as 1x32"):
        evaluate(pixels(5, 2), pixels(5, 3), training_digests=training)


# Classes


def test_class_accuracy_is_of_the_classes_asked_for() -> None:
    images = pixels(40, 3)
    real = pixels(40, 2)
    likeliest = load_extractor(logits=True).layers(images)[1].argmax(1)
    index = int(likeliest.mode().values)
    share = float((likeliest == index).float().mean())
    name = load_extractor().class_names[index]
    for classes in ((name,), (name.upper(),), (index,)):
        record = evaluate(images, real, metrics=("class_accuracy",), classes=classes)["class_accuracy"]
        assert record.value == pytest.approx(share) and record.classes == f"{index} ({name})"
    every = evaluate(images, real, metrics=("class_accuracy", "fid"), classes=range(20))
    assert every["class_accuracy"].value == 1 and every["fid"].classes == ""


# LPIPS


def test_intra_lpips_is_by_lpips_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its weights stood in for by drawn ones; its record names them, whatever extractor measures the rest."""
    vgg = torch.nn.Module()
    vgg.features = torchvision.models.vgg.make_layers(torchvision.models.vgg.cfgs["D"])
    weights = {f"lin{i}.model.1.weight": torch.rand(1, c, 1, 1) for i, c in enumerate((64, 128, 256, 512, 512))}
    monkeypatch.setattr("torch_fidelity.sample_similarity_lpips.torchvision_load_pretrained_vgg16", lambda: vgg)
    monkeypatch.setattr("torch_fidelity.sample_similarity_lpips.load_state_dict_from_url", lambda *_, **__: weights)
    monkeypatch.setattr(LpipsExtractor, "default_size", 16)
    train, fake = pixels(1, 1, 3, 16), pixels(4, 3, 3, 16)
    found = evaluate(fake, pixels(5, 2, 3, 16), metrics=("intra_lpips", "kid"), training=train)
    lpips = SampleSimilarityLPIPS("lpips")
    pairs = [float(lpips(fake[i : i + 1], fake[j : j + 1])) for i in range(4) for j in range(i)]
    assert found["intra_lpips"].value == pytest.approx(np.mean(pairs), rel=1e-4)
    assert found["intra_lpips"].extractor == LPIPS and found["kid"].extractor == BUNDLED
    assert found["intra_lpips"].extractor_sha256 != found["kid"].extractor_sha256

    def offline(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr("torch_fidelity.sample_similarity_lpips.load_state_dict_from_url", offline)
    with pytest.raises(MineganError, match="weights of extractor lpips-vgg16 cannot be had"):
        evaluate(fake, pixels(5, 2, 3, 16), metrics=("intra_lpips",), training=train)
