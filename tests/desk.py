"""People of a merchant at the dashboard, for tests: signed in without the form, which tests/dashboard/test_screens.py is about."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from app.db import reading
from app.models.access.user import User
from app.models.events.journal import JournalEntry
from app.services.access import users, web_sessions
from tests.shops import Shop

PASSWORD = "a long enough passphrase"


@dataclass
class Desk:
    """A browser, and the person who is signed in with it. Paths begin after /dashboard/test, unless they are whole."""

    client: FlaskClient
    user: User
    _csrf: str = ""

    def get(self, path: str, /, **query: str) -> TestResponse:
        """How a screen answers."""
        return self.client.get(_whole(path), query_string=query or None)

    def page(self, path: str, status: int = 200, /, **query: str) -> str:
        """What a screen says that answers so."""
        answer = self.get(path, **query)
        assert answer.status_code == status, (path, answer.status_code, answer.text[-600:])
        return answer.text

    def status(self, path: str) -> int:
        """The status of a screen."""
        return self.get(path).status_code

    def post(self, path: str, data: dict[str, Any] | None = None, /, **fields: Any) -> TestResponse:
        """Send a form."""
        return self.client.post(_whole(path), data={"csrf_token": self.csrf(), **(data or {}), **fields})

    def csrf(self) -> str:
        """A form's token, which is good for this browser's session."""
        if not self._csrf:
            page = self.client.get("/dashboard/security/password").text
            found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)
            assert found is not None, page
            self._csrf = found.group(1)
        return self._csrf

    def confirm(self, *actions: str) -> None:
        """Have stepped up for actions, without the form."""
        with self.client.session_transaction() as cookie:
            held = web_sessions.load(str(cookie["web_session"]))
        assert held is not None
        for action in actions:
            web_sessions.confirm(held.token_hash, action)


def enter(
    client: FlaskClient,
    shop: Shop,
    role: str = "payments_admin",
    email: str = "",
    *,
    user: User | None = None,
) -> Desk:
    """Somebody of that role sits down at a browser; whoever sat there is gone."""
    address = email or f"{role}@{shop.actor.tenant.slug}.test".replace("_", "-")
    who = user or users.create(shop.actor.tenant_id, address, "Olivia", role, PASSWORD)
    with client.session_transaction() as cookie:
        cookie["web_session"] = web_sessions.open_session(who.id)
    return Desk(client, who)


def at(
    app: Flask, shop: Shop, role: str = "payments_admin", email: str = "", *, user: User | None = None
) -> Desk:
    """Somebody at a browser of their own."""
    return enter(app.test_client(), shop, role, email, user=user)


def told(entity_id: str) -> list[str]:
    """The types of the journal's entries about a thing, in order."""
    statement = select(JournalEntry.type).where(JournalEntry.entity_id == entity_id).order_by(JournalEntry.id)
    with reading() as db:
        return list(db.scalars(statement))


@pytest.fixture
def desk(client: FlaskClient, shop: Shop) -> Desk:
    """The owner of the shop, signed in."""
    return enter(client, shop)


@pytest.fixture
def viewer(client: FlaskClient, shop: Shop) -> Desk:
    """Somebody who may look and nothing more."""
    return enter(client, shop, "read_only")


def _whole(path: str) -> str:
    return path if path.startswith(("/dashboard", "http")) else f"/dashboard/test{path}"
