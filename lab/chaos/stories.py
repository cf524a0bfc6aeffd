"""The stories whose crash points are tried. Every activity of the app must occur in them."""

from __future__ import annotations

from lab.chaos.story import Chapter, Story

DIES: tuple[dict[str, object], ...] = (
    {"at": "0s", "do": "monitor.stop"},
    {"at": "5s", "do": "site.stop", "target": "primary"},
    {"at": "20s", "do": "alert.send", "sample": "traffic-manager-fired"},
)
"""The primary site goes dark, and an alert says so."""

STORIES = {
    story.name: story
    for story in (
        Story(
            name="failover",
            about="The primary dies; an alert fails it over.",
            timeline=DIES,
            expect={"active_site": "recovery", "runs": {"failover": {"succeeded": 1}}, "resources_left": []},
        ),
        Story(
            name="drill",
            about="A person tries the plan in the isolated network.",
            timeline=({"at": "5s", "do": "operator.drill"},),
            expect={"active_site": "primary", "runs": {"drill": {"succeeded": 1}}, "resources_left": []},
        ),
        Story(
            name="planned",
            about="A person moves a primary that serves, and nothing is lost.",
            timeline=({"at": "20s", "do": "operator.failover", "mode": "planned", "reason": "we move", "answer": 202},),
            expect={
                "active_site": "recovery",
                "runs": {"failover": {"succeeded": 1}},
                "customers": {"orders_lost": 0},
                "resources_left": [],
            },
            crash_in=frozenset({"fence_source", "read_replication", "read_home_commit", "note_replica"}),
        ),
        Story(
            name="older-set",
            about="Replication is mirroring when the primary dies; the newest good set is found and used.",
            timeline=(
                {"at": "5s", "do": "timer.fire", "function": "take_recovery_points"},
                {"at": "100s", "do": "monitor.stop"},
                {"at": "100s", "do": "replication.state", "state": "mirroring"},
                {"at": "105s", "do": "site.stop", "target": "primary"},
                {"at": "120s", "do": "alert.send", "sample": "traffic-manager-fired"},
            ),
            expect={"active_site": "recovery", "runs": {"failover": {"succeeded": 1}}},
            crash_in=frozenset({"find_recovery_points"}),
        ),
        Story(
            name="sets",
            about="A timer takes a set, takes another and forgets the first.",
            timeline=(
                {"at": "5s", "do": "timer.fire", "function": "take_recovery_points"},
                {"at": "480s", "do": "timer.fire", "function": "take_recovery_points"},
            ),
            overrides={"replication": {"recovery_points": {"every": "60s", "keep": 1}}},
            expect={"active_site": "primary", "resources_left": []},
            crash_in=frozenset(
                {
                    "freeze_replication",
                    "take_recovery_point",
                    "check_operation",
                    "thaw_replication",
                    "record_step",
                    "forget_recovery_points",
                    "note_point",
                }
            ),
        ),
        Story(
            name="aborted",
            about="No machine is available, and a person ends the failover; replication resumes, all is deleted.",
            timeline=(
                {
                    "at": "0s",
                    "do": "arm.fault",
                    "operation": "PUT virtualMachines",
                    "error": "QuotaExceeded",
                    "times": 6,
                },
                *DIES,
            ),
            chapters=(Chapter(({"at": "5s", "do": "operator.abort", "reason": "we wait"},), says="quota"),),
            expect={"active_site": "primary", "runs": {"failover": {"aborted": 1}}, "resources_left": []},
            crash_in=frozenset({"thaw_replication", "clean_up", "seal_run", "release_run"}),
        ),
        Story(
            name="failback",
            about="Customers come home: a person signs, writes stop, the rest is copied, and a person commits.",
            timeline=(
                *DIES,
                {"at": "240s", "do": "site.start", "target": "primary"},
                {"at": "245s", "do": "home.copy", "state": "start"},
                {"at": "250s", "do": "operator.failback", "reason": "home is repaired", "answer": 202},
            ),
            chapters=(
                Chapter(({"at": "0s", "do": "operator.approve", "answer": 202},), says="Move customers home?"),
                Chapter(({"at": "0s", "do": "operator.commit", "answer": 202},), says="Home was watched"),
                Chapter(({"at": "0s", "do": "timer.fire", "function": "housekeeping"},)),
            ),
            overrides={"failback": {"prove_for": "5s", "watch_for": "20s"}},
            expect={
                "active_site": "primary",
                "runs": {"failover": {"succeeded": 1}, "failback": {"succeeded": 1}},
                "customers": {"orders_lost": 0},
                "resources_left": [],
            },
            crash_in=frozenset(
                {
                    "look_home",
                    "stop_writes",
                    "final_sync",
                    "prove_home",
                    "note_home",
                    "enable_primary",
                    "disable_recovery",
                }
            ),
        ),
        Story(
            name="accident",
            about="SQL Server's machine fails while customers are in Azure, and is built again there from its own set.",
            timeline=DIES,
            chapters=(
                Chapter(
                    (
                        {"at": "0s", "do": "timer.fire", "function": "take_recovery_points"},
                        {"at": "60s", "do": "sql.state", "target": "recovery/sql", "state": "SUSPECT"},
                        {"at": "61s", "do": "operator.failover", "reason": "SUSPECT", "answer": 202},
                        {"at": "110s", "do": "sql.state", "target": "recovery/sql", "state": "ONLINE"},
                    )
                ),
            ),
            expect={"active_site": "recovery", "runs": {"failover": {"succeeded": 2}}, "resources_left": []},
            crash_in=frozenset({"set_aside"}),
        ),
        Story(
            name="hooked",
            about="A hook agrees before the machines are made, and a script before customers move.",
            timeline=DIES,
            overrides={
                "hooks": {
                    "before_build": {"hook": "BUILD_HOOK", "required": True},
                    "before_cutover": {"script": "final-sync.ps1", "on": "sql", "required": True},
                }
            },
            expect={"active_site": "recovery", "runs": {"failover": {"succeeded": 1}}, "resources_left": []},
            crash_in=frozenset({"call_hook"}),
        ),
        Story(
            name="leftover",
            about="An aborted run could not remove its machine; the next failover needs the same interface.",
            timeline=(
                {
                    "at": "0s",
                    "do": "arm.fault",
                    "operation": "DELETE virtualMachines",
                    "error": "Conflict",
                    "times": 18,
                },
                {"at": "0s", "do": "sql.state", "target": "recovery/sql", "state": "SUSPECT"},
                *DIES,
            ),
            chapters=(
                Chapter(({"at": "0s", "do": "operator.abort", "reason": "start again"},), says="SUSPECT"),
                Chapter(({"at": "0s", "do": "operator.failover", "reason": "again", "answer": 202},)),
                Chapter(({"at": "0s", "do": "timer.fire", "function": "housekeeping"},)),
            ),
            overrides={"recovery": {"poll_at_least": "20s"}},
            without=("housekeeping",),
            expect={
                "active_site": "recovery",
                "runs": {"failover": {"aborted": 1, "succeeded": 1}},
                "resources_left": [],
            },
            crash_in=frozenset({"evict_leftover"}),
        ),
    )
}
