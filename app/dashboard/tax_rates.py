"""Tax rates: list, set, change, take away."""

from __future__ import annotations

from werkzeug.wrappers import Response as AnyResponse

from app.dashboard.catalogue import WRITE, Part
from app.dashboard.shell import actor
from app.dashboard.typed import percent, shown_percent, words
from app.models.catalogue.tax import TaxRate
from app.services.checkout.catalogue import tax_rates
from app.services.checkout.catalogue.tax_rates import TaxDraft


def _draft() -> TaxDraft:
    return TaxDraft(words("name"), percent("percent"), words("country"), words("region"))


def _create() -> tuple[str, str]:
    made = tax_rates.create(actor(), _draft())
    return made.id, "New checkouts are taxed by it"


def _update(row: TaxRate) -> None:
    tax_rates.update(actor(), row.id, _draft())


def _held(row: TaxRate) -> dict[str, str]:
    shown = shown_percent(row.percent)
    return {"name": row.name, "country": row.country, "region": row.region, "percent": shown}


_part = Part(
    "tax_rates",
    "tax",
    "rate_id",
    service=tax_rates,
    provider="tax",
    create=_create,
    update=_update,
    held=_held,
)
blueprint = _part.blueprint


def remove(mode: str, rate_id: str) -> AnyResponse:
    """Take one away."""
    tax_rates.remove(actor(), rate_id)
    return _part.back(mode, "The rate was removed")


_part.route("/<rate_id>/remove", "POST", WRITE, remove)
