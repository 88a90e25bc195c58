"""An extractor by its name: registered in torch-fidelity, in eval mode, pinned by its weights' hash."""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from einops import repeat
from torch import Tensor, nn
from torch_fidelity.feature_extractor_base import FeatureExtractorBase
from torch_fidelity.registry import FEATURE_EXTRACTORS_REGISTRY, register_feature_extractor
from torch_fidelity.utils import create_feature_extractor

from minegan_zoo.contracts import MineganError
from minegan_zoo.extractors.bundled import BUNDLED, BUNDLED_SHA256, BundledExtractor
from minegan_zoo.extractors.models import LpipsExtractor, PixelExtractor, TimmExtractor
from minegan_zoo.extractors.network import Network

LPIPS = "lpips-vgg16"
KINDS: dict[str, type[Network]] = {
    BUNDLED: BundledExtractor,
    "pixels": PixelExtractor,
    LPIPS: LpipsExtractor,
    "timm": TimmExtractor,
    "timm-random": TimmExtractor,
}
"""By what stands before ":" or "@" of a name."""
MOST_BYTES = 2**33
"""What the features of one set may take."""


@dataclass(frozen=True, eq=False)
class Extractor:
    """A network in eval mode, and what a metric's record says of it."""

    name: str
    network: FeatureExtractorBase
    sha256: str
    """Of the bundled file; of any other network, over the names and bytes of its tensors."""
    resize: str
    device: torch.device
    class_names: tuple[str, ...] = ()
    """Of the logits, where they are known."""
    sees_colour: bool = True

    def features(self, images: Tensor, batch: int | None = None) -> Tensor:
        """uint8 (n, C, H, W) -> float32 (n, d) on the CPU. Grey becomes RGB where the network wants that."""
        return self.layers(images, batch)[0]

    @torch.no_grad()
    def layers(self, images: Tensor, batch: int | None = None) -> tuple[Tensor, ...]:
        """The features and, where it was loaded with them, the logits."""
        own = isinstance(self.network, Network)
        if images.shape[1] == 1 and not (own and self.network.takes_grey):
            images = repeat(images, "n 1 h w -> n c h w", c=3)
        found = []
        with torch.autocast(self.device.type, enabled=False):  # a training step's precision is no metric's
            for rows in images.split(batch or (self.network.batch if own else 64)):
                found.append([layer.float().cpu() for layer in self._run(rows.to(self.device))])
                self._check_size(found[0], len(images))
        return tuple(torch.cat(layer) for layer in zip(*found, strict=True))

    def _run(self, images: Tensor) -> Sequence[Tensor]:
        """The network's layers; MineganError where it cannot take images of the size that was asked for."""
        try:
            found: Sequence[Tensor] = self.network(images)
        except (RuntimeError, AssertionError) as error:
            if isinstance(error, torch.OutOfMemoryError) or "@" not in self.name:
                raise
            raise MineganError(
                f"{self.name} failed on these images ({error}): if they are too small for it, leave out the size"
            ) from error
        return found

    def _check_size(self, layers: Sequence[Tensor], count: int) -> None:
        needed = 4 * count * sum(layer[0].numel() for layer in layers)
        if needed > MOST_BYTES:
            raise MineganError(
                f"the features of {count} images by {self.name} take {needed / 2**30:.0f} GiB: take fewer images or "
                "another extractor"
            )


def load_extractor(
    name: str | None = None, device: str | torch.device | None = None, *, logits: bool = False
) -> Extractor:
    """The bundled extractor, one of those below, or any name that torch-fidelity knows, such as `inception-v3-compat`.

    timm:MODEL           a timm model's pooled features (`timm:vit_large_patch14_dinov2.lvd142m@224` for FD-DINOv2)
    timm-random:MODEL    the same network with weights from seed 0: nothing to download
    pixels               the image at 16x16: no network at all
    lpips-vgg16          features whose squared distance is LPIPS

    NAME@SIZE brings images to another size. The device is by default CUDA where there is one; `logits` asks for them
    too. Raises MineganError for an unknown name, and where weights, logits or the device cannot be had.
    """
    name = name or BUNDLED
    try:
        place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    except RuntimeError as error:
        raise MineganError(f"there is no device {device!r}: cpu or cuda") from error
    if place.type == "cuda" and not torch.cuda.is_available():
        raise MineganError("no CUDA device is there: leave the device out, or set it to cpu")
    register_extractors(name)
    if name not in FEATURE_EXTRACTORS_REGISTRY:
        # those of ours that were asked for before are registered too
        theirs = {each for each in FEATURE_EXTRACTORS_REGISTRY if re.split("[:@]", each)[0] not in KINDS}
        known = sorted((theirs | set(KINDS)) - {"timm", "timm-random"})
        close = difflib.get_close_matches(name, known, 3)
        raise MineganError(f"no extractor {name}: {_either(close, known)}; or timm:MODEL")
    kind = FEATURE_EXTRACTORS_REGISTRY[name]
    layers = [kind.get_default_feature_layer_for_metric(metric) for metric in (["fid", "isc"] if logits else ["fid"])]
    if not layers[-1].startswith("logits") and logits:
        raise MineganError(f"{name} is no classifier: it has no logits; use another extractor, or no class metrics")
    try:
        network = create_feature_extractor(name, layers, cuda=False, verbose=False)
    except AssertionError as error:  # of a network that is built for one size
        raise MineganError(f"{name} cannot be built ({error}): take another size, or leave it out") from error
    except (OSError, RuntimeError, NotImplementedError) as error:
        raise MineganError(
            f"the weights of extractor {name} cannot be had: {error}; they come at its first use, so use it once "
            f"with a network, or use the bundled {BUNDLED}"
        ) from error
    own = isinstance(network, Network)
    return Extractor(
        name=name,
        network=network.to(place),
        sha256=BUNDLED_SHA256 if name == BUNDLED else tensors_digest(network),
        resize=network.resize if own else f"as torch-fidelity's {name}",
        device=place,
        class_names=network.class_names if own else (),
        sees_colour=network.sees_colour if own else True,
    )


def _either(close: list[str], known: list[str]) -> str:
    return f"did you mean {' or '.join(close)}?" if close else f"there are {', '.join(known)}"


def register_extractors(*names: str) -> None:
    """Make extractors of ours known to torch-fidelity by the names given; other names are left to torch-fidelity."""
    for name in names:
        plain, _, size = name.partition("@")
        kind, colon, _ = plain.partition(":")
        if kind not in KINDS or bool(colon) != kind.startswith("timm") or name in FEATURE_EXTRACTORS_REGISTRY:
            continue
        if "/" in name:
            raise MineganError(f"{name}: give the model's name in timm, without a slash")
        if size and kind == BUNDLED:
            raise MineganError(f"{BUNDLED} sees 32x32 images: leave @{size} out")
        register_feature_extractor(name, KINDS[kind])


def tensors_digest(network: nn.Module) -> str:
    """sha256 over names, types, shapes and bytes of a network's tensors, in name order."""
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode())
        digest.update(bytes_of(tensor))
    return digest.hexdigest()


def bytes_of(tensor: Tensor) -> bytes:
    """Of a tensor of any type, on any device."""
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
