"""The Azure Functions app: it only composes."""

import azure.durable_functions as df

from functions import (
    activities,
    alerts,
    bookkeeping,
    drill,
    failover,
    keeping,
    openapi,
    operator_api,
    reading,
    recover_workload,
    schedules,
    selfcheck,
    source,
)

app = df.DFApp()
triggers = (alerts, operator_api, reading, openapi, schedules, selfcheck)
engine = (failover, drill, recover_workload, keeping, activities, source, bookkeeping)
for module in triggers + engine:
    app.register_functions(module.bp)
