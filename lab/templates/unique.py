"""Names as Azure makes them: ``guid`` and ``uniqueString``, equal to Microsoft's compiler to the letter.

Seen in ``bicep snapshot`` (0.49.2): a guid is version 5 in a name space of Azure's own; a unique string is a 64-bit
Murmur hash of the joined arguments in thirteen letters and digits.
"""

from __future__ import annotations

import uuid

_NAME_SPACE = uuid.UUID("11fb06fb-712d-4ddd-98c7-e71bbd588830")
_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"
_MASK = 0xFFFFFFFF
_C1, _C2 = 0x239B961B, 0xAB0E9789


def guid(*parts: str) -> str:
    """The same for the same arguments, everywhere."""
    return str(uuid.uuid5(_NAME_SPACE, "-".join(map(str, parts))))


def unique_string(*parts: str) -> str:
    """Thirteen letters and digits that depend on nothing but the arguments."""
    value, text = _murmur("-".join(parts).encode()), ""
    for _ in range(13):
        text += _LETTERS[value >> 59 & 31]
        value = value << 5 & (1 << 64) - 1
    return text


def _murmur(data: bytes) -> int:
    """MurmurHash3 for 32-bit processors, of whose four lanes Azure uses two."""
    h1 = h2 = 0
    whole = len(data) // 8 * 8
    for at in range(0, whole, 8):
        h1 ^= _mixed(_number(data[at : at + 4]), _C1, 15, _C2)
        h1 = ((_turned(h1, 19) + h2 & _MASK) * 5 + 0x561CCD1B) & _MASK
        h2 ^= _mixed(_number(data[at + 4 : at + 8]), _C2, 17, _C1)
        h2 = ((_turned(h2, 13) + h1 & _MASK) * 5 + 0x0BCAA747) & _MASK
    if tail := data[whole:]:
        h1 ^= _mixed(_number(tail[:4]), _C1, 15, _C2)
        h2 ^= _mixed(_number(tail[4:]), _C2, 17, _C1)
    h1, h2 = h1 ^ len(data), h2 ^ len(data)
    h1 = h1 + h2 & _MASK
    h2 = h2 + h1 & _MASK
    h1, h2 = _finished(h1), _finished(h2)
    h1 = h1 + h2 & _MASK
    return (h2 + h1 & _MASK) << 32 | h1


def _number(part: bytes) -> int:
    return int.from_bytes(part, "little")


def _turned(value: int, by: int) -> int:
    return (value << by | value >> 32 - by) & _MASK


def _mixed(value: int, first: int, by: int, second: int) -> int:
    return _turned(value * first & _MASK, by) * second & _MASK


def _finished(value: int) -> int:
    value = (value ^ value >> 16) * 0x85EBCA6B & _MASK
    value = (value ^ value >> 13) * 0xC2B2AE35 & _MASK
    return value ^ value >> 16
