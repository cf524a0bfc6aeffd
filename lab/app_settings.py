"""The app settings of the lab's app: what ``infra/`` sets in Azure, with the lab's addresses."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from lab.cloud.identity import API, TENANT
from lab.site import world

if TYPE_CHECKING:
    from lab.twin import Lab


def app_settings(lab: Lab, plans: Path) -> dict[str, str]:
    """The app settings: what ``infra/`` sets in Azure, with the lab's addresses."""
    public = f":{lab.ports.https}"
    settings = {
        "PATH": os.environ.get("PATH", ""),
        "PYTHONPATH": str(lab.options.installed.platform),
        "PYTHONUNBUFFERED": "1",
        "IDENTITY_ENDPOINT": lab.front.identity_url,
        "IDENTITY_HEADER": lab.identity.header,
        "AZURE_TOKEN_CREDENTIALS": "ManagedIdentityCredential",
        "SSL_CERT_FILE": str(lab.ca_bundle),
        "REQUESTS_CA_BUNDLE": str(lab.ca_bundle),
        "COLDSITE_PLANS": str(plans),
        "COLDSITE_TABLES_ENDPOINT": lab.tables_endpoint,
        "COLDSITE_DOCUMENTS_ENDPOINT": lab.documents_endpoint,
        "COLDSITE_RESOURCE_MANAGER": lab.front.url,
        "COLDSITE_LOGS_ENDPOINT": f"{lab.front.url}/v1",
        "COLDSITE_WORKSPACE_ID": lab.logs.workspace,
        "COLDSITE_DNS_SERVER": f"127.0.0.1:{lab.dns.port}",
        "COLDSITE_RESOLVERS": " ".join(f"127.0.0.1:{resolver.server.port}" for resolver in lab.resolvers.all),
        "COLDSITE_WATCH_SCHEDULE": _every(lab, 20),
        "COLDSITE_HOUSEKEEPING_SCHEDULE": _every(lab, 60),
        "AzureWebJobs.start_drills.Disabled": "true",
        "AzureWebJobs.take_recovery_points.Disabled": "true",
        "AzureWebJobs.sweep_readiness.Disabled": "true",
        "PRIMARY_ADDRESS": world.PRIMARY_PUBLIC + public,
        "RECOVERY_PUBLIC_ADDRESS": world.RECOVERY_PUBLIC + public,
        "OBSERVER_ADDRESS": f"{world.OBSERVER}:{lab.ports.http}",
        "SQL_PROBE": f"{world.SQL_USER}:{world.SQL_PASSWORD}",
        **dict.fromkeys(("NOTIFY_URL", *(step.to for step in lab.plan.escalation)), lab.front.notify_url),
        **lab.hooks.addresses(lab.front.plain_url),
    }
    if lab.options.people:
        settings |= {
            "WEBSITE_AUTH_ENABLED": "True",
            "COLDSITE_SIGN_IN": "required",
            "COLDSITE_ALERTS_AUDIENCE": f"api://{API}",
            "COLDSITE_TENANT_ID": TENANT,
            "COLDSITE_LOGIN_ENDPOINT": lab.front.url,
        }
    return {name: value for name, value in settings.items() if value}


def _every(lab: Lab, seconds: float) -> str:
    """A schedule for so many simulated seconds, at the lab's speed."""
    real = max(1, round(lab.clock.real(seconds)))
    return f"*/{real} * * * * *" if real < 60 else "0 * * * * *"
