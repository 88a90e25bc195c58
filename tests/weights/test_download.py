"""Fetching from a server on this machine that resumes, drops, and lies; and from the cache without any."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from minegan_zoo.contracts import MineganError
from minegan_zoo.weights import download as downloads
from minegan_zoo.weights import fetch
from minegan_zoo.weights.cache import cached_path

DATA = os.urandom(300_000)
SHA = hashlib.sha256(DATA).hexdigest()
OTHER = DATA[:1000] + bytes(len(DATA) - 1000)


class Server(ThreadingHTTPServer):
    """Answers each path in its own way, and keeps a list of (path, Range) that were asked for."""

    asked: list[tuple[str, str | None]]
    url: str


class Answer(BaseHTTPRequestHandler):
    """Paths: /good /drops /stingy /short /other /changing /page /plain /lost /busy /shifted."""

    server: Server

    def do_GET(self) -> None:
        kind, asked = self.path.strip("/").partition("/")[0], self.headers.get("Range")
        self.server.asked.append((kind, asked))
        count = sum(path == kind for path, _ in self.server.asked)
        data = OTHER if kind == "other" or (kind == "changing" and count > 1) else DATA
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and kind != "plain" else 0
        headers = {"ETag": f'"{hashlib.sha256(data).hexdigest()}"'} if kind in ("drops", "changing") else {}
        if headers and self.headers.get("If-Range", headers["ETag"]) != headers["ETag"]:
            start = 0
        if kind == "lost":
            return self._send(404, {}, b"no")
        if kind == "busy" and count < 3:
            return self._send(503, {}, b"later")
        if kind == "page":
            return self._send(200, {"Content-Type": "text/html; charset=utf-8"}, b"<html>confirm</html>")
        if start >= len(data):
            return self._send(416, {"Content-Range": f"bytes */{len(data)}"}, b"")
        sent = data[start:]
        if kind == "drops" or (kind == "plain" and count < 3):
            sent = sent[:100_000]
        elif kind == "changing" and count == 1:
            sent = sent[:100_000]
        elif kind == "stingy":
            sent = sent[:0]
        shift = 7 if kind == "shifted" else 0
        if asked and start:
            headers["Content-Range"] = f"bytes {start + shift}-{len(data) - 1}/{len(data)}"
        if kind in ("short", "shifted") and not start:
            sent = sent[:200_000]
        length = len(sent) if kind == "short" else len(data) - start
        self._send(206 if start else 200, headers | {"Content-Length": str(length)}, sent)

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("MINEGAN_ZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(downloads, "PAUSE_SECONDS", 0.001)
    made = Server(("127.0.0.1", 0), Answer)
    made.asked, made.url = [], f"http://127.0.0.1:{made.server_port}"
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    yield made
    made.shutdown()
    made.server_close()
    thread.join()


def wanted(url: str) -> Path:
    return fetch(url, {"g.pt": SHA})


def test_fetches_once_shows_progress_and_works_offline(server: Server, capfd: pytest.CaptureFixture[str]) -> None:
    url = f"{server.url}/good/g.pt?download=1"
    path = wanted(url)
    assert path.read_bytes() == DATA and path.name == "g.pt" and path == cached_path(url)
    assert "g.pt" in capfd.readouterr().err
    server.server_close()
    assert wanted(url) == path and len(server.asked) == 1
    assert [p.name for p in path.parent.iterdir() if p.suffix == ".part"] == []


def test_without_digest(server: Server) -> None:
    assert fetch(f"{server.url}/good/g.pt", {}).read_bytes() == DATA


def test_drops_are_resumed(server: Server) -> None:
    assert wanted(f"{server.url}/drops/g.pt").read_bytes() == DATA
    assert server.asked == [("drops", None), ("drops", "bytes=100000-"), ("drops", "bytes=200000-")]
    server.asked.clear()
    assert fetch(f"{server.url}/drops/h.pt", {}).read_bytes() == DATA  # by the server's ETag alone
    assert len(server.asked) == 3


def test_servers_without_ranges_start_again(server: Server) -> None:
    assert wanted(f"{server.url}/plain/g.pt").read_bytes() == DATA
    server.asked.clear()
    assert fetch(f"{server.url}/plain/h.pt", {}).read_bytes() == DATA
    assert [asked for _, asked in server.asked] == [None] * 3  # nothing vouches for the parts


def test_a_file_that_changes_meanwhile_is_fetched_anew(server: Server) -> None:
    assert fetch(f"{server.url}/changing/g.pt", {}).read_bytes() == OTHER


def test_an_earlier_process_is_gone_on_with(server: Server) -> None:
    url = f"{server.url}/good/g.pt"
    part = cached_path(url).with_name("g.pt.part")
    part.parent.mkdir(parents=True)
    for remains in (DATA[:1234], DATA, OTHER[:2000], DATA + b"more"):
        part.write_bytes(remains)
        assert wanted(url).read_bytes() == DATA
        cached_path(url).unlink()
    asked = [("good", f"bytes={n}-") for n in (1234, 300_000, 2000)]
    assert server.asked == [*asked, ("good", None), ("good", "bytes=300004-"), ("good", None)]


def test_passing_failures_are_retried(server: Server) -> None:
    assert wanted(f"{server.url}/busy/g.pt").read_bytes() == DATA


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("lost", "404"),
        ("page", "web page"),
        ("other", hashlib.sha256(OTHER).hexdigest()),
        ("short", "sent another file"),
        ("stingy", "ended after 0 of 300000 bytes"),
        ("shifted", "ended after 200000 of 300000 bytes"),
    ],
)
def test_lies_and_dead_ends_say_how_to_go_on(server: Server, kind: str, words: str) -> None:
    url = f"{server.url}/{kind}/g.pt"
    with pytest.raises(MineganError) as caught:
        wanted(url)
    for said in (url, words, SHA, str(cached_path(url)), "NAME=FILE", "weights=FILE"):
        assert said in str(caught.value)
    assert not cached_path(url).exists()
    cached_path(url).write_bytes(DATA)  # by hand, as the message says
    assert wanted(url).read_bytes() == DATA


def test_dead_server(server: Server) -> None:
    server.shutdown()
    server.server_close()
    with pytest.raises(MineganError, match=r"cannot be reached.*put it at"):
        wanted(f"{server.url}/good/g.pt")


def test_damaged_cache_is_replaced(server: Server) -> None:
    path = wanted(f"{server.url}/good/g.pt")
    path.write_bytes(OTHER)
    assert wanted(f"{server.url}/good/g.pt").read_bytes() == DATA
    path.write_bytes(OTHER)
    server.shutdown()
    server.server_close()
    with pytest.raises(MineganError, match=f"{path} has another sha256"):
        wanted(f"{server.url}/good/g.pt")


def test_endless_answers_are_cut_off(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "LARGEST_BYTES", 100_000)
    with pytest.raises(MineganError, match="sent more than"):
        wanted(f"{server.url}/good/g.pt")


def test_several_at_once_fetch_once(server: Server) -> None:
    code = f"from minegan_zoo.weights import fetch; print(fetch('{server.url}/drops/g.pt', {{'g.pt': '{SHA}'}}))"
    running = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = {process.communicate()[0].strip() for process in running}
    assert [process.returncode for process in running] == [0] * 2
    assert len(said) == 1 and Path(said.pop()).read_bytes() == DATA and len(server.asked) == 3


def test_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("MINEGAN_ZOO_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cached_path("https://a/b/../%2e%2e%2fpasswd%00?x").parent.parent == tmp_path / "minegan_zoo"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cached_path("https://a/").is_relative_to(tmp_path / "home" / ".cache" / "minegan_zoo")


def test_one_address_is_one_file(server: Server) -> None:
    with pytest.raises(MineganError, match="is one file"):
        fetch(f"{server.url}/good/g.pt", {"a": SHA, "b": SHA})
