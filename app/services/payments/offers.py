"""What a shopper can pay with: of the methods that are wanted those that a connector takes, and how."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from app.connectors import base, registry
from app.connectors.hosting import HostsPages
from app.connectors.vaulting import DEBIT_TYPES
from app.domain.actor import Mode
from app.services.payments import gateway


@dataclass(frozen=True, slots=True)
class Offer:
    """Methods in the order in which they are wanted; `card_form` says that a card is typed into our page.

    Otherwise a card, as every other method, leads to a page of the gateway's.
    """

    methods: list[str]
    card_form: bool


def of(tenant_id: str, mode: str, wanted: Iterable[str]) -> Offer:
    """What can be paid with here, in this mode."""
    found = [method for method in wanted if _is_typed(mode, method) or _leads_on(tenant_id, mode, method)]
    return Offer(found, "card" in found and _is_typed(mode, "card"))


def _is_typed(mode: str, method: str) -> bool:
    """Card numbers are typed in test mode alone, and only for a connector that takes them."""
    taken = any(isinstance(connector, base.TokenizesCards) for connector in registry.for_method("card"))
    return method == "card" and mode == Mode.TEST and taken


def _leads_on(tenant_id: str, mode: str, method: str) -> bool:
    if method in DEBIT_TYPES:  # our pages ask nobody for an account
        return False
    caller = gateway.context(tenant_id, mode)
    for connector in registry.for_method(method):
        if isinstance(connector, HostsPages):
            if method in connector.hosted_types(caller):
                return True
        elif method != "card" and isinstance(connector, base.TokenizesRedirects):
            return True
    return False
