"""HTTP over the standard library: connections that are kept and shared by threads, time-outs, TLS, proxies.

No redirect is followed: a key is never shown to whom a redirect leads. Certificates are checked against the
system's own unless another `ssl_context` is given. `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` are honoured.
"""

from __future__ import annotations

import http.client
import os
import selectors
import ssl
import threading
from base64 import b64encode
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from payment_sdk import _clock
from payment_sdk.errors import (
    APIConnectionError,
    APITimeoutError,
    ConfigurationError,
    InvalidResponseError,
)

#: Nothing that this API answers comes near it.
MAX_ANSWER = 32 * 1024 * 1024
#: What a connection says that the other end has closed before it answered.
_GONE = (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError)
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, slots=True)
class Timeout:
    """Seconds: to connect, and of silence until an answer is no longer waited for."""

    connect: float = 5.0
    read: float = 30.0


@dataclass(frozen=True, slots=True)
class Request:
    """One call as it goes out; what it carries is in nobody's log."""

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(repr=False)
    timeout: Timeout
    #: Whether sending it twice does no more than once; then it may go over a connection that was idle.
    repeatable: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


class Transport(Protocol):
    """What the client needs of HTTP; give your own to `PaymentClient(transport=…)`."""

    def send(self, request: Request) -> Answer:
        """Send a request once.

        Raises:
            APIConnectionError: no answer came; `sent` says whether the request may have arrived.
        """
        ...

    def close(self) -> None:
        """Let go of what is kept open."""
        ...


class HTTPTransport:
    """The transport unless another is given; threads may share it, and forks inherit none of it."""

    def __init__(
        self,
        *,
        ssl_context: ssl.SSLContext | None = None,
        max_idle: int = 10,
        max_idle_seconds: float = 30.0,
    ) -> None:
        self._context = ssl_context
        self._max_idle, self._max_idle_seconds = max_idle, max_idle_seconds
        self._idle: dict[tuple[str, str], list[tuple[http.client.HTTPConnection, float]]] = {}
        self._lock = threading.Lock()
        self._pid = os.getpid()

    def send(self, request: Request) -> Answer:
        """Send a request once, over a kept connection where that is safe."""
        parts = urlsplit(request.url)
        kept = self._take(parts) if request.repeatable else None
        if kept is not None:
            try:
                return self._exchange(kept, parts, request)
            except APIConnectionError as error:
                if not isinstance(error.__cause__, _GONE):
                    raise  # else it was closed at the other end meanwhile, as idle ones are
        return self._exchange(self._connect(parts, request.timeout), parts, request)

    def close(self) -> None:
        """Close the connections that are kept."""
        with self._lock:
            kept, self._idle = self._idle, {}
        for connection, _ in (pair for pairs in kept.values() for pair in pairs):
            connection.close()

    def _connect(self, parts: SplitResult, timeout: Timeout) -> http.client.HTTPConnection:
        connection = self._connection(parts, timeout)
        try:
            connection.connect()
        except TimeoutError as error:
            connection.close()
            raise APITimeoutError(f"No connection to {parts.netloc} in time", sent=False) from error
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise APIConnectionError(f"No connection to {parts.netloc}: {error}", sent=False) from error
        connection.auto_open = 0
        return connection

    def _connection(self, parts: SplitResult, timeout: Timeout) -> http.client.HTTPConnection:
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        proxy = _proxy(parts)
        at_host, at_port = (proxy.hostname or "", proxy.port or 80) if proxy else (host, port)
        if parts.scheme != "https":
            return http.client.HTTPConnection(at_host, at_port, timeout=timeout.connect)
        with self._lock:
            self._context = self._context or ssl.create_default_context()
        secure = http.client.HTTPSConnection(at_host, at_port, timeout=timeout.connect, context=self._context)
        if proxy:
            secure.set_tunnel(host, port, headers=_proxy_login(proxy))
        return secure

    def _exchange(
        self, connection: http.client.HTTPConnection, parts: SplitResult, request: Request
    ) -> Answer:
        target = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
        headers = dict(request.headers)
        proxy = _proxy(parts) if parts.scheme == "http" else None
        if proxy:
            target, headers = f"http://{parts.netloc}{target}", headers | _proxy_login(proxy)
        try:
            connection.sock.settimeout(request.timeout.read)
            connection.request(request.method, target, request.body, headers)
            response = connection.getresponse()
            body = response.read(MAX_ANSWER + 1)
            if (
                response.length and len(body) <= MAX_ANSWER
            ):  # it was cut off, which this way of reading lets pass
                raise http.client.IncompleteRead(body, response.length)
        except TimeoutError as error:
            connection.close()
            raise APITimeoutError(f"{parts.netloc} did not answer in time", sent=True) from error
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            detail = str(error) or type(error).__name__
            raise APIConnectionError(f"{parts.netloc} gave no answer: {detail}", sent=True) from error
        if len(body) > MAX_ANSWER:
            connection.close()
            raise InvalidResponseError(f"{parts.netloc} answered more than {MAX_ANSWER} bytes")
        found = {name.lower(): value for name, value in response.getheaders()}
        self._keep(parts, connection, reusable=not response.will_close)
        return Answer(response.status, found, body)

    def _take(self, parts: SplitResult) -> http.client.HTTPConnection | None:
        """A kept connection that still seems to be open."""
        while True:
            with self._lock:
                if self._pid != os.getpid():  # a fork: these belong to the parent
                    self._idle, self._pid = {}, os.getpid()
                pairs = self._idle.get((parts.scheme, parts.netloc))
                if not pairs:
                    return None
                connection, since = pairs.pop()
            if _clock.now() - since < self._max_idle_seconds and _is_quiet(connection):
                return connection
            connection.close()

    def _keep(self, parts: SplitResult, connection: http.client.HTTPConnection, *, reusable: bool) -> None:
        with self._lock:
            pairs = self._idle.setdefault((parts.scheme, parts.netloc), [])
            if reusable and len(pairs) < self._max_idle and self._pid == os.getpid():
                pairs.append((connection, _clock.now()))
                return
        connection.close()


def check_address(url: str, *, live: bool, allow_insecure: bool) -> str:
    """The address without its last slash.

    Raises:
        ConfigurationError: it is none, or would carry a live key in clear text.
    """
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or parts.query or parts.fragment or parts.username is not None:
        raise ConfigurationError("base_url is an http or https address, for example https://pay.example.com")
    if parts.scheme == "http" and live and parts.hostname not in LOOPBACK and not allow_insecure:
        raise ConfigurationError("A live key goes over https only; allow_insecure_http=True lets it go")
    return url.rstrip("/")


def _is_quiet(connection: http.client.HTTPConnection) -> bool:
    """Whether nothing waits to be read: what does is the end, or an answer that nobody asked for."""
    with suppress(OSError, ValueError), selectors.DefaultSelector() as selector:
        selector.register(connection.sock, selectors.EVENT_READ)
        return not selector.select(0)
    return False


def _proxy(parts: SplitResult) -> SplitResult | None:
    """The proxy that the environment names for this address."""
    host = parts.hostname or ""
    if host in LOOPBACK or proxy_bypass(host):
        return None
    named = getproxies().get(parts.scheme)
    return urlsplit(named if "://" in named else f"http://{named}") if named else None


def _proxy_login(proxy: SplitResult) -> dict[str, str]:
    if not proxy.username:
        return {}
    login = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": "Basic " + b64encode(login.encode()).decode()}
