"""Addresses in plans and settings: an IPv4 or IPv6 address or a host name, with an optional port."""

from __future__ import annotations

import contextlib
import ipaddress
import re

_SETTING = re.compile(r"[A-Z][A-Z0-9]*_[A-Z0-9_]*")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?\.?")
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
_PLACE = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<host>[^:\[\]]+))(?::(?P<port>[0-9]{1,5}))?")


def is_setting(value: str) -> bool:
    """Whether an address in a plan is the name of an app setting that holds one.

    Such a name has an underscore (``PRIMARY_ADDRESS``), which no host name of the internet has; ``WEB01`` is a host.
    """
    return _SETTING.fullmatch(value) is not None


def split_place(value: str) -> tuple[str, int | None] | None:
    """Address and port, or None when it is neither an address nor a host name with an optional port."""
    match = _PLACE.fullmatch(value.strip())
    if match is None:
        with contextlib.suppress(ValueError):
            return str(ipaddress.IPv6Address(value.strip())), None
        return None
    port = int(match["port"]) if match["port"] else None
    if port is not None and not 1 <= port <= 65535:
        return None
    if match["six"]:
        with contextlib.suppress(ValueError):
            return str(ipaddress.IPv6Address(match["six"])), port
        return None
    return (match["host"], port) if is_host(match["host"]) else None


def is_host(value: str) -> bool:
    """Whether a text can be an IPv4 address or a host name: labels of 1 to 63 letters, 253 in all (RFC 1123).

    A name whose last label is a number would be read as an address: ``10.5`` and ``0x0a140105`` are other spellings.
    """
    if _NUMBER.fullmatch(value.rstrip(".").rpartition(".")[2]):
        with contextlib.suppress(ValueError):
            return bool(ipaddress.IPv4Address(value))
        return False
    labels = value.rstrip(".").split(".")
    return _HOST.fullmatch(value) is not None and len(value) <= 253 and all(1 <= len(label) <= 63 for label in labels)
