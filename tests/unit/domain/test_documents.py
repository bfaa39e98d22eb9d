"""Documents are what their first bytes say, and their names lead nowhere."""

from __future__ import annotations

import pytest

from app.domain.rules import documents


@pytest.mark.parametrize(
    ("content", "content_type", "fits"),
    [
        (b"%PDF-1.4", "application/pdf", True),
        (b" %PDF-1.4", "application/pdf", False),
        (b"\x89PNG\r\n\x1a\n", "image/png", True),
        (b"\x89PNG\n", "image/png", False),
        (b"\xff\xd8\xff\xe0", "image/jpeg", True),
        (b"GIF89a", "image/jpeg", False),
        ("Grüße\n\tzwei".encode(), "text/plain", True),
        (b"\xff\xfeh\x00", "text/plain", False),
        (b"a\x00b", "text/plain", False),
        (b"%PDF-1.4", "text/plain", False),
        (b"<html>", "text/html", False),
        (b"<svg/>", "image/svg+xml", False),
    ],
)
def test_bytes_and_type_agree(content: bytes, content_type: str, fits: bool) -> None:
    assert documents.is_a(content, content_type) is fits


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("receipt.pdf", "receipt.pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\a\\b.png", "b.png"),
        ('a"\r\nX: y.pdf', "a_X_ y.pdf"),
        ("", "document"),
        ("...", "document"),
        ("ü" * 200 + ".pdf", "ü" * 116 + ".pdf"),
    ],
)
def test_a_name_is_made_safe(given: str, kept: str) -> None:
    assert documents.safe_name(given) == kept
