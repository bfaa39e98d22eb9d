"""People: their passwords and second factor, and signing in (security.md).

A wrong e-mail, a wrong password and a locked account read the same and take the same work: one password is
hashed and one row is written, whoever it was.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from app.db import reading, transaction
from app.domain.actor import Actor, ActorKind, Mode, TenantProfile
from app.domain.errors import InvalidRequest, NotFound, PermissionDenied, Unauthenticated
from app.domain.rules import passwords
from app.kit import addresses, clock, crypto
from app.kit.ids import new_id
from app.models.access.invitation import Invitation
from app.models.access.tenant import Tenant
from app.models.access.user import User
from app.models.events.journal import record
from app.services.access import sign_ins, tenants, totp
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
    _refuse_weak(password, email, name, tenants.name_of(tenant_id))
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


def number_of(actor: Actor) -> int:
    """The integer id of the person that a caller is, or whose key the caller's token stands for (OP-05).

    Raises:
        PermissionDenied: it stands for no person.
    """
    person = actor.id if actor.kind == ActorKind.USER else actor.created_by
    statement = select(User.number).where(User.id == person, User.tenant_id == actor.tenant_id)
    with reading() as db:
        found = db.scalar(statement)
    if found is None:
        raise PermissionDenied("This token stands for no user")
    return found


def set_password(user_id: str, password: str, *, keep: str = "") -> None:
    """Give a person a new password; their lock-out ends, a link to another one, and all sign-ins but `keep`.

    Raises:
        InvalidRequest: the password is too short, too long, too common, or made of their own names.
    """
    hashed = hash_new(user_id, password)
    with transaction() as db:
        put_hash(db, user_id, hashed, keep)


def hash_new(user_id: str, password: str) -> str:
    """The hash of a password that a person may have; made before a transaction is open, since it takes time.

    Raises:
        InvalidRequest: see `set_password`.
    """
    person, tenant = get(user_id)
    _refuse_weak(password, person.email, person.name, tenant.name)
    return crypto.password_hash(password)


def put_hash(db: Session, user_id: str, hashed: str, keep: str = "") -> None:
    """Store a new password's hash, in the caller's transaction; see `set_password`."""
    user = find(db, user_id)
    user.password_hash = hashed
    user.failed_logins, user.locked_until = 0, None
    user.tokens_valid_after = clock.now()
    db.execute(delete(Invitation).where(Invitation.user_id == user.id))
    sign_ins.end_all(db, user.id, "password_set", keep)
    _note(db, user, "user.password_set")


def change_password(user_id: str, current: str, password: str, *, keep: str) -> None:
    """Let a person choose a new password; the sign-in `keep`, by which they do it, goes on.

    Raises:
        RateLimited: five tries in five minutes.
        Unauthenticated: the current one is wrong.
        InvalidRequest: see `set_password`; or it is the current one.
    """
    check_own_password(user_id, current)
    if current == password:
        raise InvalidRequest("This is your password already", code="password_unchanged", field="password")
    set_password(user_id, password, keep=keep)


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
    return row[0], row[1].profile(Mode.LIVE)


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
    locked = user is not None and user.locked_until is not None and user.locked_until > clock.now()
    if user is None or user.disabled_at is not None or locked or not right:
        _count_failure(user.id if user else "", "user.sign_in_failed", counts=not locked)
        raise Unauthenticated("E-mail or password is wrong")
    if crypto.password_needs_rehash(user.password_hash):
        _rehash(user.id, password)
    if not user.totp_enabled:
        note_sign_in(user.id)
    return SignIn(user.id, needs_otp=user.totp_enabled)


def check_second_factor(user_id: str, code: str) -> None:
    """The second step: a TOTP code, or a recovery code. Wrong ones pause the account as passwords do.

    Raises:
        RateLimited: five in five minutes.
        Unauthenticated: wrong, or used before.
    """
    rate_limits.hit("totp", user_id, limit=5, window_seconds=300)
    if not (totp.verify(user_id, code) or totp.use_recovery_code(user_id, code)):
        _count_failure(user_id, "user.second_factor_failed")
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


def check_own_password(user_id: str, password: str) -> None:
    """Let somebody who is signed in show that it is them (step-up).

    Raises:
        RateLimited: five tries in five minutes.
        Unauthenticated: this isn't their password.
    """
    rate_limits.hit("step_up", user_id, limit=5, window_seconds=300)
    user, _ = get(user_id)
    if not crypto.verify_password(password, user.password_hash):
        raise Unauthenticated("This isn't your password")
    rate_limits.forget("step_up", user_id)


def find(db: Session, user_id: str) -> User:
    """The row of a person, in the caller's transaction, locked."""
    return db.scalars(select(User).where(User.id == user_id).with_for_update()).one()


def _rehash(user_id: str, password: str) -> None:
    """The same password under today's parameters: nothing has changed for the person."""
    with transaction() as db:
        find(db, user_id).password_hash = crypto.password_hash(password)


def _count_failure(user_id: str, type_: str, *, counts: bool = True) -> None:
    """Count and tell a failure. For nobody, and where it counts no further, the same statements are sent."""
    with transaction() as db:
        user = db.scalars(select(User).where(User.id == user_id).with_for_update()).one_or_none()
        failed, until = (user.failed_logins, user.locked_until) if user else (0, None)
        if counts:
            failed += 1
            until = _pause(failed) or until
        db.execute(
            update(User)
            .where(User.id == user_id)
            .values(failed_logins=failed, locked_until=until)
            .execution_options(synchronize_session=False)
        )
        if user is not None:
            _note(db, user, type_)
        else:
            rate_limits.note(db, "sign_in_nobody")


def _pause(failed: int) -> datetime | None:
    """Until when an account pauses after so many failures: half a minute, then doubling."""
    over = failed - LOCK_AFTER
    if over < 0:
        return None
    return clock.now() + timedelta(seconds=min(LOCK_SECONDS * 2 ** min(over, 16), LOCK_MAX_SECONDS))


def _refuse_weak(password: str, *about: str) -> None:
    problem = passwords.problem(password, about)
    if problem:
        raise InvalidRequest(
            "Choose a password of 12 to 128 characters that is not common and not made of your names",
            code=f"password_{problem}",
            field="password",
        )


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
