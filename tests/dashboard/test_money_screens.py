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
from tests.dashboard.people import HOME, enter, see, send, step_up
from tests.reviewers import run_jobs
from tests.shops import Shop
from tests.treasuries import compare, days_later, from_noon, outcomes, pay, read, rows, settled, work


@pytest.fixture(autouse=True)
def noon() -> Iterator[None]:
    """The test begins at noon, so that midnight comes when it says so."""
    with from_noon():
        yield


@pytest.fixture
def owner(client: FlaskClient, shop: Shop) -> FlaskClient:
    """The owner, signed in."""
    enter(client, shop)
    return client


def test_statements_are_read_listed_and_opened(owner: FlaskClient, shop: Shop) -> None:
    charge = pay(shop, 10_000)
    assert "No statements yet" in see(owner, "/settlements")
    answer = send(owner, "/settlements/sync")
    running = see(owner, answer.location.removeprefix(HOME))
    assert "being asked for their statements" in running and 'hx-trigger="every 2s"' in running
    work()
    done = see(owner, answer.location.removeprefix(HOME))
    assert "The statements are read" in done and "hx-trigger" not in done
    [row] = rows(Settlement)
    page = see(owner, f"/settlements/{row.id}")
    assert charge in page and "£100.00" in page
    assert row.id not in see(owner, "/settlements?to=2020-01-01")


def test_a_discrepancy_is_decided_and_a_final_decision_stays(client: FlaskClient, shop: Shop) -> None:
    charge = pay(shop, 10_000, treasuries.NEVER)
    with days_later(12):
        enter(owner := client, shop)
        read(shop)
        answer = send(owner, "/reconciliations")
        run_id = answer.location.rpartition("/")[2]
        assert "Comparing" in see(owner, f"/reconciliations/{run_id}")
        work()
        report = see(owner, f"/reconciliations/{run_id}")
        assert charge in report and "Not settled" in report and "1 discrepancy waits" in report
        place = f"/reconciliations/{run_id}/{charge}"
        assert "confirm first that it is you" in see(owner, place)
        assert "action=write-offs" in send(owner, place, action="write_off").location
        assert reconciliations.get(shop.actor, run_id).open == 1
        step_up(owner, "write-offs")
        assert "nothing to match it with" in see(owner, place)
        assert send(owner, place, action="nonsense").status_code == 422
        assert send(owner, place, action="match").status_code == 422
        assert send(owner, place, action="investigate", note="Asked them").status_code == 303
        assert reconciliations.get(shop.actor, run_id).open == 1
        assert send(owner, place, action="write_off", note="Lost").status_code == 303
        assert reconciliations.get(shop.actor, run_id).open == 0
        assert treasuries.account(shop, "write_offs") != 0
        late = send(owner, place, action="accept")
        assert late.status_code == 409 and "decided already" in late.text
        assert "Nothing is left to decide" in see(owner, f"/reconciliations/{run_id}")
        assert charge in see(owner, f"/reconciliations/{run_id}?show=decided")


def test_a_span_that_is_none_is_refused(owner: FlaskClient, shop: Shop) -> None:
    for wrong in ({"from": "yesterday"}, {"from": "2025-02-01", "to": "2025-01-01"}):
        answer = send(owner, "/reconciliations", **wrong)
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
        enter(client, shop)
        place = f"/reconciliations/{run_id}/{charge}"
        step_up(client, "write-offs")
        assert line in see(client, place)
        bare = send(client, place, action="match")
        assert bare.status_code == 422 and "Say which line it is" in bare.text
        assert send(client, place, action="match", line=line).status_code == 303
        assert reconciliations.get(shop.actor, run_id).open == 0
        _, decision = reconciliations.item(shop.actor, run_id, charge)
        assert decision is not None and decision.matched_to == line


def asked(page: str) -> str:
    """The token of the page that asks whether to pay out."""
    found = re.search(r'name="once" value="([^"]+)"', page)
    assert found is not None
    return found.group(1)


def test_money_is_paid_out_after_step_up_and_once_for_each_question(owner: FlaskClient, shop: Shop) -> None:
    held = settled(shop)
    assert "£" in see(owner, "/payouts")
    form = {"amount": "25.00", "currency": "gbp", "destination": "ba_main", "connector_id": ""}
    for path in ("/payouts/new", "/payouts"):
        assert "confirm?action=payouts" in send(owner, path, **form).location
    step_up(owner, "payouts")
    for wrong, words in (
        ({"amount": "x"}, "Enter an amount"),
        ({"currency": "zzz"}, "Enter a currency"),
        ({"destination": "my bank"}, "without spaces"),
    ):
        answer = send(owner, "/payouts/new", **{**form, **wrong})
        assert answer.status_code == 422 and words in answer.text
    page = send(owner, "/payouts/new", **form).text
    assert "Pay out £25.00?" in page and "ba_main" in page
    assert send(owner, "/payouts", **form).status_code == 422
    assert rows(Payout) == []
    once = asked(page)
    first = send(owner, "/payouts", **form, once=once)
    again = send(owner, "/payouts", **form, once=once)
    assert first.status_code == 303 and again.location == first.location
    [payout] = rows(Payout)
    assert (payout.amount, payout.currency, payout.destination) == (2500, "GBP", "ba_main")
    assert balances.guarded(shop.actor, "GBP")["balance:sandbox"] == held - 2500
    work()
    assert "Paid" in see(owner, f"/payouts/{payout.id}")
    too_much = {**form, "amount": "99999.00"}
    page = send(owner, "/payouts/new", **too_much).text
    refused = send(owner, "/payouts", **too_much, once=asked(page))
    assert refused.status_code == 422 and "More than is available" in refused.text
    with shops.later(payouts_screen.ASKED_SECONDS + 1):
        enter(owner, shop, email="later@shop.test")
        step_up(owner, "payouts")
        old = send(owner, "/payouts", **form, once=asked(page))
        assert old.status_code == 422 and "This page is too old" in old.text
    assert len(rows(Payout)) == 1


def test_an_export_is_followed_and_downloaded(
    owner: FlaskClient, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    charge, _ = pay(shop, 4321), pay(shop, 1234)
    for wrong in ({"dataset": "secrets"}, {"format": "exe"}, {"from": "x"}, {"currency": "zzz"}):
        fields = {"dataset": "transactions", "format": "csv", **wrong}
        assert send(owner, "/exports", **fields).status_code == 422, wrong
    statement = send(owner, "/exports", dataset="transactions", format="qbo")
    assert statement.status_code == 422 and "send query.currency" in statement.text
    assert rows(Export) == []
    answer = send(owner, "/exports", dataset="transactions", format="csv", currency="GBP")
    place = answer.location.removeprefix(HOME)
    waiting = see(owner, place)
    assert 'hx-trigger="every 2s"' in waiting and 'http-equiv="refresh"' in waiting
    assert owner.get(f"{HOME}{place}/download").location == f"{HOME}{place}"
    monkeypatch.setattr(exports, "PROGRESS_ROWS", 1)
    note, seen = exports._note_progress, []

    def noted(export_id: str, **changes: int | None) -> None:
        note(export_id, **changes)
        seen.append(see(owner, place))

    monkeypatch.setattr(exports, "_note_progress", noted)
    assert run_jobs(exports.JOB) == 1
    assert [f"Being written: {count} of about 2 rows" in page for count, page in enumerate(seen)] == [
        True
    ] * 3
    assert 'value="1" max="2"' in seen[1]
    done = see(owner, place)
    assert "Ready: 2 rows" in done and "hx-trigger" not in done
    link = owner.get(f"{HOME}{place}/download").location
    file = owner.get(link)
    assert charge in file.text and file.headers["Content-Disposition"].startswith("attachment")
    assert "Payments and refunds" in see(owner, "/exports")
