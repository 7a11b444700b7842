"""What can be wrong with a text, or with an object? One place of it is changed, at random."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from random import Random
from typing import Any


def torn(text: str, pieces: Sequence[str], rng: Random) -> str:
    """Return a text of which one part is a piece of these, or missing, or there twice, or in another case."""
    at = rng.randrange(len(text) + 1)
    end = at + rng.choice((0, 0, 1, 1, 2, 9))
    part, piece = text[at:end], rng.choice(pieces)
    return text[:at] + rng.choice((piece, piece, "", part * 2, part.swapcase())) + text[end:]


def broken(value: Any, odd: Sequence[Any], rng: Random) -> Any:
    """Return an object of which one member is an odd value, or missing, or renamed, or too much."""
    if not isinstance(value, (dict, list)) or not value or rng.random() < 0.1:
        return deepcopy(rng.choice(odd))
    key = rng.choice(list(value) if isinstance(value, dict) else range(len(value)))
    copy: Any = value.copy()
    edit = rng.randrange(20)
    if edit < 3:
        del copy[key]
    elif edit < 4 and isinstance(copy, dict):
        copy[str(key).upper()] = copy.pop(key)
    elif edit < 6 and isinstance(copy, dict):
        copy[rng.choice(KEYS)] = deepcopy(rng.choice(odd))
    else:
        copy[key] = broken(copy[key], odd, rng)
    return copy


KEYS = "resource_version api_version items kind object labels annotations metadata x deletionTimestamp claims".split()
"""Members that make another object of one."""
