"""The HTTP probe: one GET to a given address, independent of DNS.

A server that answers is alive. A response that a strict HTTP client refuses (an odd header, a body that cannot be
decompressed) is read again as plain bytes: a status line is an answer, whatever follows it. A failed handshake says
nothing of the site's health, so it is untrusted, with TLS's reason.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import ssl
import zlib
from functools import lru_cache

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from shared import settings
from shared.models.probes import HttpProbe
from shared.probes.answer import ProbeAnswer

MAX_TEXT = 64 * 1024
_MAX_HEADER = 64 * 1024
_LONGEST_UNPACKED = 1024 * 1024
_PATIENCE = 1.0
"""Seconds for a second, plain request after a failed handshake."""
_SHARE = 0.5
"""The share of a probe's time-out for the body after the head."""
_READABLE = {"", "identity", "gzip", "deflate", "utf-8"}
_STATUS_LINE = re.compile(rb"\s*HTTP/\d(?:\.\d)? (\d{3})\b")


class _Fixed(AbstractResolver):
    """Resolves every name to one address, so that TLS and the Host header keep the site's name."""

    def __init__(self, address: str) -> None:
        self._address = address

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host, host=self._address, port=port, family=family, proto=0, flags=socket.AI_NUMERICHOST
            )
        ]

    async def close(self) -> None:
        return None


@lru_cache(maxsize=8)
def _verifying(authority: str | None = None) -> ssl.SSLContext:
    """Creating a context reads the whole CA bundle, so it is created once."""
    return ssl.create_default_context(cafile=authority)


async def probe_http(probe: HttpProbe, default_address: str | None = None) -> ProbeAnswer:
    """Sends one request and judges status and text.

    The certificate is verified against ``host``; a redirect is an answer of its own and is not followed. The text is
    searched in the first 64 KiB. Raises ``SettingError`` when a setting that the probe names is missing or is not an
    address.
    """
    address, port = settings.place(probe.connect_to or default_address or "", _default_port(probe))
    authority = settings.named(probe.certificate_authority) if probe.certificate_authority else None
    seconds = probe.timeout.total_seconds()
    try:
        async with asyncio.timeout(seconds):
            return await _ask(probe, address, port, _verifying(authority) if probe.host else None)
    except TimeoutError:
        if probe.host and await _status_line(address, port, b"GET / HTTP/1.0\r\n\r\n", None):
            words = f"{address} uses plain HTTP on port {port}, and the probe expects TLS"
            return ProbeAnswer(healthy=False, detail=words, answered=True, untrusted=True)
        return ProbeAnswer(healthy=False, detail=f"{address} gave no answer in time")


def _default_port(probe: HttpProbe) -> int:
    return probe.port or (443 if probe.host else 80)


async def _ask(probe: HttpProbe, address: str, port: int, tls: ssl.SSLContext | None) -> ProbeAnswer:
    url = f"{'https' if tls else 'http'}://{probe.host or _bracketed(address)}:{port}{probe.path}"
    connector = aiohttp.TCPConnector(resolver=_Fixed(address), use_dns_cache=False, ssl=tls or True)
    headers = {"Accept-Encoding": "identity"} | ({"Host": probe.host} if probe.host else {})
    try:
        async with (
            aiohttp.ClientSession(
                connector=connector,
                auto_decompress=False,
                max_line_size=_MAX_HEADER,
                max_field_size=_MAX_HEADER,
            ) as session,
            session.get(url, allow_redirects=False, headers=headers) as response,
        ):
            body = await _read(response, probe.timeout.total_seconds() * _SHARE)
            coding = response.headers.get("Content-Encoding", "").lower()
            judged = _judge(probe, address, response.status, _unpacked(body, coding), response.charset)
            if judged.healthy or response.status not in probe.expect.status or coding in _READABLE:
                return judged
            return _refused_by_us(f"{address} answered {response.status} with a page compressed as {coding}")
    except aiohttp.ClientConnectorCertificateError as error:
        return _refused_by_us(f"{address} answered, but {_certificate_trouble(error)}", hopeless=True)
    except aiohttp.ClientConnectorSSLError as error:
        return _refused_by_us(f"{address} answered, but the TLS handshake failed ({_tls_reason(error)})")
    except (aiohttp.ClientConnectorError, ConnectionError) as error:
        return await _no_connection(error, address, port, tls)
    except aiohttp.ClientResponseError:
        return await _read_leniently(probe, address, port, tls)
    except aiohttp.ServerDisconnectedError as error:
        if tls:
            words = f"{address} completed the TLS handshake and closed without an answer (client certificate required?)"
            return _refused_by_us(words)
        return ProbeAnswer(healthy=False, detail=f"{address} broke off ({type(error).__name__})")
    except aiohttp.InvalidURL as error:
        return ProbeAnswer(healthy=False, detail=f"{address} cannot be probed ({error})", untrusted=True)
    except aiohttp.ClientError as error:
        return ProbeAnswer(healthy=False, detail=f"{address} broke off ({type(error).__name__})")


def _judge(probe: HttpProbe, address: str, status: int, body: bytes, charset: str | None) -> ProbeAnswer:
    if status not in probe.expect.status:
        return ProbeAnswer(healthy=False, detail=f"{address} answered {status}", answered=True)
    if probe.expect.text and not _says(body, probe.expect.text, charset):
        words = f"{address} answered {status} with another page"
        return ProbeAnswer(healthy=False, detail=words, answered=True)
    return ProbeAnswer(healthy=True, detail=f"{address} answered {status}", answered=True)


def _says(body: bytes, text: str, charset: str | None) -> bool:
    """Whether a page contains a text, in its declared encoding or in those of old pages."""
    for letters in (charset, "utf-8", "utf-16" if body[:2] in (b"\xff\xfe", b"\xfe\xff") else None, "cp1252"):
        with contextlib.suppress(LookupError, ValueError):
            if letters and text in body.decode(letters, errors="replace"):
                return True
    return False


def _unpacked(body: bytes, coding: str) -> bytes:
    """A page that was compressed without being requested; one that only claims to be is used as it is."""
    raw_or_zlib = zlib.MAX_WBITS if body[:1] == b"x" else -zlib.MAX_WBITS
    window = {"gzip": 16 + zlib.MAX_WBITS, "deflate": raw_or_zlib}.get(coding)
    if window is not None:
        with contextlib.suppress(zlib.error):  # The beginning is enough: only so much of a page is read.
            return zlib.decompressobj(window).decompress(body, _LONGEST_UNPACKED)
    return body


async def resolved(probe: HttpProbe) -> set[str]:
    """The numeric addresses of a probe with an address of its own; none when the name does not resolve."""
    address, port = settings.place(probe.connect_to or "", _default_port(probe))
    try:
        found = await asyncio.get_running_loop().getaddrinfo(address, port, type=socket.SOCK_STREAM)
    except OSError:
        return set()
    return {str(place[0]) for *_, place in found}


async def _read(response: aiohttp.ClientResponse, seconds: float) -> bytes:
    """The first 64 KiB, in any number of chunks. The part of a page that arrives before a disconnect, or within
    ``seconds``, counts.
    """
    body = b""
    with contextlib.suppress(aiohttp.ClientPayloadError, TimeoutError):
        async with asyncio.timeout(seconds):
            while len(body) < MAX_TEXT and (piece := await response.content.read(MAX_TEXT - len(body))):
                body += piece
    return body


async def _read_leniently(probe: HttpProbe, address: str, port: int, tls: ssl.SSLContext | None) -> ProbeAnswer:
    """A response that aiohttp refuses: the status line counts, and the text is searched in everything after it."""
    host = probe.host or _bracketed(address)
    request = f"GET {probe.path} HTTP/1.1\r\nHost: {host}\r\nAccept: */*\r\nConnection: close\r\n\r\n".encode()
    answer = await _bytes_of(address, port, request, tls, probe.host, probe.timeout.total_seconds() * _SHARE)
    if not (found := _STATUS_LINE.match(answer)):
        return ProbeAnswer(healthy=False, detail=f"{address} broke off (it does not use HTTP)")
    status, text = int(found[1]), probe.expect.text
    if status in probe.expect.status and text and not _says(answer, text, None):
        words = f"{address} answered {status} with a page that cannot be read"
        return ProbeAnswer(healthy=False, detail=words, answered=True, untrusted=True)
    return _judge(probe, address, status, answer, None)


async def _status_line(address: str, port: int, request: bytes, tls: ssl.SSLContext | None) -> bool:
    """Whether a brief second request is answered with an HTTP status line."""
    return _STATUS_LINE.match(await _bytes_of(address, port, request, tls, None, _PATIENCE)) is not None


async def _bytes_of(
    address: str, port: int, request: bytes, tls: ssl.SSLContext | None, name: str | None, seconds: float
) -> bytes:
    """The first bytes of an answer that arrive within ``seconds``; empty when there is none."""
    answer, writer = b"", None
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_connection(
                address, port, ssl=tls, server_hostname=name if tls else None
            )
            writer.write(request)
            await writer.drain()
            while len(answer) < _MAX_HEADER + MAX_TEXT and (piece := await reader.read(MAX_TEXT)):
                answer += piece
    except (OSError, TimeoutError, asyncio.IncompleteReadError):
        pass
    finally:
        if writer:
            writer.close()
    return answer


async def _no_connection(
    error: aiohttp.ClientConnectorError | ConnectionError, address: str, port: int, tls: ssl.SSLContext | None
) -> ProbeAnswer:
    """A failed connection means that nothing answered; one that was closed in the handshake does not."""
    inner = getattr(error, "os_error", error)
    if isinstance(inner, socket.gaierror):
        words = f"{address} is a name that does not resolve"
        return ProbeAnswer(healthy=False, detail=words, untrusted=True)
    cut_off = isinstance(inner, ConnectionError) and not isinstance(inner, ConnectionRefusedError)
    if tls and cut_off and await _accepts(address, port):
        # No answer: a device in front may accept connections for a server that is gone.
        words = f"{address} accepts connections and closes them in the TLS handshake"
        return ProbeAnswer(healthy=False, detail=words, untrusted=True)
    return ProbeAnswer(healthy=False, detail=f"{address} {_why(inner)}")


async def _accepts(address: str, port: int) -> bool:
    try:
        async with asyncio.timeout(_PATIENCE):
            _, writer = await asyncio.open_connection(address, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


def _refused_by_us(detail: str, *, hopeless: bool = False) -> ProbeAnswer:
    return ProbeAnswer(healthy=False, detail=detail, answered=True, untrusted=True, hopeless=hopeless)


def _certificate_trouble(error: aiohttp.ClientConnectorCertificateError) -> str:
    """The problem with a certificate, in OpenSSL's words."""
    inner = error.certificate_error
    why = str(getattr(inner, "verify_message", "") or inner).rstrip(".")
    hint = ""
    if "local issuer" in why:
        hint = ": its intermediate certificate is not sent, or its authority is not known here"
    return f"its certificate is not accepted ({why}{hint})"


def _tls_reason(error: aiohttp.ClientConnectorSSLError) -> str:
    inner = getattr(error, "os_error", error)
    return str(getattr(inner, "reason", None) or type(inner).__name__).replace("_", " ").lower()


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _why(inner: BaseException) -> str:
    if isinstance(inner, ConnectionRefusedError):
        return "refused the connection"
    if isinstance(inner, ConnectionResetError):
        return "reset the connection"
    if isinstance(inner, TimeoutError):
        return "gave no answer in time"
    return "cannot be reached"
