"""The replica's scripts, run by PowerShell against a stand-in of Double-Take; Coldsite's own code reads their answers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from shared.models.replica import ReplicaState, read_output
from tests.infra.shell import PROJECT, STAND_INS, PowerShell, Ran, environment, needs_powershell

SCRIPTS = PROJECT / "plans" / "contoso"
NAMES = ("status", "freeze", "thaw", "reverse")


def job(name: str = "job-1", high: str = "Protecting", mirror: str = "Idle", target: str = "Ok", **more: Any) -> Any:
    return {"id": name, "high": high, "mirror": mirror, "target": target, "queue": 0, **more}


NO_DETAILS = job(high="Stopped", noDetails=True)
REFUSES = {"suspend": "throw", "resume": "throw", "reverse": "throw"}


@dataclass(frozen=True)
class Answer:
    """A script's result: its answer as Coldsite reads it (None: it ended with an error), and its commands."""

    ran: Ran
    state: ReplicaState | None
    did: list[str]

    @property
    def copied(self) -> bool:
        """Whether Coldsite would take a fresh set after this freeze."""
        return self.state is not None and self.state.not_copyable is None

    @property
    def good(self) -> ReplicaState:
        assert self.state is not None, self.ran.visible
        return self.state


class Machine:
    """The replication machine, with its jobs as a test describes them."""

    def __init__(self, shell: PowerShell, folder: Path) -> None:
        self._shell, self.folder = shell, folder
        self.memory = folder / "Coldsite-last-connected.txt"

    def run(
        self, script: str, *jobs: Any, module: bool = True, before: str = "", zone: str = "UTC", **world: Any
    ) -> Answer:
        file = self.folder / "world.json"
        file.write_text(json.dumps({"jobs": list(jobs), **world}))
        log = Path(f"{file}.log")
        log.unlink(missing_ok=True)
        given = environment(self.folder, FAKE_DT=str(file), ProgramData=str(self.folder), TZ=zone)
        given["PSModulePath"] = str(STAND_INS / "modules") if module else str(self.folder)
        ran = self._shell.run(SCRIPTS / f"{script}.ps1", given, before)
        output = "\n".join(ran.output)
        assert len(output.encode()) < 4096
        streams = [{"code": "ComponentStatus/StdOut/succeeded", "message": output}]
        state = None if ran.error else read_output(streams)
        if ran.error:
            assert not output, "A script that cannot do its work prints no answer."
        return Answer(ran, state, log.read_text().splitlines() if log.exists() else [])


@pytest.fixture
def machine(shell: PowerShell, tmp_path: Path) -> Machine:
    return Machine(shell, tmp_path)


pytestmark = needs_powershell


# A source that sends


@pytest.mark.parametrize("kind", ["core", "full", "image"])
@pytest.mark.parametrize("strings", [True, False])
@pytest.mark.parametrize("script", NAMES)
def test_a_replica_in_order(machine: Machine, kind: str, strings: bool, script: str) -> None:
    """The three kinds of job keep their details in three places; states are enums, or strings."""
    report = machine.run(script, job(kind=kind, queue=1234), job("job-2", kind=kind), strings=strings)
    assert (report.good.state, report.good.connected, report.good.queue_bytes) == ("good", True, 1234)
    assert report.good.frozen is (script == "freeze")
    verb = {"status": None, "freeze": "Suspend", "thaw": "Resume", "reverse": "Reverse"}[script]
    assert report.did == ([f"{verb} job-1", f"{verb} job-2"] if verb else [])


def test_a_mirror_state_of_complete_is_at_rest(machine: Machine) -> None:
    assert machine.run("freeze", job(mirror="Complete"), strings=True).copied


@pytest.mark.parametrize("mirroring", [job(high="Mirroring", mirror="Mirror", queue=99), job(mirror="Calculating")])
def test_a_replica_that_is_mirroring_is_not_paused(machine: Machine, mirroring: Any) -> None:
    for script in ("status", "freeze", "thaw"):
        report = machine.run(script, mirroring)
        assert (report.good.state, report.good.connected, report.good.frozen) == ("mirroring", True, False)
    assert machine.run("freeze", mirroring).did == []


@pytest.mark.parametrize("word", ["Mirroring", "Synchronizing", "Provisioning"])
@pytest.mark.parametrize("others", [[], [job("job-2")]], ids=["alone", "beside one in order"])
def test_a_job_without_details_that_is_still_working_is_not_copied(machine: Machine, word: str, others: Any) -> None:
    """Only a state that says so means that the source is gone; the remembered state does not count then."""
    machine.memory.write_text("good")
    working = job(high=word, noDetails=True)
    assert machine.run("status", working, *others).good.state == "mirroring"
    report = machine.run("freeze", working, *others)
    assert (report.good.frozen, report.copied, report.did) == (False, False, [])


def test_a_job_without_details_and_with_an_unknown_word_is_not_frozen(machine: Machine) -> None:
    machine.memory.write_text("good")
    report = machine.run("freeze", job(high="Rearranging", noDetails=True, suspend="never"))
    assert (report.good.frozen, report.copied) == (False, False)


def test_a_mirror_that_begins_while_it_freezes_is_seen(machine: Machine) -> None:
    report = machine.run("freeze", job(then=[{"mirror": "Mirror", "high": "Mirroring"}]))
    assert (report.good.state, report.copied) == ("mirroring", False)


def test_a_pause_that_takes_its_time_is_waited_for(machine: Machine) -> None:
    report = machine.run("freeze", job(suspend="slow"))
    assert report.copied
    assert 0 < report.ran.slept < 10


@pytest.mark.parametrize(
    "jobs",
    [
        [job(suspend="never")],
        [job(suspend="throw")],
        [job(), job("job-2", suspend="throw")],
        [job(high="Synchronized", suspend="throw", queue=777)],
        [job(high="Synchronized", suspend="never", queue=777)],
        [job(noStatus=True, suspend="throw", queue=777)],
    ],
    ids=["no effect", "refused", "second refused", "other word, refused", "other word, no effect", "no word, refused"],
)
def test_a_replica_that_cannot_be_paused_is_not_called_frozen(machine: Machine, jobs: list[Any]) -> None:
    report = machine.run("freeze", *jobs)
    assert report.good.frozen is False
    assert not report.copied
    assert report.ran.slept <= 30
    if jobs[-1].get("suspend") == "throw":
        assert f"{jobs[-1]['id']} refused to be paused: " in report.good.message


def test_pausing_twice_changes_nothing(machine: Machine) -> None:
    assert machine.run("freeze", job(high="Paused", target="Paused")).copied
    assert machine.run("status", job(high="Paused", target="Paused")).good.frozen is True


def test_a_pause_that_is_pending_is_not_thawed(machine: Machine) -> None:
    """freeze.ps1 may have given up waiting for the pause; it takes effect later."""
    report = machine.run("thaw", job(target="PausePending", resume="throw"))
    assert report.good.frozen is True
    assert "job-1 refused to go on: " in report.good.message


def test_a_source_that_reconnects_and_refuses_the_pause_is_not_frozen(machine: Machine) -> None:
    machine.memory.write_text("good")
    report = machine.run("freeze", job(mirror="Unknown", suspend="throw"))
    assert not report.copied


def test_a_target_that_does_not_go_on_is_still_frozen(machine: Machine) -> None:
    report = machine.run("thaw", job(target="Paused", resume="never"))
    assert report.good.frozen is True
    assert report.ran.slept == 30


def test_one_job_that_refuses_does_not_keep_the_others_paused(machine: Machine) -> None:
    gone = job(high="Stopped", **REFUSES)
    report = machine.run("thaw", gone, job("job-2", target="Paused"))
    assert report.did == ["Resume job-1", "Resume job-2"]
    assert report.good.frozen is False


def test_a_job_that_stays_paused_is_named(machine: Machine) -> None:
    report = machine.run("thaw", job(target="Paused", resume="throw"), job("job-2", target="Paused"))
    assert report.good.frozen is True
    assert "job-1 refused to go on: " in report.good.message
    assert report.did == ["Resume job-1", "Resume job-2"]


# A source that is gone


@pytest.mark.parametrize("gone", [NO_DETAILS, job(high="Stopped", mirror="Unknown", target="Unknown")])
@pytest.mark.parametrize(("remembered", "copied"), [("good", True), ("mirroring", False), ("", False)])
def test_a_silent_replica_is_what_it_was_when_last_connected(
    machine: Machine, gone: Any, remembered: str, copied: bool
) -> None:
    machine.memory.write_text(remembered)
    report = machine.run("freeze", gone)
    assert report.copied is copied
    assert report.good.state == ("good" if copied else "stopped")
    assert report.good.connected is False
    assert "Double-Take gives no details of job-1" in report.good.message


def test_a_silent_job_that_refuses_the_pause_is_not_called_empty(machine: Machine) -> None:
    """Double-Take does not report the queue, so whether data will still be written is unknown."""
    machine.memory.write_text("good")
    report = machine.run("freeze", NO_DETAILS | {"suspend": "throw"})
    assert not report.copied
    assert report.good.queue_bytes is None


@pytest.mark.parametrize(
    ("remembered", "copied"), [("good", True), ("", True), ("mirroring", False), ("stopped", False)]
)
def test_a_source_that_is_gone_is_believed_unless_the_memory_says_otherwise(
    machine: Machine, remembered: str, copied: bool
) -> None:
    machine.memory.write_text(remembered)
    assert machine.run("freeze", job(high="Stopped")).copied is copied


def test_status_remembers_a_job_that_had_stopped(machine: Machine) -> None:
    machine.run("status", job())
    machine.run("status", job(high="Synchronized"))
    assert not machine.run("freeze", NO_DETAILS).copied


def test_status_remembers_what_was_good_while_connected(machine: Machine) -> None:
    machine.run("status", job())
    assert machine.run("freeze", NO_DETAILS).copied
    machine.run("status", job(high="Mirroring", mirror="Mirror"))
    assert not machine.run("freeze", NO_DETAILS).copied


def test_status_forgets_nothing_when_the_source_is_gone(machine: Machine) -> None:
    machine.run("status", job())
    machine.run("status", NO_DETAILS)
    assert machine.memory.read_text().strip() == "good"


def test_a_memory_that_cannot_be_written_is_said(machine: Machine) -> None:
    machine.memory.mkdir()
    report = machine.run("status", job())
    assert "could not be written" in report.good.message


def test_one_silent_job_of_two(machine: Machine) -> None:
    machine.memory.write_text("good")
    report = machine.run("freeze", job(), job("job-2", high="Stopped", noDetails=True))
    assert report.copied
    assert report.good.connected is False


def test_a_source_that_died_in_the_middle_of_a_mirror(machine: Machine) -> None:
    machine.memory.write_text("good")
    report = machine.run("freeze", job(high="Stopped", mirror="Stopped"))
    assert (report.good.state, report.copied) == ("mirroring", False)


def test_what_is_still_queued_is_not_copied(machine: Machine) -> None:
    report = machine.run("freeze", job(high="Stopped", queue=5_000_000_000, suspend="throw"))
    assert not report.copied
    assert report.good.queue_bytes == 5_000_000_000
    assert report.ran.slept == 30


def test_a_job_whose_source_is_gone_and_that_refuses_is_frozen_when_nothing_is_queued(machine: Machine) -> None:
    report = machine.run("freeze", job(high="Stopped", **REFUSES), job("job-2"))
    assert report.copied
    assert "job-1 is not paused, and nothing is queued for it" in report.good.message


def test_paused_without_details_counts_as_paused(machine: Machine) -> None:
    for script in ("status", "freeze", "thaw"):
        assert machine.run(script, job(high="Paused", noDetails=True)).good.frozen is True


@pytest.mark.parametrize("script", ["status", "freeze", "thaw"])
@pytest.mark.parametrize("strict", ["", "Set-StrictMode -Version Latest"])
@pytest.mark.parametrize(
    "nothing", [job(noStatistics=True), job(noStatistics=True, noStatus=True), job(noDetails=True)]
)
def test_details_that_are_nowhere_are_said_and_are_no_mirror(
    machine: Machine, nothing: Any, strict: str, script: str
) -> None:
    report = machine.run(script, nothing, before=strict)
    assert report.good.state == "stopped"
    assert "Double-Take gives no details of job-1" in report.good.message


# Machines that cannot answer


@pytest.mark.parametrize("script", NAMES)
def test_a_script_that_cannot_ask_ends_with_an_error(machine: Machine, script: str) -> None:
    assert "There is no Double-Take job" in str(machine.run(script).ran.error)
    assert "DoubleTake.PowerShell" in str(machine.run(script, job(), module=False).ran.error)
    assert "no endpoint listening" in str(machine.run(script, job(), server="throw").ran.error)


@pytest.mark.parametrize(
    ("script", "missing"),
    [
        ("freeze", ["Suspend-DtTarget"]),
        ("thaw", ["Resume-DtTarget"]),
        ("reverse", ["Invoke-DtReverseJob", "Start-DtJobReverse"]),
    ],
)
@pytest.mark.parametrize("high", ["Protecting", "Stopped"])
def test_a_command_that_is_missing_is_named(machine: Machine, script: str, missing: list[str], high: str) -> None:
    report = machine.run(script, job(high=high), noCommands=missing)
    assert missing[0] in str(report.ran.error)
    assert report.did == []


def test_either_name_of_the_reversing_command_will_do(machine: Machine) -> None:
    for missing in ("Invoke-DtReverseJob", "Start-DtJobReverse"):
        assert machine.run("reverse", job(), noCommands=[missing]).did == ["Reverse job-1"]


def test_a_job_that_refuses_to_reverse_is_an_error_that_names_each(machine: Machine) -> None:
    report = machine.run("reverse", job(reverse="throw"), job("job-2"))
    assert "Not reversed: job-1: " in str(report.ran.error)
    assert "Reversed: job-2." in str(report.ran.error)


# The answer


def test_the_keys_come_in_the_order_of_the_documents(machine: Machine) -> None:
    line = machine.run("status", job()).ran.output[-1]
    assert list(json.loads(line)) == ["state", "frozen", "connected", "queue_bytes", "replicated_until", "message"]
    assert line.startswith('{"state":"good","frozen":false')


@pytest.mark.parametrize("high", ['Pro"tec\nting \\ {x} <&> äö', "x" * 5000])
def test_any_word_of_double_take_fits_into_the_answer(machine: Machine, high: str) -> None:
    report = machine.run("status", job(high=high))
    assert len(report.good.message) <= 500
    assert report.good.message.startswith(high[:20])


def test_what_commands_hand_back_is_not_part_of_the_answer(machine: Machine) -> None:
    for script in ("freeze", "thaw", "reverse"):
        assert len(machine.run(script, job(), job("job-2"), noisy=True).ran.output) == 1


def test_a_queue_that_is_null_or_huge(machine: Machine) -> None:
    assert machine.run("status", job(queue=None)).good.queue_bytes is None
    assert machine.run("status", job(queue=2**52)).good.queue_bytes == 2**52


@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
@pytest.mark.parametrize("kind", ["Utc", "Local"])
def test_the_oldest_time_of_all_jobs_is_told_in_utc(machine: Machine, zone: str, kind: str) -> None:
    jobs = [
        job(until="2026-11-01T20:04:00Z", untilKind=kind),
        job("job-2", until="2026-11-01T20:00:00Z", untilKind=kind),
    ]
    report = machine.run("status", *jobs, zone=zone)
    assert report.good.replicated_until == datetime(2026, 11, 1, 20, 0, tzinfo=UTC)


def test_a_job_without_a_time_makes_the_age_unknown(machine: Machine) -> None:
    report = machine.run("status", job(until="2026-11-01T20:04:00Z", untilKind="Utc"), job("job-2"))
    assert report.good.replicated_until is None


# The scripts themselves


def test_what_the_scripts_share_is_the_same_in_each() -> None:
    """Run Command sends each script alone, so none can call another file."""
    shared = {
        (SCRIPTS / f"{name}.ps1").read_text().split("# The same in all four scripts")[1].split("# Until here.")[0]
        for name in NAMES
    }
    assert len(shared) == 1
