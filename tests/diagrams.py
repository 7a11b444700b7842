"""
How do the rules, the modules and a race look? Diagrams of what the code says of itself.

``make diagrams`` writes them into ``docs/diagrams``. They take the colours of the page that
they are part of, or as files those of the reader's light or dark, and are narrow enough for
a phone.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterable
from html import escape
from importlib import import_module
from pathlib import Path
from textwrap import wrap
from types import FunctionType
from typing import Any

from attrs import define, evolve, field

import kopia_maint
from kopia_maint import Action, CronJobState, Write, hand_over, reconcile, resolve
from kopia_maint._resolver import RULES

from .helpers import NOW, ask
from .kit.simulation import Cluster, Conflict409, Manifest, Worker, run, submits

ROOT = Path(__file__).parent.parent
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

    def line(self, *points: tuple[float, float], dashed: bool = False) -> None:
        """Draw a line through some points."""
        way = " ".join(f"{'L' if number else 'M'}{x:g} {y:g}" for number, (x, y) in enumerate(points))
        self.parts.append(f'<path d="{way}" fill="none" stroke="currentColor"{DASHED if dashed else ""}/>')

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


# --- the life of a schedule, from the table of rules --------------------------------


def standing(state: CronJobState | None) -> str:
    """Return what the rules call this state."""
    if state is None:
        return "none"
    return "owner unknown" if state.owner is None else "owner known"


def life() -> str:
    """Draw every rule of ``resolve``, and what else happens to a CronJob."""
    drawing = Drawing("life", "The life of a CronJob's schedule")
    owned = resolve(None, ask("team-a/a"), now=NOW).desired
    assert owned is not None
    unowned = evolve(owned, owner=None)
    names = {
        "none": "no CronJob",
        "owner known": "a CronJob with an owner",
        "owner unknown": "a CronJob without an owner",
    }

    moves: dict[tuple[str, str], list[tuple[str, str, bool]]] = {}
    for rule in RULES:
        for start in ("owner known", "owner unknown") if rule.current == "any" else (rule.current,):
            end = "owner known" if rule.takes_ownership else start
            moves.setdefault((start, end), []).append((rule.verdict.value, rule.request, rule.takes_schedule))
    for state in (owned, unowned):
        end = standing(hand_over(evolve(state, owner=state.owner and "team-b"), "team-a"))
        moves.setdefault((standing(state), end), []).append(("handed over", "an administrator hands over", True))
    gone = {standing(state): standing(reconcile(state, [], now=NOW).desired) for state in (owned, unowned)}

    def rows(y: float, x: float, listed: Iterable[tuple[str, str, bool]]) -> None:
        for number, (verdict, what, establishes) in enumerate(listed):
            drawing.text(x, y + LINE * number, what, "soft")
            drawing.text(WIDTH - 14, y + LINE * number, verdict, "strong" if establishes else "", anchor="end")

    tops: dict[str, float] = {}
    y, before = 1.0, ""
    for place, called in names.items():
        between = [(pair, moves[pair]) for pair in ((before, place), (place, before)) if before and pair in moves]
        for (start, _), listed in between:
            height = 30 + LINE * len(listed)
            down = start == before
            drawing.arrow((80, y if down else y + height), (80, y + height if down else y))
            rows(y + 29, 96, listed)
            y += height
        stays = moves.get((place, place), [])
        height = 32 + LINE * len(stays) + (6 if stays else 0)
        drawing.box(50, y, WIDTH - 51, height)
        drawing.text(64, y + 21, called, "name")
        rows(y + 21 + LINE, 64, stays)
        tops[place] = y
        y, before = y + height, place
    for number, (start, end) in enumerate(gone.items()):
        x = 38 - 18 * number
        from_, to = tops[start] + 16, tops[end] + 16
        drawing.arrow((50, from_), (x, from_), (x, to), (50, to), dashed=True)
    drawing.text(1, y + 24, "Bold: a schedule is established. Dashed: no source is left.", "soft")

    for (start, end), listed in moves.items():
        drawing.says.append(f"From {names[start]} to {names[end]}:")
        drawing.says.append("; ".join(f"{what}: {verdict}" for verdict, what, _ in listed) + ".")
    drawing.says += [f"From {names[start]} to {names[end]}: no source is left." for start, end in gone.items()]
    return drawing.svg(y + 32)


# --- the way of the data, from the modules' layers, questions and types -----------------


def question(module: str) -> str:
    """Return the question that a module answers: its docstring begins with it."""
    answered, mark, _ = (inspect.getdoc(import_module(f"kopia_maint.{module}")) or "").partition("?")
    return answered.replace("\n", " ") + mark


def public(module: str) -> dict[str, Any]:
    """Return what people import from a module, in the order of its source."""
    offered = {name: getattr(kopia_maint, name) for name in kopia_maint.__all__}
    members = {name: each for name, each in offered.items() if isinstance(each, (type, FunctionType))}
    own = {name: each for name, each in members.items() if each.__module__ == f"kopia_maint.{module}"}
    return dict(sorted(own.items(), key=lambda item: inspect.getsourcelines(item[1])[1]))


def core() -> list[str]:
    """Return the layers of the core, as the import contract has them, from the top."""
    settings = ROOT.joinpath("pyproject.toml").read_text("utf-8")
    layers = re.search(r"^layers = (\[.*?^\])", settings, re.DOTALL | re.MULTILINE)
    assert layers is not None
    return [layer for layer in ast.literal_eval(layers[1]) if layer.startswith("_") and layer != "_hypothesis"]


def modules() -> str:
    """Draw the way of the data, and what every module on it rests on."""
    drawing = Drawing("modules", "The way that data takes through the modules")
    deciding, policy, *base = core()
    resolver, manifest = deciding.split(" | ")
    values = {name for module in base for name in public(module)}

    def mentioned(function: Any, where: Iterable[str]) -> list[str]:
        words = " ".join(function.__annotations__[name] for name in where)
        return [word for word in re.findall(r"\w+", words) if word in values]

    def given(functions: Iterable[str]) -> str:
        members = [getattr(kopia_maint, name) for name in functions]
        return ", ".join(dict.fromkeys(word for function in members for word in mentioned(function, ["return"])))

    readers = [name for name, function in public(manifest).items() if mentioned(function, ["return"])]
    writers = [name for name in public(manifest) if name not in readers]
    y = 1.0

    def box(names: list[str], offered: dict[str, Iterable[str]]) -> None:
        nonlocal y
        lines = []
        for name in names:
            words = ", ".join(offered.get(name, ()))
            lines += [("" if number else name, line, "") for number, line in enumerate(wrap(question(name), 56))]
            lines += [("", line, "soft") for line in wrap(words, 56)]
            drawing.says.append(f"{name}: {question(name)} {words}".strip())
        drawing.box(1, y, WIDTH - 2, 14 + LINE * len(lines), dashed=not offered)
        for number, (name, words, how) in enumerate(lines, 1):
            drawing.text(14, y + LINE * number + 1, name, "name")
            drawing.text(92, y + LINE * number + 1, words, how)
        y += 14 + LINE * len(lines)

    def way(what: str) -> None:
        nonlocal y
        drawing.arrow((40, y), (40, y + 32))
        drawing.text(92, y + 21, what)
        drawing.says.append(f"Then {what}.")
        y += 32

    way("ReplicationSources, CronJobs: plain mappings")
    box([manifest], {manifest: readers})
    way(given(readers))
    box([resolver, policy], {resolver: public(resolver), policy: public(policy)})
    way(given(public(resolver)))
    box([manifest], {manifest: writers})
    way("a CronJob, or a merge patch for it")
    y += 16
    drawing.says.append("All of this rests on")
    box(base, {})
    return drawing.svg(y + 1)


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
        """Write, and say whether it was accepted."""
        if write.action is Action.UPDATE:
            self.seen.append((self.worker, "to", f"patch for version {write.body['metadata']['resourceVersion']}"))
        try:
            super().write(write)
        except Conflict409:
            self.seen.append((self.worker, "from", "refused: 409"))
            raise
        if write.action is Action.UPDATE:
            self.seen.append((self.worker, "from", f"accepted: {self.version}"))


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


DIAGRAMS = {"life": life, "modules": modules, "race": race}

if __name__ == "__main__":
    for name, draw in DIAGRAMS.items():
        ROOT.joinpath("docs", "diagrams", f"{name}.svg").write_text(draw(), "utf-8")
