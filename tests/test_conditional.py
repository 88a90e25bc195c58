"""Targets with one folder a class: miners and critic are conditioned on them, samples asked for by class."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import minegan_zoo as mz
from minegan_zoo.adoption import ProjectionCritic, adopt_critic
from minegan_zoo.contracts import Critic, ImageSpec, MineganError

QUICK = {"training.fid_samples": 0, "training.watch_every": 0}


@pytest.fixture
def classes(tmp_path: Path) -> Path:
    """Twelve dark and twelve bright images, a folder each."""
    rng = np.random.default_rng(0)
    for name, low in (("bright", 170), ("dark", 0)):
        (tmp_path / "target" / name).mkdir(parents=True)
        for index in range(12):
            pixels = rng.integers(low, low + 80, (16, 16, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "target" / name / f"{index}.png")
    return tmp_path / "target"


@pytest.mark.parametrize(
    ("source", "strategy"),
    [
        ("progan.tiny", "minegan"),
        ("biggan.tiny", "minegan"),
        ("stylegan2.tiny", "minegan"),
        ("biggan.tiny", "minegan-noft"),
        ("stylegan2.tiny", "minegan-noft"),
    ],
)
def test_a_folder_a_class_gives_a_conditional_model(source: str, strategy: str, classes: Path, tmp_path: Path) -> None:
    every_layer = {"biggan.tiny": {"z", "class+"}, "stylegan2.tiny": {"w+"}}
    options = {**QUICK, "strategy.per_layer": True} if strategy == "minegan-noft" else QUICK
    model = mz.mine(source, classes, strategy=strategy, steps=2, batch=4, out=tmp_path / "run", options=options)
    if strategy == "minegan-noft":
        assert set(model.mine(model.draw(1, torch.Generator()))[0]) == every_layer[source]
    assert model.class_names == ("bright", "dark")
    assert isinstance(model.critic, ProjectionCritic)
    loaded = mz.MinedGAN.load(tmp_path / "run" / "model")
    u = torch.randn(3, model.noise_dim, generator=torch.Generator().manual_seed(0))
    zeros, ones = torch.zeros(3, dtype=torch.int64), torch.ones(3, dtype=torch.int64)
    torch.testing.assert_close(loaded.sample(3, u=u, labels=ones), model.sample(3, u=u, labels=ones))
    assert not torch.allclose(model.sample(3, u=u, labels=zeros), model.sample(3, u=u, labels=ones))
    images = model.sample(3, seed=0)
    with torch.no_grad():
        torch.testing.assert_close(loaded.critic(images, ones), model.critic.eval()(images, ones))  # type: ignore[misc,union-attr]


def test_the_classes_asked_for_are_the_classes_that_come(tmp_path: Path) -> None:
    boots = files("minegan_zoo") / "data" / "demo" / "target"
    for index, path in enumerate(sorted(Path(str(boots)).glob("*.png"))[:40]):
        pixels = np.asarray(Image.open(path).convert("L"))
        for name, dimmed in (("bright", pixels), ("dark", (pixels * 0.3).astype(np.uint8))):
            (tmp_path / name).mkdir(exist_ok=True)
            Image.fromarray(dimmed).save(tmp_path / name / f"{index}.png")
    model = mz.mine("biggan.fashion-others-32", tmp_path, steps=120, batch=16, options=QUICK)
    bright, dark = (model.sample(32, seed=1, labels=torch.full((32,), label)).mean().item() for label in (0, 1))
    assert bright > dark + 0.2


def test_labels_can_be_left_out_and_must_exist_where_they_are_asked_for(classes: Path) -> None:
    plain = mz.mine("progan.tiny", classes, steps=2, batch=4, labels=False, options=QUICK)
    assert plain.class_names == ()
    with pytest.raises(MineganError, match="no classes"):
        plain.sample(2, labels=torch.zeros(2, dtype=torch.int64))
    with pytest.raises(MineganError, match="folder of its own"):
        mz.mine("progan.tiny", classes / "dark", steps=2, labels=True, options=QUICK)
    with pytest.raises(MineganError, match="without miners, labels need a source of as many classes"):
        mz.mine("progan.tiny", classes, strategy="transfergan", steps=2, labels=True, options=QUICK)


def test_labels_out_of_range_name_the_classes(classes: Path) -> None:
    model = mz.mine("progan.tiny", classes, steps=2, batch=4, options=QUICK)
    with pytest.raises(MineganError, match="between 0 and 1: bright, dark"):
        model.sample(2, labels=torch.tensor([0, 2]))


def test_a_critic_begins_with_its_pretrained_score_and_learns_classes_by_projection() -> None:
    source = mz.load_source("biggan.tiny")
    image = ImageSpec(3, source.image.resolution)
    own = source.own_critic()
    assert own is not None
    adopted = adopt_critic(source, image, 5)
    images, labels = torch.randn(4, 3, image.resolution, image.resolution), torch.tensor([0, 1, 4, 4])
    own.eval(), adopted.eval()  # type: ignore[attr-defined]
    plain = _scores(own, images)
    torch.testing.assert_close(adopted(images, labels), plain)  # type: ignore[operator]
    assert isinstance(adopted, ProjectionCritic)
    torch.nn.init.normal_(adopted.projection.weight)
    expected = plain + (adopted.projection.weight[labels] * own.forward_features(images)).sum(1)
    torch.testing.assert_close(adopted(images, labels), expected)
    assert sorted(id(p) for group in adopted.groups().values() for p in group) == sorted(
        id(p) for p in adopted.parameters()
    )


def _scores(critic: Critic, images: torch.Tensor) -> torch.Tensor:
    return critic(images)  # type: ignore[operator]


def test_a_conditional_model_is_a_source_of_the_next_run(classes: Path, tmp_path: Path) -> None:
    mz.mine("progan.tiny", classes, steps=2, batch=4, out=tmp_path / "run", options=QUICK)
    source = mz.load_source(str(tmp_path / "run"))
    size = source.latents["z"].shape[0]
    z = torch.zeros(2, size)
    z[0, -2], z[1, -1] = 1.0, 1.0
    bright, dark = source.synthesize({"z": z})
    assert not torch.equal(bright, dark), "the last dimensions name the class"
