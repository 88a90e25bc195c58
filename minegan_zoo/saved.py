"""The model folder: a `MinedGAN` as safetensors, JSON and a card. May import what minegan may, and minegan.

model.json         schema, versions, canonical image, sources, recipe, probabilities
parts.safetensors  miners, selector, and a critic that no source brought
sources/0/ ...     a source folder each, or a model folder for a source that was mined itself
README.md          the card
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from minegan_zoo import registry
from minegan_zoo.adoption import ProjectionCritic, adopt_critic, inner_critic
from minegan_zoo.atomic import written_aside
from minegan_zoo.contracts import Critic, GeneratorSource, ImageSpec, LoadedFrom, MineganError
from minegan_zoo.mined_source import MinedSource
from minegan_zoo.minegan import MinedGAN
from minegan_zoo.options import check_options
from minegan_zoo.recipe import Recipe
from minegan_zoo.run_folder import MODEL
from minegan_zoo.sources import DroppedSource, as_module, key_set, load_source, open_source, save_source
from minegan_zoo.weights import fetch, load_strict

SCHEMA = 1
FACTS = "model.json"
PARTS = "parts.safetensors"


def model_folder(reference: str) -> str:
    """The model folder that `reference` means where it is a run folder; else `reference` as it stands."""
    inside = Path(reference) / MODEL
    return str(inside) if is_model_folder(inside) else reference


def is_model_folder(path: Path) -> bool:
    """Whether `path` is a folder that `MinedGAN.save` wrote."""
    return (path / FACTS).is_file()


def save_model(model: MinedGAN, folder: Path) -> None:
    """Write a model folder in place of whatever model stood there."""
    if folder.exists() and not is_model_folder(folder) and (not folder.is_dir() or any(folder.iterdir())):
        raise MineganError(f"{folder} exists and is no model folder: name another place or remove it first")
    with written_aside(folder) as aside:
        write_model(model, aside)


def write_model(model: MinedGAN, folder: Path) -> None:
    """Write a model folder's files into `folder`, which exists."""
    recipe = _recipe_of(model)
    parts: dict[str, nn.Module] = {f"miners/{i}": module for i, module in enumerate(model.miner_modules)}
    parts["selector"] = model.selector_module
    if model.critic is not None and recipe.adopted is None:
        parts["critic"] = as_module(model.critic)
    if isinstance(model.critic, ProjectionCritic):  # the discriminator itself is saved with its source
        parts["projection"] = model.critic.projection
    sources = []
    for index, source in enumerate(model.sources):
        place = folder / "sources" / str(index)
        adopted = inner_critic(model.critic) if model.critic and recipe.adopted == index else None
        if isinstance(source, DroppedSource):
            pass
        elif isinstance(source, MinedSource):
            place.mkdir(parents=True)
            write_model(source.as_model(adopted), place)
        else:
            save_source(source, place, adopted)
        origin = source.loaded_from or LoadedFrom("mined", None, {})
        kind = {"mined": isinstance(source, MinedSource), "dropped": isinstance(source, DroppedSource)}
        sources.append({**dataclasses.asdict(origin), **kind, "image": dataclasses.asdict(source.image)})
    tensors = {f"{part}/{name}": t.contiguous() for part, m in parts.items() for name, t in m.state_dict().items()}
    tensors |= {f"trained_on/{form}": rows for form, rows in _packed(model.trained_on).items()}
    try:
        save_file(tensors, folder / PARTS)
    except SafetensorError as error:
        raise OSError(str(error)) from error
    facts = {
        "schema": SCHEMA,
        "minegan_zoo": metadata.version("minegan-zoo"),
        "image": dataclasses.asdict(model.image),
        "noise_dim": model.noise_dim,
        "class_names": model.class_names,
        "mined": bool(model.miner_modules),
        "has_critic": model.critic is not None,
        "sources": sources,
        "recipe": dataclasses.asdict(recipe),
        "probabilities": model.selector.probabilities().tolist(),
    }
    (folder / FACTS).write_text(json.dumps(facts, indent=2) + "\n", "utf-8")
    (folder / "README.md").write_text(_card(facts), "utf-8")


def load_model(reference: str) -> MinedGAN:
    """Read a model or run folder by its path, or a model as `hf-hub:owner/name`."""
    folder = fetch(model_folder(reference), {})
    if not is_model_folder(folder):
        raise MineganError(f"{reference} is no model folder: it holds no {FACTS}")
    facts = _read_facts(folder / FACTS)
    recipe = Recipe(**facts["recipe"])
    image = ImageSpec(**facts["image"])
    sources = [_open(folder / "sources" / str(i), origin) for i, origin in enumerate(facts["sources"])]
    num_classes = len(facts["class_names"])
    miners = [build_miner(recipe, source, facts["noise_dim"], num_classes) for source in sources if facts["mined"]]
    selector = registry.selectors.create(recipe.selector, len(sources), **recipe.selector_options)
    critic: Critic | None = None
    if facts["has_critic"]:
        if recipe.adopted is None:
            critic = registry.critics.create(recipe.critic, image, num_classes, **recipe.critic_options)
        else:
            critic = adopt_critic(sources[recipe.adopted], image, num_classes if facts["mined"] else 0)
    model = MinedGAN(sources, miners, selector, image, facts["noise_dim"], critic, facts["class_names"])
    model.recipe = recipe
    parts = _read_parts(folder / PARTS)
    remember(model, _unpacked(parts.pop("trained_on", {}), folder))
    for name, module in {f"miners/{i}": m for i, m in enumerate(model.miner_modules)}.items():
        load_strict(module, parts.pop(name, {}), f"{name} of {folder}")
    load_strict(model.selector_module, parts.pop("selector", {}), f"the selector of {folder}")
    if critic is not None and recipe.adopted is None:
        load_strict(as_module(critic), parts.pop("critic", {}), f"the critic of {folder}")
    if isinstance(critic, ProjectionCritic):
        load_strict(critic.projection, parts.pop("projection", {}), f"the critic's projection of {folder}")
    return model.eval()


def remember(model: MinedGAN, digests: frozenset[str]) -> None:
    """Keep that a model was trained on these images, and its sources too, each of which may be taken for itself."""
    model.trained_on = digests
    for source in model.sources:
        source.trained_on = digests


def build_miner(recipe: Recipe, source: GeneratorSource, noise_dim: int, num_classes: int = 0) -> Any:
    """A miner with fresh weights for the latent spaces that it asks of the source; conditioned where it can be."""
    if isinstance(source, DroppedSource):
        return nn.Identity()
    try:
        latents = {name: source.latents[name] for name in mined_spaces(recipe, source)}
    except MineganError as error:
        raise MineganError(f"{error}; miners that fit it: {', '.join(_fitting_miners(source))}") from error
    classes = {"num_classes": num_classes} if num_classes and takes_classes(recipe.miner) else {}
    return registry.miners.create(recipe.miner, latents, noise_dim, **{**recipe.miner_options, **classes})


def mined_spaces(recipe: Recipe, source: GeneratorSource) -> tuple[str, ...]:
    """Which of a source's latent spaces the recipe's miner makes. Raises MineganError where it lacks one."""
    entry = registry.miners.entry(recipe.miner)
    every_layer = tuple(source.per_layer_keys) if recipe.per_layer and entry.per_layer else ()
    return key_set(source, entry.spaces or every_layer)[1]


def _fitting_miners(source: GeneratorSource) -> Iterator[str]:
    """The miners whose latent spaces the source has."""
    for name in registry.miners.list():
        with suppress(MineganError):
            key_set(source, registry.miners.entry(name).spaces)
            yield name


def takes_classes(miner: str) -> bool:
    """Whether a miner can be conditioned on the target's classes: it then has the option `num_classes`."""
    return "num_classes" in [option.name for option in registry.miners.info(miner).options]


def _open(folder: Path, origin: Mapping[str, Any]) -> GeneratorSource:
    loaded_from = LoadedFrom(origin["name"], origin["weights"], origin["options"])
    if origin["dropped"]:
        return DroppedSource(ImageSpec(**origin["image"]), loaded_from)
    if origin["mined"]:
        source = MinedSource(load_model(str(folder)))
        source.loaded_from = loaded_from
        return source
    return open_source(folder, loaded_from)


def _packed(digests: frozenset[str]) -> dict[str, Tensor]:
    """Form of the images ("3x256") -> uint8 (N, 32), their sha256 in order."""
    found: dict[str, list[list[int]]] = {}
    for form, _, digest in (each.partition(":") for each in sorted(digests)):
        found.setdefault(form, []).append(list(bytes.fromhex(digest)))
    return {form: torch.tensor(rows, dtype=torch.uint8) for form, rows in found.items()}


def _unpacked(packed: Mapping[str, Tensor], folder: Path) -> frozenset[str]:
    if any(rows.dtype != torch.uint8 or rows.dim() != 2 for rows in packed.values()):
        raise MineganError(f"the digests of training images in {folder / PARTS} are damaged: fetch the model again")
    return frozenset(f"{form}:{bytes(row).hex()}" for form, rows in packed.items() for row in rows.tolist())


def _recipe_of(model: MinedGAN) -> Recipe:
    if model.recipe is None:
        raise MineganError(
            "this model was put together by hand: set model.recipe to the registry calls that rebuild it"
        )
    return model.recipe


def _read_facts(path: Path) -> dict[str, Any]:
    try:
        facts = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise MineganError(f"{path} cannot be read as a model's facts ({error})") from error
    if not isinstance(facts, dict) or facts.get("schema") != SCHEMA:
        found = facts.get("schema") if isinstance(facts, dict) else None
        raise MineganError(
            f"{path} has schema {found}; this version of minegan_zoo reads {SCHEMA}: upgrade minegan_zoo"
        )
    return facts


def _read_parts(path: Path) -> dict[str, dict[str, Tensor]]:
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise MineganError(f"{path} cannot be read as safetensors ({error}): fetch the model again") from error
    parts: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        part, _, key = name.rpartition("/")
        parts.setdefault(part, {})[key] = tensor
    return parts


def _card(facts: Mapping[str, Any]) -> str:
    rows = "\n".join(
        f"| {origin['name']} | {origin['weights'] or 'as published'} | {probability:.2f} | {_licence(origin['name'])} |"
        for origin, probability in zip(facts["sources"], facts["probabilities"], strict=True)
    )
    recipe = facts["recipe"]
    classes = f"Conditioned on the classes {', '.join(facts['class_names'])}.\n\n" if facts["class_names"] else ""
    return f"""---
library_name: minegan_zoo
tags: [gan, minegan, image-generation]
---

# A generator mined with minegan_zoo

{facts["image"]["resolution"]}x{facts["image"]["resolution"]}, {facts["image"]["channels"]} channels; strategy
`{recipe["strategy"]}`, miner `{recipe["miner"]}`, selector `{recipe["selector"]}`, critic `{recipe["critic"]}`.

{classes}| source | weights | probability | licence |
|---|---|---|---|
{rows}

    import minegan_zoo as mz
    images = mz.MinedGAN.load("this folder").sample(16, seed=0)  # (16, C, H, W) in [-1, 1]
"""


def _licence(name: str) -> str:
    known = name in registry.generators.list()
    card = registry.generators.info(name).card if known else None
    return card.licence if card and card.licence else "not stated"


def open_any(reference: str, weights: str | None = None, **options: Any) -> list[GeneratorSource]:
    """The sources that a name stands for: one, or all of a mined folder's, each with its miner."""
    folder = model_folder(reference)
    if weights is None and is_model_folder(Path(folder)):
        return _open_mined(folder, **check_options(_open_mined, options, f"the mined folder {folder}"))
    return [load_source(reference, weights, **options)]


def _open_mined(folder: str, *, source: int | None = None) -> list[GeneratorSource]:
    model = load_model(folder)
    if source is not None and not 0 <= source < len(model.sources):
        raise MineganError(f"{folder} has the sources 0 to {len(model.sources) - 1}, not {source}")
    kept = [index for index, each in enumerate(model.sources) if not isinstance(each, DroppedSource)]
    if source is not None and source not in kept:
        raise MineganError(f"source {source} of {folder} was dropped while it was mined; it has {kept}")
    indices = kept if source is None else [source]
    if not model.miner_modules:
        return [model.sources[index] for index in indices]
    mined: list[GeneratorSource] = []
    for index in indices:
        mined.append(MinedSource(model, index))
        mined[-1].loaded_from = LoadedFrom(folder, None, {"source": index})
    return mined
