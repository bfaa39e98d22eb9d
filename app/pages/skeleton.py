"""The hosted page as most shoppers first see it, drawn once for each shape and filled in for each of them.

Drawing it with all its macros takes most of a request's time, and what differs between two sessions of a
merchant is little: the order slip, a few values and tokens. A page with errors, a coupon or quantity form, a
billing address or a delivery step is drawn in full (docs/adr/0008).
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from flask import render_template
from flask_wtf.csrf import generate_csrf
from markupsafe import Markup

from app.domain.money import format_money
from app.pages.forms import CardForm
from app.web.languages import language
from app.web.slots import Slot, fill

#: Shapes differ by merchant, language and options; the bound is for installations with very many merchants.
MAX_SHAPES = 512

_SHAPES: dict[Hashable, str] = {}


def fits(view: dict[str, Any], errors: list[Any]) -> bool:
    """Whether the page has the common shape."""
    extras = ("allow_coupon", "allow_quantity", "require_billing_address", "shipping_required", "continue_qr")
    return not errors and view["amount_due"] > 0 and not any(view[name] for name in extras)


def draw(view: dict[str, Any], nonce: str, summary: Markup, panel: Markup | None) -> str:
    """The page of one session."""
    chosen, currency = language(), view["totals"]["currency"]
    key = _shape(view, chosen, panel is not None)
    page = _SHAPES.get(key)
    if page is None:
        if len(_SHAPES) >= MAX_SHAPES:
            _SHAPES.clear()
        page = _SHAPES[key] = _draw_shape(view, panel)
    return fill(
        page,
        {
            "hosted_id": view["hosted_id"],
            "title": view["title"] or "",
            "amount": format_money(view["amount_due"], currency, chosen),
            "quote": view["quote_hash"],
            "nonce": nonce,
            "email": view["email"] or "",
            "expires_at": view["expires_at"].isoformat(),
            "summary": summary,
            "csrf": generate_csrf(),
        },
    )


def _shape(view: dict[str, Any], chosen: str, sandbox: bool) -> Hashable:
    return (
        chosen,
        sandbox,
        view["mode"],
        tuple(view["merchant"].items()),
        tuple(view["methods"]),
        bool(view["title"]),
        bool(view["cancel_url"]),
    )


def _draw_shape(view: dict[str, Any], panel: Markup | None) -> str:
    form = CardForm(formdata=None)
    form.nonce.data, form.email.data = Slot.named("nonce"), Slot.named("email")
    slotted = {
        **view,
        "hosted_id": Slot.named("hosted_id"),
        "title": Slot.named("title") if view["title"] else None,
        "amount_due": Slot.named("amount"),
        "quote_hash": Slot.named("quote"),
        "expires_at": Slot.named("expires_at"),
    }
    page = render_template(
        "checkout/pay.html",
        checkout=slotted,
        form=form,
        errors=[],
        countries=None,
        sandbox=panel,
        summary=Slot.named("summary"),
    )
    return page.replace(generate_csrf(), Slot.named("csrf"))
