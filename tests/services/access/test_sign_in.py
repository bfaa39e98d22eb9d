"""Signing in: passwords, lock-out, TOTP that works once, recovery codes, server-side sessions, step-up."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pyotp
import pytest

from app.domain.errors import Conflict, DomainError, InvalidRequest, RateLimited, Unauthenticated
from app.kit import clock, crypto
from app.models.access.user import User
from app.services.access import totp, users, web_sessions
from tests.shops import Shop, later

PASSWORD = "a long enough passphrase"


@pytest.fixture
def user(shop: Shop) -> User:
    return users.create(shop.actor.tenant_id, "Owner@Shop.test", "Owner", "payments_admin", PASSWORD)


def enrolled(user: User) -> pyotp.TOTP:
    secret, uri = totp.begin(user.id)
    assert uri.startswith("otpauth://totp/Till:owner%40shop.test?secret=" + secret)
    generator = pyotp.TOTP(secret)
    assert totp.enable(user.id, generator.at(clock.now())) is not None
    return generator


def test_the_right_password_signs_in_whatever_the_case_of_the_address(user: User) -> None:
    found = users.check_password("OWNER@shop.test ", PASSWORD, "192.0.2.1")
    assert (found.user_id, found.needs_otp) == (user.id, False)


@pytest.mark.parametrize(
    ("email", "password"), [("owner@shop.test", "wrong"), ("nobody@shop.test", PASSWORD)]
)
def test_a_wrong_password_and_an_unknown_address_read_the_same(user: User, email: str, password: str) -> None:
    with pytest.raises(Unauthenticated) as refused:
        users.check_password(email, password, "192.0.2.1")
    assert refused.value.message == "E-mail or password is wrong"


def test_five_wrong_passwords_pause_the_account_even_for_the_right_one(user: User) -> None:
    for number in range(5):
        with pytest.raises(Unauthenticated):
            users.check_password(user.email, "wrong", f"192.0.2.{number}")
    with pytest.raises(Unauthenticated):
        users.check_password(user.email, PASSWORD, "192.0.2.9")
    with later(31):
        assert users.check_password(user.email, PASSWORD, "192.0.2.10").user_id == user.id


def test_an_address_gets_five_tries_a_minute(user: User) -> None:
    for _ in range(5):
        with pytest.raises(Unauthenticated):
            users.check_password("nobody@shop.test", "wrong", "198.51.100.7")
    with pytest.raises(RateLimited) as refused:
        users.check_password("nobody@shop.test", "wrong", "198.51.100.7")
    assert 0 < refused.value.retry_after <= 60


@pytest.mark.parametrize("password", ["short", "password1234", "aaaaaaaaaaaaaaaa", "x" * 129])
def test_weak_passwords_are_refused(shop: Shop, password: str) -> None:
    with pytest.raises(InvalidRequest):
        users.create(shop.actor.tenant_id, "new@shop.test", "New", "admin", password)


def test_a_code_works_once(user: User) -> None:
    generator = enrolled(user)
    assert users.check_password(user.email, PASSWORD, "192.0.2.1").needs_otp
    with later(31):
        code = generator.at(clock.now())
        users.check_second_factor(user.id, code)
        with pytest.raises(Unauthenticated):
            users.check_second_factor(user.id, code)


def test_of_sixteen_who_send_the_same_code_one_gets_in(user: User) -> None:
    generator = enrolled(user)
    with later(31):
        code = generator.at(clock.now())
        with ThreadPoolExecutor(16) as pool:
            taken = list(pool.map(lambda _: totp.verify(user.id, code), range(16)))
    assert taken.count(True) == 1


def test_the_last_half_minutes_code_is_taken_and_older_ones_are_not(user: User) -> None:
    generator = enrolled(user)
    at = clock.now() + timedelta(minutes=5)
    with clock.frozen(at):
        assert not totp.verify(user.id, generator.at(at - timedelta(seconds=61)))
        assert totp.verify(user.id, generator.at(at - timedelta(seconds=30)))


def test_recovery_codes_work_once_each(user: User) -> None:
    secret, _ = totp.begin(user.id)
    codes = totp.enable(user.id, pyotp.TOTP(secret).at(clock.now()))
    assert codes is not None and len(set(codes)) == 8
    users.check_second_factor(user.id, codes[0].upper())
    with pytest.raises(Unauthenticated):
        users.check_second_factor(user.id, codes[0])


def test_wrong_codes_are_limited(user: User) -> None:
    enrolled(user)
    for _ in range(5):
        with pytest.raises(Unauthenticated):
            users.check_second_factor(user.id, "000000")
    with pytest.raises(RateLimited):
        users.check_second_factor(user.id, "000000")


def test_a_session_ends_when_idle_closed_or_old(user: User) -> None:
    token = web_sessions.open_session(user.id)
    assert web_sessions.load(token) is not None
    with later(16 * 60):
        assert web_sessions.load(token) is None
    start = clock.now()
    for minutes in range(10, 12 * 60, 10):
        with clock.frozen(start + timedelta(minutes=minutes)):
            assert web_sessions.load(token) is not None
    with clock.frozen(start + timedelta(hours=12, seconds=1)):
        assert web_sessions.load(token) is None
    other = web_sessions.open_session(user.id)
    found = web_sessions.load(other)
    assert found is not None
    web_sessions.close(found.token_hash)
    assert web_sessions.load(other) is None


def test_step_up_lasts_five_minutes_and_changes_the_token(user: User) -> None:
    token = web_sessions.open_session(user.id)
    found = web_sessions.load(token)
    assert found is not None and not found.confirmed("refund")
    web_sessions.confirm(found.token_hash, "refund")
    renewed = web_sessions.renew(found.token_hash)
    assert web_sessions.load(token) is None
    again = web_sessions.load(renewed)
    assert again is not None and again.confirmed("refund") and not again.confirmed("api-keys")
    with later(301):
        assert not again.confirmed("refund")


def test_secrets_are_not_readable_in_the_database(user: User) -> None:
    secret, _ = totp.begin(user.id)
    stored, _ = users.get(user.id)
    assert secret not in (stored.totp_secret or "")
    assert PASSWORD not in stored.password_hash and stored.password_hash.startswith("$argon2id$")


def test_a_disabled_person_cannot_sign_in(user: User) -> None:
    from app.db import transaction

    with transaction() as db:
        db.get_one(User, user.number).disabled_at = clock.now()
    with pytest.raises(DomainError):
        users.check_password(user.email, PASSWORD, "192.0.2.1")


def test_a_second_factor_in_force_is_not_begun_anew(user: User) -> None:
    generator = enrolled(user)
    with pytest.raises(Conflict):
        totp.begin(user.id)
    found, _ = users.get(user.id)
    assert found.totp_enabled
    assert totp.secret_of(user.id) == generator.secret


def test_one_ipv6_line_is_one_address(user: User) -> None:
    for number in range(5):
        with pytest.raises(Unauthenticated):
            users.check_password(f"nobody{number}@shop.test", "wrong", f"2a02:8070:1::{number}")
    with pytest.raises(RateLimited):
        users.check_password("nobody@shop.test", "wrong", "2a02:8070:1::ffff")
    with pytest.raises(Unauthenticated):
        users.check_password("nobody@shop.test", "wrong", "2a02:8070:2::1")


def test_a_new_password_ends_what_was_signed_in_before(user: User) -> None:
    token = web_sessions.open_session(user.id)
    users.set_password(user.id, "another long enough passphrase")
    assert web_sessions.load(token) is None


def test_a_hash_made_anew_at_sign_in_is_no_new_password(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    token = web_sessions.open_session(user.id)
    monkeypatch.setattr(crypto, "password_needs_rehash", lambda _: True)
    users.check_password(user.email, PASSWORD, "192.0.2.1")
    found, _ = users.get(user.id)
    assert found.password_hash != user.password_hash
    assert found.tokens_valid_after is None
    assert web_sessions.load(token) is not None
    assert users.check_password(user.email, PASSWORD, "192.0.2.1").user_id == user.id
