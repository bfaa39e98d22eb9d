"""Disputes, inquiries and early fraud warnings; evidence is sent once and for good."""

from __future__ import annotations

from app.connectors import base
from app.connectors.base import ConnectorContext, DisputeKind, EvidenceDocument, GatewayDispute
from app.connectors.base import GatewayDisputeStatus as Status
from app.connectors.stripe import api, errors, mapping, marks
from app.connectors.stripe.amounts import from_stripe
from app.connectors.stripe.api import Api, Json

_DISPUTES = "/v1/disputes"
_WARNINGS = "/v1/radar/early_fraud_warnings"
_WARNING_PREFIX = "issfr_"

#: Where Stripe takes a document, one in each; ours go by their type, or to the first place that is free.
_PLACES = (
    "uncategorized_file",
    "receipt",
    "shipping_documentation",
    "customer_communication",
    "customer_signature",
    "service_documentation",
    "refund_policy",
    "cancellation_policy",
    "duplicate_charge_documentation",
)
_MAX_TEXT = 20_000

_STATUSES = {
    "needs_response": Status.NEEDS_RESPONSE,
    "under_review": Status.UNDER_REVIEW,
    "won": Status.WON,
    "lost": Status.LOST,
    "warning_needs_response": Status.WARNING,
    "warning_under_review": Status.WARNING,
    "warning_closed": Status.CLOSED,
    "prevented": Status.WON,
}
_REASONS = {"fraudulent": "fraud"}


def find_dispute(context: ConnectorContext, reference: str) -> base.DisputeLookupResult:
    """See `Disputes.find_dispute`."""
    try:
        return _read(api.of(context), context, reference) or base.NotFound()
    except errors.Failure as error:
        return base.NotFound() if errors.is_missing(error) else errors.unknown(error)


def submit_evidence(context: ConnectorContext, request: base.EvidenceRequest) -> base.DisputeResult:
    """See `Disputes.submit_evidence`: the documents are uploaded first, each under a key of its own."""
    if request.reference.startswith(_WARNING_PREFIX) or len(request.documents) > len(_PLACES):
        return base.Declined("evidence_refused", request.reference)
    try:
        at = api.of(context)
        if _read(at, context, request.reference) is None:
            return base.NotFound()
        links = [document.url for document in request.documents if document.url]
        text = "\n".join([request.text, *links])[:_MAX_TEXT]
        evidence = {"uncategorized_text": text, **_uploaded(at, request)}
        path = f"{_DISPUTES}/{request.reference}"
        return _dispute(at.post(path, request.key, evidence=evidence, submit=True))
    except errors.Failure as error:
        return _refused(error, "evidence_refused", request.reference)


def accept_dispute(context: ConnectorContext, request: base.AcceptRequest) -> base.DisputeResult:
    """See `Disputes.accept_dispute`. An early fraud warning is only told; there is nothing to accept."""
    try:
        at = api.of(context)
        now = _read(at, context, request.reference)
        if now is None:
            return base.NotFound()
        if now.kind == DisputeKind.EARLY_FRAUD_WARNING or now.status in (Status.LOST, Status.CLOSED):
            return now
        return _dispute(at.post(f"{_DISPUTES}/{request.reference}/close", request.key))
    except errors.Failure as error:
        return _refused(error, "accept_refused", request.reference)


def _read(at: Api, context: ConnectorContext, reference: str) -> GatewayDispute | None:
    """The dispute as it stands; None where its payment is not the caller's."""
    warning = reference.startswith(_WARNING_PREFIX)
    path, more = (_WARNINGS, ["charge"]) if warning else (_DISPUTES, [])
    found = at.get(f"{path}/{reference}", expand=["payment_intent", *more])
    intent = found.get("payment_intent")
    if not isinstance(intent, dict) or not marks.mine(context, intent):
        return None
    return _warning(found) if warning else _dispute(found)


def _uploaded(at: Api, request: base.EvidenceRequest) -> dict[str, str]:
    placed: dict[str, str] = {}
    for number, document in enumerate(request.documents):
        if document.content is not None:
            name = document.filename or f"evidence-{number + 1}"
            key = f"{request.key}_file_{number}"
            placed[_place(document, placed)] = at.upload(key, "dispute_evidence", name, document.content)
    return placed


def _place(document: EvidenceDocument, taken: dict[str, str]) -> str:
    wanted = (document.type, *_PLACES)
    return next(place for place in wanted if place in _PLACES and place not in taken)


def _refused(error: Exception, code: str, reference: str) -> base.DisputeResult:
    if errors.is_missing(error):
        return base.NotFound()
    found = errors.verdict(error, code)
    return base.Declined(code, reference) if isinstance(found, base.Declined) else errors.unknown(error)


def _dispute(found: Json) -> GatewayDispute:
    inquiry, currency = found["status"].startswith("warning"), found["currency"].upper()
    reason = str(found["reason"])
    due = (found.get("evidence_details") or {}).get("due_by")
    return GatewayDispute(
        reference=found["id"],
        payment_reference=_id_of(found["payment_intent"]),
        kind=DisputeKind.INQUIRY if inquiry else DisputeKind.CHARGEBACK,
        status=_STATUSES[found["status"]],
        amount=from_stripe(found["amount"], currency),
        currency=currency,
        reason_code=_REASONS.get(reason, reason),
        received_at=mapping.created(found),
        evidence_due_at=mapping.instant(due) if due else None,
        fee=_fee(found, currency),
    )


def _id_of(found: Json | str) -> str:
    return str(found["id"]) if isinstance(found, dict) else found


def _fee(found: Json, currency: str) -> int:
    """What Stripe keeps, where it keeps it in the dispute's currency; else only the settlement tells."""
    moved = found.get("balance_transactions") or []
    if any(entry["currency"].upper() != currency for entry in moved):
        return 0
    return from_stripe(sum(entry["fee"] for entry in moved), currency)


def _warning(found: Json) -> GatewayDispute:
    charge = found["charge"]
    currency = charge["currency"].upper()
    return GatewayDispute(
        reference=found["id"],
        payment_reference=_id_of(found["payment_intent"]),
        kind=DisputeKind.EARLY_FRAUD_WARNING,
        status=Status.WARNING if found["actionable"] else Status.CLOSED,
        amount=from_stripe(charge["amount"], currency),
        currency=currency,
        reason_code="fraud",
        received_at=mapping.created(found),
    )
