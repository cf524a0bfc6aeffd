"""When a drill is due: NCRONTAB with six fields, as Azure Functions reads it, in the plan's time zone.

Where day of month and weekday are both restricted, both must fit: ``0 0 3 1-7 * SUN`` is the first Sunday of a month.
Source: atifaziz/NCrontab, and MicrosoftDocs/azure-docs:articles/azure-functions/functions-bindings-timer.md
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from croniter import CroniterBadDateError, CroniterError, croniter

_FIELD = re.compile(r"[0-9A-Za-z*,/-]+")
_MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
_DAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]
_NAMES = re.compile("|".join([*_MONTHS, *_DAYS]))
_NUMBERS = {name: number for names, start in ((_MONTHS, 1), (_DAYS, 0)) for number, name in enumerate(names, start)}
_YEARS = 10
"""A date that does not occur within so many years (29 February occurs within eight) never occurs."""


def schedule_problem(value: str) -> str | None:
    """Why a text is not a schedule, as the end of a sentence that begins with it; None when it is one."""
    wrong = "is not a schedule of six fields, for example 0 0 3 1 1,4,7,10 * (three o'clock, once a quarter)"
    fields = value.split()
    letters = "".join(_NAMES.sub("", field.upper()) for field in fields)
    if len(fields) != 6 or not all(map(_FIELD.fullmatch, fields)) or re.search("[A-Z]", letters):
        return wrong
    if backwards := next(filter(_runs_backwards, re.findall(r"\w+-\w+", value.upper())), None):
        return f"contains {backwards}, a range that ends before it begins; write it as two, for example FRI-SAT,SUN-MON"
    try:
        _reader(value, datetime(2027, 1, 1)).get_next(datetime)
    except CroniterBadDateError:
        return "is a date that never occurs"
    except (CroniterError, ValueError, KeyError):
        return wrong
    return None


def _runs_backwards(span: str) -> bool:
    """cron wraps such a range around; NCRONTAB may read it the other way round."""
    first, last = (_NUMBERS.get(end, end) for end in span.split("-"))
    return str(first).isdigit() and str(last).isdigit() and int(first) > int(last)


def due_before(schedule: str, zone: str, now: datetime) -> datetime:
    """The newest due moment at or before ``now``, in UTC.

    The schedule is in local time. A repeated hour is due once, the first time; a skipped one is due at the change.
    """
    local = now.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    due = _reader(schedule, local + timedelta(microseconds=1)).get_prev(datetime)
    return min(due.replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC) for fold in (0, 1))


def _reader(schedule: str, start: datetime) -> croniter:
    return croniter(schedule, start, second_at_beginning=True, day_or=False, max_years_between_matches=_YEARS)
