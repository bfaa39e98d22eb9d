"""The one place where a gateway is called: never inside a transaction, and never trusted to be well-behaved.

Whatever a connector raises is an `Unknown` outcome here, because nobody can say whether it executed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import structlog

from app import db, settings
from app.connectors import base, registry
from app.connectors.base import ConnectorContext
from app.domain.actor import Actor
from app.domain.errors import ServiceUnavailable, Unprocessable
from app.models.payments.attempt import Attempt
from app.models.payments.method import PaymentMethod
from app.models.payments.refund import Refund

R = TypeVar("R")

log = structlog.get_logger("till.gateway")


def context(tenant_id: str, mode: str) -> ConnectorContext:
    """What a connector is told of the caller."""
    return ConnectorContext(tenant_id, mode, settings.current().base_url)


def tokenize_card(actor: Actor, card: base.CardDetails) -> tuple[str, base.MethodToken]:
    """Keep a card at the first connector that takes cards; the connector's name and its token.

    Raises:
        TokenRefused: the details are not good.
        Unprocessable: no connector here takes raw card details (none does in live mode).
    """
    for connector in registry.for_method("card"):
        if isinstance(connector, base.TokenizesCards) and actor.mode == "test":
            _outside()
            return connector.name, connector.tokenize(context(actor.tenant_id, actor.mode), card)
    raise Unprocessable("Cards cannot be taken here", code="payment_method_not_supported")


def tokenize_redirect(actor: Actor, method_type: str) -> tuple[str, base.MethodToken]:
    """Make a one-off token of a redirect or QR method; the connector's name and the token.

    Raises:
        Unprocessable: no connector here takes the method.
    """
    for connector in registry.for_method(method_type):
        if isinstance(connector, base.TokenizesRedirects):
            _outside()
            try:
                found = connector.tokenize_redirect(context(actor.tenant_id, actor.mode), method_type)
            except base.TokenRefused:
                continue
            return connector.name, found
    raise Unprocessable("This payment method is not available", code="payment_method_not_supported")


def authorize(attempt: Attempt, method: PaymentMethod) -> base.AuthorizeResult:
    """Ask for the money of an attempt that is written and committed."""
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
    return _call(
        lambda: connector.authorize(context(attempt.tenant_id, attempt.mode), request),
        "authorize",
        attempt.id,
    )


def find(attempt: Attempt) -> base.LookupResult:
    """Ask what became of an attempt."""
    connector = _capable(attempt.connector, base.Authorizes)  # type: ignore[type-abstract]
    return _call(
        lambda: connector.find(
            context(attempt.tenant_id, attempt.mode),
            attempt.gateway_key("authorize"),
            attempt.gateway_reference,
        ),
        "find",
        attempt.id,
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
    return _call(
        lambda: connector.capture(context(attempt.tenant_id, attempt.mode), request),
        "capture",
        attempt.id,
    )


def void(attempt: Attempt) -> base.OperationResult:
    """Release the authorised money."""
    connector = _capable(attempt.connector, base.Voids)  # type: ignore[type-abstract]
    assert attempt.gateway_reference is not None
    request = base.VoidRequest(attempt.gateway_key("void"), attempt.gateway_reference)
    return _call(
        lambda: connector.void(context(attempt.tenant_id, attempt.mode), request),
        "void",
        attempt.id,
    )


def undo(attempt: Attempt, state: base.GatewayPayment) -> base.OperationResult:
    """Release or send back a payment that nobody waits for any more."""
    caller = context(attempt.tenant_id, attempt.mode)
    if state.status == base.GatewayStatus.AUTHORIZED:
        voids = _capable(attempt.connector, base.Voids)  # type: ignore[type-abstract]
        release = base.VoidRequest(attempt.gateway_key("undo"), state.reference)
        return _call(lambda: voids.void(caller, release), "undo", attempt.id)
    refunds = _capable(attempt.connector, base.Refunds)  # type: ignore[type-abstract]
    back = base.RefundRequest(attempt.gateway_key("undo"), state.reference, state.captured, state.currency)
    return _call(lambda: refunds.refund(caller, back), "undo", attempt.id)


def refund(item: Refund, attempt: Attempt) -> base.OperationResult:
    """Give money back."""
    connector = _capable(attempt.connector, base.Refunds)  # type: ignore[type-abstract]
    assert attempt.gateway_reference is not None
    request = base.RefundRequest(
        f"refund_{item.id}", attempt.gateway_reference, item.amount, item.currency, item.reason
    )
    return _call(lambda: connector.refund(context(item.tenant_id, item.mode), request), "refund", item.id)


def find_refund(item: Refund, attempt: Attempt) -> base.RefundLookupResult:
    """Ask what became of a refund."""
    connector = _capable(attempt.connector, base.Refunds)  # type: ignore[type-abstract]
    return _call(
        lambda: connector.find_refund(
            context(item.tenant_id, item.mode), f"refund_{item.id}", attempt.gateway_reference
        ),
        "find_refund",
        item.id,
    )


def find_dispute(attempt: Attempt, reference: str) -> base.DisputeLookupResult:
    """Ask where a dispute of a charge stands."""
    connector = _capable(attempt.connector, base.Disputes)  # type: ignore[type-abstract]
    return _call(
        lambda: connector.find_dispute(context(attempt.tenant_id, attempt.mode), reference),
        "find_dispute",
        attempt.id,
    )


def submit_evidence(attempt: Attempt, request: base.EvidenceRequest) -> base.DisputeResult:
    """Send what the merchant has to say of a dispute."""
    connector = _capable(attempt.connector, base.Disputes)  # type: ignore[type-abstract]
    return _call(
        lambda: connector.submit_evidence(context(attempt.tenant_id, attempt.mode), request),
        "submit_evidence",
        attempt.id,
    )


def accept_dispute(attempt: Attempt, request: base.AcceptRequest) -> base.DisputeResult:
    """Give in."""
    connector = _capable(attempt.connector, base.Disputes)  # type: ignore[type-abstract]
    return _call(
        lambda: connector.accept_dispute(context(attempt.tenant_id, attempt.mode), request),
        "accept_dispute",
        attempt.id,
    )


def _capable(name: str, capability: type[R]) -> R:
    connector = registry.get(name)
    if connector is None or not isinstance(connector, capability):
        raise ServiceUnavailable(f"The connector {name} is not available here")
    return connector


def _outside() -> None:
    assert not db.in_transaction(), "a gateway is never called inside a transaction"


def _call(work: Callable[[], R], operation: str, entity_id: str) -> R:
    _outside()
    try:
        return work()
    except Exception as error:  # whatever it is, it is not known whether the gateway executed
        log.exception("gateway_call_broke", operation=operation, entity_id=entity_id)
        return base.Unknown(type(error).__name__)  # type: ignore[return-value]
