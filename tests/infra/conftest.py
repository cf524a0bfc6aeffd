"""One PowerShell session for each file of tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.infra.shell import PowerShell, powershell


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PowerShell]:
    with powershell(tmp_path_factory.mktemp("shell")) as session:
        yield session
