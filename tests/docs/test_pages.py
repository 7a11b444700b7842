"""Do the pages say what the code says, and does every link lead somewhere?"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import kopia_maint.testing
from kopia_maint._resolver import RULES
from kopia_maint.conformance import load
from kopia_maint.testing import LAWS

from .pages import ROOT

DOCS = ROOT / "docs"
README = ROOT.joinpath("README.md").read_text("utf-8")
PAGES = sorted(page for page in DOCS.rglob("*.md") if "_build" not in page.parts)


def section(name: str) -> str:
    """Return what is between two marks of the semantics page."""
    text = DOCS.joinpath("semantics.md").read_text("utf-8")
    found = re.search(rf"% begin: {name}\n(.*?)\n% end: {name}", text, re.DOTALL)
    assert found is not None
    return found[1]


def test_the_table_of_rules_is_the_one_that_runs() -> None:
    """Row by row, in order."""
    asked = {None: "is not asked", True: "permits it", False: "does not permit it"}
    news = {None: "either", True: "news", False: "no news"}
    rows = [
        "| asks for | the policy | the request is | verdict | schedule and owner |",
        "| --- | --- | --- | --- | --- |",
    ]
    for rule in RULES:
        wish = "another schedule" if rule.another else "no preference, or the established schedule"
        after = "become the request's" if rule.takes else "stay"
        cells = wish, asked[rule.permits], news[rule.news], rule.verdict.name, after
        rows.append(f"| {' | '.join(cells)} |")
    assert section("rules").splitlines() == rows


def test_the_laws_are_the_testing_kits() -> None:
    """Sentence by sentence, in order, wherever the lines are broken."""
    laws = " ".join(f"- **{law.number}. {law.name}.** {law.sentence}" for law in LAWS)
    assert section("laws").split() == laws.split()


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
    """A reader of the repository finds what a reader of the site finds."""
    listed = re.findall(r"^\| \[.*?\]\(docs/(.*?)\)", README, re.MULTILINE)
    assert {page.name for page in DOCS.glob("*.md")} - {"index.md", "changelog.md"} == set(listed)


def test_the_readme_counts_the_vectors() -> None:
    """The figure is that of the files."""
    assert f"<!-- vectors -->{len(load())}<!-- /vectors -->" in README


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
