"""What a merchant may choose for the hosted page: what is wrong with a value, or None (CK-067)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from email_validator import EmailNotValidError, validate_email

from app.domain.languages import LANGUAGES
from app.kit.http import AddressRefused, check_url

_ACCENT = re.compile(r"#[0-9a-fA-F]{6}")
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*")
_ORIGIN = re.compile(r"(?P<scheme>https?)://(?P<host>[a-z0-9.-]+)(?::(?P<port>[0-9]{1,5}))?")


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


def is_origin(text: str) -> bool:
    """Whether it is the origin of a page as browsers write it, `https://shop.example` or with a port.

    Without encryption only on one's own machine.
    """
    found = _ORIGIN.fullmatch(text)
    if found is None:
        return False
    host, port = found["host"], found["port"]
    secure = found["scheme"] == "https"
    usual = "443" if secure else "80"
    good = port is None or (port != usual and not port.startswith("0") and int(port) < 65536)
    return good and bool(_HOST.fullmatch(host)) and (secure or host in ("localhost", "127.0.0.1"))


def origins(value: Sequence[str]) -> str | None:
    """On whose pages the checkout may be framed; of none, on nobody's."""
    wrong = [text for text in value if not is_origin(text)]
    if wrong:
        return f"{wrong[0]} is not an origin like https://shop.example (no path, lower case)"
    return None if len(set(value)) == len(value) else "names something twice"


def language(value: str) -> str | None:
    """What pages speak where a shopper's browser names no language of ours; an empty text is English."""
    return None if value in ("", *LANGUAGES) else f"must be one of {', '.join(LANGUAGES)}"


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
