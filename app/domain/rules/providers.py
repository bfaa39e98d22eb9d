"""Which systems a merchant may choose for its checkout, and what such a choice looks like.

`{"tax": {"kind": "http", "url": "https://…"}, "inventory": {"kind": "builtin"}}`; what is not named is
built in. Fraud has a setting of its own (rules/risk_choices.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from app.domain.errors import InvalidRequest
from app.kit.http import AddressRefused, address_allowed, check_url

CARTS, PRICING, PROMOTIONS = "carts", "pricing", "promotions"
TAX, SHIPPING, INVENTORY = "tax", "shipping", "inventory"
ORDERS, BILLING, KYC = "orders", "billing", "kyc"
#: Those that may be the merchant's own.
NAMES = (CARTS, PRICING, PROMOTIONS, TAX, SHIPPING, INVENTORY, ORDERS, BILLING, KYC)
BUILTIN, HTTP = "builtin", "http"
MAX_URL = 500
_KEYS = {BUILTIN: frozenset({"kind"}), HTTP: frozenset({"kind", "url"})}


def check(chosen: Any, *, secure: bool, allow_loopback: bool) -> None:
    """Whether this may be stored as the setting `providers`; `secure` wants https.

    What a name leads to is looked at with every call.

    Raises:
        InvalidRequest: `invalid_setting`, with the dotted path of what is wrong.
    """
    if not isinstance(chosen, Mapping):
        raise _refused("providers", "is an object")
    for name, choice in chosen.items():
        place = f"providers.{name}"
        if name not in NAMES:
            raise _refused(place, f"is not one of {', '.join(NAMES)}")
        if not isinstance(choice, Mapping) or choice.get("kind") not in (BUILTIN, HTTP):
            raise _refused(f"{place}.kind", f"is one of {BUILTIN}, {HTTP}")
        unknown = sorted(set(choice) - _KEYS[choice["kind"]])
        if unknown:
            raise _refused(f"{place}.{unknown[0]}", "is not known")
        if choice["kind"] == HTTP:
            _check_url(f"{place}.url", choice.get("url"), secure, allow_loopback)


def url_of(settings: Mapping[str, Any], name: str) -> str | None:
    """Where this merchant's own system is; None where the built-in one serves."""
    chosen = settings.get("providers")
    if not chosen:
        return None
    choice = chosen.get(name)
    return choice["url"] if choice and choice["kind"] == HTTP else None


def _check_url(place: str, url: Any, secure: bool, allow_loopback: bool) -> None:
    """An operation's name is put behind the path, so nothing else may stand there."""
    if not isinstance(url, str) or len(url) > MAX_URL or not url.isascii():
        raise _refused(place, f"is an address of at most {MAX_URL} ASCII characters")
    try:
        check_url(url)
    except AddressRefused as refused:
        raise _refused(place, str(refused)) from refused
    parts = urlsplit(url)
    if secure and parts.scheme != "https":
        raise _refused(place, "starts with https")
    if "?" in url or "#" in url:
        raise _refused(place, "has neither query nor fragment")
    if not _is_public((parts.hostname or "").rstrip("."), allow_loopback):
        raise _refused(place, "cannot be reached from the internet")


def _is_public(host: str, allow_loopback: bool) -> bool:
    try:
        return address_allowed(host, allow_loopback=allow_loopback)
    except ValueError:  # a name
        return allow_loopback or not (host == "localhost" or host.endswith(".localhost"))


def _refused(place: str, problem: str) -> InvalidRequest:
    return InvalidRequest(f"{place} {problem}", code="invalid_setting", field=place)
