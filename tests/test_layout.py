"""The rules that keep the project readable: who may import whom, how long a file is, what a signature may not hold."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
CORE = "minegan_zoo"
LONGEST = 300
VAGUE = {"base", "common", "helpers", "misc", "util", "utils"}

# Each module or package of the core and what of ours it imports, in an order in which none imports what stands below
# it. The packages' own files are among themselves.
IMPORTS = {
    "contracts": "",
    "options": "contracts",
    "registry": "contracts options",
    "atomic": "contracts",
    "weights": "contracts atomic",
    "stopping": "",
    "run_folder": "",
    "neighbours": "",
    "metrics": "contracts neighbours",
    "compiling": "",
    "charts": "",
    "method": "contracts",
    "builtin": "contracts",
    "sources": "contracts options registry weights",
    "adoption": "contracts sources",
    "draws": "contracts",
    "position": "contracts",
    "processes": "contracts",
    "trackers": "contracts",
    "recorder": "run_folder trackers",
    "settings": "contracts run_folder weights",
    "strategy_catalog": "contracts registry builtin",
    "catalog": "contracts builtin sources adoption strategy_catalog",
    "config": "contracts options registry settings",
    "pictures": "contracts",
    "picture_files": "contracts pictures run_folder",
    "public_datasets": "contracts pictures",
    "pixels": "contracts",
    "data": "contracts pictures picture_files public_datasets pixels",
    "batches": "pixels",
    "checkpoint": "contracts atomic",
    "optimizers": "contracts sources",
    "watch": "neighbours metrics pixels",
    "extractors": "contracts",
    "results": "contracts run_folder config",
    "demo": "config",
    "conformance": "contracts weights",
    "pytest_plugin": "contracts registry conformance",
    "wording": "settings",
    "account": "run_folder results wording",
    "curves": "charts results",
    "provenance": "run_folder settings results wording account",
    "report": "run_folder results wording account curves provenance",
    "samplers": "contracts pixels",
    "modes": "",
    "recipe": "",
    "minegan": "contracts compiling sources draws modes recipe saved",
    "mined_source": "contracts registry sources adoption minegan run_folder",
    "saved": "contracts options registry atomic weights run_folder sources adoption recipe minegan mined_source",
    "converting": "contracts registry run_folder weights sources saved",
    "averages": "minegan",
    "overlap": "contracts data",
    "records": "",
    "evaluation": "contracts metrics data extractors samplers minegan mined_source overlap records sources",
    "gallery": "sources recorder pixels checkpoint draws watch modes minegan",
    "nearest_source": "contracts sources data neighbours modes pixels samplers extractors",
    "devices": "contracts",
    "critic_choice": "contracts registry sources adoption config data devices nearest_source",
    "method_choice": "contracts registry settings config",
    "assembly": (
        "contracts registry method sources config data devices recipe minegan mined_source critic_choice "
        "method_choice optimizers saved"
    ),
    "undoing": "contracts minegan modes",
    "alone": "contracts minegan",
    "run_view": "contracts batches method minegan",
    "shares": "contracts neighbours batches modes minegan",
    "selection": "contracts batches modes minegan shares",
    "steps": "contracts method sources draws processes batches optimizers minegan selection",
    "trainer": (
        "contracts stopping run_folder method sources position processes recorder config batches checkpoint "
        "optimizers modes minegan averages gallery undoing alone run_view selection steps"
    ),
    "running": (
        "contracts registry atomic stopping run_folder compiling sources processes trackers recorder config "
        "devices data batches watch extractors report minegan evaluation saved gallery assembly trainer"
    ),
    "api": "contracts run_folder config minegan evaluation saved running",
    "sampling": "contracts settings sources recorder samplers devices recipe minegan saved api",
    "commands": "contracts registry config converting demo records running api sampling",
    "cli": "contracts commands",
    "__init__": "contracts registry minegan api",
    "__main__": "cli",
}
LATER = {("minegan", "saved")}
"""Imported inside a function, against the order: `MinedGAN.save` and `MinedGAN.load` stand on the class."""
CHECKED_OPTIONS = {
    "registry.create",  # they check their options against the builder, and so do those that they hand them on to
    "api.load_source",
    "sources.load_source",
    "saved.open_any",
    "network.__init__",  # the signature that torch-fidelity calls
}


def python_files(*folders: str) -> list[Path]:
    found = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    return sorted(path for path in found if not {"build", ".venv"} & set(path.relative_to(ROOT).parts))


def ours(path: Path) -> Iterator[str]:
    """Every module of any of our packages that a file imports, with what it takes from it: "minegan_zoo.data.x"."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level == 0 and (node.module or "").startswith(CORE):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith(CORE))


def core_imports() -> dict[str, set[str]]:
    """Module or package of the core -> what of the core's others it imports."""
    found: dict[str, set[str]] = {}
    for path in python_files(CORE):
        part = path.relative_to(ROOT / CORE).with_suffix("").parts[0]
        taken = {name.split(".")[1] for name in ours(path) if name.startswith(f"{CORE}.")}
        found.setdefault(part, set()).update(taken - {part})
    return found


PLUGINS = [path for path in python_files("plugins", "examples") if "tests" not in path.parts]


# Imports


def test_the_core_imports_what_the_table_says_and_nothing_else() -> None:
    found = core_imports()
    assert set(found) == set(IMPORTS)
    for part, allowed in IMPORTS.items():
        surplus, unused = found[part] - set(allowed.split()), set(allowed.split()) - found[part]
        assert not surplus, f"{part} imports {', '.join(surplus)}: it may import {allowed or 'nothing of ours'}"
        assert not unused, f"{part} no longer imports {', '.join(unused)}: take it from the table"


def test_the_table_runs_one_way() -> None:
    order = list(IMPORTS)
    for part, allowed in IMPORTS.items():
        for other in allowed.split():
            assert order.index(other) < order.index(part) or (part, other) in LATER, f"{part} imports {other}"


def test_built_in_parts_never_import_each_other() -> None:
    for path in python_files(f"{CORE}/builtin"):
        # a part of several files is a package, whose files may import each other
        part = path.relative_to(ROOT / CORE / "builtin").parts[0]
        allowed = (f"{CORE}.contracts.", f"{CORE}.builtin.{part}.")
        assert all(name.startswith(allowed) for name in ours(path)), path


def test_what_a_plugin_sees_is_contracts_and_weights() -> None:
    assert len(PLUGINS) > 10
    for path in PLUGINS:
        distribution = path.relative_to(ROOT).parts[1]
        own = distribution.replace("-", "_")
        for name in ours(path):
            module, _, taken = name.rpartition(".")
            assert name.split(".")[0] == own or module in (f"{CORE}.contracts", f"{CORE}.weights"), (
                f"{path.relative_to(ROOT)} imports {taken} of {module}"
            )


def test_what_lists_plugins_names_no_torch() -> None:
    entries = [path for path in PLUGINS if path.name == "__init__.py"]
    light = [
        *python_files(f"{CORE}/contracts"),
        *(ROOT / CORE / f"{name}.py" for name in ("registry", "options", "strategy_catalog")),
    ]
    for path in [*light, ROOT / CORE / "catalog.py", ROOT / CORE / "config.py", *entries]:
        for node in ast.parse(path.read_text("utf-8")).body:
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert not [name for name in names if name.split(".")[0] == "torch"], path


# Files and signatures


def test_a_file_is_one_noun_of_at_most_300_lines() -> None:
    files = python_files(CORE, "plugins", "examples", "tests", "benchmarks")
    lengths = {str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines()) for path in files}
    assert len(lengths) > 100
    assert {name: length for name, length in lengths.items() if length > LONGEST} == {}
    assert [path for path in files if path.stem in VAGUE] == []


def test_no_signature_takes_options_unchecked() -> None:
    taking = set()
    for path in [*python_files(CORE), *PLUGINS]:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) and node.args.kwarg:
                name = "lambda" if isinstance(node, ast.Lambda) else node.name
                taking.add(f"{path.stem}.{name}")
    assert taking <= CHECKED_OPTIONS


def test_no_default_is_mutable_and_no_attribute_is_guessed() -> None:
    for path in [*python_files(CORE), *PLUGINS]:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            where = f"{path.relative_to(ROOT)}:{node.lineno}" if isinstance(node, ast.expr | ast.stmt) else ""
            if isinstance(node, ast.FunctionDef):
                defaults = [*node.args.defaults, *node.args.kw_defaults]
                assert not [each for each in defaults if isinstance(each, ast.List | ast.Dict | ast.Set)], where
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id != "globals", where
                assert node.func.id != "getattr" or len(node.args) == 2, where
            assert not isinstance(node, ast.Global), where
