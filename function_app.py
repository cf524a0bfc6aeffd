"""The Azure Functions app: it only composes."""

import azure.durable_functions as df

from functions import (
    activities,
    alerts,
    bookkeeping,
    drill,
    failover,
    keeping,
    operator_api,
    recover_workload,
    schedules,
)

app = df.DFApp()
for module in (alerts, operator_api, schedules, failover, drill, recover_workload, keeping, activities, bookkeeping):
    app.register_functions(module.bp)
