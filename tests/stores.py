"""An S3-compatible store on loopback for tests (moto)."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass

import httpx2 as httpx
from moto.server import ThreadedMotoServer


@dataclass(frozen=True)
class Store:
    """Its address."""

    url: str

    def make(self, bucket: str) -> None:
        """A fresh bucket."""
        assert httpx.put(f"{self.url}/{bucket}").status_code == 200

    def settings(self, *roots: str) -> dict[str, object]:
        """The settings of an installation that exports to here."""
        return {
            "export_s3_endpoint": self.url,
            "export_s3_access_key_id": "key",
            "export_s3_secret_access_key": "secret",
            "export_s3_roots": list(roots),
        }


@contextmanager
def running() -> Iterator[Store]:
    """The store, until the end of the block."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        server.start()
    host, port = server.get_host_and_port()
    try:
        yield Store(f"http://{host}:{port}")
    finally:
        server.stop()
