"""The business's own automation that a plan names: webhooks, and scripts on a recovered machine."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from shared.models.base import Strict
from shared.models.durations import IoTimeout
from shared.models.plan_fields import SettingName, WorkloadName
from shared.models.probes import _seconds

HookMoment = Literal["before_build", "before_cutover", "after_cutover", "after_drill"]


class Act(Strict):
    """Work that only the business's own automation can do: a webhook, or a script that Run Command runs on the
    recovered machine ``on``.

    A hook gets ``{"run_id", "plan", "action"}``; a script gets ``-Action``. Both may answer with one JSON line.
    """

    hook: SettingName | None = None
    script: str | None = None
    on: WorkloadName | None = None
    timeout: IoTimeout = _seconds(60)
    """How long a hook may take. A script may take ``recovery.operation_timeout``."""

    @model_validator(mode="after")
    def _hook_or_script(self) -> Act:
        if (self.hook is None) == (self.script is None):
            raise ValueError("needs exactly one of hook, script")
        if (self.script is None) != (self.on is None):
            raise ValueError("script and on require each other: on names the workload on whose machine it runs")
        return self


class Hook(Act):
    """An act at a turning point of a run. The refusal of a ``required`` one holds the run; of any other only the answer
    is kept, and a webhook that is not required is not even waited for.
    """

    required: bool = False


class Hooks(Strict):
    """``before_build``: before a failover makes machines; only a webhook, since no machine exists. ``before_cutover``:
    the recovery site is verified, and customers are about to move. ``after_cutover``: they have moved. ``after_drill``:
    a drill has verified its machines, which still run.
    """

    before_build: Hook | None = None
    before_cutover: Hook | None = None
    after_cutover: Hook | None = None
    after_drill: Hook | None = None
    script_texts: dict[str, str] = Field(default_factory=dict)
    """Filled by the loader, so that a run carries the scripts it started with."""

    @model_validator(mode="after")
    def _possible(self) -> Hooks:
        if self.before_build and self.before_build.script:
            raise ValueError("before_build: no machine exists yet on which a script could run; use a hook")
        return self

    @property
    def declared(self) -> dict[HookMoment, Hook]:
        """The hooks that the plan names, by moment."""
        moments: tuple[HookMoment, ...] = ("before_build", "before_cutover", "after_cutover", "after_drill")
        return {name: hook for name in moments if (hook := getattr(self, name)) is not None}


class Fence(Strict):
    """Stops the source's writes, if it can be reached, and resumes them when customers stay there.

    ``hook`` names a setting that holds the URL. It gets ``{"run_id", "plan", "action": "stop" | "resume"}``.
    """

    hook: SettingName
    timeout: IoTimeout = _seconds(60)
    required: bool = False
