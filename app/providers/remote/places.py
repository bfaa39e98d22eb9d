"""Tax rates and ways of delivery of a merchant's own systems."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.domain.rules import providers
from app.providers.base import CartLine, Scope, ShippingOption, TaxRateQuote
from app.providers.remote.questions import ask
from app.providers.remote.reading import distinct, items, percent, text, understood, whole

MAX_OPTIONS = 100
MAX_DAYS = 365


class HttpTaxes:
    """Tax rates behind a URL."""

    remote = True

    def __init__(self, url: str) -> None:
        self._url = url

    def rate(
        self,
        scope: Scope,
        address: Mapping[str, Any] | None,
        *,
        currency: str = "",
        lines: Sequence[CartLine] = (),
    ) -> TaxRateQuote:
        """See `Taxes.rate`."""
        asked = {"address": address, "currency": currency, "lines": [line.as_dict() for line in lines]}
        answer = ask(scope, providers.TAX, self._url, "rate", asked)
        return understood(providers.TAX, answer, _rate)


class HttpShipping:
    """Ways of delivery behind a URL."""

    remote = True

    def __init__(self, url: str) -> None:
        self._url = url

    def options(
        self,
        scope: Scope,
        currency: str,
        address: Mapping[str, Any] | None,
        *,
        lines: Sequence[CartLine] = (),
    ) -> list[ShippingOption]:
        """See `Shipping.options`."""
        asked = {"address": address, "currency": currency, "lines": [line.as_dict() for line in lines]}
        answer = ask(scope, providers.SHIPPING, self._url, "options", asked)
        found = understood(providers.SHIPPING, answer, lambda said: _options(said, currency))
        return sorted(found, key=lambda option: (option.cost, option.shipping_option_id))


def _rate(said: Mapping[str, Any]) -> TaxRateQuote:
    return TaxRateQuote(text(said["name"], 100), percent(said["percent"]))


def _options(said: Mapping[str, Any], currency: str) -> list[ShippingOption]:
    if said["currency"] != currency:
        raise ValueError("another currency")
    options = [_option(item) for item in items(said["options"], MAX_OPTIONS)]
    distinct([option.shipping_option_id for option in options])
    return options


def _option(item: Mapping[str, Any]) -> ShippingOption:
    soonest = whole(item["days_min"], 0, MAX_DAYS)
    return ShippingOption(
        text(item["shipping_option_id"], 64),
        text(item["label"]),
        text(item["carrier"], 64),
        text(item["service_code"], 64),
        whole(item["cost"]),
        soonest,
        whole(item["days_max"], soonest, MAX_DAYS),
    )
