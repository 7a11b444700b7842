"""What can be asked, and what can be wrong with it? The vectors' questions, in which one place is changed at random."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from random import Random
from typing import Any

from kopia_maint.conformance import load

LONGEST = 20_000


def questions() -> Iterator[dict[str, Any]]:
    """Yield the questions of all vectors but the longest ones, about the CronJobs that they begin with."""
    for vector in load():
        current = vector.current or {}
        for step in vector.steps:
            given = {"cronJobs": [*current.values()]} if "plan" in vector.ops else {"current": vector.current}
            if len(json.dumps(step.send)) < LONGEST:
                yield {**step.send, **given}


def members(value: Any, known: dict[str, list[Any]]) -> None:
    """Collect the members of all mappings in *value*, by their names."""
    if isinstance(value, dict):
        for name, member in value.items():
            known[name].append(member)
    for member in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        members(member, known)


QUESTIONS = [*questions()]
MEMBERS: dict[str, list[Any]] = defaultdict(list)
members(QUESTIONS, MEMBERS)

KEYS = "resource_version api_version items kind object policy metadata labels x deletionTimestamp claims".split()
"""Members that make another object of one."""


def deep(levels: int) -> Any:
    """Return a value that nests so deep."""
    value: Any = "x"
    for level in range(levels):
        value = [value] if level % 2 else {"a": value}
    return value


ODD: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 7, 31, 7.0, 1.5, 1e300, 10**30, "A" * 300, deep(50), deep(99), deep(120)),
    *([], {}, [None], [[]], ["x"], {"a": 1}, {"": {}}, {"name": "x"}),
    *("", " ", "x", "Team_A", "team-b", "a/b", "${X}", "é", "-", "a.b", "true", "null", "..", "..x", "rejected"),
    *("List", "CronJob", "ReplicationSource", "v1", "batch/v1", "batch/v1beta1", "volsync.backube/v1alpha1"),
    *("volsync.backube/v2", "first-wins", "0 2 * * *", "0 0 30 2 *", "@every 1h", "A" * 262_000),
    *("2024-01-15t12:30:00.999+02:00", "2024-01-15T24:00:00Z", "2016-12-31T23:59:60Z", "2024-01-15T10:30:00,5Z"),
    *("0001-01-01T00:00:00Z", "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00", "2024-01-15T10:30:00+24:00"),
)
"""Values of JSON that are hardly what is expected."""
PIECES = (
    *('"', "{", "}", "[", "]", ",", ":", "0", "-", "e9", ".5", "NaN", "Infinity", "1e999", "null", "a", "", " ", "\n"),
    *("\\", "\\u0041", "\\ud800", "\\x", "\u2028", "\0", "\ufeff", "é", "\ud800", '{"version":1}', "7" * 5000),
    *("[" * 120 + "]" * 120, "[" * 3000, '{"a":' * 3000, '["0 4 * * *","2024-01-15T10:30:00Z","rejected"]'),
)
"""What makes other JSON of JSON, or none."""


def torn(text: str, pieces: Sequence[str], rng: Random) -> str:
    """Return a text of which one part is a piece of these, or missing, or there twice, or in another case."""
    at = rng.randrange(len(text) + 1)
    end = at + rng.choice((0, 0, 1, 1, 2, 9))
    part, piece = text[at:end], rng.choice(pieces)
    return text[:at] + rng.choice((piece, piece, "", part * 2, part.swapcase())) + text[end:]


def places(value: Any, outer: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every member, those of members included, but not too deep."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in pairs:
        yield (*outer, key)
        if len(outer) < 10:
            yield from places(member, (*outer, key))


def changed(value: Any, change: Callable[[Any, Any], None], rng: Random) -> Any:
    """Return a copy of an object in which *change* is made to one member, whichever it is."""
    if not (paths := [*places(value)]):
        return value
    *outer, last = rng.choice(paths)
    copy: Any = value.copy()
    node = copy
    for key in outer:
        node[key] = node[key].copy()
        node = node[key]
    change(node, last)
    return copy


def exchanged(value: Any, known: Mapping[str, Sequence[Any]], rng: Random) -> Any:
    """Return an object of which one member is another known one of the same name."""

    def exchange(node: Any, key: Any) -> None:
        node[key] = rng.choice(known.get(key, [node[key]]))

    return changed(value, exchange, rng)


def broken(value: Any, odd: Sequence[Any], rng: Random) -> Any:
    """Return an object of which one member is an odd value, or missing, or renamed, or too much."""

    def damage(node: Any, key: Any) -> None:
        edit = rng.randrange(12)
        if edit < 2:
            del node[key]
        elif edit < 3 and isinstance(node, dict):
            node[str(key).upper()] = node.pop(key)
        elif edit < 5 and isinstance(node, dict):
            node[rng.choice(KEYS)] = rng.choice(odd)
        elif edit < 6:
            node[key] = {"type": "ADDED", "object": node[key]}
        else:
            node[key] = rng.choice(odd)

    return rng.choice(odd) if rng.random() > 0.98 else changed(value, damage, rng)
