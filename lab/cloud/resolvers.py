"""The resolvers between customers and Traffic Manager: each keeps an answer for its TTL, and asks again then."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from lab.clock import Clock
from lab.cloud.dns_server import DnsServer
from lab.cloud.traffic_manager import TrafficManager

_COUNT = 3


class CachingResolver:
    """One resolver that many customers use, so that its answer is always warm. ``begins`` is the part of the TTL after
    which it first asks, so that no two resolvers ask at once.
    """

    def __init__(
        self,
        clock: Clock,
        ttl: float,
        begins: float,
        ask: Callable[[str], list[str] | None],
        hostname: str,
        aliases: dict[str, str],
    ) -> None:
        self._clock = clock
        self._ttl = ttl
        self._begins = begins
        self._ask = ask
        self._hostname = hostname
        self._kept: list[str] | None = None
        self._until = 0.0
        self._work: asyncio.Task[None] | None = None
        self.server = DnsServer(self.resolve, self.ttl_left, aliases)

    async def start(self, *, listens: bool = True) -> None:
        self._work = asyncio.create_task(self._keep_warm())
        if listens:
            await self.server.start()

    async def stop(self) -> None:
        if self._work:
            self._work.cancel()
        self.server.stop()

    def resolve(self, name: str) -> list[str] | None:
        """The answer that it keeps; None for a name that is not the profile's."""
        return self._kept if name.lower().rstrip(".") == self._hostname else None

    def ttl_left(self) -> int:
        """Real seconds until it asks again."""
        return max(0, round(self._clock.real(self._until - self._clock.ticks)))

    async def _keep_warm(self) -> None:
        self._kept, self._until = self._ask(self._hostname), self._clock.ticks + self._ttl * self._begins
        while True:
            await self._clock.sleep(self._until - self._clock.ticks)
            self._kept, self._until = self._ask(self._hostname), self._clock.ticks + self._ttl


class Resolvers:
    """Three of them."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.all: list[CachingResolver] = []

    async def start(self, traffic: TrafficManager, aliases: dict[str, str], *, listens: bool = True) -> None:
        for number in range(_COUNT):
            begins = (number + 1) / _COUNT
            resolver = CachingResolver(self._clock, traffic.ttl, begins, traffic.resolve, traffic.fqdn, aliases)
            await resolver.start(listens=listens)
            self.all.append(resolver)

    async def stop(self) -> None:
        for resolver in self.all:
            await resolver.stop()
