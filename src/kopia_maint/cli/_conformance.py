"""How does this library answer lines, and how is it said what another implementation made of the vectors?"""

import json
import os
import signal
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO

from ..conformance import Outcome, answer
from ..conformance._answer import MAX_LENGTH

_SHOWN = 300
_COUNTED = ("passed", "failed", "leftOut")


def serve(questions: BinaryIO, answers: BinaryIO) -> None:
    """Answer every line with one, until the end of input or until nobody reads the answers."""
    try:
        for line in _lines(questions):
            answers.write(json.dumps(answer(line)).encode() + b"\n")
            answers.flush()
    except BrokenPipeError:
        # The interpreter flushes at its end, too: into nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), answers.fileno())


@contextmanager
def ended_by_signals() -> Generator[None]:
    """Let SIGTERM and SIGHUP unwind the stack, as Ctrl-C does: the runner then ends what it has started."""
    handlers = {number: signal.signal(number, _end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _end(number: int, _: object) -> None:
    raise SystemExit(128 + number)


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    """Yield the lines of *stream*; of one that is too long, no more than it takes to see that."""
    while line := stream.readline(MAX_LENGTH + 1):
        yield line
        while len(line) > MAX_LENGTH and not line.endswith(b"\n"):
            line = stream.readline(MAX_LENGTH + 1)


def as_json(outcomes: Sequence[Outcome]) -> str:
    """Return what became of the vectors as one JSON object."""
    areas = _areas(outcomes)
    counted = [{"area": area, **dict(zip(_COUNTED, counts, strict=True))} for area, counts in areas.items()]
    totals = dict(zip(_COUNTED, map(sum, zip(*areas.values(), strict=True)), strict=True))
    failures = [_failure(outcome) for outcome in outcomes if outcome.differences]
    return json.dumps({**totals, "areas": counted, "failures": failures}, indent=2) + "\n"


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
    areas["all"] = [sum(counts) for counts in zip(*areas.values(), strict=True)]
    width = max(len(_plain(area)) for area in areas)
    for area, (passed, failed, left_out) in areas.items():
        rest = f", {left_out} left out" if left_out else ""
        lines.append(f"{_plain(area):<{width}}  {passed:>3} of {passed + failed:>3} passed{rest}")
    return "\n".join(lines) + "\n"


def _areas(outcomes: Sequence[Outcome]) -> dict[str, list[int]]:
    """Count for each area the vectors that passed, that failed, and that were left out."""
    counts: dict[str, list[int]] = {}
    for it in outcomes:
        column = 2 if it.step == 0 else 1 if it.differences else 0
        counts.setdefault(it.vector.area, [0, 0, 0])[column] += 1
    return counts


def _value(value: Any) -> str:
    return "nothing" if value is ... else _plain(json.dumps(value))


def _plain(text: str) -> str:
    """Cut what is long, and escape what a terminal would not print."""
    escaped = text if text.isprintable() else text.encode("unicode_escape").decode()
    return escaped if len(escaped) <= _SHOWN else f"{escaped[:_SHOWN]}…"
