"""The extractor that comes with the package, for grey 32x32 images. Imports contracts.

Trained by benchmarks/train_extractor.py.
"""

from __future__ import annotations

import hashlib
from importlib.resources import files

from einops import reduce
from torch import Tensor, nn
from torch.nn import functional as F

from minegan_zoo.contracts import MineganError
from minegan_zoo.extractors.network import Network

BUNDLED = "fashion-mnist-32"
BUNDLED_SHA256 = "ca0933a5d3530991d6c9607a74a66a6d6585de3e509777477de4f9550c045ef5"
CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
    "0", "1", "2", "3", "4", "5", "6", "7", "8", "9",
)  # fmt: skip


class SmallFeatures(nn.Module):
    """Grey 32x32 images in [-1, 1] -> 64 features; a classifier of 10 garments and 10 digits."""

    def __init__(self) -> None:
        super().__init__()
        widths = ((1, 16, 1), (16, 32, 2), (32, 32, 1), (32, 48, 2), (48, 64, 1), (64, 96, 2), (96, 64, 1))
        self.body = nn.Sequential()
        for width_in, width_out, stride in widths:
            self.body.append(nn.Conv2d(width_in, width_out, 3, stride, 1, bias=False))
            self.body.append(nn.BatchNorm2d(width_out))
            self.body.append(nn.ReLU())
        self.head = nn.Linear(64, len(CLASSES))

    def forward(self, images: Tensor) -> Tensor:
        """(n, 1, 32, 32) -> (n, 64)."""
        features: Tensor = reduce(self.body(images), "n c h w -> n c", "mean")
        return features

    def logits(self, images: Tensor) -> Tensor:
        """(n, 1, 32, 32) -> (n, 20): Fashion-MNIST's classes, then MNIST's."""
        scores: Tensor = self.head(self(images))
        return scores


class BundledExtractor(Network):
    """uint8 (n, 1 or 3, H, W) -> 64 features."""

    filter, size = "grey by ITU-R 601, torch bilinear antialiased", 32
    class_names = CLASSES
    classifies = takes_grey = True
    sees_colour = False

    def build(self, name: str, size: int | None) -> None:
        from safetensors.torch import load

        path = files("minegan_zoo") / "data" / f"{BUNDLED}.safetensors"
        content = path.read_bytes() if path.is_file() else b""
        if hashlib.sha256(content).hexdigest() != BUNDLED_SHA256:
            raise MineganError(f"the bundled extractor {path} is damaged or missing: install minegan-zoo again")
        self.inner = SmallFeatures()
        self.inner.load_state_dict(load(content))  # float16 on disk, float32 in memory

    def embed(self, images: Tensor) -> Tensor:
        grey = images.float() / 127.5 - 1
        if grey.shape[1] == 3:  # as Pillow's "L": ITU-R 601
            grey = (grey * grey.new_tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1, keepdim=True)
        if grey.shape[2:] != (32, 32):
            grey = F.interpolate(grey, (32, 32), mode="bilinear", antialias=True)
        features: Tensor = self.inner(grey)
        return features

    def classify(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features = self.embed(images)
        return features, self.inner.head(features)
