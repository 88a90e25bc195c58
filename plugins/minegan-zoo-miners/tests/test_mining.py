"""Every miner in a real, short run on a tiny source: it trains, samples, and comes back from its folder the same."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Generator
from torchvision.utils import save_image

import minegan_zoo as mz
from minegan_zoo.contracts import MineganError

RUNS = [
    ("residual", "biggan.tiny"),
    ("affine", "progan.tiny"),
    ("flow", "biggan.tiny"),
    ("gaussian-mixture", "biggan.tiny"),
    ("w", "stylegan2.tiny"),
    ("wplus", "stylegan2.tiny"),
    ("layerwise", "stylegan2.tiny"),
    ("noise", "stylegan2.tiny"),
]


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight images in a folder for each of two classes."""
    folder, rng = tmp_path_factory.mktemp("target"), Generator().manual_seed(0)
    for name in ("dark", "light"):
        (folder / name).mkdir()
        for index in range(8):
            image = torch.rand(3, 16, 16, generator=rng) / 2 + 0.5 * (name == "light")
            save_image(image, folder / name / f"{index}.png")
    return folder


def check(model: mz.MinedGAN, folder: Path, labels: torch.Tensor | None = None) -> None:
    images = model.sample(3, seed=0, labels=labels)
    assert images.isfinite().all() and images.std() > 0
    model.save(folder)
    again = mz.MinedGAN.load(folder)
    assert torch.equal(again.sample(3, seed=0, labels=labels), images)


@pytest.mark.parametrize(("miner", "source"), RUNS)
def test_a_run_with_each_miner(miner: str, source: str, target: Path, tmp_path: Path) -> None:
    model = mz.mine(source, target / "dark", miner=miner, steps=2, batch=4)
    check(model, tmp_path / "model")


@pytest.mark.parametrize("miner", ["labelled", "residual"])
def test_a_run_with_labels(miner: str, target: Path, tmp_path: Path) -> None:
    model = mz.mine("progan.tiny", target, miner=miner, steps=2, batch=4)
    assert model.class_names == ("dark", "light") and model.miners[0].num_classes == 2
    check(model, tmp_path / "model", torch.tensor([0, 1, 1]))


def test_labelled_without_classes_says_what_to_do(target: Path) -> None:
    with pytest.raises(MineganError, match="one sub-folder per class"):
        mz.mine("progan.tiny", target / "dark", miner="labelled", steps=2, batch=4)


def test_a_source_without_the_space_is_refused(target: Path) -> None:
    with pytest.raises(MineganError, match=r"has no latent spaces w.*miners that fit it: .*mlp"):
        mz.mine("progan.tiny", target / "dark", miner="w", steps=2, batch=4)
