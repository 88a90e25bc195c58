"""Tables and messages for a terminal. May import nothing of ours."""

from __future__ import annotations

import json
import sys
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text


def show(name: str, facts: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps(facts, indent=2))
    else:
        table(["", name], [[key, _lines(value)] for key, value in facts.items()])


def _lines(values: Any) -> str:
    if isinstance(values, str | int):
        return str(values)
    if isinstance(values, dict):
        return "\n".join(f"{key}: {value}" for key, value in values.items())
    return "\n".join(map(str, values))


def table(header: list[str], rows: list[list[str]]) -> None:
    # where nobody watches, lines must neither be cut to a terminal's width nor be filled up to the longest
    console = Console(width=None if sys.stdout.isatty() else 400)
    table = Table(*header, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*map(Text, row))  # brackets are meant as they stand
    if sys.stdout.isatty():
        console.print(table, highlight=False)
        return
    with console.capture() as printed:
        console.print(table, highlight=False)
    print("\n".join(line.rstrip() for line in printed.get().splitlines()))


def say(text: str) -> None:
    Console(stderr=True).print(text, highlight=False, markup=False, soft_wrap=True)


def fail(text: str) -> int:
    Console(stderr=True).print(f"error: {text}", highlight=False, markup=False, soft_wrap=True)
    return 1
