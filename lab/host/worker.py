"""The worker process: Microsoft's Python worker, loading the unmodified ``function_app.py`` and invoked over a socket.

One JSON line an invocation, one JSON line an answer, on a unix socket that the Functions host listens on. The
first line that the worker sends is its index: every function with its bindings, as ``azure_functions_runtime``
would report them to the real host.

Source of the calls: azure-functions-runtime 1.3.0, ``loader`` and ``native_invocation``.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import faulthandler
import functools
import inspect
import json
import logging
import os
import signal
import sys
import traceback
from types import SimpleNamespace
from typing import Any

from lab.host.wire import MAX_LINE


class _BindingInfo(SimpleNamespace):
    """Stands for the protobuf message: the loader only sets its fields and compares its directions."""


setattr(_BindingInfo, "in", 0)
_BindingInfo.out = 1  # type: ignore[attr-defined]
_BindingInfo.inout = 2  # type: ignore[attr-defined]

_PROTOS = SimpleNamespace(
    BindingInfo=_BindingInfo, RpcFunctionMetadata=SimpleNamespace, RpcRetryOptions=SimpleNamespace
)


class Worker:
    """Indexes one app folder and runs its functions."""

    def __init__(self, app_dir: str) -> None:
        from azure_functions_runtime import handle_event, loader
        from azure_functions_runtime.bindings import meta
        from azure_functions_runtime.utils import executor, threadpool

        os.chdir(app_dir)
        sys.path.insert(0, app_dir)
        meta.load_binding_registry()
        threadpool.start_threadpool_executor()
        indexed = loader.index_function_app(os.path.join(app_dir, "function_app.py"))
        metadata, _ = loader.process_indexed_function(_PROTOS, handle_event._functions, indexed, app_dir)
        self._ids = {item.name: item.function_id for item in metadata}
        self._invocation_id = executor.invocation_id_cv
        self._failures: dict[str, BaseException] = {}
        for function_id in self._ids.values():
            info = handle_event._functions._functions[function_id]
            handle_event._functions._functions[function_id] = info._replace(func=self._keep_failure(info.func))
        self.index = [
            {"name": item.name, "bindings": [json.loads(raw) for raw in item.raw_bindings]} for item in metadata
        ]

    def _keep_failure(self, func: Any) -> Any:
        """The native entry reports only ``repr(exception)``; the hub needs its type and message."""
        if inspect.iscoroutinefunction(func):

            @functools.wraps(func)
            async def run(**arguments: Any) -> Any:
                try:
                    return await func(**arguments)
                except Exception as error:
                    self._failures[self._invocation_id.get()] = error
                    raise

            return run

        @functools.wraps(func)
        def run_sync(**arguments: Any) -> Any:
            try:
                return func(**arguments)
            except Exception as error:
                self._failures[self._invocation_id.get()] = error
                raise

        return run_sync

    async def invoke(self, request: dict[str, Any]) -> dict[str, Any]:
        """Runs one invocation and returns its answer, also when it failed."""
        from azure_functions_runtime.native_invocation import invocation_request_native

        function_id = self._ids.get(request["function"])
        if function_id is None:
            message = f"The app has no function named {request['function']}."
            return {"id": request["id"], "ok": False, "error": {"type": "FunctionNotFound", "message": message}}
        inputs = [(name, _datum(kind, value)) for name, kind, value in request["inputs"]]
        ok, returned, _, text, trace = await invocation_request_native(request["id"], function_id, inputs, {})
        failure = self._failures.pop(request["id"], None)
        if ok:
            return {"id": request["id"], "ok": True, "return": _plain(returned)}
        error = {
            "type": type(failure).__name__ if failure else "InvocationError",
            "message": (str(failure) if failure else str(text)) or "no message",
            "trace": "".join(traceback.format_exception(failure)) if failure else str(trace),
        }
        return {"id": request["id"], "ok": False, "error": error}


def _datum(kind: str, value: Any) -> Any:
    from azure_functions_runtime.bindings.datumdef import Datum

    if kind != "http":
        return Datum(value, kind)
    strings = {
        part: {name: Datum(text, "string") for name, text in value[part].items()}
        for part in ("headers", "params", "query")
    }
    return Datum(
        {
            "method": Datum(value["method"], "string"),
            "url": Datum(value["url"], "string"),
            "body": Datum(base64.b64decode(value["body"]), "bytes"),
            **strings,
        },
        "http",
    )


def _plain(datum: Any) -> Any:
    """There are two Datum classes (azure.functions' and the runtime's), so only their shape is relied on."""
    if datum is None or datum.type != "http":
        return None if datum is None else datum.value
    return {
        "status": int(datum.value["status_code"].value),
        "headers": {name: text.value for name, text in datum.value["headers"].items()},
        "body": base64.b64encode(datum.value["body"].value).decode(),
    }


async def serve(socket_path: str, app_dir: str) -> None:
    """Connects, sends the index, and answers invocations until the host closes the socket."""
    reader, writer = await asyncio.open_unix_connection(socket_path, limit=MAX_LINE)
    running: set[asyncio.Task[None]] = set()

    def send(message: dict[str, Any]) -> None:
        writer.write(json.dumps(message).encode() + b"\n")

    try:
        worker = Worker(app_dir)
    except Exception:
        send({"index_error": traceback.format_exc()})
        await writer.drain()
        raise
    send({"index": worker.index})

    async def answer(line: bytes) -> None:
        send(await worker.invoke(json.loads(line)))
        await writer.drain()

    while line := await reader.readline():
        task = asyncio.create_task(answer(line))
        running.add(task)
        task.add_done_callback(running.discard)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--socket", required=True)
    parser.add_argument("--app", required=True)
    parser.add_argument("--log-level", default="WARNING")
    arguments = parser.parse_args()
    faulthandler.register(signal.SIGUSR1)  # A call that waits too long asks the worker for its stack.
    logging.basicConfig(level=arguments.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    asyncio.run(serve(arguments.socket, arguments.app))


if __name__ == "__main__":
    main()
