"""Column shapes used by several aggregates."""

from __future__ import annotations

from typing import Annotated

from sqlalchemy import String
from sqlalchemy.orm import mapped_column

from app.db import UtcDateTime

#: A prefixed, time-ordered id (`chk_…`), the primary key of nearly every table.
PrimaryId = Annotated[str, mapped_column(String(40), primary_key=True)]
#: A reference to another row's prefixed id.
Ref = Annotated[str, mapped_column(String(40))]
#: ISO 4217.
CurrencyCode = Annotated[str, mapped_column(String(3))]

__all__ = ["CurrencyCode", "PrimaryId", "Ref", "UtcDateTime"]
