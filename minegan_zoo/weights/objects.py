"""Calls that make containers, bytes and plain objects out of inert data. May import contracts only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from minegan_zoo.contracts import MineganError
from minegan_zoo.weights.inert import Blob, Instance, Name

if TYPE_CHECKING:
    from minegan_zoo.weights.calls import Calls


def make_set(calls: Calls, items: Any = ()) -> set[Any]:
    """`set(items)`, `frozenset(items)`."""
    if not isinstance(items, list | tuple | set):
        raise MineganError("makes a set of something that is not a list")
    calls.budget.step(4 + 4 * len(items))  # sets take about four times the memory and time of other objects
    for item in items:
        calls.check_key(item)
    return set(items)


def make_dict(calls: Calls, items: Any = ()) -> dict[Any, Any]:
    """`dict(items)` and its subclasses."""
    pairs = list(items.items()) if isinstance(items, dict) else items
    if not isinstance(pairs, list | tuple) or not all(isinstance(p, list | tuple) and len(p) == 2 for p in pairs):
        raise MineganError("makes a dict of something that is not a list of pairs")
    calls.budget.step(4 + len(pairs))
    made: dict[Any, Any] = {}
    for key, value in pairs:
        calls.put(made, key, value)
    return made


def make_defaultdict(calls: Calls, factory: Any = None, items: Any = ()) -> dict[Any, Any]:
    """`collections.defaultdict(factory, items)`, without its factory."""
    return make_dict(calls, items)


def make_deque(calls: Calls, items: Any = (), longest: Any = None) -> list[Any]:
    """`collections.deque(items, longest)`, as a list."""
    if not isinstance(items, list | tuple):
        raise MineganError("makes a deque of something that is not a list")
    calls.budget.step(4 + len(items))
    return list(items)


def encode(calls: Calls, text: Any, encoding: Any) -> bytes:
    """`_codecs.encode(text, "latin1")`: how protocol 2 writes bytes."""
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise MineganError("encodes text in another way than pickled bytes are")
    calls.budget.copy(len(text))
    try:
        return text.encode("latin-1")
    except UnicodeError as error:
        raise MineganError("holds damaged bytes") from error


def make_bytes(calls: Calls, data: Any = b"", encoding: Any = None) -> Blob:
    """`bytes(data)`, `bytearray(data)`, `bytearray(text, "latin-1")`."""
    if encoding is not None:
        return encode(calls, data, encoding)
    if not isinstance(data, Blob):
        raise MineganError("makes bytes of something else")
    return data


def make_complex(calls: Calls, real: Any, imaginary: Any) -> complex:
    """`complex(real, imaginary)`."""
    if not isinstance(real, float) or not isinstance(imaginary, float):
        raise MineganError("holds a garbled complex number")
    return complex(real, imaginary)


def reconstruct(calls: Calls, of: Any, parent: Any, state: Any) -> Any:
    """`copyreg._reconstructor(of, parent, state)`: how protocols below 2 make an object."""
    made = calls.new(of, (), {})
    if isinstance(state, list | dict):  # of a subclass of list or dict
        calls.budget.step(len(state))
        if isinstance(state, dict):
            (made.pairs if isinstance(made, Instance) else made).update(state)
        elif isinstance(made, Instance):
            made.items.extend(state)
    return made


def new_object(calls: Calls, of: Any, *args: Any) -> Any:
    """`copyreg.__newobj__(of, *args)`."""
    return calls.new(of, args, {})


def call_by_type(calls: Calls, function: Any, of: Any, args: Any, state: Any = None) -> Any:
    """`torch._tensor._rebuild_from_type_v2`: a tensor of a subclass, or one with attributes, which are dropped."""
    if not isinstance(function, Name) or function.module != "torch._utils":  # nor itself, again and again
        raise MineganError("asks to call something else to rebuild a tensor when it is read: do not trust it")
    return calls.call(function, args)


def persistent_object(calls: Calls, meta: Any) -> Instance:
    """NVIDIA's `torch_utils.persistence`: an object shipped with its source code, which is dropped unread."""
    if not isinstance(meta, dict) or meta.get("type") != "class" or not isinstance(meta.get("class_name"), str):
        raise MineganError("holds a garbled persistent object")
    return Instance(Name("torch_utils.persistence", meta["class_name"]), (), meta.get("state"))
