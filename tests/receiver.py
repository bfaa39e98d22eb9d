"""A merchant's webhook receiver in a process of its own: it writes down every request, and can misbehave.

`python -m tests.receiver PORT_FILE BOOK` serves until killed. What it does is told by the path:
`/ok`, `/fail/N/…` (500 for the first N tries of each event), `/status/CODE/…`, `/slow/SECONDS/…`,
`/redirect`, `/huge`, `/busy/SECONDS/…` (503 with Retry-After), `/drip`.
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

_lock = threading.Lock()
_in_flight: dict[str, int] = {}


@dataclass(frozen=True)
class Received:
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float
    in_flight: int

    @property
    def event_id(self) -> str:
        """The id that stays the same over retries."""
        return self.headers["webhook-id"]

    @property
    def event(self) -> dict[str, Any]:
        """The envelope."""
        found: dict[str, Any] = json.loads(self.body)
        return found


class Receiver:
    """The test's side: where to send to, and what has come."""

    def __init__(self, base: str, book: Path) -> None:
        self.base, self._book = base, book

    def url(self, path: str = "/ok") -> str:
        """An address with that behaviour."""
        return self.base + path

    def requests(self, prefix: str = "/") -> list[Received]:
        """What has come under that path, oldest first."""
        with sqlite3.connect(self._book) as book:
            rows = book.execute(
                "SELECT path, headers, body, at, in_flight FROM requests WHERE path LIKE ? ORDER BY rowid",
                (prefix + "%",),
            ).fetchall()
        return [Received(row[0], json.loads(row[1]), row[2], row[3], row[4]) for row in rows]


@contextmanager
def running(folder: Path) -> Iterator[Receiver]:
    """A receiver process."""
    port_file, book = folder / "receiver-port", folder / "receiver.db"
    child = subprocess.Popen([sys.executable, "-m", "tests.receiver", str(port_file), str(book)])
    try:
        until = time.monotonic() + 15
        while not (port_file.exists() and port_file.read_text().endswith("\n")):
            assert child.poll() is None and time.monotonic() < until, "the receiver did not start"
            time.sleep(0.02)
        yield Receiver(f"http://127.0.0.1:{port_file.read_text().strip()}", book)
    finally:
        child.kill()
        child.wait()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    book: Path

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        body = self.rfile.read(length)
        if len(body) < length:  # its sender died in the middle of it: a server has no request then
            self.close_connection = True
            return
        with _lock:
            _in_flight[self.path] = _in_flight.get(self.path, 0) + 1
            tries = self._write_down(body, _in_flight[self.path])
        try:
            self._answer(tries)
        except OSError:
            self.close_connection = True

    def _write_down(self, body: bytes, in_flight: int) -> int:
        """How many tries of this event have come here, with this one."""
        headers = {name.lower(): value for name, value in self.headers.items()}
        event_id = headers.get("webhook-id", "")
        with sqlite3.connect(self.book) as book:
            book.execute(
                "INSERT INTO requests (path, event_id, headers, body, at, in_flight)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (self.path, event_id, json.dumps(headers), body, time.time(), in_flight),
            )
            count: int = book.execute(
                "SELECT count(*) FROM requests WHERE path = ? AND event_id = ?", (self.path, event_id)
            ).fetchone()[0]
        return count

    def _answer(self, tries: int) -> None:
        kind, _, rest = self.path[1:].partition("/")
        argument = rest.partition("/")[0]
        if kind == "slow":
            time.sleep(float(argument))
        with _lock:  # before the answer goes out: who has it may send the next one at once
            _in_flight[self.path] -= 1
        if kind == "drip":
            self._drip()
            return
        status = {"redirect": 302, "busy": 503}.get(kind, 200)
        if kind == "fail" and tries <= int(argument):
            status = 500
        if kind == "status":
            status = int(argument)
        text = b"x" * 300_000 if kind == "huge" else b'{"received":true}'
        self.send_response(status)
        if kind == "redirect":
            self.send_header("Location", "/ok/redirected")
        if kind == "busy":
            self.send_header("Retry-After", argument)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def _drip(self) -> None:
        self.close_connection = True
        for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"a" * 600:
            self.wfile.write(bytes([byte]))
            time.sleep(0.05)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def serve(port_file: Path, book: Path) -> None:
    """Serve until killed."""
    with sqlite3.connect(book) as made:
        made.execute("PRAGMA journal_mode=WAL")
        made.execute("PRAGMA synchronous=OFF")
        made.execute(
            "CREATE TABLE requests"
            " (path TEXT, event_id TEXT, headers TEXT, body BLOB, at REAL, in_flight INTEGER)"
        )
        made.execute("CREATE INDEX by_event ON requests (path, event_id)")
    _Handler.book = book
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    port_file.write_text(f"{server.server_port}\n")
    server.serve_forever()


if __name__ == "__main__":
    serve(Path(sys.argv[1]), Path(sys.argv[2]))
