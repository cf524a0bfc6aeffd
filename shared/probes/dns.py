"""The DNS probe: where does the host name resolve to?"""

from __future__ import annotations

import dns.asyncresolver
import dns.exception
import dns.resolver

from shared import settings


async def resolve(name: str, timeout: float = 3.0) -> list[str]:
    """The addresses that ``name`` resolves to now, following aliases; empty when there is no answer."""
    return await _asked(name, settings.dns_server(), timeout)


async def ask(name: str, resolver: str, timeout: float = 3.0) -> list[str]:
    """The same, as one resolver answers: an address, with a port where it is not 53."""
    host, _, port = resolver.partition(":")
    return await _asked(name, (host, int(port or 53)), timeout)


async def _asked(name: str, server: tuple[str, int] | None, timeout: float) -> list[str]:
    resolver = dns.asyncresolver.Resolver(configure=server is None)
    if server:
        resolver.nameservers = [server[0]]
        resolver.port = server[1]
    resolver.lifetime = timeout
    try:
        answer = await resolver.resolve(name, "A")
    except (dns.exception.DNSException, OSError):
        return []
    return sorted(record.address for record in answer)


async def same_place(hostname: str, target: str) -> bool:
    """Whether ``hostname`` resolves to the same address as ``target``, which is a name or an address."""
    found = set(await resolve(hostname))
    wanted = {target} if target.replace(".", "").isdigit() else set(await resolve(target))
    return bool(found) and found <= wanted
