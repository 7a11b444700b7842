"""The pages that repeat what the code knows say the same as the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import kopia_maint.testing
from kopia_maint._resolver import CREATES, RULES, STAYS_AWAY
from kopia_maint.testing import LAWS

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(page for page in DOCS.rglob("*.md") if "_build" not in page.parts)


def section(name: str) -> str:
    """Return what stands between two marks of the semantics page."""
    text = DOCS.joinpath("semantics.md").read_text("utf-8")
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
    """Sentence by sentence, in order, wherever the lines are broken."""
    assert (
        section("laws").split() == " ".join(f"- **{law.number}. {law.name}.** {law.sentence}" for law in LAWS).split()
    )


def test_the_reference_has_every_public_name_and_no_other() -> None:
    """What can be imported is documented, once, under the module that people import it from."""
    text = DOCS.joinpath("reference.md").read_text("utf-8")
    documented: dict[str, list[str]] = {}
    module = ""
    for directive, name in re.findall(r"^\.\. (current\w+|auto\w+|py:data):: (\S+)$", text, re.MULTILINE):
        if directive == "currentmodule":
            module = name
        elif directive != "automodule":
            documented.setdefault(module, []).append(name)
    for public in (kopia_maint, kopia_maint.testing):
        offered = set(public.__all__) - {"strategies"}  # a module, documented as a whole
        assert sorted(documented[public.__name__]) == sorted(offered)


def test_the_readme_lists_every_page() -> None:
    """Whoever reads the repository finds what the readers of the built pages find."""
    listed = re.findall(r"^\| \[.*?\]\(docs/(.*?)\)", ROOT.joinpath("README.md").read_text("utf-8"), re.MULTILINE)
    assert {page.name for page in DOCS.glob("*.md")} - {"index.md", "changelog.md"} <= set(listed)


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    """A link to a file is one in this repository, and its fragment is a heading of that file."""
    prose = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    for path, fragment in re.findall(r"\]\((?!https?:)([^)#\s]*)#?([^)\s]*)\)", prose):
        target = page.parent / path if path else page
        assert target.is_file(), path
        if fragment:
            headings = re.findall(r"^#+ (.*)$", target.read_text("utf-8"), re.MULTILINE)
            anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert fragment in anchors, f"{path}#{fragment}"
