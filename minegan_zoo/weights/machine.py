"""A pickle machine that can make nothing but data: it imports nothing, calls nothing, and pays for every step.

The standard machine looks classes up and calls them; here a class stays a `Name` and a call is looked up in
`minegan_zoo.weights.calls`. Opcodes as described in the standard library's pickletools. May import contracts only.
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Callable
from typing import Any

from minegan_zoo.contracts import MineganError
from minegan_zoo.weights.calls import Calls
from minegan_zoo.weights.inert import Blob, Instance, Name
from minegan_zoo.weights.objects import make_set

LONGEST_INT = 1024
"""Bytes of an integer; seeds and counters take a few."""
LONGEST_NAME = 512
SHORT_BLOB = 256
"""Bytes up to here are copied (they may be keys), longer ones stay views of the file."""

BYTE, SHORT, INT4, LENGTH4, LENGTH8, FLOAT8 = (struct.Struct(form) for form in ("<B", "<H", "<i", "<I", "<Q", ">d"))

Persistent = Callable[[Any], Any]


class Machine:
    """Runs one pickle of `data` from `start`; afterwards `position` is just behind it."""

    def __init__(self, data: memoryview, start: int, calls: Calls, persistent: Persistent | None = None) -> None:
        self.position = start
        self._data = data
        self._calls = calls
        self._budget = calls.budget
        self._persistent = persistent
        self._stack: list[Any] = []
        self._outer: list[list[Any]] = []
        self._memo: dict[int, Any] = {}

    def run(self) -> Any:
        """The object that the pickle describes; raises MineganError when it is damaged or asks for a call."""
        data, spend, steps, stop = self._data, self._budget.step, STEPS, pickle.STOP[0]
        try:
            while True:
                spend()
                opcode = data[self.position]
                self.position += 1
                if opcode == stop:
                    return self._stack.pop()
                if opcode not in steps:
                    raise MineganError(f"holds pickle opcode {opcode:#04x} at byte {self.position - 1}, not supported")
                steps[opcode](self)
        except (IndexError, KeyError, ValueError, struct.error) as error:
            raise MineganError(f"is damaged or cut short near byte {self.position}") from error

    def _take(self, count: int) -> memoryview:
        end = self.position + count
        if count < 0 or end > len(self._data):
            raise MineganError(f"is cut short: byte {self.position} promises {count} more than there are")
        taken = self._data[self.position : end]
        self.position = end
        return taken

    def _number(self, form: struct.Struct) -> Any:
        (number,) = form.unpack_from(self._data, self.position)
        self.position += form.size
        return number

    def _line(self) -> str:
        window = bytes(self._data[self.position : self.position + LONGEST_NAME])
        end = window.index(b"\n")
        self.position += end + 1
        return window[:end].decode("utf-8")

    def _push(self, value: Any) -> None:
        self._stack.append(value)

    def _items(self) -> list[Any]:
        items, self._stack = self._stack, self._outer.pop()
        return items

    # Scalars, text and bytes

    def _long(self, form: struct.Struct) -> None:
        count = self._number(form)
        if not 0 <= count <= LONGEST_INT:
            raise MineganError(f"holds an integer of {count} bytes")
        self._push(int.from_bytes(self._take(count), "little", signed=True))

    def _text(self, form: struct.Struct, encoding: str = "utf-8") -> None:
        count = self._number(form)
        self._budget.copy(max(count, 0))
        self._push(str(self._take(count), encoding, "surrogatepass" if encoding == "utf-8" else "strict"))

    def _bytes(self, form: struct.Struct) -> None:
        blob: Blob = self._take(self._number(form))
        self._push(bytes(blob) if len(blob) <= SHORT_BLOB else blob)

    # Containers

    def _mark(self) -> None:
        self._outer.append(self._stack)
        self._stack = []

    def _pop(self) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self._items()

    def _tuple(self, count: int) -> None:
        items = tuple(self._stack.pop() for _ in range(count))
        self._push(items[::-1])

    def _add_items(self) -> None:
        items = self._items()
        target = self._stack[-1]
        if not isinstance(target, set):
            raise MineganError("adds elements to something that is not a set")
        target |= make_set(self._calls, items)

    def _append(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if isinstance(target, Instance):
            target = target.items
        if not isinstance(target, list):
            raise MineganError("appends to something that is not a list")
        target.extend(items)

    def _dict(self, flat: list[Any]) -> dict[Any, Any]:
        made: dict[Any, Any] = {}
        self._fill(made, flat)
        return made

    def _set_items(self, flat: list[Any]) -> None:
        target = self._stack[-1]
        if isinstance(target, Instance):
            target = target.pairs
        if not isinstance(target, dict):
            raise MineganError("sets items of something that is not a dict")
        self._fill(target, flat)

    def _fill(self, target: dict[Any, Any], flat: list[Any]) -> None:
        for key, value in zip(flat[::2], flat[1::2], strict=True):
            self._calls.put(target, key, value)

    # The memo

    def _remember(self, index: int) -> None:
        self._memo[index] = self._stack[-1]

    # Names, calls and states

    def _global(self, module: Any, name: Any) -> None:
        if not (isinstance(module, str) and isinstance(name, str) and len(module) + len(name) <= LONGEST_NAME):
            raise MineganError("names a class by something that is not a name")
        self._push(Name(module, name))

    def _stack_global(self) -> None:
        name = self._stack.pop()
        self._global(self._stack.pop(), name)

    def _reduce(self) -> None:
        args = self._stack.pop()
        self._push(self._calls.call(self._stack.pop(), args))

    def _new(self, with_keywords: bool) -> None:
        keywords = self._stack.pop() if with_keywords else {}
        args = self._stack.pop()
        self._push(self._calls.new(self._stack.pop(), args, keywords))

    def _build(self) -> None:
        state = self._stack.pop()
        target = self._stack[-1]
        if isinstance(target, Instance):
            target.state = state
        elif isinstance(target, Name | str | int | float | None):
            raise MineganError("gives a state to something that has none")
        else:
            self._calls.set_state(target, state)

    def _persistent_id(self) -> None:
        if self._persistent is None:
            raise MineganError("refers to tensors outside itself, which only torch files can")
        self._push(self._persistent(self._stack.pop()))

    def _frame(self) -> None:
        if self._number(LENGTH8) > len(self._data) - self.position:
            raise MineganError("is cut short: it promises more than there is")


STEPS: dict[int, Callable[[Machine], object]] = {
    pickle.PROTO[0]: lambda m: m._take(1),
    pickle.FRAME[0]: Machine._frame,
    pickle.NONE[0]: lambda m: m._push(None),
    pickle.NEWTRUE[0]: lambda m: m._push(True),
    pickle.NEWFALSE[0]: lambda m: m._push(False),
    pickle.BININT[0]: lambda m: m._push(m._number(INT4)),
    pickle.BININT1[0]: lambda m: m._push(m._number(BYTE)),
    pickle.BININT2[0]: lambda m: m._push(m._number(SHORT)),
    pickle.BINFLOAT[0]: lambda m: m._push(m._number(FLOAT8)),
    pickle.LONG1[0]: lambda m: m._long(BYTE),
    pickle.LONG4[0]: lambda m: m._long(INT4),
    pickle.SHORT_BINUNICODE[0]: lambda m: m._text(BYTE),
    pickle.BINUNICODE[0]: lambda m: m._text(LENGTH4),
    pickle.BINUNICODE8[0]: lambda m: m._text(LENGTH8),
    pickle.SHORT_BINSTRING[0]: lambda m: m._text(BYTE, "latin-1"),  # Python 2's str, bytes or text
    pickle.BINSTRING[0]: lambda m: m._text(INT4, "latin-1"),
    pickle.SHORT_BINBYTES[0]: lambda m: m._bytes(BYTE),
    pickle.BINBYTES[0]: lambda m: m._bytes(LENGTH4),
    pickle.BINBYTES8[0]: lambda m: m._bytes(LENGTH8),
    pickle.BYTEARRAY8[0]: lambda m: m._bytes(LENGTH8),
    pickle.MARK[0]: Machine._mark,
    pickle.POP[0]: Machine._pop,
    pickle.POP_MARK[0]: Machine._items,
    pickle.DUP[0]: lambda m: m._push(m._stack[-1]),
    pickle.EMPTY_TUPLE[0]: lambda m: m._push(()),
    pickle.TUPLE1[0]: lambda m: m._tuple(1),
    pickle.TUPLE2[0]: lambda m: m._tuple(2),
    pickle.TUPLE3[0]: lambda m: m._tuple(3),
    pickle.TUPLE[0]: lambda m: m._push(tuple(m._items())),
    pickle.EMPTY_LIST[0]: lambda m: m._push([]),
    pickle.LIST[0]: lambda m: m._push(m._items()),
    pickle.APPEND[0]: lambda m: m._append([m._stack.pop()]),
    pickle.APPENDS[0]: lambda m: m._append(m._items()),
    pickle.EMPTY_DICT[0]: lambda m: m._push({}),
    pickle.DICT[0]: lambda m: m._push(m._dict(m._items())),
    pickle.SETITEM[0]: lambda m: m._set_items([m._stack.pop(), m._stack.pop()][::-1]),
    pickle.SETITEMS[0]: lambda m: m._set_items(m._items()),
    pickle.EMPTY_SET[0]: lambda m: m._push(make_set(m._calls)),
    pickle.ADDITEMS[0]: Machine._add_items,
    pickle.FROZENSET[0]: lambda m: m._push(make_set(m._calls, m._items())),
    pickle.BINPUT[0]: lambda m: m._remember(m._number(BYTE)),
    pickle.LONG_BINPUT[0]: lambda m: m._remember(m._number(LENGTH4)),
    pickle.MEMOIZE[0]: lambda m: m._remember(len(m._memo)),
    pickle.BINGET[0]: lambda m: m._push(m._memo[m._number(BYTE)]),
    pickle.LONG_BINGET[0]: lambda m: m._push(m._memo[m._number(LENGTH4)]),
    pickle.GLOBAL[0]: lambda m: m._global(m._line(), m._line()),
    pickle.STACK_GLOBAL[0]: Machine._stack_global,
    pickle.REDUCE[0]: Machine._reduce,
    pickle.NEWOBJ[0]: lambda m: m._new(False),
    pickle.NEWOBJ_EX[0]: lambda m: m._new(True),
    pickle.BUILD[0]: Machine._build,
    pickle.BINPERSID[0]: Machine._persistent_id,
}
"""Protocols 2 to 5. Left out: the text opcodes of protocol 0, the extension registry, and out-of-band buffers."""
