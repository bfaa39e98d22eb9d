"""A NUL character in an address or a form is in no text that we keep: refused, never an error of ours."""

from __future__ import annotations

import re

import pytest
from flask.testing import FlaskClient

from tests.shops import Shop


@pytest.mark.parametrize(
    "path",
    [
        "/v1/payments/audit?actor=%00",
        "/v1/payments/audit?action=a%00.*",
        "/v1/payments/audit?cursor=%00",
        "/v1/payments/fraud/decisions/%00",
        "/v1/payments/intents/pi_%00",
        "/v1/payments/methods?customer_id=%00",
        "/v1/checkout/sessions/chk_%00",
        "/api/v1/links/%00",
        "/pay/%00",
        "/l/%00",
        "/v1/%00/payments/settings",
    ],
)
def test_nul_in_an_address(client: FlaskClient, shop: Shop, path: str) -> None:
    assert client.get(path, headers=shop.bearer).status_code == 400


def test_nul_in_a_form(client: FlaskClient, shop: Shop) -> None:
    for field in ("email", "password"):
        fields = {"email": "a@shop.test", "password": "x", field: "\x00"}
        page = client.get("/dashboard/sign-in").text
        found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)
        assert found is not None
        answer = client.post("/dashboard/sign-in", data=fields | {"csrf_token": found[1]})
        assert answer.status_code == 400


def test_a_form_sent_to_the_api_is_still_no_json(client: FlaskClient, shop: Shop) -> None:
    answer = client.post("/v1/payments/roles", data={"name": "x"}, headers=shop.bearer)
    assert answer.status_code == 415
