"""
How does a take-over look? The diagram of what the page about it executes.

``make diagrams`` writes it into ``docs/diagrams``; the others there are drawn by hand. It takes the colours of the page
that it is part of, or as a file those of the reader's light or dark, and is narrow enough for a phone.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import redirect_stdout
from html import escape
from io import StringIO
from itertools import pairwise
from typing import Any

from .pages import ROOT, python_of

FOLDER = ROOT / "docs" / "diagrams"
WIDTH, LEFT = 480, 92.0


def text(x: float, y: float, words: str, kind: str = "soft", anchor: str = "start") -> str:
    """Write one line."""
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" class="{kind}">{escape(words)}</text>'


def line(points: Sequence[tuple[float, float]], style: str) -> str:
    """Draw a line through some points."""
    way = " ".join(f"{x:g},{y:g}" for x, y in points)
    return f'<polyline points="{way}" fill="none" stroke="currentColor" {style}/>'


def take_over() -> str:
    """Draw the schedule at each of the page's twenty reconciles: the fork's above, ours below."""
    told: dict[str, Any] = {}
    with redirect_stdout(StringIO()):
        exec(python_of(ROOT / "docs" / "why.md"), told)
    asked, forks, ours, _ = zip(*told["seen"])
    wishes = sorted({schedule for _, schedule in asked})
    step = (WIDTH - 1 - LEFT) / len(asked)
    parts, says = list[str](), list[str]()
    for y, name, schedules in ((5, "the fork, 0.16.3 and 0.16.5", forks), (115, "kopia-maint", ours)):
        levels = {schedule: y + 34 + 34 * number for number, schedule in enumerate(wishes)}
        for schedule, level in levels.items():
            parts.append(text(14, level + 5, schedule, "plain"))
            parts.append(line([(LEFT, level), (WIDTH - 1, level)], 'stroke-dasharray="4"'))
        points = [(LEFT + step * (n + end), levels[it]) for n, it in enumerate(schedules) for end in (0, 1)]
        changes = sum(one != other for one, other in pairwise(schedules))
        parts += [line(points, 'stroke-width="3"'), text(1, y + 9, name, "name")]
        parts.append(text(WIDTH - 1, y + 9, f"{changes} changes of schedule", anchor="end"))
        says.append(f"{name}: {', '.join(schedules)}.")
    letters = [namespace[-1] for namespace, _ in asked]
    teams = "; ".join(f"{team[-1]}: {team}, wants {schedule}" for team, schedule in dict(asked).items())
    parts += [text(LEFT + step * (n + 0.5), 235, letter, anchor="middle") for n, letter in enumerate(letters)]
    parts += [text(1, 235, "asked by"), text(1, 259, teams)]
    says.append(f"Asked by {', '.join(letters)}. {teams}.")
    return f"""\
<svg class="diagram" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} 267" role="img" \
aria-labelledby="take-over-title take-over-says" font-family="sans-serif" font-size="14" fill="currentColor">
<title id="take-over-title">The schedule of a shared repository, over twenty reconciles</title>
<desc id="take-over-says">{escape(" ".join(says))}</desc>
<style>
@media (prefers-color-scheme: dark) {{ svg:root {{ color: #ddd }} }}
.diagram .name {{ font-weight: bold }}
</style>
{chr(10).join(parts)}
</svg>
"""


if __name__ == "__main__":
    FOLDER.joinpath("take-over.svg").write_text(take_over(), "utf-8")
