"""HTTP to addresses that other people chose: safe against server-side request forgery (reliability.md 27).

A name is resolved once, every address that is not public is refused, and the connection goes to exactly
that address under the original host name. Redirects are never followed.
"""

from __future__ import annotations

import ipaddress
import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpcore2 as httpcore
import httpx2 as httpx

#: What `is_global` lets through although nothing public lives there, or it leads somewhere else.
_REFUSED = tuple(
    ipaddress.ip_network(text)
    for text in (
        "100.64.0.0/10",
        "192.0.0.0/24",
        "192.88.99.0/24",
        "198.18.0.0/15",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "2002::/16",
        "2001::/32",
        "::/96",
        "ff00::/8",
        "fec0::/10",
        "3fff::/20",
    )
)
#: The only part of IPv6 that is given out to the public; the rest translates, maps or is reserved.
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")

#: So many names are looked up at once; a name server that does not answer keeps its look-ups for a while.
_RESOLVERS = threading.BoundedSemaphore(64)


class AddressRefused(Exception):
    """The URL leads to an address that is not public, or is not one that may be called."""


class ConnectionFailed(Exception):
    """No answer; `not_executed` is True where the request provably never left."""

    def __init__(self, reason: str, *, not_executed: bool) -> None:
        super().__init__(reason)
        self.not_executed = not_executed


class TimedOut(ConnectionFailed):
    """The time allowed ran out; whether the receiver acted is not known."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, not_executed=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; `body` is cut at the limit."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    duration_ms: int


def address_allowed(address: str, *, allow_loopback: bool = False) -> bool:
    """Whether Till may connect to this IP address."""
    ip = ipaddress.ip_address(address.split("%", maxsplit=1)[0])
    mapped = getattr(ip, "ipv4_mapped", None)
    if mapped is not None:
        ip = mapped
    if ip.is_loopback:
        return allow_loopback
    if any(ip.version == net.version and ip in net for net in _REFUSED):
        return False
    if ip.version == 6 and ip not in _GLOBAL_UNICAST:
        return False
    return ip.is_global and not ip.is_multicast and not ip.is_private


def check_url(url: str) -> None:
    """Refuse what is not a plain http(s) URL of a host.

    Raises:
        AddressRefused: another scheme, user info, backslash, control characters, or no host.
    """
    if any(ord(char) <= 32 or char == "\\" or ord(char) == 127 for char in url):
        raise AddressRefused("the URL holds characters that do not belong in one")
    try:
        parts = urlsplit(url)
        port_fine = parts.port is None or 0 < parts.port < 65536
    except ValueError as error:
        raise AddressRefused("not a URL") from error
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_fine:
        raise AddressRefused("only http and https URLs with a host")
    if parts.username is not None or parts.password is not None:
        raise AddressRefused("a URL with user info is refused")


class _TimedStream(httpcore.NetworkStream):
    """A connection whose every read and write ends when the request's time is over.

    A time-out for each read alone would let a receiver hold a thread for ever, a byte at a time.
    """

    def __init__(self, stream: httpcore.NetworkStream, left: Callable[[float | None], float]) -> None:
        self._stream, self._left = stream, left

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._left(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        secured = self._stream.start_tls(ssl_context, server_hostname, self._left(timeout))
        return _TimedStream(secured, self._left)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _addresses(host: str, port: int, seconds: float) -> list[str]:
    """What a name resolves to; the system's own look-up knows no time-out and so has a thread of its own.

    Raises:
        OSError: the name has no address, or none was told in time.
        UnicodeError: it is no name.
    """
    room = _RESOLVERS
    if not room.acquire(blocking=False):
        raise TimeoutError("too many look-ups of names are not answered")
    answer: queue.SimpleQueue[list[str] | Exception] = queue.SimpleQueue()

    def look_up() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            answer.put([str(entry[4][0]) for entry in found])
        except Exception as error:
            answer.put(error)
        finally:
            room.release()

    threading.Thread(target=look_up, name="resolver", daemon=True).start()
    try:
        found = answer.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError(f"{host} was not resolved in time") from None
    if isinstance(found, Exception):
        raise found
    return found


class _PinnedBackend(httpcore.NetworkBackend):
    """Resolves a name once, refuses what is not public, connects to exactly what it checked.

    Below the connection pool, which so keeps connections by name: two names on one address never share
    a connection, and the certificate is checked for the name.
    """

    def __init__(self, allow_loopback: bool, allow_any: bool) -> None:
        self._allow_loopback, self._allow_any = allow_loopback, allow_any
        self._sockets = httpcore.SyncBackend()
        self._until = threading.local()

    def start(self, seconds: float) -> None:
        """The request that this thread makes now has so long, in all."""
        self._until.at = time.monotonic() + seconds

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        failure: Exception = httpcore.ConnectError(f"{host} has no address")
        for address in self._resolve(host, port, self._left(timeout)):
            try:
                made = self._sockets.connect_tcp(
                    address, port, self._left(timeout), local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
            else:
                return _TimedStream(made, self._left)
        raise failure

    def _resolve(self, host: str, port: int, seconds: float) -> list[str]:
        try:
            addresses = _addresses(host, port, seconds)
        except (OSError, UnicodeError) as error:
            raise ConnectionFailed(f"{host} has no address", not_executed=True) from error
        allowed = (address_allowed(a, allow_loopback=self._allow_loopback) for a in addresses)
        if not self._allow_any and not all(allowed):
            raise AddressRefused(f"{host} leads to an address that is not public")
        return addresses

    def _left(self, timeout: float | None) -> float:
        left: float = self._until.at - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("the time is over")
        return left if timeout is None else min(left, timeout)


class SafeClient:
    """Calls merchants' endpoints: five seconds to connect, fifteen in all, 64 KiB of the answer kept.

    `allow_any` is for an address that the operator of this deployment has set: it may be a private one.
    """

    def __init__(
        self,
        *,
        allow_loopback: bool,
        allow_any: bool = False,
        connect_timeout: float = 5,
        total_timeout: float = 15,
        max_response_bytes: int = 65536,
    ) -> None:
        self._total = total_timeout
        self._limit = max_response_bytes
        self._timeouts = {
            "connect": connect_timeout,
            "read": total_timeout,
            "write": total_timeout,
            "pool": total_timeout,
        }
        self._network = _PinnedBackend(allow_loopback, allow_any)
        self._pool = httpcore.ConnectionPool(
            ssl_context=httpx.create_ssl_context(),
            max_connections=100,
            keepalive_expiry=5,
            network_backend=self._network,
        )

    def post(self, url: str, content: bytes, headers: Mapping[str, str]) -> Answer:
        """Post a body; see `request`."""
        return self.request("POST", url, content, headers)

    def request(
        self,
        method: str,
        url: str,
        content: bytes,
        headers: Mapping[str, str],
        *,
        within: float | None = None,
    ) -> Answer:
        """Make a request; the answer's body is kept as it came, never decompressed.

        `within` are the seconds that this one has, where that is less than the client allows.

        Raises:
            AddressRefused: the URL or the address behind it may not be called.
            ConnectionFailed: no answer came (TimedOut among them).
        """
        target = _target(url)
        started = time.monotonic()
        self._network.start(self._total if within is None else min(within, self._total))
        try:
            with self._pool.stream(
                method,
                httpcore.URL(
                    scheme=target.raw_scheme,
                    host=target.raw_host,
                    port=target.port,
                    target=target.raw_path,
                ),
                headers=_fields(headers, target, content),
                content=content,
                extensions={"timeout": self._timeouts},
            ) as response:
                return Answer(
                    response.status,
                    _headers_of(response),
                    self._read(response),
                    round((time.monotonic() - started) * 1000),
                )
        except httpcore.ConnectTimeout as error:
            raise ConnectionFailed("no connection in time", not_executed=True) from error
        except httpcore.ConnectError as error:
            raise ConnectionFailed(_unconnected(error), not_executed=True) from error
        except httpcore.TimeoutException as error:
            raise TimedOut("no answer in time") from error
        except (httpcore.NetworkError, httpcore.ProtocolError) as error:
            raise ConnectionFailed("the connection broke", not_executed=False) from error

    def _read(self, response: httpcore.Response) -> bytes:
        kept = b""
        for chunk in response.iter_stream():
            kept += chunk[: self._limit - len(kept)]
            if len(kept) >= self._limit:
                break
        return kept

    def close(self) -> None:
        """Close every connection."""
        self._pool.close()


def _unconnected(error: httpcore.ConnectError) -> str:
    """Why there is no connection; a certificate that does not fit is another's to mend than a closed port."""
    causes = (error, error.__cause__, error.__context__)
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        return "the certificate is not valid for this name"
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        return "there is no TLS on this port that can be used"
    return "the connection was refused"


def _target(url: str) -> httpx.URL:
    check_url(url)
    try:
        return httpx.URL(url)
    except httpx.InvalidURL as error:
        raise AddressRefused("not a URL") from error


def _fields(headers: Mapping[str, str], target: httpx.URL, content: bytes) -> list[tuple[bytes, bytes]]:
    given = [(name.encode("ascii"), value.encode("latin-1")) for name, value in headers.items()]
    return [(b"Host", target.netloc), (b"Content-Length", b"%d" % len(content)), *given]


def _headers_of(response: httpcore.Response) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
