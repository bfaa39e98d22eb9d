"""What can be exported: each dataset is a list of columns and a stream of rows in chunks, oldest first.

A chunk is one short query behind the last row seen (keyset over an index by time): constant memory, and no
transaction that stays open. A dataset is a line in `DATASETS`.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, func, literal, or_, select, tuple_

from app.db import UtcDateTime, reading
from app.models.ledger.posting import LedgerTransaction, Posting
from app.models.operations.export import Export
from app.models.payments.attempt import Attempt
from app.models.payments.dispute import Dispute
from app.models.payments.method import PaymentMethod
from app.models.payments.refund import Refund
from app.models.treasury.settlement import Settlement, SettlementLine

Row = dict[str, Any]
AnySelect = Select[*tuple[Any, ...]]

CHUNK = 2000
#: The account of services/ledger on which everything that concerns the merchant's money is booked.
MERCHANT_ACCOUNT = "merchant_balance"


@dataclass(frozen=True, slots=True)
class Column:
    """A column; `kind` is `text`, `integer` or `instant`."""

    name: str
    kind: str = "text"


@dataclass(frozen=True, slots=True)
class Dataset:
    """Columns, rows, about how many there are, and the filters that it knows beside the span of time."""

    columns: tuple[Column, ...]
    rows: Callable[[Export, dict[str, str]], Iterator[Row]]
    count: Callable[[Export], int]
    filters: frozenset[str]


def _transactions(export: Export, gl_accounts: dict[str, str]) -> Iterator[Row]:
    """Charges and refunds in the order in which they began (contract/payments.md 2.5)."""
    charges = chunks(_charges(export), Attempt.created_at, Attempt.id, "created_at")
    refunds = chunks(_refunds(export), Refund.created_at, Refund.id, "created_at")
    for row in heapq.merge(charges, refunds, key=lambda r: (r["created_at"], r["id"])):
        if row["completed_at"] is not None:  # money moved
            row["gl_account"] = gl_accounts.get("capture" if row["type"] == "charge" else "refund")
        yield row


#: Where an attempt was made: the type of connector, the merchant's account there.
_MADE_AT = (Attempt.connector, Attempt.connector_id)


def _charges(export: Export) -> AnySelect:
    return (
        select(
            Attempt.id,
            literal("charge").label("type"),
            Attempt.status,
            Attempt.created_at,
            Attempt.captured_at.label("completed_at"),
            Attempt.checkout_id,
            Attempt.amount,
            Attempt.amount_captured,
            Attempt.currency,
            Attempt.connector,
            Attempt.gateway_reference,
            Attempt.response_code,
            Attempt.decline_code,
            Attempt.avs_result,
            Attempt.cvv_result,
            Attempt.three_ds_result,
            Attempt.risk_score,
            Attempt.authorized_at,
            Attempt.intent_id.label("payment_intent_id"),
            Attempt.id.label("charge_id"),
            PaymentMethod.type.label("method_type"),
            PaymentMethod.brand,
            PaymentMethod.last4,
        )
        .join(PaymentMethod, PaymentMethod.id == Attempt.payment_method_id)
        .where(*_filtered(export, Attempt))
    )


def _refunds(export: Export) -> AnySelect:
    return (
        select(
            Refund.id,
            literal("refund").label("type"),
            Refund.status,
            Refund.created_at,
            Refund.succeeded_at.label("completed_at"),
            Refund.checkout_id,
            Refund.amount,
            Refund.currency,
            Refund.gateway_reference,
            Refund.reason,
            Refund.reason_text,
            Refund.failure_reason,
            Refund.intent_id.label("payment_intent_id"),
            Refund.attempt_id.label("charge_id"),
            Attempt.connector,
            PaymentMethod.type.label("method_type"),
            PaymentMethod.brand,
            PaymentMethod.last4,
        )
        .join(Attempt, Attempt.id == Refund.attempt_id)
        .join(PaymentMethod, PaymentMethod.id == Attempt.payment_method_id)
        .where(*_filtered(export, Refund))
    )


def _chargebacks(export: Export, gl_accounts: dict[str, str]) -> Iterator[Row]:
    """Disputes in the order in which they were received."""
    for row in chunks(_disputes(export), Dispute.received_at, Dispute.id, "received_at"):
        row["gl_account"] = gl_accounts.get("dispute_opened") if row["opened_at"] else None
        yield row


def _disputes(export: Export) -> AnySelect:
    names = [column.name for column in CHARGEBACKS.columns if hasattr(Dispute, column.name)]
    return (
        select(
            *(getattr(Dispute, name) for name in names),
            Dispute.intent_id.label("payment_intent_id"),
            Dispute.attempt_id.label("charge_id"),
        )
        .join(Attempt, Attempt.id == Dispute.attempt_id)
        .where(*_filtered(export, Dispute, time=Dispute.received_at))
    )


def _settlements(export: Export, gl_accounts: dict[str, str]) -> Iterator[Row]:
    """The lines of gateways' statements, statement by statement, in the order in which they were settled."""
    for head in chunks(_statements(export), Settlement.settled_at, Settlement.id, "settled_at"):
        for line in _settlement_lines(export.tenant_id, export.mode, head["id"]):
            yield {**head, **line, "gl_account": gl_accounts.get("settlement")}


def _statements(export: Export) -> AnySelect:
    table = Settlement
    statement = select(
        table.id,
        table.id.label("settlement_id"),
        table.reference.label("settlement_reference"),
        table.status,
        table.connector,
        table.settled_at,
        table.posted_at,
        table.reconciled_at,
    ).where(
        table.tenant_id == export.tenant_id,
        table.mode == export.mode,
        table.settled_at < export.until,
        table.fetched_at.is_not(None),
    )
    if export.since is not None:
        statement = statement.where(table.settled_at >= export.since)
    return statement.where(*_chosen(export, table, (table.connector, table.connector_id)))


def _lines(export: Export) -> AnySelect:
    return _statements(export).join(SettlementLine, SettlementLine.settlement_id == Settlement.id)


def _settlement_lines(tenant_id: str, mode: str, settlement_id: str) -> Iterator[Row]:
    """In the gateway's order, by the index of its lines: a statement may have a million."""
    line = SettlementLine
    statement = select(
        line.id,
        line.type,
        line.transaction_id,
        line.reference,
        line.gross,
        line.fee,
        line.net,
        line.currency,
        line.settled_at,
        line.available_on,
    ).where(line.tenant_id == tenant_id, line.mode == mode, line.settlement_id == settlement_id)
    ordered, after = statement.order_by(line.id).limit(CHUNK), ""
    while True:
        with reading() as db:
            rows = [dict(row) for row in db.execute(ordered.where(line.id > after)).mappings()]
        yield from rows
        if len(rows) < CHUNK:
            return
        after = rows[-1]["id"]


def movements(export: Export, gl_accounts: dict[str, str]) -> Iterator[Row]:
    """What changed the merchant's balance, from the ledger: positive came in, minor units."""
    posted = chunks(_movements(export), LedgerTransaction.posted_at, LedgerTransaction.id, "posted_at")
    for row in posted:
        row["gl_account"] = gl_accounts.get(row["kind"])
        yield row


def _movements(export: Export) -> AnySelect:
    statement = (
        select(
            LedgerTransaction.id,
            LedgerTransaction.kind,
            LedgerTransaction.source,
            LedgerTransaction.payment_intent_id,
            LedgerTransaction.posted_at,
            Posting.currency,
            (-func.sum(Posting.amount)).label("amount"),
        )
        .join(Posting, Posting.transaction_id == LedgerTransaction.id)
        .where(*_of_the_merchant(export), LedgerTransaction.posted_at < export.until)
        .group_by(*LedgerTransaction.__table__.columns, Posting.currency)
    )
    if export.since is not None:
        statement = statement.where(LedgerTransaction.posted_at >= export.since)
    return statement


def opening_balance(export: Export) -> int:
    """What stood on the merchant's balance before the first movement of an export, minor units."""
    if export.since is None:
        return 0
    statement = (
        select(func.sum(Posting.amount))
        .join(LedgerTransaction, LedgerTransaction.id == Posting.transaction_id)
        .where(*_of_the_merchant(export), LedgerTransaction.posted_at < export.since)
    )
    with reading() as db:
        return -int(db.scalar(statement) or 0)


def _of_the_merchant(export: Export) -> tuple[Any, ...]:
    """The postings of a bank statement: of this merchant and mode, in its one currency."""
    return (
        LedgerTransaction.tenant_id == export.tenant_id,
        LedgerTransaction.mode == export.mode,
        Posting.tenant_id == export.tenant_id,
        Posting.mode == export.mode,
        Posting.account == MERCHANT_ACCOUNT,
        Posting.currency == export.filters["currency"],
    )


def _filtered(export: Export, table: Any, *, time: Any = None) -> list[Any]:
    """The conditions of an export over a table with attempts, by the time of its creation or another."""
    begun = table.created_at if time is None else time
    found = [table.tenant_id == export.tenant_id, table.mode == export.mode, begun < export.until]
    if export.since is not None:
        found.append(begun >= export.since)
    return found + _chosen(export, table, _MADE_AT)


def _chosen(export: Export, table: Any, connector: tuple[Any, ...]) -> list[Any]:
    """What an export is narrowed down to; a connector is chosen by its type or by its id."""
    columns = {"status": (table.status,), "currency": (table.currency,), "connector": connector}
    return [
        or_(*(column == value for column in columns[name]))
        for name, value in export.filters.items()
        if name in columns
    ]


def counted(*statements: Callable[[Export], AnySelect]) -> Callable[[Export], int]:
    """How many rows these have in all, for a dataset's `count`."""

    def count(export: Export) -> int:
        with reading() as db:
            asked = (select(func.count()).select_from(of(export).subquery()) for of in statements)
            return sum(db.scalar(one) or 0 for one in asked)

    return count


def chunks(statement: AnySelect, time: Any, key: Any, time_name: str) -> Iterator[Row]:
    """The rows behind each other, a short query at a time, in the order of (time, id)."""
    ordered = statement.order_by(time, key).limit(CHUNK)
    last: tuple[Any, Any] | None = None
    while True:
        asked = ordered
        if last is not None:
            behind = tuple_(time, key) > tuple_(literal(last[0], UtcDateTime()), literal(last[1]))
            asked = ordered.where(behind)
        with reading() as db:
            rows = [dict(row) for row in db.execute(asked).mappings()]
        yield from rows
        if len(rows) < CHUNK:
            return
        last = (rows[-1][time_name], rows[-1]["id"])


TRANSACTIONS = Dataset(
    (
        Column("id"),
        Column("type"),
        Column("status"),
        Column("created_at", "instant"),
        Column("completed_at", "instant"),
        Column("payment_intent_id"),
        Column("charge_id"),
        Column("checkout_id"),
        Column("amount", "integer"),
        Column("amount_captured", "integer"),
        Column("currency"),
        Column("connector"),
        Column("gateway_reference"),
        Column("method_type"),
        Column("brand"),
        Column("last4"),
        Column("response_code"),
        Column("decline_code"),
        Column("avs_result"),
        Column("cvv_result"),
        Column("three_ds_result"),
        Column("risk_score", "integer"),
        Column("authorized_at", "instant"),
        Column("reason"),
        Column("reason_text"),
        Column("failure_reason"),
        Column("gl_account"),
    ),
    _transactions,
    counted(_charges, _refunds),
    frozenset({"status", "currency", "connector"}),
)

CHARGEBACKS = Dataset(
    (
        Column("id"),
        Column("kind"),
        Column("status"),
        Column("outcome"),
        Column("reason_code"),
        Column("received_at", "instant"),
        Column("opened_at", "instant"),
        Column("evidence_due_at", "instant"),
        Column("decided_at", "instant"),
        Column("closed_at", "instant"),
        Column("payment_intent_id"),
        Column("charge_id"),
        Column("checkout_id"),
        Column("amount", "integer"),
        Column("fee", "integer"),
        Column("currency"),
        Column("connector"),
        Column("gateway_reference"),
        Column("merchant_account_id"),
        Column("credit_note_id"),
        Column("gl_account"),
    ),
    _chargebacks,
    counted(_disputes),
    frozenset({"status", "currency", "connector"}),
)


SETTLEMENTS = Dataset(
    (
        Column("id"),
        Column("settlement_id"),
        Column("settlement_reference"),
        Column("status"),
        Column("connector"),
        Column("type"),
        Column("transaction_id"),
        Column("reference"),
        Column("gross", "integer"),
        Column("fee", "integer"),
        Column("net", "integer"),
        Column("currency"),
        Column("settled_at", "instant"),
        Column("available_on", "instant"),
        Column("posted_at", "instant"),
        Column("reconciled_at", "instant"),
        Column("gl_account"),
    ),
    _settlements,
    counted(_lines),
    frozenset({"status", "currency", "connector"}),
)

#: How many movements a bank statement has.
count_movements = counted(_movements)

DATASETS: dict[str, Dataset] = {
    "transactions": TRANSACTIONS,
    "settlements": SETTLEMENTS,
    "chargebacks": CHARGEBACKS,
}
