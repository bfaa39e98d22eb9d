"""Lists by the page's number (OP-15): the same rows as by cursor, counted, and never both ways at once."""

from __future__ import annotations

from typing import Any

import pytest

from app.api.payments.surface import surface
from app.services.access import keys
from app.services.payments import connector_logs, refunds
from tests.accounts import account, rule
from tests.payments_api import Api
from tests.shops import NO_FUNDS

#: Their pages are of what is in one settlement or report.
_INSIDE = {"PY-047", "PY-052"}


@pytest.mark.usefixtures("holds")
def test_the_pages_of_a_list_are_all_of_it_by_number_as_by_cursor(api: Api) -> None:
    own, _ = account(api.shop.actor, 1), account(api.shop.actor, 2)
    for priority in (1, 2, 3):
        rule(api.shop.actor, own, priority)
        keys.create(api.shop.actor, f"key {priority}")
    made = api.intent(NO_FUNDS)
    api.post(f"/intents/{made['id']}/confirm")
    api.post(f"/intents/{made['id']}/confirm", {"payment_method_id": api.method()})
    for amount in (1, 2, 3):
        refunds.send(api.post("/refunds", {"payment_intent_id": made["id"], "amount": amount}, 201)["id"])
    connector_logs.flush()
    charges = api.get(f"/intents/{made['id']}/charges")["data"]
    assert {(row["connector"], row["connector_id"]) for row in charges} == {("sandbox", own.id)}
    paths = (
        f"/intents/{made['id']}/charges?",
        f"/intents/{made['id']}/transactions?",
        f"/intents/{made['id']}/refunds?",
        "/connectors?status=active&",
        f"/connectors/{own.id}/logs?operation=refund&",
        f"/routing-rules?connector_id={own.id}&",
        "/keys?",
        "/audit?action=refund.*&",
    )
    for path in paths:
        whole = api.get(f"{path}limit=100")
        assert len(whole["data"]) > 1 and "total" not in whole, path
        assert _numbered(api, path, len(whole["data"])) == [row["id"] for row in whole["data"]], path
        beyond = api.get(f"{path}page=99")
        assert (beyond["data"], beyond["has_more"], beyond["total"]) == ([], False, len(whole["data"]))
        cursor = api.get(f"{path}limit=1")["next_cursor"]
        assert api.get(f"{path}page=1&cursor={cursor}", 400)["field"] == "page"
        assert api.get(f"{path}page=0", 400)["field"] == "page"


def _numbered(api: Api, path: str, total: int) -> list[Any]:
    seen, number, more = [], 0, True
    while more:
        number += 1
        page = api.get(f"{path}limit=2&page={number}")
        assert (page["page"], page["limit"], page["total"], page["next_cursor"]) == (number, 2, total, None)
        seen, more = seen + [row["id"] for row in page["data"]], page["has_more"]
    return seen


def test_every_list_of_the_surface_has_pages_by_cursor_and_by_number() -> None:
    by_cursor = {
        policy.contract_id: "page" in policy.query.model_fields
        for policy in surface.policies
        if policy.query is not None and "cursor" in policy.query.model_fields
    }
    assert {name for name, numbered in by_cursor.items() if not numbered} == _INSIDE
