"""References to weights (`package:`, a path, a URL, `hf-hub:`) -> a verified local path. May import contracts only.

Never imports torch: cards are resolved and checked before anything is built.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from minegan_zoo.contracts import MineganError
from minegan_zoo.weights.digest import verify
from minegan_zoo.weights.download import download
from minegan_zoo.weights.huggingface import SCHEME, fetch_from_hub


def fetch(reference: str, sha256: Mapping[str, str]) -> Path:
    """The local file or folder that `reference` names, its files checked against `sha256` (file name -> hex digest).

    `package:MODULE/FOLDER` is a folder (or file) inside an installed package, `http(s)://...` a file that is downloaded
    into the cache, `hf-hub:owner/name[/file]` comes from the Hugging Face Hub; anything else is a path. What is in a
    cache is taken from there, without a connection. Raises MineganError when it is not to be had or a digest differs.
    """
    if reference.startswith("package:"):
        path = _in_package(reference)
    elif reference.startswith(("https://", "http://")):
        if len(sha256) > 1:
            raise MineganError(f"{reference}: is one file, but its card lists {', '.join(sha256)}")
        return download(reference, next(iter(sha256.values()), None))
    elif reference.startswith(SCHEME):
        path = fetch_from_hub(reference, sha256)
    else:
        path = Path(reference).expanduser()
        if not path.exists():
            raise MineganError(f"{reference}: there is no such file or folder")
    verify(path, sha256)
    return path


def _in_package(reference: str) -> Path:
    module, _, inside = reference.removeprefix("package:").partition("/")
    try:
        spec = find_spec(module)  # finds a top-level package without importing it
    except (ImportError, ValueError) as error:
        raise MineganError(f"{reference}: cannot find the package {module} ({error})") from error
    if spec is None or not spec.submodule_search_locations:
        raise MineganError(f"{reference}: the package {module} is not installed")
    for folder in spec.submodule_search_locations:
        path = Path(folder, inside)
        if path.exists():
            return path
    raise MineganError(f"{reference}: {inside} is missing from the installed package {module}: reinstall it")
