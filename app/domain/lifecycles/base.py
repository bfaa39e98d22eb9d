"""What a lifecycle is: a table of edges, checked when it is made. Status changes nowhere else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from app.domain.errors import InvalidState

S = TypeVar("S", bound=StrEnum)
T = TypeVar("T", bound=StrEnum)


class IllegalTransition(InvalidState):
    """The table has no such edge."""

    def __init__(self, name: str, source: str, trigger: str) -> None:
        super().__init__(
            f"A {_words(name)} that is {_words(source)} cannot {_verb(trigger)}",
            explain={"reason": "invalid_state", "status": source, "trigger": trigger},
        )


def _words(name: str) -> str:
    return name.replace("_", " ")


def _verb(trigger: str) -> str:
    """`canceled` → be canceled; `capture_started` → have its capture started."""
    part, _, done = trigger.partition("_")
    return f"have its {part} {done}" if done.endswith("ed") else f"be {_words(trigger)}"


@dataclass(frozen=True, slots=True)
class Edge(Generic[S, T]):
    """From one status to another; `event` names what is told, else `<entity>.<target>`."""

    source: S | None
    trigger: T
    target: S
    event: str | None = None
    note: str = ""


class Lifecycle(Generic[S, T]):
    """The table of one entity.

    Raises:
        ValueError: when made with two edges for one trigger, or a status that cannot be reached or
            that no edge mentions.
    """

    def __init__(self, name: str, edges: Iterable[Edge[S, T]]) -> None:
        self.name = name
        self.edges = tuple(edges)
        self.births = {str(e.target): e for e in self.edges if e.source is None}
        self._table: dict[tuple[str, str], Edge[S, T]] = {}
        for edge in self.edges:
            if edge.source is None:
                continue
            key = (str(edge.source), str(edge.trigger))
            if key in self._table:
                raise ValueError(f"{name}: two edges for {key}")
            self._table[key] = edge
        self._check_reachable()
        sources = {source for source, _ in self._table}
        self.statuses = frozenset(str(e.target) for e in self.edges)
        self.terminal = frozenset(self.statuses - sources)

    @property
    def initial(self) -> str:
        """The status that a new row is born in."""
        return next(iter(self.births))

    def birth(self, status: str) -> Edge[S, T]:
        """The edge from nothing into `status`.

        Raises:
            IllegalTransition: nothing is born in that status.
        """
        edge = self.births.get(status)
        if edge is None:
            raise IllegalTransition(self.name, "new", status)
        return edge

    def edge(self, source: str, trigger: str) -> Edge[S, T]:
        """The edge that `trigger` takes from `source`.

        Raises:
            IllegalTransition: there is none.
        """
        found = self._table.get((str(source), str(trigger)))
        if found is None:
            raise IllegalTransition(self.name, str(source), str(trigger))
        return found

    def allows(self, source: str, trigger: str) -> bool:
        """Whether `trigger` leads anywhere from `source`."""
        return (str(source), str(trigger)) in self._table

    def triggers_from(self, source: str) -> Mapping[str, str]:
        """Trigger → target, for everything that may happen in `source`."""
        return {t: str(e.target) for (s, t), e in self._table.items() if s == source}

    def is_terminal(self, status: str) -> bool:
        """Whether nothing can happen any more."""
        return status in self.terminal

    def _check_reachable(self) -> None:
        reached = set(self.births)
        if not reached:
            raise ValueError(f"{self.name}: nothing is ever born")
        grew = True
        while grew:
            more = {str(e.target) for (s, _), e in self._table.items() if s in reached} - reached
            reached |= more
            grew = bool(more)
        vocabulary = {str(status) for e in self.edges for status in type(e.target)}
        lost = vocabulary - reached
        if lost:
            raise ValueError(f"{self.name}: cannot be reached: {sorted(lost)}")
