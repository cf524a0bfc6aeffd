"""Customers served from Azure for days: what grows with them. Pure."""

from __future__ import annotations

_LONG = 7
"""Days from which on what expires is named."""


def away_sentence(plan: str, days: int) -> str:
    """What is so after so many days, why it matters, and the command to type.

    Computer accounts change their passwords every 30 days by default (MicrosoftDocs, "Domain member: Maximum machine
    account password age"), so machines at home that were off for longer fall out of their domain.
    """
    span = "1 day" if days == 1 else f"{days} days"
    away = f"Not protected by replication for {span}: customers are served from Azure."
    grows = (
        " Check what expires: certificates, licences for a passive copy, and after 30 days the computer accounts of "
        "the machines at home."
        if days >= _LONG
        else ""
    )
    return f"{away}{grows} `coldsite failback {plan} --reason WHY` brings customers home."
