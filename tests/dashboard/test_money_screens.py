"""Money at the dashboard: settlements, reconciliation by hand, balances and payouts, exports."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from app.dashboard import payouts as payouts_screen
from app.models.operations.export import Export
from app.models.treasury.payout import Payout
from app.models.treasury.reconciliation import Reconciliation
from app.models.treasury.settlement import Settlement
from app.services.ledger import balances
from app.services.operations import exports
from app.services.treasury import reconciliations
from tests import shops, treasuries
from tests.desk import Desk, enter
from tests.reviewers import run_jobs
from tests.shops import Shop
from tests.treasuries import compare, days_later, from_noon, outcomes, pay, read, rows, settled, work

HOME = "/dashboard/test"


@pytest.fixture(autouse=True)
def noon() -> Iterator[None]:
    """The test begins at noon, so that midnight comes when it says so."""
    with from_noon():
        yield


@pytest.fixture
def owner(client: FlaskClient, shop: Shop) -> Desk:
    """The owner, signed in."""
    return enter(client, shop)


def test_statements_are_read_listed_and_opened(owner: Desk, shop: Shop) -> None:
    charge = pay(shop, 10_000)
    assert "No statements yet" in owner.page("/settlements")
    answer = owner.post("/settlements/sync")
    running = owner.page(answer.location.removeprefix(HOME))
    assert "being asked for their statements" in running and 'hx-trigger="every 2s"' in running
    work()
    done = owner.page(answer.location.removeprefix(HOME))
    assert "The statements are read" in done and "hx-trigger" not in done
    [row] = rows(Settlement)
    page = owner.page(f"/settlements/{row.id}")
    assert charge in page and "£100.00" in page
    assert row.id not in owner.page("/settlements?to=2020-01-01")


def test_a_discrepancy_is_decided_and_a_final_decision_stays(client: FlaskClient, shop: Shop) -> None:
    charge = pay(shop, 10_000, treasuries.NEVER)
    with days_later(12):
        owner = enter(client, shop)
        read(shop)
        answer = owner.post("/reconciliations")
        run_id = answer.location.rpartition("/")[2]
        assert "Comparing" in owner.page(f"/reconciliations/{run_id}")
        work()
        report = owner.page(f"/reconciliations/{run_id}")
        assert charge in report and "Not settled" in report and "1 discrepancy waits" in report
        place = f"/reconciliations/{run_id}/{charge}"
        assert "confirm first that it is you" in owner.page(place)
        assert "action=write-offs" in owner.post(place, action="write_off").location
        assert reconciliations.get(shop.actor, run_id).open == 1
        owner.confirm("write-offs")
        assert "nothing to match it with" in owner.page(place)
        assert owner.post(place, action="nonsense").status_code == 422
        assert owner.post(place, action="match").status_code == 422
        assert owner.post(place, action="investigate", note="Asked them").status_code == 303
        assert reconciliations.get(shop.actor, run_id).open == 1
        assert owner.post(place, action="write_off", note="Lost").status_code == 303
        assert reconciliations.get(shop.actor, run_id).open == 0
        assert treasuries.account(shop, "write_offs") != 0
        late = owner.post(place, action="accept")
        assert late.status_code == 409 and "decided already" in late.text
        assert "Nothing is left to decide" in owner.page(f"/reconciliations/{run_id}")
        assert charge in owner.page(f"/reconciliations/{run_id}?show=decided")


def test_a_span_that_is_none_is_refused(owner: Desk, shop: Shop) -> None:
    for wrong in ({"from": "yesterday"}, {"from": "2025-02-01", "to": "2025-01-01"}):
        answer = owner.post("/reconciliations", **wrong)
        assert answer.status_code == 422 and "There is a problem" in answer.text
    assert rows(Reconciliation) == []


def test_a_missing_payment_is_matched_by_hand_with_a_line_that_nobody_knew(
    client: FlaskClient, shop: Shop
) -> None:
    charge = pay(shop, 1_000, treasuries.NEVER)
    pay(shop, 1_000, treasuries.STRANGER)
    with days_later(2):
        read(shop)
        run_id = compare(shop)
        [line] = [name for name, outcome in outcomes(shop, run_id).items() if outcome == "unmatched"]
        desk = enter(client, shop)
        place = f"/reconciliations/{run_id}/{charge}"
        desk.confirm("write-offs")
        assert line in desk.page(place)
        bare = desk.post(place, action="match")
        assert bare.status_code == 422 and "Say which line it is" in bare.text
        assert desk.post(place, action="match", line=line).status_code == 303
        assert reconciliations.get(shop.actor, run_id).open == 0
        _, decision = reconciliations.item(shop.actor, run_id, charge)
        assert decision is not None and decision.matched_to == line


def asked(page: str) -> str:
    """The token of the page that asks whether to pay out."""
    found = re.search(r'name="once" value="([^"]+)"', page)
    assert found is not None
    return found.group(1)


def test_money_is_paid_out_after_step_up_and_once_for_each_question(owner: Desk, shop: Shop) -> None:
    held = settled(shop)
    assert "£" in owner.page("/payouts")
    form = {"amount": "25.00", "currency": "gbp", "destination": "ba_main", "connector_id": ""}
    for path in ("/payouts/new", "/payouts"):
        assert "confirm?action=payouts" in owner.post(path, **form).location
    owner.confirm("payouts")
    for wrong, words in (
        ({"amount": "x"}, "Enter an amount"),
        ({"currency": "zzz"}, "Enter a currency"),
        ({"destination": "my bank"}, "without spaces"),
    ):
        answer = owner.post("/payouts/new", **{**form, **wrong})
        assert answer.status_code == 422 and words in answer.text
    page = owner.post("/payouts/new", **form).text
    assert "Pay out £25.00?" in page and "ba_main" in page
    assert owner.post("/payouts", **form).status_code == 422
    assert rows(Payout) == []
    once = asked(page)
    first = owner.post("/payouts", **form, once=once)
    again = owner.post("/payouts", **form, once=once)
    assert first.status_code == 303 and again.location == first.location
    [payout] = rows(Payout)
    assert (payout.amount, payout.currency, payout.destination) == (2500, "GBP", "ba_main")
    assert balances.guarded(shop.actor, "GBP")["balance:sandbox"] == held - 2500
    work()
    assert "Paid" in owner.page(f"/payouts/{payout.id}")
    too_much = {**form, "amount": "99999.00"}
    page = owner.post("/payouts/new", **too_much).text
    refused = owner.post("/payouts", **too_much, once=asked(page))
    assert refused.status_code == 422 and "More than is available" in refused.text
    with shops.later(payouts_screen.ASKED_SECONDS + 1):
        owner = enter(owner.client, shop, email="later@shop.test")
        owner.confirm("payouts")
        old = owner.post("/payouts", **form, once=asked(page))
        assert old.status_code == 422 and "This page is too old" in old.text
    assert len(rows(Payout)) == 1


def test_an_export_is_followed_and_downloaded(
    owner: Desk, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    charge, _ = pay(shop, 4321), pay(shop, 1234)
    for wrong in ({"dataset": "secrets"}, {"format": "exe"}, {"from": "x"}, {"currency": "zzz"}):
        fields = {"dataset": "transactions", "format": "csv", **wrong}
        assert owner.post("/exports", **fields).status_code == 422, wrong
    statement = owner.post("/exports", dataset="transactions", format="qbo")
    assert statement.status_code == 422 and "send query.currency" in statement.text
    assert rows(Export) == []
    answer = owner.post("/exports", dataset="transactions", format="csv", currency="GBP")
    place = answer.location.removeprefix(HOME)
    waiting = owner.page(place)
    assert 'hx-trigger="every 2s"' in waiting and 'http-equiv="refresh"' in waiting
    assert owner.get(f"{place}/download").location == f"{HOME}{place}"
    monkeypatch.setattr(exports, "PROGRESS_ROWS", 1)
    note, seen = exports._note_progress, []

    def noted(export_id: str, **changes: int | None) -> None:
        note(export_id, **changes)
        seen.append(owner.page(place))

    monkeypatch.setattr(exports, "_note_progress", noted)
    assert run_jobs(exports.JOB) == 1
    assert [f"Being written: {count} of about 2 rows" in page for count, page in enumerate(seen)] == [
        True
    ] * 3
    assert 'value="1" max="2"' in seen[1]
    done = owner.page(place)
    assert "Ready: 2 rows" in done and "hx-trigger" not in done
    link = owner.get(f"{place}/download").location
    file = owner.get(link)
    assert charge in file.text and file.headers["Content-Disposition"].startswith("attachment")
    assert "Payments and refunds" in owner.page("/exports")
