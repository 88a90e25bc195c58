"""Feature extractors by name, as torch-fidelity wants them, pinned by their weights' hash. May import contracts.

Imports torch-fidelity, so it is itself imported where features are needed.
"""

from minegan_zoo.extractors.bundled import BUNDLED, BUNDLED_SHA256, SmallFeatures
from minegan_zoo.extractors.extractor import (
    LPIPS,
    Extractor,
    bytes_of,
    load_extractor,
    register_extractors,
    tensors_digest,
)

__all__ = [
    "BUNDLED",
    "BUNDLED_SHA256",
    "LPIPS",
    "Extractor",
    "SmallFeatures",
    "bytes_of",
    "load_extractor",
    "register_extractors",
    "tensors_digest",
]
