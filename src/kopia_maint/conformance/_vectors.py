"""
What must be observable after which step? The vectors, as they stand in files.

The files are JSON, one for each area of the rules; ``vectors.schema.json`` is
their JSON Schema.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from attrs import frozen

from .._errors import InvalidManifest, KopiaMaintError, shown
from ._answer import read

EXPECTATIONS = {"verdict", "verdicts", "error", "unchanged", "cronJob"}
OBSERVED = {"schedule", "owner", "conflict", "namespaces", "holds"}


@frozen
class Step:
    """
    One line to send, and what must be observable after it.

    Attributes:
        send: The line, but for ``current``: that is the CronJob of the answer before.
        expect: What must be observable. What is not mentioned is not compared.
        edit: A JSON merge patch for the CronJob, applied first: what somebody else did to it meanwhile.
    """

    send: Mapping[str, Any]
    expect: Mapping[str, Any]
    edit: Mapping[str, Any]


@frozen
class Vector:
    """
    A history.

    Attributes:
        area: The part of the rules that it belongs to.
        name: Which one it is; unique within the area.
        sentence: The rule that it tests.
        current: The CronJob that it begins with; None: there is none.
        steps: What happens.
    """

    area: str
    name: str
    sentence: str
    current: Mapping[str, Any] | None
    steps: tuple[Step, ...]


def load(directory: Path | None = None) -> list[Vector]:
    """
    Return the vectors of every ``*.json`` in *directory*, by default those of this package.

    Raises:
        InvalidManifest: A file does not hold vectors, or there is none.
        OSError: A file cannot be read.
    """
    folder = directory or resources.files(__package__ or "").joinpath("vectors")
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".json")), key=lambda file: file.name)
    vectors = []
    for file in files:
        try:
            vectors += _file(read(file.read_bytes()))
        except KopiaMaintError as error:
            raise InvalidManifest(error.message, path=f"{file.name}: {error.path}".rstrip(": ")) from None
    if not vectors:
        raise InvalidManifest(f"there are no vectors in {folder}")
    return vectors


def _file(content: Mapping[str, Any]) -> list[Vector]:
    area, vectors = _take(content, "area", str, ""), []
    for number, vector in enumerate(_take(content, "vectors", list, "")):
        path = f"vectors[{number}]"
        steps = [_step(step, f"{path}.steps[{at}]") for at, step in enumerate(_take(vector, "steps", list, path))]
        current = _take(vector, "current", dict, path, optional=True)
        name, sentence = _take(vector, "name", str, path), _take(vector, "tests", str, path)
        vectors.append(Vector(area, name, sentence, current, tuple(steps)))
    return vectors


def _step(step: object, path: str) -> Step:
    send, expect = _take(step, "send", dict, path), _take(step, "expect", dict, path)
    unknown = expect.keys() - EXPECTATIONS
    unknown |= (_take(expect, "cronJob", dict, f"{path}.expect", optional=True) or {}).keys() - OBSERVED
    if unknown or not expect:  # an expectation that is not looked at would be met by everybody
        raise InvalidManifest(f"expects {shown(', '.join(sorted(unknown)))}, which is not known", path=path)
    return Step(send, expect, _take(step, "edit", dict, path, optional=True) or {})


def _take(parent: object, key: str, kind: type, path: str, *, optional: bool = False) -> Any:
    value = parent.get(key) if isinstance(parent, dict) else None
    if not isinstance(value, kind) and not (optional and value is None):
        raise InvalidManifest(f"must have {key}, of type {kind.__name__}", path=path)
    return value
