"""A small app in the real worker process, behind the real host and hub: what it serves, and what survives a kill."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from durabletask.client import OrchestrationStatus

from lab.host.dispatch import KillOrder
from lab.host.wire import WorkerDiedError, WorkerProcess, WorkerStartError
from tests.lab.hosting import Lab, processes_about, sockets_about
from tests.waiting import LIMIT, wait_until


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    lab = Lab(tmp_path_factory.mktemp("lab"), TICK_SCHEDULE="* * * * * *")
    lab.run(lab.host.start())
    yield lab
    lab.close()


# The index.


def test_indexes_every_function_of_the_app(lab: Lab) -> None:
    names = {function["name"] for function in lab.host.index}
    assert {"greet", "order", "tick", "pack", "pack_wait_pack"} <= names
    assert {"pack", "fail_async", "fail_sync"} <= set(lab.host.dispatcher.activities)


def test_an_app_that_cannot_be_indexed_is_refused_with_its_own_words(tmp_path: Path) -> None:
    lab = Lab(tmp_path, app="raise RuntimeError('no stock list')")
    try:
        with pytest.raises(WorkerStartError, match="no stock list"):
            lab.run(lab.host.start())
    finally:
        lab.close()


def test_the_worker_sees_the_apps_settings_and_nothing_of_the_labs_environment(lab: Lab) -> None:
    seen = set(lab.call("GET", "/shop/environment").json)
    assert set(lab.settings) <= seen
    assert "PATH" not in seen


# HTTP.


def test_gives_the_app_method_route_query_and_body_but_not_the_key(lab: Lab) -> None:
    answer = lab.call("POST", f"/shop/greet/Ada?loud=yes&code={lab.host.function_key}", body="hello")
    assert answer.status == 200
    assert answer.json == {"name": "Ada", "query": {"loud": "yes"}, "body": "hello", "method": "POST"}


def test_a_function_key_is_asked_for(lab: Lab) -> None:
    statuses = [lab.call("GET", "/shop/greet/Ada", key).status for key in (None, "wrong", lab.host.function_key)]
    assert statuses == [401, 401, 200]
    assert lab.call("GET", "/shop/greet/Ada", lab.host.master_key).status == 200
    assert lab.call("GET", "/shop/headers").status == 200


@pytest.mark.parametrize(
    "path", ["/shop/nowhere", "/api/greet/Ada", "/greet/Ada", "/shop/greet/Ada/more", "/shop/greet/42"]
)
def test_an_unknown_route_is_not_found(lab: Lab, path: str) -> None:
    assert lab.call("GET", path, lab.host.function_key).status == 404


def test_a_method_that_a_route_does_not_take_is_refused(lab: Lab) -> None:
    assert lab.call("DELETE", "/shop/greet/Ada", lab.host.function_key).status == 405


def test_an_exception_is_answered_500_without_its_words(lab: Lab) -> None:
    answer = lab.call("GET", "/shop/raise")
    assert answer.status == 500
    assert b"secret" not in answer.body


def test_without_sign_in_an_identity_header_reaches_the_app_as_it_was_sent(lab: Lab) -> None:
    """The platform is not documented to remove the header then, so an app must not trust it."""
    seen = lab.call("GET", "/shop/headers", headers={"X-MS-CLIENT-PRINCIPAL": "admin", "X-Other": "kept"}).json
    assert (seen["x-other"], seen["x-ms-client-principal"]) == ("kept", "admin")


def test_a_request_whose_worker_is_killed_is_answered_502_and_given_once(lab: Lab) -> None:
    pending = lab.call_meanwhile("GET", "/shop/hang?note=hang")
    wait_until(lambda: lab.times("hang"), LIMIT, "the request is being worked on")
    killed = lab.kill_worker()
    assert pending.result(LIMIT).status == 502
    lab.await_other_worker(killed)
    assert lab.call("GET", "/shop/headers").status == 200
    assert lab.times("hang") == 1


def test_a_worker_that_dies_while_it_answers_is_replaced(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    try:
        lab.run(lab.host.start())
        died = lab.worker_pid()
        pending = lab.call_meanwhile("GET", "/shop/die_while_answering")
        wait_until(lambda: not Path(f"/proc/{died}/exe").exists(), LIMIT, "the worker is dead")
        assert pending.result(3.0).status == 502
        lab.await_other_worker(died)
    finally:
        lab.close()


def test_a_write_to_a_worker_that_has_just_died_keeps_no_caller_waiting(tmp_path: Path) -> None:
    """The host writes before it has read that the connection ended: a broken pipe, and the end all the same."""
    lab = Lab(tmp_path)

    def kill_and_stand_still(worker: WorkerProcess) -> None:
        worker.kill()
        os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOWAIT)

    async def write_to_the_dead() -> None:
        worker = lab.host.workers[0]
        kill_and_stand_still(worker)
        with pytest.raises(WorkerDiedError):
            await worker.invoke("headers", [])

    try:
        lab.run(lab.host.start())
        died = lab.worker_pid()
        lab.run(write_to_the_dead(), limit=5.0)
        lab.await_other_worker(died)
    finally:
        lab.close()


def test_the_socket_of_a_dead_worker_is_closed(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    try:
        lab.run(lab.host.start())
        sockets = sockets_about(tmp_path)
        lab.await_other_worker(lab.kill_worker())
        wait_until(lambda: not sockets & sockets_about(tmp_path), 1.0, "the dead worker's socket is closed")
    finally:
        lab.close()


def test_stopping_while_a_worker_is_being_replaced_leaves_no_process(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    try:
        lab.run(lab.host.start())
        lab.kill_worker()
        wait_until(lambda: lab.host.workers == [] and processes_about(tmp_path), LIMIT, "another worker is starting")
    finally:
        lab.close()
    left = processes_about(tmp_path)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert left == []


# Timers.


def test_a_timer_runs_on_the_schedule_that_a_setting_names(lab: Lab) -> None:
    wait_until(lambda: lab.times("tick"), LIMIT, "the timer has run")
    assert lab.times("tick-late") == 0


def test_a_timer_that_a_setting_switches_off_does_not_run_by_itself(lab: Lab) -> None:
    assert lab.host.timers["switched_off"].schedule is None
    ticks = lab.times("tick")
    wait_until(lambda: lab.times("tick") > ticks + 1, LIMIT, "another timer of the same schedule has run twice")
    assert lab.times("switched-off") == 0


def test_the_master_key_alone_runs_a_timer_now(lab: Lab) -> None:
    statuses = [
        lab.call("POST", "/admin/functions/nightly", key).status
        for key in (None, lab.host.function_key, lab.host.master_key)
    ]
    assert statuses == [401, 401, 202]
    wait_until(lambda: lab.times("nightly"), LIMIT, "the timer has run")
    assert lab.call("POST", "/admin/functions/greet", lab.host.master_key).status == 404


# Orchestrations.


def test_a_route_with_a_client_binding_starts_an_orchestration(lab: Lab) -> None:
    answer = lab.call("POST", "/shop/orders/by-http", lab.host.function_key, json.dumps({"note": "by-http"}))
    assert answer.status == 200
    assert lab.outcome("by-http").get_output() == {"packed": "by-http"}


def test_the_durable_webhook_tells_how_an_instance_stands_to_the_master_key_alone(lab: Lab) -> None:
    lab.call("POST", "/shop/orders/asked-for", lab.host.function_key, json.dumps({"note": "asked-for"}))
    lab.outcome("asked-for")
    path = "/runtime/webhooks/durabletask/instances/asked-for"
    assert [lab.call("GET", path, key).status for key in (None, lab.host.function_key)] == [401, 401]
    answer = lab.call("GET", path, lab.host.master_key)
    seen = json.loads(answer.body)
    assert (answer.status, seen["instanceId"], seen["runtimeStatus"]) == (200, "asked-for", "Completed")
    assert lab.call("GET", path + "-nobody", lab.host.master_key).status == 404


def test_an_orchestration_survives_the_kill_of_its_worker(lab: Lab) -> None:
    """The worker is killed while the timer runs, which fires up to a second early, as in Azure."""
    (hub,) = lab.host.engine.process_ids
    lab.order("survivor", "pack_wait_pack", {"first": "packed-first", "second": "packed-second", "wait_ms": 2300})
    wait_until(lambda: lab.times("packed-first"), LIMIT, "the first activity has run")
    killed = lab.kill_worker()
    state = lab.outcome("survivor")
    assert state.runtime_status is OrchestrationStatus.COMPLETED
    assert state.get_output() == {"packed": "packed-second"}
    assert lab.host.engine.process_ids == [hub]
    os.kill(hub, 0)  # It lives: otherwise this raises.
    assert lab.worker_pid() != killed
    assert lab.recorded("survivor") == ["pack", "pack"]


@pytest.mark.parametrize(
    ("when", "times", "runs"), [("before", 1, 1), ("after", 1, 2), ("after", 2, 3), ("during", 1, 2)]
)
def test_an_activity_whose_instance_is_lost_is_redelivered_and_recorded_once(
    lab: Lab, when: str, times: int, runs: int
) -> None:
    name = f"lost-{when}-{times}"
    killed = lab.worker_pid()
    lab.host.dispatcher.kill_next(KillOrder(when, "pack", times, loses="instance"))
    lab.order(name, "once", {"note": name})
    assert lab.outcome(name).get_output() == {"packed": name}
    assert lab.worker_pid() != killed
    assert lab.times(name) == runs
    assert lab.recorded(name) == ["pack"]


@pytest.mark.parametrize(("when", "runs"), [("before", 0), ("after", 1), ("during", 1)])
def test_an_activity_whose_process_alone_dies_has_failed(lab: Lab, when: str, runs: int) -> None:
    name = f"process-{when}"
    killed = lab.worker_pid()
    lab.host.dispatcher.kill_next(KillOrder(when, "pack"))
    lab.order(name, "report_failure", {"activity": "pack", "note": name})
    kind, message = lab.outcome(name).get_output()
    assert kind == "Microsoft.Azure.WebJobs.Host.FunctionInvocationException"
    assert message == "Exception while executing function: Functions.pack"
    assert lab.times(name) == runs
    assert lab.worker_pid() != killed


@pytest.mark.parametrize(
    ("write", "spares", "kills"),
    [("history", "azure", "history"), ("azure", "history", "azure"), (None, None, "azure")],
)
def test_a_worker_dies_between_a_write_of_its_activity_and_the_answer(
    lab: Lab, write: Literal["azure", "history"] | None, spares: Any, kills: Any
) -> None:
    name = f"written-{write}"
    killed, dispatcher = lab.worker_pid(), lab.host.dispatcher

    async def strike(what: Literal["azure", "history"]) -> bool:
        return dispatcher.strike(what)

    dispatcher.kill_next(KillOrder("during", "write_once", write=write, loses="instance"))
    assert lab.run(strike(kills)) is False
    lab.order(name, "write", {"note": name})
    wait_until(lambda: lab.times(name), LIMIT, "the activity has written")
    assert spares is None or lab.run(strike(spares)) is False
    assert lab.run(strike(kills)) is True
    assert lab.outcome(name).get_output() == {"written": name}
    assert lab.worker_pid() != killed
    assert (lab.times(name), lab.recorded(name)) == (2, ["write_once"])
    assert lab.run(strike(kills)) is False


@pytest.mark.parametrize("activity", ["fail_async", "fail_sync"])
@pytest.mark.parametrize(
    ("words", "message"), [("no bolts left\nin aisle 4", "no bolts left"), ("", "no message")], ids=["words", "none"]
)
def test_an_activitys_exception_arrives_as_bare_class_name_and_first_line(
    lab: Lab, activity: str, words: str, message: str
) -> None:
    name = f"{activity}-{len(words)}"
    lab.order(name, "report_failure", {"activity": activity, "words": words})
    assert lab.outcome(name).get_output() == ["OutOfStockError", message]


def test_an_unknown_activity_is_answered_as_a_failure(lab: Lab) -> None:
    lab.order("unknown-activity", "report_failure", {"activity": "weld"})
    output = lab.outcome("unknown-activity").get_output()
    assert output == ["FunctionNotFound", "The app has no activity named weld."]


def test_an_unknown_orchestrator_is_answered_as_a_failure(lab: Lab) -> None:
    lab.order("unknown-orchestrator", "weld_all", {})
    state = lab.outcome("unknown-orchestrator")
    assert state.runtime_status is OrchestrationStatus.FAILED
    assert state.failure_details is not None
    assert state.failure_details.error_type == "FunctionNotFound"
