"""A bad line: an HTTP server in a thread that spoils answers as it is told, and passes the rest on to Till."""

from __future__ import annotations

import http.client
import ssl
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

#: What may happen to a request: it is not passed on; it is, and its answer is lost, cut off or replaced.
DROP, LOSE, CUT, BREAK, HANG, NOISE = "drop", "lose", "cut", "break", "hang", "noise"


@dataclass
class Line:
    """What went over the line, and what is to happen to the next requests; then all is well."""

    behind: str | None = None
    url: str = ""
    faults: deque[Any] = field(default_factory=deque)
    seen: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    peers: set[Any] = field(default_factory=set)
    over: threading.Event = field(default_factory=threading.Event)

    def then(self, *faults: Any) -> None:
        """The next requests meet these: a word of this module, or (status, headers, body)."""
        self.faults.extend(faults)

    @property
    def keys(self) -> list[str]:
        """The idempotency keys that came, in order."""
        return [headers["idempotency-key"] for _, _, headers in self.seen if "idempotency-key" in headers]


@contextmanager
def line(behind: str | None = None, certificate: tuple[Path, Path] | None = None) -> Iterator[Line]:
    """A bad line to the address `behind`, or to nowhere; with a certificate and its key over TLS."""
    state = Line(behind)
    handler = type("Handler", (_Handler,), {"state": state})
    server = _Server(("127.0.0.1", 0), handler)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        state.over.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Say nothing of callers who go away."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 20
    state: Line

    def _serve(self) -> None:
        state = self.state
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        sent = {name.lower(): value for name, value in self.headers.items()}
        state.seen.append((self.command, self.path, sent))
        state.peers.add(self.client_address)
        fault = state.faults.popleft() if state.faults else None
        if isinstance(fault, tuple):
            self._answer(*fault)
            return
        if fault in (DROP, HANG, NOISE):
            if fault == HANG:
                state.over.wait(20)
            if fault == NOISE:
                self.wfile.write(b"This is no HTTP at all\r\n\r\n")
            self.close_connection = True
            return
        status, headers, content = self._pass_on(body, sent)
        if fault == LOSE:
            self.close_connection = True
        elif fault == BREAK:
            self._answer(502, {"Content-Type": "text/html"}, b"<h1>Bad gateway</h1>")
        elif fault == CUT:
            self.wfile.write(b"HTTP/1.1 201 Created\r\nContent-Length: 4000\r\n\r\n" + content[:20])
            self.close_connection = True
        else:
            self._answer(status, headers, content)

    do_GET = do_POST = do_PATCH = do_DELETE = _serve

    def _pass_on(self, body: bytes, sent: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        if self.state.behind is None:
            return 200, {}, b"{}"
        parts = urlsplit(self.state.behind)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)
        kept = {name: value for name, value in sent.items() if name not in ("host", "connection")}
        connection.request(self.command, self.path, body or None, {**kept, "Host": parts.netloc})
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, dict(answer.getheaders()), content

    def _answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in ("content-length", "connection", "transfer-encoding", "date", "server"):
                self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if status != 204:
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""
