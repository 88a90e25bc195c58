"""Commands that only look: list, info, plugins."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from minegan_zoo.commands.console import show, table
from minegan_zoo.contracts import MineganError

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def list_(
    kind: Annotated[str | None, typer.Argument(help="generators, miners, critics, selectors, objectives, ...")] = None,
    pattern: Annotated[str, typer.Argument(help="Shell-style, as in 'stylegan2*'.")] = "*",
    json_: Json = False,
) -> None:
    """List what is installed."""
    from minegan_zoo.registry import KINDS, by_kind

    if kind is not None and kind not in KINDS:
        raise MineganError(f"unknown kind {kind!r}; the kinds are {', '.join(KINDS)}")
    rows = [
        {"kind": name, "name": entry, "summary": by_kind(name).info(entry).summary}
        for name in ([kind] if kind else KINDS)
        for entry in by_kind(name).list(pattern)
    ]
    if json_:
        print(json.dumps(rows, indent=2))
    else:
        table(["kind", "name", "what"], [[row["kind"], row["name"], row["summary"]] for row in rows])


def info(name: str, json_: Json = False) -> None:
    """Show what is known of a name: options, latent spaces, card."""
    from minegan_zoo.registry import describe

    show(name, describe(name), json_)


def plugins(json_: Json = False) -> None:
    """Show the plugins that were found, and why any of them failed."""
    from minegan_zoo.registry import plugins as found

    if json_:
        print(json.dumps([vars(plugin) for plugin in found()], indent=2))
        return
    rows = [[p.name, f"{p.distribution} {p.version}", p.error or f"{len(p.entries)} entries"] for p in found()]
    table(["plugin", "package", "state"], rows)
