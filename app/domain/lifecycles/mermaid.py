"""Lifecycles as Mermaid state diagrams (`flask diagrams`)."""

from __future__ import annotations

from typing import Any

from app.domain.lifecycles.base import Lifecycle


def render(lifecycle: Lifecycle[Any, Any]) -> str:
    """A `stateDiagram-v2` of the table: an arrow an edge, terminal statuses lead to the end."""
    lines = ["stateDiagram-v2"]
    for edge in lifecycle.edges:
        source = "[*]" if edge.source is None else str(edge.source)
        lines.append(f"    {source} --> {edge.target}: {edge.trigger}")
    lines += [f"    {status} --> [*]" for status in sorted(lifecycle.terminal)]
    return "\n".join(lines) + "\n"
