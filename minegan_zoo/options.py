"""Options of an entry: the keyword-only parameters of its builder, read from the signature and checked against it.

May import contracts only.
"""

from __future__ import annotations

import difflib
import inspect
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Union

from minegan_zoo.contracts import MineganError


@dataclass(frozen=True)
class Option:
    """One keyword-only parameter of a builder."""

    name: str
    type: Any
    default: Any

    def __str__(self) -> str:
        return f"{self.name}: {describe_type(self.type)} = {self.default!r}"


def options_of(build: Callable[..., Any]) -> tuple[Option, ...]:
    """The options that a builder takes, in the order of its signature."""
    parameters = inspect.signature(build).parameters.values()
    return tuple(
        Option(parameter.name, _type_of(parameter, build), parameter.default)
        for parameter in parameters
        if parameter.kind is parameter.KEYWORD_ONLY
    )


def check_options(build: Callable[..., Any], given: Mapping[str, Any], whose: str) -> dict[str, Any]:
    """`given` with every value converted to its option's type; strings are parsed, as a command line gives them.

    Raises MineganError for an unknown option or a value of the wrong type; the message lists what is valid.
    """
    known = {option.name: option for option in options_of(build)}
    checked = {}
    for name, value in given.items():
        if name not in known:
            valid = "; ".join(map(str, known.values())) or "none"
            raise MineganError(f"{whose} has no option {name!r}. Its options: {valid}.{did_you_mean(name, known)}")
        try:
            checked[name] = convert(value, known[name].type)
        except ValueError:
            expected = describe_type(known[name].type)
            raise MineganError(f"option {name!r} of {whose} must be {expected}, not {value!r}.") from None
    return checked


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A question to end an error with, about what `name` may have been meant to be; "" where nothing is like it."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" Did you mean {close[0]!r}?" if close else ""


def describe_type(hint: Any) -> str:
    """A type as a person writes it: "int", "'const' | 'random'", "tuple of int"."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        return " | ".join(describe_type(argument) for argument in arguments)
    if origin is Literal:
        return " | ".join(map(repr, arguments))
    if origin in _SEQUENCES and arguments:
        return f"{origin.__name__.lower()} of {describe_type(arguments[0])}"
    if origin in (dict, Mapping) or hint in (dict, Mapping):
        return "table"
    if hint is type(None):
        return "none"
    return hint.__name__ if isinstance(hint, type) else str(hint)


def convert(value: Any, hint: Any) -> Any:
    """`value` as an instance of the type `hint`; ValueError where it is none."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    if origin in (Union, types.UnionType):
        return _convert_to_any_of(value, arguments)
    if origin is Literal:
        matches = [member for member in arguments if str(member) == str(value)]
        return matches[0] if matches else _fail(value)
    if hint is type(None):
        return None if value is None or value == "none" else _fail(value)
    if hint is bool:
        return _BOOLEANS[str(value).lower()] if str(value).lower() in _BOOLEANS else _fail(value)
    if hint is int:
        return _to_int(value)
    if hint is float:
        return float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else _fail(value)
    if origin in _SEQUENCES or hint in _SEQUENCES:
        parts = [part for part in value.split(",") if part] if isinstance(value, str) else value
        if not isinstance(parts, Sequence):
            return _fail(value)
        return tuple(convert(part, arguments[0] if arguments else Any) for part in parts)
    if origin in (dict, Mapping) or hint in (dict, Mapping):
        return _as_toml(value) if isinstance(value, Mapping) else _fail(value)
    return value if isinstance(value, hint) else _fail(value)


def _as_toml(value: Any) -> Any:
    """Tables and lists as a TOML file gives them back."""
    if isinstance(value, Mapping):
        return {key: _as_toml(inner) for key, inner in value.items()}
    return [_as_toml(inner) for inner in value] if isinstance(value, list | tuple) else value


_SEQUENCES = (tuple, list, Sequence)
_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def _to_int(value: Any) -> int:
    if isinstance(value, str):
        try:
            return int(value)
        except ValueError:
            value = float(value)  # as in 1e3
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1:
        raise ValueError(value)
    return int(value)


def _convert_to_any_of(value: Any, members: Sequence[Any]) -> Any:
    # a string matches every `str`, so the narrower members have the first word
    for member in sorted(members, key=lambda member: member is str):
        try:
            return convert(value, member)
        except (ValueError, TypeError):
            continue
    return _fail(value)


def _fail(value: Any) -> Any:
    raise ValueError(value)


def _type_of(parameter: inspect.Parameter, build: Callable[..., Any]) -> Any:
    """The evaluated annotation; one that names what only type checkers import falls back to the default's type."""
    if not isinstance(parameter.annotation, str):
        return Any if parameter.annotation is parameter.empty else parameter.annotation
    holder = types.SimpleNamespace(__annotations__={parameter.name: parameter.annotation})
    function = inspect.unwrap(build)
    module_names = vars(inspect.getmodule(function) or typing)
    try:
        return typing.get_type_hints(holder, globalns=dict(module_names))[parameter.name]
    except NameError:
        return Any if parameter.default is None else type(parameter.default)
