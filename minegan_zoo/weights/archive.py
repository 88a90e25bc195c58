"""The zip archives that torch writes: where each stored record lies. May import contracts only.

Compressed or encrypted records are refused, so that nothing unpacks to more than it is. Layout: PKWARE's APPNOTE,
4.3.6 to 4.3.16 and 4.5.3 (zip64).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from minegan_zoo.contracts import MineganError
from minegan_zoo.weights.budget import Budget

END, END64, LOCATOR64, ENTRY, LOCAL = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07", b"PK\x01\x02", b"PK\x03\x04"
ENTRY_FIELDS = struct.Struct("<4s4x2H8x2L3H8xL")
FARTHEST_END = 22 + 0xFFFF
STEPS_PER_RECORD = 10
ENCRYPTED = 1
ZIP64 = 0x0001


@dataclass(frozen=True)
class Archive:
    """Records by name, without the top folder that torch puts them in."""

    records: dict[str, memoryview]


def read_archive(data: memoryview, budget: Budget) -> Archive:
    """Find every record; raises MineganError when the archive is damaged, compressed or not torch's."""
    try:
        records = _records(data, budget)
    except (struct.error, ValueError) as error:
        raise MineganError("is a damaged zip archive, or cut short: fetch it again") from error
    tops = {name.partition("/")[0] for name in records}
    if len(tops) != 1 or f"{(top := tops.pop())}/data.pkl" not in records:
        raise MineganError("is a zip archive, but no torch file: name the checkpoint inside it")
    if f"{top}/constants.pkl" in records:
        raise MineganError("is a TorchScript program, not a checkpoint: save the module's state_dict instead")
    return Archive({name.partition("/")[2]: record for name, record in records.items()})


def _records(data: memoryview, budget: Budget) -> dict[str, memoryview]:
    count, position = _directory(data)
    records: dict[str, memoryview] = {}
    for _ in range(count):
        budget.step(STEPS_PER_RECORD)
        fields = ENTRY_FIELDS.unpack_from(data, position)
        signature, flags, method, packed, size, name_length, extra_length, comment_length, start = fields
        if signature != ENTRY:
            raise ValueError(position)
        behind = position + ENTRY_FIELDS.size + name_length
        name = bytes(data[position + ENTRY_FIELDS.size : behind]).decode("utf-8")
        size, packed, start = _wide(bytes(data[behind : behind + extra_length]), size, packed, start)
        position = behind + extra_length + comment_length
        if method != 0 or packed != size or flags & ENCRYPTED:
            raise MineganError(f"holds {name!a:.80} compressed or encrypted, which torch never does: do not trust it")
        if name in records:
            raise MineganError(f"holds {name!a:.80} twice: do not trust it")
        records[name] = _content(data, start, size)
    return records


def _directory(data: memoryview) -> tuple[int, int]:
    """Number of entries and where they begin."""
    tail = max(0, len(data) - FARTHEST_END)
    end = tail + bytes(data[tail:]).rindex(END)
    count, _, start = struct.unpack_from("<HLL", data, end + 10)
    if end >= 20 and bytes(data[end - 20 : end - 16]) == LOCATOR64:
        (end64,) = struct.unpack_from("<Q", data, end - 12)
        if end64 > len(data) or bytes(data[end64 : end64 + 4]) != END64:
            raise ValueError(end64)
        count, _, start = struct.unpack_from("<QQQ", data, end64 + 32)
    if start > len(data):
        raise ValueError(start)
    return count, start


def _wide(extra: bytes, size: int, packed: int, start: int) -> tuple[int, int, int]:
    """Sizes and offset with those that do not fit 32 bits taken from the zip64 field."""
    values = [size, packed, start]
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        if kind == ZIP64:
            wide = at + 4
            for index, value in enumerate(values):
                if value == 0xFFFFFFFF:
                    (values[index],) = struct.unpack_from("<Q", extra, wide)
                    wide += 8
            break
        at += 4 + length
    return values[0], values[1], values[2]


def _content(data: memoryview, start: int, size: int) -> memoryview:
    if start > len(data):
        raise ValueError(start)
    signature, name_length, extra_length = struct.unpack_from("<4s22x2H", data, start)
    begin = start + 30 + name_length + extra_length
    if signature != LOCAL or begin + size > len(data):
        raise ValueError(start)
    return data[begin : begin + size]
