"""Azurite, Microsoft's storage emulator, as processes of their own: tables and blobs over HTTPS with Entra tokens."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import signal
import sys
from pathlib import Path
from typing import Literal

from lab.processes import ChildStartError, reserve_ports

_AZURITE = Path(__file__).parent / "azurite" / "node_modules" / "azurite" / "dist" / "src"
_START_LIMIT = 55
"""Real seconds until Azurite counts as broken: a quiet machine needs two, a busy one more."""
ACCOUNT = "devstoreaccount1"
_WELL_KNOWN_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""Azurite's documented key, for tools that look into the tables; the app itself uses its identity."""


def _node() -> list[str]:
    """The Node that the set-up brought because the machine had none, or else the machine's own."""
    beside = Path(sys.executable).parent / "node"
    if beside.exists():
        return [str(beside)]
    if found := shutil.which("node"):
        return [found]
    raise ChildStartError("Azurite needs Node 20 or newer, and none was found. Run `make setup`, which brings one.")


class Azurite:
    """One service of an account. Starts, stops and starts again on the same data."""

    def __init__(
        self, folder: Path, port: int, certificate: Path, key: Path, service: Literal["table", "blob"] = "table"
    ) -> None:
        self._folder = folder
        self._service = service
        self._port = port
        self._certificate = certificate
        self._key = key
        self._process: asyncio.subprocess.Process | None = None
        self.endpoint = f"https://127.0.0.1:{port}/{ACCOUNT}"
        self.connection_string = (
            f"DefaultEndpointsProtocol=https;AccountName={ACCOUNT};AccountKey={_WELL_KNOWN_KEY};"
            f"TableEndpoint={self.endpoint};"
        )

    @property
    def running(self) -> bool:
        return self._process is not None

    @property
    def process_ids(self) -> list[int]:
        return [self._process.pid] if self._process else []

    async def start(self) -> None:
        """Returns once it reports that it listens: an answer on its port would prove nothing."""
        if self._process is not None:
            return
        entry = _AZURITE / self._service / "main.js"
        if not entry.exists():
            raise ChildStartError("Azurite is not installed. Run `make setup`.")
        data = self._folder / ("azurite" if self._service == "table" else "azurite-blobs")
        data.mkdir(exist_ok=True)
        command = [
            *_node(),
            str(entry),
            f"--{self._service}Host",
            "127.0.0.1",
            f"--{self._service}Port",
            str(self._port),
            "--location",
            str(data),
        ]
        command += ["--oauth", "basic", "--cert", str(self._certificate), "--key", str(self._key)]
        command += ["--silent", "--skipApiVersionCheck", "--disableTelemetry"]
        self._process = await _listening(command, self._folder / f"{data.name}.log")

    async def stop(self) -> None:
        await _ended(self._process)
        self._process = None


async def _listening(command: list[str], log_file: Path, services: int = 1) -> asyncio.subprocess.Process:
    """Starts Azurite and waits until it says that each of its services listens. Raises ``ChildStartError``."""
    before = len(_log_of(log_file))
    with log_file.open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log
        )
    for _ in range(10 * _START_LIMIT):
        if process.returncode is not None:
            raise ChildStartError(f"Azurite ended at once; see {log_file}.")
        if len(re.findall(rb"successfully (?:started|listen)", _log_of(log_file)[before:])) >= services:
            return process
        await asyncio.sleep(0.1)
    await _ended(process)
    raise ChildStartError(f"Azurite did not start within {_START_LIMIT} seconds; see {log_file}.")


def _log_of(log_file: Path) -> bytes:
    return log_file.read_bytes() if log_file.exists() else b""


async def _ended(process: asyncio.subprocess.Process | None) -> None:
    """Ends Azurite, which writes its data to disk on SIGINT, and only then."""
    if process is None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGINT)
    try:
        await asyncio.wait_for(process.wait(), 5)
    except TimeoutError:
        process.kill()
        await process.wait()


class EngineStorage:
    """Blobs, queues and tables for a durable engine, in one process and without certificates: it is no part of Azure
    that the app sees.
    """

    def __init__(self, folder: Path) -> None:
        self._log = folder / "azurite-engine.log"
        self._reserved = reserve_ports(3)
        blob, queue, table = (port for port, _ in self._reserved)
        self._ports = {"blob": blob, "queue": queue, "table": table}
        places = (
            f"{name.capitalize()}Endpoint=http://127.0.0.1:{port}/{ACCOUNT}" for name, port in self._ports.items()
        )
        self.connection_string = ";".join(
            ["DefaultEndpointsProtocol=http", f"AccountName={ACCOUNT}", f"AccountKey={_WELL_KNOWN_KEY}", *places]
        )
        self._process: asyncio.subprocess.Process | None = None

    @property
    def process_ids(self) -> list[int]:
        return [self._process.pid] if self._process else []

    async def start(self) -> None:
        command = [*_node(), str(_AZURITE / "azurite.js")]
        for name, port in self._ports.items():
            command += [f"--{name}Host", "127.0.0.1", f"--{name}Port", str(port)]
        command += ["--silent", "--skipApiVersionCheck", "--disableTelemetry", "--inMemoryPersistence"]
        self._process = await _listening(command, self._log, services=3)

    async def stop(self) -> None:
        await _ended(self._process)
        self._process = None
        for _, reservation in self._reserved:
            reservation.close()
