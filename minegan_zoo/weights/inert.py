"""What a pickle may make while it is read: names, instances and views, none of which can do anything.

`minegan_zoo.weights.tree` turns them into the final tree. May import contracts only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch

from minegan_zoo.contracts import MineganError

Blob = bytes | memoryview
"""Bytes of the file; long ones are views into the mapped file."""

STORAGE_DTYPES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "UntypedStorage": torch.uint8,
    "BoolStorage": torch.bool,
    "ComplexFloatStorage": torch.complex64,
    "ComplexDoubleStorage": torch.complex128,
}
MAX_DIMS = 32
FREE_EXPANSION = 1 << 16
"""Elements that a view may show of a smaller storage (expanded scalars and the like)."""


@dataclass(eq=False, slots=True)
class Name:
    """A class or function that the file names. It is never looked up."""

    module: str
    name: str

    def __str__(self) -> str:
        full = f"{self.module}.{self.name}"
        return full if full.isascii() and full.isprintable() else ascii(full)


@dataclass(eq=False, slots=True)
class Instance:
    """An object of a class that is not built, with whatever the file would have put into it."""

    of: Name
    args: tuple[Any, ...]
    state: Any = None
    items: list[Any] = field(default_factory=list)
    pairs: dict[Any, Any] = field(default_factory=dict)


@dataclass(eq=False, slots=True)
class Storage:
    """`numel` numbers of a file; `data` holds them once found. A part of `whole`, from `start`, where that is given."""

    dtype: torch.dtype
    numel: int
    data: Blob | None = None
    whole: Storage | None = None
    start: int = 0


@dataclass(eq=False, slots=True)
class View:
    """A tensor: a strided view of a storage, checked to lie within it."""

    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


@dataclass(eq=False, slots=True)
class Dtype:
    """A numpy dtype: kind and item size such as "f4", and its byte order."""

    code: str
    order: str = "="


@dataclass(eq=False, slots=True)
class Array:
    """A numpy array, or scalar: row-major (or column-major) bytes."""

    dtype: Dtype | None = None
    shape: tuple[int, ...] = ()
    fortran: bool = False
    data: Blob = b""
    is_scalar: bool = False


def storage_dtype(kind: Any) -> torch.dtype:
    """The dtype of a storage class; raises MineganError for quantised and unknown ones."""
    if isinstance(kind, Name) and kind.module in {"torch", "torch.cuda", "torch.storage"}:
        if kind.name in STORAGE_DTYPES:
            return STORAGE_DTYPES[kind.name]
    raise MineganError(f"holds tensors of storage type {kind}, which is not supported: save them as float32")


def tensor_view(storage: Any, offset: Any, size: Any, stride: Any) -> View:
    """A view whose every element lies inside its storage; raises MineganError for any other."""
    if not isinstance(storage, Storage):
        raise MineganError("rebuilds a tensor from something that is not a storage")
    size, stride = sizes(size), sizes(stride)
    if len(size) != len(stride) or not is_size(offset):
        raise MineganError("holds a tensor whose size, stride or offset is garbled")
    count = numel(size)
    last = offset + sum((length - 1) * step for length, step in zip(size, stride, strict=True)) if count else offset
    if last > storage.numel - (1 if count else 0) or count > max(storage.numel, FREE_EXPANSION):
        raise MineganError(f"holds a tensor of size {size} that its storage of {storage.numel} numbers cannot hold")
    return View(storage, offset, size, stride)


def sizes(value: Any) -> tuple[int, ...]:
    """A tuple of at most 32 lengths or strides, each at least 0; raises MineganError for anything else."""
    if not isinstance(value, tuple | list) or len(value) > MAX_DIMS or not all(is_size(length) for length in value):
        raise MineganError("holds a tensor whose size or stride is garbled")
    return tuple(value)


def is_size(value: Any) -> bool:
    """Whether `value` is a whole number that torch can take as a length, stride or offset."""
    return type(value) is int and 0 <= value < 1 << 62


def numel(size: tuple[int, ...]) -> int:
    """How many elements a tensor of that size has."""
    count = 1
    for length in size:
        count *= length
    return count
