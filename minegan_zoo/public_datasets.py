"""Pictures from public datasets, by torchvision or the optional library datasets. Imports contracts and pictures."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from minegan_zoo.contracts import MineganError
from minegan_zoo.pictures import Album, Picture

if TYPE_CHECKING:
    from PIL.Image import Image


def _query(source: str, keys: Iterable[str]) -> tuple[str, dict[str, str]]:
    address, _, query = source.partition("?")
    given = dict(parse_qsl(query, keep_blank_values=True))
    if unknown := sorted(given.keys() - set(keys)):
        raise MineganError(f"{source}: unknown {', '.join(unknown)}; it may have {', '.join(keys)}")
    return address.partition(":")[2], given


def torchvision_album(source: str, labels: bool) -> Album:
    """`torchvision:CLASS?root=DIR&split=train&classes=5,7,9&download=1`."""
    import torchvision.datasets as datasets

    name, given = _query(source, ("root", "split", "classes", "download"))
    if name not in datasets.__all__:
        close = difflib.get_close_matches(name, datasets.__all__, n=1)
        hint = f"did you mean {close[0]}?" if close else f"it has {', '.join(datasets.__all__)}"
        raise MineganError(f"torchvision has no dataset {name}: {hint}")
    if "root" not in given:
        raise MineganError(f"{source}: say where the data lies, as in torchvision:{name}?root=DIR")
    build = vars(datasets)[name]
    split = given.get("split", "train")
    parameters = inspect.signature(build).parameters
    options: dict[str, Any] = {"root": Path(given["root"]).expanduser()}
    if "train" in parameters:
        if split not in ("train", "test"):
            raise MineganError(f"{source}: {name} has the splits train and test, not {split}")
        options["train"] = split == "train"
    elif "split" in parameters:
        options["split"] = split
    if "download" in parameters:
        options["download"] = given.get("download") == "1"
    try:
        dataset = build(**options)
    except (RuntimeError, OSError, ValueError) as error:
        hint = "it could not be fetched" if options.get("download") else "with a network, add download=1"
        raise MineganError(f"{source}: {' '.join(str(error).split())} ({hint})") from error
    kept = f"&classes={given['classes']}" if "classes" in given else ""

    def picture(i: int) -> Image:
        item: Image = dataset[i][0]
        return item

    def targets() -> list[Any]:
        return [dataset[i][1] for i in range(len(dataset))]

    return _dataset_album(
        f"torchvision:{name}?split={split}{kept}", len(dataset), picture, targets, [], given.get("classes"), labels
    )


def hf_album(source: str, labels: bool) -> Album:
    """`hf-dataset:OWNER/NAME?split=train&image=image&label=label`, also `config`, `revision` and `classes`."""
    name, given = _query(source, ("split", "image", "label", "config", "revision", "classes"))
    try:
        datasets = import_module("datasets")
    except ImportError as error:
        raise MineganError(f"{source} needs the library datasets: pip install datasets") from error
    split, image, label = given.get("split", "train"), given.get("image", "image"), given.get("label", "label")
    try:
        dataset = datasets.load_dataset(name, given.get("config"), split=split, revision=given.get("revision"))
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        raise MineganError(f"{source} cannot be loaded: {error}") from error
    wanted = [image] + ([label] if labels or "classes" in given else [])
    if missing := [column for column in wanted if column not in dataset.column_names]:
        raise MineganError(f"{source} has no column {', '.join(missing)}: it has {', '.join(dataset.column_names)}")
    feature = dataset.features.get(label)
    class_names = list(feature.names) if isinstance(feature, datasets.ClassLabel) else []
    kept = "".join(f"&{key}={given[key]}" for key in ("config", "revision", "classes") if key in given)

    def picture(i: int) -> Image:
        item: Image = dataset[i][image]
        return item

    def targets() -> list[Any]:
        return list(dataset[label])

    return _dataset_album(
        f"hf-dataset:{name}?split={split}{kept}",
        len(dataset),
        picture,
        targets,
        class_names,
        given.get("classes"),
        labels,
    )


def _dataset_album(
    origin: str,
    count: int,
    picture: Callable[[int], Image],
    targets: Callable[[], list[Any]],
    class_names: Sequence[str],
    classes: str | None,
    labels: bool,
) -> Album:
    """All items, or those of `classes` (numbers or names, comma-separated), which then are numbered anew."""
    if classes is None and not labels:
        return Album(origin, tuple(Picture(f"{i:06d}", partial(picture, i)) for i in range(count)))
    found = targets()
    if not all(isinstance(label, int) for label in found):
        raise MineganError(f"{origin}: its labels are no whole numbers, so it has no classes")
    names = list(class_names) or [str(i) for i in range(max(found, default=-1) + 1)]
    chosen = [part.strip() for part in classes.split(",")] if classes is not None else names
    if unknown := [part for part in chosen if part not in names and not (part.isdigit() and int(part) < len(names))]:
        raise MineganError(f"{origin}: no class {', '.join(unknown)}; the classes are {', '.join(names)}")
    numbers = {names.index(part) if part in names else int(part): i for i, part in enumerate(chosen)}
    pictures = tuple(
        Picture(f"{i:06d}", partial(picture, i), numbers[label] if labels else None)
        for i, label in enumerate(found)
        if label in numbers
    )
    return Album(origin, pictures, tuple(names[number] for number in numbers) if labels else ())
