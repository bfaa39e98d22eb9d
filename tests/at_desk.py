"""Somebody at the dashboard: signed in without the pages that the tests of signing in go through."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.models.access.user import User
from app.services.access import users, web_sessions
from tests.shops import Shop

PASSWORD = "a long enough passphrase"


@dataclass
class Desk:
    """A browser, and the person who is signed in with it."""

    client: FlaskClient
    user: User
    token: str

    def get(self, path: str, **query: str) -> TestResponse:
        """A screen of test mode; a path from the root stays as it is."""
        return self.client.get(_whole(path), query_string=query or None)

    def post(self, path: str, data: dict[str, Any] | None = None, **fields: Any) -> TestResponse:
        """Send a form."""
        return self.client.post(_whole(path), data={"csrf_token": self.csrf(), **(data or {}), **fields})

    def csrf(self) -> str:
        """The token of this browser's forms."""
        page = self.client.get("/dashboard/security/password").text
        found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)
        assert found is not None
        return found.group(1)

    def confirm(self, *actions: str) -> None:
        """Have stepped up for actions."""
        held = web_sessions.load(self.token)
        assert held is not None
        for action in actions:
            web_sessions.confirm(held.token_hash, action)


def at(
    app: Flask, shop: Shop, role: str = "payments_admin", email: str = "", *, user: User | None = None
) -> Desk:
    """A person of the shop at a browser of their own."""
    address = email or f"{role}@{shop.actor.tenant.slug}.test".replace("_", "-")
    who = user or users.create(shop.actor.tenant_id, address, "Olivia", role, PASSWORD)
    client, token = app.test_client(), web_sessions.open_session(who.id)
    with client.session_transaction() as cookie:
        cookie["web_session"] = token
    return Desk(client, who, token)


def _whole(path: str) -> str:
    return path if path.startswith("/dashboard") else f"/dashboard/test{path}"
