"""A whole Till for browser tests: `flask serve` in its own processes, the demo merchant, a real Chromium."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy.engine import URL

from tests import receiver as receivers

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)


@dataclass
class Till:
    """A running Till: its address and the demo merchant's credentials."""

    base: str
    demo: dict[str, Any]
    receiver: receivers.Receiver
    webhook_secret: str = ""

    def api(self, path: str, body: dict[str, Any], **headers: str) -> dict[str, Any]:
        """A call of the merchant's server."""
        request = urllib.request.Request(
            self.base + path,
            json.dumps(body).encode(),
            {
                "Content-Type": "application/json",
                "Authorization": f"Bearer {self.demo['keys']['secret']}",
                **headers,
            },
            method="POST",
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)  # type: ignore[no-any-return]

    def session(self, **body: Any) -> tuple[str, str]:
        """A session with its hosted page: (checkout id, address)."""
        made = self.api("/v1/checkout/sessions", {"cart_id": "cart_123", **body})
        hosted = self.api(f"/v1/checkout/sessions/{made['checkout_id']}/hosted-url", {})
        return made["checkout_id"], hosted["url"]

    def state(self, checkout_id: str) -> dict[str, Any]:
        """The session as the API shows it."""
        request = urllib.request.Request(
            f"{self.base}/v1/checkout/sessions/{checkout_id}",
            headers={"Authorization": f"Bearer {self.demo['keys']['secret']}"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)  # type: ignore[no-any-return]


@pytest.fixture(scope="session")
def till(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Till]:
    """Web server and worker over a fresh SQLite database, as `make run` starts them."""
    with started(tmp_path_factory.mktemp("till")) as running:
        yield running


@pytest.fixture
def till_on_postgresql(postgresql_server: URL, tmp_path: Path) -> Iterator[Till]:
    """The same over PostgreSQL."""
    name = f"till_browser_{os.getpid()}"
    with psycopg.connect(address_of(postgresql_server), autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        connection.execute(f'CREATE DATABASE "{name}"')
    with started(tmp_path, address_of(postgresql_server.set(database=name))) as running:
        yield running


def address_of(server: URL) -> str:
    """The address as the driver takes it."""
    return server.set(drivername="postgresql").render_as_string(hide_password=False)


@contextmanager
def started(folder: Path, database_url: str | None = None, **more: str) -> Iterator[Till]:
    """A Till in its own processes, with the demo merchant and a receiver for its webhooks; `more` variables."""
    port = _free_port()
    variables = {
        **os.environ,
        "TILL_DATA_DIR": str(folder),
        "PORT": str(port),
        "TILL_LOG_LEVEL": "ERROR",
        "TILL_ENV": "development",
        "TILL_TRUSTED_PROXIES": "1",
        "TILL_API_READS_PER_SECOND": "0",
        "TILL_API_WRITES_PER_SECOND": "0",
        **more,
    }
    for name in ("DATABASE_URL", "TILL_FAILPOINT"):
        variables.pop(name, None)
    if database_url is not None:
        variables["DATABASE_URL"] = database_url
    flask = [sys.executable, "-m", "flask", "--app", "wsgi"]
    subprocess.run([*flask, "db", "upgrade"], env=variables, check=True)
    made = subprocess.run([*flask, "demo", "--json"], env=variables, check=True, capture_output=True)
    server = subprocess.Popen([*flask, "serve", "--no-demo"], env=variables, start_new_session=True)
    base = f"http://127.0.0.1:{port}"
    try:
        _wait(base, server)
        with receivers.running(folder) as receiver:
            yield _with_webhook(Till(base, json.loads(made.stdout), receiver))
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(30)


def _with_webhook(till: Till) -> Till:
    """The merchant listens from the start; its endpoint fails the first time that each event comes."""
    made = till.api(
        "/v1/checkout/webhooks",
        {"url": till.receiver.url("/fail/1/all"), "events": ["checkout.completed", "payment.succeeded"]},
    )
    till.webhook_secret = made["secret"]
    return till


def _wait(base: str, server: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 40
    while time.monotonic() < until:
        assert server.poll() is None, "flask serve ended"
        try:
            urllib.request.urlopen(base + "/healthz", timeout=1)
            return
        except OSError:
            time.sleep(0.1)
    raise AssertionError("flask serve did not start")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """The system's Chromium where there is one, quiet and without a sandbox for root."""
    extra: dict[str, Any] = {
        "args": [
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            "--disable-component-update",
        ]
    }
    if CHROMIUM is not None:
        extra["executable_path"] = CHROMIUM
    return {**browser_type_launch_args, **extra}


@pytest.fixture(scope="session")
def axe() -> str:
    """The source of axe-core, which looks for barriers."""
    path = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"
    return path.read_text()
