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

from lab.processes import ChildStartError

_AZURITE = Path(__file__).parent / "azurite" / "node_modules" / "azurite" / "dist" / "src"
_START_LIMIT = 55
"""Real seconds until Azurite is taken for broken: a quiet machine needs two, a busy one more."""
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
        """Returns once it says that it listens: that something answers on its port would prove nothing."""
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
        log_file = self._folder / f"{data.name}.log"
        log_file.touch()
        said = log_file.stat().st_size
        with log_file.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *command, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log
            )
        for _ in range(10 * _START_LIMIT):
            if self._process.returncode is not None:
                self._process = None
                raise ChildStartError(f"Azurite ended at once; see {log_file}.")
            if re.search(rb"successfully (started|listens)", log_file.read_bytes()[said:]):
                return
            await asyncio.sleep(0.1)
        await self.stop()
        raise ChildStartError(f"Azurite did not start within {_START_LIMIT} seconds; see {log_file}.")

    async def stop(self) -> None:
        """Ends the process; Azurite writes its data to disk on SIGINT, and only then."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGINT)
        try:
            await asyncio.wait_for(self._process.wait(), 5)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        self._process = None
