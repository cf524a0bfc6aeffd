"""A plan's probes: their requests and expected answers."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field, model_validator

from shared.models.base import Strict
from shared.models.durations import IoTimeout
from shared.models.plan_fields import (
    HostName,
    Place,
    SettingName,
    UrlPath,
)


def _seconds(value: float) -> timedelta:
    return timedelta(seconds=value)


def _minutes(value: float) -> timedelta:
    return timedelta(minutes=value)


class HttpExpectation(Strict):
    status: list[int] = Field(default=[200], min_length=1)
    text: str | None = None


class HttpProbe(Strict):
    """One GET. With a ``host`` it speaks TLS and verifies the certificate against that name; without, plain HTTP."""

    connect_to: Place | None = None
    """An address with an optional port, or the name of an app setting that holds one."""
    host: HostName | None = None
    path: UrlPath = "/"
    port: int | None = Field(default=None, ge=1, le=65535)
    certificate_authority: SettingName | None = None
    """An app setting naming a CA bundle file, where a private authority issued the site's certificate."""
    expect: HttpExpectation = HttpExpectation()
    timeout: IoTimeout = _seconds(5)


class SqlProbe(Strict):
    """Asks whether ``database`` is ONLINE; only ONLINE is healthy. ``recovery_point_query`` returns the newest commit's
    time in UTC; a column in local time needs ``AT TIME ZONE`` there.
    """

    server: HostName | None = None
    port: int = Field(default=1433, ge=1, le=65535)
    database: str
    credential: SettingName
    recovery_point_query: str | None = None
    certificate_authority: SettingName | None = None
    """An app setting naming a CA bundle file; with it the connection is encrypted and verified."""
    timeout: IoTimeout = _seconds(5)


class CountProbe(SqlProbe):
    """Also counts rows with ``count_query``, whose moments are filled in."""

    count_query: str


class Probe(Strict):
    """Exactly one way of asking."""

    http: HttpProbe | None = None
    sql: SqlProbe | None = None

    @model_validator(mode="after")
    def _http_or_sql(self) -> Probe:
        if (self.http is None) == (self.sql is None):
            raise ValueError("needs exactly one of http, sql")
        return self
