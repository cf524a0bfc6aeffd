"""Child processes of the lab: each says one JSON line when it is ready and ends when its standard input closes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import socket
from pathlib import Path
from typing import Any


class ChildStartError(Exception):
    """A child process ended before it was ready; the message names its log."""


class ChildProcess:
    """One child that serves until the lab closes its standard input, or until it is killed."""

    def __init__(self, process: asyncio.subprocess.Process, hello: dict[str, Any]) -> None:
        self._process = process
        self.hello = hello

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.returncode is None

    @classmethod
    async def start(
        cls, command: list[str], log: Path, env: dict[str, str] | None = None, cwd: Path | None = None
    ) -> ChildProcess:
        """Starts ``command`` and waits for its first line of output, which must be a JSON object."""
        with log.open("ab") as errors:
            try:
                process = await asyncio.create_subprocess_exec(
                    *command,
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=errors,
                    env=env,
                    cwd=cwd,
                )
            except OSError as error:
                raise ChildStartError(f"{command[0]} cannot be started: {error.strerror}. Is it on PATH?") from error
        assert process.stdout is not None
        line = await process.stdout.readline()
        if not line:
            await process.wait()
            raise ChildStartError(f"{' '.join(command)} ended with status {process.returncode}; see {log}.")
        return cls(process, json.loads(line))

    async def stop(self) -> None:
        """Ends the child and waits until it is gone."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()
        transport = getattr(self._process, "_transport", None)
        if transport is not None:
            transport.close()


def reserve_ports(count: int) -> list[tuple[int, socket.socket]]:
    """Ports for one lab, each with the socket that keeps other labs on this machine away from it until it is closed.

    They lie below the range from which outgoing connections take theirs, so that none is lost between choosing and use.
    """
    reserved: list[tuple[int, socket.socket]] = []
    for port in random.sample(range(20000, 32000), 200):
        reservation = socket.socket()
        try:
            reservation.bind(("127.255.0.1", port))
        except OSError:
            reservation.close()
            continue
        reserved.append((port, reservation))
        if len(reserved) == count:
            return reserved
    raise OSError("No ports are free between 20000 and 32000.")
