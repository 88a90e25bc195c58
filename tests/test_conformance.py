"""The kit itself: a sound source keeps every rule, each broken plugin breaks its own only, pytest reports it well."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from minegan_zoo import conformance, registry
from minegan_zoo.contracts import GeneratorEntry, Miner, MinerEntry

pytest_plugins = ["pytester"]
BROKEN = Path(__file__).parent / "broken_plugins"
EXAMPLE = Path(__file__).parent.parent / "examples" / "minegan-zoo-toy"
NAMES = sorted(file.stem for file in BROKEN.glob("*.py") if not file.stem.startswith("sound_"))


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BROKEN)


def failures(module_name: str) -> dict[str, BaseException]:
    """Every rule that the plugin breaks, with what the kit says."""
    module = importlib.import_module(module_name)
    generators: list[GeneratorEntry] = []
    miners: list[MinerEntry] = []
    if hasattr(module, "register_generators"):
        module.register_generators(generators.append)
    if hasattr(module, "register_miners"):
        module.register_miners(miners.append)
    failed: dict[str, BaseException] = {}
    checks = list(conformance.plugin_checks(module_name).items())
    for generator in generators:
        checks += conformance.generator_checks(generator, generators[0]).items()
    for miner in miners:
        checks += conformance.miner_checks(miner).items()
    for name, check in checks:
        try:
            check()
        except Exception as error:
            failed[name] = error
    return failed


def test_a_sound_source_keeps_every_rule() -> None:
    from sound_source import sound  # type: ignore[import-not-found]

    entry = GeneratorEntry("sound.tiny", sound)
    for check in conformance.generator_checks(entry, entry).values():
        check()


def test_a_sound_miner_keeps_every_rule_with_classes_and_without() -> None:
    from sound_miner import SoundMiner  # type: ignore[import-not-found]

    def conditional(latents: object, noise_dim: int, *, num_classes: int = 0) -> Miner:
        return SoundMiner(latents, noise_dim, num_classes)  # type: ignore[no-any-return]

    def plain(latents: object, noise_dim: int) -> Miner:
        return SoundMiner(latents, noise_dim)  # type: ignore[no-any-return]

    for entry in (MinerEntry("sound", conditional), MinerEntry("plain", plain), registry.miners.entry("mlp")):
        for check in conformance.miner_checks(entry).values():
            check()


def test_a_miner_that_fits_no_family_is_told_so() -> None:
    entry = MinerEntry("lost", lambda latents, noise_dim: None, ("no.such.*",))  # type: ignore[arg-type, return-value]
    with pytest.raises(conformance.RuleBroken, match="no family has latent spaces like no"):
        conformance.miner_checks(entry)["check_miner_codes"]()


def test_the_example_plugin_keeps_every_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(EXAMPLE)
    assert failures("minegan_zoo_toy") == {}


@pytest.mark.parametrize("name", NAMES)
def test_a_broken_plugin_breaks_exactly_its_rule(name: str) -> None:
    failed = failures(name)
    assert list(failed) == [importlib.import_module(name).BREAKS], {rule: str(error) for rule, error in failed.items()}
    (error,) = failed.values()
    assert isinstance(error, conformance.RuleBroken)
    assert error.__notes__[0].startswith("rule: ")
    assert "observed: " in str(error) and "fix: " in str(error)


def test_every_rule_has_a_plugin_that_breaks_it() -> None:
    from sound_source import sound

    entry = GeneratorEntry("sound.tiny", sound)
    rules = set(conformance.plugin_checks("sound_source") | conformance.generator_checks(entry, entry))
    rules |= set(conformance.miner_checks(registry.miners.entry("mlp")))
    assert {importlib.import_module(name).BREAKS for name in NAMES} == rules


# The wiring, seen by a plugin author: a folder with a plugin, its metadata as pip leaves it, and the two-line test

Author = Callable[..., list[str]]
PLUGIN = """
from minegan_zoo.contracts import GeneratorEntry, MineganError, hookimpl

MINEGAN_ZOO_API = 1

def build(weights):
    from sound_source import sound

    return sound(weights)

def build_slashed(weights):
    source = build(weights)
    source.groups = lambda: {"a/b": list(source.parameters())}
    return source

def build_weighty(weights):
    raise MineganError("it needs weights")

@hookimpl
def register_generators(register):
    register(GeneratorEntry("sound", build))
    register(GeneratorEntry(globals().get("TINY", "sound.tiny"), build_slashed))
    register(GeneratorEntry("sound.weighty", build_weighty))
"""
TEST = """
def test_conformance(minegan_check):
    minegan_check()
"""


@pytest.fixture
def author(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Iterator[Author]:
    """Somebody with an installed plugin "sound-plugin" of the entry point "sound", and a folder to test it in."""
    metadata = pytester.mkdir("sound_plugin-1.0.dist-info")
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: sound-plugin\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[minegan_zoo]\nsound = sound\n")
    pytester.makeini("[pytest]\nminegan_zoo_plugin = sound-plugin\n")
    pytester.syspathinsert()
    monkeypatch.delenv("MINEGAN_ZOO_STRICT", raising=False)

    def run(*arguments: str, plugin: str = "", test: str = "") -> list[str]:
        pytester.makepyfile(sound=plugin + PLUGIN, test_plugin=test + TEST)
        return pytester.runpytest_inprocess("-p", "no:cacheprovider", "-rA", *arguments).outlines

    registry.catalogue.cache_clear()
    yield run
    registry.catalogue.cache_clear()


def test_failures_are_reported_with_rule_observation_and_fix(author: Author) -> None:
    lines = author()
    (failed,) = [line for line in lines if line.startswith("FAILED")]
    assert "test_conformance[sound.tiny-check_group_names]" in failed
    assert "PASSED test_plugin.py::test_conformance[sound.tiny-check_gradient_reaches_code]" in lines
    assert "PASSED test_plugin.py::test_conformance[sound-check_import_is_light]" in lines
    assert not any("sound-check_images" in line for line in lines)  # only the tiny entry is examined
    report = "\n".join(lines)
    assert "rule: Names of groups" in report
    assert "observed: groups are named ['a/b']" in report
    assert "fix: use dots" in report
    assert "Traceback" not in report


def test_expected_failures_are_reported_and_strict(author: Author) -> None:
    declared = 'expected_failures = {"check_group_names": "old names", "sound.tiny-check_images": "it is grey"}'
    lines = author("-k", "check_group_names or check_images", plugin=declared)
    assert any(line.startswith("XFAIL") and "check_group_names] - old names" in line for line in lines)
    assert any(line.startswith("FAILED") and "sound.tiny-check_images]" in line for line in lines)
    assert any("XPASS(strict)" in line and "it is grey" in line for line in lines)
    assert not any(line.startswith("PASSED") for line in lines)


def test_objectives_of_a_plugin_are_examined(author: Author) -> None:
    mean = """
from minegan_zoo.contracts import Objective, ObjectiveEntry, hookimpl

class Mean(Objective):
    def critic_loss(self, real, fake):
        return (fake - real).mean()

    def miner_loss(self, fake):
        return -fake

@hookimpl
def register_objectives(register):
    register(ObjectiveEntry("mean", Mean))
"""
    lines = author("-k", "losses or penalty", plugin=mean)
    assert any(line.startswith("FAILED") and "mean-check_losses_are_elementwise]" in line for line in lines)
    assert "PASSED test_plugin.py::test_conformance[mean-check_penalty]" in lines


def test_an_unknown_expected_failure_is_an_error(author: Author) -> None:
    report = "\n".join(author(plugin='expected_failures = {"check_imags": "?"}'))
    assert "expected_failures of sound names unknown checks: check_imags" in report


def test_the_test_file_may_name_the_plugin_and_must_name_an_installed_one(author: Author) -> None:
    report = "\n".join(author(test='minegan_zoo_plugin = "sounds"'))
    assert "minegan_zoo_plugin names 'sounds', which is not installed" in report
    assert "sound-plugin" in report


def test_a_plugin_without_tiny_entries_is_examined_whole(author: Author) -> None:
    lines = author("-k", "check_images or check_import", plugin='TINY = "sound.large"')
    examined = {line.split("[")[1] for line in lines if line.startswith("PASSED")}
    assert examined == {
        f"{name}]"
        for name in (
            "sound-check_import_is_light",
            "sound-check_imports",
            "sound-check_images",
            "sound.large-check_images",
        )
    }


def test_a_plugin_that_does_not_load_fails_with_its_reason(author: Author) -> None:
    report = "\n".join(author(plugin='raise RuntimeError("no such luck")'))
    assert "the plugin 'sound' does not load: RuntimeError: no such luck" in report
