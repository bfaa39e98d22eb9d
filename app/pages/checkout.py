"""The hosted page: /pay/{hosted_id} and the forms on it (OP-46, ux.md)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, g, redirect, render_template, request
from markupsafe import Markup
from werkzeug.wrappers import Response as AnyResponse

from app.connectors.hosting import CardFrames
from app.domain.actor import Actor, TenantProfile, shopper_actor
from app.domain.errors import (
    Conflict,
    DomainError,
    Gone,
    InvalidRequest,
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
from app.pages.forms import OF_A_CARD, CardForm, FramesForm, good_email, good_nonce
from app.services.checkout import calculations, copies, dues, hosted, links, payment
from app.services.checkout.subscribing import RECURRING
from app.services.payments import attempts, methods, offers
from app.web import frames, headers, refusals
from app.web.authentication import client_address
from app.web.languages import language
from app.web.opens import To, opens

blueprint = Blueprint("checkout", __name__, url_prefix="/pay")

#: Seconds between looks while a payment is under way.
POLL_SECONDS = 2
#: The "method" of a sale that discounts cover wholly.
NOTHING_DUE = "free"
#: Last parts of the addresses that forms are sent to.
FORMS = (
    "card",
    "method",
    "cancel",
    "another-way",
    "again",
    "coupon",
    "quantity",
    "gift-card",
    "store-credit",
    "shipping",
    "billing",
    "extend",
    "sandbox",
)


@blueprint.get("/<hosted_id>")
@opens(To.ADDRESS)
def show(hosted_id: str) -> Response:
    """The session's current step."""
    return current_step(hosted_id)


@blueprint.get("/<hosted_id>/qr.png")
@opens(To.ADDRESS)
def qr_png(hosted_id: str) -> Response:
    """The page's address as a QR code (MR-001)."""
    session, _, _ = hosted.find(hosted_id)
    return Response(qr.png(hosted.url_of(session)), mimetype="image/png")


@blueprint.get("/<hosted_id>/action.svg")
@opens(To.ADDRESS)
def action_svg(hosted_id: str) -> Response:
    """The QR code that the shopper has to scan to pay."""
    _, profile, intent = hosted.find(hosted_id)
    payload = ((intent.next_action if intent else None) or {}).get("qr_payload")
    if intent is None or not payload:
        raise NotFound("There is no QR code to show")
    title = f"{profile.name}, {format_money(intent.amount, intent.currency, language())}"
    return Response(qr.svg(payload, title=title), mimetype="image/svg+xml")


@blueprint.get("/<hosted_id>/qr.svg")
@opens(To.ADDRESS)
def qr_svg(hosted_id: str) -> Response:
    """The page's address as a QR code, to go on with another device."""
    session, profile, _ = hosted.find(hosted_id)
    title = f"{profile.name}, {format_money(dues.due(session), session.currency, language())}"
    return Response(qr.svg(hosted.url_of(session), title=title), mimetype="image/svg+xml")


@blueprint.get("/<hosted_id>/step")
@opens(To.ADDRESS)
def step(hosted_id: str) -> Response:
    """The name of the session's current step: pages that are open elsewhere follow it."""
    session, _, intent = hosted.find(hosted_id)
    return Response(steps.of(session, intent).name, mimetype="text/plain")


@opens(To.ADDRESS)
def address_of_a_form(hosted_id: str) -> AnyResponse:
    """Whoever opens the address of a form again sees the current step."""
    hosted.find(hosted_id)
    return redirect(f"/pay/{hosted_id}", 303)


for _name in FORMS:
    blueprint.add_url_rule(f"/<hosted_id>/{_name}", view_func=address_of_a_form, methods=["GET"])


@blueprint.post("/<hosted_id>/method")
@opens(To.ADDRESS)
def pay_by_method(hosted_id: str) -> AnyResponse:
    """Pay with a redirect or QR method."""
    session, profile, intent = hosted.find(hosted_id)
    chosen = request.form.get("method", "")
    form = CardForm(formdata=None)
    order = payment.Order(
        good_nonce(request.form.get("nonce", "")) or random_token(),
        request.form.get("quote"),
        good_email(request.form.get("contact_email", "")),
    )
    return attempt(
        session,
        profile,
        intent,
        form,
        lambda actor: (
            payment.finish_free(actor, session.id, order)
            if chosen == NOTHING_DUE
            else payment.pay_by_redirect(actor, session.id, chosen, order)
        ),
    )


@blueprint.post("/<hosted_id>/cancel")
@opens(To.ADDRESS)
def cancel(hosted_id: str) -> AnyResponse:
    """Leave for the shop; the session stays open until it expires (OP-46)."""
    hosted.find(hosted_id)
    return redirect(f"/pay/{hosted_id}/left", 303)


@blueprint.get("/<hosted_id>/left")
@opens(To.ADDRESS)
def left(hosted_id: str) -> AnyResponse:
    """Our own page between this one and the shop: a form may lead nowhere else (security.md)."""
    session, profile, intent = hosted.find(hosted_id)
    if steps.of(session, intent) is not steps.PAY:
        return redirect(f"/pay/{hosted_id}", 303)
    page = render_template(
        "checkout/left.html",
        checkout={"merchant": views.merchant(profile), "mode": session.mode, "hosted_id": hosted_id},
        back_url=session.cancel_url,
    )
    return Response(page, mimetype="text/html")


@blueprint.post("/<hosted_id>/another-way")
@opens(To.ADDRESS)
def pay_another_way(hosted_id: str) -> AnyResponse:
    """Give up what waits at the bank, and choose again."""
    session, profile, _ = hosted.find(hosted_id)
    payment.give_up(actor_of(session, profile), session.id)
    return redirect(f"/pay/{hosted_id}", 303)


@blueprint.post("/<hosted_id>/again")
@opens(To.ADDRESS)
def again(hosted_id: str) -> AnyResponse:
    """The fresh copy of a session that is over; where there can be none, the page says how things stand."""
    session, profile, _ = hosted.find(hosted_id)
    try:
        fresh = copies.copy(actor_of(session, profile), session.id)
    except InvalidState:
        return redirect(f"/pay/{hosted_id}", 303)
    except (Conflict, InvalidRequest):
        if session.payment_link_id is None or frames.current() is not None:
            raise
        return redirect(f"/l/{links.slug_of(session.payment_link_id)}", 303)  # it says what it takes now
    return redirect(f"/pay/{fresh.hosted_id}", 303)


def current_step(hosted_id: str) -> Response:
    """The page of the step that a session is at."""
    return render(*hosted.find(hosted_id))


def attempt(
    session: CheckoutSession,
    profile: TenantProfile,
    intent: PaymentIntent | None,
    form: CardForm,
    work: Callable[[Actor], Any],
) -> AnyResponse:
    """Try to pay; whatever comes of it, the page shows the step that the session is at."""
    try:
        work(actor_of(session, profile))
    except (Gone, InvalidState):
        pass  # the page shows the step that the session is at
    except Conflict as conflict:
        if conflict.code != "payment_in_progress":
            return render(*hosted.find(session.hosted_id or ""), form=form, refused=conflict, status=409)
    except RateLimited as refused:
        return too_often(session, profile, intent, refused, form)
    except DomainError as refused:
        status = 503 if isinstance(refused, ServiceUnavailable) else 422
        return render(session, profile, intent, form=form, refused=refused, status=status)
    return redirect(f"/pay/{session.hosted_id}", 303)


def kept_for(session: CheckoutSession) -> str | None:
    """The customer for whom the card of a sale that renews is kept."""
    if not session.options.get(RECURRING):
        return None
    return session.customer.get("customer_id") or uuid_of(session.owner_id)


def too_often(
    session: CheckoutSession,
    profile: TenantProfile,
    intent: PaymentIntent | None,
    refused: RateLimited,
    form: CardForm | None = None,
) -> Response:
    """The page again, and when another try makes sense."""
    answer = render(session, profile, intent, form=form, refused=refused, status=429)
    answer.headers["Retry-After"] = str(refused.retry_after)
    return answer


def actor_of(session: CheckoutSession, profile: TenantProfile) -> Actor:
    """The shopper of a session's page."""
    return shopper_actor(profile, session.mode, session.id, g.request_id, client_address())


def render(
    session: CheckoutSession,
    profile: TenantProfile,
    intent: PaymentIntent | None,
    *,
    form: CardForm | None = None,
    refused: DomainError | None = None,
    errors: list[dict[str, Any]] | None = None,
    typed: dict[str, Any] | None = None,
    status: int | None = None,
) -> Response:
    """The page of the step that the session is at.

    `refused` and `errors` say what was wrong with what was sent, and `typed` what of it is shown again:
    address texts by the prefix of their form.
    """
    step = steps.of(session, intent)
    if step is steps.PAY and session.totals_stale:
        session = calculations.current(actor_of(session, profile), session.id, fresh=False)
    context: dict[str, Any] = {"checkout": views.checkout(session, profile, intent)}
    if step is steps.PAY:
        untouched = form is None and refused is None and errors is None and not frames.current()
        if untouched and skeleton.fits(context["checkout"], views.decline(intent)):
            panel = views.sandbox(context["checkout"], step.name)
            page = skeleton.draw(context["checkout"], random_token(18), panel)
            return Response(page, mimetype="text/html")
        summary = Markup(  # noqa: S704 - our own template
            render_template("checkout/_summary.html", **context, errors=_said(refused, errors))
        )
        context |= {"summary": summary, "typed": typed or {}}
        context |= _pay_context(context["checkout"], intent, form, _said(refused, errors))
        return _page(step, context, status, context["checkout"]["frames"])
    context |= _later_context(step, session, profile, intent)
    if step in (steps.ACTION, steps.WAITING, steps.UNKNOWN):
        context["sandbox"] = views.filled_sandbox(context["checkout"], step.name, random_token())
    return _page(step, context, step.status, context.get("frames"))


def _page(step: steps.Step, context: dict[str, Any], status: int | None, card: CardFrames | None) -> Response:
    """The page; one with a gateway's frames lets in that gateway's hosts, and no other page does."""
    page = Response(render_template(step.template, **context), status, mimetype="text/html")
    if card is not None:
        page.headers["Content-Security-Policy"] = headers.policy(
            script_src=f"'self' {card.policy.scripts}",
            frame_src=f"'self' {card.policy.frames}",
            connect_src=f"'self' {card.policy.connects}",
        )
    return page


def _said(refused: DomainError | None, errors: list[dict[str, Any]] | None) -> list[dict[str, Any]]:
    """What was wrong with what was sent."""
    return errors or ([{"field": refused.field, "text": refusals.words(refused)}] if refused else [])


def _pay_context(
    view: dict[str, Any], intent: PaymentIntent | None, form: CardForm | None, errors: list[dict[str, Any]]
) -> dict[str, Any]:
    fresh = form is None
    if form is None or isinstance(form, FramesForm) != bool(view["frames"]):  # routing may choose anew
        typed, form = form, (FramesForm if view["frames"] else CardForm)(formdata=None)
        form.email.data = typed.email.data if typed else None
    form.nonce.data, form.quote.data = random_token(18), None
    if fresh:
        form.email.data = view["email"]
    form.forget_card()
    if not errors and fresh:
        errors = views.decline(intent)
    errors = [{**said, "field": _place(said["field"], view)} for said in errors]
    return {
        "form": form,
        "errors": errors,
        "countries": views.countries() if view["delivery"] or view["billing"] else None,
        "sandbox": views.filled_sandbox(view, steps.PAY.name, form.nonce.data),
    }


def _place(field: str | None, view: dict[str, Any]) -> str | None:
    """Where the page shows what a service said of a field: a gateway's own fields are all in one place."""
    if view["frames"]:
        return "card" if field in OF_A_CARD else field
    if field == "card":
        return "card_number" if view["card_form"] else None
    return field


def _later_context(
    step: steps.Step, session: CheckoutSession, profile: TenantProfile, intent: PaymentIntent | None
) -> dict[str, Any]:
    """What pages are given that nothing can be paid on."""
    if step is steps.ACTION:
        assert intent is not None and intent.payment_method_id is not None
        method = methods.get(actor_of(session, profile), intent.payment_method_id)
        shown = views.action(session, intent, method)
        if shown["kind"] == "frames":
            attempt = attempts.newest(actor_of(session, profile), intent.id)
            shown["back_url"] = f"/return/{attempt.return_nonce}" if attempt else None
            return {"action": shown, "frames": offers.frames_of(method)}
        return {"action": shown, "auto": shown["kind"] == "link", "poll_seconds": POLL_SECONDS}
    if step is steps.RECEIPT:
        return _receipt_context(session, profile, intent)
    if step in (steps.WAITING, steps.UNKNOWN):
        return {
            "poll_seconds": POLL_SECONDS,
            "reference": intent.id if intent else None,
            "review": bool(intent and intent.needs_review),
        }
    return _ended_context(session, profile, intent)


def _receipt_context(
    session: CheckoutSession, profile: TenantProfile, intent: PaymentIntent | None
) -> dict[str, Any]:
    method = None
    if intent is not None and intent.payment_method_id is not None:
        method = methods.get(actor_of(session, profile), intent.payment_method_id)
    return {
        "receipt": views.receipt(session, intent, method),
        "success_url": session.success_url,
        "leave_seconds": 5 if session.success_url and frames.current() is None else 0,
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
