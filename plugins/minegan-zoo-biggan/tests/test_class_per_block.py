"""A class embedding for every block: the latent space "class+"."""

from __future__ import annotations

import pytest
import torch

from minegan_zoo.contracts import GeneratorSource, MineganError
from minegan_zoo.registry import generators
from minegan_zoo.sources import load_source

SMALL = {"resolution": 32, "channels": 1, "ch": 4, "dim_z": 12, "shared_dim": 5, "num_classes": 4}
NETWORKS = {
    "tiny": ("biggan.tiny", {}),
    "deep": ("biggan-deep.tiny", {}),
    "tables": ("biggan", {**SMALL, "shared_dim": 0, "hier": False}),
    "flat z": ("biggan", {**SMALL, "hier": False}),
}


def build(network: str) -> GeneratorSource:
    torch.manual_seed(0)
    name, options = NETWORKS[network]
    return load_source(name) if name.endswith("tiny") else generators.create(name, None, **options)


def draw(source: GeneratorSource, n: int, keys: frozenset[str]) -> dict[str, torch.Tensor]:
    return source.prior(n, keys, torch.Generator().manual_seed(0))


@pytest.mark.parametrize("network", NETWORKS)
def test_a_class_in_every_row_is_that_class(network: str) -> None:
    source = build(network)
    rows, dim = source.latents["class+"].shape
    code = draw(source, 3, source.inputs[0])
    every = {"z": code["z"], "class+": code["class"][:, None].expand(3, rows, dim)}
    assert set(every) == source.per_layer_keys and dim == source.latents["class"].shape[0]
    torch.testing.assert_close(source.synthesize(every), source.synthesize(code))
    drawn = draw(source, 3, source.per_layer_keys)
    torch.testing.assert_close(drawn["class+"], every["class+"])
    torch.testing.assert_close(drawn["z"], code["z"])


@pytest.mark.parametrize(("network", "first"), [("tiny", 0), ("flat z", 0), ("tables", 0), ("deep", 1)])
def test_every_row_of_the_classes_is_one_blocks_own(network: str, first: int) -> None:
    """A row that moves leaves what comes before its block as it was; a deep network's first row is the start's."""
    source = build(network)
    blocks = source.blocks  # type: ignore[attr-defined]
    made: list[torch.Tensor] = []
    for layers in blocks:
        layers[-1].register_forward_hook(lambda _module, _inputs, features: made.append(features))
    code = draw(source, 1, source.per_layer_keys)
    rows = source.latents["class+"].shape[0]
    assert rows == first + len(blocks)
    for row in range(rows):
        made.clear()
        moved = code["class+"].detach().clone()
        moved[:, row] += 1
        for classes in (code["class+"], moved):
            source.synthesize({"z": code["z"], "class+": classes})
        before, after = made[: len(blocks)], made[len(blocks) :]
        changed = [not torch.equal(one, other) for one, other in zip(before, after, strict=True)]
        assert changed == [block >= row - first for block in range(len(blocks))]


def test_without_classes_there_is_none() -> None:
    source = generators.create("biggan", None, **{**SMALL, "num_classes": 0})
    assert (
        source.per_layer_keys == frozenset() and source.inputs == (frozenset({"z"}),) and set(source.latents) == {"z"}
    )


def test_its_shape_is_told() -> None:
    source = build("tiny")
    code = draw(source, 2, source.inputs[0])
    with pytest.raises(MineganError, match=r"'class\+' has shape \(n, 3, 8\), not \(2, 8\)"):
        source.synthesize({"z": code["z"], "class+": code["class"]})
