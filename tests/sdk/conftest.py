"""What the tests of the Python client share: a running Till over each database, and a clock that need not wait."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from payment_sdk import PaymentClient, _clock
from tests import shops, workers
from tests.databases import environment, fresh
from tests.shops import Shop

ROOT = Path(__file__).parents[2]


class Naps:
    """Time that passes by itself and by naps, which take none."""

    def __init__(self) -> None:
        self.taken: list[float] = []
        self._really = _clock.now

    def now(self) -> float:
        """The clock with every nap added."""
        return self._really() + sum(self.taken)

    def sleep(self, seconds: float) -> None:
        """A nap."""
        self.taken.append(seconds)


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> Naps:
    """The client's clock; what it slept is in `taken`."""
    found = Naps()
    monkeypatch.setattr(_clock, "now", found.now)
    monkeypatch.setattr(_clock, "sleep", found.sleep)
    return found


@pytest.fixture(scope="package", params=["sqlite", "postgresql"])
def till(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of Till's own web server over a database that this process looks into, too."""
    folder = tmp_path_factory.mktemp("sdk")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with fresh(request.param, request, folder) as address:
        server = subprocess.Popen(
            [sys.executable, "-m", "app.worker.web_server", str(os.getpid())],
            cwd=ROOT,
            env={
                **environment(address, folder),
                "PORT": str(port),
                "HOST": "127.0.0.1",
                "TILL_LOG_LEVEL": "CRITICAL",
            },
        )
        try:
            workers.until(lambda: _answers(f"http://127.0.0.1:{port}/healthz", server), 40)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(20)


def _answers(url: str, server: subprocess.Popen[bytes]) -> bool:
    assert server.poll() is None, "the web server ended"
    try:
        with urllib.request.urlopen(url, timeout=1):
            return True
    except OSError:
        return False


@pytest.fixture
def merchant(till: str) -> Shop:
    """A merchant of this test alone, in the running Till."""
    return shops.make(f"Shop {uuid4().hex[:12]}")


@pytest.fixture
def client(till: str, merchant: Shop, naps: Naps) -> Iterator[PaymentClient]:
    """That merchant's client."""
    with PaymentClient(merchant.secret, merchant.actor.tenant.public_id, till) as made:
        yield made
