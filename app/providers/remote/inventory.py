"""Stock of a merchant's own system."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from app.domain.rules import providers
from app.kit import clock
from app.providers.base import MAX_QUANTITY, CartLine, Scope
from app.providers.holding import BEST_FIT, Allocation, HeldLine, Hold
from app.providers.remote.questions import ask, tell
from app.providers.remote.reading import items, text, understood, whole

#: A line may be taken from so many places.
MAX_PLACES = 20


class HttpInventory:
    """Stock behind a URL. A hold is one thing under its key, and lapses by itself."""

    remote = True

    def __init__(self, url: str) -> None:
        self._url = url

    def hold(
        self,
        scope: Scope,
        lines: Sequence[CartLine],
        allocation: Allocation = BEST_FIT,
        hold: Hold | None = None,
    ) -> list[HeldLine]:
        """See `Inventory.hold`; whatever the key held before, it then holds this."""
        assert hold is not None, "a remote hold has a key"
        asked = {
            "hold_id": hold.key,
            "replaces": hold.replaces,
            "partial_allowed": not hold.whole,
            "lines": [
                {"line_id": line.line_id, "sku": line.sku, "quantity": line.quantity} for line in lines
            ],
            "allocation_strategy": allocation.strategy,
            "lots": [
                {"sku": lot.sku, "location": lot.location, "quantity": lot.quantity}
                for lot in allocation.lots
            ],
        }
        terms = {"expires_at": clock.to_rfc3339(hold.lapses_at)}
        answer = ask(scope, providers.INVENTORY, self._url, "hold", asked, terms=terms)
        return understood(providers.INVENTORY, answer, lambda said: _held(said, lines))

    def release(self, scope: Scope, held: Sequence[HeldLine], hold: Hold | None = None) -> None:
        """See `Inventory.release`; told."""
        self._tell(scope, "release", held, hold)

    def commit(self, scope: Scope, held: Sequence[HeldLine], hold: Hold | None = None) -> None:
        """See `Inventory.commit`; told."""
        self._tell(scope, "commit", held, hold)

    def restock(self, scope: Scope, held: Sequence[HeldLine], hold: Hold | None = None) -> None:
        """See `Inventory.restock`; told."""
        self._tell(scope, "restock", held, hold)

    def extend(self, scope: Scope, held: Sequence[HeldLine], hold: Hold) -> None:
        """See `Inventory.extend`; told."""
        data = {"hold_id": hold.key, "expires_at": clock.to_rfc3339(hold.lapses_at)}
        tell(scope, providers.INVENTORY, self._url, "extend", data)

    def available(self, scope: Scope, skus: Sequence[str]) -> dict[str, int]:
        """See `Inventory.available`."""
        wanted = sorted(set(skus))
        answer = ask(scope, providers.INVENTORY, self._url, "available", {"skus": wanted})
        return understood(providers.INVENTORY, answer, lambda said: _available(said, wanted))

    def _tell(self, scope: Scope, operation: str, held: Sequence[HeldLine], hold: Hold | None) -> None:
        assert hold is not None, "a remote hold has a key"
        data = {"hold_id": hold.key, "lines": [part.as_dict() for part in held]}
        tell(scope, providers.INVENTORY, self._url, operation, data, key=f"{operation}:{hold.key}")


def _held(said: Mapping[str, Any], lines: Sequence[CartLine]) -> list[HeldLine]:
    """What is held of each line: nothing else, and no more than was asked for."""
    asked = {line.line_id: line for line in lines}
    left = {line.line_id: line.quantity for line in lines}
    parts: dict[str, list[HeldLine]] = defaultdict(list)
    for item in items(said["lines"], len(lines) * MAX_PLACES):
        line = asked[item["line_id"]]
        got = whole(item["reserved_qty"], 0, left[line.line_id])
        left[line.line_id] -= got
        place = text(item.get("location") or "-", 40)
        parts[line.line_id].append(HeldLine(line.line_id, line.sku, place, line.quantity, got))
    if set(parts) != set(asked):
        raise ValueError("a line is missing")
    return [part for line in lines for part in parts[line.line_id]]


def _available(said: Mapping[str, Any], skus: Sequence[str]) -> dict[str, int]:
    found = {sku: whole(number, 0, MAX_QUANTITY * MAX_QUANTITY) for sku, number in said["available"].items()}
    if not set(found) <= set(skus):
        raise ValueError("other goods")
    return found
