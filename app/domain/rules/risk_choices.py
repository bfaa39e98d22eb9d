"""What a merchant may choose about risk, and what is said of a choice that cannot be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.domain.errors import InvalidRequest
from app.domain.rules.fraud import BY_CODE, MAX_SCORE, Action
from app.domain.rules.velocity import Scope
from app.kit.http import AddressRefused, check_url

CHALLENGE_FROM, DENY_FROM = 60, 90
THREE_DS = ("automatic", "always", "never")
BUILTIN, HTTP = "builtin", "http"

#: A counter holds two windows; longer ones would be history, and no velocity.
MAX_WINDOW_SECONDS = 86_400
MAX_LIMITS = 20

_FRAUD_KEYS = frozenset({"provider", "url", "challenge_from", "deny_from", "on_failure", "rules"})
_RULE_KEYS = frozenset({"weight", "threshold", "enabled"})
_LIMIT_KEYS = frozenset({"scope", "max_count", "max_amount", "window_seconds"})


def check(changes: Mapping[str, Any]) -> None:
    """Whether these settings may be stored; keys that are not about risk are not looked at.

    Raises:
        InvalidRequest: with the dotted path of what is wrong.
    """
    if changes.get("fraud") is not None:
        _check_fraud(changes["fraud"])
    if changes.get("velocity") is not None:
        _check_velocity(changes["velocity"])
    _one_of("three_ds_policy", changes.get("three_ds_policy"), THREE_DS)
    for name in ("max_authorization_amount", "max_confirms_per_session"):
        _whole(name, changes.get(name), 1, None)


def _check_fraud(value: Any) -> None:
    _keys("fraud", value, _FRAUD_KEYS)
    _one_of("fraud.provider", value.get("provider"), (BUILTIN, HTTP))
    _one_of("fraud.on_failure", value.get("on_failure"), tuple(Action))
    for name in ("challenge_from", "deny_from"):
        _whole(f"fraud.{name}", value.get(name), 1, MAX_SCORE + 1)
    if (value.get("challenge_from") or CHALLENGE_FROM) > (value.get("deny_from") or DENY_FROM):
        raise _refusal("fraud.challenge_from is above deny_from", "fraud.challenge_from")
    if value.get("provider") == HTTP:
        _check_provider_url(value.get("url"))
    rules = {} if value.get("rules") is None else value["rules"]
    _keys("fraud.rules", rules, frozenset(BY_CODE))
    for code, chosen in rules.items():
        _keys(f"fraud.rules.{code}", chosen, _RULE_KEYS)
        _whole(f"fraud.rules.{code}.weight", chosen.get("weight"), 0, MAX_SCORE)
        _whole(f"fraud.rules.{code}.threshold", chosen.get("threshold"), 1, 1_000_000)
        if not isinstance(chosen.get("enabled", True), bool):
            raise _refusal("Neither true nor false", f"fraud.rules.{code}.enabled")


def _check_provider_url(url: Any) -> None:
    try:
        check_url(url if isinstance(url, str) else "")
    except AddressRefused as refused:
        raise _refusal(f"fraud.url: {refused}", "fraud.url") from refused


def _check_velocity(value: Any) -> None:
    if not isinstance(value, list) or len(value) > MAX_LIMITS:
        raise _refusal(f"velocity is a list of at most {MAX_LIMITS} limits", "velocity")
    for number, item in enumerate(value):
        place = f"velocity.{number}"
        _keys(place, item, _LIMIT_KEYS)
        if item.get("scope") is None or item.get("window_seconds") is None:
            raise _refusal(f"{place}: scope and window_seconds are required", place)
        _one_of(f"{place}.scope", item["scope"], tuple(Scope))
        _whole(f"{place}.window_seconds", item["window_seconds"], 1, MAX_WINDOW_SECONDS)
        _whole(f"{place}.max_count", item.get("max_count"), 1, None)
        _whole(f"{place}.max_amount", item.get("max_amount"), 1, None)
        if item.get("max_count") is None and item.get("max_amount") is None:
            raise _refusal(f"{place}: say max_count or max_amount", place)


def _refusal(text: str, place: str) -> InvalidRequest:
    return InvalidRequest(text, code="invalid_setting", field=place)


def _keys(place: str, value: Any, allowed: frozenset[str]) -> None:
    if not isinstance(value, dict):
        raise _refusal(f"{place} is an object", place)
    unknown = sorted(set(value) - allowed)
    if unknown:
        raise _refusal(f"{place}.{unknown[0]} is not known", f"{place}.{unknown[0]}")


def _one_of(place: str, value: Any, allowed: tuple[str, ...]) -> None:
    if value is not None and value not in allowed:
        raise _refusal(f"{place} is one of {', '.join(allowed)}", place)


def _whole(place: str, value: Any, low: int, high: int | None) -> None:
    if value is None:
        return
    if not isinstance(value, int) or isinstance(value, bool) or value < low or (high and value > high):
        above = f" to {high}" if high else " or more"
        raise _refusal(f"{place} is a whole number, {low}{above}", place)
