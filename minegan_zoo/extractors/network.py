"""What torch-fidelity asks of an extractor, once for all of ours. Imports contracts and torch-fidelity."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from torch import Tensor
from torch_fidelity.feature_extractor_base import FeatureExtractorBase

from minegan_zoo.contracts import MineganError

FEATURES, LOGITS = "features", "logits"


class Network(FeatureExtractorBase):
    """uint8 images (n, 3, H, W) -> the layers asked for: "features" (n, d) and, of a classifier, "logits" (n, classes).

    Its name is NAME or NAME@SIZE, where SIZE is what images are brought to.
    """

    default_size: int | None = None
    size: int
    filter: str
    """How images are brought to that size; part of every record."""
    class_names: tuple[str, ...] = ()
    classifies = False
    takes_grey = False
    """Whether images may also be (n, 1, H, W)."""
    sees_colour = True
    batch = 64

    def __init__(self, name: str, features_list: list[str], **torch_fidelity_settings: Any) -> None:
        """torch-fidelity hands every extractor all of its own settings; none means anything here."""
        super().__init__(name, features_list)
        plain, _, size = name.partition("@")
        if size and not (size.isdecimal() and int(size)):
            raise MineganError(f"{name}: a size is a number of pixels, as in {plain}@224")
        self.build(plain, int(size) if size else self.default_size)
        if LOGITS in features_list and not self.classifies:
            raise MineganError(f"{name} is no classifier: it has no logits; use another extractor, or no class metrics")

    @abstractmethod
    def build(self, name: str, size: int | None) -> None:
        """Make the network and set what is declared above; `size` is None where neither name nor kind gives one."""

    @abstractmethod
    def embed(self, images: Tensor) -> Tensor:
        """uint8 -> (n, d)."""

    def classify(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """uint8 -> features (n, d) and logits (n, classes)."""
        raise NotImplementedError

    @property
    def resize(self) -> str:
        return f"{self.filter} to {self.size}"

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        if LOGITS in self.features_list:
            found = dict(zip((FEATURES, LOGITS), self.classify(images), strict=True))
        else:
            found = {FEATURES: self.embed(images)}
        return tuple(found[layer] for layer in self.features_list)

    @staticmethod
    def get_provided_features_list() -> tuple[str, ...]:
        return FEATURES, LOGITS

    @staticmethod
    def get_default_feature_layer_for_metric(metric: str) -> str:
        return LOGITS if metric == "isc" else FEATURES

    @staticmethod
    def can_be_compiled() -> bool:
        return False
