"""The entry module stays what it was once its miners were built."""

from __future__ import annotations

import minegan_zoo as mz
from minegan_zoo import registry
from minegan_zoo.contracts import LatentSpace


def test_the_plugin_is_found_again_after_its_miners_were_built() -> None:
    for name in (
        "residual",
        "affine",
        "flow",
    ):  # each in a file of that name, which Python makes the module's attribute
        mz.miners.create(name, {"z": LatentSpace((4,), "normal")}, 4)
    registry.catalogue.cache_clear()
    assert [plugin.error for plugin in registry.plugins() if plugin.name == "miners"] == [None]
