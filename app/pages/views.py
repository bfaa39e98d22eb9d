"""What the shopper templates are given: plain objects made of a session and its merchant."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from babel import Locale
from flask import render_template
from flask_babel import get_locale, gettext, ngettext
from flask_wtf.csrf import generate_csrf
from markupsafe import Markup

from app.connectors.sandbox.cards import CARDS
from app.domain.actor import TenantProfile, shopper_actor
from app.domain.countries import is_country
from app.domain.decline_codes import describe
from app.domain.rules import payment_methods as method_rules
from app.domain.rules.cards import brand_of
from app.domain.rules.routing import Facts
from app.models.checkout.session import CheckoutSession
from app.models.payments.intent import PaymentIntent
from app.models.payments.method import PaymentMethod
from app.pages import parts
from app.services.checkout import dues, panel, receipts, totals
from app.services.checkout.subscribing import RECURRING
from app.services.operations.settings import checkout_settings
from app.services.payments import offers
from app.web import frames, languages, shop_signs
from app.web.languages import language
from app.web.slots import Drawn, Slot

#: Cards that the panel shows first; the rest are under "more".
_USUAL = (
    "4242424242424242",
    "5555555555554444",
    "4000000000009995",
    "4000000000003220",
    "4000000000000002",
    "4000000000000127",
)


def merchant(profile: TenantProfile) -> dict[str, Any]:
    """Name and branding; the page speaks their language where its reader asked for none that we have."""
    settings = checkout_settings(profile)
    languages.fall_back_to(settings.default_language)
    return {
        "name": profile.name,
        **shop_signs.logo(profile),
        "accent": settings.brand_accent or None,
        "support_email": settings.support_email or None,
        "terms_url": settings.terms_url or None,
    }


def checkout(
    session: CheckoutSession, profile: TenantProfile, intent: PaymentIntent | None
) -> dict[str, Any]:
    """A session as its page shows it."""
    options, lines = session.options, session.cart_snapshot["lines"]
    actor = shopper_actor(profile, session.mode, session.id)
    offered = offer(session, profile)
    return {
        "hosted_id": session.hosted_id,
        "mode": session.mode,
        "merchant": merchant(profile),
        "title": session.title,
        "description": session.description,
        "lines": [
            {
                "name": line["name"],
                "quantity": line["quantity"],
                "unit_price": line["unit_price"],
                "line_total": line["quantity"] * line["unit_price"],
            }
            for line in lines
        ],
        "totals": session.totals,
        "amount_due": dues.due(session),
        "email": session.customer.get("email") or session.contact.get("email"),
        "allow_coupon": bool(options.get("allow_coupon_code")),
        "coupon_codes": [promotion["code"] for promotion in session.applied_promotions],
        "allow_quantity": bool(options.get("allow_quantity")) and len(lines) == 1,
        "quantity": lines[0]["quantity"],
        "methods": offered.methods,
        "card_form": offered.card_form,
        "simulated": offered.card_form or "card" not in offered.methods,
        "frames": offered.frames.card if offered.frames else None,
        "frame_amount": offered.frames.amount if offered.frames else None,
        "selected_shipping": session.selected_shipping,
        "quote_hash": totals.quote(session),
        "cancel_url": session.cancel_url,
        "expires_at": session.expires_at,
        **parts.to_pay(actor, session),
        "renewal_amount": totals.undiscounted(session),
        "renews_every": _renews_every(options.get(RECURRING)),
    }


def offer(session: CheckoutSession, profile: TenantProfile) -> offers.Offer:
    """What a session can be paid with here, as its payment would be routed.

    Who will be charged again agrees on this page, so that then no card leads on to a gateway's own.
    """
    settings = checkout_settings(profile)
    country = (session.billing_address or session.shipping_address or {}).get("country")
    wanted = method_rules.in_country(
        session.method_types or settings.allowed_methods, country, settings.allowed_apms
    )
    due = dues.due(session) or session.grand_total
    facts = Facts(due, session.currency, country)
    found = offers.of(shopper_actor(profile, session.mode, session.id), wanted, facts)
    if session.options.get(RECURRING) and not found.card_form and found.frames is None:
        return replace(found, methods=[method for method in found.methods if method != "card"])
    return found


def _renews_every(plan: dict[str, Any] | None) -> str | None:
    """How often a buyer is charged again, in words."""
    if plan is None:
        return None
    count = plan["interval_count"]
    words: dict[str, str] = {
        "day": ngettext("every day", "every %(num)d days", count),
        "week": ngettext("every week", "every %(num)d weeks", count),
        "month": ngettext("every month", "every %(num)d months", count),
        "year": ngettext("every year", "every %(num)d years", count),
    }
    return words[plan["interval"]]


def countries() -> list[tuple[str, str]]:
    """Codes and names of the countries, sorted as the reader's language spells them."""
    locale = get_locale() or Locale("en")
    names = [(code, name) for code, name in locale.territories.items() if is_country(code)]
    return [("", gettext("Choose a country")), *sorted(names, key=lambda item: item[1])]


def decline(intent: PaymentIntent | None) -> list[dict[str, str | None]]:
    """The last decline, in the shopper's words."""
    if intent is None or not intent.last_error:
        return []
    code = describe(intent.last_error.get("decline_code"))
    return [{"field": code.field, "text": gettext(code.shopper_text)}]


def sandbox(view: dict[str, Any], step: str) -> Markup | None:
    """The panel of test cards and actions, where payments are simulated; with slots for a session's own.

    It is the same for everybody at a step, so it is drawn once a language.
    """
    here = panel.is_here(view["mode"])
    if view["mode"] != "test" or not view["simulated"] or not (here or step == "pay"):
        return None
    key = (language(), step, here, view["card_form"], frames.current() is not None)
    if key not in _PANELS:
        drawn = render_template(
            "checkout/_sandbox.html",
            sandbox={
                "cards": _test_cards() if step == "pay" else [],
                "actions": _actions(step, view["card_form"]) if here else [],
                "codes": panel.decline_codes() if step == "pay" else [],
            },
            **{name: Slot.named(name) for name in ("hosted_id", "csrf", "origin", "nonce")},
        )
        _PANELS[key] = Markup(drawn)  # noqa: S704 - our own template
    return _PANELS[key]


def filled_sandbox(view: dict[str, Any], step: str, nonce: str) -> Markup | None:
    """The same, for one session."""
    drawn = sandbox(view, step)
    if drawn is None:
        return None
    values = {"hosted_id": str(view["hosted_id"]), "nonce": nonce}
    frame = frames.current()
    values |= {"csrf": frame.token, "origin": frame.origin} if frame else {"csrf": generate_csrf()}
    return Markup(Drawn(drawn).fill(values))  # noqa: S704 - our own template, filled with escaped values


_PANELS: dict[Any, Markup] = {}


def _actions(step: str, card_form: bool) -> list[tuple[str, str]]:
    """Action and words, as far as they can happen at that step."""
    every = [
        ("approve", "Approve"),
        ("decline", "Decline"),
        ("challenge", "Challenge"),
        ("abandon", "Abandon"),
        ("time_out", "Time out"),
        ("late_webhook", "Late webhook"),
        ("expire", "Expire now"),
    ]
    if step != "pay":
        return [action for action in every if action[0] in panel.AT_THE_BANK]
    return every if card_form else every[-1:]


def _test_cards() -> list[dict[str, Any]]:
    rows = [
        {"number": card.spaced, "brand": brand_of(card.number), "outcome": card.description} for card in CARDS
    ]
    usual = [row for row in rows if row["number"].replace(" ", "") in _USUAL]
    rest = [row for row in rows if row not in usual]
    return [{"title": "Usual", "cards": usual}, {"title": "More outcomes", "cards": rest}]


def receipt(
    session: CheckoutSession, intent: PaymentIntent | None, method: PaymentMethod | None
) -> dict[str, Any]:
    """What a paid session shows."""
    return {
        "number": receipts.number_of(session),
        "order_number": session.order_id,
        "amount": intent.amount_captured if intent else session.grand_total,
        "paid_at": session.completed_at,
        "email": session.customer.get("email"),
        "method": {"type": method.type, "brand": method.brand, "last4": method.last4} if method else None,
        "refunded": intent.amount_refunded if intent else 0,
        "url": f"/pay/{session.hosted_id}/receipt" if session.receipt_id else None,
        "pdf_url": f"/pay/{session.hosted_id}/receipt.pdf" if session.receipt_id else None,
    }


def money_taken(intent: PaymentIntent | None) -> str | None:
    """What became of money that was taken for a session that is over: `back`, `kept`; None: none was."""
    if intent is None or intent.amount_captured == 0:
        return None
    return "back" if intent.amount_refunding >= intent.amount_captured else "kept"


#: How the page shows each type of next action; any other leads to a bank's page.
_KINDS = {"qr_code": "qr", "awaiting_webhook": "transfer"}


def action(session: CheckoutSession, intent: PaymentIntent, method: PaymentMethod) -> dict[str, Any]:
    """What the shopper has to do next: go to a bank's page, scan a QR code, or make a transfer."""
    given = intent.next_action or {}
    challenge = given.get("challenge") or {}
    framed = bool(challenge.get("client_secret")) and not given.get("url")
    return {
        "kind": "frames" if framed else _KINDS.get(given.get("type", ""), "link"),
        "challenge": challenge,
        "url": given.get("url"),
        "qr_url": f"/pay/{session.hosted_id}/action.svg",
        "fields": {},
        "details": given.get("details") or {},
        "method": None if method.type == "card" else method.type,
    }
