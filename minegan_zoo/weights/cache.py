"""Where fetched files are kept. May import contracts only."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

LONGEST_NAME = 120


def cache_folder() -> Path:
    """`MINEGAN_ZOO_CACHE`, else `minegan_zoo` in the user's cache folder (XDG base directory specification)."""
    if chosen := os.environ.get("MINEGAN_ZOO_CACHE"):
        return Path(chosen).expanduser()
    home = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (home if home.is_absolute() else Path.home() / ".cache") / "minegan_zoo"


def cached_path(url: str) -> Path:
    """Where the file of this address is kept: under its own name, in a folder of the address's own."""
    name = unquote(urlsplit(url).path).rpartition("/")[2]
    name = "".join(letter for letter in name if letter.isprintable())[-LONGEST_NAME:].lstrip(".") or "file"
    return cache_folder() / hashlib.sha256(url.encode()).hexdigest()[:16] / name
