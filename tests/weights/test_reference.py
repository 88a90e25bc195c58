"""References to what is on this machine already."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from minegan_zoo.contracts import MineganError
from minegan_zoo.weights import fetch


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_paths(tmp_path: Path) -> None:
    (tmp_path / "g.pt").write_bytes(b"weights")
    assert fetch(str(tmp_path / "g.pt"), {}) == tmp_path / "g.pt"
    assert fetch(str(tmp_path / "g.pt"), {"g.pt": sha(b"weights").upper()}) == tmp_path / "g.pt"
    assert fetch(str(tmp_path), {"g.pt": sha(b"weights")}) == tmp_path
    with pytest.raises(MineganError, match="no such file"):
        fetch(str(tmp_path / "h.pt"), {})
    with pytest.raises(MineganError, match=sha(b"other")):
        fetch(str(tmp_path), {"g.pt": sha(b"other")})
    with pytest.raises(MineganError, match=r"lacks h\.pt"):
        fetch(str(tmp_path), {"h.pt": sha(b"other")})


def test_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "zoo_of_mine" / "data" / "shoes").mkdir(parents=True)
    (tmp_path / "zoo_of_mine" / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    assert fetch("package:zoo_of_mine/data/shoes", {}) == tmp_path / "zoo_of_mine" / "data" / "shoes"
    with pytest.raises(MineganError, match="hats is missing"):
        fetch("package:zoo_of_mine/data/hats", {})
    with pytest.raises(MineganError, match="no_such_zoo is not installed"):
        fetch("package:no_such_zoo/data", {})


def test_fetching_needs_no_torch() -> None:
    code = "import sys; from minegan_zoo.weights import fetch; fetch('.', {}); sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
