"""A real DNS server on the loopback address: Traffic Manager's names, and the customers' aliases to them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from dnslib import CNAME, QTYPE, RCODE, RR, A, DNSRecord


class DnsServer(asyncio.DatagramProtocol):
    """Answers A queries. ``aliases`` point a customer's name to Traffic Manager's."""

    def __init__(
        self, resolve: Callable[[str], list[str] | None], ttl: Callable[[], int], aliases: dict[str, str]
    ) -> None:
        self._resolve = resolve
        self._ttl = ttl
        self._aliases = aliases
        self._transport: asyncio.DatagramTransport | None = None
        self.port = 0

    async def start(self, port: int = 0) -> None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=("127.0.0.1", port))
        self.port = transport.get_extra_info("sockname")[1]

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        try:
            query = DNSRecord.parse(data)
        except Exception:  # noqa: BLE001 (anything may arrive on a socket; only queries are answered)
            return
        if self._transport:
            self._transport.sendto(self._answer(query).pack(), addr)

    def _answer(self, query: DNSRecord) -> DNSRecord:
        reply = query.reply()
        name = str(query.q.qname).rstrip(".").lower()
        target = self._aliases.get(name)
        if target:
            reply.add_answer(RR(name, QTYPE.CNAME, rdata=CNAME(target), ttl=self._ttl()))
        addresses = self._resolve(target or name)
        if addresses is None:
            reply.header.rcode = RCODE.NXDOMAIN
        elif query.q.qtype in (QTYPE.A, QTYPE.ANY):
            for address in addresses:
                reply.add_answer(RR(target or name, QTYPE.A, rdata=A(address), ttl=self._ttl()))
        return reply

    def stop(self) -> None:
        if self._transport:
            self._transport.close()
