"""A load generator: keep-alive connections over raw sockets, so that the client costs little."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass

#: One request: raw bytes; made anew for each, since keys must differ.
MakeRequest = Callable[[int], bytes]
#: Several requests that count as one: each is given the body of the answer before it.
Flow = Generator[bytes, bytes, None]
MakeFlow = Callable[[int], Flow]


@dataclass(frozen=True)
class Result:
    """What a run saw; latencies in milliseconds."""

    per_second: float
    p50: float
    p99: float
    errors: int


def request(method: str, path: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    """An HTTP/1.1 request as bytes."""
    head = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *(f"{k}: {v}" for k, v in headers.items())]
    if body:
        head += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def single(make: MakeRequest) -> MakeFlow:
    """One request as a flow."""

    def flow(number: int) -> Flow:
        yield make(number)

    return flow


async def _answer(reader: asyncio.StreamReader) -> tuple[bool, bytes]:
    """Whether it went well, and the body."""
    head = await reader.readuntil(b"\r\n\r\n")
    lower = head.lower()
    at = lower.find(b"content-length:")
    length = int(lower[at + 15 : lower.index(b"\r", at)]) if at >= 0 else 0
    body = await reader.readexactly(length) if length else b""
    return head.startswith((b"HTTP/1.1 20", b"HTTP/1.1 30")), body


async def _connection(
    port: int, make: MakeFlow, first: int, step: int, until: float, seen: list[float]
) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    number, errors = first, 0
    while time.perf_counter() < until:
        started, flow = time.perf_counter(), make(number)
        request = next(flow)
        good = True
        while good:
            writer.write(request)
            good, body = await _answer(reader)
            try:
                request = flow.send(body)
            except StopIteration:
                break
        seen.append((time.perf_counter() - started) * 1000)
        errors += not good
        number += step
    writer.close()
    return errors


def run(port: int, make: MakeFlow, *, seconds: float, connections: int = 8, offset: int = 0) -> Result:
    """Load one port for so long."""
    seen: list[float] = []

    async def main() -> int:
        until = time.perf_counter() + seconds
        jobs = [
            _connection(port, make, offset + number, connections, until, seen)
            for number in range(connections)
        ]
        return sum(await asyncio.gather(*jobs))

    started = time.perf_counter()
    errors = asyncio.run(main())
    took = time.perf_counter() - started
    seen.sort()
    return Result(
        len(seen) / took, statistics.median(seen), seen[min(len(seen) - 1, int(len(seen) * 0.99))], errors
    )
