"""Attempts (charges): what is known of one try at a gateway (reliability.md)."""

from __future__ import annotations

from enum import StrEnum

from app.domain.lifecycles.base import Edge, Lifecycle


class Status(StrEnum):
    """Where one try stands."""

    CREATED = "created"
    SUBMITTED = "submitted"
    ACTION_REQUIRED = "action_required"
    UNKNOWN = "unknown"
    AUTHORIZED = "authorized"
    CAPTURE_SUBMITTED = "capture_submitted"
    CAPTURE_UNKNOWN = "capture_unknown"
    CAPTURED = "captured"
    VOID_SUBMITTED = "void_submitted"
    VOID_UNKNOWN = "void_unknown"
    VOIDED = "voided"
    DECLINED = "declined"
    NOT_FOUND = "not_found"
    AUTH_EXPIRED = "auth_expired"


class Trigger(StrEnum):
    """What happens to an attempt."""

    CREATED = "created"
    SUBMITTED = "submitted"
    CHALLENGED = "challenged"
    RETURNED = "returned"
    AUTHORIZED = "authorized"
    CAPTURED = "captured"
    DECLINED = "declined"
    LOST = "lost"
    NOT_FOUND = "not_found"
    CAPTURE_SUBMITTED = "capture_submitted"
    CAPTURE_REFUSED = "capture_refused"
    VOID_SUBMITTED = "void_submitted"
    VOIDED = "voided"
    EXPIRED = "expired"


_S, _T = Status, Trigger

#: Over, and holding no money; matches the partial unique index of the table.
DEAD = frozenset({_S.DECLINED, _S.NOT_FOUND, _S.VOIDED, _S.AUTH_EXPIRED})

LIFECYCLE = Lifecycle(
    "attempt",
    (
        Edge(None, _T.CREATED, _S.CREATED),
        Edge(_S.CREATED, _T.SUBMITTED, _S.SUBMITTED),
        Edge(_S.SUBMITTED, _T.CHALLENGED, _S.ACTION_REQUIRED),
        Edge(_S.SUBMITTED, _T.AUTHORIZED, _S.AUTHORIZED),
        Edge(_S.SUBMITTED, _T.CAPTURED, _S.CAPTURED),
        Edge(_S.SUBMITTED, _T.DECLINED, _S.DECLINED),
        Edge(_S.SUBMITTED, _T.LOST, _S.UNKNOWN),
        Edge(_S.ACTION_REQUIRED, _T.RETURNED, _S.SUBMITTED),
        Edge(_S.ACTION_REQUIRED, _T.DECLINED, _S.DECLINED),
        Edge(_S.UNKNOWN, _T.CHALLENGED, _S.ACTION_REQUIRED),
        Edge(_S.UNKNOWN, _T.AUTHORIZED, _S.AUTHORIZED),
        Edge(_S.UNKNOWN, _T.CAPTURED, _S.CAPTURED),
        Edge(_S.UNKNOWN, _T.DECLINED, _S.DECLINED),
        Edge(_S.UNKNOWN, _T.NOT_FOUND, _S.NOT_FOUND),
        Edge(_S.UNKNOWN, _T.VOIDED, _S.VOIDED),
        Edge(_S.AUTHORIZED, _T.CAPTURE_SUBMITTED, _S.CAPTURE_SUBMITTED),
        Edge(_S.AUTHORIZED, _T.VOID_SUBMITTED, _S.VOID_SUBMITTED),
        Edge(_S.AUTHORIZED, _T.EXPIRED, _S.AUTH_EXPIRED),
        Edge(_S.CAPTURE_SUBMITTED, _T.CAPTURED, _S.CAPTURED),
        Edge(_S.CAPTURE_SUBMITTED, _T.LOST, _S.CAPTURE_UNKNOWN),
        Edge(_S.CAPTURE_SUBMITTED, _T.CAPTURE_REFUSED, _S.AUTHORIZED),
        Edge(_S.CAPTURE_UNKNOWN, _T.CAPTURED, _S.CAPTURED),
        Edge(_S.CAPTURE_UNKNOWN, _T.CAPTURE_REFUSED, _S.AUTHORIZED),
        Edge(_S.VOID_SUBMITTED, _T.VOIDED, _S.VOIDED),
        Edge(_S.VOID_SUBMITTED, _T.LOST, _S.VOID_UNKNOWN),
        Edge(_S.VOID_UNKNOWN, _T.VOIDED, _S.VOIDED),
        Edge(_S.VOID_UNKNOWN, _T.AUTHORIZED, _S.AUTHORIZED),
        Edge(_S.VOID_UNKNOWN, _T.CAPTURED, _S.CAPTURED),
    ),
)
