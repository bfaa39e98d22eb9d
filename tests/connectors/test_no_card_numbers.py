"""No card number reaches the database: not a listed one, not a refused one, in no table and no file."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import MetaData, select

from app import db
from app.connectors import base
from app.connectors.sandbox.cards import CARDS
from app.domain.errors import DomainError
from tests.connectors.conftest import Caller
from tests.shops import Shop

#: Real networks' shapes that are no test cards; the last one fails Luhn.
REFUSED = ["4111111111111111", "5105105105105100", "6011111111111117", "4242424242424241"]
NUMBERS = [*{card.number for card in CARDS}, *REFUSED]
SECURITY_CODE = "8317"


def everything_stored() -> str:
    """Each value of each table, as text."""
    tables = MetaData()
    tables.reflect(db.engine())
    assert "sandbox_tokens" in tables.tables
    with db.reading() as session:
        rows = [row for table in tables.sorted_tables for row in session.execute(select(table))]
    return "\n".join(str(tuple(row)) for row in rows)


def assert_nowhere(folder: Path) -> None:
    """No number in a table, nor in any file of the database (free pages and the WAL with them)."""
    stored = everything_stored()
    files = [path for path in folder.rglob("*") if path.is_file()]
    raw = b"".join(path.read_bytes() for path in files)
    for number in NUMBERS:
        spaced = " ".join(number[i : i + 4] for i in range(0, len(number), 4))
        for form in (number, spaced):
            assert form not in stored, f"…{number[-4:]} is in a table"
            assert form.encode() not in raw, f"…{number[-4:]} is in a file"


def test_the_scan_finds_what_is_there(sandbox: Caller, tmp_path: Path) -> None:
    """The proof of the proof: a number that is put into the database is found."""
    number = CARDS[0].number
    sandbox.authorize(sandbox.card(number), "authorize_" + number)
    with pytest.raises(AssertionError, match="4242 is in a"):
        assert_nowhere(tmp_path)


def test_the_sandbox_keeps_none(sandbox: Caller, tmp_path: Path) -> None:
    for number in NUMBERS:
        try:
            token = sandbox.card(number)
        except base.TokenRefused:
            continue
        answer = sandbox.authorize(token)
        if isinstance(answer, base.Approved):
            sandbox.capture(answer.reference)
            sandbox.refund(answer.reference, 100)
    assert "4242" in everything_stored()
    assert_nowhere(tmp_path)


def test_a_shop_keeps_none_and_logs_none(
    shop: Shop, tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    told = []
    for turn, number in enumerate([CARDS[0].number, "4000000000009995", "4000009990000021", *REFUSED]):
        try:
            shop.pay(shop.session(), number, f"nonce-{turn}")
        except DomainError as refused:
            told.append(f"{refused} {refused.explain}")
    assert len(told) == len(REFUSED)
    assert_nowhere(tmp_path)
    shown = "".join([*told, *capfd.readouterr(), caplog.text])
    assert all(number not in shown for number in NUMBERS)


def test_details_never_show_themselves() -> None:
    details = base.CardDetails(CARDS[0].number, 12, 2030, SECURITY_CODE)
    for text in (repr(details), str(details), f"{details}", repr([details]), repr({"card": details})):
        assert CARDS[0].number not in text
        assert SECURITY_CODE not in text
