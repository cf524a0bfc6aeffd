"""How a plan decides that the primary is unreachable: its signals, quorum and approvals."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, field_serializer, field_validator, model_validator

from shared.models.base import Strict
from shared.models.durations import Duration, IoTimeout
from shared.models.plan_fields import (
    Path,
)
from shared.models.probes import HttpProbe, SqlProbe, _seconds


class TrafficManagerSignal(Strict):
    """Traffic Manager's own view of the primary's endpoint."""


class AzureHealthSignal(Strict):
    """Azure's own report on the recovery region: Service Health's active issues there."""


class LogsSignal(Strict):
    """A KQL file beside the plan whose first row's first column is the time of the newest sign of life."""

    query: str
    stale_after: Duration
    timeout: IoTimeout = _seconds(10)


class Signal(Strict):
    """One named source of evidence. Signals of one ``path`` share a line, so together they count once."""

    path: Path = "control"
    role: Literal["evidence", "control", "recovery"] = "evidence"
    """``recovery`` is about the recovery region: an incident there makes automatic require approval."""
    no_data: Literal["down", "ignored"] = "ignored"
    http: HttpProbe | None = None
    sql: SqlProbe | None = None
    traffic_manager: TrafficManagerSignal | None = None
    logs: LogsSignal | None = None
    azure_health: AzureHealthSignal | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Signal:
        sources = [self.http, self.sql, self.traffic_manager, self.logs, self.azure_health]
        if sum(source is not None for source in sources) != 1:
            raise ValueError("needs exactly one of http, sql, traffic_manager, logs, azure_health")
        if (self.azure_health is not None) != (self.role == "recovery"):
            raise ValueError(
                "azure_health and role: recovery require each other: it says nothing about the primary site"
            )
        if self.role == "evidence" and self.path == "control":
            raise ValueError("needs a path: public, private or another line that can fail independently")
        return self


class Trust(Strict):
    """Until both hold, automatic acts as approve."""

    drill_within: Duration
    observed_for: Duration


class Approval(Strict):
    deadline: Duration = timedelta(minutes=30)
    then: Literal["expire", "proceed"] = "expire"
    four_eyes: bool = False
    """Whether a failover that a person starts waits for a second person. It needs sign-in, which identifies people."""


def _or_off(schema: dict[str, Any]) -> None:
    """In the file, ``off`` stands for no trust."""
    schema["anyOf"] = [{"const": "off"} if choice == {"type": "null"} else choice for choice in schema["anyOf"]]


class Detection(Strict):
    """How an outage is proven. ``quorum`` counts independent paths."""

    mode: Literal["observe", "approve", "automatic"]
    trust: Annotated[Trust | None, Field(json_schema_extra=_or_off)]
    """None in memory is ``off`` in the file: automatic mode needs no proof."""
    confirm_for: Duration = _seconds(90)
    confirm_when_all: Duration | None = None
    """How long the evidence must agree where every path of the plan, at least three, says so; None: ``confirm_for``."""
    confirm_deadline: Duration = timedelta(minutes=10)
    interval: Duration = _seconds(10)
    quorum: int = Field(default=2, ge=1)
    signals: dict[str, Signal]
    approval: Approval = Approval()
    loss_limit: Duration | None = None
    """Automatic never cuts over to older data without approval; by default four times the recovery point objective.
    ``RecoveryPlan.loss_limit`` is the one in force."""
    cooldown: Duration = timedelta(minutes=10)
    """Postpones the next check after a run without a cutover. A new failed check ends it: ``shared.services.news``."""

    @field_validator("trust", mode="before")
    @classmethod
    def _read_trust(cls, value: Any) -> Any:
        if value == "off":
            return None
        if not isinstance(value, (dict, Trust)):
            raise ValueError("is neither off nor drill_within with observed_for")
        return value

    @field_serializer("trust", mode="wrap")
    def _write_trust(self, value: Trust | None, write: SerializerFunctionWrapHandler) -> Any:
        return "off" if value is None else write(value)

    @property
    def slowest_answer(self) -> timedelta:
        """How long one round of evidence may take: the longest time-out of its signals."""
        probes = [p for s in self.signals.values() for p in (s.http, s.sql, s.logs) if p]
        return max((probe.timeout for probe in probes), default=_seconds(5))

    @property
    def max_check_age(self) -> timedelta:
        """The maximum age of evidence that counts as current: one round may be missed."""
        return 2 * (self.interval + self.slowest_answer)

    @property
    def paths(self) -> set[str]:
        return {signal.path for signal in self.signals.values() if signal.role == "evidence"}
