"""Until when Microsoft supports the software on the machines.

Sources: Microsoft's lifecycle pages of the products, as quoted for SQL Server 2016 and Windows Server 2016 by
techcommunity.microsoft.com (SQL Server blog, Extended Security Updates) in 2026. Paid extended security updates last
longer and are not considered.
"""

from __future__ import annotations

from datetime import date, timedelta

from shared.models.plan_fields import Software

ENDS: dict[Software, date] = {
    "windows-server-2012": date(2023, 10, 10),
    "windows-server-2012-r2": date(2023, 10, 10),
    "windows-server-2016": date(2027, 1, 12),
    "windows-server-2019": date(2029, 1, 9),
    "windows-server-2022": date(2031, 10, 14),
    "sql-server-2012": date(2022, 7, 12),
    "sql-server-2014": date(2024, 7, 9),
    "sql-server-2016": date(2026, 7, 14),
    "sql-server-2017": date(2027, 10, 12),
    "sql-server-2019": date(2030, 1, 8),
    "sql-server-2022": date(2033, 1, 11),
}
NOTICE = timedelta(days=180)
"""How long before its end the end of support is a finding: a migration takes months."""


def title_of(software: Software) -> str:
    """The product's name as people write it."""
    return software.replace("-", " ").title().replace("Sql", "SQL")
