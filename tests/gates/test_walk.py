"""Every route of the app, walked by seven identities, against its declared policy.

Routes come from the app's own map, expectations from the declarations; nothing here lists an endpoint. What
is refused leaves no row and no word of the merchant's things; another merchant, the merchant's own live key
and another session's browser are told 404 about things that are there for their owner.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import delete
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from app.db import engine, transaction
from app.domain.actor import ActorKind
from app.models.operations.rate_window import RateHit
from app.web import opens
from app.web.surface import Policy
from tests import html, reviewers, shops
from tests.gates import bodies, pages, things
from tests.gates.identities import Identities, Identity, Word
from tests.gates.rows import Rows
from tests.gates.things import Things
from tests.shops import Shop

#: Parameters that name no stored thing: whose path it is, a day, a kind of payment.
_NAMELESS = {"tenant_id", "date", "apm_id"}
#: Whose items are looked up by the job that does them.
_BULK = {"PY-027"}
#: Where a person acts on either mode, whichever their token is of (docs/adr/0031).
_EITHER_MODE = {"MR-007"}
#: Tables where a merchant's live mode and test mode lie side by side.
_WITHOUT_MODE = frozenset({"jobs", "job_items", "roles", "users"})


@dataclass(frozen=True)
class Endpoint:
    """A route of the API with its policy, and what fills its path."""

    rule: Rule
    policy: Policy
    path: str
    names: frozenset[str]

    @property
    def writes(self) -> bool:
        """Whether it may change anything."""
        return self.policy.method != "GET"

    @property
    def at_tenants_path(self) -> bool:
        """Whether this is the second place of an endpoint (OP-44)."""
        return "tenant_id" in self.rule.arguments

    def __str__(self) -> str:
        return f"{self.policy.contract_id} {self.policy.method} {self.rule.rule}"


def endpoints(app: Flask, owned: Things) -> Iterator[Endpoint]:
    """Every route that has a policy: reads first, then changes, what is taken away last."""
    found = []
    for rule in app.url_map.iter_rules():
        policy = opens.declared(app.view_functions[rule.endpoint])
        if not isinstance(policy, Policy):
            continue
        path, named = owned.fill(rule.rule)
        found.append(Endpoint(rule, policy, path, named - _NAMELESS))
    order = ["GET", "POST", "PATCH", "PUT", "DELETE"]
    yield from sorted(found, key=lambda one: order.index(one.policy.method))


class Walk:
    """The app, one merchant's things, and all who come; `wrong` is what they found."""

    def __init__(self, app: Flask, client: FlaskClient, shop: Shop) -> None:
        self.client, self.shop, self.stranger = client, shop, shops.make("Stranger")
        self.owned = things.make(client, shop)
        other = shop.session()
        self.who = Identities(shop, self.stranger, self.owned.ids["checkout_id"], other.id)
        self.owned.ids["sign_in_id"] = self.who.sign_in_id
        order = client.post("/api/orders", json={"subtotal": 10}, headers=self.who.bearer_in_person)
        assert order.json is not None, order.text
        self.owned.ids["order_id"] = str(order.json["id"])
        self.endpoints = list(endpoints(app, self.owned))
        for one in self.endpoints:
            self.who.scopeless(one.policy)
        self.rows = Rows(shop.actor.tenant_id)
        self.wrong: list[str] = []

    def call(self, one: Endpoint, who: Identity, more: dict[str, Any] | None = None) -> TestResponse:
        """What this caller is answered there."""
        headers = who.headers(one.policy)
        if one.policy.limit is not None:
            with transaction() as db:
                db.execute(delete(RateHit))  # how often one may come is another test's
        if one.policy.key_required:
            headers["Idempotency-Key"] = f"{who.name}-{one.policy.contract_id}"
        body = bodies.smallest(one.policy, self.owned.ids)
        if body is not None:
            body |= more or {}
        query = bodies.asked(one.policy, self.owned.ids)
        return self.client.open(
            one.path, method=one.policy.method, json=body, query_string=query, headers=headers
        )

    def nothing_changed(
        self, one: Endpoint, before: dict[str, int], *, mine: bool, but: frozenset[str] = frozenset()
    ) -> None:
        """Note tables that have more or fewer rows than before."""
        if one.writes:
            after = self.rows.count(mine=mine)
            changed = {name for name in after if after[name] != before[name]} - but
            if changed:
                self.wrong.append(f"{one} changed {sorted(changed)}")
            before |= after

    def expect(self, good: bool, one: Endpoint, who: Identity, answer: TestResponse, why: str) -> None:
        """Note what is not as it should be."""
        if not good:
            self.wrong.append(f"{one} by {who.name}: {why}: {answer.status_code} {answer.text[:200]}")

    def refuses(self, one: Endpoint, who: Identity, word: Word) -> None:
        """A caller whom the policy does not let in: status, the surface's own body, and no word more."""
        answer = self.call(one, who)
        status = 403 if word == Word.FORBIDDEN else 401
        self.expect(answer.status_code == status, one, who, answer, f"should be {status}")
        self.expect(_shaped(one.policy, answer), one, who, answer, "not this surface's error")
        if word == Word.CONFIRM:
            told = answer.get_json() or {}
            self.expect("challenge" in str(told).lower(), one, who, answer, "no challenge")
        self.tells_nothing(one, who, answer)

    def is_not_there(self, one: Endpoint, who: Identity) -> None:
        """A caller who is let in, and for whom these things are not there."""
        answer = self.call(one, who)
        if one.at_tenants_path and who.other_tenant:
            self.expect(answer.status_code == 403, one, who, answer, "should be tenant_mismatch")
        elif one.policy.sandbox_only and one.writes and who.live:
            self.expect(answer.status_code == 403, one, who, answer, "the sandbox is for test mode")
        elif self.names(one):
            late = one.policy.contract_id in _BULK and answer.status_code == 202  # its items are told 404
            self.expect(late or answer.status_code == 404, one, who, answer, "should be 404")
        else:
            gone = answer.status_code in (401, 403) or answer.status_code >= 500
            self.expect(not gone, one, who, answer, "the policy lets them in")
        self.tells_nothing(one, who, answer)
        for more in bodies.optional_ids(one.policy, self.owned.ids):
            answer = self.call(one, who, more)
            self.expect(400 <= answer.status_code < 500, one, who, answer, f"took {more}")
            self.tells_nothing(one, who, answer)

    def names(self, one: Endpoint) -> bool:
        """Whether a call there names a thing of the merchant's."""
        body = bodies.smallest(one.policy, self.owned.ids)
        return bool(one.names) or bodies.named(body) or bodies.asks_for(one.policy)

    def tells_nothing(self, one: Endpoint, who: Identity, answer: TestResponse) -> None:
        """No id of the merchant's things is in the answer, but for those that were in the question."""
        ids = self.owned.ids
        asked = one.path + str(bodies.smallest(one.policy, ids)) + str(bodies.asked(one.policy, ids))
        merchant = self.shop.actor.tenant
        told = [text for text in ids.values() if len(text) > 12 and text not in asked]
        told = [text for text in told if text != merchant.public_id]
        if not who.live:
            told += [merchant.id, merchant.public_id, merchant.name]
        leaked = [text for text in told if text in answer.text]
        self.expect(not leaked, one, who, answer, f"told {leaked}")


def _shaped(policy: Policy, answer: TestResponse) -> bool:
    told = answer.get_json(silent=True) or {}
    if policy.surface.render_error.__name__ == "short":
        return set(told) in ({"error"}, {"msg"})
    wanted = {"numbered": {"statusCode", "message"}, "upper": {"error", "code"}}
    shape = wanted.get(policy.surface.render_error.__name__, {"error", "code", "request_id"})
    upper = policy.surface.render_error.__name__ != "upper" or told.get("code", "").isupper()
    return shape <= set(told) and upper


@pytest.fixture
def walk(app: Flask, client: FlaskClient, shop: Shop) -> Walk:
    """Everybody, before every endpoint."""
    return Walk(app, client, shop)


def test_every_route_lets_in_whom_its_policy_names_and_nobody_else(
    app: Flask, walk: Walk, tmp_path: Path
) -> None:
    before = walk.rows.say()
    nobody_else_gets_in(walk)
    assert not walk.wrong, "\n".join(walk.wrong)
    assert walk.rows.say() == before

    things_are_not_there(walk, walk.who.stranger)
    assert not walk.wrong, "\n".join(walk.wrong)
    assert reviewers.run_jobs("refunds.create_many") == 1, "the stranger's"
    assert walk.rows.say() == before

    things_are_not_there(walk, lambda _: walk.who.other_token)
    things_are_not_there(walk, lambda _: walk.who.other_secret)
    things_are_not_there(walk, walk.who.live)
    assert not walk.wrong, "\n".join(walk.wrong)
    assert reviewers.run_jobs("refunds.create_many") == 1, "that of the live key"
    after = walk.rows.say()
    assert {name for name in after if after[name] != before[name]} <= _WITHOUT_MODE

    those_who_may_get_in(walk)
    wrong, seen = pages.walk(app, walk.owned, walk.who, walk.rows)
    walk.wrong += wrong
    if engine().dialect.name == "sqlite":  # either database's pages are the same
        walk.wrong += html.faults(seen, tmp_path / "pages")
    assert not walk.wrong, "\n".join(walk.wrong)

    the_owner_finds_all_of_it(walk)
    assert not walk.wrong, "\n".join(walk.wrong)


def nobody_else_gets_in(walk: Walk) -> None:
    """What a policy refuses is refused in the surface's own words, and nothing is stored."""
    who, rows = walk.who, walk.rows.count()
    for one in walk.endpoints:
        callers = [who.none]
        if not one.at_tenants_path:
            callers += [who.viewer, who.publishable, who.token, who.scopeless(one.policy)]
            callers += [who.owner_in_person, who.machine, who.other_secret]
        for caller in callers:
            word = caller.word(one.policy)
            if one.policy.auth and word != Word.IN:
                walk.refuses(one, caller, word)
        walk.nothing_changed(one, rows, mine=False)


def things_are_not_there(walk: Walk, who: Callable[[Policy], Identity]) -> None:
    """Another merchant, another shopper and the merchant's live mode are let in, and find nothing."""
    rows = walk.rows.count(mine=True)
    for one in walk.endpoints:
        caller = who(one.policy)
        at_home = caller.live and one.policy.contract_id in _EITHER_MODE
        asks = caller.kind == ActorKind.API_KEY or caller.confirms is not None or walk.names(one)
        if one.policy.auth and asks and not at_home and caller.word(one.policy) == Word.IN:
            walk.is_not_there(one, caller)
        walk.nothing_changed(one, rows, mine=True, but=_WITHOUT_MODE if caller.live else frozenset())


def those_who_may_get_in(walk: Walk) -> None:
    """Whom a policy names is not turned away: a viewer, a store front, a shopper's browser, a machine."""
    who = walk.who
    for one in walk.endpoints:
        for caller in (who.viewer, who.publishable, who.token, who.machine):
            reads = not one.writes or caller is who.publishable
            if reads and caller.word(one.policy) == Word.IN and not one.at_tenants_path:
                answer = walk.call(one, caller)
                turned_away = answer.status_code in (401, 403) or answer.status_code >= 500
                walk.expect(not turned_away, one, caller, answer, "the policy lets them in")


def the_owner_finds_all_of_it(walk: Walk) -> None:
    """What the others are told is not there is there; a call that nobody signed does nothing."""
    for one in walk.endpoints:
        if one.writes and one.at_tenants_path:
            continue  # the same endpoint, and what it takes is gone by now
        rows = walk.rows.count() if one.policy.signed else {}
        answer = walk.call(one, walk.who.on(one.policy))
        if one.policy.signed:
            walk.expect(400 <= answer.status_code < 500, one, walk.who.none, answer, "nobody signed this")
            walk.nothing_changed(one, rows, mine=False)
        elif one.policy.contract_id == "OP-05":
            walk.expect(answer.status_code == 401, one, walk.who.none, answer, "a key that is none")
        elif not one.writes:
            good = answer.status_code == 200 or (answer.status_code == 204 and one.policy.may_be_empty)
            walk.expect(good, one, walk.who.owner, answer, "the owner's own")
        else:
            gone = answer.status_code == 404 and one.policy.method != "DELETE"  # some go with others
            refused = answer.status_code in (401, 403, 405, 415) or answer.status_code >= 500
            walk.expect(not refused and not gone, one, walk.who.owner, answer, "the owner's own")
