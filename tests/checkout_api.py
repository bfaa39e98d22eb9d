"""Calling one session's paths of the checkout surface in tests, by its server or by its shopper's browser."""

from __future__ import annotations

from itertools import count
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.services.access import tokens
from app.services.payments import methods
from tests.shops import GOOD, Shop, card

BASE = "/v1/checkout"


class Checkout:
    """A session that its merchant finalises by API, unless the draft says otherwise: a mug for 16.20."""

    def __init__(self, client: FlaskClient, shop: Shop, **draft: Any) -> None:
        self.client, self.shop, self.keys = client, shop, count()
        self.session = shop.session(**{"hosted": False, **draft})
        self.credential = shop.secret

    def browser(self) -> Checkout:
        """The same session with its client token."""
        other = object.__new__(Checkout)
        other.__dict__.update(self.__dict__)
        other.credential = tokens.client_token(self.shop.read(self.session))
        return other

    def call(self, method: str, path: str, body: Any = None, *, key: str | None = None) -> TestResponse:
        """The answer to a call; each has its own idempotency key unless it is given one."""
        headers = {
            "Authorization": f"Bearer {self.credential}",
            "Idempotency-Key": key or f"key-{next(self.keys)}-{self.session.id}",
        }
        sent = None if method == "GET" else body or {}
        return self.client.open(BASE + path, method=method, json=sent, headers=headers)

    def of(self, rest: str, body: Any = None, expect: int = 200, *, key: str | None = None) -> Any:
        """The body of a POST below the session."""
        return self._told(self.call("POST", f"/sessions/{self.session.id}{rest}", body, key=key), expect)

    def get(self, rest: str = "", expect: int = 200) -> Any:
        """The body of a GET below the session."""
        return self._told(self.call("GET", f"/sessions/{self.session.id}{rest}"), expect)

    def intent(self, rest: str, body: Any = None, expect: int = 200, *, key: str | None = None) -> Any:
        """The body of a POST below the session's payment."""
        return self.payment(f"{self.intent_id}{rest}", body, expect, key=key)

    def payment(self, rest: str, body: Any = None, expect: int = 200, *, key: str | None = None) -> Any:
        """The body of a POST below a payment of this name."""
        return self._told(self.call("POST", f"/payment-intents/{rest}", body, key=key), expect)

    @property
    def intent_id(self) -> str:
        """The session's payment."""
        found = self.shop.read(self.session).payment_intent_id
        assert found is not None
        return found

    def opened(self, **terms: Any) -> Any:
        """Its payment, opened."""
        return self.of("/payment-intents", terms, 201)

    def card(self, number: str = GOOD) -> str:
        """A card in the vault."""
        return methods.tokenize_card(self.shop.actor, card(number)).id

    def confirmed(self, number: str = GOOD, expect: int = 200, **body: Any) -> Any:
        """Its payment, confirmed with a card."""
        return self.intent("/confirm", {"payment_method_id": self.card(number), **body}, expect)

    def _told(self, answer: TestResponse, expect: int) -> Any:
        assert answer.status_code == expect, answer.get_data(as_text=True)
        return answer.json if answer.data else None
