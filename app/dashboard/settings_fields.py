"""The merchant's choices as forms have them: which stand on which screen, how they are written and read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from flask_babel import lazy_gettext as _
from werkzeug.datastructures import MultiDict

from app.domain import money
from app.domain.errors import InvalidRequest
from app.services.operations.settings import CAPTURE_MODES, GL_TYPES, THREE_DS_POLICIES, CheckoutSettings

_SHORT = 12


@dataclass(frozen=True, slots=True)
class Choice:
    """One setting: the words beside it, and the kind of its control."""

    name: str
    kind: str
    label: Any
    hint: Any = None
    options: tuple[tuple[str, Any, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Section:
    """A screen of settings that are changed together."""

    title: Any
    choices: tuple[Choice, ...]


_CAPTURE_WORDS = {
    "auto": (_("At once"), _("The money is taken when the customer pays.")),
    "manual": (_("Later, by you"), _("It is held, until you capture it.")),
}
_THREE_DS_WORDS = {
    "automatic": (_("When it is needed"), _("The bank, the law or the risk asks for it.")),
    "always": (_("Always"), _("Safest, and some customers give up.")),
    "never": (_("Only where a bank insists"), _("You carry the risk of fraud.")),
}

SECTIONS: dict[str, Section] = {
    "checkout": Section(
        _("Checkout"),
        (
            Choice("session_ttl_seconds", "minutes", _("A checkout stays open for"), _("In minutes.")),
            Choice(
                "link_ttl_seconds",
                "minutes",
                _("A checkout of a payment link stays open for"),
                _("In minutes."),
            ),
            Choice(
                "hold_ttl_seconds", "minutes", _("Goods are held for"), _("In minutes, while somebody pays.")
            ),
            Choice(
                "max_payment_attempts",
                "number",
                _("Tries to pay"),
                _("After so many declines the checkout is over."),
            ),
            Choice(
                "fresh_copies",
                "flag",
                _("Offer to start again"),
                _("A page that is over offers the same basket anew."),
            ),
            Choice(
                "redirect_hosts",
                "lines",
                _("Where customers may be sent back to"),
                _("One host a line, such as shop.example. In live mode only these; with none, any."),
            ),
        ),
    ),
    "payments": Section(
        _("Payments"),
        (
            Choice(
                "default_capture_mode",
                "one",
                _("When money is taken"),
                options=tuple((word, *_CAPTURE_WORDS[word]) for word in CAPTURE_MODES),
            ),
            Choice(
                "three_ds_policy",
                "one",
                _("When the bank checks who pays (3-D Secure)"),
                options=tuple((word, *_THREE_DS_WORDS[word]) for word in THREE_DS_POLICIES),
            ),
            Choice(
                "allowed_methods",
                "many",
                _("Ways to pay"),
                _("What a checkout offers where it does not say itself."),
            ),
            Choice(
                "currencies",
                "codes",
                _("Currencies"),
                _("Codes such as GBP, EUR. With none, every currency."),
            ),
            Choice(
                "dispute_retention_days",
                "number",
                _("Evidence of disputes is kept for"),
                _("In days after they end."),
            ),
        ),
    ),
    "limits": Section(
        _("Limits"),
        (
            Choice(
                "limits_currency",
                "currency",
                _("Amounts below hold for"),
                _("For all currencies alike a figure is counted in each one's smallest unit."),
            ),
            Choice("min_amount", "amount", _("Smallest payment")),
            Choice("max_amount", "amount", _("Largest payment")),
            Choice("max_authorization_amount", "amount", _("Largest hold on a card")),
            Choice(
                "max_confirms_per_session",
                "limit",
                _("Confirmations of one checkout"),
                _("Stops card testing."),
            ),
        ),
    ),
    "accounting": Section(
        _("Accounting"),
        (
            Choice(
                "gl_accounts",
                "accounts",
                _("Accounts in your books"),
                _("Exports carry these codes. Leave out what you do not need."),
            ),
        ),
    ),
    "security": Section(
        _("Security"),
        (
            Choice(
                "require_second_factor",
                "flag",
                _("Everybody needs two-step sign-in"),
                _("Who has none sets it up before anything else. Whoever acts in live mode needs it anyhow."),
            ),
        ),
    ),
}


def shown(section: Section, row: CheckoutSettings, default_currency: str) -> dict[str, Any]:
    """The settings of a section as their controls show them."""
    currency = row.limits_currency or default_currency
    return {
        choice.name: _shown(choice.kind, getattr(row, choice.name), currency) for choice in section.choices
    }


def _shown(kind: str, value: Any, currency: str) -> Any:
    if kind == "minutes":
        return f"{value / 60:g}"
    if kind == "amount" and value is not None:
        return f"{money.to_major(value, currency)}"
    if kind in ("lines", "codes"):
        return ("\n" if kind == "lines" else ", ").join(value)
    if kind == "accounts":
        return {name: value.get(name, "") for name in sorted(GL_TYPES)}
    return "" if value is None else value


def typed(section: Section, form: MultiDict[str, str]) -> dict[str, Any]:
    """What was sent, as its controls show it again."""
    found: dict[str, Any] = {}
    for choice in section.choices:
        if choice.kind == "many":
            found[choice.name] = form.getlist(choice.name)
        elif choice.kind == "accounts":
            found[choice.name] = {name: form.get(f"account-{name}", "") for name in sorted(GL_TYPES)}
        elif choice.kind == "flag":
            found[choice.name] = form.get(choice.name) == "1"
        else:
            found[choice.name] = form.get(choice.name, "").strip()
    return found


def read(section: Section, sent: Mapping[str, Any], default_currency: str) -> dict[str, Any]:
    """What was sent, as it is stored.

    Raises:
        InvalidRequest: a figure that is none, under its field.
    """
    currency = sent.get("limits_currency") or default_currency
    return {c.name: _read(c.name, c.kind, sent[c.name], currency) for c in section.choices}


def _read(name: str, kind: str, value: Any, currency: str) -> Any:
    match kind:
        case "minutes":
            return round(_figure(name, value) * 60)
        case "number":
            return _whole(name, value)
        case "limit":
            return _whole(name, value) if value else None
        case "amount":
            return _amount(name, value, currency) if value else None
        case "currency":
            return value or None
        case "lines":
            return value.split()
        case "codes":
            return [code.upper() for code in re.split(r"[\s,;]+", value) if code]
        case "accounts":
            return {key: code.strip() for key, code in value.items() if code.strip()}
        case _:
            return value


def _figure(name: str, text: str) -> Decimal:
    try:
        figure = Decimal(text.replace(",", ".")) if len(text) <= _SHORT else None
    except InvalidOperation:
        figure = None
    if figure is None or not figure.is_finite() or figure < 0:
        raise InvalidRequest("Enter a figure", field=name)
    return figure


def _whole(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= _SHORT):
        raise InvalidRequest("Enter a whole number", field=name)
    return int(text)


def _amount(name: str, text: str, currency: str) -> int:
    if not money.is_currency(currency):
        raise InvalidRequest("Choose a currency", field="limits_currency")
    try:
        return money.from_major(_figure(name, text), currency)
    except (ValueError, ArithmeticError) as error:
        raise InvalidRequest(f"{currency} has {money.exponent(currency)} decimals", field=name) from error
