"""HTTP to other people's addresses: what is refused, what is pinned, and how long it may take."""

from __future__ import annotations

import datetime
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from app.kit.http import AddressRefused, ConnectionFailed, SafeClient, TimedOut, address_allowed

NAMES = {
    "a.test": ["127.0.0.1"],
    "b.test": ["127.0.0.1"],
    "inside.test": ["10.1.2.3"],
    "mixed.test": ["93.184.215.14", "192.168.1.1"],
    "dead-first.test": ["127.0.0.9", "127.0.0.1"],
}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        text = f"{self.headers['Host']} {self.client_address[1]}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    """A server on 127.0.0.1 that answers with the Host it was asked for and the port of its peer."""
    made = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


@pytest.fixture(autouse=True)
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """A name service of our own."""
    real, known = socket.getaddrinfo, dict(NAMES)

    def look_up(host: str, port: int, *args: Any, **kwargs: Any) -> Any:
        if host not in known:
            return real(host, port, *args, **kwargs)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in known[host]]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return known


@pytest.fixture
def client() -> Iterator[SafeClient]:
    """A developer's client: loopback is allowed."""
    made = SafeClient(allow_loopback=True, total_timeout=2)
    yield made
    made.close()


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1",
        "172.16.0.1",
        "192.168.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "255.255.255.255",
        "224.0.0.1",
        "198.18.0.1",
        "192.0.0.8",
        "192.0.2.1",
        "127.0.0.1",
        "::",
        "::1",
        "::ffff:10.0.0.1",
        "::ffff:127.0.0.1",
        "::10.0.0.1",
        "64:ff9b::a00:1",
        "2002:a00:1::",
        "2001:0:a00:1::",
        "fc00::1",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
        "2001:db8::1",
    ],
)
def test_addresses_that_are_not_public_are_refused(address: str) -> None:
    assert not address_allowed(address)


@pytest.mark.parametrize("address", ["93.184.215.14", "8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_public_addresses_are_allowed(address: str) -> None:
    assert address_allowed(address)


def test_loopback_is_allowed_only_where_asked_for() -> None:
    assert address_allowed("127.0.0.1", allow_loopback=True)
    assert address_allowed("::1", allow_loopback=True)
    assert not address_allowed("10.0.0.1", allow_loopback=True)


@pytest.mark.parametrize(
    "url",
    [
        "http://inside.test/",
        "http://mixed.test/",
        "http://10.1.2.3/",
        "http://2130706433.test:1@a.test/",
        "http://[::ffff:10.0.0.1]/",
        "http://0x0a000001/",
        "http://167772161/",
        "gopher://a.test/",
        "//a.test",
    ],
)
def test_nothing_leaves_for_an_address_inside(client: SafeClient, url: str) -> None:
    with pytest.raises((AddressRefused, ConnectionFailed)) as refused:
        client.post(url, b"{}", {})
    if isinstance(refused.value, ConnectionFailed):
        assert refused.value.not_executed


def test_the_name_goes_with_the_request(client: SafeClient, server: ThreadingHTTPServer) -> None:
    answer = client.post(f"http://a.test:{server.server_port}/x?y=1", b"{}", {"A": "b"})
    assert answer.body.decode().split()[0] == f"a.test:{server.server_port}"


def test_a_connection_is_kept_for_its_name_alone(client: SafeClient, server: ThreadingHTTPServer) -> None:
    peers = [
        client.post(f"http://{name}:{server.server_port}/", b"{}", {}).body.decode().split()[1]
        for name in ("a.test", "a.test", "b.test", "a.test")
    ]
    assert peers[0] == peers[1] == peers[3]
    assert peers[2] != peers[0]


def test_a_name_that_moves_inside_after_the_check_is_refused(
    client: SafeClient, server: ThreadingHTTPServer, names: dict[str, list[str]]
) -> None:
    client.post(f"http://a.test:{server.server_port}/", b"{}", {})
    client.close()
    names["a.test"] = ["10.0.0.1"]
    with pytest.raises(AddressRefused):
        client.post(f"http://a.test:{server.server_port}/", b"{}", {})


def test_the_next_address_is_tried_where_one_is_dead(client: SafeClient, server: ThreadingHTTPServer) -> None:
    assert client.post(f"http://dead-first.test:{server.server_port}/", b"{}", {}).status == 200


def test_a_refused_connection_was_not_executed(client: SafeClient) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        with pytest.raises(ConnectionFailed) as failed:
            client.post(f"http://a.test:{free.getsockname()[1]}/", b"{}", {})
    assert failed.value.not_executed
    with pytest.raises(ConnectionFailed) as failed:
        client.post("http://no-such-name.invalid/", b"{}", {})
    assert failed.value.not_executed


@pytest.mark.parametrize(
    "said", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nshort"]
)
def test_a_broken_answer_may_have_been_executed(client: SafeClient, said: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            peer, _ = listener.accept()
            peer.recv(4096)
            peer.sendall(said)
            peer.close()

        threading.Thread(target=answer, daemon=True).start()
        with pytest.raises(ConnectionFailed) as failed:
            client.post(f"http://127.0.0.1:{listener.getsockname()[1]}/", b"{}", {})
    assert not failed.value.not_executed


def test_a_name_server_that_does_not_answer_keeps_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.kit.http._RESOLVERS", threading.BoundedSemaphore(1))
    asked, told = threading.Event(), threading.Event()

    def never(*_: object, **__: object) -> list[object]:
        asked.set()
        told.wait(30)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", never)
    impatient = SafeClient(allow_loopback=True, connect_timeout=0.1)
    try:
        for _ in range(2):  # the first waits its time, the second finds no room to wait
            with pytest.raises(ConnectionFailed, match="has no address") as failed:
                impatient.post("http://silent.test/", b"", {})
            assert failed.value.not_executed
        assert asked.is_set() and not told.is_set()
    finally:
        told.set()
        impatient.close()


def test_silence_ends_in_time(client: SafeClient) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        started = time.monotonic()
        with pytest.raises(TimedOut):
            client.post(f"http://127.0.0.1:{listener.getsockname()[1]}/", b"{}", {})
    assert 1.5 < time.monotonic() - started < 3


def _certificate(folder: Path, name: str) -> tuple[Path, Path]:
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder()
        .subject_name(who)
        .issuer_name(who)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate, secret = folder / f"{name}.pem", folder / f"{name}.key"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return certificate, secret


def test_the_certificate_must_be_that_of_the_name_also_on_a_shared_address(
    server: ThreadingHTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, secret = _certificate(tmp_path, "a.test")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, secret)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    client = SafeClient(allow_loopback=True, total_timeout=3)
    assert client.post(f"https://a.test:{server.server_port}/", b"{}", {}).status == 200
    with pytest.raises(ConnectionFailed, match="certificate is not valid for this name"):
        client.post(f"https://b.test:{server.server_port}/", b"{}", {})
    client.close()


def test_a_port_without_tls_is_told_apart_from_a_closed_one(
    client: SafeClient, server: ThreadingHTTPServer
) -> None:
    with pytest.raises(ConnectionFailed, match="no TLS") as failed:
        client.post(f"https://a.test:{server.server_port}/", b"{}", {})
    assert failed.value.not_executed
