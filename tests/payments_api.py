"""Calling the payments surface in tests: bearer, idempotency keys, and payments as they come up."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.services.payments import methods
from tests.shops import GOOD, Shop, card

BASE = "/v1/payments"


@dataclass
class Api:
    """A caller of the payments surface; every call has its own idempotency key unless it is given one."""

    client: FlaskClient
    shop: Shop
    credential: str | None = None
    keys: Any = field(default_factory=count)

    def call(
        self, method: str, path: str, body: Any = None, *, key: str | None = None, **headers: str
    ) -> TestResponse:
        """The answer to a call."""
        sent = {
            "Authorization": f"Bearer {self.credential or self.shop.secret}",
            "Idempotency-Key": key or f"key-{next(self.keys)}",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        reads = method == "GET"
        return self.client.open(BASE + path, method=method, json=None if reads else body or {}, headers=sent)

    def get(self, path: str, expect: int = 200) -> Any:
        """The body of a read."""
        answer = self.call("GET", path)
        assert answer.status_code == expect, answer.get_data(as_text=True)
        return answer.json if answer.data else None

    def post(self, path: str, body: Any = None, expect: int = 200, *, key: str | None = None) -> Any:
        """The body of a write."""
        answer = self.call("POST", path, body, key=key)
        assert answer.status_code == expect, answer.get_data(as_text=True)
        return answer.json

    def patch(self, path: str, body: Any, expect: int = 200, **headers: str) -> Any:
        """The body of a change."""
        answer = self.call("PATCH", path, body, **headers)
        assert answer.status_code == expect, answer.get_data(as_text=True)
        return answer.json

    def browser(self, secret: str) -> Api:
        """The same surface with a payment's client secret."""
        return Api(self.client, self.shop, secret)

    def method(self, number: str = GOOD) -> str:
        """A card in the vault."""
        return methods.tokenize_card(self.shop.actor, card(number)).id

    def intent(self, number: str | None = GOOD, **fields: Any) -> Any:
        """An intent of 50.00, with a card unless none is wanted."""
        body = {"amount": 5000, "currency": "GBP", **fields}
        if number is not None:
            body["payment_method_id"] = self.method(number)
        return self.post("/intents", body, 201)

    def held(self, amount: int = 5000) -> str:
        """The id of an intent that waits for its capture."""
        made = self.intent(capture_mode="manual", amount=amount)
        assert self.post(f"/intents/{made['id']}/confirm")["status"] == "requires_capture"
        return str(made["id"])
