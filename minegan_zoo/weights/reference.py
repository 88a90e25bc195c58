"""References to weights (`package:`, a path, a URL, `hf-hub:`) -> a verified local path. May import contracts only.

Never imports torch: cards are resolved and checked before anything is built.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from minegan_zoo.contracts import MineganError


def fetch(reference: str, sha256: Mapping[str, str]) -> Path:
    """The local file or folder that `reference` names, its files checked against `sha256` (file name -> hex digest).

    `package:MODULE/FOLDER` is a folder (or file) inside an installed package; anything without a scheme is a path.
    Raises MineganError when it is not there or a digest differs.
    """
    if reference.startswith("package:"):
        path = _in_package(reference)
    else:
        path = Path(reference).expanduser()
        if not path.exists():
            raise MineganError(f"{reference}: there is no such file or folder")
    verify(path, sha256)
    return path


def verify(path: Path, sha256: Mapping[str, str]) -> None:
    """Check the digest of a file, or of each named file of a folder; raises MineganError naming the file."""
    for name, expected in sha256.items():
        file = path / name if path.is_dir() else path
        if not file.is_file():
            raise MineganError(f"{path}: lacks {name}, which its card lists")
        if (found := digest(file)) != expected.lower():
            raise MineganError(
                f"{file}: sha256 is {found}, not {expected.lower()} as its card says: damaged, or another file"
            )


def digest(path: Path) -> str:
    """The file's sha256 as lower-case hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
