"""localstripe (PyPI), an independent fake of Stripe, as a child process on loopback.

It knows neither every parameter that Stripe takes nor idempotency keys. A thin relay in front of it takes
out what it would refuse, so that everything else is judged by it.
"""

from __future__ import annotations

import http.client
import queue
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

#: Parameters of Stripe's that localstripe does not know, by the start of the path.
_UNKNOWN_TO_IT = ("return_url", "description", "cancellation_reason", "reason", "created[", "error_on")


@dataclass
class LocalStripe:
    """A running localstripe behind its relay; `events` are what it sends to our endpoint."""

    port: int
    url: str = ""
    events: queue.Queue[tuple[bytes, dict[str, str]]] = field(default_factory=queue.Queue)

    def call(self, method: str, path: str, **params: Any) -> int:
        """Act as a shopper's browser or as an operator; the status."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        headers = {
            "Authorization": "Bearer sk_test_of_ten_a",
            "Content-Type": "application/x-www-form-urlencoded",
        }
        connection.request(method, path, urlencode(params), headers)
        answer = connection.getresponse()
        self.body = answer.read()
        connection.close()
        return answer.status


@contextmanager
def running(folder: Path) -> Iterator[LocalStripe]:
    """Start it, and end exactly the process that was started."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    program = Path(sys.executable).with_name("localstripe")
    with (folder / "localstripe.log").open("wb") as log:
        process = subprocess.Popen(
            [str(program), "--port", str(port), "--from-scratch"], stdout=log, stderr=log, cwd=folder
        )
    found = LocalStripe(port)
    try:
        _wait_for(process, port)
        with _relay(found) as url:
            found.url = url
            yield found
    finally:
        process.terminate()
        process.wait(10)


def _wait_for(process: subprocess.Popen[bytes], port: int) -> None:
    until = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise AssertionError("localstripe did not start")


@contextmanager
def _relay(target: LocalStripe) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Relay,), {"target": target}))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


class _Relay(BaseHTTPRequestHandler):
    target: LocalStripe
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._pass_on(b"")

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/events":
            self.target.events.put((raw, dict(self.headers.items())))
            self._answer(200, b"{}")
        else:
            self._pass_on(raw)

    def _pass_on(self, raw: bytes) -> None:
        parts = urlsplit(self.path)
        connection = http.client.HTTPConnection("127.0.0.1", self.target.port, timeout=10)
        path = f"{parts.path}?{_known(parts.query)}"
        headers = {
            name: self.headers[name] for name in ("Authorization", "Content-Type") if self.headers[name]
        }
        connection.request(self.command, path, _known(raw.decode()), headers)
        answer = connection.getresponse()
        self._answer(answer.status, answer.read())
        connection.close()

    def _answer(self, status: int, raw: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *args: Any) -> None:
        """localstripe keeps a log of its own."""


def _known(form: str) -> str:
    pairs = parse_qsl(form, keep_blank_values=True)
    return urlencode([pair for pair in pairs if not pair[0].startswith(_UNKNOWN_TO_IT)])
