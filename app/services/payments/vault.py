"""Where a gateway's vault is called: never inside a transaction, and never trusted to be well-behaved.

What a connector raises is logged by its class alone: a library's words may quote what a customer typed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TypeVar

import structlog

from app import db
from app.connectors import base, registry, vaulting
from app.connectors.hosting import FramesCards
from app.domain.actor import Actor, Mode
from app.domain.errors import DomainError, ServiceUnavailable, Unprocessable
from app.models.payments.method import PaymentMethod
from app.services.payments import gateway
from app.services.payments.routing import Pick

R = TypeVar("R")

log = structlog.get_logger("till.vault")


def tokenize(actor: Actor, details: vaulting.MethodDetails) -> tuple[str, base.MethodToken]:
    """Keep details at the first connector that takes them; the connector's name and its token.

    Raises:
        TokenRefused: the details are not good.
        Unprocessable: no connector here takes such details (none takes cards or accounts in live mode).
        ServiceUnavailable: the vault could not be asked.
    """
    if isinstance(details, base.CardDetails):
        return _kept("tokenize", lambda: gateway.tokenize_card(actor, details))
    if isinstance(details, vaulting.WalletDetails):
        return _kept("tokenize", lambda: gateway.tokenize_redirect(actor, details.type))
    if actor.mode == Mode.TEST:
        for connector, caller, pick in gateway.makers(actor, details.type, vaulting.TokenizesBankAccounts):  # type: ignore[type-abstract]
            token = _kept("tokenize", partial(connector.tokenize_bank_account, caller, details))
            return pick.type, gateway.bound(pick, token)
    raise _unavailable("Accounts cannot be taken here")


def issue_client_token(actor: Actor, details: vaulting.MethodDetails) -> vaulting.ClientToken:
    """Let a connector give a browser a token for details; raises as `tokenize`."""
    if actor.mode == Mode.TEST:
        for connector, caller, _ in gateway.makers(actor, None, vaulting.IssuesClientTokens):  # type: ignore[type-abstract]
            return _kept("issue_client_token", partial(connector.issue_client_token, caller, details))
    raise _unavailable("Tokens are made by the gateway's own script here")


def redeem(actor: Actor, token: str) -> tuple[str, base.MethodToken]:
    """What a client's token stands for, and at which connector.

    Raises:
        TokenRefused: no connector knows it, or it has expired.
        ServiceUnavailable: a connector could not be asked.
    """
    makers = gateway.makers(actor, None, vaulting.RedeemsTokens)  # type: ignore[type-abstract]
    return _first_that_knows(
        (pick, partial(connector.redeem, caller, token)) for connector, caller, pick in makers
    )


def redeem_framed(actor: Actor, token: str, *, keep: bool) -> tuple[str, base.MethodToken]:
    """What a token of a gateway's frames on our page stands for; raises as `redeem`."""
    makers = gateway.makers(actor, "card", FramesCards)  # type: ignore[type-abstract]
    return _first_that_knows(
        (pick, partial(connector.redeem_framed, caller, token, keep=keep))
        for connector, caller, pick in makers
    )


def _first_that_knows(
    asked: Iterable[tuple[Pick, Callable[[], base.MethodToken]]],
) -> tuple[str, base.MethodToken]:
    silent: ServiceUnavailable | None = None
    for pick, redeem in asked:
        try:
            return pick.type, gateway.bound(pick, _kept("redeem", redeem))
        except base.TokenRefused as refused:
            if refused.code != "token_not_found":
                raise
        except ServiceUnavailable as error:  # another account may know it all the same
            silent = error
    raise silent or base.TokenRefused("token_not_found", "token")


def send_deposits(method: PaymentMethod, key: str) -> vaulting.Proof | base.Unknown:
    """Let two small deposits be sent to an account, once for each key."""
    connector, caller = _verifier(method)
    return _call(lambda: connector.send_deposits(caller, method.token, key), "send_deposits", key)


def check_deposits(
    method: PaymentMethod, key: str, amounts: tuple[int, int]
) -> vaulting.Proof | base.Unknown:
    """Let what the customer saw be compared with what was sent under `key`."""
    connector, caller = _verifier(method)
    return _call(lambda: connector.check_deposits(caller, key, amounts), "check_deposits", key)


def verify_account(method: PaymentMethod) -> vaulting.Proof | base.Unknown:
    """Let the bank be asked about an account."""
    connector, caller = _verifier(method)
    return _call(lambda: connector.verify_account(caller, method.token), "verify_account", method.id)


def look_up_three_ds(method: PaymentMethod) -> vaulting.ThreeDSLookup:
    """Let the directory server be asked about a card; what cannot be asked is unavailable."""
    connector, caller = registry.get(method.connector), _caller(method)
    unavailable = vaulting.ThreeDSLookup(vaulting.Enrolment.UNAVAILABLE)
    if not isinstance(connector, vaulting.LooksUpThreeDS):
        return unavailable
    able = connector
    found = _call(lambda: able.look_up_three_ds(caller, method.token), "look_up_three_ds", method.id)
    return unavailable if isinstance(found, base.Unknown) else found


def _verifier(method: PaymentMethod) -> tuple[vaulting.VerifiesBankAccounts, base.ConnectorContext]:
    connector = registry.get(method.connector)
    if not isinstance(connector, vaulting.VerifiesBankAccounts):
        raise Unprocessable("Its gateway verifies no accounts", code="verification_not_supported")
    return connector, _caller(method)


def _caller(method: PaymentMethod) -> base.ConnectorContext:
    """What the vault is told of the caller: a method bound to an account comes with its credentials."""
    return gateway.caller(method.tenant_id, method.mode, method.connector_id)


def _unavailable(words: str) -> Unprocessable:
    return Unprocessable(words, code="payment_method_not_supported")


def _outside() -> None:
    assert not db.in_transaction(), "a gateway is never called inside a transaction"


def _kept(operation: str, work: Callable[[], R]) -> R:
    """What a vault answers; one that breaks has kept nothing that anybody knows of."""
    _outside()
    try:
        return work()
    except (base.TokenRefused, DomainError):
        raise
    except Exception as error:
        _log_break(operation, error)
    raise ServiceUnavailable


def _call(work: Callable[[], R], operation: str, entity_id: str) -> R | base.Unknown:
    _outside()
    try:
        return work()
    except Exception as error:  # whatever it is, it is not known whether the gateway executed
        _log_break(operation, error, entity_id)
        return base.Unknown(type(error).__name__)


def _log_break(operation: str, error: Exception, entity_id: str | None = None) -> None:
    log.error("vault_call_broke", operation=operation, entity_id=entity_id, exception=type(error).__name__)
