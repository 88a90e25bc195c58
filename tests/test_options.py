"""Options are a builder's keyword-only parameters: read from its signature, converted, checked."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Optional, Union

import pytest

from minegan_zoo.contracts import MineganError
from minegan_zoo.options import Option, check_options, convert, describe_type, options_of

if TYPE_CHECKING:
    from torch import Tensor


def build(
    weights: Any,
    *,
    width: int = 64,
    rate: float | None = None,
    noise: Literal["const", "random"] = "const",
    sizes: tuple[int, ...] = (4, 8),
    ema: bool = True,
) -> None:
    """A builder."""


# What a signature says


def test_options_are_the_keyword_only_parameters_in_their_order() -> None:
    options = options_of(build)
    assert [option.name for option in options] == ["width", "rate", "noise", "sizes", "ema"]
    assert [option.default for option in options] == [64, None, "const", (4, 8), True]
    assert [option.type for option in options][:2] == [int, float | None]
    assert [str(option) for option in options] == [
        "width: int = 64",
        "rate: float | none = None",
        "noise: 'const' | 'random' = 'const'",
        "sizes: tuple of int = (4, 8)",
        "ema: bool = True",
    ]


def test_a_type_that_only_type_checkers_import_falls_back_to_the_default() -> None:
    def unusual(*, scale: Tensor | float = 1.5, mean: Tensor | None = None, anything=()) -> None:  # type: ignore[no-untyped-def]
        ...

    assert options_of(unusual) == (Option("scale", float, 1.5), Option("mean", Any, None), Option("anything", Any, ()))


def test_a_wrapped_or_partial_builder_shows_its_own_options() -> None:
    @functools.wraps(build)
    def wrapped(*arguments: Any, width: int = 1) -> None: ...

    assert options_of(wrapped) == options_of(build)
    preset = {option.name: option.default for option in options_of(functools.partial(build, width=3))}
    assert preset["width"] == 3


@pytest.mark.parametrize(
    ("hint", "words"),
    [
        (int, "int"),
        (float | None, "float | none"),
        (Optional[str], "str | none"),  # noqa: UP045
        (Union[int, str], "int | str"),  # noqa: UP007
        (Literal["a", 2], "'a' | 2"),
        (tuple[float, ...], "tuple of float"),
        (Sequence[str], "sequence of str"),
        (Mapping[str, Any], "table"),
        (Any, "Any"),
    ],
)
def test_types_are_described_as_a_person_writes_them(hint: Any, words: str) -> None:
    assert describe_type(hint).removeprefix("typing.") == words


# Conversion


@pytest.mark.parametrize(
    ("given", "hint", "expected"),
    [
        (3, int, 3),
        ("3", int, 3),
        ("-3", int, -3),
        ("1e3", int, 1000),
        (2.0, int, 2),
        (str(2**62 + 1), int, 2**62 + 1),
        (3, float, 3.0),
        ("1e-3", float, 1e-3),
        (True, bool, True),
        ("yes", bool, True),
        ("False", bool, False),
        ("0", bool, False),
        (1, bool, True),
        ("color,cutout", str, "color,cutout"),
        ("3", str, "3"),
        ("random", Literal["const", "random"], "random"),
        ("2", Literal[1, 2], 2),
        ("4,8", tuple[int, ...], (4, 8)),
        ([4, "8"], tuple[int, ...], (4, 8)),
        ("", tuple[int, ...], ()),
        ("a,b", Sequence[str], ("a", "b")),
        ((1, 2), tuple, (1, 2)),
        ({"a": 1}, Mapping[str, Any], {"a": 1}),
        (None, int | None, None),
        ("none", int | None, None),
        ("none", str | None, None),
        ("7", str | int, 7),
        ("seven", str | int, "seven"),
        ("anything", Any, "anything"),
    ],
)
def test_values_become_the_type_that_the_builder_declares(given: Any, hint: Any, expected: Any) -> None:
    converted = convert(given, hint)
    assert converted == expected
    assert type(converted) is type(expected)


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ("many", int),
        (2.5, int),
        ("2.5", int),
        (True, int),
        (None, int),
        ([1], int),
        (float("inf"), int),
        ("nan", int),
        ("high", float),
        (True, float),
        (None, float),
        ("maybe", bool),
        (2, bool),
        (3, str),
        ("loud", Literal["const", "random"]),
        ("a,b", tuple[int, ...]),
        (3, tuple[int, ...]),
        ("a", dict),
        ("x", int | None),
        (1, type(None)),
    ],
)
def test_what_is_no_such_value_is_refused(given: Any, hint: Any) -> None:
    with pytest.raises(ValueError):
        convert(given, hint)


# Checks


def test_checked_options_are_converted_and_only_those_given_are_there() -> None:
    checked = check_options(build, {"width": "32", "sizes": "4,4", "rate": "none"}, "critic 'conv'")
    assert checked == {"width": 32, "sizes": (4, 4), "rate": None}
    assert check_options(build, {}, "critic 'conv'") == {}


def test_an_unknown_option_lists_the_valid_ones() -> None:
    with pytest.raises(MineganError) as error:
        check_options(build, {"widht": 3}, "critic 'conv'")
    choices = "noise: 'const' | 'random' = 'const'"
    for words in ("critic 'conv' has no option 'widht'", "width: int = 64", choices, "Did you mean 'width'?"):
        assert words in str(error.value)
    with pytest.raises(MineganError, match="Its options: none"):
        check_options(lambda weights: None, {"width": 3}, "a bare one")


def test_positional_parameters_are_no_options() -> None:
    with pytest.raises(MineganError, match="no option 'weights'"):
        check_options(build, {"weights": "x.pt"}, "generator 'x'")


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("width", None, "must be int, not None"),
        ("width", "many", "must be int, not 'many'"),
        ("noise", "loud", "must be 'const' | 'random', not 'loud'"),
        ("rate", [1], r"must be float | none, not [1]"),
        ("sizes", "4,x", "must be tuple of int, not '4,x'"),
    ],
)
def test_a_value_of_the_wrong_type_is_named_with_the_right_one(option: str, value: Any, expected: str) -> None:
    with pytest.raises(MineganError) as error:
        check_options(build, {option: value}, "critic 'conv'")
    assert str(error.value) == f"option {option!r} of critic 'conv' {expected}."
