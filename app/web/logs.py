"""Structured logs: JSON lines with fields from an allow-list, so that no secret can slip in (security.md)."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any

import structlog

#: Up to what SQLAlchemy or Python writes next: a row's texts may have lines of their own.
_DETAIL = re.compile(r"DETAIL:.*?(?=\n(?:\[SQL: |\nThe above exception |\nDuring handling )|\Z)", re.DOTALL)

#: Nothing else is ever written.
FIELDS = frozenset(
    {
        "event",
        "level",
        "timestamp",
        "logger",
        "request_id",
        "method",
        "route",
        "status",
        "duration_ms",
        "tenant_id",
        "address",
        "operation",
        "entity_id",
        "delivery_id",
        "job_id",
        "job",
        "name",
        "exception",
        "problem",
        "threads",
        "url",
    }
)


def _allowed(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    return {name: value for name, value in event.items() if name in FIELDS}


def _without_rows(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """PostgreSQL quotes the row that it refuses, which may hold somebody's name."""
    if "exception" in event:
        event["exception"] = _DETAIL.sub("DETAIL: …", str(event["exception"]))
    return event


def configure(level: str) -> None:
    """Write JSON lines to standard error."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            _without_rows,
            _allowed,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
