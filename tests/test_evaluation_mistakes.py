"""What `evaluate` says of mistakes."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from minegan_zoo import MineganError, evaluate


def pixels(n: int, seed: int) -> Tensor:
    """Noise (n, 1, 32, 32), uint8."""
    return torch.randint(0, 256, (n, 1, 32, 32), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def test_mistakes_say_what_to_do() -> None:
    with pytest.raises(MineganError, match="no metric 'fidd': did you mean fid"):
        evaluate(pixels(5, 1), pixels(5, 2), metrics=("fidd",))
    with pytest.raises(MineganError, match=r"no metric 'kmmd': did you mean kmmd_rbf_median"):
        evaluate(pixels(5, 1), pixels(5, 2), metrics=("kmmd",))
    with pytest.raises(MineganError, match=r"no metric 'nothing': there are fid, kid, "):
        evaluate(pixels(5, 1), pixels(5, 2), metrics=("nothing",))
    with pytest.raises(MineganError, match=r"a model, not a path: give minegan_zoo.MinedGAN.load\('runs/shoes'\)"):
        evaluate("runs/shoes", pixels(5, 2))  # type: ignore[arg-type]
    with pytest.raises(MineganError, match="a sequence of names"):
        evaluate(pixels(5, 1), pixels(5, 2), metrics="fid")
    with pytest.raises(MineganError, match="at least 2 images and 2 samples"):
        evaluate(pixels(5, 1), pixels(1, 2))
    with pytest.raises(MineganError, match="the tensor holds 5"):
        evaluate(pixels(5, 1), pixels(5, 2), samples=9)
    with pytest.raises(MineganError, match="not finite"):
        evaluate(torch.full((4, 1, 32, 32), math.nan), pixels(5, 2))
    for model, real in ((pixels(5, 1).float(), pixels(5, 2)), (pixels(5, 1), pixels(5, 2).float())):
        with pytest.raises(MineganError, match=r"these reach 2\d\d(\.\d)?: give those in 0 to 255 as uint8"):
            evaluate(model, real)
    with pytest.raises(MineganError, match=r"must be \(n, 1 or 3, R, R\)"):
        evaluate(torch.zeros(4, 2, 32, 32), pixels(5, 2))
    for name in ("memorisation", "authenticity", "intra_cluster_distance", "intra_lpips"):
        with pytest.raises(MineganError, match=f"{name} compares .* training="):
            evaluate(pixels(5, 1), pixels(5, 2), metrics=(name,))
    for classes, what in {
        (): "needs the target's classes",
        "9": "a sequence",
        ("ankle",): "no class ankle; by name",
    }.items():
        with pytest.raises(MineganError, match=what):
            evaluate(pixels(5, 1), pixels(5, 2), metrics=("class_accuracy",), classes=classes)
    with pytest.raises(MineganError, match="pixels is no classifier"):
        evaluate(pixels(5, 1), pixels(5, 2), metrics=("inception_score",), extractor="pixels")


class Short:
    """Gives half of what it is asked for."""

    def sample(self, n: int, seed: int | None = None) -> Tensor:
        return pixels(n - n // 2, seed or 0)


class Bright:
    """Gives floats in 0 to 255."""

    def sample(self, n: int, seed: int | None = None) -> Tensor:
        return pixels(n, seed or 0).float()


def test_what_is_no_model_no_number_or_no_image_is_told(tmp_path: Path) -> None:
    with pytest.raises(MineganError, match=r"a model with sample\(n, seed\), a source or a tensor of images, not list"):
        evaluate([1, 2], pixels(5, 2))  # type: ignore[arg-type]
    for wrong in ({"seed": 1.5}, {"samples": 2.5}, {"metrics": None}, {"device": "gpu"}):
        with pytest.raises(MineganError, match=f"{next(iter(wrong))}|device"):
            evaluate(pixels(5, 1), pixels(5, 2), **wrong)  # type: ignore[arg-type]
    with pytest.raises(MineganError, match="20 samples asked for, and Short made 10"):
        evaluate(Short(), pixels(5, 2), samples=20)
    with pytest.raises(MineganError, match="give those in 0 to 255 as uint8"):
        evaluate(Bright(), pixels(5, 2), samples=20)
    for wide in (pixels(5, 1).long(), pixels(5, 1) > 127):
        with pytest.raises(MineganError, match=r"images are uint8 or float in \[-1, 1\], not (int64|bool)"):
            evaluate(pixels(5, 2), wide)
    for name in ("config.toml", "metrics.jsonl"):
        (tmp_path / name).touch()
    with pytest.raises(MineganError, match="is a run's folder"):
        evaluate(pixels(5, 1), tmp_path)
    with pytest.raises(MineganError, match=r"give each name for itself"):
        evaluate(pixels(5, 1), pixels(5, 2), metrics=("fid,kid",))
    with pytest.raises(MineganError, match="did you mean fid"):
        evaluate(pixels(5, 1), pixels(5, 2), metrics=("FID",))


@pytest.mark.parametrize("name", ["timm-random:test_vit@100", "timm-random:test_convnext@2"])
def test_a_size_that_a_network_cannot_take_is_told(name: str) -> None:
    with pytest.raises(MineganError, match="leave"):
        evaluate(pixels(5, 1), pixels(5, 2), extractor=name)


def test_a_name_that_was_refused_is_proposed_to_nobody() -> None:
    for name in ("pixels@0", "pixels:16"):
        with pytest.raises(MineganError, match=r"a size is a number|did you mean pixels\?"):
            evaluate(pixels(5, 1), pixels(5, 2), extractor=name)
