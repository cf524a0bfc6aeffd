"""The app beside the worker's own grpcio and protobuf, in one process, as on Azure Functions.

The worker of Python 3.13 talks to its host with an older pair. Before it loads the app it drops that pair from
sys.modules, while its native code stays loaded and its stream to the host stays open. requirements.txt must bring a pair
of its own: without it the app would load the worker's pair a second time.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[2]
PAIR = PROJECT / ".venv" / "worker-pair"

WORKER = """
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

pair, project = sys.argv[1:]
sys.path.insert(0, pair)
import grpc
from google.protobuf import struct_pb2

def host(request, context):
    yield request
    ended = threading.Event()
    context.add_callback(ended.set)
    ended.wait()

server = grpc.server(ThreadPoolExecutor(2))
calls = grpc.method_handlers_generic_handler("host", {"stream": grpc.unary_stream_rpc_method_handler(host)})
server.add_generic_rpc_handlers((calls,))
port = server.add_insecure_port("127.0.0.1:0")
server.start()
channel = grpc.insecure_channel(f"127.0.0.1:{port}")
stream = channel.unary_stream("/host/stream")(b"invocation")
assert next(stream) == b"invocation"
workers = (grpc.__version__, struct_pb2.__file__)

for name in [name for name in sys.modules if name.split(".")[0] in ("grpc", "google")]:
    del sys.modules[name]
sys.path.remove(pair)
sys.path.insert(1, project)
import grpc
import function_app
from durabletask.internal import orchestrator_service_pb2 as wire
from google.protobuf import struct_pb2

assert (grpc.__version__, struct_pb2.__file__) != workers
order = wire.OrchestratorRequest(instanceId="x")
assert wire.OrchestratorRequest.FromString(order.SerializeToString()).instanceId == "x"
grpc.insecure_channel(f"127.0.0.1:{port}").close()
print("works", flush=True)
os._exit(0)
"""


def test_the_app_loads_its_own_pair_beside_the_workers() -> None:
    assert PAIR.is_dir(), "`bash lab/setup.sh` installs the worker's own grpcio and protobuf."
    words = [sys.executable, "-c", WORKER, str(PAIR), str(PROJECT)]
    ran = subprocess.run(words, cwd=PROJECT, capture_output=True, text=True, check=False, timeout=120)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip() == "works"
