"""People: their passwords and second factor, and signing in (security.md).

A wrong e-mail, a wrong password and a locked account read the same and take the same time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from app.db import reading, transaction
from app.domain.actor import TenantProfile
from app.domain.errors import InvalidRequest, NotFound, Unauthenticated
from app.kit import addresses, clock, crypto
from app.kit.ids import new_id
from app.models.access.tenant import Tenant
from app.models.access.user import User, WebSession
from app.models.events.journal import record
from app.services.access import totp
from app.services.operations import rate_limits

#: Wrong passwords until an account pauses, and for how long at first (doubling).
LOCK_AFTER, LOCK_SECONDS, LOCK_MAX_SECONDS = 5, 30, 1800

#: Checked when there is no such user, so that the answer takes the same time.
_NOBODY = crypto.password_hash("nobody has this password")


@dataclass(frozen=True, slots=True)
class SignIn:
    """A password that was right; `needs_otp` says that the second factor is still due."""

    user_id: str
    needs_otp: bool


def create(tenant_id: str, email: str, name: str, role: str, password: str) -> User:
    """Add a person to a merchant.

    Raises:
        InvalidRequest: the password is too short, too long or too common.
    """
    problem = crypto.password_problem(password)
    if problem:
        raise InvalidRequest(
            "Choose a password of 12 to 128 characters that is not common",
            code=f"password_{problem}",
            field="password",
        )
    user = User(
        id=new_id("usr"),
        tenant_id=tenant_id,
        email=email.strip().lower(),
        name=name,
        role=role,
        password_hash=crypto.password_hash(password),
    )
    with transaction() as db:
        db.add(user)
    return user


def set_password(user_id: str, password: str) -> None:
    """Give a person a new password; their lock-out ends, and so does what was signed in before."""
    with transaction() as db:
        user = find(db, user_id)
        user.password_hash = crypto.password_hash(password)
        user.failed_logins, user.locked_until = 0, None
        user.tokens_valid_after = clock.now()
        db.execute(delete(WebSession).where(WebSession.user_id == user.id))
        _note(db, user, "user.password_set")


def get(user_id: str) -> tuple[User, TenantProfile]:
    """A person with their merchant.

    Raises:
        NotFound: there is none.
    """
    statement = select(User, Tenant).join(Tenant, Tenant.id == User.tenant_id).where(User.id == user_id)
    with reading() as db:
        row = db.execute(statement).one_or_none()
    if row is None:
        raise NotFound("No such user")
    return row[0], row[1].profile()


def by_email(email: str) -> User | None:
    """The person with this address."""
    with reading() as db:
        return db.scalars(select(User).where(User.email == email.strip().lower())).one_or_none()


def check_password(email: str, password: str, address: str) -> SignIn:
    """The first step of signing in.

    Raises:
        RateLimited: five a minute and address, ten in half an hour and account.
        Unauthenticated: wrong, locked or disabled; which of them is not said.
    """
    rate_limits.hit("sign_in_address", addresses.line(address), limit=5, window_seconds=60)
    rate_limits.hit("sign_in_account", email.strip().lower(), limit=10, window_seconds=1800)
    user = by_email(email)
    right = crypto.verify_password(password, user.password_hash if user else _NOBODY)
    now = clock.now()
    locked = user is not None and user.locked_until is not None and user.locked_until > now
    if user is None or user.disabled_at is not None or locked or not right:
        if user is not None and not locked:
            _count_failure(user.id)
        raise Unauthenticated("E-mail or password is wrong")
    if crypto.password_needs_rehash(user.password_hash):
        _rehash(user.id, password)
    if not user.totp_enabled:
        note_sign_in(user.id)
    return SignIn(user.id, needs_otp=user.totp_enabled)


def check_second_factor(user_id: str, code: str) -> None:
    """The second step: a TOTP code, or a recovery code.

    Raises:
        RateLimited: five in five minutes.
        Unauthenticated: wrong, or used before.
    """
    rate_limits.hit("totp", user_id, limit=5, window_seconds=300)
    if not (totp.verify(user_id, code) or totp.use_recovery_code(user_id, code)):
        raise Unauthenticated("This code isn't right, or was used before")
    rate_limits.forget("totp", user_id)


def note_sign_in(user_id: str) -> None:
    """Record a complete sign-in."""
    with transaction() as db:
        user = find(db, user_id)
        user.failed_logins, user.locked_until, user.last_login_at = 0, None, clock.now()
        _note(db, user, "user.signed_in")
        address_free = user.email
    rate_limits.forget("sign_in_account", address_free)


def check_own_password(user_id: str, password: str) -> bool:
    """Whether this is the person's password (step-up)."""
    user, _ = get(user_id)
    return crypto.verify_password(password, user.password_hash)


def find(db: Session, user_id: str) -> User:
    """The row of a person, in the caller's transaction, locked."""
    return db.scalars(select(User).where(User.id == user_id).with_for_update()).one()


def _rehash(user_id: str, password: str) -> None:
    """The same password under today's parameters: nothing has changed for the person."""
    with transaction() as db:
        find(db, user_id).password_hash = crypto.password_hash(password)


def _count_failure(user_id: str) -> None:
    with transaction() as db:
        db.execute(update(User).where(User.id == user_id).values(failed_logins=User.failed_logins + 1))
        user = find(db, user_id)
        over = user.failed_logins - LOCK_AFTER
        if over >= 0:
            pause = min(LOCK_SECONDS * 2**over, LOCK_MAX_SECONDS)
            user.locked_until = clock.now() + timedelta(seconds=pause)
        _note(db, user, "user.sign_in_failed")


def _note(db: Session, user: User, type_: str) -> None:
    record(
        db,
        type_,
        tenant_id=user.tenant_id,
        mode="live",
        entity="user",
        entity_id=user.id,
        cause="sign-in",
        after={"id": user.id, "email": user.email, "role": user.role},
    )
