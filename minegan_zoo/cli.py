"""The console script: arguments in, calls to the library, tables out; no logic of its own.

Nothing here imports torch before a command needs it: `--help`, `list`, `info` and `plugins` stay quick.
"""

from __future__ import annotations

import errno
import sys

import click
import typer

from minegan_zoo.commands import checkpoints, listing, training
from minegan_zoo.commands.console import fail, say
from minegan_zoo.contracts import MineganError

app = typer.Typer(
    help="Turn pretrained GANs into a generator of your domain, from few images (MineGAN).",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command()(training.mine)
app.command()(training.sample)
app.command()(training.pretrain)
app.command()(training.demo)
app.command("list")(listing.list_)
app.command()(listing.info)
app.command()(listing.plugins)
app.command()(checkpoints.inspect)
app.command()(checkpoints.convert)


def main() -> None:
    """The console script: one line and exit code 1 for a user's mistake, 130 after Ctrl-C, 143 after SIGTERM."""
    try:
        code = app(standalone_mode=False)
    except MineganError as error:
        code = fail(str(error))
    except click.exceptions.Abort:
        say("interrupted; what was saved resumes with the same command")
        code = 130
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        code = fail(f"the disk is full ({error.filename or 'while writing'}): free some, then repeat the command")
    sys.exit(code if isinstance(code, int) else 0)
