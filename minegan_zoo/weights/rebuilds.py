"""Calls that make torch tensors and numpy arrays, as checked views of the file. May import contracts only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from minegan_zoo.contracts import MineganError
from minegan_zoo.weights.inert import Array, Blob, Dtype, View, sizes, tensor_view

if TYPE_CHECKING:
    from minegan_zoo.weights.calls import Calls

STEPS_PER_TENSOR = 20
STEPS_PER_FILE = 100


def tensor(calls: Calls, storage: Any, offset: Any, size: Any, stride: Any, *rest: Any) -> View:
    """`torch._utils._rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks)`."""
    calls.budget.step(STEPS_PER_TENSOR)
    return tensor_view(storage, offset, size, stride)


def parameter(calls: Calls, data: Any, *rest: Any) -> View:
    """`torch._utils._rebuild_parameter(data, requires_grad, hooks)`: its tensor."""
    if not isinstance(data, View):
        raise MineganError("holds a parameter that is not a tensor")
    return data


def unsupported(calls: Calls, *args: Any) -> None:
    """Sparse, quantised, nested, meta and 8-bit tensors."""
    raise MineganError("holds a sparse, quantised or otherwise special tensor, which is not supported: save it dense")


def size(calls: Calls, lengths: Any = ()) -> tuple[int, ...]:
    """`torch.Size(lengths)`."""
    return sizes(lengths)


def nested_file(calls: Calls, data: Any) -> Any:
    """`torch.storage._load_from_bytes(data)`: a torch file inside the pickle."""
    if not isinstance(data, Blob):
        raise MineganError("holds a garbled storage")
    calls.budget.step(STEPS_PER_FILE)
    return calls.load_blob(data)


def dtype(calls: Calls, code: Any, *rest: Any) -> Dtype:
    """`numpy.dtype(code, align, copy)`."""
    if not isinstance(code, str) or len(code) > 16:
        raise MineganError("holds a garbled numpy dtype")
    order, code = (code[0], code[1:]) if code[:1] in ("<", ">", "|", "=") else ("=", code)
    return Dtype(code, order)


def empty_array(calls: Calls, *args: Any) -> Array:
    """`numpy.core.multiarray._reconstruct`: an array that its state will fill."""
    calls.budget.step(STEPS_PER_TENSOR)
    return Array()


def array(calls: Calls, data: Any, of: Any, shape: Any, order: Any = "C", *rest: Any) -> Array:
    """`numpy.core.numeric._frombuffer(data, dtype, shape, order)`."""
    made = empty_array(calls)
    fill_array(calls, made, of, shape, order == "F", data)
    return made


def scalar(calls: Calls, of: Any, data: Any = b"") -> Array:
    """`numpy.core.multiarray.scalar(dtype, data)`."""
    made = empty_array(calls)
    fill_array(calls, made, of, (), False, data)
    made.is_scalar = True
    return made


def fill_array(calls: Calls, made: Array, of: Any, shape: Any, fortran: Any, data: Any) -> None:
    """`numpy.ndarray.__setstate__((version, shape, dtype, fortran, data))`."""
    if isinstance(data, str):  # Python 2 wrote bytes as text
        calls.budget.copy(len(data))
        data = data.encode("latin-1", "replace")
    if not isinstance(of, Dtype) or not isinstance(data, Blob) or not isinstance(fortran, int):
        raise MineganError("holds a numpy array of objects, or a garbled one")
    made.dtype, made.fortran, made.data = of, bool(fortran), data
    made.shape = sizes((shape,) if isinstance(shape, int) else shape)
