"""Who buys: e-mail addresses and phone numbers that can be reached."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import phonenumbers
from email_validator import EmailNotValidError, validate_email

from app.domain.actor import Actor
from app.domain.errors import InvalidRequest


def checked(actor: Actor, given: Mapping[str, Any]) -> dict[str, Any]:
    """Who buys, with e-mail address and phone number in their normal form; what is None is left out.

    Raises:
        InvalidRequest: `invalid_email`, `invalid_phone`.
    """
    found = {name: value for name, value in given.items() if value is not None}
    if "email" in found:
        found["email"] = email(actor, found["email"])
    if "phone" in found:
        found["phone"] = _phone(found["phone"])
    return found


def email(actor: Actor, text: str, field: str = "email") -> str:
    """An e-mail address in its normal form; test mode takes `.test` as well.

    Raises:
        InvalidRequest: `invalid_email`, under the name of `field`.
    """
    lenient = actor.mode == "test"
    try:
        return validate_email(text, check_deliverability=False, test_environment=lenient).normalized
    except EmailNotValidError as error:
        raise InvalidRequest(f"{field}: {error}", code="invalid_email", field=field) from error


def _phone(text: str) -> str:
    try:
        number = phonenumbers.parse(text, None)
        good = phonenumbers.is_possible_number(number)
    except phonenumbers.NumberParseException:
        good = False
    if not good:
        raise InvalidRequest(
            "phone: write it with its country code, like +44 20 7946 0958",
            code="invalid_phone",
            field="phone",
        )
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
