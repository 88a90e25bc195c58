"""Numbers, names and choices as people write them. May import settings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minegan_zoo.settings import Choice

ARROWS = {
    **dict.fromkeys(("fid", "kid"), "↓"),
    **dict.fromkeys(("precision", "recall", "coverage", "class_accuracy"), "↑"),
}
"""Where better values lie. Of density, authenticity and memorisation that is where real images are, not at an end."""


def listed(names: Sequence[str]) -> str:
    """a, b and c."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def sentence(text: str) -> str:
    """The text with a capital at its beginning, and nothing else changed."""
    return f"{text[:1].upper()}{text[1:]}"


def metric_title(name: str) -> str:
    """`fid_train` as people write it."""
    base, separator, _ = name.partition("_train")
    written = base.upper() if base in ("fid", "kid") else base.replace("_", " ")
    return f"{written} on training images" if separator else written


def column(name: str) -> str:
    """A metric's title, and where better values lie."""
    return f"{metric_title(name)} {ARROWS.get(name.removesuffix('_train'), '')}".strip()


def metric_value(value: float) -> str:
    """123.4, 1.23, 0.0123 or 1.2e−05."""
    digits = 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 4
    tiny = 0 < abs(value) < 0.001
    return (f"{value:.1e}" if tiny else f"{value:.{digits}f}").replace("-", "−")


def duration(seconds: float) -> str:
    """9.9 s, 1 min 15 s or 3 h 20 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s"
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {whole % 60} s"


def chosen(choice: Choice) -> str:
    """A part's name and those of its options that are not empty."""
    options = ", ".join(f"{name}={plain(value)}" for name, value in choice.options.items() if value != "")
    return f"{choice.name} ({options})" if options else choice.name


def plain(value: Any) -> str:
    """An option's value as `--set` takes it."""
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
