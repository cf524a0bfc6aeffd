"""The SQL Server stand-in for independent clients: one server with TLS and one without."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme

from lab.site.sql_server import ShopOrder, SqlServer
from tests.lab.peer import free_port
from tests.loops import LoopThread, collect_quietly

PLAIN, SECURE = "127.77.0.1", "127.77.0.2"
PORT = free_port()
USER, PASSWORD = "probe", "pa:ss wörd"
NEWEST = (datetime.now(UTC) - timedelta(hours=1)).replace(microsecond=123456, tzinfo=None)
"""UTC, and in the past: a commit time in the future does not count."""
ORDERS = [
    ShopOrder("first", f"{(NEWEST - timedelta(hours=1)).isoformat()}+00:00"),
    ShopOrder("second", f"{NEWEST.isoformat()}+00:00"),
]


class Server:
    """One server with TLS and one without, on a loop of their own. ``authority`` is the CA file of the one with."""

    def __init__(self, folder: Path) -> None:
        authority = trustme.CA()
        self.authority = folder / "ca.pem"
        authority.cert_pem.write_to_path(str(self.authority))
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(SECURE).configure_cert(tls)
        self.loop = LoopThread()
        self._servers = {
            address: self.loop.call(lambda tls=context: SqlServer("SQL01", "Orders", USER, PASSWORD, tls))
            for address, context in ((PLAIN, None), (SECURE, tls))
        }
        for address, server in self._servers.items():
            self.loop.run(server.listen(address, PORT))
            self.loop.call(lambda server=server: server.load(ORDERS))

    def close(self) -> None:
        for server in self._servers.values():
            self.loop.run(server.stop())
        self.loop.close()
        del self._servers, self.loop
        collect_quietly()

    def state(self, value: str) -> None:
        self.loop.call(lambda: setattr(self._servers[PLAIN], "state", value))

    def orders(self, after: int = 0) -> list[ShopOrder]:
        return self.loop.call(lambda: self._servers[PLAIN].orders(after))

    def listen(self, address: str) -> None:
        self.loop.run(self._servers[PLAIN].listen(address, PORT))

    def refuse(self, address: str) -> None:
        self.loop.run(self._servers[PLAIN].refuse(address))
