"""Public pages of payment links: /l/{slug}, its QR codes and its poster. A GET changes nothing."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

from flask import Blueprint, Response, g, redirect, render_template, request
from flask_babel import gettext as _
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response as AnyResponse

from app import settings
from app.domain import money
from app.domain.actor import TenantProfile
from app.domain.errors import DomainError, RateLimited
from app.domain.rules.cards import holds_card_number
from app.kit import addresses, qr
from app.kit.words import N_
from app.models.checkout.payment_link import PaymentLink
from app.pages import views
from app.services.checkout import link_page, links
from app.services.checkout.link_page import Asked
from app.services.operations import rate_limits
from app.web import refusals
from app.web.authentication import client_address
from app.web.languages import language
from app.web.opens import To, opens

blueprint = Blueprint("links", __name__, url_prefix="/l")

#: How somebody came by who scanned the code.
QR = "qr"
NO_EMAIL = N_("Enter an e-mail address like name@example.com")
#: From one address: a queue at a market stall, all behind one line, stays below it.
PAYMENTS_A_MINUTE, SCANS_A_MINUTE = 30, 120
#: So much of what was typed, or stands in the address, is shown again.
MAX_TYPED = 300


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
    link = links.by_slug(slug)[0]
    try:
        _count("link_pay", PAYMENTS_A_MINUTE)
    except RateLimited as refused:
        return _too_often(link.slug, refused)
    if request.form.get("via") == QR:
        links.count_scan(slug)  # without script nobody has told of it yet
    try:
        email = request.form.get("email", "").strip() or None
        session = links.pay(
            slug,
            amount=_amount(link),
            request_id=g.request_id,
            email=email,
            asked=_asked(link),
            address=client_address(),
        )
    except RateLimited as refused:
        return _too_often(slug, refused)
    except DomainError as refused:
        words = _(NO_EMAIL) if refused.code == "invalid_email" else refusals.words(refused)
        errors = [{"field": refused.field, "text": words}]
        return _render(*links.by_slug(slug), errors, 422)
    return redirect(f"/pay/{session.hosted_id}", 303)


@blueprint.post("/<slug>/scan")
@opens(To.ADDRESS)
def scan(slug: str) -> AnyResponse:
    """Count somebody who came by the QR code: their browser's script says so, which bots do not run."""
    links.by_slug(slug)
    _count("link_scan", SCANS_A_MINUTE)
    links.count_scan(slug)
    return Response(status=204)


@blueprint.get("/<slug>/picture")
@opens(To.ADDRESS)
def picture(slug: str) -> Response:
    """The picture on the page."""
    kind, content = links.picture(slug)
    return Response(content, mimetype=kind, headers={"Cache-Control": "public, max-age=300"})


@blueprint.get("/<slug>/qr.svg")
@opens(To.ADDRESS)
def qr_svg(slug: str) -> Response:
    """The QR code as SVG."""
    link, profile = links.by_slug(slug)
    drawn = qr.svg(scanned_url(link), title=alternative(link, profile))
    return Response(drawn, mimetype="image/svg+xml")


@blueprint.get("/<slug>/qr.png")
@opens(To.ADDRESS)
def qr_png(slug: str) -> Response:
    """The QR code as PNG."""
    link, _ = links.by_slug(slug)
    return Response(qr.png(scanned_url(link)), mimetype="image/png")


@blueprint.get("/<slug>/poster")
@opens(To.ADDRESS)
def poster(slug: str) -> str:
    """A page to print and put up."""
    link, profile = links.by_slug(slug)
    return render_template("links/poster.html", link=view(link, profile), link_url=url_of(link))


def url_of(link: PaymentLink) -> str:
    """Where the link leads, in full."""
    return f"{settings.current().base_url}/l/{link.slug}"


def scanned_url(link: PaymentLink) -> str:
    """What the QR code says: the same, and that it was scanned."""
    return f"{url_of(link)}?via={QR}"


def alternative(link: PaymentLink, profile: TenantProfile) -> str:
    """What the QR code says, for those who cannot see it: payee and amount."""
    words = str(_("QR code to pay %(merchant)s", merchant=profile.name))
    if link.amount is None:
        return words
    return f"{words} {money.format_money(link.amount, link.currency, language())}"


def view(link: PaymentLink, profile: TenantProfile) -> dict[str, Any]:
    """A link as its page shows it."""
    stands, page = links.standing(link), link_page.of(link.page)
    return {
        "slug": link.slug,
        "mode": link.mode,
        "merchant": views.merchant(profile),
        "title": link.title,
        "description": link.description,
        "picture_url": f"/l/{link.slug}/picture" if page.picture else None,
        "currency": link.currency,
        "amount": link.amount,
        "min_amount": link.min_amount,
        "max_amount": link.max_amount,
        "presets": link.presets or [],
        "max_quantity": page.max_quantity,
        "promotion_codes": page.promotion_codes,
        "questions": [
            {"key": q.key, "label": q.label, "required": q.required, "options": [(o, o) for o in q.options]}
            for q in page.questions
        ],
        "state": "open" if stands == "payable" else stands,
        "message": page.messages.get(stands),
    }


def _count(name: str, limit: int) -> None:
    """Count what somebody does by their address; one that is not public says nothing about who it is.

    Raises:
        RateLimited: too often in a minute.
    """
    who = addresses.counted(client_address())
    if who is not None:
        rate_limits.hit(name, who, limit=limit, window_seconds=60)


def _too_often(slug: str, refused: RateLimited) -> Response:
    """The page again with what was typed, and when another try makes sense."""
    errors = [{"field": refused.field, "text": refusals.words(refused)}]
    answer = _render(*links.by_slug(slug), errors, refused.http_status)
    answer.headers["Retry-After"] = str(refused.retry_after)
    return answer


def _asked(link: PaymentLink) -> Asked:
    """What the payer answered; not a number is no quantity."""
    form = request.form
    text = form.get("quantity", "1").strip()
    answers = {q.key: form.get(q.key, "") for q in link_page.of(link.page).questions}
    campaign = {name: form.get(name, "") for name in link_page.CAMPAIGN}
    quantity = int(text) if text.isascii() and text.isdigit() and len(text) < 5 else 0
    return Asked(quantity, form.get("code", ""), answers, campaign)


def _amount(link: PaymentLink) -> int | None:
    """What the payer typed or chose, in minor units; None where it is not an amount.

    More decimals than the currency has are none: of "1,000" nobody knows whether it is one or a thousand.
    """
    text = request.form.get("amount", "").strip().replace(",", ".")
    if not text:
        chosen = request.form.get("preset", "")
        return next((preset for preset in link.presets or () if str(preset) == chosen), None)
    if len(text.partition(".")[2]) > money.exponent(link.currency):
        return None
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
    asked = [question.key for question in link_page.of(link.page).questions]
    names = ("amount", "preset", "quantity", "email", "code", "via", *link_page.CAMPAIGN, *asked)
    values = {name: request.values.get(name, "")[:MAX_TYPED] for name in names}
    values = {name: "" if holds_card_number(value) else value for name, value in values.items()}
    if request.method == "POST":
        values["via"] = ""  # it is counted
    page = render_template(
        "links/show.html",
        link=view(link, profile),
        link_url=url_of(link),
        campaign=link_page.CAMPAIGN,
        form=FlaskForm(),
        values=values,
        errors=errors or [],
    )
    return Response(page, status, mimetype="text/html")
