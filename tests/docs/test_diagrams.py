"""The diagrams that are checked in are what the code says of itself."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from .diagrams import DIAGRAMS
from .pages import ROOT

SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("name", DIAGRAMS)
def test_a_diagram_is_what_the_code_draws(name: str) -> None:
    """If this fails, look at the difference, then ``make diagrams``."""
    assert ROOT.joinpath("docs", "diagrams", f"{name}.svg").read_text("utf-8") == DIAGRAMS[name]()


@pytest.mark.parametrize("name", DIAGRAMS)
def test_a_diagram_can_be_read_by_those_who_do_not_see_it(name: str) -> None:
    """It counts as one image, named by its title and described by its words, and brings no colours of its own."""
    svg = ElementTree.fromstring(DIAGRAMS[name]())
    assert svg.get("role") == "img"
    named = [svg.find(f"{SVG}{tag}") for tag in ("title", "desc")]
    assert svg.get("aria-labelledby") == " ".join(each.attrib["id"] for each in named if each is not None and each.text)
    colours = {each.get(key) for each in svg.iter() for key in ("fill", "stroke")}
    assert colours <= {None, "none", "currentColor"}


def test_the_race_is_one() -> None:
    """What is drawn has a write that is refused because it is stale, and ends with everybody's claim."""
    words = "".join(ElementTree.fromstring(DIAGRAMS["race"]()).itertext())
    assert "refused: 409" in words
    assert "claims of team-a, team-b, team-c" in words


def test_the_take_over_is_one() -> None:
    """The fork's schedule changes without a reason, and ours does not."""
    words = list(ElementTree.fromstring(DIAGRAMS["take-over"]()).itertext())
    assert [word for word in words if word.endswith("changes of schedule")] == [
        "9 changes of schedule",
        "0 changes of schedule",
    ]
