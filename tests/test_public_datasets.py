"""Tensors, tensor files and public datasets become image sets too."""

from __future__ import annotations

import struct
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from minegan_zoo.contracts import ImageSpec, MineganError
from minegan_zoo.data import load_images
from minegan_zoo.pixels import to_float

RGB8, GREY8 = ImageSpec(3, 8), ImageSpec(1, 8)


def random_image(seed: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8))


# Tensors


def test_tensor_file_tensor_and_list(tmp_path: Path) -> None:
    pixels = torch.randint(0, 256, (5, 1, 8, 8), dtype=torch.uint8)
    save_file({"images": pixels, "labels": torch.tensor([2, 0, 1, 2, 2])}, tmp_path / "test.safetensors")
    found = load_images(tmp_path / "test.safetensors", GREY8, labels=True)
    assert torch.equal(found.images, pixels) and found.class_names == ("0", "1", "2")
    assert found.labels is not None and found.labels.tolist() == [2, 0, 1, 2, 2]
    assert torch.equal(load_images(pixels, GREY8).images, pixels)
    assert torch.equal(load_images(to_float(pixels), GREY8).images, pixels)
    assert torch.equal(load_images(pixels, RGB8).images, pixels.expand(-1, 3, -1, -1))
    assert torch.equal(load_images([Image.fromarray(p[0].numpy()) for p in pixels], GREY8).images, pixels)
    assert load_images(found, GREY8).digest == found.digest
    with pytest.raises(MineganError, match="has no labels"):
        load_images(pixels, GREY8, labels=True)
    with pytest.raises(MineganError, match=r"must be \(n, 1, H, W\)"):
        load_images(torch.zeros(2, 4, 8, 8), GREY8)
    with pytest.raises(MineganError, match=r"images\[0\] is a int"):
        load_images([3], GREY8)  # type: ignore[list-item]
    save_file({"pixels": pixels}, tmp_path / "other.safetensors")
    with pytest.raises(MineganError, match='uint8 tensor "images"'):
        load_images(tmp_path / "other.safetensors", GREY8)


def test_image_digests_prove_disjointness() -> None:
    pixels = torch.randint(0, 256, (6, 1, 8, 8), dtype=torch.uint8)
    first, second = load_images(pixels[:4], GREY8).image_digests(), load_images(pixels[3:], GREY8).image_digests()
    assert len(first) == 4 and len(first & second) == 1
    assert all(digest.startswith("1x8:") for digest in first)


# Public datasets


def write_mnist(root: Path, images: np.ndarray, labels: list[int]) -> None:
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part in ("train", "t10k"):
        (raw / f"{part}-images-idx3-ubyte").write_bytes(struct.pack(">IIII", 2051, *images.shape) + images.tobytes())
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">II", 2049, len(labels)) + bytes(labels))


def test_torchvision(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (6, 8, 8), np.uint8)
    write_mnist(tmp_path, images, [0, 7, 1, 7, 5, 0])
    every = load_images(f"torchvision:MNIST?root={tmp_path}", GREY8)
    assert torch.equal(every.images[:, 0], torch.from_numpy(images)) and every.labels is None
    some = load_images(f"torchvision:MNIST?root={tmp_path}&split=test&classes=7,0", GREY8, labels=True)
    assert some.class_names == ("7", "0") and some.labels is not None and some.labels.tolist() == [1, 0, 0, 1]
    assert some.names == ("000000", "000001", "000003", "000005")
    assert some.origin == "torchvision:MNIST?split=test&classes=7,0"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("torchvision:Nonsense?root=.", "torchvision has no dataset Nonsense: it has"),
        ("torchvision:FashonMNIST?root=.", "did you mean FashionMNIST"),
        ("torchvision:MNIST", "say where the data lies"),
        ("torchvision:MNIST?root=.&splt=train", "unknown splt; it may have root, split"),
        ("torchvision:MNIST?root=.&split=val", "splits train and test"),
        ("torchvision:MNIST?root=nowhere", "add download=1"),
    ],
)
def test_torchvision_mistakes(source: str, words: str) -> None:
    with pytest.raises(MineganError, match=words):
        load_images(source, GREY8)


def test_unknown_class(tmp_path: Path) -> None:
    write_mnist(tmp_path, np.zeros((2, 8, 8), np.uint8), [0, 1])
    with pytest.raises(MineganError, match="no class 9; the classes are 0, 1"):
        load_images(f"torchvision:MNIST?root={tmp_path}&classes=9", GREY8)


def test_hf_dataset_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MineganError, match="pip install datasets"):
        load_images("hf-dataset:owner/name", GREY8)


def test_hf_dataset(monkeypatch: pytest.MonkeyPatch) -> None:
    class ClassLabel:
        names = ("bag", "boot")

    class Table:
        column_names = ("picture", "kind")
        features = {"kind": ClassLabel()}  # noqa: RUF012

        def __len__(self) -> int:
            return 3

        def __getitem__(self, key: int | str) -> object:
            return [1, 0, 1] if key == "kind" else {"picture": random_image(int(key))}

    def load_dataset(name: str, config: str | None, *, split: str, revision: str | None) -> Table:
        assert (name, config, split, revision) == ("owner/name", None, "test", None)
        return Table()

    library = types.ModuleType("datasets")
    errors = types.SimpleNamespace(DatasetsError=RuntimeError)
    for name, value in {"ClassLabel": ClassLabel, "load_dataset": load_dataset, "exceptions": errors}.items():
        monkeypatch.setattr(library, name, value, raising=False)
    monkeypatch.setitem(sys.modules, "datasets", library)
    found = load_images("hf-dataset:owner/name?split=test&image=picture&label=kind&classes=boot", RGB8, labels=True)
    assert found.class_names == ("boot",) and found.names == ("000000", "000002")
    assert torch.equal(found.images[1], torch.from_numpy(np.array(random_image(2))).permute(2, 0, 1))
    with pytest.raises(MineganError, match="has no column image: it has picture, kind"):
        load_images("hf-dataset:owner/name?split=test", RGB8)
