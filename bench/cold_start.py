"""How much of a cold start is Coldsite's own: the package indexed by the worker, against a durable app that is empty.

Both run on the same Python, with the same installed packages and the same worker, in turns, and only their ratio is
told: the seconds of this machine are not Azure's.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from pathlib import Path

from lab.host.wire import WorkerProcess
from lab.options import PROJECT, Installed
from lab.package import install

EMPTY = """
import azure.durable_functions as df

app = df.DFApp()


@app.orchestration_trigger(context_name="context")
def nothing(ctx, data):
    return data
"""
ROUNDS = 7


async def index(app: Path, installed: Installed, folder: Path) -> float:
    """Seconds from the start of a worker's process until it has told every function of the app."""
    settings = {"PYTHONPATH": str(installed.platform), "COLDSITE_PLANS": str(PROJECT / "plans")}
    began = time.perf_counter()
    worker = await WorkerProcess.start(app, settings, folder, folder / "worker.log", installed.python)
    took = time.perf_counter() - began
    await worker.stop()
    return took


async def measure() -> tuple[list[float], list[float]]:
    with tempfile.TemporaryDirectory(prefix="coldsite-cold-") as name:
        folder = Path(name)
        installed = await install(folder)
        empty = folder / "empty"
        empty.mkdir()
        (empty / "function_app.py").write_text(EMPTY)
        (empty / "host.json").write_text('{"version": "2.0"}')
        for app in (empty, installed.folder):  # Python writes its bytecode once.
            await index(app, installed, folder)
        ours, theirs = [], []
        for _ in range(ROUNDS):
            theirs.append(await index(empty, installed, folder))
            ours.append(await index(installed.folder, installed, folder))
        return ours, theirs


def main() -> None:
    ours, theirs = asyncio.run(measure())
    ratio = statistics.median(ours) / statistics.median(theirs)
    print(
        f"cold start, {ROUNDS} rounds in turns: an empty durable app {statistics.median(theirs):.2f} s, "
        f"Coldsite {statistics.median(ours):.2f} s, ratio {ratio:.2f}"
    )


if __name__ == "__main__":
    main()
