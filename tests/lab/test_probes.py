"""The HTTP probe against real servers that are healthy, unhealthy, strange or silent."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import socket
import ssl
import sys
import termios
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from shared.models.errors import SettingError
from shared.models.probes import HttpProbe
from shared.probes import http
from shared.probes.answer import ProbeAnswer
from tests.lab.peer import free_port
from tests.waiting import until

HOST = "shop.contoso.example"
ADDRESS = "127.88.0.1"
IN_TIME = timedelta(seconds=3)

type Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Site:
    """A TCP server whose answers a test writes byte by byte; it records the requests."""

    def __init__(self, serve: Serve) -> None:
        self._serve = serve
        self.requests: list[str] = []
        self.names: list[str | None] = []
        """The server names that TLS clients indicated (SNI)."""
        self.port = 0

    @contextlib.asynccontextmanager
    async def listening(self, tls: ssl.SSLContext | None = None) -> AsyncIterator[Site]:
        if tls:
            tls.sni_callback = lambda _, name, __: self.names.append(name)
        server = await asyncio.start_server(self._answer, ADDRESS, 0, ssl=tls)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, ssl.SSLError, asyncio.IncompleteReadError):
            self.requests.append((await reader.readuntil(b"\r\n\r\n")).decode())
            await self._serve(reader, writer)
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            writer.close()
            await writer.wait_closed()


def page(body: str = "healthy", status: int = 200, headers: str = "") -> Serve:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raw = body.encode()
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(raw)}\r\n{headers}\r\n".encode() + raw)
        await writer.drain()

    return serve


def unsent(writer: asyncio.StreamWriter) -> int:
    """Bytes that the other side's kernel has not acknowledged yet."""
    answer = fcntl.ioctl(writer.get_extra_info("socket").fileno(), termios.TIOCOUTQ, b"\0" * 4)
    return int.from_bytes(answer, sys.byteorder)


def raw(*parts: bytes, then_hang: bool = False) -> Serve:
    """Sends the parts in order, each after the previous one has arrived."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await until(lambda: unsent(writer) == 0, 5.0, "the part to arrive")
        if then_hang:
            await reader.read()

    return serve


class Authority:
    """A CA that the probe trusts, and certificates of it."""

    def __init__(self, folder: Path) -> None:
        self._ca = trustme.CA()
        self.file = folder / "ca.pem"
        self._ca.cert_pem.write_to_path(str(self.file))

    def server(self, *names: str, ca: trustme.CA | None = None) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        (ca or self._ca).issue_cert(*names).configure_cert(context)
        return context


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authority]:
    """The probe caches the trusted authorities per process, so the cache of other tests must be cleared."""
    authority = Authority(tmp_path_factory.mktemp("authority"))
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SSL_CERT_FILE", str(authority.file))
        http._verifying.cache_clear()
        yield authority
    http._verifying.cache_clear()


def ask(site: Site, tls: ssl.SSLContext | None = None, **probe: Any) -> ProbeAnswer:
    """Serves and asks once; ``host`` makes the probe speak TLS."""

    async def both() -> ProbeAnswer:
        async with site.listening(tls):
            named = {"port": site.port, "timeout": "500ms", "expect": {"text": "healthy"}} | probe
            return await http.probe_http(HttpProbe(**named), ADDRESS)

    return asyncio.run(both())


# What is healthy


def test_the_status_and_the_text_that_are_expected_are_healthy(authority: Authority) -> None:
    answer = ask(Site(page("all is healthy here")))
    assert (answer.healthy, answer.hopeless, answer.detail) == (True, False, f"{ADDRESS} answered 200")


def test_another_status_is_healthy_where_it_is_expected(authority: Authority) -> None:
    assert ask(Site(page("no", 401)), expect={"status": [200, 401]}).healthy


@pytest.mark.parametrize(
    ("status", "detail"), [(204, "answered 204"), (404, "answered 404"), (500, "answered 500"), (503, "answered 503")]
)
def test_another_status_is_unwell(authority: Authority, status: int, detail: str) -> None:
    answer = ask(Site(page("" if status == 204 else "healthy", status)))
    assert (answer.healthy, answer.detail) == (False, f"{ADDRESS} {detail}")


@pytest.mark.parametrize("body", ["", "HEALTHY", "Welcome to nginx!", "heal\nthy"])
def test_another_page_is_unwell(authority: Authority, body: str) -> None:
    answer = ask(Site(page(body)))
    assert (answer.healthy, answer.detail) == (False, f"{ADDRESS} answered 200 with another page")


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(authority: Authority, status: int) -> None:
    site = Site(page("healthy", status, headers="Location: /elsewhere\r\n"))
    answer = ask(site)
    assert (answer.healthy, answer.detail) == (False, f"{ADDRESS} answered {status}")
    assert len(site.requests) == 1


def test_a_page_that_comes_in_parts_is_read_whole(authority: Authority) -> None:
    site = Site(raw(b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n", b"I am ", b"healthy"))
    assert ask(site).healthy


def test_a_page_without_a_length_is_read_to_its_end(authority: Authority) -> None:
    assert ask(Site(raw(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhealthy"))).healthy


def test_a_text_within_the_first_64_kib_is_found_and_one_beyond_is_not(authority: Authority) -> None:
    assert ask(Site(page("x" * (64 * 1024 - 7) + "healthy"))).healthy
    assert not ask(Site(page("x" * 64 * 1024 + "healthy"))).healthy


def test_a_page_without_end_is_judged_by_its_beginning(authority: Authority) -> None:
    async def for_ever(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nhealthy")
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()

    began = datetime.now(UTC)
    assert ask(Site(for_ever), timeout="2s").healthy
    assert datetime.now(UTC) - began < IN_TIME


def test_bytes_that_are_no_text_are_a_page_all_the_same(authority: Authority) -> None:
    body = b"\xff\xfe\x00healthy\x80"
    assert ask(Site(raw(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)))).healthy


# The request: path, address and host


def test_the_site_is_asked_by_its_own_name_at_the_given_address(authority: Authority) -> None:
    site = Site(page())
    assert ask(site, authority.server(HOST), host=HOST, path="/health?deep=1").healthy
    assert site.names == [HOST]
    (request,) = site.requests
    assert request.startswith("GET /health?deep=1 HTTP/1.1\r\n")
    assert f"\r\nHost: {HOST}\r\n" in request


def test_without_a_name_the_address_is_asked_in_the_clear(authority: Authority) -> None:
    site = Site(page())
    assert ask(site).healthy
    assert f"\r\nHost: {ADDRESS}:{site.port}\r\n" in site.requests[0]


@pytest.mark.parametrize("with_port", [True, False])
def test_where_to_ask_comes_from_a_setting(
    authority: Authority, monkeypatch: pytest.MonkeyPatch, with_port: bool
) -> None:
    site = Site(page())

    async def both() -> ProbeAnswer:
        async with site.listening():
            monkeypatch.setenv("SITE_ADDRESS", f"{ADDRESS}:{site.port}" if with_port else ADDRESS)
            probe = HttpProbe(connect_to="SITE_ADDRESS", port=1 if with_port else site.port)
            return await http.probe_http(probe, "127.88.0.99")

    assert asyncio.run(both()).healthy
    assert len(site.requests) == 1


def test_a_setting_that_is_missing_is_named(authority: Authority) -> None:
    with pytest.raises(SettingError, match="NO_SUCH_ADDRESS"):
        asyncio.run(http.probe_http(HttpProbe(connect_to="NO_SUCH_ADDRESS")))


@pytest.mark.parametrize("value", [f"{ADDRESS}:http", f"{ADDRESS}:", f"{ADDRESS}:99999", "http://shop", ":80"])
def test_a_setting_that_is_no_address_is_a_mistake_of_ours_and_is_named(
    authority: Authority, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("SITE_ADDRESS", value)
    with pytest.raises(SettingError, match="SITE_ADDRESS does not contain an address"):
        asyncio.run(http.probe_http(HttpProbe(connect_to="SITE_ADDRESS", timeout="500ms")))


# Certificates


def test_a_certificate_for_another_name_is_not_trusted_and_asks_nothing(authority: Authority) -> None:
    site = Site(page())
    answer = ask(site, authority.server("other.contoso.example"), host=HOST)
    assert (answer.healthy, answer.answered, answer.untrusted) == (False, True, True)
    assert answer.detail.startswith(f"{ADDRESS} answered, but its certificate is not accepted (Hostname mismatch")
    assert site.requests == []


def test_a_certificate_for_the_address_alone_is_not_the_sites(authority: Authority) -> None:
    assert not ask(Site(page()), authority.server(ADDRESS), host=HOST).healthy


def test_a_certificate_of_an_unknown_authority_is_unwell(authority: Authority) -> None:
    site = Site(page())
    answer = ask(site, authority.server(HOST, ca=trustme.CA()), host=HOST)
    assert not answer.healthy
    assert "certificate" in answer.detail
    assert site.requests == []


def test_a_site_that_speaks_no_tls_is_unwell(authority: Authority) -> None:
    assert not ask(Site(page()), host=HOST).healthy


# Servers that are down, silent or strange


def test_a_refused_connection_is_an_answer(authority: Authority) -> None:
    answer = asyncio.run(http.probe_http(HttpProbe(port=free_port()), "127.0.0.1"))
    assert (answer.healthy, answer.detail) == (False, "127.0.0.1 refused the connection")


@pytest.mark.parametrize(
    "serve",
    [
        raw(then_hang=True),
        raw(b"HTTP/1.1 200", then_hang=True),
    ],
    ids=["no answer", "half a status"],
)
def test_a_site_that_hangs_is_given_up_in_time(authority: Authority, serve: Serve) -> None:
    began = datetime.now(UTC)
    answer = ask(Site(serve))
    assert (answer.healthy, answer.detail) == (False, f"{ADDRESS} gave no answer in time")
    assert datetime.now(UTC) - began < IN_TIME


@pytest.mark.parametrize(
    ("serve", "healthy"),
    [
        (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", then_hang=True), False),
        (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n", b"all is healthy", then_hang=True), True),
        (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n", b"other", then_hang=True), False),
    ],
    ids=["no page", "the text and no end", "another text and no end"],
)
def test_a_page_that_hangs_after_its_status_is_judged_by_what_it_has_sent(
    authority: Authority, serve: Serve, healthy: bool
) -> None:
    began = datetime.now(UTC)
    answer = ask(Site(serve))
    assert (answer.healthy, answer.answered) == (healthy, True)
    assert answer.detail.startswith(f"{ADDRESS} answered 200")
    assert datetime.now(UTC) - began < IN_TIME


@pytest.mark.parametrize("host", [HOST, None])
def test_a_port_that_accepts_and_says_nothing_is_given_up_in_time(authority: Authority, host: str | None) -> None:
    """With a host already the TLS handshake hangs."""
    with socket.create_server((ADDRESS, 0)) as silent:
        began = datetime.now(UTC)
        probe = HttpProbe(host=host, port=silent.getsockname()[1], timeout="500ms")
        answer = asyncio.run(http.probe_http(probe, ADDRESS))
    assert (answer.healthy, answer.detail) == (False, f"{ADDRESS} gave no answer in time")
    assert datetime.now(UTC) - began < IN_TIME


@pytest.mark.parametrize(
    "serve",
    [
        raw(),
        raw(b"\0\1\2\3"),
        raw(b"SSH-2.0-OpenSSH_9.6\r\n"),
        raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhea"),
        raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
        raw(b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 70_000 + b"\r\n\r\n"),
        raw(b"HTTP/1.1 999999 What\r\n\r\n"),
    ],
    ids=["closes", "noise", "ssh", "breaks off", "bad chunk", "long header", "bad status"],
)
def test_a_strange_answer_is_unwell_and_never_an_error(authority: Authority, serve: Serve) -> None:
    answer = ask(Site(serve))
    assert (answer.healthy, answer.hopeless) == (False, False)
    assert answer.detail.startswith(ADDRESS)


def test_a_connection_that_is_reset_is_unwell(authority: Authority) -> None:
    async def reset(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    assert not ask(Site(reset)).healthy
