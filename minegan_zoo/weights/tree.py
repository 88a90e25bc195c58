"""Inert objects -> the final tree of containers, scalars, tensors and records. May import contracts only."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from minegan_zoo.contracts import MineganError
from minegan_zoo.weights.inert import Array, Dtype, Instance, Name, Storage, View, numel
from minegan_zoo.weights.mapping import MappedFile
from minegan_zoo.weights.record import Record

DEEPEST = 100
LARGEST = 2_000_000
"""Nodes of the tree with shared parts counted wherever they occur, so that any walk over it ends."""

SCALARS = (str, int, float, complex, bytes)
ARRAY_DTYPES = {"f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "b1", "c8", "c16"}


class Tree:
    """Builds the tree of one file. What the file shares stays shared; a part that holds itself is an error."""

    def __init__(self, file: MappedFile) -> None:
        self._file = file
        self._done: dict[int, tuple[Any, int, Any]] = {}  # id -> what it became, number of nodes, itself (kept alive)
        self._open: set[int] = set()

    def grow(self, node: Any) -> Any:
        """The tree whose root is `node`; raises MineganError where it is no tree, too deep or too large."""
        return self._grow(node)[0]

    def _grow(self, node: Any) -> tuple[Any, int]:
        if node is None or isinstance(node, SCALARS):
            return node, 1
        if id(node) in self._done:
            return self._done[id(node)][:2]
        if id(node) in self._open:
            raise MineganError("holds an object that contains itself, which is not supported")
        if len(self._open) >= DEEPEST:
            raise MineganError(f"nests objects deeper than {DEEPEST}: it is no checkpoint, or a hostile one")
        self._open.add(id(node))
        made, count = self._made(node)
        if count > LARGEST:
            raise MineganError(f"unfolds to more than {LARGEST} objects: it is no checkpoint, or a hostile one")
        self._open.remove(id(node))
        self._done[id(node)] = made, count, node
        return made, count

    def _made(self, node: Any) -> tuple[Any, int]:
        match node:
            case View():
                flat = self._file.storage(node.storage)
                return _strided(flat, node), 1
            case Storage():
                return self._file.storage(node), 1
            case Array():
                return self._array(node), 1
            case memoryview():
                self._file.budget.copy(len(node))
                return bytes(node), 1
            case dict():
                return self._dict(node)
            case list() | tuple() | set():
                return self._sequence(node)
            case Instance(pairs=pairs) if pairs:
                return self._dict(pairs)
            case Instance(items=items) if items:
                return self._sequence(items)
            case Instance():
                args, few = self._grow(node.args)
                state, many = self._grow(self._one_state(node.state))
                return Record(node.of.module, node.of.name, state, args), few + many
            case Name():
                return Record(node.module, node.name, None, ()), 1
            case Dtype():
                return Record("numpy", "dtype", node.code, ()), 1
        raise MineganError(f"holds a {type(node).__name__}, which no checkpoint does")

    def _dict(self, node: dict[Any, Any]) -> tuple[dict[Any, Any], int]:
        made: dict[Any, Any] = {}
        total = 1
        for key, value in node.items():
            made[self._grow(key)[0]], count = self._grow(value)
            total += count
        return made, total

    def _sequence(self, node: Any) -> tuple[Any, int]:
        grown = [self._grow(item) for item in node]
        return type(node)(item for item, _ in grown), 1 + sum(count for _, count in grown)

    def _array(self, array: Array) -> Any:
        dtype = array.dtype
        if dtype is None or dtype.code not in ARRAY_DTYPES:
            raise MineganError(f"holds a numpy array of {dtype.code if dtype else 'nothing'!a}, which is not supported")
        form = np.dtype(dtype.code).newbyteorder(">" if dtype.order == ">" else "<")
        if numel(array.shape) * form.itemsize != len(array.data):
            raise MineganError("holds a numpy array of another size than it says")
        flat = self._file.flat(array.data, torch.uint8).numpy().view(form) if array.data else np.empty(0, form)
        try:
            shaped = flat.reshape(array.shape, order="F" if array.fortran else "C")
        except ValueError as error:  # numpy has limits of its own
            raise MineganError(f"holds a numpy array of size {array.shape}") from error
        if array.is_scalar:
            return shaped.item()
        native = np.require(shaped, form.newbyteorder("="), ["C", "ALIGNED"])
        if native is not shaped:
            self._file.budget.copy(native.nbytes)
        return torch.from_numpy(native)

    def _one_state(self, state: Any) -> Any:
        """Objects with slots have two dicts for a state."""
        match state:
            case (None | dict() as plain, dict() as slots):
                self._file.budget.step(len(plain or ()) + len(slots))
                return {**(plain or {}), **slots}
        return state


def _strided(flat: Tensor, view: View) -> Tensor:
    try:
        return flat.as_strided(view.size, view.stride, view.offset)
    except RuntimeError as error:  # the bounds are checked already; torch has limits of its own
        raise MineganError(f"holds a tensor of size {view.size} that torch cannot make") from error
