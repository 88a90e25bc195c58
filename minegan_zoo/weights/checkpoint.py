"""Any checkpoint file as an inert tree; no code from the file ever runs. May import contracts only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from minegan_zoo.contracts import MineganError
from minegan_zoo.weights.folder import read_safetensors
from minegan_zoo.weights.mapping import MappedFile
from minegan_zoo.weights.torchfile import TorchFile
from minegan_zoo.weights.tree import Tree

STRANGERS = {
    b"<": "looks like a web page: the address asks for a log-in or a confirmation, so fetch the file by hand",
    b"\x1f\x8b": "is compressed (gzip): unpack it first",
    b"BZh": "is compressed (bzip2): unpack it first",
    b"\xfd7zXZ": "is compressed (xz): unpack it first",
    b"7z\xbc\xaf": "is a 7z archive: unpack it first",
    b"Rar!": "is a RAR archive: unpack it first",
    b"\x89HDF": "is an HDF5 file (Keras, TensorFlow Hub): it is not supported",
    b"version https://git-lfs": "is a Git LFS pointer: fetch the real file with `git lfs pull`",
}


def read_checkpoint(path: Path) -> Any:
    """The tree that `path` holds: safetensors, `torch.save` files (zip or legacy), and pickles such as NVIDIA's.

    Dicts, lists, tuples, sets, scalars, text, bytes and None are themselves; dict subclasses become dicts; torch
    tensors and parameters become plain CPU tensors without gradient that share memory where the file's do, numpy
    arrays tensors, numpy scalars Python ones; every other class becomes a `Record`. Tensors lie in the mapped file
    where they can, so that what is not used is not read; writing to them leaves the file alone.

    Raises MineganError naming the file when it is damaged, of no known format, or asks to run code.
    """
    if path.is_dir():
        raise MineganError(f"{path} is a folder: name the checkpoint file in it")
    if path.exists() and not path.is_file():
        raise MineganError(f"{path} is a device or a pipe, not a file")
    try:
        if _is_safetensors(path):
            return read_safetensors(path)
        with MappedFile(path) as file:
            return Tree(file).grow(_read(file))
    except OSError as error:
        raise MineganError(f"{path} cannot be opened: {error.strerror or error}") from error
    except MineganError as error:
        if str(error).startswith(str(path)):
            raise
        raise MineganError(f"{path} {error}") from error


def _is_safetensors(path: Path) -> bool:
    with path.open("rb") as file:
        start = file.read(9)
    return path.suffix == ".safetensors" or (start[5:9] == b"\0\0\0{")


def _read(file: MappedFile) -> Any:
    start = bytes(file.bytes[:512])
    if start.startswith(b"PK\x03\x04"):
        return TorchFile(file.budget).read_zip(file.bytes)
    if start.startswith(b"\x80"):
        return TorchFile(file.budget).read_pickle(file.bytes)
    for beginning, what in STRANGERS.items():
        if start.lstrip().startswith(beginning):
            raise MineganError(what)
    if start[257:262] == b"ustar":
        raise MineganError("is a tar archive: unpack it first, or load and save it with torch before 2.0")
    raise MineganError("is of no known format: safetensors, torch (zip or legacy) and binary pickles can be read")
