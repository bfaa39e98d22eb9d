"""Forms of the hosted page that change what is bought, where it goes and what pays for it (ux.md).

Each leads back to the page; what was wrong is said on it, with what was typed. The script of the page sends
them in place and takes the parts that have changed out of the answer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import redirect, request
from werkzeug.wrappers import Response as AnyResponse

from app.domain.actor import Actor
from app.domain.errors import DomainError, RateLimited
from app.kit.ids import random_token
from app.models.checkout.session import CheckoutSession
from app.pages import checkout
from app.pages.checkout import blueprint
from app.pages.forms import AddressForm, CardForm, good_nonce
from app.pages.parts import COLLECT
from app.services.checkout import details, hosted, panel, payment, shipping, stored_value
from app.web.opens import To, opens

Work = Callable[[Actor, CheckoutSession], Any]


@blueprint.post("/<hosted_id>/coupon")
@opens(To.ADDRESS)
def coupon(hosted_id: str) -> AnyResponse:
    """Add a promotion code, or take one off again."""
    gone = request.form.get("remove")
    if gone is not None:
        return change(hosted_id, "coupon", lambda a, s: hosted.remove_coupon(a, s.id, gone))
    typed = request.form.get("coupon", "")
    return change(hosted_id, "coupon", lambda a, s: hosted.apply_coupon(a, s.id, typed))


@blueprint.post("/<hosted_id>/quantity")
@opens(To.ADDRESS)
def quantity(hosted_id: str) -> AnyResponse:
    """Buy more or fewer."""
    wanted = _whole(request.form.get("quantity", ""))
    return change(hosted_id, "quantity", lambda a, s: hosted.change_quantity(a, s.id, wanted))


@blueprint.post("/<hosted_id>/gift-card")
@opens(To.ADDRESS)
def gift_card(hosted_id: str) -> AnyResponse:
    """Let a gift card pay what it can, or take it off again."""
    gone = request.form.get("remove")
    if gone is not None:
        return change(hosted_id, "gift_card", lambda a, s: stored_value.remove_gift_card(a, s.id, gone))
    typed = request.form.get("gift_card", "").strip()
    return change(hosted_id, "gift_card", lambda a, s: stored_value.apply_gift_card(a, s.id, typed))


@blueprint.post("/<hosted_id>/store-credit")
@opens(To.ADDRESS)
def store_credit(hosted_id: str) -> AnyResponse:
    """Let the customer's credit pay so much (minor units; none takes it off again)."""
    wanted = _whole(request.form.get("amount", ""))
    return change(hosted_id, "store_credit", lambda a, s: stored_value.apply_store_credit(a, s.id, wanted))


@blueprint.post("/<hosted_id>/shipping")
@opens(To.ADDRESS)
def delivery(hosted_id: str) -> AnyResponse:
    """Say where the goods go, choose how, or collect them."""
    chosen = request.form.get("shipping_option", "")
    if "ship_country" in request.form:
        return _address(hosted_id, "ship_", details.set_shipping_address)
    if chosen.startswith(COLLECT):
        place = chosen.removeprefix(COLLECT)
        return change(hosted_id, "shipping_option", lambda a, s: shipping.collect_at(a, s.id, place))
    return change(hosted_id, "shipping_option", lambda a, s: shipping.select(a, s.id, chosen))


@blueprint.post("/<hosted_id>/billing")
@opens(To.ADDRESS)
def billing(hosted_id: str) -> AnyResponse:
    """Say whom the bill is for: the person that the goods go to, or another one."""
    if "same" in request.form:
        return change(
            hosted_id,
            "bill_same",
            lambda a, s: details.set_billing_address(a, s.id, s.shipping_address or {}),
        )
    return _address(hosted_id, "bill_", details.set_billing_address)


@blueprint.post("/<hosted_id>/extend")
@opens(To.ADDRESS)
def extend(hosted_id: str) -> AnyResponse:
    """More time, once."""
    return change(hosted_id, None, lambda a, s: hosted.extend(a, s.id))


@blueprint.post("/<hosted_id>/sandbox")
@opens(To.ADDRESS)
def sandbox(hosted_id: str) -> AnyResponse:
    """The panel of test mode: make something happen."""
    session, profile, intent = hosted.find(hosted_id)
    action, code = request.form.get("action", ""), request.form.get("code", "")
    nonce = good_nonce(request.form.get("nonce", "")) or random_token()
    order = payment.Order(nonce, keep_for=checkout.kept_for(session))
    return checkout.attempt(
        session,
        profile,
        intent,
        CardForm(formdata=None),
        lambda actor: panel.act(actor, session.id, action, order, code=code),
    )


def change(hosted_id: str, field: str | None, work: Work) -> AnyResponse:
    """Do it and go back to the page; a refusal without a field of its own is about `field`."""
    session, profile, intent = hosted.find(hosted_id)
    try:
        work(checkout.actor_of(session, profile), session)
    except RateLimited as refused:
        refused.field = field
        return checkout.too_often(session, profile, intent, refused)
    except DomainError as refused:
        refused.field = field
        return checkout.render(*hosted.find(hosted_id), refused=refused, status=422)
    return redirect(f"/pay/{hosted_id}", 303)


def _address(
    hosted_id: str, prefix: str, keep: Callable[[Actor, str, dict[str, Any]], CheckoutSession]
) -> AnyResponse:
    """Take an address that was typed; its country says what is wrong with it."""
    form = AddressForm(request.form, prefix)
    if not form.errors:
        return change(hosted_id, prefix + "line1", lambda a, s: keep(a, s.id, form.address))
    found = hosted.find(hosted_id)
    return checkout.render(*found, errors=form.errors, typed={prefix: form.address}, status=422)


def _whole(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else 0
