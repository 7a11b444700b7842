"""
Do we read every schedule as robfig/cron does, and agree on when it runs?

    python -m tests.campaigns.schedules [--intervals N] [--count N] [--zones N] [--seed SEED]
    python -m tests.campaigns.schedules --record

Compares the intervals of generated schedules with those of every day of 400
years, then schedules with the real parser, then runs around the transitions of
every zone; prints figures, and exits with status 1 at disagreements.
``--record`` writes the answers that the ordinary tests compare with (tests/data).
All but the intervals (``--count 0 --zones 0``) need Go.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import zoneinfo
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from random import Random, SystemRandom

from attrs import asdict

from kopia_maint import Schedule
from kopia_maint._cron import MAX_LENGTH

from ..core import robfig
from ..core.robfig import Answer, Request
from ..core.schedule_cases import (
    INSTANTS,
    OWN_REFUSALS,
    QUIRKS,
    ZONE_CASES,
    Transition,
    around,
    disagreement,
    intervals,
    near,
    orderly,
    plain_schedule,
    refusal,
    schedule,
    seconds,
    transitions,
    utc,
    walk,
)

DATA = Path(__file__).parents[1] / "data"
BATCH = 20_000
RUNS_FROM = 2
"""From so many instants the next runs of each schedule are compared, others for the next schedule."""
WALK_EVERY = 50
SHOWN = 20
RECORDED = 1_000


def main() -> int:
    """Run the campaign, or record; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--intervals", type=int, default=20_000, help="schedules whose intervals to compare")
    parser.add_argument("--count", type=int, default=1_000_000, help="schedules to compare")
    parser.add_argument("--zones", type=int, default=20_000, help="schedules to compare around transitions")
    parser.add_argument("--seed", type=int, default=SystemRandom().getrandbits(32))
    parser.add_argument("--record", action="store_true", help="rewrite tests/data instead")
    options = parser.parse_args()
    print("seed", options.seed)
    rng = Random(options.seed)
    faults = [] if options.record else [*compare_intervals(options.intervals, rng)]
    if options.record or options.count or options.zones:
        with tempfile.TemporaryDirectory() as directory:
            program = robfig.build(Path(directory))
            if options.record:
                record(program)
                return 0
            faults += [*compare_schedules(program, options.count, rng), *compare_zones(program, options.zones, rng)]
    for fault in faults[:SHOWN]:
        print("DISAGREEMENT", fault)
    print(f"{len(faults):,} disagreements")
    return 1 if faults else 0


# --- intervals ---------------------------------------------------------------


def compare_intervals(count: int, rng: Random) -> Iterator[str]:
    """Compare the intervals of *count* schedules with the calendar's; print figures, yield disagreements."""
    figures: Counter[str] = Counter()
    seen: set[tuple[timedelta | None, timedelta | None]] = set()
    for _ in range(count):
        text = plain_schedule(rng) if rng.random() < 0.3 else _days(rng)
        parsed = Schedule.parse(text)
        ours, counted = (parsed.shortest_interval, parsed.longest_interval), intervals(text)
        seen.add(ours)
        figures["of them never fire"] += parsed.never_fires
        figures["of them have years without a run"] += (ours[1] or timedelta()) > timedelta(days=2 * 366)
        if ours != counted:
            yield f"{text!r}: our intervals {ours}, by the calendar {counted}"
    figures["different pairs of intervals"] = len(seen)
    _print(f"intervals of {count:,} schedules", figures)


def _days(rng: Random) -> str:
    """Return a schedule with few or many days, months and weekdays, the last days of a month more often than others."""

    def some(low: int, high: int) -> str:
        numbers = rng.sample(range(low, high + 1), rng.choice((1, 1, 2, 3, rng.randint(1, high - low))))
        return rng.choice(("*", ",".join(map(str, numbers)), ",".join(map(str, numbers))))

    days = some(1, 31) if rng.random() < 0.6 else some(29, 31)
    times = rng.choice(("0 0", "59 23", f"{some(0, 9)} {some(9, 20)}"))
    return f"{times} {days} {some(1, 12)} {rng.choice(('*', '*', ',', some(0, 6)))}"


# --- schedules ---------------------------------------------------------------


def compare_schedules(program: Path, count: int, rng: Random) -> Iterator[str]:
    """Compare *count* generated schedules and the canonical spellings of them; print figures, yield disagreements."""
    figures: Counter[str] = Counter()
    for start in range(0, count, BATCH):
        texts = [schedule(rng) for _ in range(min(BATCH, count - start))]
        instants = [*INSTANTS, *INSTANTS]
        asked = [Request(text, tuple(instants[at % len(INSTANTS) :][:RUNS_FROM])) for at, text in enumerate(texts)]
        accepted = []
        for request, answer in zip(asked, robfig.ask(program, asked)):
            text = request.text
            reason = refusal(text)
            figures[reason or "accepted"] += 1
            if reason in OWN_REFUSALS:
                figures["of our own refusals robfig/cron accepts"] += answer.read is not None
            figures["lists of next runs compared"] += len(answer.runs) if reason is None else 0
            if fault := disagreement(text, answer, request.after):
                yield fault
            elif reason is None:
                accepted.append((request, answer))
        yield from _compare_canonical(program, accepted, figures)
    _print(f"{count:,} schedules", figures)


def _compare_canonical(program: Path, accepted: list[tuple[Request, Answer]], figures: Counter[str]) -> Iterator[str]:
    parsed = [Schedule.parse(request.text) for request, _ in accepted]
    asked = [Request(one.canonical, request.after) for one, (request, _) in zip(parsed, accepted)]
    for (request, answer), one, canonical in zip(accepted, parsed, robfig.ask(program, asked)):
        text = request.text
        figures["of them never fire"] += one.never_fires
        again = Schedule.parse(one.canonical)
        if again != one or again.canonical != one.canonical or len(one.canonical) > MAX_LENGTH:
            yield f"{text!r}: canonical {one.canonical!r} is not"
        beyond = one.never_fires and isinstance(answer.read, int)  # @every beyond five years never fires to us only
        figures["of them @every beyond five years"] += beyond
        if canonical.read is None or canonical.runs != answer.runs and not beyond:
            yield f"{text!r} runs at {answer.runs}, its canonical {one.canonical!r} at {canonical.runs}"


# --- zones -------------------------------------------------------------------


def compare_zones(program: Path, count: int, rng: Random) -> Iterator[str]:
    """Compare runs around transitions; print where robfig/cron is wrong, yield where we or the definition are."""
    every = _every_transition()
    found = [transition for some in every.values() for transition in some]
    figures = Counter({"zones with different clocks": len(every), "transitions": len(found)})
    figures["of them orderly"] = sum(transition.orderly for transition in found)
    wrong: dict[str, list[str]] = {}
    for start in range(0, count, BATCH):
        chosen = rng.choices(found, k=min(BATCH, count - start))
        asked = [Request(near(one, rng), around(one, rng), one.zone) for one in chosen]
        for at, (request, answer) in enumerate(zip(asked, robfig.ask(program, asked))):
            zone = zoneinfo.ZoneInfo(request.zone)
            figures["lists of next runs compared"] += len(request.after)
            fault = (
                f"{request.text!r}: robfig/cron does not return"
                if answer.hung
                else disagreement(request.text, answer, request.after, zone)
            )
            if fault and orderly(request, every[request.zone]):
                yield fault
            elif fault:
                wrong.setdefault(request.zone, []).append(fault)
            if fault or at % WALK_EVERY == 0:
                figures["lists of next runs walked minute by minute"] += len(request.after)
                yield from _compare_walk(request, zone)
    figures["robfig/cron wrong, around transitions that are not orderly"] = sum(map(len, wrong.values()))
    _print(f"{count:,} schedules around transitions", figures)
    for name, faults in sorted(wrong.items()):
        print(f"  {name}: robfig/cron wrong {len(faults)} times, as in {faults[0]}")


def _every_transition() -> dict[str, list[Transition]]:
    """Return the transitions of every zone, one name for each clock."""
    clocks: dict[tuple[object, ...], list[Transition]] = {}
    for name in sorted(zoneinfo.available_timezones(), key=lambda name: ("/" not in name, name)):
        found = list(transitions(name, utc(1973, 1, 1), utc(2037, 12, 31)))
        clocks.setdefault(tuple((one.at, one.after) for one in found), found)
    return {found[0].zone: found for found in clocks.values() if found}


def _compare_walk(request: Request, zone: zoneinfo.ZoneInfo) -> Iterator[str]:
    for after in request.after:
        until = after + timedelta(days=4)
        runs = Schedule.parse(request.text).next_runs(after, request.count, tz=zone)
        walked = [run for run, _ in zip(walk(request.text, after, until, zone), range(request.count))]
        if seconds([run for run in runs if run <= until]) != seconds(walked):
            yield f"{request.text!r} after {after} in {zone}: our runs {runs}, by the definition {walked}"


# --- recording ---------------------------------------------------------------


def record(program: Path) -> None:
    """Write the answers that the ordinary tests compare with."""
    rng = Random(3)
    texts = dict.fromkeys(QUIRKS)
    while len(texts) < RECORDED:
        texts.setdefault(schedule(rng))
    asked = [Request(text, INSTANTS[at % 4 :: 4]) for at, text in enumerate(texts)]
    _write("schedules.jsonl", asked, robfig.ask(program, asked))
    asked = [Request(text, [datetime.fromisoformat(after)], zone) for zone, after, text in ZONE_CASES]
    _write("zones.jsonl", asked, robfig.ask(program, asked))


def _write(name: str, asked: Iterable[Request], answers: Iterable[Answer]) -> None:
    lines: list[dict[str, object]] = [
        {"recorded by": "python -m tests.campaigns.schedules --record", "with": robfig.versions()}
    ]
    for request, answer in zip(asked, answers):
        after = [instant.isoformat() for instant in request.after]
        lines.append({**asdict(request), "after": after, **asdict(answer)})
    text = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
    (DATA / name).write_text(text, encoding="ascii")


def _print(title: str, figures: Counter[str]) -> None:
    print(title)
    for name, figure in figures.items():
        print(f"{figure:>12,} {name}")


if __name__ == "__main__":
    sys.exit(main())
