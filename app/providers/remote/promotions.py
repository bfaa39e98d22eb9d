"""Discount codes of a merchant's own system."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.domain.rules import providers
from app.kit import clock
from app.providers.base import Scope
from app.providers.holding import Hold, Promotion, PromotionAnswer
from app.providers.remote.questions import ask, tell
from app.providers.remote.reading import items, percent, text, understood, word


class HttpPromotions:
    """Discount codes behind a URL. A hold is one thing under its key: all of its codes, or none."""

    remote = True

    def __init__(self, url: str) -> None:
        self._url = url

    def resolve(self, scope: Scope, codes: Sequence[str], *, held: Sequence[str] = ()) -> PromotionAnswer:
        """See `Promotions.resolve`."""
        wanted = list(dict.fromkeys(code.strip().upper() for code in codes if code.strip()))
        if not wanted:
            return PromotionAnswer()
        asked = {"codes": wanted, "held": sorted(held)}
        answer = ask(scope, providers.PROMOTIONS, self._url, "resolve", asked)
        return understood(providers.PROMOTIONS, answer, lambda said: _resolved(said, wanted))

    def hold(self, scope: Scope, codes: Sequence[str], hold: Hold | None = None) -> list[str]:
        """See `Promotions.hold`; whatever the key held before, it then holds these codes."""
        assert hold is not None, "a remote hold has a key"
        asked = {"hold_id": hold.key, "codes": list(codes), "replaces": hold.replaces}
        terms = {"expires_at": clock.to_rfc3339(hold.lapses_at)}
        answer = ask(scope, providers.PROMOTIONS, self._url, "hold", asked, terms=terms)
        return understood(providers.PROMOTIONS, answer, lambda said: _held(said, codes))

    def release(self, scope: Scope, codes: Sequence[str], hold: Hold | None = None) -> None:
        """See `Promotions.release`; told."""
        self._tell(scope, "release", codes, hold)

    def commit(self, scope: Scope, codes: Sequence[str], hold: Hold | None = None) -> None:
        """See `Promotions.commit`; told."""
        self._tell(scope, "commit", codes, hold)

    def restore(self, scope: Scope, codes: Sequence[str], hold: Hold | None = None) -> None:
        """See `Promotions.restore`; told."""
        self._tell(scope, "restore", codes, hold)

    def extend(self, scope: Scope, codes: Sequence[str], hold: Hold) -> None:
        """See `Promotions.extend`; told."""
        if codes:
            data = {"hold_id": hold.key, "expires_at": clock.to_rfc3339(hold.lapses_at)}
            tell(scope, providers.PROMOTIONS, self._url, "extend", data)

    def _tell(self, scope: Scope, operation: str, codes: Sequence[str], hold: Hold | None) -> None:
        if codes and hold is not None:
            data = {"hold_id": hold.key, "codes": list(codes)}
            tell(scope, providers.PROMOTIONS, self._url, operation, data, key=f"{operation}:{hold.key}")


def _resolved(said: Mapping[str, Any], wanted: Sequence[str]) -> PromotionAnswer:
    """Each code that was asked about is in force or is not, and no other is named."""
    found = items(said["applied"], len(wanted))
    applied = {text(item["code"], 64): percent(item["percent"], above_zero=True) for item in found}
    refused = {code: word(reason) for code, reason in said["refused"].items()}
    if len(applied) != len(found) or sorted([*applied, *refused]) != sorted(wanted):
        raise ValueError("other codes")
    in_order = tuple(Promotion(code, applied[code]) for code in wanted if code in applied)
    return PromotionAnswer(in_order, refused)


def _held(said: Mapping[str, Any], codes: Sequence[str]) -> list[str]:
    lost = {text(code, 64) for code in said["lost"]}
    if not lost <= set(codes):
        raise ValueError("other codes")
    return [code for code in codes if code not in lost]
