"""Every page and screen of the app, opened by those who come to it, against what it declares."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from app.dashboard.step_up import ACTIONS
from app.services.access import web_sessions
from app.web import opens
from app.web.opens import Door, To
from tests.gates import offers
from tests.gates.identities import Identities
from tests.gates.rows import Rows
from tests.gates.things import Things

#: What stands in a path that names nothing of ours.
_MADE_UP = "x" * 30
#: Parameters of pages that name no stored thing.
_NAMELESS = {"mode", "filename", "name"}
#: Things that are one person's alone, the owner's here.
_PERSONAL = {"sign_in_id"}
#: Things of a merchant's that are neither test nor live: its people, and what is told of them.
_OF_BOTH_MODES = {"user_id", "entry_id", "sign_in_id"}
#: These answer a made-up address by leading on to where one can do something.
_SIGN_IN = "/dashboard/sign-in"


@dataclass(frozen=True)
class Page:
    """A route with its door."""

    rule: Rule
    door: Door
    method: str

    def __str__(self) -> str:
        return f"{self.method} {self.rule.rule}"


def walk(app: Flask, owned: Things, who: Identities, rows: Rows) -> tuple[list[str], dict[str, bytes]]:
    """Open everything: what is not as it is declared, and each page of HTML by its name."""
    app.config["WTF_CSRF_ENABLED"] = False  # proven elsewhere; here a door alone should stop a post
    wrong: list[str] = []
    seen: dict[str, bytes] = {}
    pages = pages_of(app)
    for page in pages:
        if page.method == "GET":
            wrong += _come(app, page, owned, who, seen)
    before = rows.say()
    for page in pages:
        if page.method != "GET":
            wrong += _come(app, page, owned, who, seen)
    after = rows.say()
    return [
        *wrong,
        *(f"what others sent changed {name}" for name in after if after[name] != before[name]),
    ], seen


def _keep(seen: dict[str, bytes], page: Page, answer: TestResponse) -> None:
    if answer.status_code == 200 and answer.mimetype == "text/html":
        seen[f"{page} {len(seen)}"] = answer.data


def _come(app: Flask, page: Page, owned: Things, who: Identities, seen: dict[str, bytes]) -> list[str]:
    come = _screen if page.door.to == To.PEOPLE else _open_page
    return come(app, page, owned, who, seen)


def pages_of(app: Flask) -> list[Page]:
    """Every page and screen: reads first."""
    found = []
    for rule in app.url_map.iter_rules():
        door = opens.declared(app.view_functions[rule.endpoint])
        if isinstance(door, Door):
            methods = (rule.methods or set()) - {"HEAD", "OPTIONS"}
            found += [Page(rule, door, method) for method in methods]
    return sorted(found, key=lambda page: (page.method, page.rule.rule))


def _open_page(app: Flask, page: Page, owned: Things, who: Identities, seen: dict[str, bytes]) -> list[str]:
    """No credential makes a difference; a made-up address is 404."""
    wrong, client = [], app.test_client()
    names = set(page.rule.arguments) - _NAMELESS
    if page.door.to == To.ADDRESS:
        made_up, _ = owned.fill(page.rule.rule, **dict.fromkeys(names, _MADE_UP))
        answer = client.open(made_up, method=page.method)
        if answer.status_code != 404:
            wrong.append(f"{page}: {answer.status_code} for an address that is none")
    if page.method == "GET":
        given = {"filename": "css/base.css", "name": "htmx.js"}
        states = owned.some("hosted_id") if "hosted_id" in names else [""]
        paths = [owned.fill(page.rule.rule, **given, hosted_id=state)[0] for state in states]
        answers = [client.get(path) for path in paths]
        for answer in answers:
            _keep(seen, page, answer)
        plain = [answer.status_code for answer in answers]
        headers = {"Authorization": f"Bearer {who.owner.credential}"}
        if not {200, 302, 303} & set(plain):
            wrong.append(f"{page}: {plain}")
        if [client.get(path, headers=headers).status_code for path in paths] != plain:
            wrong.append(f"{page}: a credential makes a difference")
    return wrong


def _screen(app: Flask, page: Page, owned: Things, who: Identities, seen: dict[str, bytes]) -> list[str]:
    """People alone; by permission, then by step-up; another merchant's things and live mode's are 404.

    Nothing tells another merchant of these things, and no screen offers anybody what they may not do.
    """
    wrong = []
    path, names = owned.fill(page.rule.rule, mode="test")
    things = names - _NAMELESS
    for headers in ({}, {"Authorization": f"Bearer {who.owner.credential}"}):
        answer = app.test_client().open(path, method=page.method, headers=headers)
        if answer.status_code != 303 or not answer.location.startswith(_SIGN_IN):
            wrong.append(f"{page} by nobody: {answer.status_code}")
    for name, (user_id, held) in who.people.items():
        client = _signed_in(app, user_id)
        allowed = page.door.permission is None or bool({page.door.permission, "*"} & held)
        if allowed and page.door.step_up is not None:
            answer = client.open(path, method=page.method)
            if answer.status_code != 303 or f"action={page.door.step_up}" not in answer.location:
                wrong.append(f"{page} by {name}: {answer.status_code} without step-up")
            client = _signed_in(app, user_id, page.door.step_up)
        if page.method != "GET" and name == "owner":
            continue  # what it does is its own test's; here it would take away what others look for
        answer = client.open(path, method=page.method)
        if not allowed:
            expected = {403}
        elif things and (name == "other tenant" or things <= _PERSONAL):
            expected = {404}
        else:
            expected = {200, 302, 303} if page.method == "GET" else {200, 201, 303, 401, 409, 422}
        if answer.status_code not in expected:
            wrong.append(f"{page} by {name}: {answer.status_code}, not {expected}")
        if name == "owner":
            _keep(seen, page, answer)
        if name == "other tenant":
            told = [id_ for id_ in owned.ids.values() if len(id_) > 12 and id_ not in path]
            wrong += [f"{page} tells another merchant of {id_}" for id_ in told if id_ in answer.text]
            continue
        if page.method == "GET" and allowed:
            answers = [client.get(here) for here in states(page, owned)]
            beyond = [what for answer in answers for what in offers.beyond(app, answer, held)]
            wrong += [f"{page} offers {name} {what}" for what in beyond]
        if allowed and things - _OF_BOTH_MODES and "mode" in names:
            live, _ = owned.fill(page.rule.rule, mode="live")
            answer = client.open(live, method=page.method)
            # real money wants a second factor first
            sets_up = page.door.step_up and answer.location == "/dashboard/security/totp"
            if answer.status_code != 404 and not sets_up:
                wrong.append(f"{page} by {name}: found in live mode")
    return wrong


def states(page: Page, owned: Things) -> list[str]:
    """Paths of a page: of the thing, and of others of its kind that are in other states."""
    path, names = owned.fill(page.rule.rule, mode="test")
    if len(names - _NAMELESS) != 1:
        return [path]
    [name] = names - _NAMELESS
    return [owned.fill(page.rule.rule, mode="test", **{name: other})[0] for other in owned.some(name)]


def _signed_in(app: Flask, user_id: str, confirmed: str | None = None) -> FlaskClient:
    """The browser of a person, who has lately confirmed an action or has not."""
    assert confirmed is None or confirmed in ACTIONS
    client, token = app.test_client(), web_sessions.open_session(user_id)
    if confirmed is not None:
        held = web_sessions.load(token)
        assert held is not None
        web_sessions.confirm(held.token_hash, confirmed)
    with client.session_transaction() as cookie:
        cookie["web_session"] = token
    return client
