"""The dashboard for tests: somebody of a shop at their browser, signed in, who fills in forms and confirms."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.services.access import users, web_sessions
from tests.shops import Shop

PASSWORD = "a long enough passphrase"


class Desk:
    """A browser of one person."""

    def __init__(self, client: FlaskClient, shop: Shop, role: str = "payments_admin") -> None:
        self.client, self.shop = client, shop
        self.user = users.create(shop.actor.tenant_id, f"{role}@shop.test", "Olivia", role, PASSWORD)
        with client.session_transaction() as cookie:
            cookie["web_session"] = web_sessions.open_session(self.user.id)

    def get(self, path: str, mode: str = "test", **query: str) -> TestResponse:
        """Open a screen."""
        return self.client.get(f"/dashboard/{mode}{path}", query_string=query)

    def text(self, path: str, **query: str) -> str:
        """What a screen says."""
        answer = self.get(path, **query)
        assert answer.status_code == 200, answer.text
        return answer.text

    def post(self, path: str, *, form_at: str | None = None, **fields: Any) -> TestResponse:
        """Send a form with the token of the page that it is on (without one: of the profile)."""
        page = self.client.get(f"/dashboard/test{form_at}" if form_at else "/dashboard/security").text
        found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)
        assert found is not None, "no form there"
        return self.client.post(f"/dashboard/test{path}", data={"csrf_token": found.group(1), **fields})

    def confirm(self, action: str) -> None:
        """Step up."""
        with self.client.session_transaction() as cookie:
            held = web_sessions.load(str(cookie["web_session"]))
        assert held is not None
        web_sessions.confirm(held.token_hash, action)


@pytest.fixture
def desk(client: FlaskClient, shop: Shop) -> Desk:
    """The owner of the shop, signed in."""
    return Desk(client, shop)


@pytest.fixture
def viewer(client: FlaskClient, shop: Shop) -> Desk:
    """Somebody who may look and nothing more."""
    return Desk(client, shop, "read_only")
