"""Inert records: what is left of a class that a checkpoint names and this project does not import.

May import contracts only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from minegan_zoo.contracts import MineganError

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False, repr=False)  # comparing or printing whole states could take for ever
class Record:
    """An instance of class `name` of `module`, never built: `args` of its constructor and its `state` (its __dict__).

    A class that the file merely mentions is a record without state and args. Records compare by identity.
    """

    module: str
    name: str
    state: Any
    args: tuple[Any, ...]

    def __repr__(self) -> str:
        return f"Record({self.module}.{self.name})"


def module_tensors(record: Record) -> dict[str, Tensor]:
    """The flat state dict of a pickled `torch.nn.Module`: parameters and persistent buffers under dotted names.

    Attributes that are tensors but neither (a computed weight, say) are left out. Raises MineganError when the record
    or one of its parts is not a module.
    """
    found: dict[str, Tensor] = {}
    _collect(record, "", found)
    return found


def _collect(record: Any, prefix: str, found: dict[str, Tensor]) -> None:
    from torch import Tensor

    state = record.state if isinstance(record, Record) and isinstance(record.state, dict) else {}
    parameters, buffers, children = (state.get(part) for part in ("_parameters", "_buffers", "_modules"))
    if not (isinstance(parameters, dict) and isinstance(buffers, dict) and isinstance(children, dict)):
        raise MineganError(f"{record!r:.80} at {prefix or 'the top'!r} is not a pickled torch module")
    names = state.get("_non_persistent_buffers_set")  # torch before 1.6 had none
    passing = names if isinstance(names, set) else set()
    for name, value in (parameters | buffers).items():
        if isinstance(value, Tensor):
            if name not in passing:
                found[f"{prefix}{name}"] = value
        elif value is not None:
            raise MineganError(f"{prefix}{name} of a pickled torch module is {value!r:.80}, not a tensor")
    for name, child in children.items():
        if child is not None:
            _collect(child, f"{prefix}{name}.", found)
