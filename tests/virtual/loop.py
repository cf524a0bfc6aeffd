"""An event loop in which no time passes: when nothing is ready, its clock jumps to what is due next.

Everything runs in one thread, and ``datetime.now`` follows the loop, so that hours of a plan's life take seconds.
"""

from __future__ import annotations

import asyncio
import selectors
import socket
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

import time_machine

BEGINNING = datetime(2027, 1, 15, 3, 0, tzinfo=UTC)


class _Jumping(selectors.DefaultSelector):
    """Never waits: time that would be waited for is passed to ``jump``."""

    def __init__(self, jump: Callable[[float], None]) -> None:
        super().__init__()
        self._jump = jump

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout is None:
            raise RuntimeError("Everything waits, and nothing is due.")
        if not ready and timeout:
            self._jump(timeout)
        return ready


class _Nowhere(asyncio.Transport):
    """A connection over which nothing goes: it was only to be made."""

    def close(self) -> None:
        return None

    def is_closing(self) -> bool:
        return True


class VirtualLoop(asyncio.SelectorEventLoop):
    """``listening`` says whether a server listens at an address; connections lead nowhere else."""

    def __init__(self) -> None:
        super().__init__(_Jumping(self._pass))
        self._microseconds = 0
        self._journey = time_machine.travel(BEGINNING, tick=False)
        self._clock = self._journey.start()
        self.listening: Callable[[str, int], bool] = lambda host, port: False

    def _pass(self, seconds: float) -> None:
        """In whole microseconds, so that ``time.time`` and ``datetime.now`` name the same one."""
        self._microseconds += max(1, round(seconds * 1e6))
        self._clock.move_to(BEGINNING.timestamp() + (self._microseconds + 0.5) / 1e6)

    def time(self) -> float:
        return self._microseconds / 1e6

    def close(self) -> None:
        if not self.is_closed():
            self._journey.stop()
        super().close()

    # A thread would need real time, and a socket would reach out of this world.

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> Any:
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 (it is the future's)
            future.set_exception(error)
        return future

    async def getaddrinfo(self, host: Any, port: Any, **hints: Any) -> Any:
        return socket.getaddrinfo(host, port, **{**hints, "flags": socket.AI_NUMERICHOST})

    async def create_connection(self, protocol_factory: Any, host: Any = None, port: Any = None, **_: Any) -> Any:
        if not self.listening(str(host), int(port)):
            raise ConnectionRefusedError(f"{host}:{port} refuses the connection")
        protocol = protocol_factory()
        transport = _Nowhere()
        protocol.connection_made(transport)
        return transport, protocol


def run[T](main: Callable[[VirtualLoop], Coroutine[Any, Any, T]]) -> T:
    """Runs ``main`` in a loop of its own until it is done."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, VirtualLoop)
        return runner.run(main(loop))
