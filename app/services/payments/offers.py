"""What a shopper can pay with: of the methods that are wanted those that a connector takes, and how."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from app.connectors import base, registry
from app.connectors.hosting import HostsPages
from app.connectors.vaulting import DEBIT_TYPES
from app.domain.actor import Actor, Mode
from app.services.payments import gateway


@dataclass(frozen=True, slots=True)
class Offer:
    """Methods in the order in which they are wanted; `card_form` says that a card is typed into our page.

    Otherwise a card, as every other method, leads to a page of the gateway's.
    """

    methods: list[str]
    card_form: bool


def of(actor: Actor, wanted: Iterable[str]) -> Offer:
    """What can be paid with here. Only what no connector takes from everybody asks for the merchant's own."""
    others = [c for c in registry.all_connectors() if not registry.has(c, HostsPages)]
    everybodys = others if actor.mode == Mode.TEST else []  # in live mode an account is needed
    typed = _takes(everybodys, "card", base.TokenizesCards)
    found: list[str] = []
    hosted: frozenset[str] | None = None
    for method in wanted:
        taken = typed if method == "card" else _takes(everybodys, method, base.TokenizesRedirects)
        if not taken:
            hosted = gateway.hosted_types(actor) if hosted is None else hosted
            taken = method in hosted
        if taken:
            found.append(method)
    return Offer(found, typed and "card" in found)


def _takes(connectors: list[base.Connector], method: str, capability: type) -> bool:
    """Whether one of them takes a method, whatever the merchant's account."""
    if method in DEBIT_TYPES:  # our pages ask nobody for an account
        return False
    return any(method in c.method_types and registry.has(c, capability) for c in connectors)
