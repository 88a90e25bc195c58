"""Files that were made to harm: each is refused or stays inert data, and nothing that they ask for happens.

Everything is read under an audit hook that fails on imports, code, processes, sockets and foreign files.
"""

from __future__ import annotations

import os
import pickle
import pickletools
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from minegan_zoo.contracts import MineganError
from minegan_zoo.weights import Record, module_tensors, read_checkpoint

PROTO = b"\x80\x04"
FORBIDDEN = ("exec", "compile", "import", "os.", "subprocess.", "socket.", "ctypes.", "shutil.", "pickle.")


class Canary:
    """Sings when something is run or imported. Audit hooks cannot be removed, so there is one that sleeps."""

    def __init__(self) -> None:
        self.awake = False
        self.song: list[str] = []
        sys.addaudithook(self._listen)

    def _listen(self, event: str, args: tuple[Any, ...]) -> None:
        if self.awake and event.startswith(FORBIDDEN):
            self.song.append(f"{event} {args!r:.100}")


@pytest.fixture(scope="module")
def listening() -> Canary:
    return Canary()


@pytest.fixture
def canary(listening: Canary, files: dict[str, Path]) -> Iterator[Canary]:
    for file in files.values():
        read_checkpoint(file)  # what our own code imports on first use
    listening.song.clear()
    yield listening
    listening.awake = False
    assert not listening.song


def read(canary: Canary, path: Path, content: bytes) -> Any:
    path.write_bytes(content)
    canary.awake = True
    try:
        return read_checkpoint(path)
    finally:
        canary.awake = False


def text(value: str) -> bytes:
    return b"\x8c" + bytes([len(value.encode())]) + value.encode()


def named(module: str, name: str) -> bytes:
    return text(module) + text(name) + b"\x93"


def call(module: str, name: str, *args: bytes) -> bytes:
    return named(module, name) + b"(" + b"".join(args) + b"tR"


class Reduce:
    """Pickles as a call."""

    def __init__(self, function: Any, *args: Any) -> None:
        self.reduced = function, args

    def __reduce__(self) -> Any:
        return self.reduced


TOUCH = "touch canary"
CALLS = {
    "os.system": Reduce(os.system, TOUCH),
    "eval": Reduce(eval, "__import__('os').system('true')"),
    "exec": Reduce(exec, "import this"),
    "compile": Reduce(compile, "1", "", "eval"),
    "import": Reduce(__import__, "this"),
    "open": Reduce(open, "canary", "w"),
    "getattr chain": Reduce(getattr, Reduce(__import__, "os"), "system"),
    "reduce chain": Reduce(print, Reduce(print, Reduce(os.system, TOUCH))),
    "nested in a dict": {"g_ema": {"w": torch.ones(2)}, "x": Reduce(os.system, TOUCH)},
}


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("name", CALLS)
def test_calls_are_refused(canary: Canary, tmp_path: Path, name: str, protocol: int) -> None:
    with pytest.raises(MineganError, match=r"file\.pkl .*do not trust"):
        read(canary, tmp_path / "file.pkl", pickle.dumps(CALLS[name], protocol))


@pytest.mark.parametrize("legacy", [False, True])
def test_calls_in_torch_files_are_refused(canary: Canary, tmp_path: Path, legacy: bool) -> None:
    torch.save(CALLS["nested in a dict"], tmp_path / "made.pt", _use_new_zipfile_serialization=not legacy)
    content = (tmp_path / "made.pt").read_bytes()
    with pytest.raises(MineganError, match=r"posix\.system.*do not trust"):
        read(canary, tmp_path / "file.pt", content)


REFUSED = {
    "posix": call("posix", "system", text(TOUCH)),
    "nt": call("nt", "system", text(TOUCH)),
    "dotted": call("os", "path.os.system", text(TOUCH)),
    "Python 2's exec": call("__builtin__", "execfile", text("/etc/passwd")),
    "Popen": call("subprocess", "Popen", text(TOUCH)),
    "a class of the library, new": named("subprocess", "Popen") + text(TOUCH) + b"\x85\x81",
    "keyword arguments": named("subprocess", "Popen") + b")}" + text("args") + text(TOUCH) + b"s\x92",
    "runpy": call("runpy", "run_path", text("/etc/passwd")),
    "torch.hub": call("torch.hub", "load", text("x"), text("y")),
    "torch.load": call("torch.serialization", "load", text("/etc/passwd")),
    "numpy": call("numpy.testing._private.utils", "runstring", text("1"), b"}"),
    "ours": call("minegan_zoo.weights.folder", "write_source"),
    "through copyreg": call("copyreg", "__newobj__", named("subprocess", "Popen"), text(TOUCH)),
    "through a tensor": call(
        "torch._tensor", "_rebuild_from_type_v2", named("os", "system"), b"N", text("x") + b"\x85"
    ),
    "call of a call": call("evil", "Class") + text(TOUCH) + b"\x85R",
    "tensor of a tensor, endlessly": named("torch._tensor", "_rebuild_from_type_v2")
    + b"q\x00)q\x01"
    + b"h\x00Nh\x01\x87q\x010" * 10_000
    + b"h\x00h\x01R",
    "partial, called": call("functools", "partial", named("os", "system"), text(TOUCH)) + b")R",
    "codecs": call("_codecs", "decode", b"C\x01x", text("zip")),
    "odd encoding": call("_codecs", "encode", text("x"), text("rot13")),
    "extension 1": b"\x82\x01",
    "extension 2": b"\x83\x01\x00",
    "extension 4": b"\x84\x01\x00\x00\x00",
    "extension cache": call("copyreg", "add_extension", text("os"), text("system"), b"K\x01") + b"0\x82\x01",
    "old-style instance": b"(" + text(TOUCH) + b"ios\nsystem\n",
    "old-style object": b"(" + named("os", "system") + text(TOUCH) + b"o",
    "state for a class": named("os", "environ") + b"}b",
    "a number as a name": b"K\x01K\x02\x93",
    "bytes as a name": b"C\x02os" + text("system") + b"\x93",
    "persistent": text("x") + b"Q",
    "textual persistent": b"Px\n",
    "textual number": b"I1\n",
    "out-of-band buffer": b"\x97",
    "nothing on the stack": b"R",
    "mark below": b"e",
    "no memo": b"h\x05",
    "unknown opcode": b"\xfe",
    "odd number of items": b"}(K\x01u",
    "unhashable key": b"}]K\x01s",
    "adds to a number": b"K\x01(K\x01\x90",
    "too deep": b"]" * 200 + b"a" * 199,
    "too deep tuples": b")" + b"\x85" * 100_000,
    "contains itself": b"]\x94h\x00a",
    "garbled persistent object": call("torch_utils.persistence", "_reconstruct_persistent_obj", b"K\x01"),
    "parameter of nothing": call("torch._utils", "_rebuild_parameter", b"K\x01"),
    "too many arguments": call("builtins", "set", b"]", b"]"),
    "size not a number": call("torch", "Size", b"(" + text("x") + b"t"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_hand_made_pickles_are_refused(canary: Canary, tmp_path: Path, name: str) -> None:
    with pytest.raises(MineganError, match=r"file\.pkl "):
        read(canary, tmp_path / "file.pkl", PROTO + REFUSED[name] + b".")


LONG_TUPLE = b"(" + b"K\x01" * 50_000 + b"t\x940"
LONG_KEYS = b"".join(b"M" + struct.pack("<H", key) + b"N" for key in range(50_000))
HUGE = {
    "bytes": b"\x8e" + struct.pack("<Q", 1 << 60),
    "bytes, 4": b"B\xff\xff\xff\xff",
    "bytearray": b"\x96" + struct.pack("<Q", 1 << 40),
    "text": b"\x8d" + struct.pack("<Q", 1 << 62),
    "text, 4": b"X\xff\xff\xff\x7f",
    "Python 2 text": b"T\xff\xff\xff\xff",
    "integer": b"\x8b\xff\xff\xff\x7f" + b"\xff" * 5000,
    "long integer": b"\x8b\x00\x10\x00\x00" + b"\xff" * 4096,
    "frame": b"\x95" + struct.pack("<Q", 1 << 50),
    "steps": b"}" * 2_100_000,
    "sets": b"\x8f" * 500_000,
    "name": b"c" + b"a" * 100_000 + b"\n" + b"b\n",
    "long sets": b"](" + b"K\x01" * 100_000 + b"e\x940" + call("builtins", "set", b"h\x00") * 100,
    "many arguments": LONG_TUPLE + call("builtins", "set")[:-3] + b"h\x00R",
    "many arguments of new ones": LONG_TUPLE + (named("a", "B") + b"h\x00}" + text("k") + b"Ns\x920") * 1000 + b"N",
    "slots again and again": b"}(" + LONG_KEYS + b"u\x940](" + (named("a", "B") + b")\x81Nh\x00\x86b") * 1000 + b"e",
    "encoded texts": text("x" * 255) + b"\x94" + call("_codecs", "encode", b"h\x00", text("latin1")) * 9000,
    "colliding keys": b"}(" + (b"\x8a\x10" + b"\x05" * 16 + b"N") * 9000 + b"u",
}


@pytest.mark.parametrize("name", HUGE)
def test_huge_promises_are_refused(canary: Canary, tmp_path: Path, name: str) -> None:
    with pytest.raises(MineganError):
        read(canary, tmp_path / "file.pkl", PROTO + HUGE[name] + b".")


def test_arrays_of_the_same_bytes(canary: Canary, tmp_path: Path) -> None:
    """Every array of another byte order is a copy: a short file must not ask for many."""
    blob = b"B" + struct.pack("<I", 100_000) + bytes(100_000) + b"\x940"
    shape, big = b"M" + struct.pack("<H", 25_000), call("numpy", "dtype", text(">f4"))
    array = call("numpy.core.numeric", "_frombuffer", b"h\x00", big, shape + b"\x85")
    path = tmp_path / "file.pkl"
    assert read(canary, path, PROTO + blob + array + b".").shape == (25_000,)
    with pytest.raises(MineganError, match="much more than its size"):
        read(canary, path, PROTO + blob + b"](" + array * 100 + b"e.")
    endless = b"K\x00\x8a\x08" + struct.pack("<Q", 1 << 61) + b"\x86"
    empty = call("numpy.core.numeric", "_frombuffer", b"C\x00", big, endless)
    with pytest.raises(MineganError, match="numpy array of size"):
        read(canary, path, PROTO + empty + b".")


def test_memo_indices_cost_nothing(canary: Canary, tmp_path: Path) -> None:
    content = PROTO + b"K\x07r\xff\xff\xff\xff0j\xff\xff\xff\xff."
    assert read(canary, tmp_path / "file.pkl", content) == 7


@pytest.mark.parametrize("kind", [b"]", b")"])
def test_billion_laughs(canary: Canary, tmp_path: Path, kind: bytes) -> None:
    """Each level holds the last one twice: small in memory, endless to walk, and as a key endless to hash."""
    level = b"h\x00h\x00\x86\x94q\x00" if kind == b")" else b"]\x94h\x00ah\x00aq\x00"
    bomb = PROTO + kind + b"q\x00" + level * 60
    with pytest.raises(MineganError, match="unfolds"):
        read(canary, tmp_path / "file.pkl", bomb + b".")
    with pytest.raises(MineganError, match="as the key"):
        read(canary, tmp_path / "key.pkl", bomb + b"1}h\x00Ns."[1:])


def test_inert_records(canary: Canary, tmp_path: Path) -> None:
    """Classes of others, whatever their names, and mentions of functions are data."""
    made = named("evil", "other") + b")\x81}" + text("__class__") + text("os.system") + b"sb"
    listed = b"](" + named("os", "system") + call("evil", "Class", text("x")) + made + b"e"
    mention, called, new = read(canary, tmp_path / "file.pkl", PROTO + listed + b".")
    assert isinstance(mention, Record) and str(mention) == "Record(os.system)" and mention.state is None
    assert (called.module, called.name, called.args) == ("evil", "Class", ("x",))
    assert new.state == {"__class__": "os.system"} and type(new) is Record


def test_odd_names_do_not_reach_the_terminal(canary: Canary, tmp_path: Path) -> None:
    with pytest.raises(MineganError) as caught:
        read(canary, tmp_path / "file.pkl", PROTO + call("os\x1b[2J", "sys\n\u202etem") + b".")
    assert str(caught.value).isprintable()


def test_source_code_of_persistent_objects_stays_unread(canary: Canary, files: dict[str, Path], tmp_path: Path) -> None:
    """Our NVIDIA-like file ships source that would exit; a second one, source that is no text at all."""
    content = files["nvidia"].read_bytes()
    assert b"raise SystemExit" in content
    assert len(module_tensors(read(canary, tmp_path / "file.pkl", content)["G_ema"])) == 6


@pytest.mark.parametrize("kind", ["safetensors", "zip", "legacy", "module", "nvidia"])
def test_cut_files(canary: Canary, files: dict[str, Path], tmp_path: Path, kind: str) -> None:
    content = files[kind].read_bytes()
    path = tmp_path / f"cut{files[kind].suffix}"
    for share in range(1, 40):
        path.unlink(missing_ok=True)
        with pytest.raises(MineganError, match=r"cut\."):
            read(canary, path, content[: len(content) * share // 40])


def test_nested_files(canary: Canary, tmp_path: Path) -> None:
    """A torch file inside a pickle is read as warily as the pickle, once, and not for ever deeper."""
    evil = PROTO + REFUSED["posix"] + b"."
    for _ in range(2):
        evil = PROTO + call("torch.storage", "_load_from_bytes", b"B" + struct.pack("<I", len(evil)) + evil) + b"."
        with pytest.raises(MineganError, match=r"posix\.system"):
            read(canary, tmp_path / "evil.pkl", evil)
    deep = PROTO + b"N."
    for _ in range(10):
        deep = PROTO + call("torch.storage", "_load_from_bytes", b"B" + struct.pack("<I", len(deep)) + deep) + b"."
    with pytest.raises(MineganError, match="too deeply"):
        read(canary, tmp_path / "deep.pkl", deep)


def test_the_pickles_are_what_they_say() -> None:
    """Guards these tests: the standard tools can follow each pickle that is meant to be well formed."""
    broken = {"mark below", "nothing on the stack", "unknown opcode", "no memo", "odd number of items"}
    for name in REFUSED.keys() - broken:
        assert list(pickletools.genops(PROTO + REFUSED[name] + b"."))[-1][0].name == "STOP"
