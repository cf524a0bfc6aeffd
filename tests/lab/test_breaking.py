"""The page of a running lab that breaks it."""

from __future__ import annotations

import asyncio
from html import escape

import aiohttp
import pytest

from lab.actions import Actions
from lab.breaking import HURTS, Breaking
from lab.options import LabOptions
from lab.scenario import PROJECT
from lab.twin import Lab
from tests.plans import contoso

PLAN = PROJECT / "plans" / "contoso.yaml"


def test_each_button_does_what_it_says_and_all_is_healed_by_one() -> None:
    async def main() -> None:
        async with Lab(contoso(), PLAN, LabOptions(speed=20)) as lab, aiohttp.ClientSession() as session:
            breaking = Breaking(Actions(lab, PROJECT), lab.functions.url)
            url = await breaking.start()
            try:
                for name, (label, _) in HURTS.items():
                    async with session.post(f"{url}/{name}") as answer:
                        assert answer.status == 200
                        assert escape(label) in (await answer.text()).split("Done so far")[1]
                assert lab.replication.state == "mirroring"
                assert len(lab.arm.faults._faults) == 1
                async with session.post(f"{url}/heal") as answer:
                    assert "Everything is healed" in await answer.text()
                assert lab.replication.state == "good"
                async with session.post(f"{url}/nonsense") as answer:
                    assert answer.status == 404
            finally:
                await breaking.stop()

    asyncio.run(main())


@pytest.mark.parametrize("name", HURTS)
def test_a_button_has_words_of_its_own(name: str) -> None:
    assert [label for label, _ in HURTS.values()].count(HURTS[name][0]) == 1
