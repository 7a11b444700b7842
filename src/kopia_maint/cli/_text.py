"""How is text shown that others wrote? Whole, on one line, and so that neither a terminal nor a CI log obeys it."""

import re
from collections.abc import Iterable

from .._schedule import Schedule

# What begins a command in the logs of GitHub (anywhere "##[", at a line's beginning "::"), Azure ("##vso[") and others.
_COMMAND = re.compile(r"##|(?<!\S)::")


def printable(text: str) -> str:
    """Escape control characters, those that change the direction of text, and what a CI log takes for a command."""
    if not text.isprintable():
        text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return _COMMAND.sub(lambda found: f"{found[0][0]}\\x{ord(found[0][1]):02x}", text)


def spelt(schedule: Schedule) -> str:
    """Return a schedule as it is written; one that a CI log would obey (``*-##[stop-commands]``) by its meaning."""
    return schedule.canonical if _COMMAND.search(schedule.text) else schedule.text


def some(names: Iterable[object]) -> str:
    """Return the first of many names, and how many more there are."""
    ordered = sorted(map(str, names))
    return ", ".join(ordered[:5]) + (f" and {len(ordered) - 5} more" if len(ordered) > 5 else "")


def count(number: int, noun: str) -> str:
    """Return a number and its noun, as in ``1 error`` and ``2 repositories``."""
    plural = f"{noun[:-1]}ies" if noun.endswith("ry") else f"{noun}s"
    return f"{number} {noun if number == 1 else plural}"
