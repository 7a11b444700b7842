"""The pages that repeat what the code knows say the same as the code."""

from __future__ import annotations

import re
from pathlib import Path

from kopia_maint._resolver import CREATES, RULES, STAYS_AWAY
from kopia_maint.testing import LAWS

ROOT = Path(__file__).parent.parent


def section(name: str) -> str:
    """Return what stands between two marks of the semantics page."""
    text = ROOT.joinpath("docs", "semantics.md").read_text("utf-8")
    found = re.search(rf"% begin: {name}\n(.*?)\n% end: {name}", text, re.DOTALL)
    assert found is not None
    return found[1]


def test_the_table_of_rules_is_the_codes() -> None:
    """Row by row, in order."""
    rows = ["| current | request | verdict | established schedule | owner |", "| --- | --- | --- | --- | --- |"]
    for rule in RULES:
        stays = "–" if rule is STAYS_AWAY else "stays"
        default = ", or the default" if rule is CREATES else ""
        schedule = f"the request's{default}" if rule.takes_schedule else stays
        owner = "the request's" if rule.takes_ownership else stays
        rows.append(f"| {rule.current} | {rule.request} | {rule.verdict.name} | {schedule} | {owner} |")
    assert section("rules").splitlines() == rows


def test_the_laws_are_the_testing_kits() -> None:
    """Sentence by sentence, in order."""
    assert section("laws").splitlines() == [f"{law.number}. **{law.name}.** {law.sentence}" for law in LAWS]
