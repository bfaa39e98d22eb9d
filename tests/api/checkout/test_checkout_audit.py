"""CK-072 and the jobs of OP-35: checkouts alone, found, paged and proven; jobs by who may read them."""

from __future__ import annotations

from typing import Any

from flask.testing import FlaskClient
from sqlalchemy import text

from app.db import transaction
from app.models.events.journal_guard import install, remove
from app.services.access import keys, tokens, users
from app.services.events import audit
from app.services.operations import jobs, settings
from app.services.payments import intents
from tests.shops import Shop, make

AUDIT, JOBS = "/v1/checkout/audit", "/v1/checkout/jobs"


def get(client: FlaskClient, shop: Shop, **query: Any) -> Any:
    answer = client.get(AUDIT, query_string={"limit": 100, **query}, headers=shop.bearer)
    assert answer.status_code == 200, answer.text
    return answer.json


def bearer_of(shop: Shop, role: str) -> dict[str, str]:
    user = users.create(shop.actor.tenant_id, f"{role}@shop.test", role, role, "a long enough secret")
    return {"Authorization": f"Bearer {tokens.mint_jwt(tokens.person(user.id, 'test'))}"}


def test_it_tells_of_checkouts_and_their_settings_and_of_nothing_else(
    client: FlaskClient, shop: Shop
) -> None:
    mine, other = shop.session(), shop.session()
    shop.pay(mine)
    keys.create(shop.actor, "another")
    alone = intents.create(shop.actor, intents.IntentDraft(1000, "GBP"))
    settings.change(shop.actor, {"hold_ttl_seconds": 600})
    rows = get(client, shop)["data"]
    assert {row["entity"] for row in rows} >= {"checkout", "reservation", "settings"}
    assert not {"api_key"} & {row["entity"] for row in rows}
    assert alone.id not in {row["entity_id"] for row in rows}
    of_mine = get(client, shop, checkout_id=mine.id, action="checkout.*")["data"]
    steps = [row["to_status"] for row in reversed(of_mine) if row["to_status"]]
    assert steps == ["created", "reserved", "payment_processing", "completed"]
    assert {row["entity_id"] for row in of_mine} == {mine.id}
    assert [row["to_status"] for row in get(client, shop, checkout_id=other.id)["data"]] == ["created"]
    assert get(client, shop, **{"from": "2199-01-01"})["data"] == []
    assert get(client, shop, actor=shop.actor.id, action="settings.updated")["data"][0]["after"] == {
        "hold_ttl_seconds": 600
    }


def test_pages_leave_nothing_out(client: FlaskClient, shop: Shop) -> None:
    for number in range(3):
        shop.pay(shop.session(), nonce=f"n{number}")
    whole = [row["id"] for row in get(client, shop)["data"]]
    found: list[str] = []
    query: dict[str, Any] = {"limit": 4}
    while True:
        page = get(client, shop, **query)
        found += [row["id"] for row in page["data"]]
        if not page["has_more"]:
            break
        query["cursor"] = page["next_cursor"]
    assert found == whole
    assert len(set(whole)) == len(whole) > 9


def test_an_altered_entry_shows(client: FlaskClient, shop: Shop) -> None:
    session = shop.session()
    assert get(client, shop)["data"][0]["intact"] is None, "not in the chain yet"
    audit.seal()
    [entry] = get(client, shop, checkout_id=session.id)["data"]
    assert (entry["intact"], len(entry["hash"])) == (True, 64)
    with transaction() as db:
        remove(db.connection())
        db.execute(text("UPDATE journal SET actor_id = 'somebody' WHERE id = :id"), {"id": entry["id"]})
        install(db.connection())
    [entry] = get(client, shop, checkout_id=session.id)["data"]
    assert entry["intact"] is False


def test_it_is_the_admins_and_the_merchants_own(client: FlaskClient, shop: Shop) -> None:
    session, other = shop.session(), make("Another shop")
    assert get(client, other, checkout_id=session.id)["data"] == []
    assert session.id not in str(get(client, other))
    for role, status in (("payments_admin", 200), ("admin", 200), ("reconciler", 403), ("read_only", 403)):
        assert client.get(AUDIT, headers=bearer_of(shop, role)).status_code == status, role
    browser = client.post(
        "/v1/checkout/sessions",
        json={"cart_snapshot": {"lines": [{"sku": "MUG", "name": "Mug", "quantity": 1, "unit_price": 1}]}},
        headers=shop.bearer,
    ).json["client_token"]
    assert client.get(AUDIT, headers={"Authorization": f"Bearer {browser}"}).status_code in (401, 403)
    for query in ({"cursor": "nonsense"}, {"from": "yesterday"}, {"limit": 0}, {"surprise": 1}):
        assert client.get(AUDIT, query_string=query, headers=shop.bearer).status_code == 400


def test_a_job_is_read_by_its_merchant_and_by_who_may(client: FlaskClient, shop: Shop) -> None:
    with transaction() as db:
        jobs.enqueue(
            db,
            "refunds.send",
            {"refund_id": "re_1"},
            tenant_id=shop.actor.tenant_id,
            mode="test",
            job_id="job_1",
        )
    answer = client.get(f"{JOBS}/job_1", headers=shop.bearer)
    assert answer.status_code == 200, answer.text
    assert (answer.json["job_id"], answer.json["status"], answer.json["result"]) == ("job_1", "queued", None)
    assert client.get(f"{JOBS}/job_1", headers=make("Another shop").bearer).status_code == 404
    assert client.get(f"{JOBS}/job_2", headers=shop.bearer).json["code"] == "job_not_found"
    _, limited = keys.create(shop.actor, "limited", scopes=["checkout:read"])
    assert client.get(f"{JOBS}/job_1", headers={"Authorization": f"Bearer {limited}"}).status_code == 403
    assert client.get(f"{JOBS}/job_1").status_code == 401
