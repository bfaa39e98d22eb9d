"""`capture_mode` and `capture_method` say the same, or the call is refused (OP-24)."""

from __future__ import annotations

import pytest

from app.domain.errors import Unprocessable
from app.domain.rules import card_options


@pytest.mark.parametrize(
    ("mode", "options", "agreed"),
    [
        (None, {}, None),
        (None, {"card": {}}, None),
        ("auto", {}, "auto"),
        (None, {"card": {"capture_method": "automatic"}}, "auto"),
        (None, {"card": {"capture_method": "manual"}}, "manual"),
        ("manual", {"card": {"capture_method": "manual"}}, "manual"),
        ("auto", {"card": {"request_three_d_secure": "any"}}, "auto"),
    ],
)
def test_what_they_agree_on(mode: str | None, options: dict[str, object], agreed: str | None) -> None:
    assert card_options.capture_mode(mode, options) == agreed


@pytest.mark.parametrize(("mode", "method"), [("auto", "manual"), ("manual", "automatic")])
def test_a_contradiction_is_refused(mode: str, method: str) -> None:
    with pytest.raises(Unprocessable) as refused:
        card_options.capture_mode(mode, {"card": {"capture_method": method}})
    assert (refused.value.code, refused.value.field) == ("capture_mode_conflict", "capture_mode")


def test_three_d_secure_is_asked_for_by_any() -> None:
    assert card_options.wants_three_ds({"card": {"request_three_d_secure": "any"}})
    assert not card_options.wants_three_ds({"card": {"request_three_d_secure": "automatic"}})
    assert not card_options.wants_three_ds({})
