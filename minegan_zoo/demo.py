"""What `minegan-zoo demo` runs: three bundled sources of three families, 100 images of ankle boots.

May import config. The images are Fashion-MNIST's (MIT licence), made by benchmarks/demo_data.py.
"""

from __future__ import annotations

from importlib.resources import files

from minegan_zoo.config import RunConfig, SourceChoice

SOURCES = ("stylegan2.fashion-shoes-32", "progan.fashion-tops-32", "biggan.fashion-others-32")


def demo_config() -> RunConfig:
    """The demo's run: only the shoes' source has seen ankle boots, among other shoes."""
    images = files("minegan_zoo") / "data" / "demo"
    config = RunConfig(
        sources=tuple(SourceChoice(name) for name in SOURCES),
        target=str(images / "target"),
        test=str(images / "test.safetensors"),
        steps=400,
    )
    return config
