"""The hosted page as most shoppers first see it, drawn once for each shape and filled in for each of them.

Drawing it with all its macros takes most of a request's time, and what differs between two sessions of a
merchant is little: names, amounts and tokens. A page with errors, a coupon or quantity form, an address to
give, a gateway's own card fields, stored value, an end that is near, or very many lines is drawn in full
(docs/adr/0008).
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
from app.web.slots import Drawn, Slot

#: Shapes differ by merchant, language, options and number of lines; the bound is for very many merchants.
MAX_SHAPES = 512
MAX_LINES = 8

_SHAPES: dict[Hashable, Drawn] = {}
#: Optional parts that only a page drawn in full has.
_EXTRAS = (
    "allow_coupon",
    "allow_quantity",
    "billing",
    "delivery",
    "frames",
    "wallet",
    "closes_in",
    "renews_every",
)
_SUMS = ("sub_total", "discount_total", "tax_total", "shipping_total", "fee_total")


def fits(view: dict[str, Any], errors: list[Any]) -> bool:
    """Whether the page has the common shape."""
    return (
        not errors
        and len(view["lines"]) <= MAX_LINES
        and view["amount_due"] == view["totals"]["grand_total"] > 0
        and not any(view[name] for name in _EXTRAS)
    )


def draw(view: dict[str, Any], nonce: str, panel: Markup | None) -> str:
    """The page of one session."""
    chosen, token = language(), generate_csrf()
    key = _shape(view, chosen, panel)
    page = _SHAPES.get(key)
    if page is None:
        if len(_SHAPES) >= MAX_SHAPES:
            _SHAPES.clear()
        page = _SHAPES[key] = _draw_shape(view, panel, token)
    values = {
        "hosted_id": view["hosted_id"],
        "title": view["title"] or "",
        "description": view["description"] or "",
        "quote": view["quote_hash"],
        "nonce": nonce,
        "email": view["email"] or "",
        "expires_at": view["expires_at"].isoformat(),
        "csrf": token,
    }
    return page.fill(values | _amounts(view, chosen))


def _amounts(view: dict[str, Any], chosen: str) -> dict[str, str]:
    """The order slip: what each line costs and how the total comes about."""
    totals = view["totals"]
    currency = totals["currency"]
    shown = {name: format_money(totals[name], currency, chosen) for name in _SUMS}
    shown["discount_total"] = format_money(-totals["discount_total"], currency, chosen)
    shown["amount"] = format_money(view["amount_due"], currency, chosen)
    for number, line in enumerate(view["lines"]):
        shown[f"name_{number}"] = line["name"]
        shown[f"quantity_{number}"] = str(line["quantity"])
        shown[f"price_{number}"] = format_money(line["unit_price"], currency, chosen)
        shown[f"cost_{number}"] = format_money(line["line_total"], currency, chosen)
    return shown


def _shape(view: dict[str, Any], chosen: str, panel: Markup | None) -> Hashable:
    totals = view["totals"]
    return (
        chosen,
        panel,
        view["mode"],
        totals["currency"],
        bool(view["title"]),
        bool(view["description"]),
        bool(view["cancel_url"]),
        bool(view["selected_shipping"]),
        tuple(view["merchant"].items()),
        tuple(view["methods"]),
        view["card_form"],
        view["gift_cards"],
        view["can_extend"],
        tuple([line["quantity"] == 1 for line in view["lines"]]),
        tuple([totals[name] == 0 for name in _SUMS]),
    )


def _draw_shape(view: dict[str, Any], panel: Markup | None, token: str) -> Drawn:
    form = CardForm(formdata=None)
    form.nonce.data, form.email.data = Slot.named("nonce"), Slot.named("email")
    slotted = {**view, **_slots(view)}
    page = render_template(
        "checkout/pay.html",
        checkout=slotted,
        form=form,
        errors=[],
        sandbox=panel,
        summary=Markup(render_template("checkout/_summary.html", checkout=slotted)),  # noqa: S704 - ours
    )
    return Drawn(page.replace(token, Slot.named("csrf")))


def _slots(view: dict[str, Any]) -> dict[str, Any]:
    """What differs between sessions of one shape, as slots; the page asks for zero and one, so they stay."""
    totals = view["totals"]
    amount = Slot.named("amount")
    return {
        "hosted_id": Slot.named("hosted_id"),
        "title": Slot.named("title") if view["title"] else None,
        "description": Slot.named("description") if view["description"] else None,
        "amount_due": amount,
        "quote_hash": Slot.named("quote"),
        "expires_at": Slot.named("expires_at"),
        "totals": {
            "currency": totals["currency"],
            "grand_total": amount,
            **{name: Slot.named(name) if totals[name] else 0 for name in _SUMS},
        },
        "lines": [
            {
                "name": Slot.named(f"name_{number}"),
                "quantity": 1 if line["quantity"] == 1 else Slot.named(f"quantity_{number}"),
                "unit_price": Slot.named(f"price_{number}"),
                "line_total": Slot.named(f"cost_{number}"),
            }
            for number, line in enumerate(view["lines"])
        ],
    }
