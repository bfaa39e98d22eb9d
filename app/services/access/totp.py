"""The second factor: TOTP (RFC 6238) and recovery codes, each usable once (security.md)."""

from __future__ import annotations

import base64
import secrets

import pyotp
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.orm import Session

from app.db import reading, transaction
from app.domain.errors import Conflict
from app.kit import clock
from app.models.access.user import RecoveryCode, User
from app.models.events.journal import record
from app.services.access import sign_ins
from app.services.operations import rate_limits, secrets_at_rest

STEP_SECONDS = 30
RECOVERY_CODES = 8


def begin(user_id: str) -> tuple[str, str]:
    """Make a fresh seed for a person, not yet in force: (base-32 secret, otpauth URI).

    Raises:
        Conflict: they are enrolled already; what is in force is switched off first, not replaced.
    """
    secret = pyotp.random_base32(32)
    with transaction() as db:
        user = db.scalars(select(User).where(User.id == user_id).with_for_update()).one()
        if user.totp_enabled:
            raise Conflict("You are enrolled already", code="mfa_already_enrolled")
        user.totp_secret = secrets_at_rest.encrypt(secret, user.tenant_id, user.id, "totp")
        email = user.email
    return secret, pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name="Till")


def pending(user_id: str) -> tuple[str, str]:
    """The seed that `begin` made and that is not yet in force."""
    with reading() as db:
        email = db.scalars(select(User.email).where(User.id == user_id)).one()
    secret = secret_of(user_id) or ""
    return secret, pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name="Till")


def enable(user_id: str, code: str, *, keep: str = "") -> list[str] | None:
    """Put the seed in force with a first code; the recovery codes, shown this once, or None if wrong.

    What the person signed in with before, by password alone, ends, but for the sign-in `keep`.

    Raises:
        RateLimited: five codes in five minutes.
        Conflict: another first code was quicker.
    """
    rate_limits.hit("totp", user_id, limit=5, window_seconds=300)
    if not _use_step(user_id, code):
        return None
    with transaction() as db:
        user = _locked(db, user_id)
        if user.totp_enabled:
            raise Conflict("You are enrolled already", code="mfa_already_enrolled")
        user.totp_enabled = True
        codes = _replace_codes(db, user_id)
        sign_ins.end_all(db, user_id, "mfa_enabled", keep)
        _note(db, user, "user.mfa_enabled", "enrolment")
    rate_limits.forget("totp", user_id)
    return codes


def renew_codes(user_id: str) -> list[str]:
    """Fresh recovery codes in place of the old ones, shown this once (after step-up).

    Raises:
        Conflict: the second factor is off.
    """
    with transaction() as db:
        user = _locked(db, user_id)
        if not user.totp_enabled:
            raise Conflict("Two-step sign-in is off", code="mfa_not_enrolled")
        codes = _replace_codes(db, user_id)
        _note(db, user, "user.recovery_codes_renewed", "settings")
    return codes


def codes_left(user_id: str) -> int:
    """How many recovery codes a person has not used."""
    unused = (RecoveryCode.user_id == user_id, RecoveryCode.used_at.is_(None))
    with reading() as db:
        return db.scalar(select(func.count()).select_from(RecoveryCode).where(*unused)) or 0


def enable_without_code(user_id: str) -> None:
    """Put the seed in force for somebody who cannot type a code (the demonstration user)."""
    with transaction() as db:
        user = db.scalars(select(User).where(User.id == user_id)).one()
        user.totp_enabled, user.totp_last_step = True, 0


def disable(user_id: str, *, keep: str = "") -> None:
    """Take the second factor away (after step-up, or by an operator); other sign-ins than `keep` end."""
    with transaction() as db:
        user = _locked(db, user_id)
        user.totp_enabled, user.totp_secret = False, None
        db.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
        sign_ins.end_all(db, user_id, "mfa_disabled", keep)
        _note(db, user, "user.mfa_disabled", "settings")


def secret_of(user_id: str) -> str | None:
    """The seed in plaintext (enrolment page and demo only)."""
    with reading() as db:
        user = db.scalars(select(User).where(User.id == user_id)).one()
    if user.totp_secret is None:
        return None
    return secrets_at_rest.decrypt(user.totp_secret, user.tenant_id, user.id, "totp")


def verify(user_id: str, code: str) -> bool:
    """Whether the code is of this or the last half minute, and was not used before."""
    with reading() as db:
        enabled = db.scalar(select(User.totp_enabled).where(User.id == user_id))
    return bool(enabled) and _use_step(user_id, code)


def use_recovery_code(user_id: str, code: str) -> bool:
    """Use up a recovery code; of many who bring the same one, one gets in."""
    statement = (
        update(RecoveryCode)
        .where(
            RecoveryCode.user_id == user_id,
            RecoveryCode.code_hash == _hash(code),
            RecoveryCode.used_at.is_(None),
        )
        .values(used_at=clock.now())
    )
    with transaction() as db:
        if not db.execute(statement).rowcount:  # type: ignore[attr-defined]
            return False
        user = db.scalars(select(User).where(User.id == user_id)).one()
        _note(db, user, "user.recovery_code_used", "sign-in", left=codes_left(user_id))
    return True


def _replace_codes(db: Session, user_id: str) -> list[str]:
    codes = [_recovery_code() for _ in range(RECOVERY_CODES)]
    db.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    db.execute(
        insert(RecoveryCode),
        [{"code_hash": _hash(code), "user_id": user_id, "used_at": None} for code in codes],
    )
    return codes


def _locked(db: Session, user_id: str) -> User:
    return db.scalars(select(User).where(User.id == user_id).with_for_update()).one()


def _note(db: Session, user: User, type_: str, cause: str, **more: int) -> None:
    record(
        db,
        type_,
        tenant_id=user.tenant_id,
        mode="live",
        entity="user",
        entity_id=user.id,
        cause=cause,
        after={"id": user.id, **more},
    )


def _use_step(user_id: str, code: str) -> bool:
    """A time step can be used once: a conditional UPDATE takes it (reliability.md 36)."""
    secret = secret_of(user_id)
    digits = code.strip().replace(" ", "")
    if secret is None or len(digits) != 6 or not (digits.isascii() and digits.isdigit()):
        return False
    now_step = int(clock.now().timestamp()) // STEP_SECONDS
    generator = pyotp.HOTP(secret)
    for step in (now_step, now_step - 1):
        if secrets.compare_digest(generator.at(step), digits):
            taken = update(User).where(User.id == user_id, User.totp_last_step < step)
            with transaction() as db:
                return bool(db.execute(taken.values(totp_last_step=step)).rowcount)  # type: ignore[attr-defined]
    return False


def _recovery_code() -> str:
    return _grouped(base64.b32encode(secrets.token_bytes(15)).decode().lower())


def _grouped(text: str) -> str:
    return "-".join(text[i : i + 6] for i in range(0, len(text), 6))


def _hash(code: str) -> str:
    """People copy codes with capitals, spaces and without the dashes."""
    return secrets_at_rest.hash_token(_grouped("".join(char for char in code.lower() if char.isalnum())))
