"""The driver: takes an attempt from wherever it stands to where it can rest.

The same loop serves the first call, the return from 3DS, a gateway's webhook and the recovery sweep. It
holds no transaction while a gateway is called: what is about to be done is committed first, what came back
is recorded after (reliability.md, finalisation).
"""

from __future__ import annotations

from dataclasses import dataclass

from app.connectors.base import NotExecuted
from app.domain.errors import VersionConflict
from app.domain.lifecycles import attempts as lifecycle
from app.domain.lifecycles import intents
from app.kit import clock
from app.kit.failpoints import failpoint
from app.models.payments.attempt import Attempt
from app.models.payments.intent import PaymentIntent
from app.models.payments.method import PaymentMethod
from app.services.payments import attempts, failover, gateway, outcomes, recording
from app.services.payments.attempts import Flow, Seen
from app.services.payments.outcomes import Kind

_S, _T = lifecycle.Status, lifecycle.Trigger

#: More steps than any payment takes; a bound, so that a mistake cannot loop.
MAX_STEPS = 10


def drive(
    attempt_id: str,
    flow: Flow,
    cause: str,
    *,
    fresh: bool = False,
    give_up: str | None = None,
    seen: Seen | None = None,
) -> PaymentIntent | None:
    """Move an attempt on as far as it goes now.

    Returns the intent as it was left where that is known; it has to be looked up elsewhere.

    `fresh` says that this process has just submitted it, so that the gateway is asked for the money; any
    other caller asks the gateway what became of it first. `give_up` is the decline code under which an
    attempt that still waits for its shopper is withdrawn. `seen` is what the caller has just committed:
    it is not looked up again for the first step.
    """
    just_submitted = fresh
    for turn in range(MAX_STEPS):
        attempt, intent, method = seen or attempts.load(attempt_id)
        seen = None
        if turn and attempt.status in (_S.ACTION_REQUIRED, _S.UNKNOWN, _S.CAPTURE_UNKNOWN, _S.VOID_UNKNOWN):
            return None
        try:
            progressed = _step(attempt, intent, method, flow, cause, just_submitted, give_up)
        except VersionConflict:
            return None  # another process is driving it
        if isinstance(progressed, PaymentIntent):
            return progressed
        if not progressed:
            return None
        just_submitted = isinstance(progressed, _Submitted)
        if isinstance(progressed, _Submitted) and progressed.attempt_id is not None:
            attempt_id = progressed.attempt_id
    return None


def give_up(attempt_id: str, flow: Flow, cause: str, code: str) -> None:
    """Withdraw an attempt that waits for its shopper, unless the bank has decided, as declined by `code`."""
    drive(attempt_id, flow, cause)
    drive(attempt_id, flow, cause, give_up=code)


@dataclass(frozen=True, slots=True)
class _Submitted:
    """The next step may call the gateway for what this process has just written, maybe in a new attempt."""

    attempt_id: str | None = None


_SUBMITTED = _Submitted()


def _step(
    attempt: Attempt,
    intent: PaymentIntent,
    method: PaymentMethod,
    flow: Flow,
    cause: str,
    just_submitted: bool,
    give_up: str | None,
) -> bool | _Submitted | PaymentIntent:
    match attempt.status:
        case _S.SUBMITTED | _S.UNKNOWN | _S.ACTION_REQUIRED:
            abandoned = give_up is not None and attempts.waits_for_shopper(attempt)
            if attempt.gateway_reference and (intent.cancel_requested or abandoned):
                return _withdraw(attempt, flow, cause, give_up)
            return _ask_for_authorization(attempt, intent, method, flow, cause, just_submitted)
        case _S.AUTHORIZED:
            return _go_on_from_authorized(attempt, intent, flow, cause)
        case _S.CAPTURE_SUBMITTED | _S.CAPTURE_UNKNOWN:
            return _ask_for_capture(attempt, flow, cause, just_submitted)
        case _S.VOID_SUBMITTED | _S.VOID_UNKNOWN:
            return _ask_for_void(attempt, flow, cause, just_submitted)
        case _S.CAPTURED if intent.status not in (intents.Status.SUCCEEDED, intents.Status.CANCELED):
            failpoint("captured")
            flow.settle(attempt, cause)
            return False
        case _:
            return False


def _ask_for_authorization(
    attempt: Attempt,
    intent: PaymentIntent,
    method: PaymentMethod,
    flow: Flow,
    cause: str,
    just_submitted: bool,
) -> bool | _Submitted | PaymentIntent:
    if attempt.block_code is not None:  # denied by the risk rules: no gateway hears of it
        outcome = outcomes.Outcome(Kind.DECLINED, decline_code=attempt.block_code)
    elif just_submitted:
        failpoint("auth_submitted")
        at_once = flow.at_once and intent.capture_mode == "auto" and not intent.cancel_requested
        result = gateway.authorize(attempt, method, at_once=at_once)
        failpoint("auth_answered")
        if isinstance(result, NotExecuted):
            successor = failover.open_next(attempt, method, flow, cause)
            if successor is not None:
                return _Submitted(successor)
        outcome = outcomes.of_authorize(result)
    else:
        outcome = outcomes.of_lookup(gateway.find(attempt))
    recorded, left = recording.apply(attempt, outcome, flow, cause, intent)
    if outcome.kind == Kind.ACTION_REQUIRED:
        failpoint("action_required")
        return False
    if recorded == _S.CAPTURE_SUBMITTED:
        failpoint("authorized")
        return _SUBMITTED
    return _goes_on(recorded, left, outcome, flow)


def _goes_on(
    recorded: lifecycle.Status | None, left: PaymentIntent | None, outcome: outcomes.Outcome, flow: Flow
) -> bool | PaymentIntent:
    """Whether there is more to do now: nothing before the gateway knows, or after the money is settled."""
    if left is not None and recorded == _S.CAPTURED and flow.at_once:
        return left
    return outcome.kind not in (Kind.UNKNOWN, Kind.NOT_FOUND, Kind.PENDING)


def _withdraw(attempt: Attempt, flow: Flow, cause: str, code: str | None = None) -> bool:
    """Give up while the shopper is at the bank: what the gateway then has is the truth."""
    released = outcomes.of_void(gateway.void(attempt)).kind == Kind.VOIDED
    outcome = outcomes.of_lookup(gateway.find(attempt))
    if released and outcome.kind in (Kind.ACTION_REQUIRED, Kind.PENDING, Kind.VOIDED):
        outcome = outcomes.Outcome(Kind.VOIDED, attempt.gateway_reference, decline_code=code)
    recording.apply(attempt, outcome, flow, cause)
    return outcome.kind in (Kind.AUTHORIZED, Kind.CAPTURED)


def _go_on_from_authorized(
    attempt: Attempt, intent: PaymentIntent, flow: Flow, cause: str
) -> bool | _Submitted:
    failpoint("authorized")
    refused = attempt.decline_code is not None
    if intent.cancel_requested or (refused and intent.capture_mode == "auto"):
        return _SUBMITTED if attempts.submit_operation(attempt, _T.VOID_SUBMITTED, cause) else False
    if intent.capture_mode == "auto":
        return _SUBMITTED if attempts.submit_operation(attempt, _T.CAPTURE_SUBMITTED, cause) else False
    lapsed = attempt.auth_expires_at is not None and attempt.auth_expires_at <= clock.now()
    if lapsed or refused or cause == "webhook":  # its time is up, or something happened to it: does it hold?
        outcome = outcomes.of_lookup(gateway.find(attempt))
        if recording.apply(attempt, outcome, flow, "expiry" if lapsed else cause)[0] == _S.CAPTURED:
            return True
        if lapsed and outcome.kind not in (Kind.VOIDED, Kind.DECLINED, Kind.CAPTURED):
            return _SUBMITTED if attempts.submit_operation(attempt, _T.VOID_SUBMITTED, "expiry") else False
    return False


def _ask_for_capture(attempt: Attempt, flow: Flow, cause: str, just_submitted: bool) -> bool | PaymentIntent:
    if not just_submitted:
        state = outcomes.of_lookup(gateway.find(attempt))
        if state.kind != Kind.AUTHORIZED:
            recording.apply(attempt, state, flow, cause)
            return state.kind != Kind.UNKNOWN
    failpoint("capture_submitted")
    outcome = outcomes.of_capture(gateway.capture(attempt))
    failpoint("capture_answered")
    return _goes_on(*recording.apply(attempt, outcome, flow, cause), outcome, flow)


def _ask_for_void(attempt: Attempt, flow: Flow, cause: str, just_submitted: bool) -> bool:
    if not just_submitted:
        state = outcomes.of_lookup(gateway.find(attempt))
        if state.kind not in (Kind.AUTHORIZED, Kind.ACTION_REQUIRED):
            recording.apply(attempt, state, flow, cause)
            return state.kind != Kind.UNKNOWN
    outcome = outcomes.of_void(gateway.void(attempt))
    recording.apply(attempt, outcome, flow, cause)
    return outcome.kind != Kind.UNKNOWN
