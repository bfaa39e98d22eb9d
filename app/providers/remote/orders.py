"""The Order Service of a merchant's own: asked with nothing open, under the order's own key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.domain.rules import providers
from app.domain.rules.cards import without_card_number
from app.providers.base import OrderDraft, OrderRefused, PlacedOrder, Scope
from app.providers.remote.questions import ask
from app.providers.remote.reading import text, understood

MAX_ID = 64


class HttpOrders:
    """Orders behind a URL. An order has one key, whoever asks how often."""

    remote = True

    def __init__(self, url: str) -> None:
        self._url = url

    def create(self, scope: Scope, draft: OrderDraft) -> PlacedOrder:
        """See `Orders.create`."""
        key = f"orders.create:{draft.key}"
        answer = ask(scope, providers.ORDERS, self._url, "create", draft.as_dict(), key=key)
        return understood(providers.ORDERS, answer, _placed)

    def cancel(self, scope: Scope, key: str, order_id: str | None) -> None:
        """See `Orders.cancel`."""
        asked = {"key": key, "order_id": order_id}
        answer = ask(scope, providers.ORDERS, self._url, "cancel", asked, key=f"orders.cancel:{key}")
        understood(providers.ORDERS, answer, _unless_refused)


def _placed(said: Mapping[str, Any]) -> PlacedOrder:
    _unless_refused(said)
    return PlacedOrder(text(said["order_id"], MAX_ID))


def _unless_refused(said: Mapping[str, Any]) -> None:
    if said.get("refused") is not None:
        raise OrderRefused(without_card_number(text(said["refused"]), "refused"))
