"""The one way to change a status: `Stateful.advance()`.

It is the rule of reliability.md: a compare-and-set on status and version, and one journal row (history,
audit and outbox at once) in the same transaction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast

from sqlalchemy import String
from sqlalchemy.orm import Mapped, Session, mapped_column, object_session

from app.domain.lifecycles.base import Lifecycle
from app.models.base import Base, Versioned
from app.models.events.journal import JournalLinks, record
from app.models.insertion import insert_now


class Stateful(Versioned):
    """An entity with a lifecycle: its status changes through `advance()` and nowhere else."""

    lifecycle: ClassVar[Lifecycle[Any, Any]]

    if TYPE_CHECKING:  # declared by each table, in its own way
        id: Mapped[str]
        tenant_id: Mapped[str]
        mode: Mapped[str]

    status: Mapped[str] = mapped_column(String(32))

    def facts(self) -> dict[str, Any]:
        """What events show as `object`, `before` and `after`: small, public, free of secrets."""
        return {"id": self.id, "status": self.status, "version": self.version}

    def journal_links(self) -> JournalLinks:
        """The `checkout_id` and `payment_intent_id` that an event about this row carries."""
        return {"checkout_id": None, "payment_intent_id": None}

    def begin(self, *, cause: str) -> None:
        """Add the row in its lifecycle's initial status and journal its birth; needs `session.add` first."""
        session = self._session()
        if self.status is None:
            self.status = str(self.lifecycle.initial)
        session.flush()
        self.journal_birth(session, cause=cause)

    def begin_through(self, session: Session, *triggers: Any, cause: str) -> None:
        """Write the row as it is after its first edges, in one statement; each is journaled.

        The object stays outside the session (models/insertion.py).
        """
        self.version = 1
        if self.status is None:
            self.status = str(self.lifecycle.initial)
        self.journal_birth(session, cause=cause)
        for trigger in triggers:
            edge, source, before = self.lifecycle.edge(self.status, trigger), self.status, self.facts()
            self.status = str(edge.target)
            self._journal(session, edge.event, cause, trigger=str(trigger), source=source, before=before)
        insert_now(session, cast(Base, self))

    def journal_birth(self, session: Session, *, cause: str) -> None:
        """Journal the birth of a row that is written already (models/insertion.py)."""
        edge = self.lifecycle.birth(self.status)
        self._journal(session, edge.event, cause, trigger=str(edge.trigger), source=None, before=None)

    def advance(self, trigger: Any, *, cause: str, **changes: Any) -> None:
        """Follow the edge that `trigger` names, setting `changes` with it.

        It is written with the transaction's other changes of the row, in one UPDATE that compares the
        version; each edge raises that by one. `cause` says why in a word or two (`api`, `gateway`, `sweep`,
        `expiry` …) and is kept.

        Raises:
            IllegalTransition: the lifecycle has no such edge from the present status.
            VersionConflict: another transaction changed the row first (raised by `transaction()`).
        """
        session = self._session()
        source = self.status
        edge = self.lifecycle.edge(source, trigger)
        before = self.facts()
        for name, value in changes.items():
            setattr(self, name, value)
        self.status = str(edge.target)
        self.version += 1
        self._journal(session, edge.event, cause, trigger=str(trigger), source=source, before=before)

    def note(self, type_: str, *, cause: str, before: dict[str, Any]) -> None:
        """Journal a change that moves no status; `before` are the facts that it found."""
        record(
            self._session(),
            type_,
            tenant_id=self.tenant_id,
            mode=self.mode,
            entity=self.lifecycle.name,
            entity_id=self.id,
            cause=cause,
            before=before,
            after=self.facts(),
            **self.journal_links(),
        )

    def _session(self) -> Session:
        session = object_session(self)
        assert session is not None, "a status changes inside transaction()"
        return session

    def _journal(
        self,
        session: Session,
        event: str | None,
        cause: str,
        *,
        trigger: str,
        source: str | None,
        before: dict[str, Any] | None,
    ) -> None:
        record(
            session,
            event or f"{self.lifecycle.name}.{self.status}",
            tenant_id=self.tenant_id,
            mode=self.mode,
            entity=self.lifecycle.name,
            entity_id=self.id,
            trigger=trigger,
            from_status=source,
            to_status=self.status,
            cause=cause,
            before=before,
            after=self.facts(),
            **self.journal_links(),
        )
