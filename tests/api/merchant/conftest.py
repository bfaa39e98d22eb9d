"""What tests of the merchant surface share."""

from __future__ import annotations

import pytest

from app.web import rate_limits


@pytest.fixture
def unlimited(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the strict limits, which test_merchant_limits.py is about."""
    monkeypatch.setattr(rate_limits, "strict", lambda *_: None)
