"""Customers: they resolve the shop's name through the lab's DNS, cache it for its TTL, read pages, place orders.

So downtime, lost orders and double service are measured, not assumed.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from lab.clock import Clock
from lab.site.iis import Page


@dataclass
class Acknowledged:
    """An order that a site acknowledged, in simulated seconds."""

    number: str
    at: float
    site: str


@dataclass
class Tally:
    """The customers' observations."""

    requests: int = 0
    failed: int = 0
    served_by: dict[str, int] = field(default_factory=lambda: {"primary": 0, "recovery": 0})
    orders: list[Acknowledged] = field(default_factory=list)
    first_failure: float | None = None
    last_failure: float | None = None
    last_answer: float = 0.0
    last_order: float = 0.0
    longest_without_answer: float = 0.0
    longest_without_order: float = 0.0
    window: float = 10.0
    """The longest time between two answers of a shop that is up."""
    dark_since_order: float = 0.0

    def answered(self, at: float) -> None:
        """A customer got a good answer."""
        if at - self.last_answer > self.window:
            self.dark_since_order += at - self.last_answer
        self.longest_without_answer, self.last_answer = self.dark_seconds(at), at

    def acknowledged(self, order: Acknowledged) -> None:
        """An order was acknowledged."""
        self.longest_without_order, self.last_order = self.write_stop_seconds(order.at), order.at
        self.dark_since_order = 0.0
        self.orders.append(order)

    def dark_seconds(self, now: float) -> float:
        """The longest time without a good answer until now."""
        return max(self.longest_without_answer, now - self.last_answer)

    def write_stop_seconds(self, now: float) -> float:
        """The longest time without an acknowledged order until now, but for what of it was dark altogether: the shop
        showed its pages and took no orders.
        """
        dark = self.dark_since_order + (now - self.last_answer if now - self.last_answer > self.window else 0.0)
        return max(self.longest_without_order, now - self.last_order - dark)

    def dual_served_seconds(self, window: float) -> float:
        """Time in which both sites acknowledged orders, counted in windows of so many simulated seconds."""
        seen: dict[int, set[str]] = {}
        for order in self.orders:
            seen.setdefault(int(order.at // window), set()).add(order.site)
        return window * sum(len(sites) > 1 for sites in seen.values())


class Customers:
    """A steady stream of page views and orders."""

    def __init__(
        self,
        clock: Clock,
        host: str,
        port: int,
        resolve: Callable[[str], Awaitable[tuple[list[str], float]]],
        tls: ssl.SSLContext,
        every: float = 5.0,
    ) -> None:
        self._clock = clock
        self._host = host
        self._port = port
        self._resolve = resolve
        self._tls = tls
        self._every = max(every, clock.speed * 0.1)
        self._cached: tuple[list[str], float] = ([], -1.0)
        self._kept_for = 0.0
        self._number = 0
        self.tally = Tally()

    @property
    def window(self) -> float:
        """The resolution of everything measured here, in simulated seconds."""
        return self._every * 2

    def restart(self) -> None:
        """Discards the observations so far: the timeline begins now."""
        self._cached = ([], -1.0)
        now = self._clock.now
        self.tally = Tally(last_answer=now, last_order=now, window=self.window)

    def keep_answers(self, seconds: float) -> None:
        """From now on the resolvers of these customers keep an answer for so long, whatever its TTL; also the one that
        they have. Some providers do.
        """
        self._kept_for = seconds
        addresses, until = self._cached
        self._cached = (addresses, max(until, self._clock.ticks + seconds))

    async def run(self) -> None:
        """One page view or order every few simulated seconds, whatever the result of the one before."""
        running: set[asyncio.Task[None]] = set()
        timeout = aiohttp.ClientTimeout(total=2.5)
        async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(force_close=True)) as session:
            try:
                while True:
                    task = asyncio.create_task(self._visit(session))
                    running.add(task)
                    task.add_done_callback(running.discard)
                    await self._clock.sleep(self._every)
            finally:
                for task in running:
                    task.cancel()
                await asyncio.gather(*running, return_exceptions=True)

    async def _visit(self, session: aiohttp.ClientSession) -> None:
        self._number += 1
        number = f"order-{self._number:06d}" if self._number % 2 else None
        self.tally.requests += 1
        try:
            page = await self._ask(session, await self._address(), number)
            if page.status != 200 or (number and page.text != number):
                raise aiohttp.ClientError(f"{page.status}")
        except (aiohttp.ClientError, TimeoutError, OSError, LookupError):
            self._failed()
            return
        self.tally.served_by[page.site] = self.tally.served_by.get(page.site, 0) + 1
        self.tally.answered(self._clock.now)
        if number:
            self.tally.acknowledged(Acknowledged(number, self._clock.now, page.site))

    async def _ask(self, session: aiohttp.ClientSession, address: str, number: str | None) -> Page:
        """Places an order, or reads the front page."""
        url = f"https://{address}:{self._port}" + ("/orders" if number else "/")
        options: Any = {"ssl": self._tls, "server_hostname": self._host, "headers": {"Host": self._host}}
        method = "POST" if number else "GET"
        async with session.request(method, url, data=number, **options) as response:
            return Page(response.status, await response.text(), response.headers.get("X-Served-By", ""))

    def _failed(self) -> None:
        self.tally.failed += 1
        now = self._clock.now
        self.tally.first_failure = now if self.tally.first_failure is None else self.tally.first_failure
        self.tally.last_failure = now

    async def _address(self) -> str:
        addresses, until = self._cached
        if not addresses or self._clock.ticks >= until:
            addresses, ttl = await self._resolve(self._host)
            if not addresses:
                raise LookupError("no address")
            self._cached = (addresses, self._clock.ticks + max(ttl, self._kept_for))
        return addresses[self._number % len(addresses)]
