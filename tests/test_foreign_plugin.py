"""Plugins as their users meet them: distributions installed into an environment that has the core and nothing of ours.

Each environment is a fresh one that sees this environment's third-party packages through links, so that nothing is
downloaded and the editable installs of this checkout stay out of sight.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parent.parent
NOT_SHIPPED = shutil.ignore_patterns("build", "*.egg-info", "__pycache__", "tests")
BROKEN_PYPROJECT = """
[project]
name = "minegan-zoo-unlucky"
version = "1.0"

[project.entry-points.minegan_zoo]
unlucky = "minegan_zoo_unlucky"
"""
BROKEN_MODULE = 'raise RuntimeError("its dongle is missing")\n'

Run = Callable[..., subprocess.CompletedProcess[str]]
Install = Callable[..., Run]


def run_command(command: list[str | Path], folder: Path) -> subprocess.CompletedProcess[str]:
    hidden = ("PYTHONPATH", "PYTHONHOME", "MINEGAN_ZOO_STRICT")
    environment = {name: value for name, value in os.environ.items() if name not in hidden} | {"COLUMNS": "200"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with wheels of the core, the StyleGAN plugin, the example plugin and one whose import raises."""
    folder = tmp_path_factory.mktemp("wheels")
    # built from copies, because setuptools leaves its traces beside the sources
    core = folder / "core"
    shutil.copytree(ROOT / "minegan_zoo", core / "minegan_zoo", ignore=NOT_SHIPPED)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, core)
    shutil.copytree(ROOT / "plugins" / "minegan-zoo-stylegan", folder / "stylegan", ignore=NOT_SHIPPED)
    shutil.copytree(ROOT / "examples" / "minegan-zoo-toy", folder / "toy", ignore=NOT_SHIPPED)
    unlucky = folder / "unlucky"
    unlucky.mkdir()
    (unlucky / "pyproject.toml").write_text(BROKEN_PYPROJECT)
    (unlucky / "minegan_zoo_unlucky.py").write_text(BROKEN_MODULE)

    offline = ["--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--disable-pip-version-check"]
    sources = [folder / name for name in ("core", "stylegan", "toy", "unlucky")]
    built = run_command([sys.executable, "-m", "pip", "wheel", *offline, "--wheel-dir", folder, *sources], folder)
    assert built.returncode == 0, built.stderr
    return folder


@pytest.fixture
def install(wheels: Path, tmp_path: Path) -> Install:
    """install(names) makes a clean environment with these distributions; what it returns runs a command of it."""

    def make(*names: str) -> Run:
        home = tmp_path / "environment"
        venv.create(home, symlinks=True)
        where = {"base": str(home), "platbase": str(home)}
        site = Path(sysconfig.get_path("purelib", "venv", where))
        for package in Path(sysconfig.get_path("purelib")).iterdir():
            if "minegan" not in package.name and package.suffix != ".pth":
                (site / package.name).symlink_to(package)
        scripts = Path(sysconfig.get_path("scripts", "venv", where))

        def run(program: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
            return run_command([scripts / program, *arguments], tmp_path)

        chosen = [next(wheels.glob(f"{name.replace('-', '_')}-*.whl")) for name in names]
        offline = ["--quiet", "--no-deps", "--no-index", "--disable-pip-version-check"]
        installed = run("python", "-m", "pip", "install", *offline, *chosen)
        assert installed.returncode == 0, installed.stderr
        return run

    return make


def printed(completed: subprocess.CompletedProcess[str]) -> str:
    assert completed.returncode == 0, completed.stdout + completed.stderr
    return completed.stdout


GENERATORS = "import minegan_zoo as mz; print(*mz.generators.list())"


def test_the_core_alone_lists_its_kinds_and_no_generators(install: Install) -> None:
    run = install("minegan-zoo")
    listing = printed(run("minegan-zoo", "list"))
    for name in ("mlp", "max", "mixture", "wgan-gp", "hinge", "minegan", "transfergan"):
        assert name in listing.split()
    assert printed(run("python", "-c", GENERATORS)).split() == []
    unknown = run("minegan-zoo", "info", "stylegan2.tiny")
    assert unknown.returncode == 1
    assert "pip install minegan-zoo-stylegan" in unknown.stderr
    assert "Traceback" not in unknown.stderr


def test_installing_a_family_makes_its_names_appear(install: Install) -> None:
    run = install("minegan-zoo", "minegan-zoo-stylegan")
    assert "stylegan2.tiny" in printed(run("minegan-zoo", "list", "generators")).split()
    names = printed(run("python", "-c", GENERATORS)).split()
    assert {"stylegan2", "stylegan2.tiny"} <= set(names)
    assert not [name for name in names if not name.startswith("stylegan")]


def test_a_plugin_whose_import_raises_is_shown_with_its_reason_and_breaks_nothing(install: Install) -> None:
    run = install("minegan-zoo", "minegan-zoo-stylegan", "minegan-zoo-unlucky")
    (line,) = [line for line in printed(run("minegan-zoo", "plugins")).splitlines() if "unlucky" in line]
    assert "its dongle is missing" in line
    assert {"stylegan2.tiny", "mlp"} <= set(printed(run("minegan-zoo", "list")).split())


def test_the_example_plugin_is_listed_loaded_and_mined_with_a_bundled_family(install: Install, tmp_path: Path) -> None:
    run = install("minegan-zoo", "minegan-zoo-stylegan", "minegan-zoo-toy")
    assert "toy.tiny" in printed(run("minegan-zoo", "list", "generators")).split()
    assert "minegan-zoo-toy" in printed(run("minegan-zoo", "plugins"))
    target = tmp_path / "target"
    target.mkdir()
    for index, pixels in enumerate(np.random.default_rng(0).integers(0, 256, (8, 16, 16, 3), dtype=np.uint8)):
        Image.fromarray(pixels).save(target / f"{index}.png")

    sources, out = ["toy.tiny", "stylegan2.tiny"], tmp_path / "run"
    short = ["--steps", "4", "--batch", "4", "--device", "cpu", "--set", "training.fid_samples=0"]
    printed(run("minegan-zoo", "mine", *sources, "--target", target, "--out", out, *short))
    printed(run("minegan-zoo", "sample", out / "model", "-n", "4", "--separate", "--out", tmp_path / "samples"))
    assert len(list((tmp_path / "samples").glob("*.png"))) == 4
