"""The few calls that a checkpoint may ask for, each done on inert data; every other is refused or left undone.

A call (pickle's REDUCE) of a function, or of anything of the standard library, that is not listed here is an error, for
no checkpoint needs it. Making an instance of someone's class leaves an inert `Instance`. May import contracts only.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from minegan_zoo.contracts import MineganError
from minegan_zoo.weights import objects, rebuilds
from minegan_zoo.weights.budget import Budget
from minegan_zoo.weights.inert import Array, Blob, Dtype, Instance, Name, View

ALIASES = {
    "__builtin__": "builtins",
    "copy_reg": "copyreg",
    "numpy._core.multiarray": "numpy.core.multiarray",
    "numpy._core.numeric": "numpy.core.numeric",
    "torch.tensor": "torch._tensor",
    "dnnlib": "dnnlib.util",
}
DICTS = {
    ("builtins", "dict"),
    ("collections", "OrderedDict"),
    ("collections", "defaultdict"),
    ("collections", "Counter"),
    ("dnnlib.util", "EasyDict"),
    ("easydict", "EasyDict"),
}
HARMLESS = {
    ("argparse", "Namespace"),
    ("builtins", "object"),
    ("builtins", "range"),
    ("builtins", "slice"),
    ("datetime", "date"),
    ("datetime", "datetime"),
    ("datetime", "timedelta"),
    ("datetime", "timezone"),
    ("decimal", "Decimal"),
    ("fractions", "Fraction"),
    ("functools", "partial"),
    ("numpy.random._pickle", "__bit_generator_ctor"),
    ("numpy.random._pickle", "__generator_ctor"),
    ("numpy.random._pickle", "__randomstate_ctor"),
    ("pathlib", "Path"),
    ("pathlib", "PosixPath"),
    ("pathlib", "PurePosixPath"),
    ("pathlib", "PureWindowsPath"),
    ("pathlib", "WindowsPath"),
    ("torch", "device"),
    ("torch.serialization", "_get_layout"),
    ("types", "SimpleNamespace"),
    ("uuid", "UUID"),
}
"""Calls and instances that are left as records although their names look like a function's or the library's."""

PLAIN_KEYS = (str, float, bool, bytes, type(None), Name, Instance, View)
MOST_ARGUMENTS = 64
STEPS_PER_ODD_KEY = 1000
"""Hashes of such keys are no secret, so that a file could make them collide."""


class Calls:
    """Carries out calls for one file; `load_blob` reads a torch file that is nested in it as bytes."""

    def __init__(self, budget: Budget, load_blob: Callable[[Blob], Any]) -> None:
        self.budget = budget
        self.load_blob = load_blob

    def call(self, function: Any, args: Any) -> Any:
        """What `function(*args)` comes to; raises MineganError when it is refused."""
        if not isinstance(function, Name) or not isinstance(args, tuple) or len(args) > MOST_ARGUMENTS:
            raise MineganError("asks to call something that is not a named class when it is read: do not trust it")
        known = CALLS.get(_key(function))
        if known is not None:
            try:
                return known(self, *args)
            except TypeError as error:  # another number of arguments than the function takes
                raise MineganError(f"calls {function} with arguments that it does not take") from error
        if not function.name.rpartition(".")[2].lstrip("_")[:1].isupper() and _key(function) not in HARMLESS:
            raise _refusal(function)  # it is named like a function
        return self.new(function, args, {})

    def new(self, of: Any, args: Any, keywords: Any) -> Any:
        """A new object of class `of`: an empty dict for the dict classes, else an inert instance."""
        if not isinstance(of, Name) or not isinstance(args, tuple) or not isinstance(keywords, dict):
            raise MineganError("makes an object of something that is not a named class: do not trust it")
        if _key(of) in DICTS:
            return {}
        if _key(of)[0].partition(".")[0] in sys.stdlib_module_names and _key(of) not in HARMLESS:
            raise _refusal(of)
        if keywords:
            self.budget.step(len(args))
            args = (*args, keywords)
        return Instance(of, args)

    def set_state(self, target: Any, state: Any) -> None:
        """What `target.__setstate__(state)` comes to; extra attributes of dicts, lists and tensors are dropped."""
        match target, state:
            case Dtype(), (int(), "<" | ">" | "|" | "=" as order, *_):
                target.order = order
            case Array(is_scalar=False), (_, shape, dtype, fortran, data):
                rebuilds.fill_array(self, target, dtype, shape, fortran, data)
            case ((dict() | list() | set() | View()), _):
                pass
            case _:
                raise MineganError("gives a state to something that has none")

    def put(self, target: dict[Any, Any], key: Any, value: Any) -> None:
        """`target[key] = value`, for keys whose hash is quickly found."""
        self.check_key(key)
        target[key] = value

    def check_key(self, key: Any) -> None:
        """Raises MineganError for keys that are not scalars, flat tuples of them, or objects known by identity."""
        if isinstance(key, PLAIN_KEYS):
            return
        if isinstance(key, int) or (isinstance(key, tuple) and all(isinstance(part, str | int) for part in key)):
            if not (isinstance(key, int) and abs(key) < 1 << 62):
                self.budget.step(STEPS_PER_ODD_KEY + (len(key) if isinstance(key, tuple) else 0))
            return
        raise MineganError(f"uses a {type(key).__name__} as the key of a dict or the element of a set")


def _key(name: Name) -> tuple[str, str]:
    return ALIASES.get(name.module, name.module), name.name


def _refusal(name: Name) -> MineganError:
    return MineganError(f"asks to call {name} when it is read, which no checkpoint needs: do not trust this file")


CALLS: dict[tuple[str, str], Callable[..., Any]] = {
    ("_codecs", "encode"): objects.encode,
    ("builtins", "bytearray"): objects.make_bytes,
    ("builtins", "bytes"): objects.make_bytes,
    ("builtins", "complex"): objects.make_complex,
    ("builtins", "dict"): objects.make_dict,
    ("builtins", "frozenset"): objects.make_set,
    ("builtins", "set"): objects.make_set,
    ("collections", "Counter"): objects.make_dict,
    ("collections", "OrderedDict"): objects.make_dict,
    ("collections", "defaultdict"): objects.make_defaultdict,
    ("collections", "deque"): objects.make_deque,
    ("copyreg", "__newobj__"): objects.new_object,
    ("copyreg", "_reconstructor"): objects.reconstruct,
    ("dnnlib.util", "EasyDict"): objects.make_dict,
    ("easydict", "EasyDict"): objects.make_dict,
    ("numpy", "dtype"): rebuilds.dtype,
    ("numpy.core.multiarray", "_reconstruct"): rebuilds.empty_array,
    ("numpy.core.multiarray", "scalar"): rebuilds.scalar,
    ("numpy.core.numeric", "_frombuffer"): rebuilds.array,
    ("torch", "Size"): rebuilds.size,
    ("torch._tensor", "_rebuild_from_type"): objects.call_by_type,
    ("torch._tensor", "_rebuild_from_type_v2"): objects.call_by_type,
    ("torch._utils", "_rebuild_meta_tensor_no_storage"): rebuilds.unsupported,
    ("torch._utils", "_rebuild_nested_tensor"): rebuilds.unsupported,
    ("torch._utils", "_rebuild_parameter"): rebuilds.parameter,
    ("torch._utils", "_rebuild_parameter_with_state"): rebuilds.parameter,
    ("torch._utils", "_rebuild_qtensor"): rebuilds.unsupported,
    ("torch._utils", "_rebuild_sparse_tensor"): rebuilds.unsupported,
    ("torch._utils", "_rebuild_tensor"): rebuilds.tensor,
    ("torch._utils", "_rebuild_tensor_v2"): rebuilds.tensor,
    ("torch._utils", "_rebuild_tensor_v3"): rebuilds.unsupported,
    ("torch.storage", "_load_from_bytes"): rebuilds.nested_file,
    ("torch_utils.persistence", "_reconstruct_persistent_obj"): objects.persistent_object,
}
