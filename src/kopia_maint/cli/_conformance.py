"""How does this library answer lines, and how is it said what another implementation made of the vectors?"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, BinaryIO

from ..conformance import Outcome, answer
from ..conformance._answer import MAX_LENGTH

_SHOWN = 300


def serve(questions: BinaryIO, write: Callable[[str], None]) -> None:
    """Answer every line with one, until the end of input."""
    for line in _lines(questions):
        write(json.dumps(answer(line)) + "\n")


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    """Yield the lines of *stream*; of one that is too long, no more than it takes to see that."""
    while line := stream.readline(MAX_LENGTH + 1):
        yield line
        while len(line) > MAX_LENGTH and not line.endswith(b"\n"):
            line = stream.readline(MAX_LENGTH + 1)


def as_json(outcomes: Sequence[Outcome]) -> str:
    """Return what became of the vectors as one JSON object."""
    failed = [outcome for outcome in outcomes if outcome.differences]
    report = {
        "passed": len(outcomes) - len(failed),
        "failed": len(failed),
        "areas": [{"area": area, "passed": passed, "failed": of - passed} for area, passed, of in _areas(outcomes)],
        "failures": [_failure(outcome) for outcome in failed],
    }
    return json.dumps(report, indent=2) + "\n"


def _failure(outcome: Outcome) -> dict[str, Any]:
    differences = []
    for it in outcome.differences:
        sides = (("what", it.what), ("expected", it.expected), ("got", it.got))
        differences.append({key: value for key, value in sides if value is not ...})
    vector = outcome.vector
    return {
        "area": vector.area,
        "vector": vector.name,
        "tests": vector.sentence,
        "step": outcome.step,
        "differences": differences,
    }


def as_table(outcomes: Sequence[Outcome]) -> str:
    """Return what was different in each vector that failed, and then how many of each area passed."""
    lines = []
    for it in outcomes:
        if it.differences:
            lines += [f"{_plain(it.vector.area)}: {_plain(it.vector.name)}", f"  {_plain(it.vector.sentence)}"]
            lines.append(f"  step {it.step} of {len(it.vector.steps)}")
            for difference in it.differences:
                lines.append(f"    {_plain(difference.what)}")
                lines.append(f"      expected {_value(difference.expected)}")
                lines.append(f"      got      {_value(difference.got)}")
            lines.append("")
    areas = _areas(outcomes)
    areas.append(("all", sum(passed for _, passed, _ in areas), len(outcomes)))
    width = max(len(_plain(area)) for area, _, _ in areas)
    lines += [f"{_plain(area):<{width}}  {passed:>3} of {of:>3} passed" for area, passed, of in areas]
    return "\n".join(lines) + "\n"


def _areas(outcomes: Sequence[Outcome]) -> list[tuple[str, int, int]]:
    """Return of each area how many vectors passed, and how many there are."""
    counts: dict[str, tuple[int, int]] = {}
    for outcome in outcomes:
        passed, of = counts.get(outcome.vector.area, (0, 0))
        counts[outcome.vector.area] = passed + (not outcome.differences), of + 1
    return [(area, passed, of) for area, (passed, of) in counts.items()]


def _value(value: Any) -> str:
    return "nothing" if value is ... else _plain(json.dumps(value))


def _plain(text: str) -> str:
    """Cut what is long, and escape what a terminal would not print."""
    escaped = text if text.isprintable() else text.encode("unicode_escape").decode()
    return escaped if len(escaped) <= _SHOWN else f"{escaped[:_SHOWN]}…"
