"""Receipts as PDF files: what is on the page is in the file, and the same receipt gives the same bytes."""

from __future__ import annotations

import re
import zlib
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.providers.base import CartLine, CartSnapshot
from app.services.checkout import sessions
from app.services.checkout.drafts import SessionDraft
from tests import finalizations
from tests.shops import Shop

pytestmark = pytest.mark.usefixtures("holds")


def paid(shop: Shop, lines: list[CartLine]) -> Any:
    draft = SessionDraft("checkout", cart=CartSnapshot("GBP", tuple(lines)), hosted=True)
    session = sessions.create(shop.actor, draft)
    shop.pay(session)
    return session


def test_a_receipt_is_saved_as_a_file(client: FlaskClient, shop: Shop) -> None:
    session = paid(shop, [CartLine("line_1", "MUG", "Kübel – شاي", 2, 1500)])
    assert f"/pay/{session.hosted_id}/receipt.pdf" in client.get(f"/pay/{session.hosted_id}").get_data(True)
    led = client.get(f"/pay/{session.hosted_id}/receipt.pdf")
    issued = finalizations.receipts(session)[0]
    assert (led.status_code, led.location.endswith(f"/receipts/{issued.token}.pdf")) == (303, True)
    file = client.get(f"/receipts/{issued.token}.pdf")
    assert (file.status_code, file.mimetype) == (200, "application/pdf")
    assert file.headers["Content-Disposition"] == f"attachment; filename=receipt-{issued.public_number}.pdf"
    assert file.data.startswith(b"%PDF-")
    assert file.data == client.get(f"/receipts/{issued.token}.pdf").data
    assert f"/receipts/{issued.token}.pdf" in client.get(f"/receipts/{issued.token}").get_data(True)
    assert client.get(f"/receipts/{issued.id}.pdf").status_code == 404


def test_names_in_japanese_and_chinese_have_their_letters(
    client: FlaskClient, shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    lines = [
        CartLine("line_1", "MUG", "直火の茶碗 🎁", 1, 1500),
        CartLine("line_2", "TEA", "谢谢您的订单 ☕️", 1, 900),
    ]
    path = receipt_of(client, paid(shop, lines))
    for language, font in (("en", b"NotoSansSC"), ("ja", b"NotoSansJP"), ("zh", b"NotoSansSC")):
        file = client.get(f"{path}.pdf", headers={"Accept-Language": language})
        assert file.status_code == 200
        assert font in file.data
        assert len(file.data) < 100_000, "only the letters that are used"
        drawn = sizes(file.data)
        assert set(drawn[: drawn.index(10)]) == {12, 20} and set(drawn[drawn.index(10) :]) == {10}
    plain = client.get(f"{receipt_of(client, paid(shop, [CartLine('line_1', 'MUG', 'Mug', 1, 1500)]))}.pdf")
    assert b"DejaVu" in plain.data and b"NotoSans" not in plain.data
    assert "missing the following glyphs" not in caplog.text, "a box was drawn"


def test_what_no_typeface_can_write_is_read_on_the_page(client: FlaskClient, shop: Shop) -> None:
    path = receipt_of(client, paid(shop, [CartLine("line_1", "MUG", "머그잔", 1, 1500)]))
    led = client.get(f"{path}.pdf")
    assert (led.status_code, led.location) == (303, path)
    assert "머그잔" in client.get(path).text


def sizes(file: bytes) -> list[float]:
    """Of each piece of text on the first page, how large it is drawn, whatever came before it."""
    streams = re.findall(rb"stream\r?\n(.*?)\r?\nendstream", file, re.DOTALL)
    page = next(found for raw in streams if b" Tf" in (found := zlib.decompress(raw)))
    page = re.sub(rb"\((?:\\.|[^\\()])*\)", b"()", page, flags=re.DOTALL)  # what is written
    size, kept, drawn = 0.0, [], []
    for mark in re.finditer(rb"\bq\b|\bQ\b|/F\d+ ([\d.]+) Tf|\bTd\b", page):
        if mark.group() == b"q":
            kept.append(size)
        elif mark.group() == b"Q":
            size = kept.pop()
        elif mark.group(1):
            size = float(mark.group(1))
        if mark.group() == b"Td" or (mark.group(1) and page[mark.end() : mark.end() + 3] == b" ()"):
            drawn.append(size)
    return drawn


def receipt_of(client: FlaskClient, session: Any) -> str:
    """The path of a paid session's receipt."""
    client.get(f"/pay/{session.hosted_id}/receipt")
    return f"/receipts/{finalizations.receipts(session)[0].token}"


def test_a_long_one_has_more_pages(client: FlaskClient, shop: Shop) -> None:
    lines = [CartLine(f"line_{n}", "TEA", f"Tea number {n}", 1, 100) for n in range(120)]
    session = paid(shop, lines)
    file = client.get(f"{receipt_of(client, session)}.pdf").data
    assert file.count(b"/Type /Page\n") == 4
