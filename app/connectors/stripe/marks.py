"""What we write into the metadata of everything that we make at Stripe, and how it is found again by it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from app.connectors.base import ConnectorContext
from app.connectors.stripe.api import Api, Json
from app.kit import clock
from app.kit.ids import time_of

#: Our idempotency key; the merchant and mode that it belongs to; of a refund also its payment's key.
KEY, TENANT, MODE, PAYMENT_KEY = "till_key", "till_tenant", "till_mode", "till_payment_key"
#: Marks a PaymentIntent that Stripe's Checkout makes for us.
CHECKOUT = "till_checkout"

#: So long after its key was made a payment may still be asked for; with the calls that are made again where
#: Stripe was busy, the last one has ended twice as long after it.
LATEST = timedelta(seconds=90)
#: Stripe is done with a call by then: it allows itself 80 seconds.
SETTLED_SECONDS = 300
#: How far the clocks of Stripe and ourselves may differ.
SKEW = timedelta(seconds=60)
#: More pages than this are not read (5,000 objects in five minutes): the answer is then "unknown".
MAX_PAGES = 50

_MAX_MERCHANT_KEYS = 40


class TooMany(Exception):
    """More objects than are read: what we look for may be among the rest."""


def write(context: ConnectorContext, key: str, **more: str) -> dict[str, str]:
    """The metadata of something that is made under `key`."""
    return {KEY: key, TENANT: context.tenant_id, MODE: context.mode, **more}


def merchants(metadata: Mapping[str, str]) -> dict[str, str]:
    """The merchant's own metadata, within Stripe's limits and without our names."""
    fitting = {name: str(value)[:500] for name, value in metadata.items() if len(name) <= 40}
    ours = {name: value for name, value in fitting.items() if not name.startswith("till_")}
    return dict(list(ours.items())[:_MAX_MERCHANT_KEYS])


def mine(context: ConnectorContext, found: Json) -> bool:
    """Whether an object was made for this merchant and mode."""
    metadata = found.get("metadata") or {}
    return bool(metadata.get(TENANT) == context.tenant_id and metadata.get(MODE) == context.mode)


def is_late(key: str) -> bool:
    """Whether a payment may not be asked for any more, since it would not be found where we look for it.

    By the machine's clock, which the ids are made by.
    """
    asked = time_of(key)
    return asked is not None and datetime.now(UTC) > asked + LATEST


def is_settled(key: str) -> bool:
    """Whether the call under a key can no longer be on its way. A key that we cannot have made never was."""
    asked = time_of(key)
    return asked is None or clock.now() > asked + timedelta(seconds=SETTLED_SECONDS)


def made_near(api: Api, context: ConnectorContext, path: str, key: str) -> Json | None:
    """The object of a list that was made under `key`, around the time that the key names.

    Lists are consistent with what was written; Stripe's search is not, by up to an hour.

    Raises:
        TooMany: it may be among those that were not read.
    """
    asked = time_of(key)
    if asked is None:
        return None
    window = {"gte": _seconds(asked - SKEW), "lte": _seconds(asked + 2 * LATEST + SKEW)}
    return pick(context, key, api, path, created=window)


def pick(context: ConnectorContext, key: str, api: Api, path: str, **filters: Any) -> Json | None:
    """The object of a filtered list that was made under `key`; raises as `made_near`."""
    for number, page in enumerate(api.pages(path, **filters)):
        if number == MAX_PAGES:
            raise TooMany(path)
        for found in page:
            if (found.get("metadata") or {}).get(KEY) == key and mine(context, found):
                return found
    return None


def _seconds(at: datetime) -> int:
    return int(at.astimezone(UTC).timestamp())
