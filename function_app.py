"""The Azure Functions app: it only composes."""

import azure.durable_functions as df

from functions.activities import (
    evidence,
    home,
    hooks,
    machines,
    notify,
    probes,
    recovery_points,
    replica,
    run_record,
    source,
    traffic,
)
from functions.activities import selfcheck as selfcheck_activity
from functions.orchestrators import (
    drill,
    failback,
    failover,
    prepare_recovery,
    rebuild_in_azure,
    recover_workload,
    upkeep,
)
from functions.orchestrators import selfcheck as selfcheck_orchestrator
from functions.triggers import alerts, dashboard, openapi, plans, runs, selfcheck, starts, timers

app = df.DFApp()
triggers = (alerts, starts, runs, plans, dashboard, openapi, timers, selfcheck)
orchestrators = (
    failover,
    failback,
    drill,
    rebuild_in_azure,
    prepare_recovery,
    recover_workload,
    upkeep,
    selfcheck_orchestrator,
)
activities = (
    evidence,
    home,
    hooks,
    machines,
    notify,
    probes,
    recovery_points,
    replica,
    run_record,
    source,
    traffic,
    selfcheck_activity,
)
for module in triggers + orchestrators + activities:
    app.register_functions(module.bp)
