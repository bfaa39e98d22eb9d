"""Forms of the shopper pages: what may be typed, and the words when it is wrong."""

from __future__ import annotations

from typing import Any

from flask_wtf import FlaskForm
from wtforms import BooleanField, Field, StringField
from wtforms.validators import InputRequired, Length, Optional, Regexp, StopValidation

from app.domain.rules.cards import holds_card_number

_MONTH = r"^\s*(0?[1-9]|1[0-2])\s*$"
_YEAR = r"^\s*(\d{2}|20\d{2})\s*$"
_EMAIL = r"^[^@\s]+@[^@\s]+\.[^@\s.]+$"


def _no_card(_form: Any, field: Field) -> None:
    """Refuse a card number that slipped into a field that is kept, and do not show it again.

    Raises:
        StopValidation: there is one.
    """
    if holds_card_number(field.data or ""):
        field.data = ""
        raise StopValidation("Take the card number out of here")


class CardForm(FlaskForm):  # type: ignore[misc]
    """The card form; nothing that is typed into its card fields is kept or shown again."""

    card_number = StringField(validators=[InputRequired("Enter the card number"), Length(max=40)])
    exp_month = StringField(
        validators=[
            InputRequired("Enter the expiry month"),
            Regexp(_MONTH, message="Enter a month from 1 to 12"),
        ]
    )
    exp_year = StringField(
        validators=[
            InputRequired("Enter the expiry year"),
            Regexp(_YEAR, message="Enter the year as two or four digits"),
        ]
    )
    card_name = StringField(validators=[_no_card, Length(max=120)])
    cvc = StringField(
        validators=[
            InputRequired("Enter the security code"),
            Regexp(r"^\s*\d{3,4}\s*$", message="Enter the 3 or 4 digits on your card"),
        ]
    )
    email = StringField(
        validators=[
            Optional(),
            _no_card,
            Length(max=254),
            Regexp(_EMAIL, message="Enter an e-mail address like name@example.com"),
        ]
    )
    line1 = StringField(validators=[_no_card, Length(max=200)])
    city = StringField(validators=[_no_card, Length(max=120)])
    postal_code = StringField(validators=[_no_card, Length(max=20)])
    country = StringField(validators=[Length(max=2)])
    consent = BooleanField()
    quote = StringField(validators=[Length(max=64)])
    nonce = StringField(validators=[Length(max=64)])

    def require_consent(self) -> bool:
        """Check that the buyer agreed to be charged again."""
        if not self.consent.data:
            self.consent.errors = [*self.consent.errors, "Agree to the renewals to go on"]
        return bool(self.consent.data)

    def require_billing(self) -> bool:
        """Check the billing address where the merchant wants one."""
        missing = [
            (self.line1, "Enter the street and number"),
            (self.city, "Enter the town"),
            (self.postal_code, "Enter the postcode"),
            (self.country, "Choose the country"),
        ]
        for field, words in missing:
            if not (field.data or "").strip():
                field.errors = [*field.errors, words]
        return not any(field.errors for field, _ in missing)

    def billing_address(self) -> dict[str, str]:
        """The billing address as it is stored."""
        return {
            "line1": self.line1.data.strip(),
            "city": self.city.data.strip(),
            "postal_code": self.postal_code.data.strip(),
            "country": self.country.data.strip().upper(),
        }

    def forget_card(self) -> None:
        """Nothing of the card goes back into the page."""
        for field in (self.card_number, self.cvc):
            field.data = ""
