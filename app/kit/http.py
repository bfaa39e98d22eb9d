"""HTTP to addresses that other people chose: safe against server-side request forgery (reliability.md 27).

A name is resolved once, every address that is not public is refused, and the connection goes to exactly
that address under the original host name. Redirects are never followed.
"""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx2 as httpx

#: What `is_global` lets through although nothing public lives there, or it leads somewhere else.
_REFUSED = tuple(
    ipaddress.ip_network(text)
    for text in (
        "100.64.0.0/10", "192.0.0.0/24", "192.88.99.0/24", "198.18.0.0/15", "224.0.0.0/4", "240.0.0.0/4",
        "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "::/96", "ff00::/8", "fec0::/10",
    )
)


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
    ip = ipaddress.ip_address(address.split("%")[0])
    mapped = getattr(ip, "ipv4_mapped", None)
    if mapped is not None:
        ip = mapped
    if ip.is_loopback:
        return allow_loopback
    if any(ip.version == net.version and ip in net for net in _REFUSED):
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


class _PinnedTransport(httpx.HTTPTransport):
    """Sends each request to the address that was checked, keeping name and certificate check."""

    def __init__(self, allow_loopback: bool) -> None:
        super().__init__(retries=0)
        self._allow_loopback = allow_loopback

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        host = request.url.host
        address = self._resolve(host, request.url.port or (443 if request.url.scheme == "https" else 80))
        request.extensions = {**request.extensions, "sni_hostname": host}
        request.url = request.url.copy_with(host=address)
        return super().handle_request(request)

    def _resolve(self, host: str, port: int) -> str:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise ConnectionFailed(f"{host} has no address", not_executed=True) from error
        addresses = [str(entry[4][0]) for entry in found]
        if not all(address_allowed(a, allow_loopback=self._allow_loopback) for a in addresses):
            raise AddressRefused(f"{host} leads to an address that is not public")
        return addresses[0]


class SafeClient:
    """Posts to merchants' endpoints: five seconds to connect, fifteen in all, 64 KiB of the answer kept."""

    def __init__(
        self,
        *,
        allow_loopback: bool,
        connect_timeout: float = 5,
        total_timeout: float = 15,
        max_response_bytes: int = 65536,
    ) -> None:
        self._total = total_timeout
        self._limit = max_response_bytes
        self._client = httpx.Client(
            transport=_PinnedTransport(allow_loopback),
            timeout=httpx.Timeout(total_timeout, connect=connect_timeout),
            follow_redirects=False,
            trust_env=False,
        )

    def post(self, url: str, content: bytes, headers: Mapping[str, str]) -> Answer:
        """Post a body.

        Raises:
            AddressRefused: the URL or the address behind it may not be called.
            ConnectionFailed: no answer came (TimedOut among them).
        """
        check_url(url)
        started = time.monotonic()
        try:
            with self._client.stream("POST", url, content=content, headers=dict(headers)) as response:
                body = self._read(response, started)
                return Answer(
                    response.status_code, dict(response.headers), body,
                    round((time.monotonic() - started) * 1000),
                )
        except httpx.ConnectTimeout as error:
            raise ConnectionFailed("no connection in time", not_executed=True) from error
        except httpx.ConnectError as error:
            raise ConnectionFailed("the connection was refused", not_executed=True) from error
        except httpx.TimeoutException as error:
            raise TimedOut("no answer in time") from error
        except httpx.HTTPError as error:
            raise ConnectionFailed("the connection broke", not_executed=False) from error

    def _read(self, response: httpx.Response, started: float) -> bytes:
        kept = b""
        for chunk in response.iter_bytes():
            kept += chunk[: self._limit - len(kept)]
            if time.monotonic() - started > self._total:
                raise TimedOut("the answer took too long")
            if len(kept) >= self._limit:
                break
        return kept

    def close(self) -> None:
        """Close every connection."""
        self._client.close()
