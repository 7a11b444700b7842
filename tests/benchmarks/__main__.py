"""
What does it cost here?

    python -m tests.benchmarks [--quick] [--only NAME]... [--record]

Prints a table; a target that is missed is marked and fails nothing. ``--record``
writes what was measured to docs/performance.json, and the tables and the plot of
docs/performance.md from it. The engines that it compares with are in the
dependency group ``bench``; without them their rows stay empty.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from . import page
from .growth import growth, one_more
from .rows import ROWS
from .timing import FULL, QUICK, machine


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", allow_abbrev=False)
    parser.add_argument("--quick", action="store_true", help="one tiny round: shows that it works, measures nothing")
    parser.add_argument("--only", action="append", choices=[row.name for row in ROWS], metavar="NAME")
    parser.add_argument("--record", action="store_true", help="write docs/performance.* from a complete run")
    options = parser.parse_args(arguments)
    if options.record and (options.quick or options.only):
        parser.error("--record needs a complete run")
    effort = QUICK if options.quick else FULL
    where = machine() if options.record else None  # first: it needs every peer

    console = Console()
    table = Table("name", *page.HEADINGS[1:], box=SIMPLE)
    results = []
    for row in ROWS:
        if options.only is None or row.name in options.only:
            with console.status(row.name):
                results.append(row.run(effort))
            table.add_row(row.name, *(cell.replace("`", "") for cell in page.cells(results[-1])[1:]))
    console.print(table)
    if where is not None:
        with console.status("how it grows"):
            more = {"growth": growth(effort), "one_more": one_more(effort)}
        page.write({"machine": where, "rows": results, **more})


if __name__ == "__main__":
    main()
