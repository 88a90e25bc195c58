"""A file in memory as the system pages it in, and tensors that lie in it. May import contracts only."""

from __future__ import annotations

import mmap
import os
import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from minegan_zoo.contracts import MineganError
from minegan_zoo.weights.budget import Budget
from minegan_zoo.weights.inert import Blob, Storage

READ_AT_ONCE = 1 << 30


class MappedFile:
    """The bytes of a file, mapped copy-on-write: tensors may be written to, the file stays as it is.

    Aligned numbers are used where they lie, others are read into memory of their own. Tensors keep the mapping alive;
    the file must not shrink meanwhile (replacing it by renaming another over it is safe).
    """

    def __init__(self, path: Path) -> None:
        if sys.byteorder != "little":
            raise MineganError("can only be read on a little-endian machine")
        self._file = path.open("rb", buffering=0)
        size = os.fstat(self._file.fileno()).st_size
        if size == 0:
            self._file.close()
            raise MineganError("is empty: fetch it again")
        self.bytes = memoryview(mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_COPY))
        self.budget = Budget(size)
        self._start = _address(self.bytes)
        self._flat: dict[Storage, Tensor] = {}

    def __enter__(self) -> MappedFile:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def flat(self, blob: Blob, dtype: torch.dtype) -> Tensor:
        """All numbers of `blob`, (numel,)."""
        if len(blob) == 0:
            return torch.empty(0, dtype=dtype)
        offset = _address(blob) - self._start
        mapped = 0 <= offset < len(self.bytes)  # not so for bytes that were decoded from text
        if mapped and offset % dtype.itemsize == 0:
            return torch.frombuffer(blob, dtype=dtype)
        self.budget.copy(len(blob))
        copy = torch.empty(len(blob) // dtype.itemsize, dtype=dtype)
        target = np.asarray(_Memory(copy))
        if mapped:  # by a read, so that the mapped pages do not take memory too
            self._read(offset, target.data)
        else:
            target[:] = np.frombuffer(blob, dtype=np.uint8)
        return copy

    def storage(self, storage: Storage) -> Tensor:
        """The numbers of a storage whose data was found, (numel,)."""
        if storage.whole is not None:
            return self.storage(storage.whole)[storage.start : storage.start + storage.numel]
        if storage.data is None:
            raise MineganError("is cut short: it holds a tensor without its numbers")
        if storage not in self._flat:
            self._flat[storage] = self.flat(storage.data, storage.dtype)
        return self._flat[storage]

    def _read(self, offset: int, target: memoryview) -> None:
        self._file.seek(offset)
        while target:
            count = self._file.readinto(target[:READ_AT_ONCE])
            if not count:
                raise MineganError("became shorter while it was read")
            target = target[count:]


class _Memory:
    """A tensor's bytes for numpy. After `Tensor.numpy` its storage would pass for memory that torch does not own."""

    def __init__(self, tensor: Tensor) -> None:
        self._tensor = tensor
        place = (tensor.data_ptr(), False)  # not only to be read
        self.__array_interface__ = {"data": place, "shape": (tensor.nbytes,), "typestr": "|u1", "version": 3}


def _address(blob: Blob) -> int:
    return int(np.frombuffer(blob, dtype=np.uint8).ctypes.data)
