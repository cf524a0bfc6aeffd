"""The HTTP probe: one GET to a given address, whatever DNS says."""

from __future__ import annotations

import asyncio
import socket
import ssl
from functools import lru_cache

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from shared import settings
from shared.errors import SettingError
from shared.plan import HttpProbe
from shared.probes.answer import ProbeAnswer

MAX_TEXT = 64 * 1024


class _Fixed(AbstractResolver):
    """Leads every name to one address, so that TLS and the Host header keep the site's name."""

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


@lru_cache(maxsize=1)
def _verifying() -> ssl.SSLContext:
    """Making a context reads the whole CA bundle, so it is made once."""
    return ssl.create_default_context()


async def probe_http(probe: HttpProbe, default_address: str | None = None) -> ProbeAnswer:
    """Asks once and judges by status and text.

    The certificate is verified against ``host``; a redirect is an answer of its own and is not followed. The text is
    looked for in the first 64 KiB.
    """
    address, port = _address(probe, default_address)
    scheme = "https" if probe.host else "http"
    shown = probe.host or address
    url = f"{scheme}://{shown}:{port}{probe.path}"
    connector = aiohttp.TCPConnector(resolver=_Fixed(address), use_dns_cache=False, ssl=_verifying())
    timeout = aiohttp.ClientTimeout(total=probe.timeout.total_seconds())
    try:
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
            session.get(url, allow_redirects=False, headers={"Host": probe.host} if probe.host else None) as response,
        ):
            body = (await _read(response)).decode(errors="replace")
    except TimeoutError:
        return ProbeAnswer(healthy=False, detail=f"{address} gave no answer in time")
    except aiohttp.ClientConnectorCertificateError:
        return ProbeAnswer(healthy=False, detail=f"{address} showed a certificate that is not {probe.host}'s")
    except (aiohttp.ClientConnectorError, ConnectionError) as error:
        return ProbeAnswer(healthy=False, detail=f"{address} {_why(error)}")
    except aiohttp.ClientError as error:
        return ProbeAnswer(healthy=False, detail=f"{address} broke off ({type(error).__name__})")
    if response.status not in probe.expect.status:
        return ProbeAnswer(healthy=False, detail=f"{address} answered {response.status}", answered=True)
    if probe.expect.text and probe.expect.text not in body:
        said = f"{address} answered {response.status} with another page"
        return ProbeAnswer(healthy=False, detail=said, answered=True)
    return ProbeAnswer(healthy=True, detail=f"{address} answered {response.status}", answered=True)


async def resolved(probe: HttpProbe) -> set[str]:
    """The numeric addresses that a probe with an address of its own would ask; none when the name leads nowhere."""
    address, port = _address(probe, None)
    try:
        found = await asyncio.get_running_loop().getaddrinfo(address, port, type=socket.SOCK_STREAM)
    except OSError:
        return set()
    return {str(place[0]) for *_, place in found}


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """The first 64 KiB, however many pieces they come in."""
    body = b""
    while len(body) < MAX_TEXT and (piece := await response.content.read(MAX_TEXT - len(body))):
        body += piece
    return body


def _address(probe: HttpProbe, default: str | None) -> tuple[str, int]:
    value = probe.connect_to or default or ""
    if value.isupper() and not value[0].isdigit():
        value = settings.named(value)
    host, _, port = value.partition(":")
    if not host or (port and not port.isdecimal()):
        raise SettingError(f"{probe.connect_to or 'The address'} is not an address with an optional port.")
    return host, int(port) if port else probe.port or (443 if probe.host else 80)


def _why(error: BaseException) -> str:
    inner = getattr(error, "os_error", error)
    if isinstance(inner, ConnectionRefusedError):
        return "refused the connection"
    if isinstance(inner, ConnectionResetError):
        return "reset the connection"
    if isinstance(inner, asyncio.TimeoutError):
        return "gave no answer in time"
    return "cannot be reached"
