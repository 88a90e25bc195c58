"""`hf-hub:` through huggingface_hub against a stand-in for the Hub, then offline from its cache."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

DATA = b"weights"
SHA = hashlib.sha256(DATA).hexdigest()
COMMIT = "a" * 40
ASK = """
import json, sys
from minegan_zoo.contracts import MineganError
from minegan_zoo.weights import fetch
for reference, sha256 in json.loads(sys.argv[1]):
    try:
        path = fetch(reference, sha256)
        print(json.dumps([path.name, sorted(p.name for p in path.iterdir()) if path.is_dir() else path.read_text()]))
    except MineganError as error:
        print(json.dumps(["error", str(error)]))
"""


class Hub(BaseHTTPRequestHandler):
    """One repository, owner/name, with g.pt and d.pt."""

    def do_GET(self) -> None:
        file = self.path.rpartition("/")[2]
        if "/resolve/" in self.path and file in ("g.pt", "d.pt"):
            self._send(200, DATA, {"ETag": f'"{file[0] * 40}"', "X-Repo-Commit": COMMIT})
        elif self.path.startswith("/api/models/owner/name/tree/"):
            tree = [{"type": "file", "path": f"{x}.pt", "size": len(DATA), "oid": x * 40} for x in "gd"]
            self._send(200, json.dumps(tree).encode(), {})
        elif self.path.startswith("/api/models/owner/name"):
            siblings = [{"rfilename": "g.pt"}, {"rfilename": "d.pt"}]
            self._send(200, json.dumps({"id": "owner/name", "sha": COMMIT, "siblings": siblings}).encode(), {})
        else:
            self._send(404, b"", {"X-Error-Code": "EntryNotFound" if "/resolve/" in self.path else "RepoNotFound"})

    do_HEAD = do_GET

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def endpoint() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def ask(questions: list[tuple[str, dict[str, str]]], **environment: str) -> list[list[Any]]:
    """In a process of its own: huggingface_hub reads its settings when it is imported."""
    done = subprocess.run(
        [sys.executable, "-c", ASK, json.dumps(questions)],
        env={**os.environ, "no_proxy": "*", **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_hub_and_its_cache(endpoint: str, tmp_path: Path) -> None:
    repository, file = "hf-hub:owner/name", "hf-hub:owner/name/d.pt"
    listed, everything, one, wrong, absent, nobody, malformed = ask(
        [
            (repository, {"g.pt": SHA}),
            (repository, {}),
            (file, {"d.pt": SHA}),
            (file, {"d.pt": "0" * 64}),
            ("hf-hub:owner/name/x.pt", {}),
            ("hf-hub:owner/nobody", {}),
            ("hf-hub:name", {}),
        ],
        HF_ENDPOINT=endpoint,
        HF_HOME=str(tmp_path),
    )
    assert listed == [COMMIT, ["g.pt"]] and everything == [COMMIT, ["d.pt", "g.pt"]] and one == ["d.pt", "weights"]
    assert wrong[0] == "error" and SHA in wrong[1]
    for answer, reference in ((absent, "owner/name/x.pt"), (nobody, "owner/nobody")):
        assert answer[0] == "error" and reference in answer[1] and "weights=PATH" in answer[1]
    assert "write hf-hub:owner/name" in malformed[1]

    offline = ask(
        [(repository, {"g.pt": SHA}), (file, {"d.pt": SHA}), ("hf-hub:owner/name/x.pt", {}), ("hf-hub:owner/else", {})],
        HF_ENDPOINT="http://127.0.0.1:9",
        HF_HOME=str(tmp_path),
        HF_HUB_OFFLINE="1",
    )
    assert offline[:2] == [everything, one]
    assert all(answer[0] == "error" and "weights=PATH" in answer[1] for answer in offline[2:])
