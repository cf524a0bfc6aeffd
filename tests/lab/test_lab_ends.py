"""What a lab leaves behind when it has ended: nothing."""

from __future__ import annotations

import os
from pathlib import Path

import psutil

from lab.twin import Lab, LabOptions
from tests.loops import LoopThread, collect_quietly
from tests.plans import CONTOSO, contoso


def open_sockets() -> set[str]:
    links = [Path("/proc/self/fd") / name for name in os.listdir("/proc/self/fd")]
    return {target for link in links if link.is_symlink() and (target := os.readlink(link)).startswith("socket:")}


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
