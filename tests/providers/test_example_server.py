"""The example of docs/providers.md runs as it is told there, with nothing but Python, and refuses what it should."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx2 as httpx
import pytest

from app.kit import clock, signing
from tests.providers_apart import EXAMPLE

SECRET = "whsec_c2VjcmV0"


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The example, started as the page says, without any package installed."""
    command = [sys.executable, "-I", "-S", str(EXAMPLE), "0", f"tax={SECRET}", f"inventory={SECRET}"]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        yield child.stdout.readline().partition("/{provider}")[0]
    finally:
        child.kill()
        child.wait()
        assert child.stdout is not None
        child.stdout.close()


def post(
    address: str,
    path: str,
    operation: str,
    data: Any,
    *,
    secret: str = SECRET,
    key: str = "k",
    age: float = 0,
) -> httpx.Response:
    call = {"merchant_id": "m", "mode": "test", "operation": operation, "data": data}
    body = json.dumps(call).encode()
    at = clock.now() - timedelta(seconds=age)
    headers = {"Till-Signature": signing.timestamped_signature(body, [secret], at), "Idempotency-Key": key}
    return httpx.post(address + path, content=body, headers=headers, trust_env=False)


TAX = {"address": {"country": "GB"}, "currency": "GBP", "lines": []}


def test_it_answers_what_is_signed(address: str) -> None:
    answer = post(address, "/tax/rate", "tax.rate", TAX)
    assert (answer.status_code, answer.json()) == (200, {"name": "VAT GB", "percent": "20"})


def test_it_refuses_what_is_not(address: str) -> None:
    assert post(address, "/tax/rate", "tax.rate", TAX, secret="another").status_code == 401
    assert post(address, "/tax/rate", "tax.rate", TAX, age=301).status_code == 401
    assert post(address, "/tax/rate", "tax.rate", TAX, age=-301).status_code == 401
    assert post(address, "/inventory/release", "inventory.hold", {}).status_code == 400
    assert post(address, "/carts/get", "carts.get", {}, secret="").status_code == 404
    assert post(address, "/tax/_uses_left", "tax._uses_left", {}).status_code == 404
    unsigned = httpx.post(address + "/tax/rate", content=b"{}", trust_env=False)
    assert unsigned.status_code == 401


def test_a_repeated_call_is_answered_as_the_first(address: str) -> None:
    lines = [{"line_id": "a", "sku": "MUG", "reserved_qty": 1}]
    sale = {"hold_id": "h1", "lines": lines}
    for _ in range(2):
        sold = post(address, "/inventory/commit", "inventory.commit", sale, key="c1")
        assert (sold.status_code, sold.json()) == (200, {})
    unknown = {"hold_id": "h2", "lines": lines}
    assert post(address, "/inventory/restock", "inventory.restock", unknown, key="r1").status_code == 409
