"""Ending a listener without losing a connection that is being accepted just then."""

from __future__ import annotations

import asyncio


async def stop_listening(server: asyncio.Server) -> None:
    """Accepts nothing more, and cuts every connection that was accepted.

    asyncio accepts in two turns of the loop; a server that is closed between them leaves an open socket behind. So it
    stops accepting first, and is closed when pending connections have arrived.
    """
    loop = asyncio.get_running_loop()
    for socket in server.sockets:
        loop.remove_reader(socket.fileno())
    for _ in range(3):
        await asyncio.sleep(0)
    server.close()
    server.abort_clients()
