"""The sources of `zoo-32`: recipes as data, each trained by `pretrain` once and kept under its recipe's hash.

Those of the project's own results come with it, for another processor makes slightly different ones by the same recipe.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock

from minegan_zoo.atomic import written_aside
from minegan_zoo.config import SourceChoice
from minegan_zoo.contracts import MineganError
from minegan_zoo.run_folder import CONFIG, MODEL

PRETRAINED = Path(__file__).parent / "pretrained"
"""Laid out as a cache: the project's own."""


@dataclass(frozen=True)
class Recipe:
    """All that `pretrain` is told to make a source."""

    family: str
    dataset: str
    """torchvision's name of it; the training split is used."""
    classes: tuple[int, ...]
    steps: int
    architecture: Mapping[str, Any]
    objective: str = "logistic"
    labels: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    batch: int = 32
    seed: int = 0

    def digest(self) -> str:
        """Of everything above."""
        return hashlib.sha256(json.dumps(dataclasses.asdict(self), sort_keys=True).encode()).hexdigest()[:16]

    def images(self, data_root: Path) -> str:
        """What it is trained on, as `load_images` reads it."""
        return images_of(self.dataset, "train", self.classes, data_root)


def images_of(dataset: str, split: str, classes: tuple[int, ...], data_root: Path) -> str:
    """`torchvision:...`; fetched by torchvision unless it is there."""
    chosen = ",".join(map(str, classes))
    return f"torchvision:{dataset}?root={data_root}&split={split}&classes={chosen}&download=1"


def check_data(dataset: str, data_root: Path) -> None:
    """Fetch a data set that is not there; MineganError where it cannot be."""
    from torchvision import datasets

    if any((data_root / dataset / "raw").glob("*")):
        return
    try:
        vars(datasets)[dataset](data_root, download=True)
    except (RuntimeError, OSError) as error:
        raise MineganError(
            f"there is no {dataset} under {data_root}, and it could not be fetched: --data-root (make's DATA) is the "
            f"folder that holds {dataset}/raw ({' '.join(str(error).split())})"
        ) from error


SMALL = {"resolution": 32, "channels": 1, "z_dim": 64, "channel_base": 256, "channel_max": 64}
STYLE = {**SMALL, "w_dim": 64, "mapping_layers": 4}
BIG = {"resolution": 32, "channels": 1, "dim_z": 64, "shared_dim": 32, "ch": 6, "critic_ch": 6}
RATES = {"source_lr": 4e-3, "critic_lr": 2e-3, "training.ema_rampup": 0.15}
"""And averages: `pretrain`'s defaults, written out, for a source is kept under the hash of what stands here."""
WITH_R1 = {**RATES, "gamma": 1.0}


def _progan(dataset: str, classes: tuple[int, ...]) -> Recipe:
    return Recipe("progan", dataset, classes, 7200, SMALL, options=WITH_R1)


def _stylegan2(dataset: str, classes: tuple[int, ...]) -> Recipe:
    # at the others' rate this critic ends unable to tell its generator's images from real ones, and recall stays low
    return Recipe("stylegan2", dataset, classes, 6000, STYLE, options={**WITH_R1, "critic_lr": 8e-3})


def _biggan(dataset: str, classes: tuple[int, ...]) -> Recipe:
    architecture = {**BIG, "num_classes": len(classes)}
    return Recipe("biggan", dataset, classes, 4200, architecture, objective="hinge", labels=True, options=RATES)


NINE = tuple(range(9))

RECIPES: Mapping[str, Recipe] = {
    # one source of nine classes; the tenth is the off-manifold target
    "digits-0-8": _progan("MNIST", NINE),
    "fashion-0-8": _biggan("FashionMNIST", NINE),
    # three families, each on other garments; nobody sees ankle boots
    "tops": _progan("FashionMNIST", (0, 2, 4, 6)),
    "shoes": _stylegan2("FashionMNIST", (5, 7)),
    "others": _biggan("FashionMNIST", (1, 3, 8)),
    # the same with digits; nobody sees the 9
    "round-digits": _progan("MNIST", (0, 6, 8)),
    "angular-digits": _stylegan2("MNIST", (1, 4, 7)),
    "open-digits": _biggan("MNIST", (2, 3, 5)),
}


def run_folder(name: str, recipe: Recipe, cache: Path) -> Path:
    """Where this source is trained and kept."""
    return cache / f"{name}-{recipe.digest()}"


def is_made(name: str, recipe: Recipe, cache: Path) -> bool:
    """Whether it is there, whole."""
    from minegan_zoo.weights import is_source_folder

    return is_source_folder(run_folder(name, recipe, cache) / MODEL)


def take(name: str, recipe: Recipe, cache: Path) -> bool:
    """Copy the project's own into `cache`; False where it has none, or the cache one that is half trained.

    Raises MineganError where the cache cannot be written.
    """
    if not is_made(name, recipe, PRETRAINED):
        return False
    place = run_folder(name, recipe, cache)
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with FileLock(cache / f".{place.name}.lock"):
            if is_made(name, recipe, cache):  # another process may have taken it meanwhile
                return True
            if (place / CONFIG).exists():
                return False
            with written_aside(place / MODEL) as aside:
                shutil.copytree(run_folder(name, recipe, PRETRAINED) / MODEL, aside, dirs_exist_ok=True)
    except OSError as error:
        raise MineganError(f"cannot write {cache}: {error.strerror or error}; --cache names another folder") from error
    return True


def is_taken(name: str, recipe: Recipe, cache: Path) -> bool:
    """Whether what the cache has was copied, not trained there."""
    return is_made(name, recipe, cache) and not (run_folder(name, recipe, cache) / CONFIG).exists()


def choice(name: str, recipe: Recipe, cache: Path) -> SourceChoice:
    """How a run names it."""
    return SourceChoice(recipe.family, str(run_folder(name, recipe, cache) / MODEL))


def make(name: str, recipe: Recipe, cache: Path, data_root: Path) -> Path:
    """Train it unless it is there, or go on where that was left; gives its model folder."""
    import minegan_zoo as mz

    out = run_folder(name, recipe, cache)
    if not is_made(name, recipe, cache):
        mz.pretrain(
            recipe.family,
            recipe.images(data_root),
            objective=recipe.objective,
            labels=recipe.labels,
            steps=recipe.steps,
            batch=recipe.batch,
            seed=recipe.seed,
            device="cpu",
            out=out,
            options={"training.watch_every": 0, "training.fid_samples": 0, **recipe.options},
            architecture=recipe.architecture,
        )
    return out / MODEL
