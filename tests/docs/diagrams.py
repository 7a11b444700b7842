"""
How do a take-over, a race and the end of a conflict look? Diagrams of what the code does.

``make diagrams`` writes them into ``docs/diagrams``. They take the colours of the page that
they are part of, or as files those of the reader's light or dark, and are narrow enough for
a phone.
"""

from __future__ import annotations

from contextlib import redirect_stdout
from html import escape
from io import StringIO
from itertools import pairwise
from typing import Any

from attrs import define, field

from kopia_maint import Action, Write

from ..helpers import ask
from ..kit.simulation import Cluster, Conflict409, Manifest, Worker, run, submits
from .pages import ROOT, python_of

WIDTH = 480
LINE = 21
DASHED = ' stroke-dasharray="4"'


@define
class Drawing:
    """A drawing that grows downwards."""

    name: str
    title: str
    says: list[str] = field(factory=list)
    parts: list[str] = field(factory=list)

    def text(self, x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> None:
        """Write one line."""
        kinds = f' class="{kind}"' if kind else ""
        weight = ' font-weight="bold"' if kind in ("name", "strong") else ""
        self.parts.append(f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}"{kinds}{weight}>{escape(words)}</text>')

    def box(self, x: float, y: float, width: float, height: float, *, dashed: bool = False) -> None:
        """Draw a box."""
        self.parts.append(
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="6"'
            f' fill="none" stroke="currentColor"{DASHED if dashed else ""}/>'
        )

    def line(self, *points: tuple[float, float], dashed: bool = False, bold: bool = False) -> None:
        """Draw a line through some points."""
        way = " ".join(f"{'L' if number else 'M'}{x:g} {y:g}" for number, (x, y) in enumerate(points))
        style = DASHED if dashed else ' stroke-width="3"' if bold else ""
        self.parts.append(f'<path d="{way}" fill="none" stroke="currentColor"{style}/>')

    def arrow(self, *points: tuple[float, float], dashed: bool = False) -> None:
        """Draw a line with a head at its end."""
        (x1, y1), (x, y) = points[-2:]
        along, across = ((x > x1) - (x < x1)) * 7, ((y > y1) - (y < y1)) * 7
        one, other = (x - along - across / 2, y - across - along / 2), (x - along + across / 2, y - across + along / 2)
        self.line(*points, dashed=dashed)
        self.line(one, (x, y), other)

    def svg(self, height: float) -> str:
        """Return the drawing, with its words for those who do not see it."""
        name = f"diagram-{self.name}"
        return "\n".join(
            [
                f'<svg class="diagram" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:g}" role="img"'
                f' aria-labelledby="{name}-title {name}-says" font-family="sans-serif" font-size="14"'
                ' fill="currentColor">',
                f'<title id="{name}-title">{escape(self.title)}</title>',
                f'<desc id="{name}-says">{escape(" ".join(self.says))}</desc>',
                "<style>@media (prefers-color-scheme: dark) { svg:root { color: #ddd } }</style>",
                *self.parts,
                "</svg>\n",
            ]
        )


# --- a race, from the simulation of a cluster ------------------------------------------


@define
class Watched(Cluster):
    """
    A cluster that says what is done to it.

    Attributes:
        worker: Who is at work.
        seen: Who did what, and whether it went to the cluster or came from there.
    """

    worker: int = 0
    seen: list[tuple[int, str, str]] = field(factory=list)

    @property
    def version(self) -> str:
        """What is stored now."""
        return f"version {(self.cron_job or {})['metadata']['resourceVersion']}"

    def read(self, lag: int = 0) -> Manifest | None:
        """Read, and say so."""
        if self.cron_job is not None:
            self.seen.append((self.worker, "from", f"reads {self.version}"))
        return super().read(lag)

    def write(self, write: Write) -> None:
        """Write, and say whether a patch was accepted."""
        if write.action is not Action.UPDATE:
            return super().write(write)
        self.seen.append((self.worker, "to", f"patch for version {write.body['metadata']['resourceVersion']}"))
        try:
            super().write(write)
        except Conflict409:
            self.seen.append((self.worker, "from", "refused: 409"))
            raise
        self.seen.append((self.worker, "from", f"accepted: {self.version}"))
        return None


def race() -> str:
    """Draw what two workers do that both read before either writes."""
    drawing = Drawing("race", "Two workers race, and nothing is lost")
    cluster = Watched()
    run([submits(cluster, ask("team-a/a", "0 2 * * *"))], lambda _: 0)
    asked = [ask("team-b/b", "0 4 * * *"), ask("team-c/c", "0 6 * * *")]

    def at_work(number: int) -> Worker:
        cluster.worker = number
        for _ in submits(cluster, asked[number]):
            yield
            cluster.worker = number

    def told() -> str:
        state = cluster.state
        assert state is not None
        return f"{state.schedule} of {state.owner}; claims of {', '.join(sorted(state.namespaces))}"

    sides, middle = (72.0, WIDTH - 72.0), WIDTH / 2
    drawing.text(middle, 14, f"{cluster.version}: {told()}", "soft", anchor="middle")
    drawing.says.append(f"At first {cluster.version}: {told()}.")
    turns = iter([0, 1, 0])  # both read; then the first goes on, and the second after it
    run([at_work(0), at_work(1)], lambda _: next(turns))

    for number, x in enumerate(sides):
        who, wanted = f"worker {number + 1}", f"{asked[number].source.namespace} asks {asked[number].schedule}"
        drawing.box(x - 71, 28, 142, 48)
        drawing.text(x, 48, who, "name", anchor="middle")
        drawing.text(x, 67, wanted, "soft", anchor="middle")
        drawing.says.append(f"{who.capitalize()}: {wanted}.")
    drawing.box(middle - 60, 28, 120, 48)
    drawing.text(middle, 57, "the CronJob", "name", anchor="middle")
    bottom = 94 + 36 * len(cluster.seen)
    for x in (*sides, middle):
        drawing.line((x, 76), (x, bottom), dashed=True)
    for row, (number, way, what) in enumerate(cluster.seen):
        x, y = sides[number], 112 + 36 * row
        drawing.arrow(*(((x, y), (middle, y)) if way == "to" else ((middle, y), (x, y))))
        drawing.text((x + middle) / 2, y - 6, what, "strong" if ":" in what else "", anchor="middle")
        drawing.says.append(f"Worker {number + 1}: {what}.")
    drawing.text(middle, bottom + 20, f"{cluster.version}: {told()}", "soft", anchor="middle")
    drawing.says.append(f"In the end {cluster.version}: {told()}.")
    return drawing.svg(bottom + 28)


# --- the take-over, from the page that tells of it ---------------------------------------


def take_over() -> str:
    """Draw the schedule at each of the page's twenty reconciles: the fork's above, ours below."""
    drawing = Drawing("take-over", "The schedule of a shared repository, over twenty reconciles")
    told: dict[str, Any] = {}
    with redirect_stdout(StringIO()):
        exec(python_of(ROOT / "docs" / "why.md"), told)
    seen = told["seen"]
    wishes = sorted({schedule for (_, schedule), *_ in seen})
    left, step = 92.0, (WIDTH - 93) / len(seen)

    def steps(y: float, name: str, schedules: list[str]) -> None:
        """Draw one line that says which schedule is established."""
        drawing.text(1, y + 9, name, "name")
        levels = {schedule: y + 34 + 34 * number for number, schedule in enumerate(wishes)}
        for schedule, level in levels.items():
            drawing.text(14, level + 5, schedule)
            drawing.line((left, level), (WIDTH - 1.0, level), dashed=True)
        points = []
        for number, schedule in enumerate(schedules):
            x = left + step * number
            points += [(x, levels[schedule]), (x + step, levels[schedule])]
        drawing.line(*points, bold=True)
        changes = sum(one != other for one, other in pairwise(schedules))
        drawing.text(WIDTH - 1.0, y + 9, f"{changes} changes of schedule", "soft", anchor="end")
        drawing.says.append(f"{name}: {', '.join(schedules)}.")

    steps(5, "the fork, 0.16.3 and 0.16.5", [fork for _, fork, *_ in seen])
    steps(115, "kopia-maint", [ours for *_, ours, _ in seen])
    drawing.text(1, 235, "asked by", "soft")
    for number, ((namespace, _), *_) in enumerate(seen):
        drawing.text(left + step * (number + 0.5), 235, namespace[-1], "soft", anchor="middle")
    wanted = {namespace: schedule for (namespace, schedule), *_ in seen}
    teams = "; ".join(f"{team[-1]}: {team}, wants {schedule}" for team, schedule in wanted.items())
    drawing.text(1, 259, teams, "soft")
    drawing.says.append(f"Asked by {', '.join(namespace[-1] for (namespace, _), *_ in seen)}. {teams}.")
    return drawing.svg(267)


# --- which end of a conflict ----------------------------------------------------------


def conflict() -> str:
    """Draw the choice of a person who wants a conflict to end."""
    drawing = Drawing("conflict", "Which of four things ends a conflict")
    answers = {
        "Can the tenant live with the established schedule?": "1. agree, or 2. stand aside",
        "Should its schedule hold for the whole repository?": "4. hand over, as an administrator",
    }
    y = 1.0
    for question, answer in answers.items():
        drawing.box(1, y, WIDTH - 2, 34)
        drawing.text(14, y + 22, question, "name")
        drawing.arrow((60, y + 34), (60, y + 56), (96, y + 56))
        drawing.text(30, y + 61, "yes", "soft")
        drawing.text(104, y + 61, answer, "strong")
        drawing.arrow((WIDTH - 40.0, y + 34), (WIDTH - 40.0, y + 78))
        drawing.text(WIDTH - 48.0, y + 61, "no", "soft", anchor="end")
        drawing.says.append(f"{question} Yes: {answer}. No:")
        y += 78
    last = "3. take another repository"
    drawing.text(WIDTH - 1.0, y + 16, last, "strong", anchor="end")
    drawing.says.append(f"{last}.")
    return drawing.svg(y + 24)


DIAGRAMS = {"conflict": conflict, "race": race, "take-over": take_over}

if __name__ == "__main__":
    for name, draw in DIAGRAMS.items():
        ROOT.joinpath("docs", "diagrams", f"{name}.svg").write_text(draw(), "utf-8")
