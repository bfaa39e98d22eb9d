"""Refresh tokens: each works once, a second use ends the family, a race of two tabs does not."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pyotp
import pytest
from sqlalchemy import func, select

from app.db import reading, transaction
from app.domain.errors import Conflict, DomainError, Unauthenticated
from app.kit import clock
from app.models.access.token_family import RefreshToken, TokenFamily
from app.models.access.user import User
from app.models.events.journal import JournalEntry
from app.services.access import (
    keys,
    refresh_tokens,
    roles,
    sign_ins,
    team,
    tenants,
    tokens,
    totp,
    users,
    web_sessions,
)
from app.services.access.refresh_tokens import Granted
from tests.shops import Shop, later

PASSWORD = "a long enough passphrase"


@pytest.fixture
def user(shop: Shop) -> User:
    users.create(shop.actor.tenant_id, "other@shop.test", "Other", "payments_admin", PASSWORD)
    return users.create(shop.actor.tenant_id, "owner@shop.test", "Owner", "payments_admin", PASSWORD)


def told(type_: str) -> list[JournalEntry]:
    with reading() as db:
        return list(db.scalars(select(JournalEntry).where(JournalEntry.type == type_)))


def family(granted: Granted) -> TokenFamily:
    with reading() as db:
        return db.scalars(select(TokenFamily).where(TokenFamily.user_id == granted.actor.id)).one()


def test_a_token_works_once_and_only_its_hash_is_kept(user: User) -> None:
    first = refresh_tokens.begin(user.id, "live")
    second = refresh_tokens.rotate(first.refresh_token)
    assert (second.actor.id, str(second.actor.mode)) == (user.id, "live")
    assert tokens.authenticate(second.access_token).id == user.id
    third = refresh_tokens.rotate(second.refresh_token)
    assert len({first.refresh_token, second.refresh_token, third.refresh_token}) == 3
    with reading() as db:
        kept = list(db.scalars(select(RefreshToken)))
    assert len(kept) == 3 and sum(row.used_at is None for row in kept) == 1
    assert all(third.refresh_token not in row.token_hash for row in kept)


def test_a_second_use_ends_the_family_with_its_access_tokens_and_no_other(user: User) -> None:
    stolen = refresh_tokens.begin(user.id, "test")
    elsewhere = refresh_tokens.begin(user.id, "test")
    current = refresh_tokens.rotate(stolen.refresh_token)
    with later(11):
        with pytest.raises(Unauthenticated) as refused:
            refresh_tokens.rotate(stolen.refresh_token)
        assert refused.value.code == "invalid_grant"
        with pytest.raises(Unauthenticated):
            refresh_tokens.rotate(current.refresh_token)
        for token in (stolen.access_token, current.access_token):
            with pytest.raises(Unauthenticated):
                tokens.authenticate(token)
        assert tokens.authenticate(elsewhere.access_token).id == user.id
        assert refresh_tokens.rotate(elsewhere.refresh_token).actor.id == user.id
    [entry] = told("user.refresh_token_reused")
    assert (entry.entity_id, entry.tenant_id) == (user.id, user.tenant_id)
    assert stolen.refresh_token not in str(entry.data)


def test_of_sixteen_refreshes_at_once_one_wins_and_nobody_is_signed_out(user: User) -> None:
    begun = refresh_tokens.begin(user.id, "test")

    def refresh(_: int) -> Granted | str:
        try:
            return refresh_tokens.rotate(begun.refresh_token)
        except DomainError as refused:
            return refused.code

    with ThreadPoolExecutor(16) as pool:
        came = list(pool.map(refresh, range(16)))
    won = [item for item in came if isinstance(item, Granted)]
    assert len(won) == 1
    assert [item for item in came if isinstance(item, str)] == ["refresh_token_just_used"] * 15
    assert family(won[0]).ended_at is None
    assert refresh_tokens.rotate(won[0].refresh_token).actor.id == user.id
    with reading() as db:
        assert db.scalar(select(func.count()).select_from(RefreshToken)) == 3


def test_of_sixteen_who_bring_a_used_token_late_none_wins_and_it_is_told_once(user: User) -> None:
    begun = refresh_tokens.begin(user.id, "test")
    refresh_tokens.rotate(begun.refresh_token)

    def refresh(_: int) -> str:
        with pytest.raises(Unauthenticated) as refused:
            refresh_tokens.rotate(begun.refresh_token)
        return refused.value.code

    with later(60), ThreadPoolExecutor(16) as pool:
        assert set(pool.map(refresh, range(16))) == {"invalid_grant"}
    assert len(told("user.refresh_token_reused")) == 1


def test_the_grace_is_ten_seconds(user: User) -> None:
    begun = refresh_tokens.begin(user.id, "test")
    now = clock.now()
    with clock.frozen(now):
        refresh_tokens.rotate(begun.refresh_token)
    with clock.frozen(now + timedelta(seconds=10)), pytest.raises(Conflict):
        refresh_tokens.rotate(begun.refresh_token)
    assert family(begun).ended_at is None


def test_a_sign_in_ends_unused_after_25_minutes_and_in_any_case_after_twelve_hours(user: User) -> None:
    begun = refresh_tokens.begin(user.id, "test")
    start = clock.now()
    with clock.frozen(start + timedelta(minutes=25, seconds=1)), pytest.raises(Unauthenticated):
        refresh_tokens.rotate(begun.refresh_token)
    held = refresh_tokens.begin(user.id, "test")
    for minutes in range(20, 12 * 60, 20):
        with clock.frozen(start + timedelta(minutes=minutes)):
            held = refresh_tokens.rotate(held.refresh_token)
    assert held.expires_at <= start + timedelta(hours=12, seconds=5)
    with clock.frozen(start + timedelta(hours=12, seconds=10)):
        with pytest.raises(Unauthenticated):
            refresh_tokens.rotate(held.refresh_token)
        with pytest.raises(Unauthenticated):
            tokens.authenticate(held.access_token)


@pytest.mark.parametrize("how", ["password", "disabled", "role", "enrolled", "merchant", "listed", "revoked"])
def test_what_ends_a_sign_in_ends_its_tokens(shop: Shop, user: User, how: str) -> None:
    granted = refresh_tokens.begin(user.id, "test")
    cookie = web_sessions.open_session(user.id)
    with later(1):
        if how == "password":
            users.set_password(user.id, "another long enough passphrase")
        elif how == "disabled":
            team.disable(shop.operator, user.id)
        elif how == "role":
            roles.assign(tokens.person(user.id, "test"), "read_only", user.id)
        elif how == "enrolled":
            totp.begin(user.id)
            assert totp.enable(user.id, _code(user)) is not None
        elif how == "merchant":
            tenants.end_tokens(shop.actor)
        elif how == "listed":
            for item in sign_ins.list_open(user.id):
                sign_ins.end(granted.actor, user.id, item.id)
        else:
            refresh_tokens.revoke(granted.access_token)
            web_sessions.close(_hash(cookie))
    with later(2):
        with pytest.raises(Unauthenticated):
            refresh_tokens.rotate(granted.refresh_token)
        with pytest.raises(Unauthenticated):
            tokens.authenticate(granted.access_token)
        assert web_sessions.load(cookie) is None
        if how != "disabled":
            assert refresh_tokens.begin(user.id, "test").actor.id == user.id, "they may sign in again"


def test_the_merchants_valid_after_ends_the_tokens_of_keys_and_not_the_keys(shop: Shop, user: User) -> None:
    machine = tokens.mint_jwt(shop.actor)
    assert tokens.authenticate(machine).id == shop.actor.id
    tenants.end_tokens(shop.actor)
    with pytest.raises(Unauthenticated):
        tokens.authenticate(machine)
    with later(1):
        assert tokens.authenticate(tokens.mint_jwt(keys.authenticate(shop.secret))).id == shop.actor.id


def test_what_was_given_in_the_second_of_a_new_password_is_over(user: User) -> None:
    at = clock.now().replace(microsecond=100_000)
    with clock.frozen(at):
        before = tokens.mint_jwt(tokens.person(user.id, "test"))
    with clock.frozen(at + timedelta(milliseconds=300)):
        users.set_password(user.id, "another long enough passphrase")
    with clock.frozen(at + timedelta(milliseconds=600)):
        with pytest.raises(Unauthenticated):
            tokens.authenticate(before)
        assert tokens.authenticate(tokens.mint_jwt(tokens.person(user.id, "test"))).id == user.id


def test_old_families_are_dropped_with_their_tokens(user: User) -> None:
    refresh_tokens.begin(user.id, "test")
    with later(12 * 3600 + 60):
        assert refresh_tokens.clean() == 0, "they tell what happened, for a week"
    with later(8 * 86_400):
        assert refresh_tokens.clean() == 1
    with reading() as db:
        assert db.scalar(select(func.count()).select_from(RefreshToken)) == 0


def test_a_family_that_ends_while_it_is_refreshed_gives_nothing_that_works(user: User) -> None:
    """Whatever order the database takes them in."""
    begun = refresh_tokens.begin(user.id, "test")

    def refresh() -> Granted | None:
        try:
            return refresh_tokens.rotate(begun.refresh_token)
        except Unauthenticated:
            return None

    def end() -> None:
        with transaction() as db:
            sign_ins.end_all(db, user.id, "test")

    with ThreadPoolExecutor(2) as pool:
        came, ended = pool.submit(refresh), pool.submit(end)
        granted = came.result()
        ended.result()
    if granted is not None:
        with pytest.raises(Unauthenticated):
            refresh_tokens.rotate(granted.refresh_token)
        with pytest.raises(Unauthenticated):
            tokens.authenticate(granted.access_token)


def _code(user: User) -> str:
    return pyotp.TOTP(totp.secret_of(user.id) or "").at(clock.now())


def _hash(cookie: str) -> str:
    found = web_sessions.load(cookie)
    assert found is not None
    return found.token_hash
