"""Rules of a plugin's entry module and of its entries. May import contracts and weights."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch

from minegan_zoo.conformance.specimen import RuleBroken, build, close, module, pictures, same_images
from minegan_zoo.contracts import GeneratorEntry
from minegan_zoo.weights import SavedSource, write_source

ALLOWED_IMPORTS = (["contracts"], ["weights"])
TINY = 1_000_000


def check_import_is_light(entry_module: str) -> None:
    """Importing the entry module leaves torch unloaded."""
    # a fresh interpreter, because this one has torch already
    code = f"import importlib, sys; importlib.import_module({entry_module!r}); print('torch' in sys.modules)"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    if run.returncode:
        raise RuleBroken(f"importing {entry_module} alone fails: {run.stderr.strip()}", "make it importable by itself")
    if run.stdout.split()[-1] == "True":
        raise RuleBroken(f"importing {entry_module} loads torch", "import torch and what needs it inside the builders")


def check_imports(entry_module: str) -> None:
    """A plugin imports minegan_zoo.contracts and minegan_zoo.weights, and nothing else of the core."""
    spec = importlib.util.find_spec(entry_module.split(".")[0])
    if spec is None:
        raise RuleBroken(f"there is no module {entry_module}", "correct the entry point")
    folders = [Path(folder) for folder in spec.submodule_search_locations or ()]
    for file in [file for folder in folders for file in sorted(folder.rglob("*.py"))] or [Path(spec.origin or "")]:
        for line, name in _imports(ast.parse(file.read_text(encoding="utf-8"))):
            parts = name.split(".")
            if parts[0] == "minegan_zoo" and parts[1:2] not in ALLOWED_IMPORTS:
                raise RuleBroken(
                    f"{file.name}, line {line}, imports {name}",
                    "import only minegan_zoo.contracts and minegan_zoo.weights, and ask for what they lack",
                )


def _imports(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of everything that is imported from elsewhere, wherever in the file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def check_metadata(entry: GeneratorEntry) -> None:
    """The entry's image and latents, where given, are those of the source that it builds."""
    source = build(entry)
    if entry.image not in (None, source.image):
        raise RuleBroken(f"it declares {entry.image} images and builds {source.image}", "correct the entry's image")
    if entry.latents is not None and dict(entry.latents) != dict(source.latents):
        observed = f"it declares the latents {dict(entry.latents)} and builds {dict(source.latents)}"
        raise RuleBroken(observed, "correct the entry's latents")


def check_tiny(entry: GeneratorEntry) -> None:
    """A `*.tiny` entry has fewer than a million parameters, so that tests stay quick."""
    size = sum(parameter.numel() for parameter in module(build(entry)).parameters())
    if entry.name.endswith(".tiny") and size >= TINY:
        raise RuleBroken(f"it has {size:,} parameters", "give it fewer channels or a lower resolution")


def check_state_dict(entry: GeneratorEntry) -> None:
    """The state_dict carries everything: loaded into a second build, it gives the same images."""
    first, second = build(entry, seed=1), build(entry, seed=2)
    module(second).load_state_dict(module(first).state_dict())
    same_images(first, second, "keep every tensor that images depend on as a parameter or a persistent buffer")


def check_source_folder(entry: GeneratorEntry, family: GeneratorEntry) -> None:
    """A source with a config() is rebuilt by its family from a source folder: same images, same scores."""
    source = build(entry)
    config, critic = source.config(), source.own_critic()
    if config is None:
        return
    try:
        json.dumps(dict(config), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise RuleBroken(f"config() is no JSON: {error}", "use strings, numbers, booleans, lists and dicts") from None
    scores = None if critic is None else module(critic).state_dict()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "source"
        write_source(folder, SavedSource(family.name, dict(config), {}, module(source).state_dict(), scores))
        rebuilt = family.build(folder)
    module(rebuilt).eval()

    fix = f"let config() hold all that the builder of {family.name} needs, and load generator and discriminator"
    before, after = (
        (each.image, dict(each.latents), each.inputs, each.per_layer_keys, each.num_classes)
        for each in (source, rebuilt)
    )
    if before != after:
        raise RuleBroken(
            f"(image, latents, inputs, keys of every layer, classes) was {before} and comes back as {after}", fix
        )
    same_images(source, rebuilt, fix)
    again = rebuilt.own_critic()
    if (critic is None) != (again is None):
        raise RuleBroken(f"its discriminator {'got lost' if again is None else 'came from nowhere'}", fix)
    if critic is not None and again is not None:
        images = pictures(critic, 3)
        with torch.no_grad():
            if not close(critic.forward(images), again.forward(images)):
                raise RuleBroken("its discriminator scores the same images otherwise when rebuilt", fix)
