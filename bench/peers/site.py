"""What the peers share: the site's names, the watch over the primary's page, the wait for the recovered page."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LOOKS = 3
LOOK_EVERY = 30.0
PROBE_EVERY = 5.0
GIVE_UP = 1800.0


@dataclass
class Site:
    """A site file. ``speed`` is how much faster than real time its world is: every wait is divided by it."""

    facts: dict[str, Any]
    speed: float

    @classmethod
    def read(cls) -> Site:
        """The site file is the first argument of the script."""
        facts = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
        return cls(facts, facts["speed"])

    def __getattr__(self, name: str) -> Any:
        return self.facts[name]

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds / self.speed)

    def wait_for_an_outage(self) -> None:
        """Returns after three failed looks at the primary's page, 30 s apart."""
        failed = 0
        while failed < LOOKS:
            if failed:
                self.sleep(LOOK_EVERY)
            failed = 0 if self.answers(self.primary) else failed + 1
            if not failed:
                self.sleep(LOOK_EVERY)

    def wait_until_healthy(self) -> None:
        """Three good answers in a row of the recovered page. Raises ``TimeoutError`` after half an hour."""
        good, began = 0, time.monotonic()
        while good < LOOKS:
            good = good + 1 if self.answers(self.recovery) else 0
            if good < LOOKS:
                if (time.monotonic() - began) * self.speed > GIVE_UP:
                    raise TimeoutError("The recovered page is not healthy after half an hour.")
                self.sleep(PROBE_EVERY if not good else 1.0)

    def answers(self, address: str) -> bool:
        """Whether the page at this address says that it is healthy."""
        host, _, port = address.rpartition(":")
        context = ssl.create_default_context(cafile=self.ca)
        try:
            with (
                socket.create_connection((host, int(port)), 5) as line,
                context.wrap_socket(line, server_hostname=self.host) as tls,
            ):
                connection = http.client.HTTPConnection(self.host)
                connection.sock = tls
                connection.request("GET", self.path, headers={"Host": self.host})
                answer = connection.getresponse()
                return answer.status == 200 and b"healthy" in answer.read()
        except (OSError, http.client.HTTPException):
            return False


def say(word: str) -> None:
    """A moment for whoever measures."""
    print(json.dumps({"moment": word, "at": time.time()}), flush=True)
