"""The console script: arguments in, calls to the library, tables out; no logic of its own.

Nothing here imports torch before a command needs it: `--help`, `list`, `info` and `plugins` stay quick.
"""

from __future__ import annotations

import errno
import sys
from typing import Any

import typer

from minegan_zoo.commands import checkpoints, listing, measuring, training
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
app.command()(measuring.evaluate)
app.command()(training.demo)
app.command("list")(listing.list_)
app.command()(listing.info)
app.command()(listing.plugins)
app.command()(checkpoints.inspect)
app.command()(checkpoints.convert)

UsageError: Any = typer.BadParameter.__mro__[1]
"""Some versions of typer import click, others carry their own: this is the one that they raise."""
INTERRUPTED, TERMINATED = 130, 143


def main() -> None:
    """The console script: one line and exit code 1 for a user's mistake, 130 after Ctrl-C, 143 after SIGTERM."""
    try:
        code = app(standalone_mode=False)
    except MineganError as error:
        code = fail(str(error))
    except typer.Abort:  # what Ctrl-C becomes in older versions of typer
        code = INTERRUPTED
    except SystemExit as ended:
        if ended.code == TERMINATED:
            say("terminated; the same command goes on from the last saved state, if there is one")
        raise
    except UsageError as error:
        error.show()
        code = error.exit_code
    except OSError as error:
        place = error.filename or "a file of this run"
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            code = fail(f"the disk is full ({place}: {error.strerror}): free some space, then repeat the command")
        elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            code = fail(f"{place}: {error.strerror}")
        else:
            raise
    if code == INTERRUPTED:
        say("interrupted; the same command goes on from the last saved state, if there is one")
    sys.exit(code if isinstance(code, int) else 0)
