"""An ended lab leaves nothing behind."""

from __future__ import annotations

import psutil

from lab.options import LabOptions
from lab.twin import Lab
from tests.loops import LoopThread, collect_quietly
from tests.plans import CONTOSO, contoso


def open_sockets() -> set[tuple[int, str]]:
    """TCP and UDP sockets of this process. gRPC keeps a pair of unix sockets open until its channel is collected."""
    return {(c.fd, str(c.laddr)) for c in psutil.Process().net_connections(kind="inet")}


def test_a_lab_that_has_ended_leaves_no_socket_open_and_no_process_running() -> None:
    loop = LoopThread()
    before = open_sockets(), set(psutil.Process().children(recursive=True))
    lab = Lab(contoso(), CONTOSO, LabOptions(speed=60.0))
    try:
        loop.run(lab.__aenter__(), 40.0)
        loop.run(lab.__aexit__(), 20.0)
        left = open_sockets() - before[0], set(psutil.Process().children(recursive=True)) - before[1]
    finally:
        loop.close()
        folder = lab.folder
        del lab
        collect_quietly()
    assert (left, folder.exists()) == ((set(), set()), False)
