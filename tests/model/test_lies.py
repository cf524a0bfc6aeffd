"""Broken worlds: each breaks one promise, and the model must notice. A check that cannot fail proves nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from functions.activities.probes import DnsAnswer, Probed
from functions.activities.traffic import ReadBack, Switched
from shared.models.base import Strict
from shared.models.evidence import Round
from shared.models.orders import CleanedUp, EvidenceOrder, TrafficOrder
from shared.models.runs import Phase
from tests.model.front import Front
from tests.model.promises import check_always, check_at_rest, come_to_rest


def nothing(_: Any) -> Strict:
    return Strict()


def all_is_told_well(order: TrafficOrder, front: Front) -> ReadBack:
    routing = front.world.traffic.routing("Online")
    front.world.records.change_state(active_site="recovery")
    return ReadBack(routing=routing, agrees=True)


def test_a_latch_that_does_not_take_is_read_back_and_needs_a_person(outage: Front) -> None:
    outage.world.activities["disable_primary"] = lambda _: Switched()
    run_id = outage.watch()
    come_to_rest(outage.world)
    check_at_rest(outage.world)
    assert run_id and outage.world.records.runs[run_id].phase is Phase.NEEDS_OPERATOR


def test_two_sites_after_a_cutover_are_noticed(outage: Front) -> None:
    outage.world.activities["disable_primary"] = lambda _: Switched()
    outage.world.activities["read_back"] = lambda order: all_is_told_well(order, outage)
    outage.world.activities["check_dns"] = lambda _: DnsAnswer(moved=True, at=outage.world.clock())
    outage.world.dns_follows_anyway = True
    outage.watch()
    come_to_rest(outage.world)
    with pytest.raises(AssertionError, match="both endpoints are enabled"):
        check_always(outage.world)


def test_a_machine_that_a_drill_leaves_is_noticed(front: Front) -> None:
    front.world.activities["clean_up"] = lambda _: CleanedUp(left=[])
    front.drill()
    come_to_rest(front.world)
    with pytest.raises(AssertionError, match="left"):
        check_at_rest(front.world)


def test_a_site_that_is_never_verified_is_not_cut_over_to(outage: Front) -> None:
    outage.world.activities["verify_site"] = lambda _: Probed(healthy=True, detail="a lie")
    outage.watch()
    with pytest.raises(AssertionError, match="not verified"):
        come_to_rest(outage.world)


def test_a_cutover_while_the_primary_is_seen_to_serve_is_noticed(outage: Front) -> None:
    world = outage.world

    def blind_to_its_return(order: EvidenceOrder) -> Round:
        seen = world.gather_evidence(order)
        down = [
            e.model_copy(update={"state": "down", "counts_as": "down"}) if e.role == "evidence" else e
            for e in seen.evidence
        ]
        return seen.model_copy(update={"evidence": down})

    world.activities["gather_evidence"] = blind_to_its_return
    outage.watch()
    world.engine.advance(timedelta(minutes=2))
    world.primary.change(alive=True)
    with pytest.raises(AssertionError, match="although the primary serves"):
        come_to_rest(world)


def test_a_replica_that_stays_frozen_is_noticed(front: Front) -> None:
    world = front.world
    world.activities["thaw_replication"] = lambda order: world.azure.start_script(
        order.model_copy(update={"script": "status"})
    )
    front.drill()
    come_to_rest(world)
    with pytest.raises(AssertionError, match="frozen at rest"):
        check_at_rest(world)


def test_a_run_that_never_ends_is_noticed(front: Front) -> None:
    front.world.activities["seal_run"] = nothing
    front.drill()
    come_to_rest(front.world)
    with pytest.raises(AssertionError, match="stands at"):
        check_at_rest(front.world)


def test_a_phase_that_may_not_follow_is_noticed(front: Front) -> None:
    run_id = front.drill()
    assert run_id
    with pytest.raises(AssertionError, match="not allowed"):
        front.world.records.update_run(run_id, phase=Phase.CUTTING_OVER)
