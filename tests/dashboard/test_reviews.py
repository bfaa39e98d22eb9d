"""Manual reviews and identity checks at the dashboard: who waits, who decides, and what that does."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from app.services.checkout import identity, reviewing
from app.services.risk import queue
from tests import reviewers
from tests.desk import Desk, enter
from tests.shops import Shop

HOME = "/dashboard/test"

pytestmark = pytest.mark.usefixtures("holds")

PDF = b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n%%EOF\n"


@pytest.fixture
def owner(client: FlaskClient, shop: Shop) -> Desk:
    """The owner, signed in."""
    return enter(client, shop)


def held(shop: Shop, **draft: object) -> str:
    """A checkout that waits for somebody; its id."""
    session = shop.session(**draft)
    reviewing.assign(shop.actor, session.id, reviewers.person(shop, f"ann{session.id[-6:]}"), "Looks odd")
    return session.id


def test_an_approved_checkout_goes_on(owner: Desk, shop: Shop) -> None:
    checkout_id = held(shop, customer={"email": "bob@buyer.test"})
    assert "bob@buyer.test" in owner.page("/reviews")
    page = owner.page(f"/reviews/{checkout_id}")
    assert "Your team asked for it" in page and "Looks odd" in page and "Mug" in page
    assert owner.post(f"/reviews/{checkout_id}/take").status_code == 303
    assert "You have taken this case" in owner.page(f"/reviews/{checkout_id}")
    assert owner.post(f"/reviews/{checkout_id}/approve", note="Known customer").status_code == 303
    review = queue.review_of(shop.actor, checkout_id).row
    assert (review.status, review.decision_note) == ("approved", "Known customer")
    assert checkout_id not in owner.page("/reviews") and checkout_id in owner.page("/reviews?show=approved")
    assert shop.pay(queue.review_of(shop.actor, checkout_id).session).status == "completed"


def test_a_rejected_checkout_is_canceled_and_wants_a_reason(owner: Desk, shop: Shop) -> None:
    checkout_id = held(shop)
    there = f"{HOME}/reviews/{checkout_id}%23reject"
    assert f'href="/dashboard/confirm?action=decisions&amp;next={there}"' in owner.page(
        f"/reviews/{checkout_id}"
    )
    detour = owner.post(
        f"/reviews/{checkout_id}/reject",
        note="Stolen card",
        back=f"{HOME}/reviews/{checkout_id}#reject",
    )
    assert detour.location == f"/dashboard/confirm?action=decisions&next={there}"
    owner.confirm("decisions")
    assert 'data-dialog-open="reject"' in owner.page(f"/reviews/{checkout_id}")
    bare = owner.post(f"/reviews/{checkout_id}/reject")
    assert bare.status_code == 422 and "Say why" in bare.text
    assert queue.review_of(shop.actor, checkout_id).row.status == "pending"
    assert owner.post(f"/reviews/{checkout_id}/reject", note="Stolen card").status_code == 303
    case = queue.review_of(shop.actor, checkout_id)
    assert (case.row.status, case.session.status) == ("rejected", "canceled")
    late = owner.post(f"/reviews/{checkout_id}/approve")
    assert late.status_code == 409 and "rejected already" in late.text
    assert owner.post(f"/reviews/{checkout_id}/take").status_code == 409
    assert queue.review_of(shop.actor, checkout_id).row.id == case.row.id


def test_who_has_waited_longest_comes_first_page_by_page(shop: Shop) -> None:
    made = [held(shop) for _ in range(3)]
    first = queue.reviews(shop.actor, "pending", limit=2)
    rest = queue.reviews(shop.actor, "pending", limit=2, cursor=first.next_cursor)
    assert [case.session.id for case in [*first.data, *rest.data]] == made
    assert rest.next_cursor is None


def test_documents_are_downloaded_by_who_may_decide_and_a_rejection_holds_the_checkout(
    client: FlaskClient, shop: Shop
) -> None:
    session = shop.session()
    check = identity.hand_in(shop.actor, session.id, "application/pdf", PDF).request
    desk = enter(client, shop, "read_only", "viewer@shop.test")
    page = desk.page(f"/identity/{check.id}")
    assert "For reviewers" in page and "Reject" not in page
    [upload] = identity.kyc_documents.listed(check)
    file = f"/identity/{check.id}/documents/{upload.id}"
    assert desk.get(file).status_code == 403
    assert desk.post(f"/identity/{check.id}/approve").status_code == 403
    assert reviewers.told(check.id, "kyc.document_read") == []

    desk = enter(client, shop)
    assert check.id in desk.page("/identity")
    got = desk.get(file)
    assert got.data == PDF and got.mimetype == "application/pdf"
    assert got.headers["Content-Disposition"].startswith("attachment")
    assert "sandbox" in got.headers["Content-Security-Policy"]
    assert got.headers["X-Content-Type-Options"] == "nosniff"
    assert len(reviewers.told(check.id, "kyc.document_read")) == 1
    assert "action=decisions" in desk.post(f"/identity/{check.id}/reject").location
    assert identity.get(shop.actor, check.id).status == "submitted"
    desk.confirm("decisions")
    assert desk.post(f"/identity/{check.id}/reject").location.endswith(check.id)
    assert identity.get(shop.actor, check.id).status == "rejected"
    assert queue.review_of(shop.actor, session.id).row.source == "kyc"
    late = desk.post(f"/identity/{check.id}/approve")
    assert late.status_code == 409 and "rejected already" in late.text
    assert session.id in desk.page("/reviews")


def test_a_document_of_another_check_is_not_opened_through_this_one(owner: Desk, shop: Shop) -> None:
    mine = identity.hand_in(shop.actor, shop.session().id, "application/pdf", PDF).request
    other = identity.hand_in(shop.actor, shop.session().id, "application/pdf", PDF + b" ").request
    [upload] = identity.kyc_documents.listed(other)
    owner.page(f"/identity/{mine.id}/documents/{upload.id}", 404)
    assert reviewers.told(other.id, "kyc.document_read") == []
