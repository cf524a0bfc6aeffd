"""Real-world web servers: a page that customers see is up, even if a strict client rejects its headers."""

from __future__ import annotations

import asyncio
import gzip
import zlib

import pytest

from shared.models.evidence import Evidence
from tests.lab.speakers import ADDRESS, SETTINGS, judged, page_signal, speaking


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)


def page(body: bytes = b"healthy", status: bytes = b"200 OK", headers: bytes = b"") -> bytes:
    length = str(len(body)).encode()
    return b"HTTP/1.1 " + status + b"\r\nContent-Length: " + length + b"\r\n" + headers + b"\r\n" + body


def chunked(body: bytes, end: bool = True, headers: bytes = b"") -> bytes:
    tail = b"0\r\n\r\n" if end else b""
    size = f"{len(body):x}".encode()
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n" + headers
    return head + b"\r\n" + size + b"\r\n" + body + b"\r\n" + tail


def deflated(wbits: int) -> bytes:
    packer = zlib.compressobj(wbits=wbits)
    return packer.compress(b"healthy") + packer.flush()


def ask(answer: bytes, text: str = "healthy", *, stays: bool = False) -> Evidence:
    async def both() -> Evidence:
        async with speaking(answer, stays=stays) as port:
            return (await judged(public=page_signal(port, expect={"text": text})))["public"]

    return asyncio.run(both())


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
SEEN_BY_CUSTOMERS = {
    "a plain page": page(),
    "a policy header of 9,000 bytes": page(
        headers=b"Content-Security-Policy: " + b"https://cdn.example " * 450 + b"\r\n"
    ),
    "a cookie of 9,000 bytes": page(headers=b"Set-Cookie: ASPXAUTH=" + b"A" * 9000 + b"\r\n"),
    "forty headers of 900 bytes": page(headers=b"".join(b"X-%d: " % n + b"A" * 900 + b"\r\n" for n in range(40))),
    "150 headers": page(headers=b"".join(b"X-%d: a\r\n" % n for n in range(150))),
    "a header beyond 64 KiB": page(headers=b"X-Long: " + b"x" * 70_000 + b"\r\n"),
    "gzip unasked": page(gzip.compress(b"healthy"), headers=b"Content-Encoding: gzip\r\n"),
    "gzip cut off": page(gzip.compress(b"healthy " + b"x" * 500)[:-12], headers=b"Content-Encoding: gzip\r\n"),
    "gzip with bytes behind it": page(gzip.compress(b"healthy") + b"more", headers=b"Content-Encoding: gzip\r\n"),
    "gzip in chunks": chunked(gzip.compress(b"healthy"), headers=b"Content-Encoding: gzip\r\n"),
    "deflate": page(deflated(15), headers=b"Content-Encoding: deflate\r\n"),
    "deflate without its head, as IIS sends it": page(deflated(-15), headers=b"Content-Encoding: deflate\r\n"),
    "says gzip and is plain": page(headers=b"Content-Encoding: gzip\r\n"),
    "says br and is plain": page(headers=b"Content-Encoding: br\r\n"),
    "identity": page(headers=b"Content-Encoding: identity\r\n"),
    "letters named as an encoding": page(headers=b"Content-Encoding: UTF-8\r\n"),
    "chunks without an end": chunked(b"healthy", end=False),
    "a length that is too large": b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhealthy",
    "no length": b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhealthy",
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\n\r\nhealthy",
    "no reason": page(status=b"200 "),
    "no reason and no blank": page(status=b"200"),
    "a reason in latin-1": page(status="200 Erfüllt".encode("latin-1")),
    "a header in latin-1": page(headers="X-Standort: München\r\n".encode("latin-1")),
    "a header's name with a blank": page(headers=b"X Powered By: ASP\r\n"),
    "a blank before the colon": page(headers=b"X-Powered-By : ASP\r\n"),
    "a header without a value": page(headers=b"X-Empty:\r\n"),
    "a folded header": page(headers=b"X-Long: a\r\n b\r\n"),
    "lines that end with LF": b"HTTP/1.1 200 OK\nContent-Length: 7\n\nhealthy",
    "its length twice": page(headers=b"Content-Length: 7\r\n"),
    "a length and chunks": chunked(b"healthy", headers=b"Content-Length: 7\r\n"),
    "chunked twice": chunked(b"healthy", headers=b"Transfer-Encoding: chunked\r\n"),
    "blanks after a chunk's size": CHUNKED + b"7  \r\nhealthy\r\n0\r\n\r\n",
    "a chunk's extension": CHUNKED + b"7;x=y\r\nhealthy\r\n0\r\n\r\n",
    "early hints first": b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n" + page(),
    "continue first": b"HTTP/1.1 100 Continue\r\n\r\n" + page(),
    "an empty line first": b"\r\n" + page(),
    "NUL in a header": page(headers=b"X-A: a\x00b\r\n"),
    "a control letter in a header": page(headers=b"X-A: a\x01b\r\n"),
    "a cookie of odd letters": page(headers=b'Set-Cookie: {"a": 1}; path=/\r\n'),
    "HTTP/2 offered": page(headers=b"Upgrade: h2,h2c\r\nConnection: Upgrade, close\r\n"),
}


@pytest.mark.parametrize("answer", SEEN_BY_CUSTOMERS.values(), ids=SEEN_BY_CUSTOMERS)
def test_a_page_that_customers_see_is_up(answer: bytes) -> None:
    found = ask(answer)
    assert (found.state, found.detail) == ("up", f"{ADDRESS} answered 200")


@pytest.mark.parametrize(
    "answer",
    [page(), page(headers=b"X Powered By: ASP\r\n"), page(headers=b"Content-Length: 7\r\n"), chunked(b"healthy")],
    ids=["a plain page", "odd headers", "its length twice", "chunks"],
)
def test_a_page_of_a_server_that_keeps_its_connections_is_up(answer: bytes) -> None:
    assert ask(answer, stays=True).state == "up"


@pytest.mark.parametrize("coding", ["br", "zstd"])
def test_a_page_that_cannot_be_unpacked_is_no_data_and_proves_that_the_site_lives(coding: str) -> None:
    found = ask(page(b"\x1b\x0f\x01\x00\xe4\x8c\x94\x6e\xda\x27", headers=f"Content-Encoding: {coding}\r\n".encode()))
    assert (found.state, found.spoke) == ("no_data", True)
    assert coding in found.detail


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (b"301 Moved Permanently", b"Location: https://shop.contoso.example/health\r\n"),
        (b"401 Unauthorized", b"WWW-Authenticate: Negotiate\r\nWWW-Authenticate: NTLM\r\n"),
        (b"403 Forbidden", b""),
        (b"429 Too Many Requests", b"Retry-After: 60\r\n"),
        (b"503 Service Unavailable", b"Server: Microsoft-HTTPAPI/2.0\r\n"),
        (b"400 Bad Request", b""),
        (b"503 Service Unavailable", b"X Powered By: ASP\r\n"),
    ],
)
def test_another_status_is_down_and_named_however_odd_the_headers(status: bytes, headers: bytes) -> None:
    found = ask(page(b"healthy", status, headers))
    assert (found.state, found.detail) == ("down", f"{ADDRESS} answered {status[:3].decode()}")


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(page(b"x", headers=b"X A: 1\r\n"), id="another page under odd headers"),
        pytest.param(
            page(gzip.compress(b"healthy"), headers=b"X A: 1\r\nContent-Encoding: gzip\r\n"),
            id="packed under odd headers",
        ),
    ],
)
def test_a_page_that_cannot_be_read_is_no_data_and_proves_that_the_site_lives(answer: bytes) -> None:
    found = ask(answer)
    assert (found.state, found.counts_as, found.spoke) == ("no_data", "no_data", True)
    assert "cannot be read" in found.detail


@pytest.mark.parametrize(
    ("letters", "declared"),
    [
        ("cp1252", "windows-1252"),
        ("utf-8", "utf-8"),
        ("utf-16", "utf-16"),
        ("cp1252", "no-such-letters"),
        ("cp1252", None),
        ("utf-16", None),
    ],
)
def test_a_text_is_found_in_the_letters_that_a_page_is_written_in(letters: str, declared: str | None) -> None:
    named = f"Content-Type: text/html; charset={declared}\r\n".encode() if declared else b""
    assert ask(page("Verfügbar".encode(letters), headers=named), "Verfügbar").state == "up"


@pytest.mark.parametrize("answer", [b"SSH-2.0-OpenSSH_9.6\r\n", b"\0\1\2\3", b"220 mail ESMTP\r\n"])
def test_what_speaks_another_protocol_is_down(answer: bytes) -> None:
    assert ask(answer).state == "down"
