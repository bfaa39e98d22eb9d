"""The gateways that settle and pay out: which there are, and how they are asked.

Never inside a transaction, like payments/gateway.py. A statement that cannot be read is read again later, so
that failing to read is an error here; a payout whose answer is lost is `Unknown`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

import structlog

from app import db
from app.connectors import base, registry
from app.connectors import settling as capabilities
from app.domain.errors import NotFound, ServiceUnavailable
from app.models.treasury.payout import Payout
from app.models.treasury.settlement import Settlement
from app.services.payments.gateway import context

R = TypeVar("R")

log = structlog.get_logger("till.gateway")


@dataclass(frozen=True, slots=True)
class Source:
    """A connector as the treasury sees it: its type, and the merchant's account there or the type again."""

    type: str
    id: str


def settling(tenant_id: str, mode: str) -> list[Source]:
    """The merchant's connectors that give statements."""
    return _sources(tenant_id, mode, capabilities.Settles)


def paying(tenant_id: str, mode: str) -> list[Source]:
    """The merchant's connectors that pay out, in the order in which they are tried."""
    return _sources(tenant_id, mode, capabilities.PaysOut)


def named(connector_id: str, among: list[Source]) -> Source:
    """The connector that a caller names.

    Raises:
        NotFound: this merchant has none of that id, or it cannot do this.
    """
    found = next((source for source in among if source.id == connector_id), None)
    if found is None:
        raise NotFound("Connector not found", code="connector_not_found", field="connector_id")
    return found


def batches(
    tenant_id: str, mode: str, source: Source, since: datetime | None
) -> capabilities.SettlementBatches:
    """The closed statements settled at or after `since`.

    Raises:
        ServiceUnavailable: the gateway did not answer.
    """
    caller = _caller(tenant_id, mode, source.id)
    return _read(lambda: _settles(source.type).settlement_batches(caller, since), source.type)


def lines(settlement: Settlement, cursor: str | None) -> capabilities.SettlementPage:
    """A page of a statement.

    Raises:
        ServiceUnavailable: the gateway did not answer.
    """
    caller = _caller(settlement.tenant_id, settlement.mode, settlement.connector_id)
    gateway = _settles(settlement.connector)
    return _read(lambda: gateway.settlement_lines(caller, settlement.reference, cursor), settlement.connector)


def pay_out(payout: Payout) -> capabilities.PayoutResult:
    """Send a payout that is written and committed; the key makes it safe to send again."""
    request = capabilities.PayoutRequest(
        payout.gateway_key, payout.amount, payout.currency, payout.destination
    )
    caller = _caller(payout.tenant_id, payout.mode, payout.connector_id)
    return _ask(lambda: _pays(payout.connector).pay_out(caller, request), payout)


def find_payout(payout: Payout) -> capabilities.PayoutLookupResult:
    """Ask what became of a payout."""
    caller = _caller(payout.tenant_id, payout.mode, payout.connector_id)
    return _ask(lambda: _pays(payout.connector).find_payout(caller, payout.gateway_key), payout)


def _sources(tenant_id: str, mode: str, capability: type[object]) -> list[Source]:
    """Which connectors there are for a merchant: the one place that has to know how they are set up."""
    return [Source(c.name, c.name) for c in registry.all_connectors() if isinstance(c, capability)]


def _caller(tenant_id: str, mode: str, connector_id: str) -> base.ConnectorContext:
    """What a connector is told, with the credentials of the account where there is one."""
    return context(tenant_id, mode)


def _settles(name: str) -> capabilities.Settles:
    connector = registry.get(name)
    if not isinstance(connector, capabilities.Settles):
        raise ServiceUnavailable(f"The connector {name} gives no statements here")
    return connector


def _pays(name: str) -> capabilities.PaysOut:
    connector = registry.get(name)
    if not isinstance(connector, capabilities.PaysOut):
        raise ServiceUnavailable(f"The connector {name} does not pay out here")
    return connector


def _read(work: Callable[[], R | base.Unknown], connector: str) -> R:
    assert not db.in_transaction(), "a gateway is never called inside a transaction"
    found = work()
    if isinstance(found, base.Unknown):
        raise ServiceUnavailable(f"The connector {connector} did not answer: {found.reason}")
    return found


def _ask(work: Callable[[], R], payout: Payout) -> R:
    assert not db.in_transaction(), "a gateway is never called inside a transaction"
    try:
        return work()
    except Exception as error:  # whatever it is, it is not known whether the gateway paid
        log.exception("gateway_call_broke", operation="payout", entity_id=payout.id)
        return base.Unknown(type(error).__name__)  # type: ignore[return-value]
