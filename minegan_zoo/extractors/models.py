"""Extractors made of timm's models, of LPIPS, and of nothing but pixels. Imports contracts."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional as F

from minegan_zoo.contracts import MineganError
from minegan_zoo.extractors.network import Network


class TimmExtractor(Network):
    """Pooled features of a timm model, with the size and colour statistics that it was trained with.

    "timm:MODEL" has its published weights and, where that was trained as a classifier, logits; "timm-random:MODEL"
    weights drawn from seed 0.
    """

    def build(self, name: str, size: int | None) -> None:
        import timm
        from timm.data.config import resolve_model_data_config

        kind, _, model = name.partition(":")
        try:
            transformer = timm.models.get_pretrained_cfg_value(model, "fixed_input_size")
        except RuntimeError as error:
            raise MineganError(f"{name}: {error}; timm.list_models() names what there is") from error
        # transformers are built for one size; other models take any
        options: dict[str, Any] = {"img_size": size} if size and transformer else {}
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.inner: Any = (
                timm.create_model(model, pretrained=True, **options)
                if kind == "timm"
                else timm.create_model(model, num_classes=0, **options)
            )
        config = resolve_model_data_config(self.inner)
        self.size = size or config["input_size"][-1]
        self.filter = f"timm {version('timm')}: torch bicubic antialiased"
        self.classifies = bool(self.inner.num_classes)
        self.register_buffer("mean", torch.tensor(config["mean"])[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(config["std"])[:, None, None], persistent=False)

    def embed(self, images: Tensor) -> Tensor:
        features: Tensor = self.inner.forward_head(self._maps(images), pre_logits=True)
        return features

    def classify(self, images: Tensor) -> tuple[Tensor, Tensor]:
        maps = self._maps(images)
        return self.inner.forward_head(maps, pre_logits=True), self.inner.forward_head(maps)

    def _maps(self, images: Tensor) -> Any:
        pixels = images.float() / 255
        if pixels.shape[2:] != (self.size, self.size):
            pixels = F.interpolate(pixels, (self.size, self.size), mode="bicubic", antialias=True).clamp(0, 1)
        return self.inner.forward_features((pixels - self.mean) / self.std)


class LpipsExtractor(Network):
    """Features whose squared distance is LPIPS with VGG-16 (Zhang et al., arXiv 1801.03924, eq. 1), by torch-fidelity.

    They are many: 8 million an image at 256x256.
    """

    default_size = 256
    """As CDC measures intra-cluster LPIPS."""
    filter = "torch bilinear antialiased"
    batch = 8

    def build(self, name: str, size: int | None) -> None:
        from torch_fidelity.sample_similarity_lpips import SampleSimilarityLPIPS

        assert size is not None
        self.size, self.inner = size, SampleSimilarityLPIPS(name)

    def embed(self, images: Tensor) -> Tensor:
        from torch_fidelity.sample_similarity_lpips import normalize_tensor

        pixels = images.float()
        if pixels.shape[2:] != (self.size, self.size):
            pixels = F.interpolate(pixels, (self.size, self.size), mode="bilinear", antialias=True)
        layers = []
        for maps, weigh in zip(self.inner.net(self.inner.normalize(pixels)), self.inner.lins, strict=True):
            # the mean over places of weighted squares = the square of what is scaled by sqrt(weight / places)
            scale = (weigh.model[-1].weight[0] / maps[0, 0].numel()).sqrt()  # (c, 1, 1)
            layers.append(rearrange(normalize_tensor(maps) * scale, "n c h w -> n (c h w)"))
        return torch.cat(layers, 1)


class PixelExtractor(Network):
    """The pixels themselves, in [-1, 1], made small so that a covariance can be formed of them."""

    default_size = 16
    filter = "torch bilinear antialiased"
    takes_grey = True
    batch = 256

    def build(self, name: str, size: int | None) -> None:
        assert size is not None
        self.size = size

    def embed(self, images: Tensor) -> Tensor:
        pixels = images.float() / 127.5 - 1
        if pixels.shape[2:] != (self.size, self.size):
            pixels = F.interpolate(pixels, (self.size, self.size), mode="bilinear", antialias=True)
        return rearrange(pixels, "n c h w -> n (c h w)")
