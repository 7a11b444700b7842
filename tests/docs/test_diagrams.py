"""Are the diagrams that are checked in what the code says of itself, and can everybody read them?"""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from .diagrams import DIAGRAMS
from .pages import ROOT

FOLDER = ROOT / "docs" / "diagrams"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("race", ["refused: 409", "version 3: 0 2 * * * of team-a; claims of team-a, team-b, team-c"]),
        ("take-over", ["9 changes of schedule", "0 changes of schedule"]),
    ],
)
def test_a_diagram_is_what_the_code_draws_and_shows_what_its_page_says(name: str, told: list[str]) -> None:
    """If this fails, look at the difference, then ``make diagrams``."""
    drawn = DIAGRAMS[name]()
    assert FOLDER.joinpath(f"{name}.svg").read_text("utf-8") == drawn
    assert set(told) <= {each.text for each in ElementTree.fromstring(drawn).iter(f"{SVG}text")}


@pytest.mark.parametrize("file", sorted(FOLDER.iterdir()), ids=lambda file: file.stem)
def test_a_diagram_can_be_read_by_those_who_do_not_see_it(file: Path) -> None:
    """It counts as one image, named by its title and described by its words, and brings no colours of its own."""
    svg = ElementTree.fromstring(file.read_text("utf-8"))
    named = [svg.find(f"{SVG}{tag}") for tag in ("title", "desc")]
    assert svg.get("role") == "img"
    assert svg.get("aria-labelledby") == " ".join(each.attrib["id"] for each in named if each is not None and each.text)
    assert {each.get(key) for each in svg.iter() for key in ("fill", "stroke")} <= {None, "none", "currentColor"}
