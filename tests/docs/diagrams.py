"""
How do a take-over and a race look? Diagrams of what the code does.

``make diagrams`` writes them into ``docs/diagrams``; ``conflict.svg`` there is drawn by hand, since no code decides
what it shows. They take the colours of the page that they are part of, and are narrow enough for a phone.
"""

from __future__ import annotations

from contextlib import redirect_stdout
from html import escape
from io import StringIO
from itertools import pairwise
from typing import Any

from attrs import define, field

from kopia_maint import Write

from ..helpers import ask
from ..kit.simulation import Cluster, Conflict409, Manifest, run, submits
from .pages import ROOT, python_of

WIDTH, MIDDLE = 480, 240.0
DASHED, BOLD = ' stroke-dasharray="4"', ' stroke-width="3"'


def text(x: float, y: float, words: str, kind: str = "soft", anchor: str = "middle") -> str:
    """Write one line."""
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" class="{kind}">{escape(words)}</text>'


def line(*points: tuple[float, float], style: str = "") -> str:
    """Draw a line through some points."""
    way = " ".join(f"{x:g},{y:g}" for x, y in points)
    return f'<polyline points="{way}" fill="none" stroke="currentColor"{style}/>'


def svg(name: str, title: str, says: list[str], parts: list[str], height: float) -> str:
    """Return a drawing, with its words for those who do not see it."""
    return f"""\
<svg class="diagram" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:g}" role="img" \
aria-labelledby="diagram-{name}-title diagram-{name}-says" font-family="sans-serif" font-size="14" fill="currentColor">
<title id="diagram-{name}-title">{escape(title)}</title>
<desc id="diagram-{name}-says">{escape(" ".join(says))}</desc>
<style>
@media (prefers-color-scheme: dark) {{ svg:root {{ color: #ddd }} }}
.diagram .name, .diagram .strong {{ font-weight: bold }}
</style>
<marker id="diagram-{name}-head" viewBox="0 0 7 8" refX="7" refY="4" markerWidth="7" markerHeight="8" orient="auto">
<path d="M0 .5 7 4 0 7.5" fill="none" stroke="currentColor"/>
</marker>
{chr(10).join(parts)}
</svg>
"""


# --- a race, from the simulation of a cluster ------------------------------------------


@define
class Watched(Cluster):
    """
    A cluster that notes what is done to it; a version's number is that of the writes so far.

    Attributes:
        turn: Which worker is at work.
        seen: Which worker did what, and whether it was the cluster that told it so.
    """

    turn: int = 0
    seen: list[tuple[int, str, bool]] = field(factory=list)

    def read(self, lag: int = 0) -> Manifest | None:
        """Read, and note it."""
        self.seen.append((self.turn, f"reads version {self.writes}", True))
        return super().read(lag)

    def write(self, write: Write) -> None:
        """Write, and note what became of it."""
        self.seen.append((self.turn, f"patch for version {write.body['metadata'].get('resourceVersion')}", False))
        try:
            super().write(write)
        except Conflict409:
            self.seen.append((self.turn, "refused: 409", True))
            raise
        self.seen.append((self.turn, f"accepted: version {self.writes}", True))

    def told(self) -> str:
        """Return what is stored."""
        assert self.state is not None
        claims = ", ".join(sorted(self.state.namespaces))
        return f"version {self.writes}: {self.state.schedule} of {self.state.owner}; claims of {claims}"


def race() -> str:
    """Draw what two workers do that both read before either writes."""
    cluster = Watched()
    run([submits(cluster, ask("team-a/a", "0 2 * * *"))])
    cluster.seen.clear()
    parts, says = [text(MIDDLE, 14, cluster.told())], [f"At first {cluster.told()}."]
    asked = [ask("team-b/b", "0 4 * * *"), ask("team-c/c", "0 6 * * *")]
    workers = [submits(cluster, request) for request in asked]
    for cluster.turn in (0, 1, 0, 1, 1):  # both read; then the first goes on, and the second after it
        next(workers[cluster.turn], None)

    bottom = 94 + 36 * len(cluster.seen)
    boxes = [("the CronJob", "", MIDDLE)]
    for number, request in enumerate(asked):
        boxes.append((f"worker {number + 1}", f"{request.source.namespace} asks {request.schedule}", 72 + 336 * number))
    for name, wanted, x in boxes:
        parts.append(f'<rect x="{x - 71:g}" y="28" width="142" height="48" rx="6" fill="none" stroke="currentColor"/>')
        parts += [text(x, 48 if wanted else 57, name, "name"), text(x, 67, wanted)]
        parts.append(line((x, 76), (x, bottom), style=DASHED))
        says += [f"{name.capitalize()}: {wanted}."] if wanted else []
    for row, (number, what, from_cluster) in enumerate(cluster.seen):
        worker, y = 72.0 + 336 * number, 112 + 36 * row
        ends = [(worker, y), (MIDDLE, y)]
        parts.append(line(*(reversed(ends) if from_cluster else ends), style=' marker-end="url(#diagram-race-head)"'))
        parts.append(text((worker + MIDDLE) / 2, y - 6, what, "strong" if ":" in what else "plain"))
        says.append(f"Worker {number + 1}: {what}.")
    parts.append(text(MIDDLE, bottom + 20, cluster.told()))
    says.append(f"In the end {cluster.told()}.")
    return svg("race", "Two workers race, and nothing is lost", says, parts, bottom + 28)


# --- the take-over, from the page that tells of it ---------------------------------------


def take_over() -> str:
    """Draw the schedule at each of the page's twenty reconciles: the fork's above, ours below."""
    told: dict[str, Any] = {}
    with redirect_stdout(StringIO()):
        exec(python_of(ROOT / "docs" / "why.md"), told)
    seen = told["seen"]
    asked, forks, ours, _ = zip(*seen)
    wishes = sorted({schedule for _, schedule in asked})
    left, step = 92.0, (WIDTH - 93) / len(seen)
    parts, says = list[str](), list[str]()
    for y, name, schedules in ((5, "the fork, 0.16.3 and 0.16.5", forks), (115, "kopia-maint", ours)):
        levels = {schedule: y + 34 + 34 * number for number, schedule in enumerate(wishes)}
        for schedule, level in levels.items():
            parts.append(text(14, level + 5, schedule, "plain", "start"))
            parts.append(line((left, level), (WIDTH - 1, level), style=DASHED))
        ends = [(left + step * (n + end), levels[it]) for n, it in enumerate(schedules) for end in (0, 1)]
        changes = sum(one != other for one, other in pairwise(schedules))
        parts += [line(*ends, style=BOLD), text(1, y + 9, name, "name", "start")]
        parts.append(text(WIDTH - 1, y + 9, f"{changes} changes of schedule", anchor="end"))
        says.append(f"{name}: {', '.join(schedules)}.")
    letters = [namespace[-1] for namespace, _ in asked]
    teams = "; ".join(f"{team[-1]}: {team}, wants {schedule}" for team, schedule in dict(asked).items())
    parts += [text(left + step * (number + 0.5), 235, letter) for number, letter in enumerate(letters)]
    parts += [text(1, 235, "asked by", anchor="start"), text(1, 259, teams, anchor="start")]
    says.append(f"Asked by {', '.join(letters)}. {teams}.")
    return svg("take-over", "The schedule of a shared repository, over twenty reconciles", says, parts, 267)


DIAGRAMS = {"race": race, "take-over": take_over}

if __name__ == "__main__":
    for name, draw in DIAGRAMS.items():
        ROOT.joinpath("docs", "diagrams", f"{name}.svg").write_text(draw(), "utf-8")
