"""What a merchant may choose for the hosted page: what is wrong with a value, or None (CK-067)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from email_validator import EmailNotValidError, validate_email

from app.kit.http import AddressRefused, check_url

_ACCENT = re.compile(r"#[0-9a-fA-F]{6}")
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*")


def accent(value: str) -> str | None:
    """A colour; an empty text is the page's own."""
    return None if value == "" or _ACCENT.fullmatch(value) else "must be a colour like #1a73e8"


def email(value: str) -> str | None:
    """Where shoppers can write to; an empty text is nowhere."""
    try:
        if value:
            validate_email(value, check_deliverability=False, test_environment=True)
    except EmailNotValidError as error:
        return str(error)
    return None


def terms(value: str) -> str | None:
    """Where the merchant's terms are; an empty text is nowhere."""
    try:
        if value:
            check_url(value)
    except AddressRefused as refused:
        return str(refused)
    return None if value == "" or value.lower().startswith("https:") else "must be an https address"


def hosts(value: Sequence[str]) -> str | None:
    """To which hosts shoppers may be sent in live mode; of none, to any."""
    wrong = [name for name in value if not _HOST.fullmatch(name)]
    if wrong:
        return f"{wrong[0]} is not the name of a host, in lower case and without a port"
    return None if len(set(value)) == len(value) else "names something twice"


def places(value: Sequence[Mapping[str, Any]]) -> str | None:
    """Where goods can be collected; of none, nowhere."""
    names = [place["location_id"] for place in value]
    return None if len(set(names)) == len(names) else "names a location_id twice"
