"""Plugins are found, checked, isolated and explained; entries are looked up, described and built."""

from __future__ import annotations

import functools
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import minegan_zoo as mz
from minegan_zoo import registry
from minegan_zoo.contracts import ImageSpec, LatentSpace, LoadedFrom, MineganError
from minegan_zoo.registry import KINDS, Plugin

METADATA = "Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
ENTRY_POINTS = "[minegan_zoo]\n{name} = {module}\n"
HEAD = "from minegan_zoo.contracts import *\nfrom minegan_zoo.contracts import hookimpl\nMINEGAN_ZOO_API = 1\n"
GOOD = """
def build(*, amount: float = 0.5): "Adds noise."
@hookimpl
def register_augmentations(register):
    register(AugmentationEntry("{name}", build))
"""

Plug = Callable[..., None]


@pytest.fixture
def plug(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Plug]:
    """plug(name, code) puts a distribution NAME-dist on the path; its entry point NAME is a module of that code."""

    def write(name: str, code: str) -> None:
        (tmp_path / f"{name}_entry.py").write_text(code)
        folder = tmp_path / f"{name}_dist-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(METADATA.format(name=f"{name}-dist"))
        (folder / "entry_points.txt").write_text(ENTRY_POINTS.format(name=name, module=f"{name}_entry"))
        importlib.invalidate_caches()
        registry.catalogue.cache_clear()

    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delenv("MINEGAN_ZOO_STRICT", raising=False)
    yield write
    for module in [name for name in sys.modules if name.endswith("_entry")]:
        del sys.modules[module]
    registry.catalogue.cache_clear()


def plugin(name: str) -> Plugin:
    return next(each for each in registry.plugins() if each.name == name)


# Plugins that work


ALL_KINDS = (
    HEAD
    + """
def source(weights, *, zoom: int = 1): "A source."
def miner(latents, noise_dim, *, width: int = 2): return ("miner", latents, noise_dim, width)
def critic(image, num_classes, *, width: int = 2): return ("critic", image, num_classes, width)
def selector(num_sources, *, rate: float = 0.1): return ("selector", num_sources, rate)
def objective(*, weight: float = 1.0): return ("objective", weight)
def augmentation(*, policy: str = "color"): return ("augmentation", policy)
def strategy(*, share: float = 0.5): return ("strategy", share)
def regulariser(*, weight: float = 1.0): return ("regulariser", weight)

CARD = Card(summary="All at once", licence="MIT")
@hookimpl
def register_generators(register):
    register(GeneratorEntry("all.tag", source, ImageSpec(3, 8), {"z": LatentSpace((4,), "normal")}, CARD))
@hookimpl
def register_miners(register): register(MinerEntry("all", miner))
@hookimpl
def register_critics(register): register(CriticEntry("all", critic))
@hookimpl
def register_selectors(register): register(SelectorEntry("all", selector))
@hookimpl
def register_objectives(register): register(ObjectiveEntry("all", objective))
@hookimpl
def register_augmentations(register): register(AugmentationEntry("all", augmentation))
@hookimpl
def register_strategies(register): register(StrategyEntry("all", strategy))
@hookimpl
def register_regularisers(register): register(RegulariserEntry("all", regulariser))
"""
)


def test_a_plugin_registers_all_eight_kinds(plug: Plug) -> None:
    plug("everything", ALL_KINDS)
    found = plugin("everything")
    assert (found.module, found.distribution, found.version) == ("everything_entry", "everything-dist", "1.0")
    assert {entry.partition("/")[0] for entry in found.entries} == set(KINDS)
    assert mz.generators.list("all*") == ["all.tag"]
    assert mz.miners.create("all", {}, 3, width=5) == ("miner", {}, 3, 5)
    assert mz.critics.create("all", ImageSpec(3, 8), 0) == ("critic", ImageSpec(3, 8), 0, 2)
    assert mz.selectors.create("all", 4, rate="0.5") == ("selector", 4, 0.5)
    assert mz.objectives.create("all", weight=2) == ("objective", 2.0)
    assert mz.augmentations.create("all", policy="cutout") == ("augmentation", "cutout")
    assert mz.strategies.create("all") == ("strategy", 0.5)
    assert mz.regularisers.create("all", weight=2) == ("regulariser", 2.0)


def test_info_tells_all_that_the_entry_says(plug: Plug) -> None:
    plug("everything", ALL_KINDS)
    info = mz.generators.info("all.tag")
    assert (info.name, info.summary, info.plugin, info.version) == ("all.tag", "All at once", "everything", "1.0")
    assert (info.image, info.latents) == (ImageSpec(3, 8), {"z": LatentSpace((4,), "normal")})
    assert [str(option) for option in info.options] == ["zoom: int = 1"]
    assert info.card is not None and info.card.licence == "MIT"
    with pytest.raises(AttributeError):
        info.name = "other"  # type: ignore[misc]
    assert mz.miners.info("mlp").summary.startswith("The paper's miner")


def test_names_are_sorted_and_matched_as_a_shell_does() -> None:
    names = mz.strategies.list()
    assert names == sorted(names) and {"minegan", "minegan-noft", "transfergan", "scratch"} <= set(names)
    assert mz.strategies.list("minegan*") == ["minegan", "minegan++", "minegan-noft"]
    assert mz.strategies.list("[st][tr]a*") == ["stages", "transfergan"]
    assert mz.strategies.list("nothing") == []


def test_a_source_remembers_the_call_that_made_it() -> None:
    assert mz.load_source("stylegan2.tiny", truncation="0.5").loaded_from == LoadedFrom(
        "stylegan2.tiny", None, {"truncation": 0.5}
    )
    created = mz.generators.create("progan", None, resolution=8, z_dim=4, channel_max=4)
    assert (created.image, created.loaded_from.name) == (ImageSpec(3, 8), "progan")


# Plugins that do not


OBJECTIVE = HEAD + "@hookimpl\ndef register_objectives(register): register(ObjectiveEntry({entry}))"
BROKEN = {
    "its import raises": ("raise RuntimeError('no dongle')", ["RuntimeError", "no dongle"]),
    "its import exits": ("raise SystemExit(3)", ["SystemExit", "3"]),
    "it needs another": ("import no_such_module", ["ModuleNotFoundError", "no_such_module"]),
    "newer API": (HEAD + "MINEGAN_ZOO_API = 2", ["MINEGAN_ZOO_API = 2", "supports 1", "upgrade minegan-zoo"]),
    "older API": (HEAD + "MINEGAN_ZOO_API = 0", ["MINEGAN_ZOO_API = 0", "upgrade the plugin"]),
    "no API": ("x = 1", ["no MINEGAN_ZOO_API", "upgrade the plugin"]),
    "misspelt hook": (
        HEAD + "@hookimpl\ndef register_generator(register): ...",
        ["unknown hook 'register_generator'", "did you mean register_generators?"],
    ),
    "unmarked": (HEAD + "def register_miners(register): ...", ["'register_miners' is not marked"]),
    "other argument": (HEAD + "@hookimpl\ndef register_miners(add): ...", ["register_miners", "add"]),
    "wrong entry": (
        HEAD + "@hookimpl\ndef register_miners(register): register(CriticEntry('x', print))",
        ["register_miners got a CriticEntry, not a MinerEntry"],
    ),
    "nameless": (OBJECTIVE.format(entry="None, print"), ["register_objectives", "name is None"]),
    "no builder": (OBJECTIVE.format(entry="'x', 'build'"), ["'x'", "not callable"]),
    "unreadable options": ("def f(*, a: 'int['): ...\n" + OBJECTIVE.format(entry="'x', f"), ["options of 'x'"]),
    "no default": ("def f(*, a: int): ...\n" + OBJECTIVE.format(entry="'x', f"), ["'a' of 'x'", "no default"]),
    "a hook raises": (HEAD + "@hookimpl\ndef register_critics(register): 1 / 0", ["ZeroDivisionError"]),
}


@pytest.mark.parametrize(("code", "reason"), BROKEN.values(), ids=BROKEN)
def test_a_broken_plugin_is_isolated_and_listed_with_its_reason(plug: Plug, code: str, reason: list[str]) -> None:
    plug("aaa", HEAD + GOOD.format(name="first"))
    plug("broken", code)
    plug("zzz", HEAD + GOOD.format(name="last"))
    failed = plugin("broken")
    assert failed.error is not None and failed.entries == ()
    for words in reason:
        assert words in failed.error
    assert [each.name for each in registry.plugins() if each.error] == ["broken"]
    assert {"first", "last", "diffaugment"} <= set(mz.augmentations.list())
    assert all(mz.objectives.info(name).options is not None for name in mz.objectives.list())
    with pytest.raises(MineganError) as unknown:
        mz.augmentations.create("firts")
    for words in ["unknown augmentation 'firts'", "'first'", "'broken'", "broken-dist", *reason]:
        assert words in str(unknown.value)


@pytest.mark.parametrize("code", ["raise RuntimeError('no dongle')", "raise SystemExit('no dongle')", "dongle = 1"])
def test_strict_mode_raises_and_names_the_plugin(plug: Plug, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    plug("broken", code)
    monkeypatch.setenv("MINEGAN_ZOO_STRICT", "1")
    with pytest.raises(MineganError, match=r"'broken' \(broken-dist\) failed to load: .*(no dongle|MINEGAN_ZOO_API)"):
        mz.generators.list()


def test_what_a_failing_plugin_had_registered_is_taken_back(plug: Plug) -> None:
    plug("half", HEAD + GOOD.format(name="half") + "@hookimpl\ndef register_strategies(register): 1 / 0")
    assert "half" not in mz.augmentations.list()


def test_a_name_registered_twice_is_an_error_that_names_both(plug: Plug) -> None:
    plug("alice", HEAD + GOOD.format(name="noise"))
    plug("bob", HEAD + GOOD.format(name="noise"))
    plug("core_thief", HEAD + GOOD.format(name="diffaugment"))
    plug("stutterer", HEAD + GOOD.format(name="s") + '    register(AugmentationEntry("s", build))')
    assert mz.augmentations.info("noise").plugin == "alice"
    for words in ("'noise'", "'alice' (alice-dist)", "rename"):
        assert words in (plugin("bob").error or "")
    assert "'core' (minegan-zoo)" in (plugin("core_thief").error or "")
    assert "'s' twice" in (plugin("stutterer").error or "")
    assert mz.augmentations.info("diffaugment").plugin == "core"


# Names and options that nobody knows


def test_an_unknown_name_suggests_close_ones_and_else_lists_all() -> None:
    with pytest.raises(MineganError, match=r"unknown miner 'mpl'\. Did you mean 'mlp'"):
        mz.miners.create("mpl", {}, 1)
    with pytest.raises(MineganError, match=r"unknown objective 'xyzzy'\. Known: .*hinge, logistic"):
        mz.objectives.info("xyzzy")
    with pytest.raises(MineganError, match=r"Did you mean 'stylegan2\.tiny'"):
        mz.load_source("stylegan2.tinny")


def test_an_unknown_family_names_the_package_to_install_only_where_there_is_one(
    plug: Plug, monkeypatch: pytest.MonkeyPatch
) -> None:
    plug("aaa", HEAD)
    mine = [point for point in registry.metadata.entry_points(group="minegan_zoo") if point.name == "aaa"]
    monkeypatch.setattr(registry.metadata, "entry_points", lambda group: mine)
    with pytest.raises(MineganError, match="pip install minegan-zoo-biggan") as published:
        mz.load_source("biggan.imagenet-128")
    assert "Known: none" in str(published.value)
    with pytest.raises(MineganError) as unpublished:
        mz.load_source("cyclegan")
    assert "pip install" not in str(unpublished.value)


CALLS = {
    "wgan-gp": functools.partial(mz.objectives.create, "wgan-gp"),
    "mlp": functools.partial(mz.miners.create, "mlp", {}, 8),
    "stylegan2.tiny": functools.partial(mz.generators.create, "stylegan2.tiny", None),
    "progan": functools.partial(mz.load_source, "progan", "weights.pt"),
}


@pytest.mark.parametrize(
    ("name", "option"),
    [("wgan-gp", "critic_steps"), ("mlp", "width"), ("stylegan2.tiny", "truncation"), ("progan", "resolution")],
)
def test_options_are_checked_against_the_builder(name: str, option: str) -> None:
    create = CALLS[name]
    with pytest.raises(MineganError, match=f"{name!r} has no option 'colour'. Its options: .* = "):
        create(colour="red")
    with pytest.raises(MineganError, match=f"option '{option}' of .*{name!r} must be (int|float).*, not 'many'"):
        create(**{option: "many"})


@pytest.mark.parametrize(
    ("family", "formats"),
    [
        ("stylegan2", ["rosinality", "NVIDIA"]),
        ("progan", ["pytorch_GAN_zoo", "rosinality"]),
        ("biggan", ["ajbrock"]),
        ("biggan-deep", ["ajbrock", "Hugging Face"]),
    ],
)
def test_a_family_without_weights_names_tags_and_formats(family: str, formats: list[str]) -> None:
    with pytest.raises(MineganError) as error:
        mz.load_source(family)
    tags = [name for name in mz.generators.list(f"{family}.*") if not name.endswith(".tiny")]
    for words in [f"{family}=PATH", "source folders", *formats, *tags]:
        assert words in str(error.value)
    assert f"{family}.tiny" not in str(error.value)


LOOK_UP = """
import json, sys
import minegan_zoo as mz
from minegan_zoo import registry

kinds = [registry.by_kind(kind) for kind in registry.KINDS]
summaries = {kind.kind: [kind.info(name).summary for name in kind.list()] for kind in kinds}
json.dumps([registry.describe(name) for kind in kinds for name in kind.list()])
heavy = {"torch", "numpy", "PIL", "timm", "kornia", "accelerate"} & set(sys.modules)
print(json.dumps([summaries, list(heavy), [plugin.error for plugin in registry.plugins() if plugin.error]]))
"""


def test_looking_names_up_imports_no_torch(plug: Plug, tmp_path: Path) -> None:
    plug("broken", "raise SystemExit")
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    printed = subprocess.run([sys.executable, "-c", LOOK_UP], env=environment, capture_output=True, check=True).stdout
    summaries, heavy, errors = json.loads(printed)
    assert heavy == []
    assert all(summaries[kind] for kind in KINDS)
    assert errors == ["SystemExit"]
