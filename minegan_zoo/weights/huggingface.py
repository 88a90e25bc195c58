"""Weights on the Hugging Face Hub, through huggingface_hub and its cache. May import contracts only."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from minegan_zoo.contracts import MineganError

SCHEME = "hf-hub:"


def fetch_from_hub(reference: str, sha256: Mapping[str, str]) -> Path:
    """`hf-hub:owner/name` is a folder (with the files that `sha256` lists, or all), `hf-hub:owner/name/file` a file.

    `owner/name@revision` picks a revision. Works offline once cached. Raises MineganError when it cannot be had.
    """
    from huggingface_hub import hf_hub_download, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    owner, _, rest = reference.removeprefix(SCHEME).partition("/")
    name, _, file = rest.partition("/")
    name, _, revision = name.partition("@")
    if not owner or not name:
        raise MineganError(f"{reference}: write hf-hub:owner/name or hf-hub:owner/name/file")
    repository = f"{owner}/{name}"
    try:
        if file:
            return Path(hf_hub_download(repository, file, revision=revision or None))
        return Path(snapshot_download(repository, revision=revision or None, allow_patterns=list(sha256) or None))
    except (HfHubHTTPError, OSError, ValueError) as error:  # the Hub's own errors are all one of these
        reason = str(error).partition("\n")[0]
        raise MineganError(
            f"{reference}: the Hub does not give it ({type(error).__name__}: {reason}). Check the name, the connection "
            f"and, where access is restricted, your log-in; or fetch it by hand from huggingface.co/{repository} and "
            "give its place instead: NAME=PATH on the command line, weights=PATH in Python"
        ) from error
