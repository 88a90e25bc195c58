"""Feature extractors by name, as torch-fidelity wants them, pinned by their weights' hash. Imports contracts.

Imports torch-fidelity, so it is itself imported where features are needed.
"""

from __future__ import annotations

import difflib
import hashlib
from dataclasses import dataclass
from importlib.metadata import version
from importlib.resources import files
from typing import Any

import torch
from einops import reduce, repeat
from torch import Tensor, nn
from torch.nn import functional as F
from torch_fidelity.feature_extractor_base import FeatureExtractorBase
from torch_fidelity.registry import FEATURE_EXTRACTORS_REGISTRY, register_feature_extractor
from torch_fidelity.utils import create_feature_extractor

from minegan_zoo.contracts import MineganError

BUNDLED = "fashion-mnist-32"
BUNDLED_SHA256 = "ca0933a5d3530991d6c9607a74a66a6d6585de3e509777477de4f9550c045ef5"
LAYER = "features"


@dataclass(frozen=True, eq=False)
class Extractor:
    """A network in eval mode, and what a metric's record says of it."""

    name: str
    network: FeatureExtractorBase
    sha256: str
    """Of the bundled file; of any other network, over the names and bytes of its tensors."""
    resize: str
    device: str

    @torch.no_grad()
    def features(self, images: Tensor, batch: int = 64) -> Tensor:
        """uint8 (n, C, H, W) -> float32 (n, d) on the CPU. Grey becomes RGB where the network wants that."""
        if images.shape[1] == 1 and not isinstance(self.network, BundledExtractor):
            images = repeat(images, "n 1 h w -> n c h w", c=3)
        batches = [images[start : start + batch] for start in range(0, len(images), batch)]
        return torch.cat([self.network(rows.to(self.device))[0].float().cpu() for rows in batches])


def load_extractor(name: str | None = None) -> Extractor:
    """The bundled extractor, `timm:MODEL`, `timm-random:MODEL` (weights from seed 0) or any name torch-fidelity knows.

    Raises MineganError for an unknown name, and where weights cannot be had.
    """
    name = name or BUNDLED
    register_extractors(name)
    if name not in FEATURE_EXTRACTORS_REGISTRY:
        known = sorted(FEATURE_EXTRACTORS_REGISTRY)
        close = difflib.get_close_matches(name, known, 3)
        raise MineganError(f"no extractor {name}: {_either(close, known)}; or timm:MODEL")
    kind = FEATURE_EXTRACTORS_REGISTRY[name]
    layer = kind.get_default_feature_layer_for_metric("fid")
    cuda = torch.cuda.is_available()
    try:
        network = create_feature_extractor(name, [layer], cuda=cuda, verbose=False)
    except (OSError, RuntimeError, NotImplementedError) as error:
        raise MineganError(
            f"the weights of extractor {name} cannot be had: {error}; they come at its first use, so use it once "
            f"with a network, or use the bundled {BUNDLED}"
        ) from error
    own = isinstance(network, BundledExtractor | TimmExtractor)
    return Extractor(
        name=name,
        network=network,
        sha256=BUNDLED_SHA256 if name == BUNDLED else tensors_digest(network),
        resize=network.resize if own else f"as torch-fidelity's {name}",
        device="cuda" if cuda else "cpu",
    )


def _either(close: list[str], known: list[str]) -> str:
    return f"did you mean {' or '.join(close)}?" if close else f"there are {', '.join(known)}"


def register_extractors(*names: str) -> None:
    """Make the bundled extractor, and any `timm:` ones named, known to torch-fidelity by these names."""
    if BUNDLED not in FEATURE_EXTRACTORS_REGISTRY:
        register_feature_extractor(BUNDLED, BundledExtractor)
    for name in names:
        if name.startswith(("timm:", "timm-random:")) and name not in FEATURE_EXTRACTORS_REGISTRY:
            if "/" in name:
                raise MineganError(f"{name}: give the model's name in timm, without a slash")
            register_feature_extractor(name, TimmExtractor)


def tensors_digest(network: nn.Module) -> str:
    """sha256 over names, types, shapes and bytes of a network's tensors, in name order."""
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode())
        digest.update(tensor.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


class SmallFeatures(nn.Module):
    """The bundled network: grey 32x32 images in [-1, 1] -> 64 features; a classifier of 10 garments and 10 digits."""

    def __init__(self) -> None:
        super().__init__()
        widths = ((1, 16, 1), (16, 32, 2), (32, 32, 1), (32, 48, 2), (48, 64, 1), (64, 96, 2), (96, 64, 1))
        self.body = nn.Sequential()
        for width_in, width_out, stride in widths:
            self.body.append(nn.Conv2d(width_in, width_out, 3, stride, 1, bias=False))
            self.body.append(nn.BatchNorm2d(width_out))
            self.body.append(nn.ReLU())
        self.head = nn.Linear(64, 20)

    def forward(self, images: Tensor) -> Tensor:
        """(n, 1, 32, 32) -> (n, 64)."""
        features: Tensor = reduce(self.body(images), "n c h w -> n c", "mean")
        return features

    def logits(self, images: Tensor) -> Tensor:
        """(n, 1, 32, 32) -> (n, 20): Fashion-MNIST's classes, then MNIST's."""
        scores: Tensor = self.head(self(images))
        return scores


class _OneLayer(FeatureExtractorBase):
    """What torch-fidelity asks of an extractor with one layer of features, uncompiled."""

    resize: str

    @staticmethod
    def get_provided_features_list() -> tuple[str, ...]:
        return (LAYER,)

    @staticmethod
    def get_default_feature_layer_for_metric(metric: str) -> str:
        return LAYER

    @staticmethod
    def can_be_compiled() -> bool:
        return False


class BundledExtractor(_OneLayer):
    """uint8 (n, 1 or 3, H, W) -> 64 features. Trained by benchmarks/train_extractor.py."""

    resize = "torch bilinear antialiased to 32"

    def __init__(self, name: str, features_list: list[str], **torch_fidelity_settings: Any) -> None:
        """torch-fidelity hands every extractor all of its own settings; none means anything here."""
        from safetensors.torch import load

        super().__init__(name, features_list)
        path = files("minegan_zoo") / "data" / f"{BUNDLED}.safetensors"
        content = path.read_bytes() if path.is_file() else b""
        if hashlib.sha256(content).hexdigest() != BUNDLED_SHA256:
            raise MineganError(f"the bundled extractor {path} is damaged or missing: install minegan-zoo again")
        self.inner = SmallFeatures()
        self.inner.load_state_dict(load(content))  # float16 on disk, float32 in memory

    def forward(self, images: Tensor) -> tuple[Tensor]:
        grey = images.float() / 127.5 - 1
        if grey.shape[1] == 3:  # as Pillow's "L": ITU-R 601
            grey = (grey * grey.new_tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1, keepdim=True)
        if grey.shape[2:] != (32, 32):
            grey = F.interpolate(grey, (32, 32), mode="bilinear", antialias=True)
        return (self.inner(grey),)


class TimmExtractor(_OneLayer):
    """uint8 RGB -> pooled features of a timm model, with the size and colour statistics that it was trained with."""

    def __init__(self, name: str, features_list: list[str], **torch_fidelity_settings: Any) -> None:
        import timm
        from timm.data.config import resolve_model_data_config

        super().__init__(name, features_list)
        kind, _, model = name.partition(":")
        try:
            with torch.random.fork_rng():
                torch.manual_seed(0)
                self.inner = timm.create_model(model, pretrained=kind == "timm", num_classes=0)
        except RuntimeError as error:
            if model.partition(".")[0] in timm.list_models():
                raise
            raise MineganError(f"{name}: {error}; timm.list_models() names what there is") from error
        config = resolve_model_data_config(self.inner)
        self.size: tuple[int, int] = config["input_size"][1:]
        self.resize = f"torch bicubic antialiased to {self.size[0]} (timm {version('timm')})"
        self.register_buffer("mean", torch.tensor(config["mean"])[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(config["std"])[:, None, None], persistent=False)

    def forward(self, images: Tensor) -> tuple[Tensor]:
        pixels = images.float() / 255
        if pixels.shape[2:] != self.size:
            pixels = F.interpolate(pixels, self.size, mode="bicubic", antialias=True).clamp(0, 1)
        return (self.inner((pixels - self.mean) / self.std),)
