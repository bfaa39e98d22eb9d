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
from sqlalchemy import select

from app import db
from app.connectors import base, registry
from app.connectors import settling as capabilities
from app.domain.errors import NotFound, ServiceUnavailable
from app.kit.crypto import DecryptionError
from app.models.payments.connector import ConnectorAccount
from app.models.treasury.payout import Payout
from app.models.treasury.settlement import Settlement
from app.services.payments import gateway, routing

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


def names(tenant_id: str, mode: str) -> dict[str, str]:
    """What people call each place where a merchant's money may be: its accounts, and the types themselves."""
    types = {connector.name: connector.label for connector in registry.installed()}
    row = ConnectorAccount
    statement = select(row.id, row.name).where(row.tenant_id == tenant_id, row.mode == mode)
    with db.reading() as session:
        return types | {id_: name for id_, name in session.execute(statement)}  # noqa: C416 - typed so


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
    connector = _settles(source.type)
    return _read(lambda: connector.settlement_batches(_caller(tenant_id, mode, source), since), source)


def lines(settlement: Settlement, cursor: str | None) -> capabilities.SettlementPage:
    """A page of a statement.

    Raises:
        ServiceUnavailable: the gateway did not answer.
    """
    source = Source(settlement.connector, settlement.connector_id)
    connector = _settles(source.type)
    return _read(
        lambda: connector.settlement_lines(
            _caller(settlement.tenant_id, settlement.mode, source), settlement.reference, cursor
        ),
        source,
    )


def pay_out(payout: Payout) -> capabilities.PayoutResult:
    """Send a payout that is written and committed; the key makes it safe to send again."""
    request = capabilities.PayoutRequest(
        payout.gateway_key, payout.amount, payout.currency, payout.destination
    )
    return _ask(lambda caller: _pays(payout.connector).pay_out(caller, request), payout)


def find_payout(payout: Payout) -> capabilities.PayoutLookupResult:
    """Ask what became of a payout."""
    return _ask(lambda caller: _pays(payout.connector).find_payout(caller, payout.gateway_key), payout)


def _sources(tenant_id: str, mode: str, capability: type[object]) -> list[Source]:
    """The merchant's accounts, and the connectors that work without one, that can do this."""
    return [
        Source(pick.type, pick.connector_id or pick.type)
        for pick in routing.holders(tenant_id, mode)
        if isinstance(registry.get(pick.type), capability)
    ]


def _caller(tenant_id: str, mode: str, source: Source) -> base.ConnectorContext:
    return gateway.caller(tenant_id, mode, source.id if source.id != source.type else None)


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


def _read(work: Callable[[], R | base.Unknown], source: Source) -> R:
    assert not db.in_transaction(), "a gateway is never called inside a transaction"
    try:
        found = work()
    except DecryptionError as error:
        log.exception("credentials_unreadable", entity_id=source.id)
        raise ServiceUnavailable(f"The credentials of the connector {source.id} cannot be read") from error
    except Exception as broke:  # its words stay out of the job's error: they may quote credentials
        gateway.log_failure("settlement", source.id, broke)
        raise ServiceUnavailable(f"The connector {source.id} failed: {type(broke).__name__}") from None
    if isinstance(found, base.Unknown):
        raise ServiceUnavailable(f"The connector {source.id} did not answer: {found.reason}")
    return found


def _ask(work: Callable[[base.ConnectorContext], R], payout: Payout) -> R:
    assert not db.in_transaction(), "a gateway is never called inside a transaction"
    try:
        source = Source(payout.connector, payout.connector_id)
        return work(_caller(payout.tenant_id, payout.mode, source))
    except Exception as error:  # whatever it is, it is not known whether the gateway paid
        gateway.log_failure("payout", payout.id, error)
        return base.Unknown(type(error).__name__)  # type: ignore[return-value]
