"""Files against the digests that their card gives. May import contracts only."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from minegan_zoo.contracts import MineganError


def sha256_of(path: Path) -> str:
    """The file's sha256 as lower-case hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify(path: Path, sha256: Mapping[str, str]) -> None:
    """Check the digest of a file, or of each named file of a folder; raises MineganError naming the file."""
    if not path.is_dir() and path.name in sha256:
        sha256 = {path.name: sha256[path.name]}
    for name, expected in sha256.items():
        file = path / name if path.is_dir() else path
        if not file.is_file():
            raise MineganError(f"{path}: lacks {name}, which its card lists")
        if (found := sha256_of(file)) != expected.lower():
            raise MineganError(
                f"{file}: sha256 is {found}, not {expected.lower()} as its card says: damaged, or another file"
            )
