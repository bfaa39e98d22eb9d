"""The hosted page: /pay/{hosted_id} and the forms on it (OP-46, ux.md)."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, g, redirect, render_template, request
from markupsafe import Markup
from werkzeug.wrappers import Response as AnyResponse

from app.connectors.base import CardDetails
from app.domain.actor import Actor, TenantProfile, shopper_actor
from app.domain.errors import (
    Conflict,
    DomainError,
    Gone,
    InvalidState,
    NotFound,
    RateLimited,
    ServiceUnavailable,
)
from app.domain.money import format_money
from app.kit import qr
from app.kit.ids import random_token, uuid_of
from app.models.checkout.session import CheckoutSession
from app.models.payments.intent import PaymentIntent
from app.pages import skeleton, steps, views
from app.pages.forms import CardForm
from app.services.checkout import copies, hosted, payment, sessions
from app.services.checkout.subscribing import RECURRING
from app.services.payments import methods
from app.web.authentication import client_address
from app.web.languages import language
from app.web.opens import To, opens

blueprint = Blueprint("checkout", __name__, url_prefix="/pay")

#: Seconds between looks while a payment is under way.
POLL_SECONDS = 2
#: The "method" of a sale that discounts cover wholly.
NOTHING_DUE = "free"


@blueprint.get("/<hosted_id>")
@opens(To.ADDRESS)
def show(hosted_id: str) -> Response:
    """The session's current step."""
    return _render(*sessions.find_hosted(hosted_id))


@blueprint.get("/<hosted_id>/qr.png")
@opens(To.ADDRESS)
def qr_png(hosted_id: str) -> Response:
    """The page's address as a QR code (MR-001)."""
    session, _, _ = sessions.find_hosted(hosted_id)
    return Response(qr.png(hosted.url_of(session)), mimetype="image/png")


@blueprint.get("/<hosted_id>/action.svg")
@opens(To.ADDRESS)
def action_svg(hosted_id: str) -> Response:
    """The QR code that the shopper has to scan to pay."""
    _, profile, intent = sessions.find_hosted(hosted_id)
    payload = ((intent.next_action if intent else None) or {}).get("qr_payload")
    if intent is None or not payload:
        raise NotFound("There is no QR code to show")
    title = f"{profile.name}, {format_money(intent.amount, intent.currency, language())}"
    return Response(qr.svg(payload, title=title), mimetype="image/svg+xml")


@blueprint.post("/<hosted_id>/card")
@opens(To.ADDRESS)
def pay_by_card(hosted_id: str) -> AnyResponse:
    """Pay with the card that was typed."""
    session, profile, intent = sessions.find_hosted(hosted_id)
    form = CardForm()
    good = form.validate_on_submit()
    if session.options.get("require_billing_address"):
        good = form.require_billing() and good
    recurring = bool(session.options.get(RECURRING))
    if recurring:
        good = form.require_consent() and good
    if not good:
        return _render(session, profile, intent, form=form, status=422)
    card = CardDetails(
        number=form.card_number.data,
        exp_month=int(form.exp_month.data),
        exp_year=int(form.exp_year.data),
        cvc=form.cvc.data.strip() or None,
        name=form.card_name.data,
        postal_code=form.postal_code.data,
    )
    billing = form.billing_address() if session.options.get("require_billing_address") else None
    keep_for = (session.customer.get("customer_id") or uuid_of(session.owner_id)) if recurring else None
    order = payment.Order(
        form.nonce.data, form.quote.data, form.email.data or None, billing, keep_for=keep_for
    )
    return _pay(
        session,
        profile,
        intent,
        form,
        lambda actor: payment.pay_by_card(actor, session.id, card, order),
    )


@blueprint.post("/<hosted_id>/method")
@opens(To.ADDRESS)
def pay_by_method(hosted_id: str) -> AnyResponse:
    """Pay with a redirect or QR method."""
    session, profile, intent = sessions.find_hosted(hosted_id)
    chosen = request.form.get("method", "")
    order = payment.Order(request.form.get("nonce") or random_token(), request.form.get("quote"))
    return _pay(
        session,
        profile,
        intent,
        CardForm(formdata=None),
        lambda actor: (
            payment.finish_free(actor, session.id, order)
            if chosen == NOTHING_DUE
            else payment.pay_by_redirect(actor, session.id, chosen, order)
        ),
    )


@blueprint.post("/<hosted_id>/coupon")
@opens(To.ADDRESS)
def coupon(hosted_id: str) -> AnyResponse:
    """Add a promotion code."""
    return _change(
        hosted_id,
        "coupon",
        lambda actor, session: hosted.apply_coupon(actor, session.id, request.form.get("coupon", "")),
    )


@blueprint.post("/<hosted_id>/quantity")
@opens(To.ADDRESS)
def quantity(hosted_id: str) -> AnyResponse:
    """Buy more or fewer."""
    text = request.form.get("quantity", "")
    wanted = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
    return _change(
        hosted_id,
        "quantity",
        lambda actor, session: hosted.change_quantity(actor, session.id, wanted),
    )


@blueprint.post("/<hosted_id>/cancel")
@opens(To.ADDRESS)
def cancel(hosted_id: str) -> AnyResponse:
    """Leave: back to the shop; the session stays open until it expires (OP-46).

    A page of ours leads there: browsers hold `form-action` against redirects that follow a post, too.
    """
    session, _, _ = sessions.find_hosted(hosted_id)
    if session.cancel_url is None:
        return redirect(f"/pay/{hosted_id}", 303)
    page = render_template("returns/leaving.html", onward_url=session.cancel_url, to_shop=True)
    return Response(page, mimetype="text/html")


@blueprint.post("/<hosted_id>/another-way")
@opens(To.ADDRESS)
def pay_another_way(hosted_id: str) -> AnyResponse:
    """Give up what waits at the bank, and choose again."""
    session, profile, _ = sessions.find_hosted(hosted_id)
    payment.give_up(_actor(session, profile), session.id)
    return redirect(f"/pay/{hosted_id}", 303)


@blueprint.post("/<hosted_id>/again")
@opens(To.ADDRESS)
def again(hosted_id: str) -> AnyResponse:
    """A fresh copy of a session that is over."""
    session, profile, _ = sessions.find_hosted(hosted_id)
    fresh = copies.copy(_actor(session, profile), session.id)
    return redirect(f"/pay/{fresh.hosted_id}", 303)


def _pay(
    session: CheckoutSession,
    profile: TenantProfile,
    intent: PaymentIntent | None,
    form: CardForm,
    work: Any,
) -> AnyResponse:
    try:
        work(_actor(session, profile))
    except (Gone, InvalidState):
        pass  # the page shows the step that the session is at
    except Conflict as conflict:
        if conflict.code != "payment_in_progress":
            return _render(
                *sessions.find_hosted(session.hosted_id or ""), form=form, refused=conflict, status=409
            )
    except RateLimited as refused:
        answer = _render(session, profile, intent, form=form, refused=refused, status=429)
        answer.headers["Retry-After"] = str(refused.retry_after)
        return answer
    except DomainError as refused:
        status = 503 if isinstance(refused, ServiceUnavailable) else 422
        return _render(session, profile, intent, form=form, refused=refused, status=status)
    return redirect(f"/pay/{session.hosted_id}", 303)


def _change(hosted_id: str, field: str, work: Any) -> AnyResponse:
    session, profile, intent = sessions.find_hosted(hosted_id)
    try:
        work(_actor(session, profile), session)
    except DomainError as refused:
        refused.field = refused.field or field
        return _render(session, profile, intent, refused=refused, status=422)
    return redirect(f"/pay/{hosted_id}", 303)


def _actor(session: CheckoutSession, profile: TenantProfile) -> Actor:
    return shopper_actor(profile, session.mode, session.id, g.request_id, client_address())


def _render(
    session: CheckoutSession,
    profile: TenantProfile,
    intent: PaymentIntent | None,
    *,
    form: CardForm | None = None,
    refused: DomainError | None = None,
    status: int | None = None,
) -> Response:
    step = steps.of(session, intent)
    context: dict[str, Any] = {"checkout": views.checkout(session, profile, intent)}
    if step is steps.PAY:
        if form is None and refused is None and skeleton.fits(context["checkout"], views.decline(intent)):
            page = skeleton.draw(context["checkout"], random_token(18), views.sandbox(session))
            return Response(page, mimetype="text/html")
        summary = Markup(render_template("checkout/_summary.html", **context))  # noqa: S704 - our own template
        context |= {"summary": summary, **_pay_context(session, intent, form, refused)}
    elif step is steps.ACTION:
        assert intent is not None and intent.payment_method_id is not None
        method = methods.get(_actor(session, profile), intent.payment_method_id)
        shown = views.action(session, intent, method)
        context |= {"action": shown, "auto": shown["kind"] == "link", "poll_seconds": POLL_SECONDS}
    elif step is steps.RECEIPT:
        context |= _receipt_context(session, profile, intent)
    elif step in (steps.WAITING, steps.UNKNOWN):
        context |= {
            "poll_seconds": POLL_SECONDS,
            "reference": intent.id if intent else None,
            "review": bool(intent and intent.needs_review),
        }
    else:
        context |= _ended_context(session, profile, intent)
    answer = status if step is steps.PAY and status else step.status
    return Response(render_template(step.template, **context), answer, mimetype="text/html")


def _pay_context(
    session: CheckoutSession,
    intent: PaymentIntent | None,
    form: CardForm | None,
    refused: DomainError | None,
) -> dict[str, Any]:
    fresh = form is None
    form = form or CardForm(formdata=None)
    form.nonce.data, form.quote.data = random_token(18), None
    if fresh:
        form.email.data = session.customer.get("email")
    form.forget_card()
    errors = [{"field": refused.field, "text": refused.message}] if refused else []
    if not errors and fresh:
        errors = views.decline(intent)
    wants_country = session.options.get("require_billing_address")
    return {
        "form": form,
        "errors": errors,
        "countries": views.countries() if wants_country else None,
        "sandbox": views.sandbox(session),
    }


def _receipt_context(
    session: CheckoutSession, profile: TenantProfile, intent: PaymentIntent | None
) -> dict[str, Any]:
    method = None
    if intent is not None and intent.payment_method_id is not None:
        method = methods.get(_actor(session, profile), intent.payment_method_id)
    return {
        "receipt": views.receipt(session, intent, method),
        "success_url": session.success_url,
        "leave_seconds": 5 if session.success_url else 0,
    }


def _ended_context(
    session: CheckoutSession, profile: TenantProfile, intent: PaymentIntent | None
) -> dict[str, Any]:
    copyable = copies.allowed(session, profile)
    return {
        "again_url": f"/pay/{session.hosted_id}/again" if copyable else None,
        "back_url": session.cancel_url,
        "reason": None,
        "money": views.money_taken(intent),
    }
