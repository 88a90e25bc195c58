"""Files of `torch.save`: the zip format, and the legacy one (before torch 1.6) that NVIDIA's pickles nest.

Both are a pickle whose tensors refer to storages outside it. May import contracts only.
"""

from __future__ import annotations

import struct
from typing import Any

from minegan_zoo.contracts import MineganError
from minegan_zoo.weights.archive import read_archive
from minegan_zoo.weights.budget import Budget
from minegan_zoo.weights.calls import Calls
from minegan_zoo.weights.inert import Blob, Name, Storage, is_size, storage_dtype
from minegan_zoo.weights.machine import Machine

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001
DEEPEST_NESTING = 3
"""Torch files in pickles in torch files."""


class TorchFile:
    """Reads the pickles of one file into inert objects."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._calls = Calls(budget, self._nested)
        self._depth = 0
        self._loaded: dict[int, tuple[Blob, Any]] = {}

    def read_zip(self, data: memoryview) -> Any:
        """The object of a zip-format file."""
        records = read_archive(data, self._budget).records
        if "byteorder" in records and bytes(records["byteorder"]) != b"little":
            raise MineganError("was written on a big-endian machine: save it anew on a little-endian one")
        storages: dict[str, Storage] = {}

        def persistent(key: Any) -> Storage:
            match key:
                case ("storage", kind, str(name), _, numel):
                    storage = _known(storages, name, kind, numel)
                    if storage.data is None:
                        storage.data = records.get(f"data/{name}")
                        if storage.data is None or len(storage.data) != numel * storage.dtype.itemsize:
                            raise MineganError(f"holds {name!a:.80} in another size than it says, or not at all")
                    return storage
            raise MineganError("refers to something outside its pickle that is not a storage")

        return Machine(records["data.pkl"], 0, self._calls, persistent).run()

    def read_pickle(self, data: memoryview) -> Any:
        """The object of a plain pickle, or of a legacy torch file."""
        machine = Machine(data, 0, self._calls)
        first = machine.run()
        if type(first) is int and first == LEGACY_MAGIC:
            return self._read_legacy(data, machine.position)
        return first

    def _read_legacy(self, data: memoryview, position: int) -> Any:
        storages: dict[str, Storage] = {}
        views: dict[tuple[str, str], Storage] = {}

        def persistent(key: Any) -> Storage | Name:
            match key:
                case ("module", Name() as of, *_):  # file name and source code follow, and stay unread
                    return of
                case ("storage", kind, str(name), _, numel, None):
                    return _known(storages, name, kind, numel)
                case ("storage", kind, str(name), _, numel, (str(part), start, length)):
                    whole = _known(storages, name, kind, numel)
                    if not is_size(start) or not is_size(length) or start + length > numel:
                        raise MineganError("holds a part of a storage that lies outside it")
                    made = Storage(whole.dtype, length, whole=whole, start=start)
                    return views.setdefault((name, part), made)
            raise MineganError("refers to something outside its pickle that is no storage or class")

        def following(resolve: Any = None) -> Any:
            nonlocal position
            machine = Machine(data, position, self._calls, resolve)
            made = machine.run()
            position = machine.position
            return made

        if following() != LEGACY_PROTOCOL:
            raise MineganError("is a torch file of an unknown version")
        system = following()
        if not isinstance(system, dict) or system.get("little_endian") is not True:
            raise MineganError("was written on a big-endian machine, or is damaged: save it anew")
        made = following(persistent)
        keys = following()
        if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
            raise MineganError("is damaged: it does not list its storages")
        for key in keys:
            self._budget.step()
            position = _attach(data, position, storages.get(key))
        return made

    def _nested(self, blob: Blob) -> Any:
        if id(blob) not in self._loaded:
            if self._depth >= DEEPEST_NESTING:
                raise MineganError("nests torch files too deeply: do not trust it")
            self._depth += 1
            self._loaded[id(blob)] = (blob, self.read_pickle(memoryview(blob)))  # kept, so that its id stays its own
            self._depth -= 1
        return self._loaded[id(blob)][1]


def _known(storages: dict[str, Storage], name: str, kind: Any, numel: Any) -> Storage:
    dtype = storage_dtype(kind)
    if not is_size(numel):
        raise MineganError("holds a storage whose size is garbled")
    storage = storages.setdefault(name, Storage(dtype, numel))
    if storage.dtype != dtype or storage.numel != numel:
        raise MineganError("refers to one storage as two different ones")
    return storage


def _attach(data: memoryview, position: int, storage: Storage | None) -> int:
    """Legacy storages follow the pickles: their number of elements, then the numbers."""
    if storage is None or storage.data is not None:
        raise MineganError("is damaged: it lists a storage that no tensor uses, or one twice")
    try:
        (numel,) = struct.unpack_from("<q", data, position)
    except struct.error as error:
        raise MineganError("is cut short: fetch it again") from error
    begin = position + 8
    end = begin + storage.numel * storage.dtype.itemsize
    if numel != storage.numel or end > len(data):
        raise MineganError("is cut short or damaged: a storage is not as large as it says")
    storage.data = data[begin:end]
    return end
