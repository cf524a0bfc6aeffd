"""A small app, and a lab that runs it in the real worker process behind the real host and hub."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import signal
import threading
from collections.abc import Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import grpc
from durabletask.client import OrchestrationState, TaskHubGrpcClient
from durabletask.internal import orchestrator_service_pb2 as pb
from durabletask.internal import orchestrator_service_pb2_grpc as stubs

from lab.host.server import FunctionsHost
from tests.waiting import LIMIT, wait_until

REPOSITORY = Path(__file__).parents[2]

APP = '''
import json, os, socket, stat, threading
from datetime import timedelta
from pathlib import Path

import azure.durable_functions as df
import azure.functions as func
from durabletask.task import TaskFailedError

app = df.DFApp()
FOLDER = Path(os.environ["TEST_FOLDER"])


class OutOfStockError(Exception):
    pass


def note(name):
    """One line for every time that this was reached."""
    with (FOLDER / name).open("a") as file:
        file.write("x\\n")


def answer(value):
    return func.HttpResponse(json.dumps(value), mimetype="application/json")


@app.route(route="greet/{name:alpha}", methods=["GET", "POST"])
async def greet(req: func.HttpRequest) -> func.HttpResponse:
    seen = {"name": req.route_params["name"], "query": dict(req.params), "body": req.get_body().decode()}
    return answer(seen | {"method": req.method})


@app.route(route="headers", auth_level=func.AuthLevel.ANONYMOUS)
def headers(req: func.HttpRequest) -> func.HttpResponse:
    return answer({name.lower(): value for name, value in req.headers.items()})


@app.route(route="environment", auth_level=func.AuthLevel.ANONYMOUS)
def environment(req: func.HttpRequest) -> func.HttpResponse:
    return answer(sorted(os.environ))


@app.route(route="raise", auth_level=func.AuthLevel.ANONYMOUS)
def raising(req: func.HttpRequest) -> func.HttpResponse:
    raise OutOfStockError("secret")


@app.route(route="hang", auth_level=func.AuthLevel.ANONYMOUS)
def hang(req: func.HttpRequest) -> func.HttpResponse:
    note(req.params["note"])
    threading.Event().wait()


@app.route(route="die_while_answering", auth_level=func.AuthLevel.ANONYMOUS)
def die_while_answering(req: func.HttpRequest) -> func.HttpResponse:
    for number in map(int, os.listdir("/proc/self/fd")):
        try:
            if stat.S_ISSOCK(os.fstat(number).st_mode):
                with socket.socket(fileno=os.dup(number)) as wire:
                    if wire.family == socket.AF_UNIX and wire.getpeername():
                        wire.send(b'{"id": "')
        except OSError:
            pass
    os._exit(9)


@app.route(route="orders/{id}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def order(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
    await client.schedule_new_orchestration("once", input=req.get_json(), instance_id=req.route_params["id"])
    return answer("started")


@app.timer_trigger(arg_name="timer", schedule="%TICK_SCHEDULE%")
async def tick(timer: func.TimerRequest) -> None:
    note("tick-late" if timer.past_due else "tick")


@app.timer_trigger(arg_name="timer", schedule="0 0 4 * * *")
def nightly(timer: func.TimerRequest) -> None:
    note("nightly")


@app.timer_trigger(arg_name="timer", schedule="* * * * * *")
def switched_off(timer: func.TimerRequest) -> None:
    note("switched-off")


@app.activity_trigger(input_name="item")
async def pack(item: dict) -> dict:
    note(item["note"])
    return {"packed": item["note"]}


@app.activity_trigger(input_name="item")
async def write_once(item: dict) -> dict:
    """The first time it is never answered, as a write whose caller dies."""
    note(item["note"])
    if len((FOLDER / item["note"]).read_text().splitlines()) == 1:
        threading.Event().wait()
    return {"written": item["note"]}


@app.activity_trigger(input_name="item")
async def fail_async(item: dict) -> dict:
    raise OutOfStockError(item["words"])


@app.activity_trigger(input_name="item")
def fail_sync(item: dict) -> dict:
    raise OutOfStockError(item["words"])


@app.orchestration_trigger(context_name="context")
def pack_wait_pack(context, item):
    yield context.call_activity("pack", input={"note": item["first"]})
    yield context.create_timer(context.current_utc_datetime + timedelta(milliseconds=item["wait_ms"]))
    packed = yield context.call_activity("pack", input={"note": item["second"]})
    return packed


@app.orchestration_trigger(context_name="context")
def once(context, item):
    packed = yield context.call_activity("pack", input=item)
    return packed


@app.orchestration_trigger(context_name="context")
def write(context, item):
    written = yield context.call_activity("write_once", input=item)
    return written


@app.orchestration_trigger(context_name="context")
def report_failure(context, item):
    try:
        yield context.call_activity(item["activity"], input=item)
    except TaskFailedError as failed:
        return [failed.details.error_type, failed.details.message]
'''


class Answer(NamedTuple):
    status: int
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Lab:
    """A host with a loop on its own thread, so that tests may call and wait."""

    def __init__(self, folder: Path, app: str = APP, **settings: str) -> None:
        self.folder = folder
        loops: Future[asyncio.AbstractEventLoop] = Future()
        self._thread = threading.Thread(target=_run_loop, args=[loops])
        self._thread.start()
        self._loop = loops.result(LIMIT)
        app_dir = folder / "app"
        app_dir.mkdir()
        (app_dir / "function_app.py").write_text(app)
        durable = {"storageProvider": {"controlQueueVisibilityTimeout": "00:00:01"}}
        extensions = {"http": {"routePrefix": "shop"}, "durableTask": durable}
        (app_dir / "host.json").write_text(json.dumps({"version": "2.0", "extensions": extensions}))
        self.settings = {
            "PYTHONPATH": str(REPOSITORY),
            "TEST_FOLDER": str(folder),
            "TICK_SCHEDULE": "0 0 5 * * *",
            "AzureWebJobs.switched_off.Disabled": "true",
        }
        self.host = FunctionsHost(app_dir, self.settings | settings, folder)

    def run[T](self, work: Coroutine[Any, Any, T], limit: float = LIMIT) -> T:
        return asyncio.run_coroutine_threadsafe(asyncio.wait_for(work, limit), self._loop).result()

    def close(self) -> None:
        try:
            self.run(self.host.stop(), limit=3.0)
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(LIMIT)

    @property
    def hub(self) -> str:
        return self.host.engine.address

    def call(
        self, method: str, path: str, key: str | None = None, body: str = "", headers: dict[str, str] | None = None
    ) -> Answer:
        keyed = {"x-functions-key": key} if key else {}
        connection = http.client.HTTPConnection(self.host.url.removeprefix("http://"), timeout=LIMIT)
        try:
            connection.request(method, path, body=body, headers={**keyed, **(headers or {})})
            response = connection.getresponse()
            return Answer(response.status, response.read())
        finally:
            connection.close()

    def call_meanwhile(self, method: str, path: str) -> Future[Answer]:
        pool = ThreadPoolExecutor(1)
        pending = pool.submit(self.call, method, path)
        pool.shutdown(wait=False)
        return pending

    def order(self, instance_id: str, orchestrator: str, item: dict[str, Any]) -> None:
        with TaskHubGrpcClient(host_address=self.hub) as client:
            client.schedule_new_orchestration(orchestrator, input=item, instance_id=instance_id)

    def outcome(self, instance_id: str) -> OrchestrationState:
        with TaskHubGrpcClient(host_address=self.hub) as client:
            state = client.wait_for_orchestration_completion(instance_id, timeout=LIMIT)
        assert state is not None
        return state

    def recorded(self, instance_id: str) -> list[str]:
        """The names of the activities whose completion the instance's history holds, one for each."""
        with grpc.insecure_channel(self.hub) as channel:
            stub = stubs.TaskHubSidecarServiceStub(channel)
            chunks = list(stub.StreamInstanceHistory(pb.StreamInstanceHistoryRequest(instanceId=instance_id)))
        events = [event for chunk in chunks for event in chunk.events]
        scheduled = {event.eventId: event.taskScheduled.name for event in events if event.HasField("taskScheduled")}
        return [scheduled[e.taskCompleted.taskScheduledId] for e in events if e.HasField("taskCompleted")]

    def times(self, note: str) -> int:
        path = self.folder / note
        return len(path.read_text().splitlines()) if path.exists() else 0

    def worker_pid(self) -> int:
        """Of the one worker, once it runs."""
        workers = wait_until(lambda: [w for w in self.host.workers if not w.gone.is_set()], LIMIT, "a worker runs")
        return workers[0].pid

    def kill_worker(self) -> int:
        pid = self.worker_pid()
        os.kill(pid, signal.SIGKILL)
        return pid

    def await_other_worker(self, than: int) -> None:
        wait_until(lambda: self.worker_pid() != than, LIMIT, f"a worker other than {than} runs")


def _run_loop(loops: Future[asyncio.AbstractEventLoop]) -> None:
    """Runs until it is stopped; then cancels its remaining tasks."""
    with asyncio.Runner() as runner:
        loops.set_result(runner.get_loop())
        runner.get_loop().run_forever()


def sockets_about(folder: Path) -> set[str]:
    """The unix sockets in ``folder`` that a process holds open."""
    lines = Path("/proc/net/unix").read_text().splitlines()
    return {line.split()[-1] for line in lines if str(folder) in line}


def processes_about(folder: Path) -> list[int]:
    """The running processes whose command line names ``folder``, as a worker's does."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if str(folder) in (process / "cmdline").read_text():
                found.append(int(process.name))
    return found
