"""People at the dashboard, for tests: signed in, stepped up, posting forms with their tokens."""

from __future__ import annotations

import re
from typing import Any

from flask.testing import FlaskClient

from app.services.access import users, web_sessions
from tests.shops import Shop

PASSWORD = "a long enough passphrase"
HOME = "/dashboard/test"


def enter(
    client: FlaskClient, shop: Shop, role: str = "payments_admin", email: str = "owner@shop.test"
) -> str:
    """Make a person of this role, signed in without the form, which other tests are about; their id."""
    made = users.create(shop.actor.tenant_id, email, "Olivia", role, PASSWORD)
    with client.session_transaction() as cookie:
        cookie["web_session"] = web_sessions.open_session(made.id)
    return made.id


def token(client: FlaskClient, path: str) -> str:
    """The CSRF token of a page's form."""
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', client.get(path).text)
    assert found is not None, f"no form on {path}"
    return found.group(1)


def post(client: FlaskClient, form_at: str, to: str, /, **fields: Any) -> Any:
    """Send the form of a page."""
    return client.post(to, data={"csrf_token": token(client, form_at), **fields})


def send(client: FlaskClient, to: str, /, **fields: Any) -> Any:
    """Send a form, whatever page it is on: the token of a session is good for all."""
    return post(client, "/dashboard/security", HOME + to, **fields)


def step_up(client: FlaskClient, action: str) -> None:
    """Note that the person has lately confirmed an action."""
    with client.session_transaction() as cookie:
        signed_in = web_sessions.load(cookie["web_session"])
    assert signed_in is not None
    web_sessions.confirm(signed_in.token_hash, action)


def see(client: FlaskClient, path: str, status: int = 200) -> str:
    """The text of a page that answers so."""
    answer = client.get(HOME + path)
    assert answer.status_code == status, f"{path}: {answer.status_code}"
    return answer.text
