"""The operator's HTTP API for runs: start, busy, follow, list, abort, and cleanup."""

from __future__ import annotations

import pytest

from lab.cloud.faults import Fault
from tests.app.api import Api
from tests.waiting import LIMIT, wait_until

ORDER_OF_A_DRILL = ["claim_run", "freeze_replication", "take_recovery_point", "thaw_replication", "create_disk"]


def test_a_drill_is_accepted_with_a_location_that_can_be_followed(api: Api) -> None:
    answer = api.post("/api/plans/contoso/drill", {"reason": "Just to see"})
    assert answer.status == 202
    followed = api.get(answer.headers["Location"])
    wait_until(lambda: api.step(answer.json["run_id"], "freeze_replication"), LIMIT, "the drill has begun")
    assert api.post(f"{answer.headers['Location']}/abort").headers["Location"] == answer.headers["Location"]
    api.finished(answer.json["run_id"])
    assert (followed.status, followed.json["run_id"]) == (200, answer.json["run_id"])
    assert (followed.json["kind"], followed.json["trigger"], followed.json["reason"]) == (
        "drill",
        "operator",
        "Just to see",
    )


def test_a_plan_that_a_drill_holds_is_busy_and_names_it(api: Api) -> None:
    with api.started("drill") as run_id:
        problem = api.post("/api/plans/contoso/drill", {"reason": "Another"}).problem(409)
        assert problem["run_id"] == run_id
        assert run_id in problem["detail"]
        assert [run["run_id"] for run in api.runs("?limit=1")] == [run_id]


def test_a_plan_that_a_failover_holds_is_busy_for_everybody(api: Api) -> None:
    with api.started("failover", acknowledge_primary_healthy=True) as run_id:
        before = len(api.runs("?limit=200"))
        for what in ("failover", "drill"):
            body = {"reason": "Another"} | ({"acknowledge_primary_healthy": True} if what == "failover" else {})
            assert api.post(f"/api/plans/contoso/{what}", body).problem(409)["run_id"] == run_id
        assert len(api.runs("?limit=200")) == before


@pytest.mark.parametrize("word", ["approve", "reject", "proceed", "retry"])
def test_a_drill_cannot_be_told_what_it_does_not_wait_for(api: Api, word: str) -> None:
    with api.started("drill") as run_id:
        assert "recovering" in api.post(f"/api/runs/{run_id}/{word}").problem(409)["detail"]


def test_a_run_that_has_ended_takes_no_more_orders(api: Api) -> None:
    with api.started("drill") as run_id:
        pass
    for word in ("abort", "approve", "reject", "proceed", "retry"):
        assert "ended" in api.post(f"/api/runs/{run_id}/{word}").problem(409)["detail"]


def test_a_note_that_does_not_fit_leaves_the_run_alone(api: Api) -> None:
    with api.started("drill") as run_id:
        for body, status in ((b"{oops", 400), ([], 422), ({"force": True}, 422), ({"reason": "x" * 501}, 422)):
            api.post(f"/api/runs/{run_id}/abort", body if isinstance(body, bytes) else body or b"[]").problem(status)
        assert api.read(run_id)["phase"] == "recovering"


# Ending


def test_an_aborted_drill_clears_away_what_it_built(api: Api) -> None:
    with api.started("drill") as run_id:
        wait_until(lambda: api.step(run_id, "create_machine"), LIMIT, "the drill creates a machine")
        assert api.left_over()
        assert api.post(f"/api/runs/{run_id}/abort", {"reason": "Enough"}).status == 202
        run = api.finished(run_id)
    assert (run["outcome"], run["phase"], api.left_over()) == ("aborted", "completed", [])
    assert not api.lab.replication.frozen


def test_a_drill_that_is_aborted_while_the_replica_is_frozen_thaws_it(api: Api) -> None:
    """Azure refuses one snapshot for longer than the test takes, so the drill waits with the replica frozen."""
    api.lab.arm.faults.add(Fault("PUT snapshots", "429", times=1, retry_after=3000))
    with api.started("drill") as run_id:
        wait_until(lambda: api.step(run_id, "take_recovery_point"), LIMIT, "the drill takes a recovery point")
        assert api.lab.replication.frozen
        api.post(f"/api/runs/{run_id}/abort")
        run = api.finished(run_id)
    assert (run["outcome"], api.left_over()) == ("aborted", [])
    assert not api.lab.replication.frozen
    thawed = next(step for step in run["steps"] if step["name"] == "thaw_replication")
    assert thawed["status"] == "succeeded"


def test_a_run_that_is_aborted_as_soon_as_it_was_accepted_ends_as_aborted(api: Api) -> None:
    run_id = api.post("/api/plans/contoso/drill", {"reason": "Pressed the wrong button"}).json["run_id"]
    api.post(f"/api/runs/{run_id}/abort")
    wait_until(lambda: api.get("/api/plans/contoso").json["active_run"] is None, LIMIT, "the plan is free again")
    run = api.read(run_id)
    assert (run["outcome"], run["phase"]) == ("aborted", "completed")


def test_an_aborted_failover_clears_away_and_leaves_the_customers_where_they_are(api: Api) -> None:
    with api.started("failover", acknowledge_primary_healthy=True) as run_id:
        wait_until(lambda: api.step(run_id, "create_disk"), LIMIT, "the failover creates a disk")
        api.post(f"/api/runs/{run_id}/abort")
        run = api.finished(run_id)
    assert (run["outcome"], api.left_over()) == ("aborted", [])
    plan = api.get("/api/plans/contoso").json
    assert (plan["active_site"], plan["primary_latched"], plan["active_run"]) == ("primary", False, None)
    assert not api.lab.replication.frozen


# Operators' answers


def test_steps_are_told_in_the_order_in_which_they_began(api: Api) -> None:
    with api.started("drill") as run_id:
        wait_until(lambda: api.step(run_id, "create_disk"), LIMIT, "the drill creates a disk")
        steps = api.read(run_id)["steps"]
    assert [step["started_at"] for step in steps] == sorted(step["started_at"] for step in steps)
    names = list(dict.fromkeys(step["name"] for step in steps))
    assert [name for name in names if name in ORDER_OF_A_DRILL] == ORDER_OF_A_DRILL
    assert {step["status"] for step in steps} <= {"running", "succeeded", "failed", "skipped"}


def test_runs_are_told_newest_first_and_narrowed_down_by_what_is_asked(api: Api) -> None:
    ids = []
    for kind, body in (("drill", {}), ("drill", {}), ("failover", {"acknowledge_primary_healthy": True})):
        with api.started(kind, **body) as run_id:
            ids.insert(0, run_id)
    failover, newer, older = ids
    run_ids = [run["run_id"] for run in api.runs("?limit=200")]
    assert run_ids[:3] == ids
    assert [run["run_id"] for run in api.runs("?limit=2")] == [failover, newer]
    assert [run["run_id"] for run in api.runs("?limit=1")] == [failover]
    assert [run["run_id"] for run in api.runs("?kind=drill&limit=2")] == [newer, older]
    assert api.runs("?kind=failover&plan=contoso")[0]["run_id"] == failover
    assert api.runs("?kind=failback") == []
    assert [run["run_id"] for run in api.runs(f"?before={failover}&limit=200")] == run_ids[1:]
    assert [run["run_id"] for run in api.runs(f"?before={failover}&kind=drill&limit=1")] == [newer]
    assert api.runs("?before=other-d20200115203000000-abcd") == []
    assert [run["run_id"] for run in api.runs("?before=other-d20900115203000000-abcd&limit=200")] == run_ids


def test_reading_a_run_does_not_move_it(api: Api) -> None:
    with api.started("drill") as run_id:
        pass
    before = (api.read(run_id), api.writes(), api.left_over(), len(api.runs("?limit=200")))
    for path in (run_id, f"{run_id}/abort", f"{run_id}/retry", f"{run_id}?action=abort"):
        api.get(f"/api/runs/{path}")
    assert (api.read(run_id), api.writes(), api.left_over(), len(api.runs("?limit=200"))) == before
