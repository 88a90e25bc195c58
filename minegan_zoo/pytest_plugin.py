"""The conformance kit in pytest. A plugin's whole test file:

    minegan_zoo_plugin = "minegan-zoo-stylegan"

    def test_conformance(minegan_check):
        minegan_check()

The first line may be an ini setting instead: a plugin by its distribution, entry module or entry point. Its
miners, selectors, objectives and `*.tiny` generators are checked, or all that build without weights where it has none.
Where its entry module declares `expected_failures = {"check_x": "reason"}` (or "stylegan3.tiny-check_x"), those rules
must fail. Every pytest run loads this file, so it imports the core only for a test that asks for `minegan_check`.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from minegan_zoo.contracts import GeneratorEntry
    from minegan_zoo.registry import Plugin

SETTING = "minegan_zoo_plugin"
Check = Callable[[], None]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini(SETTING, "the plugin that minegan_check examines: its distribution, entry module or entry point")


@pytest.fixture
def minegan_check(request: pytest.FixtureRequest) -> Check:
    """One rule, bound to one entry of the plugin: call it."""
    check: Check = request.param
    return check


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "minegan_check" not in metafunc.fixturenames:
        return
    wanted = vars(metafunc.module).get(SETTING) or metafunc.config.getini(SETTING)
    cases = [case for plugin in _plugins(wanted) for case in _cases(plugin)]
    metafunc.parametrize("minegan_check", cases, indirect=True)


def _plugins(wanted: str) -> list[Plugin]:
    from minegan_zoo import registry

    found = [each for each in registry.plugins() if wanted in (each.distribution, each.module, each.name)]
    if not found:
        known = ", ".join(sorted({each.distribution for each in registry.plugins()}))
        pytest.fail(f"{SETTING} names {wanted!r}, which is not installed; there are {known}", pytrace=False)
    for plugin in found:
        if plugin.error:
            pytest.fail(f"the plugin {plugin.name!r} does not load: {plugin.error}", pytrace=False)
    return found


def _cases(plugin: Plugin) -> Iterator[object]:
    """Every rule for the plugin and for each entry examined, as pytest parameters."""
    from minegan_zoo import conformance, registry

    checks = {f"{plugin.name}-{name}": check for name, check in conformance.plugin_checks(plugin.module).items()}
    for entry, family in _entries(plugin):
        checks |= {f"{entry.name}-{name}": check for name, check in conformance.generator_checks(entry, family).items()}
    others = {
        "miners/": lambda name: conformance.miner_checks(registry.miners.entry(name)),
        "selectors/": lambda name: conformance.selector_checks(registry.selectors.entry(name)),
        "objectives/": lambda name: conformance.objective_checks(registry.objectives.entry(name)),
    }
    for kind, rules_of in others.items():
        for entry_name in [name.removeprefix(kind) for name in plugin.entries if name.startswith(kind)]:
            checks |= {f"{entry_name}-{name}": check for name, check in rules_of(entry_name).items()}

    expected: dict[str, str] = vars(importlib.import_module(plugin.module)).get("expected_failures", {})
    rules = {case.rpartition("-")[2] for case in checks}
    unknown = sorted(set(expected) - rules - set(checks))
    if unknown:
        pytest.fail(f"expected_failures of {plugin.module} names unknown checks: {', '.join(unknown)}", pytrace=False)
    for case, check in checks.items():
        reason = expected.get(case) or expected.get(case.rpartition("-")[2])
        marks = [pytest.mark.xfail(reason=reason, strict=True)] if reason else []
        yield pytest.param(functools.partial(_report, check), id=case, marks=marks)


def _entries(plugin: Plugin) -> Iterator[tuple[GeneratorEntry, GeneratorEntry]]:
    """The generators to examine, each with the entry that reads its saved folders."""
    from minegan_zoo.contracts import MineganError
    from minegan_zoo.registry import generators

    names = [name.removeprefix("generators/") for name in plugin.entries if name.startswith("generators/")]
    tiny = [name for name in names if name.endswith(".tiny")]
    for name in tiny or names:
        entry, family = generators.entry(name), name.partition(".")[0]
        if not tiny:
            try:
                entry.build(None)
            except MineganError:  # it needs weights
                continue
        yield entry, generators.entry(family) if family in names else entry


def _report(check: Check) -> None:
    """A broken rule fails with the rule, what was observed and the fix; anything else with its traceback as well."""
    from minegan_zoo.conformance import RuleBroken

    try:
        check()
        return
    except RuleBroken as broken:
        reason = "\n".join([*broken.__notes__, str(broken)])
    pytest.fail(reason, pytrace=False)
