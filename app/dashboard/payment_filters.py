"""The filters of the list of payments: they live in the address, and the CSV takes the same ones."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from urllib.parse import urlencode

from werkzeug.datastructures import MultiDict

from app.dashboard.typed import amount_of, complaint, day
from app.domain import money
from app.domain.actor import Actor
from app.domain.errors import InvalidRequest
from app.domain.lifecycles import intents as lifecycle
from app.services.operations.settings import checkout_settings
from app.services.payments import search
from app.services.payments.listing import Filters

#: What may stand in the address.
FIELDS = ("q", "status", "from", "to", "method", "currency", "min", "max")
STATUSES = tuple(str(status) for status in lifecycle.Status)


@dataclass(slots=True)
class Chosen:
    """What somebody chose: as typed, as the list takes it, and what cannot be."""

    typed: dict[str, str]
    filters: Filters = field(default_factory=Filters)
    errors: list[dict[str, str]] = field(default_factory=list)

    @property
    def active(self) -> bool:
        """Whether anything is filtered."""
        return bool(self.typed)

    @property
    def narrowed(self) -> bool:
        """Whether more is filtered than the search."""
        return bool(self.typed.keys() - {"q"})

    def address(self, path: str, **more: str) -> str:
        """The list, or what else takes its filters, under these."""
        query = urlencode({**self.typed, **more})
        return f"{path}?{query}" if query else path


def read(actor: Actor, args: MultiDict[str, str]) -> Chosen:
    """The filters that an address asks for; a search is answered on the way."""
    chosen = Chosen({name: args[name].strip()[:200] for name in FIELDS if args.get(name, "").strip()})
    typed = chosen.typed
    if typed.get("status") not in (None, *STATUSES):
        typed.pop("status")
    currency = typed.get("currency", "").upper()
    if currency and not money.is_currency(currency):
        chosen.errors.append({"field": "currency", "text": "This is no currency"})
        currency = ""
    if not currency and ("min" in typed or "max" in typed):  # amounts are of one currency
        currency = actor.tenant.default_currency
        typed["currency"] = currency
    chosen.filters = Filters(
        status=typed.get("status"),
        since=_day(chosen, "from"),
        until=_day(chosen, "to"),
        method=typed.get("method"),
        currency=currency or None,
        least=_amount(chosen, "min", currency),
        most=_amount(chosen, "max", currency),
    )
    if "q" in typed:
        chosen.filters = replace(chosen.filters, ids=tuple(search.find(actor, typed["q"])))
    return chosen


def methods_of(actor: Actor) -> list[str]:
    """Methods that can be chosen: those that the merchant takes."""
    return list(dict.fromkeys(["card", *checkout_settings(actor.tenant).allowed_methods]))


def _day(chosen: Chosen, name: str) -> datetime | None:
    """Midnight of a day, of the last one the midnight after it."""
    text = chosen.typed.get(name)
    found = day(text, after=name == "to") if text else None
    if text and (found is None or not 1970 <= found.year <= 2200):  # nothing is paid for then
        chosen.errors.append({"field": name, "text": "Enter a day like 2026-01-31"})
        return None
    return found


def _amount(chosen: Chosen, name: str, currency: str) -> int | None:
    text = chosen.typed.get(name)
    try:
        return amount_of(text, currency, name) if text else None
    except InvalidRequest as refused:
        chosen.errors += complaint(refused)
        return None
