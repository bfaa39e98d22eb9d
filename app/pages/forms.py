"""Forms of the shopper pages: what may be typed, and the words when it is wrong."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from flask_babel import lazy_gettext as _
from flask_wtf import FlaskForm
from wtforms import BooleanField, Field, StringField
from wtforms.validators import InputRequired, Length, Optional, Regexp, StopValidation

from app.domain.rules.cards import holds_card_number
from app.services.checkout import addresses

_MONTH = r"^\s*(0?[1-9]|1[0-2])\s*$"
_YEAR = r"^\s*(\d{2}|20\d{2})\s*$"
_TOO_LONG = _("This is too long")
_EMAIL = r"^[^@\s]+@[^@\s]+\.[^@\s.]+$"


def _no_card(_form: Any, field: Field) -> None:
    """Refuse a card number that slipped into a field that is kept, and do not show it again.

    Raises:
        StopValidation: there is one.
    """
    if holds_card_number(field.data or ""):
        field.data = ""
        raise StopValidation(_("Take the card number out of here"))


def good_email(text: str) -> str | None:
    """An e-mail address that came along with a way to pay; None for what is none."""
    text = text.strip()
    good = len(text) <= 254 and re.match(_EMAIL, text) and not holds_card_number(text)
    return text if good else None


def good_nonce(text: str) -> str | None:
    """What tells one form from another, and is kept with the payment; None for what no page made."""
    return text if re.fullmatch(r"[\w-]{1,64}", text, re.ASCII) and not holds_card_number(text) else None


#: The fields of a card itself.
OF_A_CARD = ("card_number", "exp_month", "exp_year", "cvc", "card_name", "postal_code")


class CardForm(FlaskForm):  # type: ignore[misc]
    """The card form; nothing that is typed into its card fields is kept or shown again."""

    card_number = StringField(
        validators=[InputRequired(_("Enter the card number")), Length(max=40, message=_TOO_LONG)]
    )
    exp_month = StringField(
        validators=[
            InputRequired(_("Enter the expiry month")),
            Regexp(_MONTH, message=_("Enter a month from 1 to 12")),
        ]
    )
    exp_year = StringField(
        validators=[
            InputRequired(_("Enter the expiry year")),
            Regexp(_YEAR, message=_("Enter the year as two or four digits")),
        ]
    )
    card_name = StringField(validators=[_no_card, Length(max=120, message=_TOO_LONG)])
    cvc = StringField(
        validators=[
            InputRequired(_("Enter the security code")),
            Regexp(r"^\s*\d{3,4}\s*$", message=_("Enter the 3 or 4 digits on your card")),
        ]
    )
    email = StringField(
        validators=[
            Optional(),
            _no_card,
            Length(max=254, message=_TOO_LONG),
            Regexp(_EMAIL, message=_("Enter an e-mail address like name@example.com")),
        ]
    )
    postal_code = StringField(validators=[_no_card, Length(max=20, message=_TOO_LONG)])
    consent = BooleanField()
    quote = StringField(validators=[Length(max=64, message=_TOO_LONG)])
    nonce = StringField(validators=[Length(max=64, message=_TOO_LONG)])

    def require_consent(self) -> bool:
        """Check that the buyer agreed to be charged again."""
        if not self.consent.data:
            self.consent.errors = [*self.consent.errors, _("Agree to the renewals to go on")]
        return bool(self.consent.data)

    def forget_card(self) -> None:
        """Nothing of the card goes back into the page."""
        for field in (self.card_number, self.cvc):
            field.data = ""


class FramesForm(CardForm):
    """What comes with a card that was typed into a gateway's own fields: a token of it, and no card field."""

    card_number = exp_month = exp_year = cvc = card_name = postal_code = None
    card = StringField(
        name="card_token",
        validators=[
            InputRequired(_("Enter your card again")),
            Regexp(r"^[A-Za-z0-9_]{8,128}$", message=_("Enter your card again")),
        ],
    )

    def forget_card(self) -> None:
        """A token counts once."""
        self.card.data = ""


#: What is asked of an address, in the order of the form.
ADDRESS = ("name", "country", "line1", "line2", "city", "postal_code", "state")
_WORDS = {
    "name": _("Enter the full name"),
    "country": _("Choose the country"),
    "line1": _("Enter the street and number"),
    "city": _("Enter the town"),
    "postal_code": _("Enter the postcode"),
    "state": _("Enter the state or region"),
}
_WRONG = {
    "country": _("Choose a country of the list"),
    "postal_code": _("Enter a postcode as it is written in this country"),
    "state": _("Enter a state or region of this country"),
    "city": _("Enter a town of this region"),
}


class AddressForm:
    """An address that was typed under names with a prefix; whether it is good, its country says."""

    def __init__(self, typed: Mapping[str, str], prefix: str) -> None:
        self._prefix = prefix
        self.address = {name: typed.get(prefix + name, "").strip()[:200] for name in ADDRESS}
        self.errors: list[dict[str, Any]] = []
        for name, text in self.address.items():
            if holds_card_number(text):
                self.address[name] = ""
                self._say(name, _("Take the card number out of here"))
        problems = {} if self.address["name"] else {"name": "required"}
        problems |= addresses.problems(self.address)
        for name in ADDRESS:
            if name in problems and not self.errors_of(name):
                words = _WORDS if problems[name] == "required" else _WRONG
                self._say(name, words.get(name) or _WORDS.get(name) or _("Check this line"))

    def errors_of(self, name: str) -> list[dict[str, Any]]:
        """What was said of one field."""
        return [error for error in self.errors if error["field"] == self._prefix + name]

    def _say(self, name: str, words: Any) -> None:
        self.errors.append({"field": self._prefix + name, "text": words})
