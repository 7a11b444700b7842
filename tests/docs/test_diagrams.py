"""Are the diagrams that are checked in what the code says of itself, and can everybody read them?"""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from ..helpers import ask
from ..kit.simulation import Cluster, run, submits
from .diagrams import FOLDER, take_over

SVG = "{http://www.w3.org/2000/svg}"


def words(name: str) -> list[str | None]:
    """Return what a diagram shows."""
    return [each.text for each in ElementTree.parse(FOLDER / f"{name}.svg").iter(f"{SVG}text")]


def test_the_take_over_is_what_its_page_executes() -> None:
    """If this fails, look at the difference, then ``make diagrams``. The fork's schedule changes, and ours does not."""
    assert FOLDER.joinpath("take-over.svg").read_text("utf-8") == take_over()
    assert {"9 changes of schedule", "0 changes of schedule"} <= set(words("take-over"))


def test_the_race_ends_as_it_is_drawn() -> None:
    """Two workers have read before either writes: the second is refused, and reads again."""
    cluster = Cluster()
    run([submits(cluster, ask("team-a/a", "0 2 * * *"))])
    one, other = submits(cluster, ask("team-b/b", "0 4 * * *")), submits(cluster, ask("team-c/c", "0 6 * * *"))
    for number, worker in enumerate((one, other, one, other, other)):
        next(worker, None)
        assert cluster.writes == (1, 1, 2, 2, 3)[number]
    assert cluster.state is not None
    told = f"{cluster.state.schedule} of {cluster.state.owner}; claims of {', '.join(sorted(cluster.state.namespaces))}"
    assert [it for it in words("race") if it and ":" in it][-2:] == ["accepted: version 3", f"version 3: {told}"]


@pytest.mark.parametrize("file", sorted(FOLDER.iterdir()), ids=lambda file: file.stem)
def test_a_diagram_can_be_read_by_those_who_do_not_see_it(file: Path) -> None:
    """It counts as one image, named by its title and described by its words, and brings no colours of its own."""
    svg = ElementTree.parse(file).getroot()
    named = [svg.find(f"{SVG}{tag}") for tag in ("title", "desc")]
    assert svg.get("role") == "img"
    assert svg.get("aria-labelledby") == " ".join(each.attrib["id"] for each in named if each is not None and each.text)
    assert {each.get(key) for each in svg.iter() for key in ("fill", "stroke")} <= {None, "none", "currentColor"}
