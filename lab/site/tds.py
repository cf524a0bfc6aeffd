"""The Tabular Data Stream, server side: packets, login, batches, sp_executesql, result sets. TDS 7.4 with TLS.

Source: the published protocol specification [MS-TDS]. Only the parts that SQL clients need for a login and a query.
"""

from __future__ import annotations

import asyncio
import re
import ssl
import struct
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

PRELOGIN, LOGIN, BATCH, RPC, ATTENTION, TRANSACTION = 0x12, 0x10, 0x01, 0x03, 0x06, 0x0E
REPLY = 0x04
_ENCRYPT_OFF, _ENCRYPT_ON, _ENCRYPT_NOT_SUPPORTED, _ENCRYPT_REQUIRED = 0, 1, 2, 3
_PACKET = 4096
_COLLATION = b"\x09\x04\xd0\x00\x34"
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(\+00:00|Z)?")


class ProtocolError(Exception):
    """The client sent something that is not TDS; the connection is closed."""


@dataclass
class Login:
    user: str
    password: str
    database: str
    app: str


class Connection:
    """One client's stream: whole messages in, whole messages out, with TLS inside when the client wants it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, tls: ssl.SSLContext | None) -> None:
        self._reader = reader
        self._writer = writer
        self._tls = tls
        self._object: ssl.SSLObject | None = None
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._plain = b""

    async def _read_exactly(self, size: int) -> bytes:
        if self._object is None:
            return await self._reader.readexactly(size)
        while len(self._plain) < size:
            try:
                self._plain += self._object.read(65536)
            except ssl.SSLWantReadError:
                data = await self._reader.read(65536)
                if not data:
                    raise asyncio.IncompleteReadError(self._plain, size) from None
                self._incoming.write(data)
        data, self._plain = self._plain[:size], self._plain[size:]
        return data

    async def receive(self) -> tuple[int, bytes]:
        """The next message: its type and its body, joined from its packets."""
        body = b""
        while True:
            kind, status, length = struct.unpack(">BBH4x", await self._read_exactly(8))
            if length < 8:
                raise ProtocolError("a packet shorter than its header")
            body += await self._read_exactly(length - 8)
            if status & 1:
                return kind, body

    async def send(self, body: bytes, kind: int = REPLY) -> None:
        """Sends one message in packets."""
        parts = [body[i : i + _PACKET - 8] for i in range(0, len(body), _PACKET - 8)] or [b""]
        raw = b"".join(
            struct.pack(">BBHHBB", kind, int(n == len(parts)), len(part) + 8, 0, n & 0xFF, 0) + part
            for n, part in enumerate(parts, start=1)
        )
        if self._object is not None:
            self._object.write(raw)
            raw = self._outgoing.read()
        self._writer.write(raw)
        await self._writer.drain()

    async def prelogin(self) -> None:
        """Answers the client's greeting and, when it wants encryption, shakes hands inside TDS packets."""
        kind, body = await self.receive()
        if kind != PRELOGIN:
            raise ProtocolError("the first message is no prelogin")
        wants = _prelogin_option(body, 1, _ENCRYPT_NOT_SUPPORTED)
        encrypt = self._tls is not None and wants in (_ENCRYPT_ON, _ENCRYPT_REQUIRED)
        answer = _ENCRYPT_ON if encrypt else _ENCRYPT_NOT_SUPPORTED
        options = [(0, struct.pack(">BBHH", 13, 0, 1601, 0)), (1, bytes([answer])), (2, b"\0"), (4, b"\0")]
        offset, head, data = 5 * len(options) + 1, b"", b""
        for token, value in options:
            head += struct.pack(">BHH", token, offset + len(data), len(value))
            data += value
        await self.send(head + b"\xff" + data)
        if encrypt and self._tls is not None:
            await self._shake_hands(self._tls)

    async def _shake_hands(self, context: ssl.SSLContext) -> None:
        # Session tickets would follow the handshake inside PRELOGIN packets, which FreeTDS does not expect.
        context.num_tickets = 0
        # TDS 7.4 frames no more of the handshake than TLS 1.2 has, and SQL Server 2016 speaks nothing newer.
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        handshake = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        while True:
            try:
                handshake.do_handshake()
                break
            except ssl.SSLWantReadError:
                if outgoing := self._outgoing.read():
                    await self.send(outgoing, PRELOGIN)
                _, body = await self.receive()
                self._incoming.write(body)
        if outgoing := self._outgoing.read():
            await self.send(outgoing, PRELOGIN)
        self._object = handshake

    def close(self) -> None:
        self._writer.close()


def _prelogin_option(body: bytes, wanted: int, default: int) -> int:
    position = 0
    while position + 5 <= len(body) and body[position] != 0xFF:
        token, offset, length = struct.unpack_from(">BHH", body, position)
        if token == wanted and length:
            return int(body[offset])
        position += 5
    return default


def read_login(body: bytes) -> Login:
    """LOGIN7: fixed fields, then offsets and lengths of strings; the password is lightly hidden."""

    def text(position: int) -> bytes:
        offset, length = struct.unpack_from("<HH", body, position)
        return body[offset : offset + 2 * length]

    hidden = text(44)
    password = bytes(((b ^ 0xA5) << 4 | (b ^ 0xA5) >> 4) & 0xFF for b in hidden).decode("utf-16-le")
    return Login(
        user=text(40).decode("utf-16-le"),
        password=password,
        database=text(68).decode("utf-16-le"),
        app=text(48).decode("utf-16-le"),
    )


def read_batch(body: bytes) -> str:
    """A SQL batch: headers, then text."""
    return body[struct.unpack_from("<I", body)[0] :].decode("utf-16-le")


def read_rpc(body: bytes) -> tuple[str, dict[str, Any]]:
    """An sp_executesql call: its statement and its parameters by name. Resetting the connection is an empty statement.

    Raises ``ProtocolError`` for other calls.
    """
    position = struct.unpack_from("<I", body)[0]
    (length,) = struct.unpack_from("<H", body, position)
    position += 2
    if length == 0xFFFF:
        (procedure,) = struct.unpack_from("<H", body, position)
        position += 2
        if procedure != 10:
            raise ProtocolError(f"remote procedure {procedure} is not modelled")
    else:
        name = body[position : position + 2 * length].decode("utf-16-le")
        position += 2 * length
        if name.lower() == "sp_reset_connection":
            return "", {}
        if name.lower() not in ("sp_executesql", "sys.sp_executesql"):
            raise ProtocolError(f"remote procedure {name} is not modelled")
    position += 2
    values: list[tuple[str, Any]] = []
    while position < len(body):
        name_length = body[position]
        name = body[position + 1 : position + 1 + 2 * name_length].decode("utf-16-le")
        position += 2 + 2 * name_length
        value, position = _read_value(body, position)
        values.append((name.lstrip("@"), value))
    if not values:
        raise ProtocolError("sp_executesql without a statement")
    return str(values[0][1]), dict(values[2:])


def _read_value(body: bytes, at: int) -> tuple[Any, int]:
    kind = body[at]
    if kind in (0xE7, 0xEF, 0xA7, 0xAF):
        wide = kind in (0xE7, 0xEF)
        (size,) = struct.unpack_from("<H", body, at + 1)
        at += 8
        if size == 0xFFFF:
            raw, at = _read_chunks(body, at)
        else:
            (length,) = struct.unpack_from("<H", body, at)
            at += 2
            raw = None if length == 0xFFFF else body[at : at + length]
            at += 0 if raw is None else length
        return (None if raw is None else raw.decode("utf-16-le" if wide else "cp1252")), at
    if kind in (0x26, 0x68, 0x6D):
        length = body[at + 2]
        raw = body[at + 3 : at + 3 + length]
        if not length:
            return None, at + 3
        if kind == 0x6D:
            return struct.unpack("<d" if length == 8 else "<f", raw)[0], at + 3 + length
        return int.from_bytes(raw, "little", signed=kind == 0x26), at + 3 + length
    raise ProtocolError(f"parameter type 0x{kind:02x} is not modelled")


def _read_chunks(body: bytes, at: int) -> tuple[bytes | None, int]:
    (total,) = struct.unpack_from("<Q", body, at)
    at += 8
    if total == 0xFFFFFFFFFFFFFFFF:
        return None, at
    raw = b""
    while True:
        (length,) = struct.unpack_from("<I", body, at)
        at += 4
        if not length:
            return raw, at
        raw += body[at : at + length]
        at += length


# Tokens of answers


def _short_text(text: str) -> bytes:
    return bytes([len(text)]) + text.encode("utf-16-le")


def _long_text(text: str) -> bytes:
    return struct.pack("<H", len(text)) + text.encode("utf-16-le")


def _token(kind: int, content: bytes) -> bytes:
    return struct.pack("<BH", kind, len(content)) + content


def login_accepted(database: str, server: str) -> bytes:
    """ENVCHANGE of the database, its collation and the packet size, LOGINACK, DONE."""
    version = struct.pack(">I", 0x74000004)
    acknowledged = b"\x01" + version + _short_text("Microsoft SQL Server") + struct.pack(">BBH", 13, 0, 1601)
    return (
        database_changed(database)
        + _token(0xE3, b"\x07" + bytes([len(_COLLATION)]) + _COLLATION + b"\0")
        + _token(0xE3, b"\x04" + _short_text(str(_PACKET)) + _short_text(str(_PACKET)))
        + _token(0xAD, acknowledged)
        + message(0xAB, 5701, 10, f"Changed database context to '{database}'.", server)
        + done()
    )


def database_changed(database: str) -> bytes:
    return _token(0xE3, b"\x01" + _short_text(database) + _short_text("master"))


def transaction_changed(kind: int) -> bytes:
    """Begin (8), commit (9) or rollback (10) of a transaction, as an ENVCHANGE."""
    descriptor = b"\x08" + b"\1\0\0\0\0\0\0\0"
    return _token(0xE3, bytes([kind]) + (descriptor + b"\0" if kind == 8 else b"\0" + descriptor))


def message(kind: int, number: int, severity: int, text: str, server: str) -> bytes:
    """An ERROR (0xAA) or INFO (0xAB) token."""
    content = struct.pack("<IBB", number, 1, severity) + _long_text(text) + _short_text(server) + b"\0"
    return _token(kind, content + struct.pack("<I", 1))


def done(rows: int | None = None, *, error: bool = False, rpc: bool = False, attention: bool = False) -> bytes:
    """DONE, or RETURNSTATUS and DONEPROC for a remote procedure."""
    status = (0x10 if rows is not None else 0) | (0x02 if error else 0) | (0x20 if attention else 0)
    tail = struct.pack("<HHQ", status, 0xC1, rows or 0)
    return (b"\x79\0\0\0\0\xfe" if rpc else b"\xfd") + tail


def result_set(columns: list[str], rows: list[tuple[Any, ...]]) -> bytes:
    """COLMETADATA and ROWs. A column's type is that of its first value; times go as DATETIME2."""
    kinds = [_kind(next((row[i] for row in rows if row[i] is not None), None)) for i in range(len(columns))]
    head = b"\x81" + struct.pack("<H", len(columns))
    for name, kind in zip(columns, kinds, strict=True):
        head += struct.pack("<IH", 0, 0x0009) + _TYPE_INFO[kind] + _short_text(name)
    body = b"".join(
        b"\xd1" + b"".join(_encode(value, kind) for value, kind in zip(row, kinds, strict=True)) for row in rows
    )
    return head + body


_TYPE_INFO = {
    "int": b"\x26\x08",
    "float": b"\x6d\x08",
    "time": b"\x2a\x07",
    "text": b"\xe7" + struct.pack("<H", 8000) + _COLLATION,
}


def _kind(value: Any) -> str:
    if isinstance(value, int):
        return "int"
    if isinstance(value, float):
        return "float"
    return "time" if isinstance(value, str) and _MOMENT.fullmatch(value) else "text"


def _encode(value: Any, kind: str) -> bytes:
    if value is None:
        return b"\xff\xff" if kind == "text" else b"\0"
    if kind == "int":
        return b"\x08" + struct.pack("<q", value)
    if kind == "float":
        return b"\x08" + struct.pack("<d", value)
    if kind == "time":
        moment = datetime.fromisoformat(value).replace(tzinfo=None)
        midnight = datetime(moment.year, moment.month, moment.day)
        ticks = round((moment - midnight).total_seconds() * 10_000_000)
        days = (moment.date() - date(1, 1, 1)).days
        return b"\x08" + ticks.to_bytes(5, "little") + days.to_bytes(3, "little")
    raw = str(value).encode("utf-16-le")[:8000]
    return struct.pack("<H", len(raw)) + raw
