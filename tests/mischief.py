"""What can be wrong with a text, or with an object? One place of it is changed, at random."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

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
    *("volsync.backube/v2", "first-wins", "2024-01-15T10:30:00Z", "0 2 * * *", "0 0 30 2 *", "@every 1h"),
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


def broken(value: Any, odd: Sequence[Any], rng: Random) -> Any:
    """Return an object of which one member is an odd value, or missing, or renamed, or too much."""
    if not isinstance(value, (dict, list)) or not value or rng.random() < 0.1:
        return {"type": "ADDED", "object": value} if rng.random() < 0.1 else rng.choice(odd)
    copy: Any = value.copy()
    key = rng.choice(list(value) if isinstance(value, dict) else range(len(value)))
    edit = rng.randrange(20)
    if edit < 3:
        del copy[key]
    elif edit < 4 and isinstance(copy, dict):
        copy[str(key).upper()] = copy.pop(key)
    elif edit < 8 and isinstance(copy, dict):
        copy[rng.choice(KEYS)] = rng.choice(odd)
    else:
        copy[key] = broken(copy[key], odd, rng)
    return copy
