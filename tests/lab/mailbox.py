"""A notification address, at a real socket: the messages received, and its answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.serving import served

SECRET = "a-secret-part-of-the-address"


class Mailbox:
    """``refusals`` are the statuses with which the next messages are refused; ``asked`` counts every attempt."""

    def __init__(self) -> None:
        self.url = ""
        self.refusals: list[int] = []
        self.asked = 0
        self.messages: list[dict[str, Any]] = []

    def take(self, message: dict[str, Any]) -> int:
        self.asked += 1
        if self.refusals:
            return self.refusals.pop(0)
        self.messages.append(message)
        return 200

    @property
    def titles(self) -> list[str]:
        return [str(message["title"]) for message in self.messages]

    @property
    def texts(self) -> list[str]:
        return [str(message["message"]) for message in self.messages]


@contextmanager
def mailbox() -> Iterator[Mailbox]:
    box = Mailbox()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(box.take(json.loads(body)))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            return None

    with served(Handler) as port:
        box.url = f"json://127.0.0.1:{port}/{SECRET}"
        yield box
