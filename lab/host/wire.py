"""The host's side of a worker: starts the process, sends invocations, matches answers, notices its death."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
import uuid
from pathlib import Path
from typing import Any

MAX_LINE = 64 * 1024 * 1024


class WorkerDiedError(Exception):
    """The worker process ended before it answered."""


class WorkerStartError(Exception):
    """The worker could not index the app; the message is its traceback."""


class WorkerProcess:
    """One running worker and its socket."""

    def __init__(
        self, process: asyncio.subprocess.Process, server: asyncio.Server, index: list[dict[str, Any]]
    ) -> None:
        self._process = process
        self._server = server
        self._waiting: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._writer: asyncio.StreamWriter | None = None
        self.index = index
        self.gone = asyncio.Event()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def busy(self) -> int:
        """How many invocations it is working on."""
        return len(self._waiting)

    @classmethod
    async def start(
        cls, app_dir: Path, settings: dict[str, str], folder: Path, log: Path, python: str = sys.executable
    ) -> WorkerProcess:
        """Starts a worker for ``app_dir`` whose environment is exactly ``settings``, on the interpreter ``python``.

        Raises ``WorkerStartError`` with the worker's own words when the app cannot be indexed.
        """
        path = folder / f"worker-{uuid.uuid4().hex[:8]}.sock"
        connected: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        server = await asyncio.start_unix_server(
            lambda reader, writer: connected.set_result((reader, writer)), path=path, limit=MAX_LINE
        )
        command = [python, "-m", "lab.host.worker", "--socket", str(path), "--app", str(app_dir)]
        with log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *command, env=settings, stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output
            )
        try:
            ended: asyncio.Future[Any] = asyncio.ensure_future(process.wait())
            await asyncio.wait([connected, ended], return_when=asyncio.FIRST_COMPLETED)
            if not connected.done():
                raise WorkerStartError(f"The worker ended at once with status {process.returncode}; see {log}.")
            reader, writer = connected.result()
            first = await reader.readline()
            hello: dict[str, Any] = json.loads(first) if first else {"index_error": f"The worker ended; see {log}."}
            if "index_error" in hello:
                writer.close()
                raise WorkerStartError(hello["index_error"])
        except BaseException:
            server.close()
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            raise
        worker = cls(process, server, hello["index"])
        worker._writer = writer
        asyncio.create_task(worker._read(reader), name=f"worker-{process.pid}")
        return worker

    async def invoke(self, function: str, inputs: list[tuple[str, str, Any]]) -> dict[str, Any]:
        """Runs one function; raises ``WorkerDiedError`` if the process goes before it answers."""
        if self.gone.is_set() or self._writer is None:
            raise WorkerDiedError(f"Worker {self.pid} is gone.")
        message: dict[str, Any] = {"id": uuid.uuid4().hex, "function": function, "inputs": inputs}
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[message["id"]] = answer
        try:
            self._writer.write(json.dumps(message).encode() + b"\n")
            return await answer
        finally:
            self._waiting.pop(message["id"], None)

    async def _read(self, reader: asyncio.StreamReader) -> None:
        """Delivers answers until the connection ends. How it ends does not matter: a write before the end is read makes
        it a broken pipe, and no call may wait for a dead worker.
        """
        try:
            with contextlib.suppress(OSError, ValueError):
                while (line := await reader.readline()).endswith(b"\n"):
                    message = json.loads(line)
                    waiting = self._waiting.get(message["id"])
                    if waiting and not waiting.done():
                        waiting.set_result(message)
        finally:
            self._bury()

    def _bury(self) -> None:
        """Fails every waiting call: the worker is gone."""
        self.kill()
        self.gone.set()
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(WorkerDiedError(f"Worker {self.pid} died."))
        self._server.close()
        if self._writer:
            self._writer.close()

    def ask_where_it_stands(self) -> None:
        """Makes the worker write the stack of every thread into its log."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGUSR1)

    def kill(self) -> None:
        """Ends the process at once, as a crash would."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def stop(self) -> None:
        """Ends the process and waits until it is gone."""
        self.kill()
        await self._process.wait()
        await self.gone.wait()
