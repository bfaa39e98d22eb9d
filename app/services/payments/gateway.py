"""The one place where a gateway is called: never inside a transaction, and never trusted to be well-behaved.

Whatever a connector raises is an `Unknown` outcome here, because nobody can say whether it executed.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar, cast

import structlog
from sqlalchemy import inspect

from app import db, settings
from app.connectors import base, registry
from app.connectors.base import ConnectorContext
from app.connectors.configuring import Ping, Tests
from app.connectors.hosting import HostsPages
from app.connectors.refunding import ForeignRefund, TellsOfRefunds
from app.connectors.selling import Sells
from app.domain.actor import Actor, Mode
from app.domain.errors import ServiceUnavailable, Unprocessable
from app.domain.rules.routing import Facts
from app.kit.crypto import DecryptionError
from app.models.payments.attempt import Attempt
from app.models.payments.connector import ConnectorAccount
from app.models.payments.method import PaymentMethod
from app.models.payments.refund import Refund
from app.services.operations import connector_configs
from app.services.payments import connector_logs, routing
from app.services.payments.routing import Pick

R = TypeVar("R")

log = structlog.get_logger("till.gateway")


#: What the log calls each kind of answer.
_OUTCOMES: dict[type, str] = {
    base.Approved: "approved",
    base.Declined: "declined",
    base.ActionRequired: "action_required",
    base.Pending: "pending",
    base.NotExecuted: "not_executed",
    base.Unknown: "unknown",
    base.GatewayPayment: "found",
    base.GatewayDispute: "found",
    base.NotFound: "not_found",
    tuple: "found",
}


@dataclass(frozen=True, slots=True)
class Call:
    """A call about to be made for an attempt: what it is called in the log, and our key to the gateway."""

    attempt: Attempt
    operation: str
    key: str
    entity_id: str | None = None


def context(
    tenant_id: str, mode: str, connector_id: str | None = None, credentials: Mapping[str, str] | None = None
) -> ConnectorContext:
    """What a connector is told of the caller; an account comes with its credentials."""
    return ConnectorContext(tenant_id, mode, settings.current().base_url, credentials or {}, connector_id)


def caller(tenant_id: str, mode: str, connector_id: str | None) -> ConnectorContext:
    """See `context`; with the credentials as they are now.

    Raises:
        DecryptionError: they cannot be read.
    """
    return context(tenant_id, mode, connector_id, credentials(connector_id))


def tokenize_card(actor: Actor, card: base.CardDetails) -> tuple[str, base.MethodToken]:
    """Keep a card at the merchant's first connector that takes cards; the connector's name and its token.

    Raises:
        TokenRefused: the details are not good.
        Unprocessable: no connector here takes raw card details (none does in live mode).
    """
    if actor.mode == Mode.TEST:
        for connector, caller, pick in makers(actor, "card", base.TokenizesCards):  # type: ignore[type-abstract]
            return pick.type, bound(pick, connector.tokenize(caller, card))
    raise Unprocessable("Cards cannot be taken here", code="payment_method_not_supported")


def tokenize_redirect(actor: Actor, method_type: str) -> tuple[str, base.MethodToken]:
    """Make a one-off token of a redirect or QR method; the connector's name and the token.

    Raises:
        Unprocessable: no connector of the merchant takes the method.
    """
    for connector, caller, pick in makers(actor, method_type, base.TokenizesRedirects):  # type: ignore[type-abstract]
        try:
            return pick.type, bound(pick, connector.tokenize_redirect(caller, method_type))
        except base.TokenRefused:
            continue
    raise Unprocessable("This payment method is not available", code="payment_method_not_supported")


def hosted_types(actor: Actor) -> frozenset[str]:
    """The method types that the merchant's connectors take on pages of their own; no gateway is called."""
    found = [connector.hosted_types(caller) for connector, caller, _ in makers(actor, None, HostsPages)]  # type: ignore[type-abstract]
    return frozenset().union(*found)


def authorize(attempt: Attempt, method: PaymentMethod, *, at_once: bool = False) -> base.AuthorizeResult:
    """Ask for the money of an attempt that is written and committed; `at_once`: take it too, if possible."""
    connector = _capable(attempt.connector, base.Authorizes)  # type: ignore[type-abstract]
    request = base.AuthorizeRequest(
        key=attempt.gateway_key("authorize"),
        attempt_id=attempt.id,
        amount=attempt.amount,
        currency=attempt.currency,
        token=method.token,
        method_type=method.type,
        return_url=f"{settings.current().base_url}/return/{attempt.return_nonce}",
        force_three_ds=attempt.force_three_ds,
        off_session=attempt.off_session,
    )
    seller = registry.get(attempt.connector) if at_once else None
    ask = cast(Sells, seller).sell if registry.has(seller, Sells) else connector.authorize
    return _ask(Call(attempt, "authorize", request.key), lambda caller: ask(caller, request))


def find(attempt: Attempt) -> base.LookupResult:
    """Ask what became of an attempt; where its connector is not installed any more, nobody can say."""
    connector = registry.get(attempt.connector)
    if not isinstance(connector, base.Authorizes):
        return base.Unknown("connector_not_installed")
    key = attempt.gateway_key("authorize")
    return _ask(
        Call(attempt, "find", key), lambda caller: connector.find(caller, key, attempt.gateway_reference)
    )


def capture(attempt: Attempt) -> base.OperationResult:
    """Take the authorised money, `amount_to_capture` of it."""
    connector = _capable(attempt.connector, base.Captures)  # type: ignore[type-abstract]
    assert attempt.gateway_reference is not None
    request = base.CaptureRequest(
        attempt.gateway_key("capture"),
        attempt.gateway_reference,
        attempt.amount_to_capture or attempt.amount,
        attempt.currency,
    )
    return _ask(Call(attempt, "capture", request.key), lambda caller: connector.capture(caller, request))


def void(attempt: Attempt) -> base.OperationResult:
    """Release the authorised money."""
    connector = _capable(attempt.connector, base.Voids)  # type: ignore[type-abstract]
    assert attempt.gateway_reference is not None
    request = base.VoidRequest(attempt.gateway_key("void"), attempt.gateway_reference)
    return _ask(Call(attempt, "void", request.key), lambda caller: connector.void(caller, request))


def undo(attempt: Attempt, state: base.GatewayPayment) -> base.OperationResult:
    """Release or send back a payment that nobody waits for any more."""
    key = attempt.gateway_key("undo")
    call = Call(attempt, "undo", key)
    if state.status == base.GatewayStatus.AUTHORIZED:
        voids = _capable(attempt.connector, base.Voids)  # type: ignore[type-abstract]
        release = base.VoidRequest(key, state.reference)
        return _ask(call, lambda caller: voids.void(caller, release))
    refunds = _capable(attempt.connector, base.Refunds)  # type: ignore[type-abstract]
    back = base.RefundRequest(key, state.reference, state.captured - state.refunded, state.currency)
    return _ask(call, lambda caller: refunds.refund(caller, back))


def refund(item: Refund, attempt: Attempt) -> base.OperationResult:
    """Give money back."""
    assert not item.is_foreign, "the gateway has done it already"
    connector = _capable(attempt.connector, base.Refunds)  # type: ignore[type-abstract]
    assert attempt.gateway_reference is not None
    request = base.RefundRequest(
        f"refund_{item.id}", attempt.gateway_reference, item.amount, item.currency, item.reason
    )
    call = Call(attempt, "refund", request.key, item.id)
    return _ask(call, lambda caller: connector.refund(caller, request))


def tells_of_refunds(attempt: Attempt) -> bool:
    """Whether the gateway can be asked for refunds that it made without us."""
    return isinstance(registry.get(attempt.connector), TellsOfRefunds)


def foreign_refunds(attempt: Attempt) -> tuple[ForeignRefund, ...] | base.Unknown:
    """Ask which refunds of a captured payment the gateway made without us."""
    connector, reference = registry.get(attempt.connector), attempt.gateway_reference
    if not isinstance(connector, TellsOfRefunds) or reference is None:
        return ()
    call = Call(attempt, "foreign_refunds", reference)
    return _ask(call, lambda caller: connector.foreign_refunds(caller, reference, attempt.currency))


def find_refund(item: Refund, attempt: Attempt) -> base.RefundLookupResult:
    """Ask what became of a refund; one that the gateway made without us is never "not found"."""
    if item.is_foreign:
        listed = foreign_refunds(attempt)
        named = [] if isinstance(listed, base.Unknown) else listed
        outcomes = [found.outcome for found in named if found.reference == item.gateway_reference]
        return outcomes[0] if outcomes else base.Unknown("not listed")
    connector = _capable(attempt.connector, base.Refunds)  # type: ignore[type-abstract]
    key = f"refund_{item.id}"
    call = Call(attempt, "find_refund", key, item.id)
    return _ask(call, lambda caller: connector.find_refund(caller, key, attempt.gateway_reference))


def ping(account: ConnectorAccount) -> tuple[Ping, int]:
    """Try an account's credentials and connectivity; the second value is milliseconds."""
    _outside()
    connector = registry.get(account.type)
    if connector is None:
        return Ping(False, f"No connector of type {account.type} is installed here"), 0
    if not isinstance(connector, Tests):
        return Ping(False, f"{connector.label} cannot be tested without a payment"), 0
    started = time.perf_counter()
    error = None
    try:
        credentials = connector_configs.credentials(account)
        found = connector.ping(context(account.tenant_id, account.mode, account.id, credentials))
    except Exception as broke:
        log_failure("test", account.id, broke)
        error = type(broke).__name__
        found = Ping(False, f"The connector failed: {error}")
    took = _milliseconds_since(started)
    connector_logs.note(
        tenant_id=account.tenant_id,
        mode=account.mode,
        connector_id=account.id,
        type_=account.type,
        operation="test",
        outcome="ok" if found.ok else "refused" if found.refused else "failed",
        error=error,
        latency_ms=took,
    )
    return found, took


def find_dispute(attempt: Attempt, reference: str) -> base.DisputeLookupResult:
    """Ask where a dispute of a charge stands."""
    connector = _capable(attempt.connector, base.Disputes)  # type: ignore[type-abstract]
    call = Call(attempt, "find_dispute", reference)
    return _ask(call, lambda caller: connector.find_dispute(caller, reference))


def submit_evidence(attempt: Attempt, request: base.EvidenceRequest) -> base.DisputeResult:
    """Send what the merchant has to say of a dispute."""
    connector = _capable(attempt.connector, base.Disputes)  # type: ignore[type-abstract]
    call = Call(attempt, "submit_evidence", request.key)
    return _ask(call, lambda caller: connector.submit_evidence(caller, request))


def accept_dispute(attempt: Attempt, request: base.AcceptRequest) -> base.DisputeResult:
    """Give in."""
    connector = _capable(attempt.connector, base.Disputes)  # type: ignore[type-abstract]
    call = Call(attempt, "accept_dispute", request.key)
    return _ask(call, lambda caller: connector.accept_dispute(caller, request))


def makers(
    actor: Actor, method_type: str | None, capability: type[R], facts: Facts | None = None
) -> Iterator[tuple[R, ConnectorContext, Pick]]:
    """The merchant's connectors that make tokens of a method, in order; shared vaults want no credentials.

    With `facts` in the order in which such a payment would take them.
    """
    _outside()
    for pick in routing.makers(actor, method_type, facts):
        connector = registry.get(pick.type)
        if isinstance(connector, capability):
            try:
                own = {} if routing.shares_vault(pick.type) else credentials(pick.connector_id)
            except DecryptionError:
                log.exception("credentials_unreadable", entity_id=pick.connector_id)
                continue
            yield connector, context(actor.tenant_id, actor.mode, pick.connector_id, own), pick


def bound(pick: Pick, token: base.MethodToken) -> base.MethodToken:
    """The token with the account that it can be charged at, where that is one."""
    return token if routing.shares_vault(pick.type) else replace(token, connector_id=pick.connector_id)


def _capable(name: str, capability: type[R]) -> R:
    connector = registry.get(name)
    if connector is None or not registry.has(connector, capability):
        raise ServiceUnavailable(f"The connector {name} is not available here")
    return cast(R, connector)


def _outside() -> None:
    assert not db.in_transaction(), "a gateway is never called inside a transaction"


def _ask(call: Call, work: Callable[[ConnectorContext], R]) -> R:
    """Call a gateway for an attempt, with its account's credentials; the call is logged and counted."""
    attempt, started = call.attempt, time.perf_counter()
    try:
        own = _credentials_of(attempt)
        told = context(attempt.tenant_id, attempt.mode, attempt.connector_id, own)
    except DecryptionError:  # nothing was sent
        log.exception("credentials_unreadable", entity_id=attempt.connector_id)
        kind = base.NotExecuted if call.operation == "authorize" else base.Unknown
        result = cast(R, kind("credentials_unreadable"))
    else:
        result = _call(lambda: work(told), call.operation, call.entity_id or attempt.id)
    _note(call, result, _milliseconds_since(started))
    return result


def _call(work: Callable[[], R], operation: str, entity_id: str) -> R:
    _outside()
    try:
        return work()
    except Exception as broke:  # whatever it is, it is not known whether the gateway executed
        log_failure(operation, entity_id, broke)
        return base.Unknown(type(broke).__name__)  # type: ignore[return-value]


def _credentials_of(attempt: Attempt) -> dict[str, str]:
    """As they are now: with the attempt where it was loaded for this call, else by one narrow look-up."""
    if "account" not in inspect(attempt).unloaded and attempt.account is not None:
        return connector_configs.credentials(attempt.account)
    return credentials(attempt.connector_id)


def credentials(connector_id: str | None) -> dict[str, str]:
    """Those of an account; never another's, nor the deployment's, in place of ones that are lost.

    Raises:
        DecryptionError: they cannot be read.
    """
    if connector_id is None:
        return {}
    with db.reading() as session:
        account = session.get(ConnectorAccount, connector_id)
    if account is None:
        raise DecryptionError("there is no such connector")
    return connector_configs.credentials(account)


def _note(call: Call, result: object, took: int) -> None:
    attempt = call.attempt
    outcome = _OUTCOMES.get(type(result), "unknown")
    if call.operation == "authorize":
        name = routing.breaker_name(attempt.connector, attempt.connector_id)
        if outcome == "not_executed":
            routing.BREAKER.failed(name)
        elif outcome != "unknown":
            routing.BREAKER.succeeded(name)
    connector_logs.note(
        tenant_id=attempt.tenant_id,
        mode=attempt.mode,
        connector_id=attempt.connector_id,
        type_=attempt.connector,
        operation=call.operation,
        outcome=outcome,
        error=getattr(result, "code", None) or getattr(result, "reason", None),
        latency_ms=took,
        key=call.key,
        entity_id=call.entity_id or attempt.id,
        reference=getattr(result, "reference", None),
    )


def log_failure(operation: str, entity_id: str, broke: Exception) -> None:
    """Where it broke and the class of the error, but not its words: a library's may quote credentials."""
    trace = "".join(traceback.format_tb(broke.__traceback__)) + type(broke).__name__
    log.error("gateway_call_broke", operation=operation, entity_id=entity_id, exception=trace)


def _milliseconds_since(started: float) -> int:
    return round((time.perf_counter() - started) * 1000)
