"""
What must be observable after which step? The vectors, as their files have them.

The files are JSON, one for each area of the rules; ``vectors.schema.json`` is
their JSON Schema.
"""

import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from attrs import frozen

from .._errors import InvalidManifest, KopiaMaintError, shown
from ._answer import read

_Kinds = Mapping[str, type | tuple[type, ...]]
_STRING_OR_NULL = (str, type(None))
_EXPECTATIONS: _Kinds = {
    "verdict": _STRING_OR_NULL,
    "verdicts": dict,
    "standings": dict,
    "withheld": list,
    "error": str,
    "unchanged": bool,
    "cronJob": (dict, type(None)),
    "cronJobs": dict,
}
_OBSERVED: _Kinds = {
    "schedule": str,
    "owner": _STRING_OR_NULL,
    "conflict": _STRING_OR_NULL,
    "namespaces": list,
    "holds": dict,
}


@frozen
class Step:
    """
    One line to send, and what must be observable after it.

    Attributes:
        send: The line, but for ``current`` (or ``cronJobs``): that is the CronJob of the answer before.
        expect: What must be observable. What is not mentioned is not compared.
        edit: A JSON merge patch for what is current, applied first: what somebody else did to it meanwhile.
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
        current: The CronJob that it begins with; None: there is none. Where the steps are plans,
            a mapping of CronJobs: ours by name, others by any key.
        steps: What happens.
    """

    area: str
    name: str
    sentence: str
    current: Mapping[str, Any] | None
    steps: tuple[Step, ...]

    @property
    def ops(self) -> frozenset[str]:
        """What an implementation must be able to answer."""
        return frozenset(step.send["op"] for step in self.steps)


def load(directory: Path | None = None) -> list[Vector]:
    """
    Return the vectors of every ``*.json`` in *directory*, by default those of this package.

    Raises:
        InvalidManifest: A file cannot be read, does not hold vectors, or there is none.
    """
    folder = directory or resources.files(__package__ or "").joinpath("vectors")
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".json")), key=lambda file: file.name)
    vectors = []
    for file in files:
        try:
            vectors += _file(read(file.read_bytes()))
        except OSError as error:
            raise InvalidManifest(f"cannot be read: {error.strerror}", path=file.name) from None
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
        if "plan" in vectors[-1].ops and len(vectors[-1].ops) > 1:
            raise InvalidManifest(
                "plans a whole cluster in one step, and decides about one CronJob in another", path=path
            )
    return vectors


def _step(step: object, path: str) -> Step:
    send, expect = _take(step, "send", dict, path), _take(step, "expect", dict, path)
    _take(send, "op", str, f"{path}.send")
    _check(expect, _EXPECTATIONS, f"{path}.expect")
    observed = [expect.get("cronJob"), *expect.get("cronJobs", {}).values()]
    for cron_job in observed:
        if cron_job is not None:
            _check(cron_job, _OBSERVED, f"{path}.expect")
    sent = {key: _written_out(value, key, path) if isinstance(value, list) else value for key, value in send.items()}
    return Step(sent, expect, _take(step, "edit", dict, path, optional=True) or {})


def _check(expect: object, known: _Kinds, path: str) -> None:
    """Refuse an expectation that nothing would be compared with: everybody would meet it."""
    if not isinstance(expect, dict) or not expect:
        raise InvalidManifest("expects nothing", path=path)
    for key, value in expect.items():
        if not isinstance(value, known.get(key, ())):
            raise InvalidManifest(f"expects {shown(key)}, which is not known or has another type", path=path)


def _written_out(items: list[Any], key: str, path: str) -> list[Any]:
    """Write out each ``{"repeat": N, "of": ITEM}``: N items, with the number of each in place of every ``#``."""
    written: list[Any] = []
    for item in items:
        if not isinstance(item, dict) or item.keys() != {"repeat", "of"}:
            written.append(item)
        elif type(item["repeat"]) is not int:
            raise InvalidManifest(f"repeats {shown(key)} a number of times that is none", path=path)
        else:
            text = json.dumps(item["of"])
            written += [json.loads(text.replace("#", str(number))) for number in range(item["repeat"])]
    return written


def _take(parent: object, key: str, kind: type, path: str, *, optional: bool = False) -> Any:
    value = parent.get(key) if isinstance(parent, dict) else None
    if not isinstance(value, kind) and not (optional and value is None):
        raise InvalidManifest(f"must have {key}, of type {kind.__name__}", path=path)
    return value
