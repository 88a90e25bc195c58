"""Images of any kind and size brought to one form: a checked set of square uint8 pixels.

Imports contracts, pixels and the three files that list pictures; torch and PIL inside functions.
"""

from __future__ import annotations

import hashlib
import struct
import time
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minegan_zoo.contracts import ImageSpec, MineganError
from minegan_zoo.picture_files import list_album, path_album
from minegan_zoo.pictures import Album, Picture, SkippedFile, tensor_album
from minegan_zoo.pixels import canonical
from minegan_zoo.public_datasets import hf_album, torchvision_album

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image
    from torch import Tensor

RESIZE = "pillow-lanczos, centre crop"
"""How a set's pixels were brought to size; part of every metric's record."""

LEAST_TO_SPLIT = 20
"""With fewer images every one is needed for training."""
LEAST_HELD_OUT = 5
"""With fewer a kernel distance says nothing."""

UNREADABLE = (
    OSError, SyntaxError, ValueError, TypeError, EOFError, LookupError, ArithmeticError, AttributeError, RuntimeError,
    MemoryError, struct.error, zlib.error, zipfile.BadZipFile, Warning,
)  # fmt: skip
"""What decoders raise on broken files; warnings, made errors while decoding, are decompression bombs."""


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Prepared images, in the order of their source."""

    images: Tensor
    """uint8 (n, C, R, R)."""
    labels: Tensor | None
    """int64 (n,), indices into `class_names`."""
    class_names: tuple[str, ...]
    names: tuple[str, ...]
    skipped: tuple[SkippedFile, ...]
    digest: str
    """sha256 over the prepared pixels, in order."""
    origin: str
    """Where the images come from, without the folders that lead there."""
    resize: str = RESIZE

    def __len__(self) -> int:
        return len(self.names)

    @property
    def image(self) -> ImageSpec:
        return ImageSpec(self.images.shape[1], self.images.shape[3])

    @property
    def form(self) -> str:
        """ "CxR", with which every digest of an image begins."""
        return f"{self.image.channels}x{self.image.resolution}"

    def digests(self) -> list[str]:
        """`CxR:sha256` of each image, in order."""
        return [f"{self.form}:{hashlib.sha256(row.numpy().tobytes()).hexdigest()}" for row in self.images]

    def image_digests(self) -> frozenset[str]:
        """The same, each once: proves that two sets prepared to the same form share no image."""
        return frozenset(self.digests())

    def subset(self, rows: Sequence[int]) -> ImageSet:
        """Some of the images, in the order of `rows`."""
        pixels = self.images[list(rows)]
        return replace(
            self,
            images=pixels,
            labels=None if self.labels is None else self.labels[list(rows)],
            names=tuple(self.names[row] for row in rows),
            digest=hashlib.sha256(pixels.numpy().tobytes()).hexdigest(),
        )


def count_held_out(count: int, share: float) -> int:
    """Of so many images how many are not trained on: `share` of them, 5 to 500; none of fewer than 20."""
    return 0 if share == 0 or count < LEAST_TO_SPLIT else min(500, max(LEAST_HELD_OUT, round(share * count)))


def hold_out(images: ImageSet, share: float, seed: int) -> tuple[ImageSet, ImageSet | None]:
    """Split into what is trained on and what is not, by `seed`: `count_held_out` of them.

    An image that occurs twice stays on one side.
    """
    import torch

    count = count_held_out(len(images), share)
    if not count:
        return images, None
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed)).tolist()
    digests = images.digests()
    chosen = {digests[i] for i in order[:count]}
    kept = [i for i, digest in enumerate(digests) if digest not in chosen]
    first = {digest: i for i, digest in enumerate(digests) if digest in chosen}
    if not kept:
        return images, None
    return images.subset(kept), images.subset(sorted(first.values()))


def load_images(
    source: str | Path | Sequence[Image.Image | str | Path] | Tensor | ImageSet,
    image: ImageSpec,
    *,
    limit: int | None = None,
    seed: int = 0,
    labels: bool | None = False,
) -> ImageSet:
    """Read, centre-crop and resize images to `image`.

    `source` is a folder (nested), a .zip or .tar archive, a .safetensors file with uint8 "images" (n, C, H, W) and
    perhaps "labels", `torchvision:CLASS?root=DIR&split=train&classes=5,7,9`, `hf-dataset:OWNER/NAME?split=train`, a
    tensor (n, C, H, W), uint8 or float in [-1, 1], or a list of PIL images or paths. With `labels`, each class of a
    folder is a sub-folder; None takes labels where a folder or archive has at least two such classes and nothing
    else. At most `limit` images are kept; which, depends on `seed` and their names alone, and fewer
    are a subset of more. Raises MineganError when no image can be read; single unreadable ones are in `skipped`.
    """
    import numpy as np
    import torch

    if limit is not None and limit < 1:
        raise MineganError(f"limit must be at least 1, not {limit}")
    with ExitStack() as stack:
        album = _album(source, labels, stack)
        count = len(album.pictures)
        queue = list(range(count)) if limit is None else _ranked(album.pictures, seed)
        pixels = np.empty((min(count, limit or count), image.channels, image.resolution, image.resolution), np.uint8)
        kept: list[int] = []
        skipped = list(album.skipped)
        with _progress(album.origin, len(pixels)) as advance, ThreadPoolExecutor(8) as pool:
            while queue and len(kept) < len(pixels):  # again where unreadable images left room
                batch, queue = queue[: len(pixels) - len(kept)], queue[len(pixels) - len(kept) :]
                for i, outcome in zip(
                    batch, pool.map(lambda i: _prepare(album.pictures[i], image), batch), strict=True
                ):
                    if isinstance(outcome, SkippedFile):
                        skipped.append(outcome)
                    else:
                        pixels[len(kept)] = outcome
                        kept.append(i)
                        advance()
    given = source if isinstance(source, str | Path) else album.origin
    if not kept:
        reasons = "; ".join(f"{file.name}: {file.reason}" for file in skipped[:3])
        raise MineganError(f"no readable image in {given}: {len(skipped)} skipped ({reasons or 'it is empty'})")
    lost = {picture.label for picture in album.pictures} - {album.pictures[i].label for i in kept}
    if lost and limit is None:
        named = ", ".join(album.class_names[label] for label in sorted(label for label in lost if label is not None))
        raise MineganError(f"no image of the class {named} in {given} can be read: mend its images or remove them")
    order = np.argsort(kept)
    chosen = [album.pictures[kept[i]] for i in order]
    pixels = pixels[order]
    return ImageSet(
        images=torch.from_numpy(pixels),
        labels=torch.tensor([picture.label for picture in chosen]) if chosen[0].label is not None else None,
        class_names=album.class_names,
        names=tuple(picture.name for picture in chosen),
        skipped=tuple(sorted(skipped, key=lambda file: file.name)),
        digest=hashlib.sha256(pixels.tobytes()).hexdigest(),
        origin=album.origin,
    )


def _album(source: Any, wanted: bool | None, stack: ExitStack) -> Album:
    from torch import Tensor

    labels = bool(wanted)
    if isinstance(source, ImageSet):
        own = source.labels is not None if wanted is None else labels
        return tensor_album(source.images, source.labels, source.class_names, source.origin, own, source.names)
    if isinstance(source, Tensor):
        return tensor_album(canonical(source), None, (), "tensor", labels)
    if isinstance(source, str) and source.startswith("torchvision:"):
        return torchvision_album(source, labels)
    if isinstance(source, str) and source.startswith("hf-dataset:"):
        return hf_album(source, labels)
    if isinstance(source, str | Path):
        return path_album(Path(source).expanduser(), wanted, stack)
    return list_album(source, labels)


def _ranked(pictures: Sequence[Picture], seed: int) -> list[int]:
    """A shuffle by hashed name: the same on every machine, and hardly changed by one image more or less."""
    return sorted(range(len(pictures)), key=lambda i: hashlib.sha256(f"{seed}/{pictures[i].name}".encode()).digest())


@contextmanager
def _progress(origin: str, total: int) -> Iterator[Any]:
    """A bar on a terminal, once reading has taken two seconds. Yields what to call after each image."""
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    console, begun = Console(stderr=True), time.monotonic()
    progress = Progress(
        *Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn(), console=console
    )
    task = progress.add_task(f"reading {origin}", total=total)

    def advance() -> None:
        progress.advance(task)
        if console.is_terminal and not progress.live.is_started and time.monotonic() - begun > 2:
            progress.start()

    # process-wide, so set once around the pool: a decompression bomb is only warned about otherwise
    with warnings.catch_warnings():
        from PIL.Image import DecompressionBombWarning

        warnings.filterwarnings("ignore", module="PIL")  # what is wrong with a file is told once, as skipped
        warnings.simplefilter("error", DecompressionBombWarning)
        try:
            yield advance
        finally:
            if progress.live.is_started:  # stopping prints a line
                progress.stop()


# One picture


def _prepare(picture: Picture, image: ImageSpec) -> np.ndarray | SkippedFile:
    """(C, R, R) uint8, or why not."""
    from PIL.Image import DecompressionBombError

    try:
        decoded = _decode(picture, image.resolution)
    except (*UNREADABLE, DecompressionBombError) as error:
        return SkippedFile(picture.name, str(error) or type(error).__name__)
    return _square(_plain(decoded, "L" if image.channels == 1 else "RGB"), image.resolution)


def _decode(picture: Picture, resolution: int) -> Image.Image:
    """Upright pixels in memory. JPEG decodes at a fraction of its size where that leaves three times the resolution."""
    from PIL import ImageOps

    opened = picture.open()
    opened.draft(None, (3 * resolution, 3 * resolution))
    opened.load()
    if opened.mode == "F":
        raise ValueError("floating-point pixels have no agreed range")
    return ImageOps.exif_transpose(opened)


def _plain(decoded: Image.Image, mode: str) -> Image.Image:
    """To 8-bit grey or RGB. Transparency goes on white, the paper that cut-outs and drawings are made for."""
    import numpy as np
    from PIL import Image

    if decoded.mode.startswith("I"):  # 16 bit, whose conversion by Pillow would clip
        deep = np.asarray(decoded).astype(np.float32)
        decoded = Image.fromarray(np.rint(deep.clip(0, 65535) / 257).astype(np.uint8))
    if decoded.has_transparency_data:
        layer = decoded.convert("RGBA")
        decoded = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    return decoded.convert(mode)


def _square(plain: Image.Image, resolution: int) -> np.ndarray:
    """The central square, antialiased to (C, resolution, resolution)."""
    import numpy as np
    from einops import rearrange
    from PIL import Image

    side = min(plain.size)
    left, top = (plain.width - side) // 2, (plain.height - side) // 2
    square = plain.crop((left, top, left + side, top + side))  # resize's own box lets in what lies outside
    small = square.resize((resolution, resolution), Image.Resampling.LANCZOS, reducing_gap=3.0)
    return rearrange(np.atleast_3d(np.asarray(small)), "h w c -> c h w")
