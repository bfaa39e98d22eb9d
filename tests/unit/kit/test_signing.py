"""Signatures: other people's verifiers accept ours, and ours refuses what is forged, old or mistyped."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import stripe
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from app.kit import signing

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEY = b"k" * 32
BODY = '{"id":"evt_1","name":"Zoë"}'.encode()


def test_standard_webhooks_verifies_ours_with_either_secret() -> None:
    old, new = signing.generate_webhook_secret(), signing.generate_webhook_secret()
    headers = signing.webhook_headers("evt_1", BODY, [new, old], datetime.now(UTC))
    for secret in (old, new):
        assert Webhook(secret).verify(BODY, headers) == {"id": "evt_1", "name": "Zoë"}
    with pytest.raises(WebhookVerificationError):
        Webhook(signing.generate_webhook_secret()).verify(BODY, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(new).verify(BODY + b" ", headers)


@pytest.mark.parametrize("secret", ["a secret of the merchant's own", "whsec_not base64!", "whsec_QUJD"])
def test_stripes_verifier_accepts_ours(secret: str) -> None:
    headers = signing.webhook_headers("evt_1", BODY, [secret, "another secret"], datetime.now(UTC))
    assert headers["Stripe-Signature"] == headers["Till-Signature"]
    verify = stripe.WebhookSignature.verify_header
    assert verify(BODY.decode(), headers["Stripe-Signature"], secret, tolerance=300)
    with pytest.raises(stripe.SignatureVerificationError):
        verify(BODY.decode() + " ", headers["Stripe-Signature"], secret, tolerance=300)


def test_a_secret_without_whsec_is_used_as_its_bytes() -> None:
    secret = "0123456789abcdef"
    headers = signing.webhook_headers("evt_1", BODY, [secret], datetime.now(UTC))
    assert Webhook(secret.encode()).verify(BODY, headers)


@given(st.binary(max_size=80), st.text(min_size=1), st.text(min_size=1))
def test_what_is_signed_verifies_with_its_secret_alone(body: bytes, secret: str, other: str) -> None:
    secret, other = secret.encode("utf-8", "replace").decode(), other.encode("utf-8", "replace").decode()
    header = signing.timestamped_signature(body, [secret], AT)
    assert signing.verify_timestamped(header, body, [other, secret], AT)
    assert signing.verify_timestamped(header, body, [other], AT) == (other == secret)
    assert not signing.verify_timestamped(header, body + b".", [secret], AT)


@pytest.mark.parametrize(
    ("seconds", "good"), [(0, True), (300, True), (-300, True), (301, False), (-301, False)]
)
def test_a_signature_is_good_for_five_minutes(seconds: int, good: bool) -> None:
    header = signing.timestamped_signature(BODY, ["s"], AT)
    assert signing.verify_timestamped(header, BODY, ["s"], AT + timedelta(seconds=seconds)) is good


def test_headers_that_are_not_quite_one_are_refused() -> None:
    good = signing.timestamped_signature(BODY, ["s"], AT)
    stamp, mac = good.split(",")
    for bad in (
        "",
        "t=",
        stamp,
        mac,
        f"{stamp},v0{mac[2:]}",
        f"{stamp},{stamp},{mac}",
        f"t=-1,{mac}",
        f"t=1e9,{mac}",
        f"t={'9' * 400},{mac}",
        f"t=²,{mac}",
        f"{stamp},v1=",
        f"{stamp},v1=é",
        f"{good}0",
    ):
        assert not signing.verify_timestamped(bad, BODY, ["s"], AT), bad
    assert signing.verify_timestamped(f"{stamp}, v1=00, {mac}", BODY, ["s"], AT)
    assert not signing.verify_timestamped(good, BODY, [], AT)


def test_tokens_say_the_same_for_the_same_claims() -> None:
    claims = {"sid": "chk_1", "exp": int(AT.timestamp()) + 60}
    token = signing.sign_token("pub", claims, KEY)
    assert token == signing.sign_token("pub", dict(reversed(claims.items())), KEY)
    assert signing.read_token("pub", token, KEY, AT) == claims


def test_tokens_end_and_belong_to_their_kind_and_key() -> None:
    token = signing.sign_token("pub", {"sid": "chk_1", "exp": int(AT.timestamp()) + 60}, KEY)
    assert signing.read_token("pub", token, KEY, AT + timedelta(seconds=60)) is None
    assert signing.read_token("embed", token, KEY, AT) is None
    assert signing.read_token("pub", token, b"x" * 32, AT) is None
    assert signing.read_token("pub", signing.sign_token("pub", {"sid": "chk_1"}, KEY), KEY, AT) is None


@given(st.data())
def test_a_token_with_one_character_changed_is_refused(data: st.DataObject) -> None:
    token = signing.sign_token("pub", {"sid": "chk_1", "exp": int(AT.timestamp()) + 60}, KEY)
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.characters().filter(lambda char: char != token[place]))
    assert signing.read_token("pub", token[:place] + other + token[place + 1 :], KEY, AT) is None
