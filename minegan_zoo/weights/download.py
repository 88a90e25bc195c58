"""Files from the web: resumed, verified, and kept in the cache. May import contracts only.

A download goes to `NAME.part` under a lock and is renamed once it is whole and its digest is right, so that what the
cache holds under a file's own name is that file.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from filelock import FileLock
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn

from minegan_zoo.contracts import MineganError
from minegan_zoo.weights.cache import cached_path
from minegan_zoo.weights.digest import sha256_of

TIMEOUT_SECONDS = 30.0
ATTEMPTS = 4
"""How often in a row a connection may fail without getting further than any before."""
PAUSE_SECONDS = 0.25
PASSING = {408, 429, 500, 502, 503, 504}
"""HTTP statuses after which another attempt may succeed."""
PARTIAL, NO_SUCH_RANGE = 206, 416
CHUNK_BYTES = 1 << 20
LARGEST_BYTES = 1 << 36
"""More than any public checkpoint takes: a server that never ends is cut off here."""


class Refused(Exception):
    """The server answers, but not with the file."""


class Interrupted(Exception):
    """The answer ended early."""


def download(url: str, sha256: str | None) -> Path:
    """The cached file of `url`, fetched unless it is there (and right, where a digest is known).

    Raises MineganError, which says how to supply the file by hand, for a dead address, a server that does not send the
    whole file, and content of another digest.
    """
    path = cached_path(url)
    try:
        if _is_right(path, sha256):
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(f"{path.name}.lock")):
            if not _is_right(path, sha256):  # another process may have fetched it meanwhile
                with _progress(path.name) as (progress, task):
                    part = Download(url, path.with_name(f"{path.name}.part"), sha256, progress, task).run()
                part.replace(path)
    except (OSError, HTTPException, ValueError, Refused, Interrupted) as error:
        wanted = f" (sha256 {sha256})" if sha256 else ""
        stale = f", and {path} has another sha256" if path.is_file() else ""
        raise MineganError(
            f"{url}: {_reason(error)}{stale}. Fetch the file by hand{wanted} and put it at {path}, "
            "or give its place instead: NAME=FILE on the command line, weights=FILE in Python"
        ) from error
    return path


class Download:
    """One file on its way into `part`; whoever runs it holds the lock."""

    def __init__(self, url: str, part: Path, sha256: str | None, progress: Progress, task: TaskID) -> None:
        self._url = url
        self._part = part
        self._sha256 = sha256
        self._progress = progress
        self._task = task
        self._validator = ""  # the server's name for the version whose bytes `part` holds

    def run(self) -> Path:
        """Fetch what is missing and check it. What an earlier process left is used where a digest can tell."""
        resumed = self._sha256 is not None and self._have() > 0
        if not resumed:
            self._forget()
        self._complete()
        if resumed and not _is_right(self._part, self._sha256):  # the remains were another version's
            self._forget()
            self._complete()
        if not _is_right(self._part, self._sha256):
            found = sha256_of(self._part)
            self._forget()
            raise Refused(f"the server sent another file, with sha256 {found}")
        return self._part

    def _complete(self) -> None:
        failures, most = 0, self._have()
        while True:
            before = self._have()
            try:
                self._receive()
                return
            except HTTPError as error:
                if error.code == NO_SUCH_RANGE and before:
                    if error.headers.get("Content-Range", "").rpartition("/")[2] == str(before):
                        return  # there is nothing beyond what is here
                    self._forget()
                elif error.code not in PASSING:
                    raise
                problem: Exception = error
            except Interrupted as error:
                problem = error
            failures = failures + 1 if self._have() <= most else 0
            most = max(most, self._have())
            if failures >= ATTEMPTS:
                raise problem
            time.sleep(PAUSE_SECONDS * 2**failures)

    def _receive(self) -> None:
        """One request: for the rest, where it can be told that it belongs to what is here; else for all."""
        have = self._have() if self._validator or self._sha256 else 0
        headers = {"User-Agent": "minegan-zoo", "Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
            if self._validator:
                headers["If-Range"] = self._validator
        with _opened(Request(self._url, headers=headers)) as answer:
            if answer.headers.get_content_type() == "text/html":
                raise Refused("the server sent a web page (a log-in or a confirmation?) instead of the file")
            start = have if answer.status == PARTIAL else 0
            if start and not answer.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
                self._forget()
                raise Interrupted("the server sent another part of the file than it was asked for")
            etag = answer.headers.get("ETag", "")  # a weak one does not tell bytes apart
            self._validator = etag if etag.startswith('"') else answer.headers.get("Last-Modified", "")
            self._store(answer, start)

    def _store(self, answer: HTTPResponse, start: int) -> None:
        length = answer.headers.get("Content-Length", "")
        total = start + int(length) if length.isdecimal() else None
        self._progress.update(self._task, total=total, completed=start)
        have = start
        with self._part.open("ab" if start else "wb") as file:
            while total is None or have < total:
                try:
                    chunk = answer.read1(CHUNK_BYTES if total is None else min(CHUNK_BYTES, total - have))
                except (OSError, HTTPException) as error:
                    raise Interrupted(f"the connection broke after {have} bytes ({error})") from error
                if not chunk:
                    break
                file.write(chunk)
                have += len(chunk)
                if have > LARGEST_BYTES:
                    raise Refused(f"the server sent more than {LARGEST_BYTES >> 30} GiB")
                self._progress.update(self._task, completed=have)
        if total is not None and have < total:
            raise Interrupted(f"the connection ended after {have} of {total} bytes")

    def _have(self) -> int:
        return self._part.stat().st_size if self._part.exists() else 0

    def _forget(self) -> None:
        self._part.unlink(missing_ok=True)
        self._validator = ""


@contextmanager
def _opened(request: Request) -> Iterator[HTTPResponse]:
    try:
        answer = urlopen(request, timeout=TIMEOUT_SECONDS)
    except HTTPError:
        raise
    except URLError as error:
        raise Interrupted(f"the server cannot be reached ({error.reason})") from error
    except (OSError, HTTPException) as error:
        raise Interrupted(f"the server does not answer ({error!r})") from error
    with answer:
        yield answer


def _is_right(path: Path, sha256: str | None) -> bool:
    return path.is_file() and (sha256 is None or sha256_of(path) == sha256.lower())


def _reason(error: Exception) -> str:
    if isinstance(error, HTTPError):
        return f"the server answers {error.code} {error.reason}"
    return str(error) or type(error).__name__


@contextmanager
def _progress(name: str) -> Iterator[tuple[Progress, TaskID]]:
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield progress, progress.add_task(name, total=None)
