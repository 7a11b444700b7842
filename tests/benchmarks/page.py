"""How does the record read? The tables and the plot of docs/performance.md, from docs/performance.json."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from math import ceil, floor, inf, log10
from pathlib import Path
from typing import Any

from .growth import CURVES, SIZES

DOCS = Path(__file__).parents[2] / "docs"
PAGE, RECORD, PLOT = DOCS / "performance.md", DOCS / "performance.json", DOCS / "performance.svg"
CLUSTER = 10_000

HEADINGS = ("what", "against", "target", "measured", "ours", "theirs", "")


def write(record: Mapping[str, Any]) -> None:
    """Write the record, and the page and the plot that follow from it."""
    rounded = json.loads(json.dumps(record), parse_float=lambda text: float(f"{float(text):.4g}"))
    RECORD.write_text(json.dumps(rounded, indent=1, ensure_ascii=False) + "\n", "utf-8")
    PAGE.write_text(renewed(PAGE.read_text("utf-8"), rounded), "utf-8")
    PLOT.write_text(plot(rounded), "utf-8")


def renewed(page: str, record: Mapping[str, Any]) -> str:
    """Return the page with everything between its marks rendered from the record."""

    def render(found: re.Match[str]) -> str:
        return f"{found[1]}{_SECTIONS[found[2]](record)}\n{found[3]}"

    return re.sub(r"(% begin: (\w+)\n).*?(% end: \2\n)", render, page, flags=re.DOTALL)


# --- tables ----------------------------------------------------------------------


def cells(result: Mapping[str, Any]) -> list[str]:
    """Return one row of the table, under ``HEADINGS``; what is measured has its quartiles behind it."""
    head = [result["what"], result["against"] or "–", result["target"]]
    if "missing" in result:
        return [*head, f"{result['missing']} is not installed", "–", "–", ""]
    if result["theirs"] is None:
        return [*head, quantity(result["median"], result["unit"]), "–", "–", _mark(result)]
    low, high = (figure(quartile) for quartile in result["quartiles"])
    faster = " faster" if result["kind"] == "faster" else ""
    measured = f"{figure(result['median'])}×{faster} ({low} to {high})"
    ours, theirs = (quantity(result[side], result["unit"]) for side in ("ours", "theirs"))
    return [*head, measured, ours, theirs, _mark(result)]


def _mark(result: Mapping[str, Any]) -> str:
    return "missed" if result["missed"] else ""


def quantity(value: float, unit: str) -> str:
    """Write seconds (``s``) or bytes (``B``) with three digits, in the unit that suits them."""
    steps = ((1, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")) if unit == "s" else ((2**20, "MiB"), (1, "bytes"))
    size, name = next((step for step in steps if value >= step[0]), steps[-1])
    return f"{figure(value / size)} {name}"


def _time(value: float) -> str:
    return quantity(value, "s")


def figure(value: float) -> str:
    """Write a number with three digits, more if they stand before the point, and no exponent."""
    return f"{value:,.{max(0, 2 - floor(log10(abs(value) or 1)))}f}"


def _table(headings: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(headings), *(list(row) for row in rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join(f"| {' | '.join(line)} |".replace("  |", " |") for line in lines)


def _machine(record: Mapping[str, Any]) -> str:
    *first, last = (" ".join(item) for item in record["machine"]["versions"].items())
    return f"Measured on a machine with {record['machine']['cpus']} CPUs, with {', '.join(first)} and {last}."


def _targets(record: Mapping[str, Any]) -> str:
    return _table(HEADINGS, (cells(row) for row in record["rows"] if row["target"] != "–"))


def _bounds(record: Mapping[str, Any]) -> str:
    rows = (cells(row) for row in record["rows"] if row["target"] == "–")
    return _table(("what", "against", "measured", "ours", "theirs"), ([*row[:2], *row[3:6]] for row in rows))


def _one_more(record: Mapping[str, Any]) -> str:
    return _table(
        ("sources", "annotations", "one more", "a new source", "a source that asks again", "all sources at once"),
        (
            [
                f"{it['sources']:,}",
                f"{it['bytes']:,} bytes",
                f"{it['more_bytes']:,} bytes",
                *(_time(it[name]) for name in ("new", "again", "all")),
            ]
            for it in record["one_more"]
        ),
    )


def _cluster(record: Mapping[str, Any]) -> str:
    rows = []
    for it in record["one_more"]:
        for name, spent in (
            ("each source by `resolve`", CLUSTER * it["again"]),
            ("each repository by `reconcile`", CLUSTER / it["sources"] * it["all"]),
        ):
            shares = (f"{figure(100 * spent / period)} %" for period in (36_000, 600))
            rows.append([f"{it['sources']:,}", name, _time(spent), *shares])
    return _table(
        ("sources per repository", "how", "CPU time of a resync", "of one CPU, every 10 hours", "every 10 minutes"),
        rows,
    )


# --- the plot --------------------------------------------------------------------

_LEFT, _TOP, _WIDTH, _HEIGHT = 70, 20, 440, 340
_UNITS = {-3: "ns", -2: "µs", -1: "ms", 0: "s"}
_STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
line { stroke: #d1d9e0 }
polyline { fill: none; stroke: currentColor; stroke-width: 2 }
g text { fill: currentColor }
.conflict { color: #cf222e } .again { color: #0969da } .reconcile { color: #1a7f37 } .plan { color: #8250df }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  line { stroke: #3d444d }
  .conflict { color: #ff7b72 } .again { color: #58a6ff } .reconcile { color: #3fb950 } .plan { color: #bc8cff }
}
"""


def plot(record: Mapping[str, Any]) -> str:
    """Draw time against the number of sources, in decades, as SVG that follows the reader's light or dark."""
    curves = record["growth"]
    times = [time for curve in curves.values() for time in curve]
    low, high = floor(log10(min(times))), ceil(log10(max(times)))
    x = _scale(SIZES[0], SIZES[-1], _LEFT, _LEFT + _WIDTH)
    y = _scale(10**low, 10**high, _TOP + _HEIGHT, _TOP)
    size = f"{_LEFT + _WIDTH + 190} {_TOP + _HEIGHT + 56}"
    shapes = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" role="img">',
        f"<title>Time against the number of sources</title><desc>{_alternative(record)}</desc>",
        f"<style>{_STYLE}</style>",
    ]
    for decade in range(low, high + 1):
        at, label = y(10**decade), f"{10 ** (decade % 3)} {_UNITS[decade // 3]}"
        shapes.append(f'<line x1="{_LEFT}" y1="{at}" x2="{_LEFT + _WIDTH}" y2="{at}"/>')
        shapes.append(f'<text x="{_LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">{label}</text>')
    for sources in SIZES[::2]:
        at = x(sources)
        shapes.append(f'<line x1="{at}" y1="{_TOP}" x2="{at}" y2="{_TOP + _HEIGHT}"/>')
        shapes.append(f'<text x="{at}" y="{_TOP + _HEIGHT + 20}" text-anchor="middle">{sources:,}</text>')
    middle = _LEFT + _WIDTH // 2
    shapes.append(f'<text x="{middle}" y="{_TOP + _HEIGHT + 44}" text-anchor="middle">sources</text>')
    below = inf
    for name in sorted(curves, key=lambda name: float(curves[name][-1])):
        points = " ".join(f"{x(size)},{y(time)}" for size, time in zip(SIZES, curves[name]))
        below = min(y(curves[name][-1]) + 4, below - 16)  # labels stand clear of each other
        label = f'<text x="{_LEFT + _WIDTH + 8}" y="{below:.1f}">{CURVES[name]}</text>'
        shapes.append(f'<g class="{name}"><polyline points="{points}"/>{label}</g>')
    return "\n".join(shapes) + "\n</svg>\n"


def _alternative(record: Mapping[str, Any]) -> str:
    said = (f"{CURVES[name]}, {_time(curve[0])} to {_time(curve[-1])}" for name, curve in record["growth"].items())
    return f"Time from {SIZES[0]} to {SIZES[-1]:,} sources: {'; '.join(said)}."


def _scale(first: float, last: float, start: float, end: float) -> Callable[[float], float]:
    return lambda value: round(start + log10(value / first) / log10(last / first) * (end - start), 1)


def _plot(record: Mapping[str, Any]) -> str:
    return f"![{_alternative(record)}](performance.svg)"


_SECTIONS = {
    "machine": _machine,
    "targets": _targets,
    "bounds": _bounds,
    "plot": _plot,
    "one_more": _one_more,
    "cluster": _cluster,
}
