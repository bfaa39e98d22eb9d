"""Public pages of payment links: /l/{slug}, its QR codes and its poster. A GET changes nothing."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

from flask import Blueprint, Response, g, redirect, render_template, request
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response as AnyResponse

from app import settings
from app.domain import money
from app.domain.actor import TenantProfile
from app.domain.errors import DomainError
from app.domain.rules.cards import holds_card_number
from app.kit import qr
from app.models.checkout.payment_link import PaymentLink
from app.pages import views
from app.services.checkout import links
from app.web.opens import To, opens

blueprint = Blueprint("links", __name__, url_prefix="/l")


@blueprint.get("/<slug>")
@opens(To.ADDRESS)
def show(slug: str) -> Response:
    """The link's page."""
    link, profile = links.by_slug(slug)
    return _render(link, profile)


@blueprint.post("/<slug>")
@opens(To.ADDRESS)
def pay(slug: str) -> AnyResponse:
    """Start a payment and go to its page."""
    link, profile = links.by_slug(slug)
    if holds_card_number(request.form.get("reference", "")):
        words = "This looks like a card number. Don't type one here: you enter it on the next page."
        return _render(link, profile, [{"field": "reference", "text": words}], 422)
    try:
        email = request.form.get("email", "").strip() or None
        session = links.pay(slug, amount=_amount(link), request_id=g.request_id, email=email)
    except DomainError as refused:
        return _render(*links.by_slug(slug), [{"field": refused.field, "text": refused.message}], 422)
    return redirect(f"/pay/{session.hosted_id}", 303)


@blueprint.get("/<slug>/qr.svg")
@opens(To.ADDRESS)
def qr_svg(slug: str) -> Response:
    """The QR code as SVG."""
    link, profile = links.by_slug(slug)
    drawn = qr.svg(url_of(link), title=alternative(link, profile))
    return Response(drawn, mimetype="image/svg+xml")


@blueprint.get("/<slug>/qr.png")
@opens(To.ADDRESS)
def qr_png(slug: str) -> Response:
    """The QR code as PNG."""
    link, _ = links.by_slug(slug)
    return Response(qr.png(url_of(link)), mimetype="image/png")


@blueprint.get("/<slug>/poster")
@opens(To.ADDRESS)
def poster(slug: str) -> str:
    """A page to print and put up."""
    link, profile = links.by_slug(slug)
    return render_template("links/poster.html", link=view(link, profile), link_url=url_of(link))


def url_of(link: PaymentLink) -> str:
    """Where the link leads, in full."""
    return f"{settings.current().base_url}/l/{link.slug}"


def alternative(link: PaymentLink, profile: TenantProfile) -> str:
    """What the QR code says, for those who cannot see it: payee and amount."""
    if link.amount is None:
        return f"QR code to pay {profile.name}"
    return f"QR code to pay {profile.name} {money.format_money(link.amount, link.currency)}"


def view(link: PaymentLink, profile: TenantProfile) -> dict[str, Any]:
    """A link as its page shows it."""
    state = links.state(link)
    return {
        "slug": link.slug,
        "mode": link.mode,
        "merchant": views.merchant(profile),
        "title": link.title,
        "description": link.description,
        "picture_url": None,
        "currency": link.currency,
        "amount": link.amount,
        "min_amount": link.min_amount,
        "max_amount": link.max_amount,
        "presets": link.presets or [],
        "allow_quantity": False,
        "quantity": 1,
        "max_quantity": None,
        "ask_reference": False,
        "state": "open" if state == "payable" else state,
        "message": None,
    }


def _amount(link: PaymentLink) -> int | None:
    """What the payer typed or chose, in minor units; None where it is not an amount."""
    text = request.form.get("amount", "").strip().replace(",", ".")
    if not text:
        chosen = request.form.get("preset", "")
        return next((preset for preset in link.presets or () if str(preset) == chosen), None)
    try:
        return money.from_major(Decimal(text), link.currency)
    except (InvalidOperation, ValueError):
        return None


def _render(
    link: PaymentLink,
    profile: TenantProfile,
    errors: list[dict[str, str | None]] | None = None,
    status: int = 200,
) -> Response:
    values = {
        name: request.values.get(name, "") for name in ("amount", "preset", "quantity", "email", "reference")
    }
    page = render_template(
        "links/show.html",
        link=view(link, profile),
        form=FlaskForm(),
        values=values,
        errors=errors or [],
    )
    return Response(page, status, mimetype="text/html")
