"""The Python client against Till's own web server, over both databases; each test has a merchant of its own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from threading import Barrier, Thread
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import func, select

from app.db import reading
from app.models.checkout.session import CheckoutSession
from app.models.payments.intent import PaymentIntent
from app.models.payments.refund import Refund
from app.services.access import users
from app.services.payments import methods
from payment_sdk import (
    APIError,
    AuthenticationError,
    ConfigurationError,
    IdempotencyKeyReusedError,
    InvalidRequestError,
    InvalidStateError,
    MFARequiredError,
    NotFoundError,
    PaymentClient,
    PermissionDeniedError,
    RateLimitError,
    TenantMismatchError,
    UnprocessableError,
    VersionConflictError,
)
from tests import shops
from tests.sdk.conftest import Naps
from tests.shops import CHALLENGED, GOOD, NO_FUNDS, Shop, card


def rows(merchant: Shop, model: Any = CheckoutSession) -> int:
    """How many rows of a kind the merchant has."""
    with reading() as db:
        found = db.scalar(
            select(func.count()).select_from(model).where(model.tenant_id == merchant.actor.tenant_id)
        )
    return int(found or 0)


def method(merchant: Shop, number: str = GOOD) -> str:
    return methods.tokenize_card(merchant.actor, card(number)).id


def test_the_contracts_sample_makes_one_session_that_can_be_read(
    client: PaymentClient, merchant: Shop
) -> None:
    made = client.checkout.create(amount=10000, currency="USD", reference="order_123")
    assert (made.status, made.qr_image_url) == ("pending", None)
    assert made.redirect_url.startswith("http://127.0.0.1:") and "/pay/" in made.redirect_url
    assert timedelta(minutes=29) < made.expires_at - datetime.now(UTC) <= timedelta(minutes=30)
    assert made.response.request_id and not made.response.replayed
    read = client.checkout.get(made.id)
    assert (read.amount, read.currency, read.reference) == (10000, "USD", "order_123")
    assert 0 < read.remaining_seconds <= 1800
    assert rows(merchant) == 1

    by_qr = client.checkout.create(
        amount=500,
        currency="USD",
        reference="r",
        method_types=["card", "promptpay"],
        success_url="https://shop.example/ok",
        cancel_url="https://shop.example/no",
    )
    assert by_qr.qr_image_url is not None


def test_the_callers_key_makes_one_session_of_two_calls(client: PaymentClient, merchant: Shop) -> None:
    first = client.checkout.create(amount=700, currency="USD", reference="r", idempotency_key="order-7")
    again = client.checkout.create(amount=700, currency="USD", reference="r", idempotency_key="order-7")
    assert first == again and again.response.replayed and rows(merchant) == 1
    with pytest.raises(IdempotencyKeyReusedError) as refused:
        client.checkout.create(amount=701, currency="USD", reference="r", idempotency_key="order-7")
    assert (refused.value.status, refused.value.code) == (400, "IDEMPOTENCY_KEY_REUSED")
    client.checkout.create(amount=700, currency="USD", reference="r")
    assert rows(merchant) == 2, "calls without a key have one each"


def test_hosted_sessions_are_in_major_units_and_paged_by_offset(
    client: PaymentClient, merchant: Shop
) -> None:
    made = client.sessions.create(
        amount=Decimal("12.50"),
        currency_code="GBP",
        title="A mug",
        customer_email="buyer@example.com",
        metadata={"order_id": "ORDER-12345"},
    )
    assert (made.amount, made.currency_code, made.status) == (Decimal("12.5"), "GBP", "open")
    assert made.url is not None and made.metadata == {"order_id": "ORDER-12345"}
    assert (made.is_spi, client.sessions.get(made.checkout_session_id).is_spi) == (None, False)
    yen = client.sessions.create(amount=10000, currency_code="XOF", title="b", customer_email="b@example.com")
    assert yen.amount == 10000
    for number in range(3):
        client.sessions.create(
            amount=number + 1, currency_code="GBP", title=f"{number}", customer_email="b@example.com"
        )
    page = client.sessions.list(limit=2, status="open")
    assert [row.title for row in page.data] == ["2", "1"]
    assert [row.title for row in page] == ["2", "1", "0", "b", "A mug"]
    assert [len(part.data) for part in page.pages()] == [2, 2, 1]
    later = page.next_page()
    assert later is not None and (later.offset, later.limit) == (2, 2)
    # a session that is made meanwhile pushes the others along; none is shown twice
    client.sessions.create(amount=9, currency_code="GBP", title="new", customer_email="b@example.com")
    assert [row.title for row in page] == ["2", "1", "0", "b", "A mug"]
    assert client.sessions.list(status="complete").data == []
    with pytest.raises(InvalidRequestError, match="Either customer_id or customer_email is required"):
        client.sessions.create(amount=5, currency_code="GBP", title="x")
    with pytest.raises(ConfigurationError, match="digits"):
        client.sessions.create(amount=Decimal("90071992547409.93"), currency_code="GBP", title="x")


def test_a_cart_is_sold_from_its_lines_to_its_order(client: PaymentClient, merchant: Shop) -> None:
    carts = client.checkout.carts
    made = carts.create(
        cart_snapshot={
            "currency": "GBP",
            "lines": [{"sku": "MUG", "name": "Mug", "quantity": 2, "unit_price": 1500}],
        },
        customer={"email": "buyer@example.com"},
        options={"capture_mode": "auto"},
        metadata={"source": "campaign_x"},
    )
    assert (made.status, made.metadata) == ("created", {"source": "campaign_x"})
    assert made.totals is not None and made.amount_due == made.totals.grand_total >= 3000
    assert made.client_token.startswith("pub_") and made.client_token not in repr(made)
    seen = carts.set_shipping_address(
        made.checkout_id,
        {"line1": "1 High Street", "city": "London", "postal_code": "N1 9GU", "country": "GB"},
    )
    assert seen.status == "collecting" and seen.version > made.version
    carts.set_billing_address(
        made.checkout_id,
        {"line1": "1 High Street", "country": "GB", "city": "London", "postal_code": "N1 9GU"},
    )
    options = carts.shipping_options(made.checkout_id, include_estimated_delivery_dates=True)
    if options:
        carts.select_shipping(made.checkout_id, shipping_option_id=options[0].shipping_option_id)
    calculated = carts.calculate(made.checkout_id, force=True)
    assert calculated.totals.sub_total == 3000 and len(calculated.lines) == 1
    totals = carts.totals(made.checkout_id)
    assert (totals.calculation_id, totals.stale) == (calculated.calculation_id, False)
    assert isinstance(carts.validate(made.checkout_id).valid, bool)
    page = carts.hosted_url(made.checkout_id)
    assert "/pay/" in page.url
    assert carts.embed_token(made.checkout_id).token.startswith("pub_")
    at = f"/v1/checkout/sessions/{made.checkout_id}/payment-intents"
    intent = client.payments.intents.get(client.request("POST", at)["id"])
    assert intent.amount == carts.get(made.checkout_id).amount_due
    client.payments.intents.attach_method(intent.id, payment_method_id=method(merchant))
    assert client.payments.intents.confirm(intent.id).status in ("succeeded", "requires_capture")
    sold = carts.finalize(made.checkout_id)
    assert (sold.status, bool(sold.order_id)) == ("completed", True)
    with pytest.raises(InvalidStateError):
        carts.update(made.checkout_id, metadata={"late": True})
    kinds = [entry.type for entry in carts.timeline(made.checkout_id, limit=5)]
    assert "checkout.created" in kinds and "checkout.completed" in kinds and len(kinds) > 5


def test_a_version_that_is_stale_and_a_session_that_is_ended(client: PaymentClient) -> None:
    carts = client.checkout.carts
    made = carts.create(
        cart_snapshot={
            "currency": "GBP",
            "lines": [{"sku": "MUG", "name": "Mug", "quantity": 1, "unit_price": 100}],
        }
    )
    fresh = carts.update(made.checkout_id, metadata={"a": 1}, version=made.version)
    with pytest.raises(VersionConflictError) as stale:
        carts.update(made.checkout_id, metadata={"a": 2}, version=made.version)
    assert stale.value.code == "version_conflict" and stale.value.request_id
    assert fresh.response.etag == f'"{fresh.version}"'
    longer = datetime.now(UTC) + timedelta(hours=3)
    assert abs(carts.update(made.checkout_id, expires_at=longer).expires_at - longer) < timedelta(seconds=2)
    assert carts.set_customer(made.checkout_id, email="b@example.com", name="B").customer["name"] == "B"
    carts.cancel(made.checkout_id, release_inventory=True)
    assert carts.get(made.checkout_id).status == "canceled"


def test_a_payment_is_held_captured_in_part_and_refunded_in_parts(
    client: PaymentClient, merchant: Shop
) -> None:
    intents = client.payments.intents
    made = intents.create(
        amount=5000, currency="GBP", payment_method_id=method(merchant), capture_mode="manual",
        metadata={"order_id": "ord_123"},
    )  # fmt: skip
    assert made.status == "requires_confirmation"
    assert made.client_secret and made.client_secret not in repr(made)
    held = intents.confirm(made.id)
    assert (held.status, held.amount_authorized) == ("requires_capture", 5000)
    with pytest.raises(UnprocessableError) as over:
        intents.capture(made.id, amount=5001)
    assert over.value.code == "amount_exceeds_authorized"
    took = intents.capture(made.id, amount=4000)
    assert (took.amount, client.payments.authorizations.get(took.authorization_id).amount) == (4000, 5000)
    refunds = client.payments.refunds
    first = refunds.create(payment_intent_id=made.id, amount=1500, reason="product_return")
    rest = refunds.create(payment_intent_id=made.id)
    assert (first.amount, rest.amount) == (1500, 2500)
    with pytest.raises(UnprocessableError) as more:
        refunds.create(payment_intent_id=made.id, amount=1)
    assert more.value.code == "refund_exceeds_captured"
    assert refunds.get(first.id).reason == "product_return"
    listed = intents.refunds(made.id, limit=1)
    assert len(listed.data) == 1 and listed.has_more
    assert {refund.id for refund in listed} == {first.id, rest.id} and rows(merchant, Refund) == 2
    [charge] = intents.charges(made.id)
    assert client.payments.charges.get(charge.id).amount_captured == 4000
    assert [t.type for t in intents.transactions(made.id)].count("refund") == 2
    assert intents.next_action(made.id) is None


def test_a_decline_is_an_answer_and_another_card_pays(client: PaymentClient, merchant: Shop) -> None:
    intents = client.payments.intents
    made = intents.create(amount=900, currency="GBP", payment_method_id=method(merchant, NO_FUNDS))
    declined = intents.confirm(made.id)
    assert declined.status == "requires_payment_method" and declined.last_error is not None
    assert declined.last_error["code"] == "payment_declined"
    attached = intents.attach_method(made.id, payment_method_id=method(merchant))
    assert intents.confirm(made.id, return_url="https://shop.example/back").status == "succeeded"
    assert attached.id == made.id and intents.get(made.id).amount_captured == 900
    challenged = intents.create(amount=70, currency="GBP", payment_method_id=method(merchant, CHALLENGED))
    assert intents.confirm(challenged.id).status == "requires_action"
    todo = intents.next_action(challenged.id)
    assert todo is not None and todo.instructions and todo.url
    other = intents.create(amount=100, currency="GBP", request_id="ask-1")
    assert intents.create(amount=100, currency="GBP", request_id="ask-1").id == other.id
    assert intents.update(other.id, amount=150, description="more", version=other.version).amount == 150
    assert intents.cancel(other.id, reason="user_cancel").status == "canceled"
    job = intents.create_many([{"amount": 1, "currency": "GBP"}, {"amount": 2, "currency": "GBP"}])
    assert client.payments.jobs.get(job.job_id).status in ("queued", "running", "succeeded")
    held = intents.confirm(
        intents.create(
            amount=60, currency="GBP", payment_method_id=method(merchant), capture_mode="manual"
        ).id
    )
    [charge] = intents.charges(held.id)
    assert charge.authorization is not None
    assert client.payments.authorizations.void(charge.authorization.id).status == "voided"


def test_methods_come_from_tokens_and_are_kept_with_consent(client: PaymentClient) -> None:
    vault = client.payments.methods
    token = client.request("POST", "/v1/payments/test/faucet", body={})["tokens"][0]["token"]
    made = vault.create(token=token, type="card", customer_id="cust_1", consent=True, save_method=True)
    assert (made.type, made.reusable, made.consent) == ("card", True, True)
    assert len(made.last4 or "") == 4
    named = vault.update(made.id, nickname="work", is_default=True, version=made.version)
    assert named.is_default and named.metadata["nickname"] == "work"
    assert [found.id for found in vault.list(customer_id="cust_1", limit=1)] == [made.id]
    assert vault.verify(payment_method_id=made.id, type="3ds_enrollment").payment_method_id == made.id
    vault.revoke(made.id)
    assert vault.get(made.id).status == "revoked"
    with pytest.raises(APIError):
        vault.attach(payment_method_id=made.id, customer_id="cust_2", consent=True)


def test_a_dispute_is_entered_answered_and_closed(client: PaymentClient, merchant: Shop) -> None:
    intents, disputes = client.payments.intents, client.payments.disputes
    paid = intents.confirm(intents.create(amount=2000, currency="GBP", payment_method_id=method(merchant)).id)
    [charge] = intents.charges(paid.id)
    made = disputes.create(
        charge_id=charge.id, amount=2000, reason_code="fraud", received_at=datetime.now(UTC)
    )
    today = datetime.now(UTC).date()
    assert [one.id for one in disputes.list(status="needs_response", since=today, until=today)] == [made.id]
    sent = disputes.submit_evidence(
        made.id, evidence=[{"type": "pdf", "url": "https://shop.example/receipt.pdf"}], notes="Delivered"
    )
    assert sent.dispute_id == made.id
    assert {item.type for item in disputes.evidence(made.id)} >= {"pdf"}
    closed = disputes.close(made.id, outcome="accepted", note="Not worth it")
    assert disputes.get(made.id).id == closed.id


def test_links_are_made_read_and_paid_by_anybody(client: PaymentClient, merchant: Shop) -> None:
    slug = f"promo-{uuid4().hex[:8]}"
    made = client.links.create(
        slug=slug,
        amount=9900,
        currency="USD",
        reference="promo_ref",
        title="Summer",
        usage_limit=2,
        method_types=["card"],
        expires_at=datetime.now(UTC) + timedelta(days=1),
    )
    assert (made.can_pay, made.is_expired, made.usage_limit_reached) == (True, False, False)
    shown = client.links.get(slug)
    assert (shown.amount, shown.reference, shown.min_amount) == (9900, "promo_ref", None)
    started = client.links.pay(slug, method_types=["card"])
    assert "/pay/" in started.redirect_url and rows(merchant) == 1
    changed = client.links.update(
        slug, amount=None, min_amount=100, presets=[500, 1000], version=made.version
    )
    assert (changed.amount, changed.min_amount, changed.presets) == (None, 100, [500, 1000])
    assert (changed.title, changed.usage_limit, changed.held) == ("Summer", 2, 1), "the rest stays"
    with pytest.raises(VersionConflictError):
        client.links.update(slug, title="Late", version=made.version)
    assert client.links.update(slug, expires_at=None).expires_at is None
    assert client.links.deactivate(slug).can_pay is False
    assert client.links.activate(slug).can_pay
    other = client.links.create(currency="USD", reference="any")
    assert [one.slug for one in client.links.list(limit=1)] == [other.slug, slug]
    assert client.links.details(slug).qr_svg_url.endswith(f"/l/{slug}/qr.svg")
    with pytest.raises(NotFoundError) as unknown:
        client.links.get("no-such-link")
    assert unknown.value.code == "RESOURCE_NOT_FOUND"


def test_keys_are_made_where_a_key_may_and_end_at_once(
    client: PaymentClient, merchant: Shop, till: str
) -> None:
    made = client.keys.create(name="Reports", scopes=["sessions:read"], expires_in="30d")
    assert made.key is not None and made.key not in repr(made) and made.key.startswith("sk_test_")
    assert made.id in [found.id for found in client.keys.list(limit=1)]
    narrow = PaymentClient(made.key, base_url=till)
    assert narrow.sessions.list().data == []
    with pytest.raises(PermissionDeniedError, match="sessions:write"):
        narrow.checkout.create(amount=1, currency="USD", reference="r")
    with pytest.raises(PermissionDeniedError):
        narrow.keys.list()
    rolled = client.keys.roll(made.id, overlap="1h")
    assert rolled.key is not None and rolled.previous.id == made.id != rolled.id
    assert PaymentClient(rolled.key, base_url=till).sessions.list().data == narrow.sessions.list().data == []
    client.keys.revoke(made.id)
    with pytest.raises(AuthenticationError, match="Invalid API key"):
        narrow.sessions.list()


def test_refusals_are_typed_and_name_their_request(client: PaymentClient, till: str) -> None:
    with pytest.raises(InvalidRequestError) as amount:
        client.checkout.create(amount=0, currency="USD", reference="r")
    assert (amount.value.status, amount.value.code) == (400, "INVALID_AMOUNT")
    assert amount.value.message == "Valid amount is required" and amount.value.request_id
    assert amount.value.request_id in str(amount.value)
    with pytest.raises(InvalidRequestError) as field:
        client.payments.intents.create(amount=1, currency="gbp")
    assert (field.value.code, field.value.field) == ("invalid_field", "currency")
    assert field.value.explain["reason"] == "invalid_field"
    with pytest.raises(NotFoundError, match="not found or access denied"):
        client.sessions.get(str(uuid4()))
    other = shops.make(f"Other {uuid4().hex[:8]}")
    theirs = PaymentClient(other.secret, base_url=till).payments.intents.create(amount=1, currency="GBP")
    with pytest.raises(NotFoundError):
        client.payments.intents.get(theirs.id)
    with pytest.raises(TenantMismatchError):
        PaymentClient(other.secret, client._caller.settings.tenant_id, till).keys.list()
    with pytest.raises(AuthenticationError):
        PaymentClient("sk_test_wrong", base_url=till).payments.intents.get("pi_1")


def test_a_person_confirms_with_a_second_factor(client: PaymentClient, merchant: Shop, till: str) -> None:
    import pyotp

    email, password = f"{uuid4().hex[:8]}@shop.test", "a long enough secret"
    users.create(merchant.actor.tenant_id, email, "Owner", "payments_admin", password)
    machine = client.auth.token()
    assert machine.token_type == "Bearer" and machine.access_token not in repr(machine)
    with PaymentClient(access_token=lambda: machine.access_token, base_url=till) as by_token:
        assert by_token.payments.intents.create(amount=5, currency="GBP").amount == 5
        with pytest.raises(ConfigurationError, match="api_key"):
            by_token.sessions.list()
    first = client.auth.sign_in(email, password)
    assert first.refresh_token is not None and first.refresh_token not in repr(first)
    person = client.auth.refresh(first.refresh_token)
    mine = PaymentClient(access_token=person.access_token, base_url=till)
    with pytest.raises(MFARequiredError) as due:
        mine.checkout.create(amount=5, currency="USD", reference="r")
    assert due.value.enrollment_required and due.value.action == "create-payment"
    seed = mine.request("POST", "/api/v1/mfa/enroll")["secret"]
    proof = mine.mfa.verify(due.value.challenge_id or "", pyotp.TOTP(seed).now())
    assert len(proof.recovery_codes) == 8 and proof.mfa_token not in repr(proof)
    done = mine.with_options(mfa_token=proof.mfa_token).checkout.create(
        amount=5, currency="USD", reference="r"
    )
    assert done.status == "pending"
    with pytest.raises(ConfigurationError, match="access_token"):
        client.mfa.verify("x", "123456")
    client.auth.revoke(person.refresh_token or "")
    with pytest.raises(AuthenticationError):
        mine.payments.intents.get("pi_1")


def test_threads_share_a_client_and_one_key_makes_one_payment(client: PaymentClient, merchant: Shop) -> None:
    barrier, made, failed = Barrier(8), [], []

    def work(number: int) -> None:
        barrier.wait()
        try:
            key = "the-same" if number % 2 else f"own-{number}"
            made.append(client.payments.intents.create(amount=100, currency="GBP", idempotency_key=key).id)
        except Exception as error:
            failed.append(error)

    threads = [Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == [] and len(made) == 8
    assert len(set(made)) == 5 == rows(merchant, PaymentIntent)


def test_the_stated_limit_is_kept_by_the_client_and_by_the_api(
    client: PaymentClient, merchant: Shop, till: str, naps: Naps
) -> None:
    hasty = PaymentClient(merchant.secret, base_url=till, rate_limits=None, max_wait=5)
    for number in range(10):
        hasty.checkout.create(amount=100, currency="USD", reference=f"r{number}")
    with pytest.raises(RateLimitError) as refused:
        hasty.checkout.create(amount=100, currency="USD", reference="r10")
    assert refused.value.sent and refused.value.code == "RATE_LIMIT_EXCEEDED"
    assert 0 < (refused.value.retry_after or 0) <= 60
    patient = PaymentClient(merchant.secret, base_url=till, rate_limits=None, max_retries=1)
    with pytest.raises(RateLimitError):
        patient.checkout.create(amount=100, currency="USD", reference="r10")
    assert len(naps.taken) == 1 and 50 < naps.taken[0] <= 60, "it waited for as long as it was told"
    assert rows(merchant) == 10

    polite = PaymentClient(merchant.secret, base_url=till, max_wait=5)
    for _ in range(30):
        with pytest.raises(NotFoundError):
            polite.checkout.get(str(uuid4()))
    with pytest.raises(RateLimitError) as held:
        polite.checkout.get(str(uuid4()))
    assert not held.value.sent and len(naps.taken) == 1


def test_an_order_costs_what_was_shown_and_is_paid_once(
    client: PaymentClient, merchant: Shop, till: str
) -> None:
    email, password = f"{uuid4().hex[:8]}@shop.test", "a long enough secret"
    users.create(merchant.actor.tenant_id, email, "Owner", "payments_admin", password)
    with pytest.raises(ConfigurationError, match="access_token"):
        client.orders.calculate(subtotal=5)
    orders = client.with_options(access_token=client.auth.sign_in(email, password).access_token).orders
    shown = orders.calculate(subtotal=Decimal("1299.99"))
    assert (shown.tax, shown.total, shown.discount_code) == (Decimal("104"), Decimal("1403.99"), None)
    made = orders.create(subtotal=Decimal("1299.99"), idempotency_key="order-1")
    again = orders.create(subtotal=Decimal("1299.99"), idempotency_key="order-1")
    assert (made.id, made.status, made.total) == (again.id, "pending", shown.total)
    assert made.created_at.tzinfo is UTC
    paid = orders.pay(made.id)
    assert (paid.message, paid.order.status) == ("Payment processed successfully", "paid")
    with pytest.raises(InvalidRequestError, match="Order is already paid"):
        orders.pay(made.id)
    with pytest.raises(NotFoundError, match="Order not found"):
        orders.pay(10**6)
    lines = orders.create(items=[{"name": "Mug", "quantity": 2, "unit_price": Decimal("19.99")}])
    assert lines.subtotal == Decimal("39.98") and [line.quantity for line in lines.items] == [2]
    assert [one.id for one in orders.list(limit=1)] == [lines.id, made.id]
    assert [one.id for one in orders.list(status="paid")] == [made.id]
    assert orders.update(made.id, status="cancelled").status == "cancelled"
    assert orders.get(made.id).payment_intent_id is not None
