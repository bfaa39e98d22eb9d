"""Secrets: what is encrypted is bound to its place, keys carry a checksum, passwords cost what was agreed."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.kit import crypto

OLD, NEW = b"o" * 32, b"n" * 32
RING = crypto.KeyRing({"k1": OLD})
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


@given(TEXTS, TEXTS, TEXTS)
def test_what_is_encrypted_is_read_in_its_own_place_only(secret: str, place: str, other: str) -> None:
    sealed = RING.encrypt(secret, place)
    assert sealed.startswith("v1:k1:")
    assert RING.decrypt(sealed, place) == secret
    if other != place:
        with pytest.raises(crypto.DecryptionError):
            RING.decrypt(sealed, other)


def test_keys_rotate_while_old_texts_stay_readable() -> None:
    sealed = RING.encrypt("secret", "t1/whk_1/secret")
    both = crypto.KeyRing({"k2": NEW, "k1": OLD})
    assert both.decrypt(sealed, "t1/whk_1/secret") == "secret"
    assert both.needs_rotation(sealed)
    renewed = both.encrypt("secret", "t1/whk_1/secret")
    assert not both.needs_rotation(renewed)
    with pytest.raises(crypto.DecryptionError):
        RING.decrypt(renewed, "t1/whk_1/secret")


def test_altered_texts_are_refused() -> None:
    sealed = RING.encrypt("secret", "place")
    for bad in (
        "",
        "v1",
        "v1:k1:",
        "v1:k1:AAAA",
        "v2" + sealed[2:],
        sealed[:-4] + "AAA=",
        sealed + "=",
        "v1:k1:é",
    ):
        with pytest.raises(crypto.DecryptionError):
            RING.decrypt(bad, "place")
    assert RING.encrypt("secret", "place") != sealed, "a nonce is never used twice"


def test_passwords_are_argon2id_of_the_agreed_cost() -> None:
    hashed = crypto.password_hash("a good long passphrase")
    assert hashed.startswith("$argon2id$v=19$m=47104,t=1,p=1$")
    assert crypto.verify_password("a good long passphrase", hashed)
    assert not crypto.verify_password("a good long passphrasE", hashed)
    assert not crypto.verify_password("a good long passphrase", "not a hash")
    assert not crypto.password_needs_rehash(hashed)
    assert crypto.password_needs_rehash(hashed.replace("t=1", "t=2"))


@pytest.mark.parametrize("kind", ["sk", "pk"])
@pytest.mark.parametrize("mode", ["test", "live"])
def test_api_keys_carry_a_checksum(kind: str, mode: str) -> None:
    key = crypto.new_api_key(kind, mode)
    assert re.fullmatch(rf"{kind}_{mode}_[0-9A-Za-z]{{49}}", key)
    assert crypto.looks_like_api_key(key)
    swapped = key[:-1] + ("a" if key[-1] != "a" else "b")
    assert not crypto.looks_like_api_key(swapped)


@given(st.integers(8, 56), st.sampled_from(crypto.BASE62 + "é "))
def test_a_mistyped_key_is_seen_without_a_look_up(place: int, typed: str) -> None:
    key = crypto.new_api_key("sk", "test")
    assert crypto.looks_like_api_key(key[:place] + typed + key[place + 1 :]) == (typed == key[place])


@pytest.mark.parametrize(
    "text", ["", "sk", "sk_test_", "sk_prod_" + "a" * 49, "rk_test_" + "a" * 49, "Bearer x"]
)
def test_other_texts_are_no_keys(text: str) -> None:
    assert not crypto.looks_like_api_key(text)


def test_keyed_hashes_need_the_pepper() -> None:
    assert crypto.keyed_hash("token", b"pepper") == crypto.keyed_hash("token", b"pepper")
    assert crypto.keyed_hash("token", b"pepper") != crypto.keyed_hash("token", b"other")
    assert re.fullmatch("[0-9a-f]{64}", crypto.keyed_hash("token", b"pepper"))
