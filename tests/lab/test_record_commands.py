"""`runs verify` and `settle`: what they print, ask and store."""

from __future__ import annotations

from typing import Any

from tests.lab.screens import Coldsite


def history(name: str, *problems: str, copies: int | None = None) -> dict[str, Any]:
    return {"plan": name, "documents": 3, "copies": copies, "problems": list(problems)}


def test_verify_checks_every_plan_and_says_that_it_is_intact(site: Coldsite) -> None:
    site.says("plans", {"plans": [{"name": "contoso"}, {"name": "fabrikam"}]})
    site.says("plans/contoso/history", history("contoso"))
    site.says("plans/fabrikam/history", history("fabrikam", copies=3))
    assert site.run("runs", "verify") == (
        "contoso: the history is intact (3 ended runs). "
        "fabrikam: the history is intact (3 ended runs, 3 compared with their copies outside the table)."
    )


def test_verify_names_what_was_changed_and_ends_with_status_1(site: Coldsite) -> None:
    site.says("plans/contoso/history", history("contoso", "Document 2 (run x) was changed."))
    assert "was changed. Document 2 (run x) was changed." in site.run("runs", "verify", "contoso", code=1)
    assert '"problems": ["Document 2' in site.run("runs", "verify", "contoso", "--json", code=1)


# settle

FOUND = {
    "routes_to": "primary",
    "primary": [],
    "primary_serves": True,
    "recovery_serves": False,
    "recovery_detail": "x",
}


def settlement(sentence: str, *, settled: bool = False) -> dict[str, Any]:
    base = {"plan": "contoso", "served_from": "primary", "for_good": False}
    return base | {"settled": settled, "sentence": sentence, "found": FOUND}


def test_settle_shows_what_is_seen_before_it_asks_and_stores(site: Coldsite) -> None:
    site.says("plans/contoso/settle?what_if=true", settlement("Nothing contradicts it."))
    site.says("plans/contoso/settle", settlement("Settled.", settled=True))
    words = ["settle", "contoso", "--served-from", "primary", "--reason", "home"]
    printed = site.run(*words, answer="y")
    assert printed.index("routes to the primary site") < printed.index("Store this?") < printed.index("Settled.")
    assert [body for _, body in site.sent] == [{"served_from": "primary", "for_good": False, "reason": "home"}] * 2


def test_settle_without_a_yes_stores_nothing(site: Coldsite) -> None:
    site.says("plans/contoso/settle?what_if=true", settlement("Nothing contradicts it."))
    site.run("settle", "contoso", "--served-from", "primary", "--reason", "home", answer="n", code=1)
    assert len(site.sent) == 1
    assert "Nothing contradicts it." in site.run(
        "settle", "contoso", "--served-from", "primary", "--reason", "home", "--what-if"
    )
