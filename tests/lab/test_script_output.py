"""The output of replication scripts, and how it is parsed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from lab.clock import Clock
from lab.site.replication import ReplicationMachine
from shared.models.errors import ReplicationError
from shared.models.replica import ReplicaState, read_output
from tests.plans import contoso

GOOD = (
    '{"state":"good","frozen":true,"connected":true,"queue_bytes":0,'
    '"replicated_until":"2027-01-15T20:00:00.1234567Z","message":"Protecting"}'
)
UNTIL = datetime(2027, 1, 15, 20, 0, 0, 123456, tzinfo=UTC)
CLIXML = '#< CLIXML\r\n<Objs Version="1.1.0.1" xmlns="http://schemas.microsoft.com/powershell/2004/04"></Objs>'


def printed(out: str, err: str = "") -> list[dict[str, Any]]:
    """What Run Command on Windows returns."""
    return [
        {"code": "ComponentStatus/StdOut/succeeded", "level": "Info", "message": out},
        {"code": "ComponentStatus/StdErr/succeeded", "level": "Info", "message": err},
    ]


@pytest.mark.parametrize(
    "output",
    [
        pytest.param(printed(GOOD), id="seven digits of a second"),
        pytest.param(printed(f"\r\n{GOOD}\r\n"), id="CRLF"),
        pytest.param(printed(f"WARNING: The names of some imported commands ...\n{GOOD}"), id="a warning before it"),
        pytest.param(printed(f"{GOOD}\nDone."), id="a line after it"),
        pytest.param(printed(GOOD, CLIXML), id="progress in the other stream"),
        pytest.param(printed(GOOD.replace("4567Z", "4567")), id="a time without a zone"),
        pytest.param(printed(GOOD.replace("Z", "+00:00")), id="a time with an offset"),
    ],
)
def test_the_line_is_found(output: list[dict[str, Any]]) -> None:
    report = read_output(output)
    assert (report.state, report.frozen, report.connected, report.queue_bytes) == ("good", True, True, 0)
    assert report.replicated_until == UNTIL
    assert report.in_order


@pytest.mark.parametrize(
    ("change", "field", "value"),
    [
        (('"queue_bytes":0', '"queue_bytes":null'), "queue_bytes", None),
        (('"queue_bytes":0', '"queue_bytes":1.2E+10'), "queue_bytes", 12_000_000_000),
        (('"replicated_until":"2027-01-15T20:00:00.1234567Z"', '"replicated_until":null'), "replicated_until", None),
        (('"connected":true', '"connected":null'), "connected", None),
        (('"connected":true,', ""), "connected", None),
        (('"connected":true', '"connected":false'), "connected", False),
        (('"frozen":true', '"frozen":null'), "frozen", None),
        (('"message":"Protecting"', '"message":null'), "message", ""),
        (('"state":"good"', '"state":null'), "state", "unknown"),
        (('"state":"good"', '"state":"Unknown"'), "state", "unknown"),
        (('"state":"good"', '"state":1'), "state", "unknown"),
    ],
)
def test_what_a_script_does_not_know_is_not_known(change: tuple[str, str], field: str, value: object) -> None:
    assert change[0] in GOOD
    report = read_output(printed(GOOD.replace(*change)))
    assert getattr(report, field) == value
    assert report.in_order is (field in ("replicated_until", "message", "frozen"))


@pytest.mark.parametrize(
    "output",
    [
        pytest.param(printed("\ufeff" + GOOD), id="a byte order mark"),
        pytest.param(printed(GOOD.replace(",", ",\n  ").replace("{", "{\n  ")), id="over several lines"),
        pytest.param(
            printed(GOOD.replace("2027-01-15T20:00:00.1234567Z", r"\/Date(1799956800000)\/")), id="PowerShell 5"
        ),
        pytest.param(printed(GOOD.replace("2027-01-15T20:00:00.1234567Z", "15.01.2027 20:00:00")), id="a German date"),
        pytest.param(printed(f"[{GOOD}]"), id="a list"),
        pytest.param(printed(GOOD[20:]), id="cut off"),
        pytest.param(printed("", "Import-Module : The specified module was not loaded"), id="an error"),
        pytest.param([{"code": "ProvisioningState/succeeded", "message": f"[stdout]\n{GOOD}"}], id="of Linux"),
        pytest.param([{"code": "ComponentStatus/StdOut/succeeded", "message": None}], id="a null"),
        pytest.param(None, id="nothing"),
    ],
)
def test_what_cannot_be_read_is_refused_with_words(output: list[dict[str, Any]] | None) -> None:
    with pytest.raises(
        ReplicationError, match=r"last line of the replication script's output is not its JSON line\. Output: "
    ):
        read_output(output)


@pytest.mark.parametrize(
    ("fields", "trouble"),
    [
        ({"state": "good", "frozen": False, "connected": True, "queue_bytes": 0}, None),
        ({"state": "good", "frozen": False, "connected": True, "queue_bytes": 9}, None),
        ({"state": "good", "frozen": False}, None),
        ({"state": "good", "frozen": False, "connected": False}, "the source is not connected"),
        ({"state": "mirroring", "frozen": False, "connected": True}, "it is mirroring again"),
        ({"state": "stopped", "frozen": False}, "it has stopped"),
        ({"state": None, "frozen": None}, "its state is unknown"),
    ],
)
def test_the_trouble_of_a_replica_is_told_in_a_few_words(fields: dict[str, Any], trouble: str | None) -> None:
    state = ReplicaState.model_validate(fields)
    assert state.trouble == trouble
    assert state.usable is (fields["state"] == "good")


# The lab's replication machine


class Machine:
    """The simulated machine with contoso's scripts, and a source that can be disconnected."""

    def __init__(self) -> None:
        self.reaches = True
        self.replication = ReplicationMachine(Clock(60.0), lambda after: [], lambda: self.reaches, lag=5.0)
        self.texts = contoso().replication.script_texts
        self.replication.learn_scripts(self.texts)

    def says(self, script: str) -> ReplicaState:
        self.replication.step()
        return read_output(printed(*self.replication.run_script(self.texts[script])))


def test_the_lab_says_whether_the_source_is_connected_and_from_when_the_data_are() -> None:
    machine = Machine()
    before = datetime.now(UTC)
    report = machine.says("status")
    assert (report.state, report.connected, report.frozen, report.in_order) == ("good", True, False, True)
    assert report.replicated_until
    assert report.replicated_until >= before
    machine.reaches = False
    later = machine.says("status")
    assert (later.state, later.connected, later.in_order) == ("good", False, False)
    assert later.trouble == "the source is not connected"


def test_data_grow_old_from_the_moment_at_which_the_source_is_cut_off() -> None:
    machine = Machine()
    machine.says("status")
    machine.reaches = False
    assert machine.says("status").replicated_until == machine.says("status").replicated_until


def test_a_replica_whose_state_is_unknown_says_nulls_and_is_not_frozen() -> None:
    machine = Machine()
    machine.replication.state = "unknown"
    report = machine.says("freeze")
    assert (report.state, report.frozen, report.connected, report.queue_bytes) == ("unknown", False, None, None)
    assert (report.replicated_until, report.usable, report.trouble) == (None, False, "its state is unknown")
