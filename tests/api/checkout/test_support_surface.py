"""CK-055, CK-059 to CK-063 and CK-066 over HTTP: bodies, codes, headers, credentials and roles."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from app.domain.permissions import CHECKOUT_OVERRIDE
from app.services.access import keys, tokens, users
from app.services.checkout import holds, resolutions
from tests import catalogue
from tests.buyers import together
from tests.failures import awaited, failed
from tests.shops import GOOD, Shop, later, make

pytestmark = pytest.mark.usefixtures("holds")

URL = "/v1/checkout"


def call(
    client: FlaskClient, method: str, path: str, credential: str, body: Any = None, **headers: str
) -> Any:
    sent = {"Authorization": f"Bearer {credential}", **headers}
    return client.open(URL + path, method=method, json=body, headers=sent)


def key(shop: Shop, *scopes: str) -> str:
    return keys.create(shop.actor, "narrow", scopes=list(scopes))[1]


def person(shop: Shop, role: str) -> str:
    """The JWT of somebody with a role."""
    user = users.create(shop.actor.tenant_id, f"{role}@example.com", role, role, "a long password of 1")
    return tokens.mint_jwt(tokens.person(user.id, "test"))


# Embed tokens


def test_an_embed_token_lives_a_quarter_of_an_hour_and_opens_its_own_session(
    client: FlaskClient, shop: Shop
) -> None:
    session, other = shop.session(), shop.session()
    answer = call(client, "GET", f"/sessions/{session.id}/embed-token", shop.secret)
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    token = answer.json["token"]
    assert token.startswith("pub_")
    assert call(client, "GET", f"/sessions/{session.id}", token).status_code == 200
    assert call(client, "GET", f"/sessions/{other.id}", token).status_code == 404
    for path in (f"/sessions/{session.id}/timeline", "/failures"):
        assert call(client, "GET", path, token).status_code == 403
    with later(899):
        assert call(client, "GET", f"/sessions/{session.id}", token).status_code == 200
    with later(901):
        assert call(client, "GET", f"/sessions/{session.id}", token).status_code == 401
        assert call(client, "GET", f"/sessions/{session.id}", shop.secret).status_code == 200


def test_an_embed_token_leads_to_none_that_lives_longer(client: FlaskClient, shop: Shop) -> None:
    session = shop.session()
    path = f"/sessions/{session.id}"
    made = call(client, "GET", f"{path}/embed-token", shop.secret).json
    with later(600):
        again = call(client, "GET", f"{path}/embed-token", made["token"]).json
        shown = call(client, "GET", path, made["token"]).json["client_token"]
    assert again["expires_at"] == made["expires_at"]
    with later(901):
        for token in (again["token"], shown):
            assert call(client, "GET", path, token).status_code == 401
    client_token = call(client, "GET", path, shop.secret).json["client_token"]
    assert call(client, "GET", f"{path}/embed-token", client_token).status_code == 200


def test_an_embed_token_ends_with_its_session(client: FlaskClient, shop: Shop) -> None:
    short = shop.session(lifetime_seconds=300)
    made = call(client, "GET", f"/sessions/{short.id}/embed-token", shop.secret).json
    read = call(client, "GET", f"/sessions/{short.id}", shop.secret).json
    assert made["expires_at"] == read["expires_at"]
    with later(301):
        answer = call(client, "GET", f"/sessions/{short.id}/embed-token", shop.secret)
        assert (answer.status_code, answer.json["code"]) == (409, "checkout_expired")
    paid = shop.session()
    shop.pay(paid)
    assert call(client, "GET", f"/sessions/{paid.id}/embed-token", shop.secret).status_code == 409
    assert call(client, "GET", f"/sessions/{short.id}/embed-token", make("Other").secret).status_code == 404
    assert call(client, "GET", "/sessions/chk_none/embed-token", shop.secret).status_code == 404


# Holds


def test_goods_and_codes_are_held_shown_and_lengthened_together(client: FlaskClient, shop: Shop) -> None:
    catalogue.coupon(shop)
    session = shop.session(promotion_codes=("SAVE10",))
    path = f"/sessions/{session.id}/holds"
    assert call(client, "GET", path, shop.secret).json == {"data": []}
    held = holds.reserve(shop.actor, session.id, ttl_seconds=600)
    shown = call(client, "GET", path, shop.secret).json["data"]
    assert [(hold["type"], hold["promotion_code"]) for hold in shown] == [
        ("inventory", None),
        ("promotion", "SAVE10"),
    ]
    assert {hold["reservation_id"] for hold in shown} == {held.id}
    answer = call(
        client,
        "POST",
        f"{path}/extend",
        shop.secret,
        {"hold_ids": [shown[1]["hold_id"]], "extend_by_seconds": 300},
    )
    assert answer.status_code == 200
    assert {hold["expires_at"] for hold in answer.json["data"]} != {shown[0]["expires_at"]}
    longer = holds.get(shop.actor, held.id)
    assert (longer.expires_at - held.expires_at).total_seconds() == 300
    all_of_them = call(client, "POST", f"{path}/extend", shop.secret, {})
    assert all_of_them.status_code == 200
    assert (holds.get(shop.actor, held.id).expires_at - longer.expires_at).total_seconds() == 900
    with later(3600):
        assert call(client, "GET", path, shop.secret).json == {"data": []}


def test_holds_that_cannot_be_lengthened(client: FlaskClient, shop: Shop) -> None:
    session, other = shop.session(), shop.session()
    path = f"/sessions/{session.id}/holds/extend"
    nothing = call(client, "POST", path, shop.secret, {})
    assert (nothing.status_code, nothing.json["code"]) == (409, "invalid_state")
    holds.reserve(shop.actor, session.id)
    theirs = holds.reserve(shop.actor, other.id)
    unknown = call(client, "POST", path, shop.secret, {"hold_ids": [theirs.id]})
    assert (unknown.status_code, unknown.json["code"]) == (404, "hold_not_found")
    assert unknown.json["explain"]["hold_ids"] == [theirs.id]
    for body in (
        {"hold_ids": []},
        {"hold_ids": [7]},
        {"hold_ids": "x"},
        {"extend_by_seconds": 0},
        {"extend_by_seconds": 86_401},
        {"extend_by_seconds": "60"},
        {"surprise": 1},
    ):
        assert call(client, "POST", path, shop.secret, body).status_code == 400, body
    assert call(client, "POST", path, shop.secret, {"extend_by_seconds": 86_400}).status_code == 200
    capped = call(client, "POST", path, shop.secret, {})
    assert (capped.status_code, capped.json["code"]) == (409, "hold_limit")
    stranger = make("Other").secret
    assert call(client, "POST", path, stranger, {}).status_code == 404
    assert call(client, "GET", f"/sessions/{session.id}/holds", stranger).status_code == 404


def test_a_browser_sees_and_lengthens_its_own_holds(client: FlaskClient, shop: Shop) -> None:
    session, other = shop.session(), shop.session()
    token = tokens.client_token(session)
    holds.reserve(shop.actor, session.id)
    assert len(call(client, "GET", f"/sessions/{session.id}/holds", token).json["data"]) == 1
    assert call(client, "POST", f"/sessions/{session.id}/holds/extend", token, {}).status_code == 200
    assert call(client, "GET", f"/sessions/{other.id}/holds", token).status_code == 404
    reader = key(shop, "checkout:read")
    assert call(client, "GET", f"/sessions/{session.id}/holds", reader).status_code == 200
    assert call(client, "POST", f"/sessions/{session.id}/holds/extend", reader, {}).status_code == 403


def test_sixteen_who_lengthen_at_once_reach_no_further_than_a_day(shop: Shop) -> None:
    session = shop.session()
    held = holds.reserve(shop.actor, session.id)
    together(16, lambda _: holds.extend_session(shop.actor, session.id, hold_ids=None, by_seconds=3 * 3600))
    now = holds.get(shop.actor, held.id)
    assert (now.expires_at - now.created_at).total_seconds() == 24 * 3600
    assert shop.left("MUG") == (100, 1, 0)


# Failures, resolutions, notes, timeline


def test_failures_over_http(client: FlaskClient, shop: Shop) -> None:
    session = failed(shop)
    answer = call(client, "GET", "/failures", shop.secret)
    assert answer.status_code == 200
    [row] = answer.json["data"]
    assert (row["checkout_id"], row["status"], row["reason"]) == (session.id, "failed", "payment_declined")
    assert row["explain"]["reason"] == "payment_declined:insufficient_funds"
    assert (row["amount"], row["currency"], row["payment_attempts"]) == (1620, "GBP", 1)
    assert (answer.json["has_more"], answer.json["next_cursor"]) == (False, None)
    day = row["failed_at"][:10]
    for query, count in (
        (f"from={day}&to={day}", 1),
        ("to=2020-01-01", 0),
        ("reason=payment_declined", 1),
        ("reason=inventory", 0),
        ("limit=1", 1),
    ):
        assert len(call(client, "GET", f"/failures?{query}", shop.secret).json["data"]) == count, query
    for query in ("reason=other", "from=yesterday", "limit=0", "limit=101", "cursor=%%%", "surprise=1"):
        assert call(client, "GET", f"/failures?{query}", shop.secret).status_code == 400, query
    assert call(client, "GET", "/failures", make("Other").secret).json["data"] == []
    live = keys.create(shop.actor, "live", mode="live")[1]
    assert call(client, "GET", "/failures", live).json["data"] == []


def test_resolving_over_http(client: FlaskClient, shop: Shop) -> None:
    session = failed(shop)
    path = f"/sessions/{session.id}/resolve"
    body = {"action": "apply_discount", "percent": 10, "note": "sorry"}
    answer = call(client, "POST", path, shop.secret, body, **{"Idempotency-Key": "r1"})
    assert answer.status_code == 200, answer.text
    assert (answer.json["status"], answer.json["totals"]["discount_total"]) == ("collecting", 150)
    assert answer.json["payment_intent"]["amount"] == answer.json["totals"]["grand_total"]
    again = call(client, "POST", path, shop.secret, body, **{"Idempotency-Key": "r1"})
    assert (again.json, again.headers["Idempotent-Replayed"]) == (answer.json, "true")
    late = call(client, "POST", path, shop.secret, body)
    assert (late.status_code, late.json["code"]) == (409, "invalid_state")
    for wrong in (
        {},
        {"action": "forgive"},
        {"action": "apply_discount"},
        {"action": "apply_discount", "percent": 101},
        {"action": "apply_discount", "percent": 0},
        {"action": "apply_discount", "amount": 0},
        {"action": "apply_discount", "amount": 1.5},
        {"action": "apply_discount", "amount": True},
        {"action": "manual_override"},
        {"action": "replace_payment_method", "note": "x" * 2001},
        {"action": "replace_payment_method", "surprise": 1},
    ):
        assert call(client, "POST", path, shop.secret, wrong).status_code == 400, wrong
    stranger = make("Other").secret
    assert call(client, "POST", path, stranger, {"action": "replace_payment_method"}).status_code == 404


def test_roles_of_support(client: FlaskClient, shop: Shop) -> None:
    session = failed(shop)
    path = f"/sessions/{session.id}"
    admin, reader = person(shop, "payments_admin"), person(shop, "read_only")
    replace = {"action": "replace_payment_method"}
    for read in ("/failures", f"{path}/timeline"):
        assert call(client, "GET", read, reader).status_code == 200
        assert call(client, "GET", read, key(shop, "intents:read")).status_code == 403
    for credential in (reader, key(shop, "checkout:read")):
        assert call(client, "POST", f"{path}/resolve", credential, replace).status_code == 403
        assert call(client, "POST", f"{path}/support-note", credential, {"note": "x"}).status_code == 403
    token = tokens.client_token(session)
    for action, body in (("resolve", replace), ("support-note", {"note": "x"})):
        assert call(client, "POST", f"{path}/{action}", token, body).status_code == 403
    assert call(client, "POST", f"{path}/resolve", admin, replace).status_code == 200


def test_an_override_over_http_wants_an_administrator(client: FlaskClient, shop: Shop) -> None:
    session = awaited(shop)
    path = f"/sessions/{session.id}/resolve"
    body = {"action": "manual_override", "note": "seen on the statement"}
    refused = call(client, "POST", path, key(shop, "checkout:write"), body)
    assert refused.status_code == 403
    assert CHECKOUT_OVERRIDE in refused.json["error"]
    answer = call(client, "POST", path, person(shop, "payments_admin"), body)
    assert (answer.status_code, answer.json["status"]) == (200, "completed")
    entries = call(client, "GET", f"/sessions/{session.id}/timeline?limit=100", shop.secret).json["data"]
    [told] = [entry for entry in entries if entry["type"] == resolutions.RESOLVED]
    assert (told["cause"], told["actor_kind"], told["details"]["note"]) == (
        "manual_override",
        "user",
        "seen on the statement",
    )


def test_notes_and_the_timeline_over_http(client: FlaskClient, shop: Shop) -> None:
    session = shop.session()
    shop.pay(session)
    path = f"/sessions/{session.id}/support-note"
    answer = call(client, "POST", path, shop.secret, {"note": "Called", "author": "Ann"})
    assert answer.status_code == 201
    assert answer.json["note_id"].startswith("note_")
    assert (answer.json["note"], answer.json["author"], answer.json["checkout_id"]) == (
        "Called",
        "Ann",
        session.id,
    )
    assert call(client, "POST", path, shop.secret, {"note": f"card {GOOD}"}).status_code == 422
    for body in ({}, {"note": ""}, {"note": "x" * 2001}, {"note": 7}, {"note": "a", "author": ""}):
        assert call(client, "POST", path, shop.secret, body).status_code == 400, body
    stranger = make("Other").secret
    assert call(client, "POST", path, stranger, {"note": "x"}).status_code == 404
    assert call(client, "GET", f"/sessions/{session.id}/timeline", stranger).status_code == 404
    first = call(client, "GET", f"/sessions/{session.id}/timeline?limit=2", shop.secret).json
    assert first["data"][0]["type"] == "checkout.created"
    assert first["has_more"]
    rest = call(
        client,
        "GET",
        f"/sessions/{session.id}/timeline?limit=100&cursor={first['next_cursor']}",
        shop.secret,
    ).json
    assert rest["data"][-1]["details"] == {"note": "Called", "author": "Ann"}
    assert not {row["id"] for row in first["data"]} & {row["id"] for row in rest["data"]}
    assert call(client, "GET", f"/sessions/{session.id}/timeline?cursor=x", shop.secret).status_code == 400
