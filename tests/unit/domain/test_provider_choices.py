"""Which systems a merchant may choose, and where they may be."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.errors import InvalidRequest
from app.domain.rules import providers


def at(url: Any) -> dict[str, Any]:
    return {"tax": {"kind": "http", "url": url}}


@pytest.mark.parametrize(
    "chosen",
    [
        {},
        {"tax": {"kind": "builtin"}},
        at("https://tax.example.com"),
        at("https://tax.example.com:8443/till/tax"),
        at("https://[2606:4700:4700::1111]/tax"),
        {name: {"kind": "builtin"} for name in providers.NAMES},
    ],
)
def test_good_choices(chosen: Any) -> None:
    providers.check(chosen, secure=True, allow_loopback=False)


@pytest.mark.parametrize(
    ("chosen", "field"),
    [
        (None, "providers"),
        ([], "providers"),
        ({"weather": {"kind": "builtin"}}, "providers.weather"),
        ({"tax": None}, "providers.tax.kind"),
        ({"tax": {}}, "providers.tax.kind"),
        ({"tax": {"kind": "grpc"}}, "providers.tax.kind"),
        ({"tax": {"kind": ["http"]}}, "providers.tax.kind"),
        ({"tax": {"kind": "builtin", "url": "https://tax.example.com"}}, "providers.tax.url"),
        ({"tax": {"kind": "http", "url": "https://tax.example.com", "secret": "s"}}, "providers.tax.secret"),
        *(
            (at(url), "providers.tax.url")
            for url in (
                None,
                7,
                "",
                "tax.example.com",
                "ftp://tax.example.com",
                "http://tax.example.com",
                "https://user:word@tax.example.com",
                "https://tax.example.com/\\evil",
                "https://tax.example.com/a b",
                "https://tax.example.com/?a=b",
                "https://tax.example.com/#a",
                "https://täx.example.com/",
                "https://tax.example.com/" + "a" * 500,
                "https://127.0.0.1/",
                "https://10.0.0.1/",
                "https://169.254.169.254/latest",
                "https://[::1]/",
                "https://localhost/",
                "https://tax.localhost./",
            )
        ),
    ],
)
def test_bad_choices_are_named(chosen: Any, field: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        providers.check(chosen, secure=True, allow_loopback=False)
    assert (refused.value.code, refused.value.field) == ("invalid_setting", field)


def test_a_developer_may_use_this_machine() -> None:
    for url in ("http://127.0.0.1:9000/tax", "http://localhost:9000"):
        providers.check(at(url), secure=False, allow_loopback=True)


def test_what_is_not_chosen_is_built_in() -> None:
    chosen = {"providers": {"tax": {"kind": "http", "url": "https://t"}, "carts": {"kind": "builtin"}}}
    assert [providers.url_of(chosen, name) for name in ("tax", "carts", "pricing")] == [
        "https://t",
        None,
        None,
    ]
    assert providers.url_of({}, "tax") is None
