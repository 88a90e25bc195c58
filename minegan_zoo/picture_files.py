"""Pictures from files: folders, lists, archives, tensor files. Imports contracts and pictures."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from minegan_zoo.contracts import MineganError
from minegan_zoo.pictures import Album, Picture, SkippedFile, tensor_album
from minegan_zoo.run_folder import CONFIG, METRICS

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = frozenset(".png .jpg .jpeg .webp .bmp .tif .tiff .gif .ppm .pgm .avif .heic .heif".split())
"""What counts as an image by its name. Those that this Pillow cannot read are then named as skipped."""
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
MAX_FILE_BYTES = 2**28
MAX_TAR_BYTES = 2**35
"""A compressed tar is unpacked into one temporary file of at most this size."""


def _from_bytes(read: Callable[[], bytes]) -> Image:
    from PIL import Image, UnidentifiedImageError

    content = read()
    if len(content) > MAX_FILE_BYTES:
        raise ValueError(f"larger than {MAX_FILE_BYTES >> 20} MiB")
    try:
        return Image.open(BytesIO(content))
    except UnidentifiedImageError as error:
        raise ValueError("no image, or in a format that this Pillow cannot read") from error


def _from_file(path: Path) -> Image:
    def read() -> bytes:
        with path.open("rb") as stream:
            return stream.read(MAX_FILE_BYTES + 1)

    return _from_bytes(read)


def list_album(items: Sequence[Any], labels: bool) -> Album:
    from PIL import Image

    if labels:
        raise MineganError("a list of images has no labels: leave labels out, or give one folder per class")
    pictures = []
    for i, item in enumerate(items):
        if isinstance(item, Image.Image):
            pictures.append(Picture(f"{i:06d}", item.copy))
        elif isinstance(item, str | Path):
            pictures.append(Picture(str(item), partial(_from_file, Path(item))))
        else:
            raise MineganError(f"images[{i}] is a {type(item).__name__}: give PIL images, paths, or one tensor")
    return Album("list", tuple(pictures))


def path_album(path: Path, labels: bool | None, stack: ExitStack) -> Album:
    """Of a folder, archive or .safetensors file; `labels` None: those of at least two class folders, if there are."""
    if not path.exists():
        raise MineganError(f"{path} does not exist: give a folder of images, an archive, or torchvision:NAME?root=DIR")
    if (path / CONFIG).is_file() and (path / METRICS).is_file():
        raise MineganError(f"{path} is a run's folder, whose pictures are grids of samples: name a folder of images")
    if path.is_dir():
        folders, files = _walk(path)
        openers = {name: partial(_from_file, path / name) for name in files}
        return _from_names(path, path.resolve().name, openers, (), labels, folders)
    if path.suffix == ".safetensors":
        return _safetensors(path, bool(labels))
    if path.name.lower().endswith(ARCHIVES):
        return _archive(path, labels, stack)
    raise MineganError(f"{path} is not a folder, a .safetensors file or one of {', '.join(ARCHIVES)}")


def _walk(top: Path) -> tuple[list[str], list[str]]:
    """Folders and files below `top`, hidden folders left out."""
    all_folders, all_files = [], []
    for here, folders, files in os.walk(top):
        folders[:] = [name for name in folders if not name.startswith(".")]
        place = Path(here).relative_to(top)
        all_folders += [(place / name).as_posix() for name in folders]
        all_files += [(place / name).as_posix() for name in files]
    return all_folders, all_files


def _from_names(
    place: Path,
    origin: str,
    openers: Mapping[str, Callable[[], Image]],
    skipped: tuple[SkippedFile, ...],
    labels: bool | None,
    folders: Sequence[str] = (),
) -> Album:
    """Sort, drop what is hidden or no image by its name; with labels, one class per sub-folder."""
    names = sorted(name for name in openers if _is_image(name))
    if not names and not skipped:
        kinds = sorted({PurePosixPath(name).suffix or name for name in openers})[:5]
        found = f"it holds {', '.join(kinds)}" if kinds else "it is empty"
        raise MineganError(f"no images in {place}: {found}; give {' '.join(sorted(SUFFIXES))}")
    plain = Album(origin, tuple(Picture(name, openers[name]) for name in names), (), skipped)
    if labels is False:
        return plain
    parts = {name: PurePosixPath(name).parts for name in names}
    depth = 0  # below folders that hold everything, as an archive of one folder has
    while all(len(part) > depth + 2 for part in parts.values()) and len({part[depth] for part in parts.values()}) == 1:
        depth += 1
    classes = sorted({part[depth] for part in parts.values() if len(part) > depth + 1})
    if labels is None and (len(classes) < 2 or any(len(part) == depth + 1 for part in parts.values())):
        return plain
    if not classes:
        raise MineganError(f"{place} has no labels: put the images of each class into a folder of its own")
    full = {str(parent) for name in names for parent in PurePosixPath(name).parents}
    empty = sorted(folder for folder in folders if folder.count("/") <= depth and folder not in full)
    if labels and empty:
        raise MineganError(
            f"no images in {', '.join(str(place / folder) for folder in empty)}: with labels every folder is a class; "
            "add images or remove it"
        )
    index = {name: i for i, name in enumerate(classes)}
    loose = tuple(SkippedFile(name, "lies in no class folder") for name in names if len(parts[name]) == depth + 1)
    pictures = [Picture(n, openers[n], index[parts[n][depth]]) for n in names if len(parts[n]) > depth + 1]
    return Album(origin, tuple(pictures), tuple(classes), skipped + loose)


def _is_image(name: str) -> bool:
    path = PurePosixPath(name)
    return path.suffix.lower() in SUFFIXES and not any(part[0] == "." or part == "__MACOSX" for part in path.parts)


def _safetensors(path: Path, labels: bool) -> Album:
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors = load_file(path)
    except SafetensorError as error:
        raise MineganError(f"{path} cannot be read as safetensors: {error}") from error
    if "images" not in tensors or tensors["images"].dtype != torch.uint8:
        raise MineganError(
            f'{path} needs a uint8 tensor "images" (n, C, H, W); it has {", ".join(tensors) or "nothing"}'
        )
    targets = tensors.get("labels")
    names = [] if targets is None or not len(targets) else [str(i) for i in range(int(targets.max()) + 1)]
    return tensor_album(tensors["images"], targets, names, path.name, labels)


def _archive(path: Path, labels: bool | None, stack: ExitStack) -> Album:
    """Members are read in memory and never written out, so no member's path can lead anywhere."""
    import tarfile
    import zipfile

    try:
        members = _zip_members(path, stack) if path.suffix.lower() == ".zip" else _tar_members(path, stack)
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, OSError) as error:
        raise MineganError(f"{path} cannot be read: {error}; pack it again, or give the folder itself") from error
    openers: dict[str, Callable[[], Image]] = {}
    skipped = []
    for name, read in members:
        if name.startswith("/") or ".." in PurePosixPath(name).parts:
            skipped.append(SkippedFile(name, "its path leads out of the archive"))
        else:
            openers[name] = partial(_from_bytes, read)
    return _from_names(path, path.name, openers, tuple(skipped), labels)


def _zip_members(path: Path, stack: ExitStack) -> list[tuple[str, Callable[[], bytes]]]:
    import zipfile

    archive = stack.enter_context(zipfile.ZipFile(path))

    def read(member: zipfile.ZipInfo) -> bytes:
        with archive.open(member) as stream:
            return stream.read(MAX_FILE_BYTES + 1)

    return [(member.filename, partial(read, member)) for member in archive.infolist() if not member.is_dir()]


def _tar_members(path: Path, stack: ExitStack) -> list[tuple[str, Callable[[], bytes]]]:
    """Members of a tar, which is first unpacked aside where it is compressed: those cannot be read out of order."""
    import tarfile
    from tempfile import TemporaryFile
    from threading import Lock

    archive = stack.enter_context(tarfile.open(path))
    if path.suffix.lower() != ".tar":
        plain = stack.enter_context(TemporaryFile())
        stream, size = archive.fileobj, 0
        assert stream is not None
        stream.seek(0)
        while block := stream.read(2**20):
            size += plain.write(block)
            if size > MAX_TAR_BYTES:
                raise MineganError(f"{path} unpacks to more than {MAX_TAR_BYTES >> 30} GiB: give the folder itself")
        plain.seek(0)
        archive = stack.enter_context(tarfile.open(fileobj=plain))
    lock = Lock()

    def read(member: tarfile.TarInfo) -> bytes:
        with lock:
            stream = archive.extractfile(member)
            assert stream is not None
            return stream.read(MAX_FILE_BYTES + 1)

    return [(member.name, partial(read, member)) for member in archive.getmembers() if member.isfile()]
