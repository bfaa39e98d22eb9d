"""A merchant's own systems in a process of their own: the example of docs/providers.md, made to misbehave.

`python -m tests.providers_apart PORT_FILE` serves until killed. `POST /_do` changes what it knows and how it
misbehaves, `GET /_seen` tells what it was asked, `GET /_state` what it holds.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2 as httpx
import pytest

from app import db
from app.db.engine import engine
from app.kit import clock
from app.kit.breaker import Breaker
from app.providers.remote import caller
from app.services.access import keys
from app.services.operations import provider_settings
from tests.shops import Shop

EXAMPLE = Path(__file__).resolve().parents[1] / "docs" / "examples" / "provider_server.py"
#: What a slow answer takes, and what a test waits for it.
SLOW_SECONDS, PATIENCE_SECONDS = 0.6, 0.25


class Systems:
    """The test's side of the process."""

    def __init__(self, base: str) -> None:
        self.base = base
        self._client = httpx.Client(base_url=base, trust_env=False, timeout=20)

    def url(self, provider: str) -> str:
        """Where a provider is."""
        return f"{self.base}/{provider}"

    def knows(self, **facts: Any) -> None:
        """Let the shop there know this: `stock={"POT": 1}`, `prices=…`, `coupons=…`."""
        self._client.post("/_do", json={"knows": facts}).raise_for_status()

    def misbehaves(self, operation: str, how: str, times: int = 1_000, **more: Any) -> None:
        """Let an operation (`tax.rate`) go wrong so many times, in one of the ways of `_Handler.misbehave`."""
        order = {"operation": operation, "how": how, "times": times, **more}
        self._client.post("/_do", json={"misbehaves": order}).raise_for_status()

    def says(self, operation: str, answer: Any, times: int = 1_000) -> None:
        """Let an operation answer exactly that."""
        self.misbehaves(operation, "says", times, answer=answer)

    def behaves(self) -> None:
        """Everything is well again."""
        self._client.post("/_do", json={"behaves": True}).raise_for_status()

    def seen(self, operation: str = "") -> list[dict[str, Any]]:
        """Calls that came for an operation, oldest first: `headers`, `body` (text), `call`."""
        found: list[dict[str, Any]] = self._client.get("/_seen").raise_for_status().json()
        return [each for each in found if each["call"]["operation"].startswith(operation)]

    def state(self) -> dict[str, Any]:
        """Everything that the shop there knows."""
        found: dict[str, Any] = self._client.get("/_state").raise_for_status().json()
        return found

    def serve(self, shop: Shop, *names: str) -> Shop:
        """The shop after its merchant chose these systems for its checkout."""
        chosen = {name: {"kind": "http", "url": self.url(name)} for name in names}
        secrets = provider_settings.choose(shop.actor, chosen)
        self._client.post("/_do", json={"secrets": secrets}).raise_for_status()
        return Shop(keys.authenticate(shop.secret), shop.secret)

    @contextmanager
    def later(self, seconds: float) -> Iterator[None]:
        """So much later, there as here."""
        self._client.post("/_do", json={"later": seconds}).raise_for_status()
        try:
            with clock.frozen(clock.now() + timedelta(seconds=seconds)):
                yield
        finally:
            self._client.post("/_do", json={"later": 0}).raise_for_status()

    def forget(self) -> None:
        """Begin anew."""
        self._client.post("/_do", json={"forget": True}).raise_for_status()


@contextmanager
def running(folder: Path) -> Iterator[Systems]:
    """The process."""
    port_file = folder / "providers-port"
    child = subprocess.Popen([sys.executable, "-m", "tests.providers_apart", str(port_file)])
    try:
        until = time.monotonic() + 20
        while not (port_file.exists() and port_file.read_text().endswith("\n")):
            assert child.poll() is None and time.monotonic() < until, "the systems did not start"
            time.sleep(0.02)
        yield Systems(f"http://127.0.0.1:{port_file.read_text().strip()}")
    finally:
        child.kill()
        child.wait()


@pytest.fixture(scope="session")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Systems]:
    """One process for all tests."""
    with running(tmp_path_factory.mktemp("providers")) as systems:
        yield systems


@pytest.fixture
def systems(process: Systems, monkeypatch: pytest.MonkeyPatch) -> Systems:
    """The systems, knowing nothing yet; nobody waits long for them, and nothing has failed before."""
    process.forget()
    monkeypatch.setattr(caller, "breaker", Breaker())
    monkeypatch.setattr(caller, "TRY_SECONDS", PATIENCE_SECONDS)
    monkeypatch.setattr(caller, "BACK_OFF_SECONDS", 0.01)
    return process


@pytest.fixture
def nothing_open(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No transaction is open, and no connection of the pool in use, while a system is called."""
    post, found = caller._post, []

    def looking(*asked: Any) -> Any:
        alone = threading.current_thread() is threading.main_thread()
        in_use = engine().pool.checkedout() if alone else 0  # type: ignore[attr-defined]
        found.append((db.in_transaction(), in_use))
        return post(*asked)

    monkeypatch.setattr(caller, "_post", looking)
    yield
    assert set(found) <= {(False, 0)}


def _example() -> Any:
    spec = importlib.util.spec_from_file_location("provider_server", EXAMPLE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["provider_server"] = module
    spec.loader.exec_module(module)
    return module


def serve(port_file: Path) -> None:
    """Serve until killed."""
    example = _example()
    wrongs: dict[str, dict[str, Any]] = {}
    ahead = [0.0]
    example.time = SimpleNamespace(time=lambda: time.time() + ahead[0])
    seen: list[dict[str, Any]] = []
    lock = threading.Lock()

    class Handler(example.Handler):  # type: ignore[misc, name-defined]
        def answer(self, body: bytes) -> Any:
            if self.path == "/_do":
                return self.do(json.loads(body))
            call = json.loads(body)
            with lock:
                headers = {name.lower(): value for name, value in self.headers.items()}
                seen.append({"headers": headers, "body": body.decode(), "call": call})
                wrong = wrongs.get(call["operation"])
                if wrong is None or wrong["times"] <= 0:
                    wrong = None
                else:
                    wrong["times"] -= 1
            return super().answer(body) if wrong is None else self.misbehave(wrong, body)

        def misbehave(self, wrong: dict[str, Any], body: bytes) -> Any:
            match wrong["how"]:
                case "slow":
                    time.sleep(SLOW_SECONDS)
                    return super().answer(body)
                case "drop":
                    raise ConnectionAbortedError
                case "act, then drop":
                    super().answer(body)
                    raise ConnectionAbortedError
                case "drip":
                    self.close_connection = True
                    for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"a" * 100:
                        self.wfile.write(bytes([byte]))
                        time.sleep(0.02)
                    raise ConnectionAbortedError
                case "status":
                    raise example.RefusedError(wrong["status"], "on purpose")
                case "says":
                    return wrong["answer"]
                case "text":
                    self.raw(wrong["text"].encode())
                    raise BrokenPipeError
                case "huge":
                    return {"name": "x" * 400_000}
            raise AssertionError(wrong)

        def raw(self, text: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def do(self, order: dict[str, Any]) -> Any:
            shop = example.Handler.shop
            with lock, shop.lock:
                ahead[0] = order.get("later", ahead[0])
                if order.get("forget"):
                    example.Handler.shop, example.Handler.answered = example.Shop(), {}
                    seen.clear()
                if order.get("forget") or order.get("behaves"):
                    wrongs.clear()
                for name, value in order.get("knows", {}).items():
                    setattr(shop, name, value)
                if "misbehaves" in order:
                    wrongs[order["misbehaves"]["operation"]] = order["misbehaves"]
                example.Handler.secrets |= order.get("secrets", {})
            return {}

        def do_POST(self) -> None:
            try:
                super().do_POST()
            except OSError:
                self.close_connection = True

        def do_GET(self) -> None:
            with lock:
                facts = {k: v for k, v in vars(example.Handler.shop).items() if k != "lock"}
                text = json.dumps(seen if self.path == "/_seen" else facts).encode()
            self.raw(text)

    example.Handler.shop, example.Handler.answered, example.Handler.secrets = example.Shop(), {}, {}
    server = example.Server(("127.0.0.1", 0), Handler)
    port_file.write_text(f"{server.server_port}\n")
    server.serve_forever()


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
