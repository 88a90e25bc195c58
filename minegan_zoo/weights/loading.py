"""Putting tensors into a module, strictly. May import contracts only."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from minegan_zoo.contracts import MineganError

SHOWN = 12


def load_strict(module: nn.Module, tensors: Mapping[str, Tensor], whose: str, *, adopt: bool = False) -> None:
    """Give `module` its state dict; every key must be there, expected, and of the right shape.

    A tensor without elements is not sized yet: its module sizes it as it was saved.
    Values keep the module's dtype and device. A module built on the meta device (no memory, no random draws) gets
    copies of the tensors in their own dtype instead. With `adopt` nobody else uses the tensors: those that lie in no
    file are taken as they are. Raises MineganError, naming `whose`, with all that does not fit.
    """
    expected = module.state_dict()
    problems = [
        *_listed("missing", [key for key in expected if key not in tensors]),
        *_listed("unexpected", [key for key in tensors if key not in expected]),
        *_listed(
            "of another shape",
            [
                f"{key} (file {tuple(tensors[key].shape)}, network {tuple(value.shape)})"
                for key, value in expected.items()
                if key in tensors and tensors[key].shape != value.shape and value.numel()
            ],
        ),
    ]
    if problems:
        raise MineganError(f"{whose} does not fit {type(module).__name__}: {'; '.join(problems)}")
    if any(value.is_meta for value in expected.values()):
        # copies: a file mapped into memory must be free to change once it is loaded
        owned = _separate(tensors) if adopt else {key: value.clone() for key, value in tensors.items()}
        module.load_state_dict(owned, strict=True, assign=True)
        if left := [name for name, buffer in module.named_buffers() if buffer.is_meta]:
            raise MineganError(f"{whose}: {', '.join(left)} of {type(module).__name__} has no value: it is not saved")
    else:
        module.load_state_dict(dict(tensors), strict=True)


def _separate(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors, copied where they share a storage, fill only a part of it, or lie in memory that is not torch's."""
    separate: dict[str, Tensor] = {}
    taken: set[int] = set()
    for key, value in tensors.items():
        storage = value.untyped_storage()
        alone = storage.nbytes() == value.nbytes and storage.data_ptr() not in taken
        separate[key] = value if alone and storage.resizable() else value.clone()
        taken.add(storage.data_ptr())
    return separate


def _listed(what: str, keys: list[str]) -> list[str]:
    if not keys:
        return []
    more = f" and {len(keys) - SHOWN} more" if len(keys) > SHOWN else ""
    return [f"{what}: {', '.join(keys[:SHOWN])}{more}"]
