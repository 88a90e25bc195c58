"""Commands about checkpoints: convert, inspect."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from minegan_zoo.commands.console import say, show
from minegan_zoo.commands.listing import Json


def convert(
    path: Annotated[Path, typer.Argument(help="A checkpoint of any readable format.")],
    out: Annotated[Path, typer.Argument(help="The source folder to write (safetensors and JSON).")],
    family: Annotated[str | None, typer.Option(help="By default every installed family is asked.")] = None,
    half: Annotated[bool, typer.Option(help="Store float16: half the size, nearly the same images.")] = False,
) -> None:
    """Turn a checkpoint into a source folder with the same images."""
    import torch

    from minegan_zoo.converting import convert_checkpoint

    convert_checkpoint(path, out, family, torch.float16 if half else None)
    say(f"wrote {out}")


def inspect(
    path: Annotated[Path, typer.Argument(help="A checkpoint of any readable format.")],
    family: Annotated[str | None, typer.Option(help="By default every installed family is asked.")] = None,
    json_: Json = False,
) -> None:
    """Say what a checkpoint is."""
    from minegan_zoo.converting import inspect_checkpoint

    show(str(path), inspect_checkpoint(path, family), json_)
