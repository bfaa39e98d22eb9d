"""What a shopper can pay with: of the methods that are wanted those that a connector takes, and how.

A card is taken the way of the connector that the payment would take: typed into our page (the sandbox), in
fields of the gateway's own on our page, or on a page of the gateway's (docs/adr/0033).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from app.connectors import base, registry
from app.connectors.hosting import CardFrames, FramesCards, HostsPages
from app.connectors.vaulting import DEBIT_TYPES
from app.domain.actor import Actor, Mode
from app.domain.rules.routing import Facts
from app.kit.crypto import DecryptionError
from app.models.payments.method import PaymentMethod
from app.services.payments import gateway, routing

#: Connectors with whose account they are called; None: one that takes everybody's payments without.
Takers = list[tuple[base.Connector, base.ConnectorContext | None]]


@dataclass(frozen=True, slots=True)
class Frames:
    """A gateway's card fields for one payment; `amount` as the gateway's script counts it."""

    card: CardFrames
    amount: int


@dataclass(frozen=True, slots=True)
class Offer:
    """Methods in the order in which they are wanted; `card_form` says that a card is typed into our page.

    With `frames` it is typed into the gateway's own fields there. Otherwise a card, as every other method,
    leads to a page of the gateway's.
    """

    methods: list[str]
    card_form: bool
    frames: Frames | None = None


def of(actor: Actor, wanted: Iterable[str], facts: Facts | None = None) -> Offer:
    """What can be paid with here; `facts` is what routing knows of the payment before its card is."""
    takers = _takers(actor, facts)
    everybodys = [connector for connector in _everybodys() if actor.mode == Mode.TEST]
    found: list[str] = []
    card_form, frames = False, None
    for method in wanted:
        if method == "card":
            card_form, frames, taken = _card(actor, takers, facts)
        else:
            taken = _takes(everybodys, method) or _is_hosted(takers, method)
        if taken:
            found.append(method)
    return Offer(found, card_form, frames)


def frames_of(method: PaymentMethod) -> CardFrames | None:
    """The frames that a payment of a method goes on in; None where its account is there no more."""
    connector = registry.get(method.connector)
    if not isinstance(connector, FramesCards):
        return None
    try:
        caller = gateway.caller(method.tenant_id, method.mode, method.connector_id)
    except DecryptionError:
        return None
    return connector.card_frames(caller)


def _takers(actor: Actor, facts: Facts | None) -> Takers:
    """The connectors that may take something of this merchant's, in the order of routing."""
    everybodys = _everybodys()
    alone = actor.mode == Mode.TEST and len(everybodys) == len(registry.all_connectors())
    if alone and routing.has_no_accounts(actor):
        return [(connector, None) for connector in everybodys]
    made = gateway.makers(actor, None, base.Connector, facts)  # type: ignore[type-abstract]
    return [(connector, caller) for connector, caller, _ in made]


def _everybodys() -> list[base.Connector]:
    """Connectors that work alike for every merchant without an account."""
    return [c for c in registry.all_connectors() if not registry.has(c, HostsPages)]


def _card(actor: Actor, takers: Takers, facts: Facts | None) -> tuple[bool, Frames | None, bool]:
    """How the first connector takes a card that can: typed here, in its frames, or on its page."""
    for connector, caller in takers:
        if "card" not in connector.method_types:
            continue
        if registry.has(connector, base.TokenizesCards) and actor.mode == Mode.TEST:
            return True, None, True
        frames = _frames(connector, caller, facts) if caller is not None else None
        if frames is not None or _is_hosted([(connector, caller)], "card"):
            return False, frames, True
    return False, None, False


def _frames(connector: base.Connector, caller: base.ConnectorContext, facts: Facts | None) -> Frames | None:
    if facts is None or not isinstance(connector, FramesCards):
        return None
    card, amount = connector.card_frames(caller), connector.frame_amount(facts.amount, facts.currency)
    return Frames(card, amount) if card is not None and amount is not None else None


def _is_hosted(takers: Takers, method: str) -> bool:
    """Whether one of them takes a method on a page of its own."""
    return any(
        isinstance(connector, HostsPages) and method in connector.hosted_types(caller)
        for connector, caller in takers
        if caller is not None
    )


def _takes(connectors: list[base.Connector], method: str) -> bool:
    """Whether one of them leads on to such a method, whatever the merchant's account."""
    if method in DEBIT_TYPES:  # our pages ask nobody for an account
        return False
    return any(method in c.method_types and registry.has(c, base.TokenizesRedirects) for c in connectors)
