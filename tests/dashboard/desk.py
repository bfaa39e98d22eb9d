"""A merchant's people at the dashboard, for tests: signed in, with what a form needs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from flask.testing import FlaskClient
from sqlalchemy import select

from app.db import reading
from app.models.events.journal import JournalEntry
from app.services.access import users
from tests.shops import Shop

PASSWORD = "a long enough passphrase"
_TOKEN = re.compile(r'name="csrf_token"[^>]*value="([^"]+)"')


@dataclass
class Desk:
    """A browser with somebody of the shop signed in; addresses begin after /dashboard/test."""

    client: FlaskClient
    shop: Shop

    def page(self, path: str) -> str:
        """A screen that opens."""
        answer = self.client.get("/dashboard/test" + path)
        assert answer.status_code == 200, (path, answer.status_code, answer.text[-600:])
        return answer.text

    def status(self, path: str) -> int:
        """How a screen answers."""
        return self.client.get("/dashboard/test" + path).status_code

    def post(self, path: str, **fields: Any) -> Any:
        """Send a form; its token is that of any form, since one is good for the session."""
        form = {"csrf_token": self.token(), **fields}
        files = any(isinstance(value, tuple) for value in fields.values())
        kind = "multipart/form-data" if files else None
        return self.client.post("/dashboard/test" + path, data=form, content_type=kind)

    def token(self) -> str:
        """A form token of this session."""
        found = _TOKEN.search(self.client.get("/dashboard/security").text)
        assert found is not None
        return found.group(1)

    def step_up(self, action: str) -> None:
        """Confirm with the password."""
        address = f"/dashboard/confirm?action={action}&next=/dashboard/test"
        form = {"csrf_token": self.token(), "secret": PASSWORD}
        assert self.client.post(address, data=form).status_code == 303


def enter(client: FlaskClient, shop: Shop, role: str = "payments_admin") -> Desk:
    """Sign somebody of that role in."""
    email = f"{role.replace('_', '-')}@shop.test"
    users.create(shop.actor.tenant_id, email, "Olivia", role, PASSWORD)
    found = _TOKEN.search(client.get("/dashboard/sign-in").text)
    assert found is not None
    form = {"csrf_token": found.group(1), "email": email, "password": PASSWORD}
    assert client.post("/dashboard/sign-in", data=form).status_code == 303
    return Desk(client, shop)


def told(entity_id: str) -> list[str]:
    """The types of the journal's entries about a thing, in order."""
    statement = select(JournalEntry.type).where(JournalEntry.entity_id == entity_id).order_by(JournalEntry.id)
    with reading() as db:
        return list(db.scalars(statement))
