"""The sandbox as bank and directory server: small deposits, account checks, 3-D Secure enrolment."""

from __future__ import annotations

from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.engine import RowMapping
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.connectors.base import ConnectorContext
from app.connectors.sandbox import book, vault
from app.connectors.sandbox.cards import LOOK_UP_ERROR, Behaviour
from app.connectors.vaulting import Enrolment, Proof, ProofStatus, ThreeDSLookup
from app.db import retrying, transaction
from app.kit import clock

#: What the sandbox deposits, in cents: the field's published test values.
AMOUNTS = (32, 45)
#: A third wrong answer ends a proof.
MAX_TRIES = 3
#: Where the sandbox's access control server lives, under our own address.
ACS_PATH = "/sandbox/acs"

_CHALLENGES = (Behaviour.CHALLENGE, Behaviour.CHALLENGE_THEN_DECLINE, Behaviour.FRICTIONLESS)


def send_deposits(context: ConnectorContext, token: str, key: str) -> Proof:
    """See `VerifiesBankAccounts`: the first call with a key writes the deposits, later ones find them."""
    if vault.find(context, token) is None:
        return Proof(ProofStatus.FAILED, "account_not_found")
    row = {
        "tenant_id": context.tenant_id,
        "key": key,
        "token": token,
        "first": AMOUNTS[0],
        "second": AMOUNTS[1],
        "tries": 0,
        "status": str(ProofStatus.PENDING),
        "created_at": clock.now(),
    }
    try:
        with transaction() as db:
            db.execute(insert(book.deposits), row)
    except IntegrityError:
        pass
    return retrying(lambda: _look(context, key))


def check_deposits(context: ConnectorContext, key: str, amounts: tuple[int, int]) -> Proof:
    """See `VerifiesBankAccounts`: in either order; of many answers at once three count."""
    return retrying(lambda: _answer(context, key, amounts))


def verify_account(context: ConnectorContext, token: str) -> Proof:
    """See `VerifiesBankAccounts`: what exists is verified, also where there is no money on it."""
    row = vault.find(context, token)
    if row is None or row["detail"] == "generic_decline":
        return Proof(ProofStatus.FAILED, "account_not_found")
    if row["behaviour"] == Behaviour.STAYS_PENDING:
        return Proof(ProofStatus.PENDING)
    return Proof(ProofStatus.VERIFIED)


def look_up_three_ds(context: ConnectorContext, token: str) -> ThreeDSLookup:
    """See `LooksUpThreeDS`: as the card's row in the behaviour table has it."""
    row = vault.find(context, token)
    if row is None or row["behaviour"] == Behaviour.CHALLENGE_ERROR or row["detail"] == LOOK_UP_ERROR:
        return ThreeDSLookup(Enrolment.UNAVAILABLE)
    if row["behaviour"] not in _CHALLENGES:
        return ThreeDSLookup(Enrolment.NOT_ENROLLED)
    return ThreeDSLookup(Enrolment.ENROLLED, fingerprint_required=True, acs_url=context.base_url + ACS_PATH)


def _look(context: ConnectorContext, key: str) -> Proof:
    with transaction() as db:
        row = _lock(db, context, key)
        assert row is not None
        return _proof(row["status"], row["tries"])


def _answer(context: ConnectorContext, key: str, amounts: tuple[int, int]) -> Proof:
    with transaction() as db:
        row = _lock(db, context, key)
        if row is None:
            return Proof(ProofStatus.FAILED, "deposits_not_sent")
        if row["status"] != ProofStatus.PENDING:
            return _proof(row["status"], row["tries"])
        good = sorted(amounts) == sorted((row["first"], row["second"]))
        tries = row["tries"] + (0 if good else 1)
        status = ProofStatus.VERIFIED if good else ProofStatus.PENDING
        if tries >= MAX_TRIES:
            status = ProofStatus.FAILED
        db.execute(_mine(update(book.deposits), context, key).values(tries=tries, status=str(status)))
        return _proof(status, tries)


def _proof(status: str, tries: int) -> Proof:
    if status == ProofStatus.PENDING:
        return Proof(ProofStatus.PENDING, "wrong_amounts" if tries else None, MAX_TRIES - tries)
    return Proof(ProofStatus(status), "too_many_tries" if status == ProofStatus.FAILED else None)


def _lock(db: Session, context: ConnectorContext, key: str) -> RowMapping | None:
    statement = _mine(select(book.deposits), context, key).with_for_update()
    found: RowMapping | None = db.execute(statement).mappings().one_or_none()
    return found


def _mine(statement: Any, context: ConnectorContext, key: str) -> Any:
    return statement.where(book.deposits.c.tenant_id == context.tenant_id, book.deposits.c.key == key)
