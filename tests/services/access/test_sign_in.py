"""Signing in: passwords, lock-out, TOTP that works once, recovery codes, server-side sessions, step-up."""

from __future__ import annotations

import inspect
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pyotp
import pytest
from sqlalchemy import Engine, event, select

from app.db import reading, transaction
from app.domain.errors import Conflict, DomainError, InvalidRequest, RateLimited, Unauthenticated
from app.kit import clock, crypto
from app.models.access.user import RecoveryCode, User
from app.models.events.journal import JournalEntry
from app.services.access import totp, users, web_sessions
from tests.shops import Shop, later

PASSWORD = "a long enough passphrase"


@pytest.fixture
def user(shop: Shop) -> User:
    return users.create(shop.actor.tenant_id, "Owner@Shop.test", "Owner", "payments_admin", PASSWORD)


def told(type_: str) -> list[JournalEntry]:
    with reading() as db:
        return list(db.scalars(select(JournalEntry).where(JournalEntry.type == type_)))


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


def test_of_sixteen_who_bring_one_recovery_code_one_gets_in_and_it_is_told_once(user: User) -> None:
    secret, _ = totp.begin(user.id)
    codes = totp.enable(user.id, pyotp.TOTP(secret).at(clock.now()))
    assert codes is not None
    with ThreadPoolExecutor(16) as pool:
        used = list(pool.map(lambda _: totp.use_recovery_code(user.id, codes[3]), range(16)))
    assert used.count(True) == 1
    assert totp.codes_left(user.id) == 7
    [entry] = told("user.recovery_code_used")
    assert entry.data["after"] == {"id": user.id, "left": 7}
    typed = codes[4].upper().replace("-", " ")
    assert totp.use_recovery_code(user.id, typed), "as people copy them"
    assert not totp.use_recovery_code(user.id, codes[4])
    with reading() as db:
        kept = db.scalars(select(RecoveryCode.code_hash)).all()
    assert len(kept) == 8 and not set(codes) & set(kept)
    assert all(len(code.replace("-", "")) * 5 == 120 for code in codes), "120 bits each"


def test_fresh_recovery_codes_take_the_place_of_the_old_ones(user: User) -> None:
    secret, _ = totp.begin(user.id)
    old = totp.enable(user.id, pyotp.TOTP(secret).at(clock.now()))
    assert old is not None
    fresh = totp.renew_codes(user.id)
    assert len(fresh) == 8 and not set(fresh) & set(old)
    assert not totp.use_recovery_code(user.id, old[0])
    assert totp.use_recovery_code(user.id, fresh[0])
    totp.disable(user.id)
    assert not totp.use_recovery_code(user.id, fresh[1])
    with pytest.raises(Conflict):
        totp.renew_codes(user.id)


def test_of_two_first_codes_at_once_one_puts_the_seed_in_force(user: User) -> None:
    secret, _ = totp.begin(user.id)
    generator = pyotp.TOTP(secret)
    at = clock.now() + timedelta(minutes=5)

    def first(code: str) -> list[str] | None:
        try:
            return totp.enable(user.id, code)
        except Conflict:
            return None

    with clock.frozen(at), ThreadPoolExecutor(2) as pool:
        both = [generator.at(at - timedelta(seconds=30)), generator.at(at)]
        [codes] = [made for made in pool.map(first, both) if made is not None]
    assert totp.codes_left(user.id) == 8
    assert totp.use_recovery_code(user.id, codes[0]), "those that were shown are in force"


def test_the_account_pauses_longer_each_time_for_wrong_codes_too(user: User) -> None:
    enrolled(user)
    start = clock.now() + timedelta(minutes=1)
    with clock.frozen(start):
        for _ in range(5):
            with pytest.raises(Unauthenticated):
                users.check_second_factor(user.id, "000000")
        with pytest.raises(Unauthenticated):
            users.check_password(user.email, PASSWORD, "192.0.2.1")
    pauses = []
    at = start
    for _ in range(8):
        until = users.get(user.id)[0].locked_until
        assert until is not None
        pauses.append(int((until - at).total_seconds()))
        at = until + timedelta(minutes=5)
        with clock.frozen(at), pytest.raises(Unauthenticated):
            users.check_second_factor(user.id, "000000")
    assert pauses == [30, 60, 120, 240, 480, 960, 1800, 1800]
    with clock.frozen(at + timedelta(minutes=30)):
        assert users.check_password(user.email, PASSWORD, "192.0.2.2").needs_otp
        users.note_sign_in(user.id)
    assert users.get(user.id)[0].failed_logins == 0


def test_refusing_somebody_takes_the_same_work_whoever_it_is(
    user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a statement more nor a hash less tells which addresses have an account."""
    gone = users.create(user.tenant_id, "gone@shop.test", "Gone", "admin", PASSWORD)
    paused = users.create(user.tenant_id, "paused@shop.test", "Paused", "admin", PASSWORD)
    with transaction() as db:
        db.get_one(User, gone.number).disabled_at = clock.now()
        db.get_one(User, paused.number).locked_until = clock.now() + timedelta(minutes=1)
    hashed: list[str] = []
    sent: list[str] = []
    verify = crypto.verify_password
    monkeypatch.setattr(crypto, "verify_password", lambda p, h: hashed.append(h) or verify(p, h))

    def watch(_c: object, _cur: object, statement: str, *_: object) -> None:
        sent.append(statement.split(maxsplit=1)[0])

    work = {}
    event.listen(Engine, "before_cursor_execute", watch)
    try:
        for number, email in enumerate((user.email, "nobody@shop.test", gone.email, paused.email)):
            before = len(told("user.sign_in_failed"))
            hashed.clear()
            sent.clear()
            with pytest.raises(Unauthenticated) as refused:
                users.check_password(email, "wrong wrong wrong", f"192.0.2.{number}")
            statements = [*sent]  # the journal's INSERT goes past SQLAlchemy
            statements += ["INSERT"] * (len(told("user.sign_in_failed")) - before)
            work[email] = (sorted(statements), len(hashed), refused.value.code, refused.value.message)
    finally:
        event.remove(Engine, "before_cursor_execute", watch)
    assert len({str(done) for done in work.values()}) == 1, work
    assert work[user.email][1] == 1
    costs = [hash_.split("$")[3] for hash_ in (users._NOBODY, user.password_hash)]
    assert costs[0] == costs[1], "the hash that stands for nobody costs as much"


def test_failures_are_told_with_whom_and_never_with_what_was_typed(user: User) -> None:
    with pytest.raises(Unauthenticated):
        users.check_password(user.email, "not the right secret", "192.0.2.1")
    [entry] = told("user.sign_in_failed")
    assert entry.entity_id == user.id
    assert "not the right secret" not in str(entry.data)


def test_people_change_their_own_password_and_stay_signed_in_here_alone(user: User) -> None:
    here, there = web_sessions.open_session(user.id), web_sessions.open_session(user.id)
    mine = web_sessions.load(here)
    assert mine is not None
    with pytest.raises(Unauthenticated):
        users.change_password(user.id, "wrong wrong wrong", "quite another passphrase", keep=mine.id)
    for bad in ("short", PASSWORD, "owner@shop.test", "Owner Test shop 1"):
        with pytest.raises(InvalidRequest):
            users.change_password(user.id, PASSWORD, bad, keep=mine.id)
    users.change_password(user.id, PASSWORD, "quite another one", keep=mine.id)
    assert web_sessions.load(here) is not None
    assert web_sessions.load(there) is None
    assert users.check_password(user.email, "quite another one", "192.0.2.1").user_id == user.id


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
    monkeypatch.setattr(crypto, "password_hash", inspect.unwrap(crypto.password_hash))  # not a remembered one
    monkeypatch.setattr(crypto, "password_needs_rehash", lambda _: True)
    users.check_password(user.email, PASSWORD, "192.0.2.1")
    found, _ = users.get(user.id)
    assert found.password_hash != user.password_hash
    assert found.tokens_valid_after is None
    assert web_sessions.load(token) is not None
    assert users.check_password(user.email, PASSWORD, "192.0.2.1").user_id == user.id
