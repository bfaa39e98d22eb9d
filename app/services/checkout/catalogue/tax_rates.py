"""Tax rates by place: a region's before its country's, and the merchant's own before ours (OP-70)."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy.exc import IntegrityError

from app.db import reading, transaction
from app.domain.actor import Actor
from app.domain.countries import is_country
from app.domain.errors import Conflict, InvalidRequest
from app.kit.ids import new_id
from app.kit.pagination import DEFAULT_LIMIT, Page
from app.models.catalogue.tax import TaxRate
from app.services.checkout.catalogue import rows
from app.services.operations.paging import newest_first

#: What the column of the percentages holds.
_STEP = Decimal("0.0001")


@dataclass(frozen=True, slots=True)
class TaxDraft:
    """A rate and where it holds; without a country it holds wherever no other does."""

    name: str
    percent: Decimal
    country: str = ""
    region: str = ""


def create(actor: Actor, draft: TaxDraft) -> TaxRate:
    """Set the rate of a place.

    Raises:
        InvalidRequest: naming the field that cannot be.
        Conflict: the place has a rate.
    """
    rate = TaxRate(id=new_id("tax"), **_checked(draft), **rows.owned(actor))
    try:
        with transaction(actor) as db:
            rows.add(db, rate, "tax_rate.created", _facts)
    except IntegrityError as error:
        raise _taken() from error
    return rate


def update(actor: Actor, rate_id: str, draft: TaxDraft) -> TaxRate:
    """Change a rate; what was quoted stands until its checkout is priced again.

    Raises:
        NotFound, InvalidRequest, Conflict: see `get` and `create`.
    """
    changes = _checked(draft)
    try:
        with transaction(actor) as db:
            rate = rows.find(db, actor, TaxRate, rate_id, lock=True)
            return rows.change(db, rate, changes, "tax_rate.updated", _facts)
    except IntegrityError as error:
        raise _taken() from error


def remove(actor: Actor, rate_id: str) -> None:
    """Take a rate away; the place has its country's from now on, or the merchant's own.

    Raises:
        NotFound: see `get`.
    """
    with transaction(actor) as db:
        rate = rows.find(db, actor, TaxRate, rate_id, lock=True)
        rows.note(db, rate, "tax_rate.removed", {}, _facts(rate))
        db.delete(rate)


def get(actor: Actor, rate_id: str) -> TaxRate:
    """One rate of this merchant and mode.

    Raises:
        NotFound: there is none, or it is another merchant's.
    """
    with reading() as db:
        return rows.find(db, actor, TaxRate, rate_id)


def list_page(actor: Actor, *, limit: int = DEFAULT_LIMIT, cursor: str | None = None) -> Page[TaxRate]:
    """Rates, newest first."""
    return newest_first(rows.mine(TaxRate, actor), TaxRate.id, limit=limit, cursor=cursor)


def _checked(draft: TaxDraft) -> dict[str, Any]:
    country, region = draft.country.strip().upper(), draft.region.strip()
    if country and not is_country(country):
        raise InvalidRequest("Enter a country's two letters, like GB", field="country")
    if region and not country:
        raise InvalidRequest("A region is in a country: enter that, too", field="country")
    if len(region) > 40:
        raise InvalidRequest("Use at most 40 characters", field="region")
    if not 0 <= draft.percent <= 100 or draft.percent % _STEP:
        raise InvalidRequest("Enter a percentage from 0 to 100, like 8.25", field="percent")
    name = rows.check_words(draft.name, "name", "a name, like VAT", 40)
    return {"name": name, "country": country, "region": region, "percent": draft.percent}


def _taken() -> Conflict:
    return Conflict("This place has a rate already: change that one", code="tax_rate_exists", field="country")


def _facts(rate: TaxRate) -> dict[str, Any]:
    return {
        "id": rate.id,
        "name": rate.name,
        "country": rate.country,
        "region": rate.region,
        "percent": f"{Decimal(rate.percent).normalize():f}",
    }
