"""One of everything that a merchant may have, made over the API, and known by the places where its id stands.

A path's parameter is looked up as `the segment before it/its name`, then by its name alone; a body's field
by its name. A parameter that is not here fails the walk: make one.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass, replace
from decimal import Decimal
from urllib.parse import urlsplit

from flask.testing import FlaskClient
from sqlalchemy import select

from app.db import reading, transaction
from app.domain.actor import ActorKind
from app.kit import clock
from app.models.access.invitation import Invitation
from app.models.events.delivery import Delivery
from app.models.events.journal import JournalEntry
from app.models.operations.idempotency import IdempotencyRecord
from app.models.payments.attempt import Attempt
from app.models.payments.intent import PaymentIntent
from app.models.treasury.settlement import Settlement
from app.services.access import invitations, logos, tenants, users
from app.services.checkout import (
    gift_cards,
    hosted,
    links,
    payment,
    receipts,
    reviewing,
    shipments,
    simple_sessions,
    subscriptions,
)
from app.services.checkout.catalogue import coupons, products, shipping_rates, stock, tax_rates
from app.services.checkout.catalogue.coupons import CouponTerms
from app.services.checkout.catalogue.products import PriceDraft, ProductDraft
from app.services.checkout.catalogue.shipping_rates import ShippingTerms
from app.services.checkout.catalogue.tax_rates import TaxDraft
from app.services.checkout.links import LinkDraft
from app.services.checkout.simple_sessions import SimpleDraft
from app.services.events import audit
from app.services.operations import exports
from app.services.operations.secrets_at_rest import hash_token
from app.services.payments import uploads
from app.services.treasury import reconciliations
from tests import drawings, treasuries
from tests.checkout_api import Checkout
from tests.payments_api import Api
from tests.reviewers import person, run_jobs
from tests.shops import CHALLENGED, GOOD, NO_FUNDS, Shop, card

#: A parameter in a rule, with its converter if it has one.
_PLACE = re.compile(r"<(?:[^>]*:)?(\w+)>")

#: A parameter that is one of a few words, and the first of them; it names no stored thing.
_CHOICE = re.compile(r"<any\(\W*(\w+)[^>]*:(\w+)>")

PDF = b"%PDF-1.7 proof"
PNG = b"\x89PNG\r\n\x1a\n of a mug"


@dataclass
class Things:
    """Ids of one merchant's things by the names under which paths and bodies ask for them."""

    shop: Shop
    ids: dict[str, str]

    def at(self, segment: str, name: str) -> str:
        """What stands for the parameter `name` after `segment` in a path."""
        found = self.ids.get(f"{segment}/{name}") or self.ids.get(name)
        assert found, f"tests/gates/things.py makes nothing for {segment}/{{{name}}}"
        return found

    def fill(self, rule: str, **other: str) -> tuple[str, frozenset[str]]:
        """The path of a rule with ids (or `other`) in its places, and the names that it has."""
        path, names = "", set()
        for part in rule.split("/")[1:]:
            named = _PLACE.search(part)
            if named is not None:
                name, segment = named.group(1), path.rpartition("/")[2]
                word = _CHOICE.search(part)
                if word is None or name in other:
                    names.add(name)
                value = other.get(name) or (word.group(1) if word else self.at(segment, name))
                path += "/" + part[: named.start()] + value + part[named.end() :]
            else:
                path += "/" + part
        return path, frozenset(names)

    def some(self, name: str) -> list[str]:
        """All that may stand for a parameter: each its own state of the same thing."""
        return [value for key, value in self.ids.items() if key.rpartition("/")[2] == name]


def make(client: FlaskClient, shop: Shop) -> Things:
    """A merchant with one of everything."""
    api = Api(client, shop)
    shop.offer("MUG", 1500)
    ids = {"tenant_id": shop.actor.tenant.slug, "date": "2026-01-01", "docs/surface": "sessions"}
    ids |= _money(api)
    ids |= _payments(api)
    ids |= _settings(api)
    ids |= _checkout(client, shop)
    ids |= _paid(client, shop)
    ids |= _files(api)
    ids |= _member(shop)
    ids |= _house(shop)
    ids |= _catalogue(shop)
    return Things(shop, ids)


def _money(api: Api) -> dict[str, str]:
    """What has been settled, compared and paid out."""
    treasuries.settled(api.shop, 50_000)
    treasuries.pay(api.shop, 1_000, treasuries.SHORT)
    with treasuries.days_later(2):
        treasuries.read(api.shop)
        run = treasuries.compare(api.shop)
        [open_item] = treasuries.outcomes(api.shop, run)
        [discrepancy] = reconciliations.items(api.shop.actor, run, resolved=False).data
    with reading() as db:
        settlement = db.scalars(
            select(Settlement.id).where(Settlement.tenant_id == api.shop.actor.tenant_id)
        ).first()
    payout = api.post("/payouts", {"amount": 100, "currency": "GBP", "destination": "bank_account_1"}, 201)
    return {
        "reconciliations/job_id": run,
        "settlement_id": settlement or "",
        "payout_id": payout["id"],
        "transaction_id": open_item,
        "subject_id": discrepancy[0].subject_id,
    }


def _payments(api: Api) -> dict[str, str]:
    """Payments without a checkout: one that is held, a refund and a dispute of others, one at a bank."""
    held = api.held()
    with reading() as db:
        charge = db.scalars(select(Attempt).where(Attempt.intent_id == held)).one()
    paid = api.intent()
    api.post(f"/intents/{paid['id']}/confirm")
    refund = api.post("/refunds", {"payment_intent_id": paid["id"], "amount": 100, "reason": "other"}, 201)
    [taken] = api.get(f"/intents/{paid['id']}/charges")["data"]
    dispute = api.post(
        "/disputes", {"charge_id": taken["id"], "amount": 100, "reason_code": "fraudulent"}, 201
    )
    away = api.intent(CHALLENGED)
    challenged = api.post(f"/intents/{away['id']}/confirm")
    address = urlsplit(challenged["next_action"]["url"]).path
    with reading() as db:
        nonce = db.scalars(select(Attempt.return_nonce).where(Attempt.intent_id == away["id"])).one()
    decision = api.post("/fraud/score", {"intent_id": held})
    at_bank = api.intent(None)["id"]
    begun = api.post("/apm/paypal/initiate", {"intent_id": at_bank})
    kept = {"payment_method_id": api.method(), "customer_id": "cus_walk", "consent": True}
    api.post("/methods/attach", kept)
    return {
        "intent_id": held,
        "payment_intent_id": held,
        "paymentId": paid["id"],
        "paid/intent_id": paid["id"],
        "away/intent_id": away["id"],
        "auth_id": charge.authorization_id,
        "charge_id": charge.id,
        "refund_id": refund["id"],
        "dispute_id": dispute["id"],
        "decision_id": decision["decision_id"],
        "payment_method_id": str(kept["payment_method_id"]),
        "challenge_id": address.rpartition("/")[2],
        "nonce": nonce or "",
        "apm_id": "paypal",
        "at_bank": at_bank,
        "bank_token": begun["token"],
        "token": api.post("/tokens", {"type": "paypal"}, 201)["token"],
        "customer_id": "cus_walk",
    }


def _settings(api: Api) -> dict[str, str]:
    """A second account at a gateway, a rule, an endpoint and a delivery to it, a key."""
    connector = api.post("/connectors", {"name": "Second", "type": "sandbox", "config": {}}, 201)
    rule = api.post("/routing-rules", {"match": {"currency": "NOK"}, "connector_id": connector["id"]}, 201)
    hook = {"url": "https://shop.example/hook", "events": ["payment.succeeded"]}
    endpoint = api.post("/webhooks", hook, 201)
    api.post(f"/intents/{api.intent()['id']}/confirm")
    audit.seal()
    with reading() as db:
        delivery = db.scalars(select(Delivery.id).where(Delivery.endpoint_id == endpoint["id"])).first()
    key = api.post("/keys", {"scopes": ["checkout:read"], "name": "Reader"}, 201)
    return {
        "connector_id": connector["id"],
        "routing_rule_id": rule["id"],
        "routing/rule_id": rule["id"],
        "id": rule["id"],
        "webhook_id": endpoint["id"],
        "endpoint_id": endpoint["id"],
        "delivery_id": delivery or "",
        "key_id": key["id"],
        "keyId": key["id"],
    }


def _checkout(client: FlaskClient, shop: Shop) -> dict[str, str]:
    """A checkout in the making, with all that may hang on it."""
    one = Checkout(client, shop, hosted=True)
    card = gift_cards.issue(shop.actor, 500, "GBP")
    hold = one.of("/reserve", {}, 201)
    opened = one.opened()
    kyc = one.of("/kyc/start", {}, 201)
    handed_in = client.post(
        f"/v1/checkout/sessions/{one.session.id}/kyc/start",
        data={"file": (io.BytesIO(PDF), "me.pdf", "application/pdf")},
        headers=shop.bearer,
    )
    assert handed_in.status_code == 201, handed_in.text
    assignee, reviewed = person(shop, "Assignee"), shop.session()
    reviewing.assign(shop.actor, reviewed.id, assignee, None)
    told = client.get(f"/v1/checkout/kyc/{kyc['kyc_id']}", headers=shop.bearer).json
    assert told is not None
    return {
        "checkout_id": one.session.id,
        "session_id": one.session.public_id,
        "embed/token": hosted.embed_token(shop.actor, one.session.id)[0],
        "hosted_id": one.session.hosted_id or "",
        "payment-intents/payment_intent_id": opened["id"],
        "reservation_id": hold["reservation_id"],
        "code": card.code,
        "kyc_id": kyc["kyc_id"],
        "document_id": told["document_list"][0]["document_id"],
        "assignee_id": assignee,
        "reviews/checkout_id": reviewed.id,
        "shipping_option_id": "ship_1",
        "plan_id": shipments.suggest(shop.actor, one.session.id)[0].plan.id,
    }


def _paid(client: FlaskClient, shop: Shop) -> dict[str, str]:
    """A checkout that is paid, and finalised in the background."""
    one = Checkout(client, shop)
    one.opened()
    one.confirmed()
    job = one.of("/finalize/async", {}, 202)
    run_jobs("checkout.finalize")
    receipt = receipts.of_checkout(shop.read(one.session))
    declined = shop.pay(shop.session(), NO_FUNDS, nonce="declined")
    page = shop.pay(shop.session(), nonce="page")
    scan = shop.session()
    payment.pay_by_redirect(shop.actor, scan.id, "promptpay", payment.Order("scan"))
    return {
        "paid/hosted_id": page.hosted_id or "",
        "scan/hosted_id": scan.hosted_id or "",
        "paid/checkout_id": one.session.id,
        "declined/checkout_id": declined.id,
        "waiting/checkout_id": scan.id,
        "finalizations/job_id": job["job_id"],
        "jobs/job_id": job["job_id"],
        "receipts/token": urlsplit(receipts.url_of(receipt)).path.rpartition("/")[2],
    }


def _member(shop: Shop) -> dict[str, str]:
    """A subscription."""
    _, price_id = shop.offer("CLUB", 900, interval="month")
    draft = SimpleDraft(None, None, None, customer={"email": "ann@example.com"}, price_id=price_id)
    session = simple_sessions.create(shop.actor, draft)
    payment.pay_by_card(shop.actor, session.id, card(GOOD), payment.Order("club", keep_for="cus_1"))
    return {"subscription_id": subscriptions.list_page(shop.actor).data[0].id}


def _house(shop: Shop) -> dict[str, str]:
    """Somebody who was invited, an entry of the journal, a key of a request; a role and a section by name."""
    user = users.create(
        shop.actor.tenant_id,
        f"new@{shop.actor.tenant.slug}.example",
        "New",
        "read_only",
        "a long enough passphrase",
    )
    now = clock.now()
    with transaction() as db:
        link = {"token_hash": hash_token(f"link-of-{user.id}"), "created_by": "tests", "created_at": now}
        db.add(Invitation(user_id=user.id, expires_at=now + invitations.LASTS, **link))
    with reading() as db:
        entry = select(JournalEntry.id).where(
            JournalEntry.tenant_id == shop.actor.tenant_id, JournalEntry.mode == "test"
        )
        key = select(IdempotencyRecord.scope_hash).where(IdempotencyRecord.tenant_id == shop.actor.tenant_id)
        return {
            **_logo(shop),
            "team/user_id": user.id,
            "invitation/token": f"link-of-{user.id}",
            "entry_id": db.scalars(entry).first() or "",
            "scope_hash": db.scalars(key).first() or "",
            "roles/name": "admin",
            "settings/name": "checkout",
        }


def _logo(shop: Shop) -> dict[str, str]:
    """The merchant's logo, by the parts of its address."""
    whole = replace(shop.actor, kind=ActorKind.USER)
    logos.keep(whole, drawings.file(drawings.mark()))
    kept = logos.of(tenants.profile(shop.actor.tenant_id, "live"))
    assert kept is not None
    return {"logo/public_id": shop.actor.tenant.public_id, "digest": kept.digest}


def _catalogue(shop: Shop) -> dict[str, str]:
    """One of each in the built-in catalogue."""
    product = products.create(shop.actor, ProductDraft("VASE", "Vase"))
    return {
        "products/product_id": product.id,
        "prices/price_id": products.add_price(shop.actor, product.id, PriceDraft(900, "GBP")).id,
        "coupons/coupon_id": coupons.create(shop.actor, "WALK", CouponTerms(Decimal(5))).id,
        "tax/rate_id": tax_rates.create(shop.actor, TaxDraft("VAT", Decimal(8))).id,
        "shipping/rate_id": shipping_rates.create(shop.actor, "GBP", ShippingTerms("Post", 100)).id,
        "stock/item_id": stock.track(shop.actor, "VASE", 5).id,
        "gift-cards/card_id": gift_cards.issue(shop.actor, 500, "GBP").id,
    }


def _files(api: Api) -> dict[str, str]:
    """Files, in both directions, and a payment link."""
    upload = api.client.post(
        "/v1/payments/uploads",
        data={"file": (io.BytesIO(PDF), "proof.pdf", "application/pdf")},
        headers=api.shop.bearer,
    )
    assert upload.json is not None
    export = api.post("/exports", {}, 202)
    run_jobs(exports.JOB)
    done = api.get(f"/exports/{export['job_id']}")
    picture = uploads.store(api.shop.actor, "mug.png", "image/png", PNG)
    slug, page = api.shop.actor.tenant.slug, {"picture": picture.id}
    link = links.create(api.shop.actor, LinkDraft("Mug", "GBP", slug=slug, amount=900, page=page))
    with reading() as db:
        assert db.scalars(select(PaymentIntent.id)).first()
    return {
        "upload_id": upload.json["id"],
        "exports/job_id": export["job_id"],
        "exports/token": urlsplit(done["download_url"] or "").path.rpartition("/")[2],
        "slug": link.slug,
        "link_id": link.id,
    }
