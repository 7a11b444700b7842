"""Do the diagrams, which are drawn by hand, show what the code does, and can everybody read them?"""

from __future__ import annotations

from contextlib import redirect_stdout
from io import StringIO
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from ..helpers import ask
from ..kit.simulation import Cluster, decides, run
from .pages import ROOT, python_of

FOLDER = ROOT / "docs" / "diagrams"
SVG = "{http://www.w3.org/2000/svg}"


def drawn(name: str, tag: str) -> list[ElementTree.Element]:
    """Return the parts of a diagram that have a tag, in their order."""
    return list(ElementTree.parse(FOLDER / f"{name}.svg").iter(f"{SVG}{tag}"))


def changes(steps: list[str]) -> list[bool]:
    """Return for each step after the first whether it differs from the one before."""
    return [one != other for one, other in pairwise(steps)]


def test_the_take_over_is_what_its_page_executes() -> None:
    """The schedule at each of the page's reconciles, the fork's above and ours below, and how often it changes."""
    told: dict[str, Any] = {}
    with redirect_stdout(StringIO()):
        exec(python_of(ROOT / "docs" / "why.md"), told)
    lines = [it.attrib["points"].split() for it in drawn("take-over", "polyline") if "stroke-width" in it.attrib]
    words = [it.text or "" for it in drawn("take-over", "text")]
    asked, *outcomes, _ = map(list, zip(*told["seen"]))
    for schedules, points, counted in zip(outcomes, lines, [it for it in words if "changes" in it], strict=True):
        assert changes([point.split(",")[1] for point in points[::2]]) == changes(schedules)
        assert counted == f"{sum(changes(schedules))} changes of schedule"
    assert [it for it in words if len(it) == 1] == [namespace[-1] for namespace, _ in asked]


def test_the_race_ends_as_it_is_drawn() -> None:
    """Two workers have read before either writes: the second is refused, and reads again."""
    cluster = Cluster()
    run([decides(cluster, ask("team-a/a", "0 2 * * *"))])
    one, other = decides(cluster, ask("team-b/b", "0 4 * * *")), decides(cluster, ask("team-c/c", "0 6 * * *"))
    for number, worker in enumerate((one, other, one, other, other)):
        next(worker, None)
        assert cluster.writes == (1, 1, 2, 2, 3)[number]
    assert cluster.state is not None
    told = f"{cluster.state.schedule} of {cluster.state.owner}; claims of {', '.join(sorted(cluster.state.namespaces))}"
    words = [it.text or "" for it in drawn("race", "text")]
    assert words[-2:] == ["accepted: version 3", f"version 3: {told}"]


@pytest.mark.parametrize("file", sorted(FOLDER.iterdir()), ids=lambda file: file.stem)
def test_a_diagram_can_be_read_by_those_who_do_not_see_it(file: Path) -> None:
    """It counts as one image, named by its title and described by its words, and brings no colours of its own."""
    svg = ElementTree.parse(file).getroot()
    named = [svg.find(f"{SVG}{tag}") for tag in ("title", "desc")]
    assert svg.get("role") == "img"
    assert svg.get("aria-labelledby") == " ".join(each.attrib["id"] for each in named if each is not None and each.text)
    assert {each.get(key) for each in svg.iter() for key in ("fill", "stroke")} <= {None, "none", "currentColor"}
