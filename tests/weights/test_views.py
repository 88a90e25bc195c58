"""Tensors are views of storages: whatever sizes, strides and offsets a file states, none reaches beyond its storage."""

from __future__ import annotations

import io
import pickle
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from minegan_zoo.contracts import MineganError
from minegan_zoo.weights import read_checkpoint


class Stored:
    """Pickles as a reference to a storage outside the pickle."""

    def __init__(self, numel: int) -> None:
        self.reference = ("storage", torch.FloatStorage, "0", "cpu", numel, None)


class View:
    """Pickles as a tensor."""

    def __init__(self, *args: Any) -> None:
        self.args = args

    def __reduce__(self) -> Any:
        return torch._utils._rebuild_tensor_v2, self.args


class Pickler(pickle.Pickler):
    def persistent_id(self, obj: Any) -> Any:
        return obj.reference if isinstance(obj, Stored) else None


def view(path: Path, numel: int, offset: int, size: tuple[int, ...], stride: tuple[int, ...]) -> Tensor:
    """Read a legacy file with one storage of 4 floats that says it has `numel`, and one view of it."""
    file = io.BytesIO()
    for head in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}):
        pickle.dump(head, file, 2)
    Pickler(file, 2).dump(View(Stored(numel), offset, size, stride, False, {}))
    pickle.dump(["0"], file, 2)
    file.write(struct.pack("<q4f", numel, 1, 2, 3, 4))
    path.write_bytes(file.getvalue())
    tensor = read_checkpoint(path)
    assert isinstance(tensor, Tensor)
    return tensor


def test_views_inside(tmp_path: Path) -> None:
    path = tmp_path / "file.pt"
    assert view(path, 4, 0, (2, 2), (2, 1)).tolist() == [[1, 2], [3, 4]]
    assert view(path, 4, 1, (3,), (1,)).tolist() == [2, 3, 4]
    assert view(path, 4, 3, (5,), (0,)).tolist() == [4] * 5
    assert view(path, 4, 4, (0,), (1,)).shape == (0,)


@pytest.mark.parametrize(
    ("numel", "offset", "size", "stride"),
    [
        (4, 0, (5,), (1,)),
        (4, 1, (4,), (1,)),
        (4, 4, (), ()),
        (4, -1, (2,), (1,)),
        (4, 0, (2,), (4,)),
        (4, 3, (2,), (-1,)),
        (4, 0, (-1,), (1,)),
        (4, 0, (2, 2), (1,)),
        (4, 0, (1 << 63,), (0,)),
        (4, 0, (1 << 40,), (0,)),
        (4, 0, (1 << 31, 1 << 31), (0, 0)),
        (4, 1 << 62, (1,), (1,)),
        (4, 0, (2,), (1 << 62,)),
        (4, 5, (0,), (1,)),
        (4, 0, (1,) * 100, (1,) * 100),
        (5, 0, (5,), (1,)),
        (1 << 40, 0, (4,), (1,)),
        (1 << 62, 0, (4,), (1,)),
        (-1, 0, (4,), (1,)),
    ],
)
def test_views_outside_are_refused(
    tmp_path: Path, numel: int, offset: int, size: tuple[int, ...], stride: tuple[int, ...]
) -> None:
    with pytest.raises(MineganError, match=r"file\.pt "):
        view(tmp_path / "file.pt", numel, offset, size, stride)
