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
    recover_workload,
    schedules,
)

app = df.DFApp()
triggers = (alerts, operator_api, openapi, schedules)
engine = (failover, drill, recover_workload, keeping, activities, bookkeeping)
for module in triggers + engine:
    app.register_functions(module.bp)
