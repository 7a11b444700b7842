"""
Do we read every schedule as robfig/cron does, and agree on when it runs?

    python -m tests.campaigns.schedules [--intervals N] [--count N] [--zones N] [--seed SEED]
    python -m tests.campaigns.schedules --record

Compares the intervals of generated schedules with those of every day of 400
years, then schedules with the real parser, then runs around the transitions of
every zone; prints figures, and exits with status 1 at disagreements. ``--record``
asks again what the ordinary tests compare with (tests/data): to record another
schedule, add its line, of which only ``text`` and ``after`` are needed.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import zoneinfo
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from random import Random, SystemRandom

from attrs import asdict

from kopia_maint import Schedule
from kopia_maint._cron import MAX_LENGTH

from ..core import robfig
from ..core.robfig import Request
from ..core.schedule_cases import (
    INSTANTS,
    OWN_REFUSALS,
    Transition,
    disagreement,
    orderly,
    plain_schedule,
    refusal,
    schedule,
    seconds,
    transitions,
    utc,
    walk,
)
from ..reference import decisions

BATCH = 20_000
WALK_EVERY = 50
SHOWN = 20
Figures = Counter[str]


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
    rng, figures, faults = Random(options.seed), Figures(), list[str]()
    with tempfile.TemporaryDirectory() as directory:
        program = robfig.build(Path(directory))
        if options.record:
            record(program)
            return 0
        faults += compare_intervals(options.intervals, rng, figures)
        faults += compare_schedules(program, options.count, rng, figures)
        faults += compare_zones(program, options.zones, rng, figures)
    for name, figure in figures.items():
        print(f"{figure:>12,} {name}")
    for fault in faults[:SHOWN]:
        print("DISAGREEMENT", fault)
    print(f"{len(faults):,} disagreements")
    return 1 if faults else 0


def compare_intervals(count: int, rng: Random, figures: Figures) -> Iterator[str]:
    """Compare the intervals of *count* schedules with the calendar's; yield disagreements."""
    for _ in range(count):
        parsed = Schedule.parse(plain_schedule(rng))
        ours, counted = (parsed.shortest_interval, parsed.longest_interval), decisions.intervals(parsed.text)
        decisions.runs.cache_clear()  # each has the days of 400 years
        figures["schedules whose intervals were compared"] += 1
        figures["of them have years without a run"] += (ours[1] or timedelta()) > timedelta(days=2 * 366)
        if ours != counted:
            yield f"{parsed.text!r}: our intervals {ours}, by the calendar {counted}"


def compare_schedules(program: Path, count: int, rng: Random, figures: Figures) -> Iterator[str]:
    """Compare *count* generated schedules, and the canonical spellings of them; yield disagreements."""
    for start in range(0, count, BATCH):
        asked = [Request(schedule(rng), tuple(rng.sample(INSTANTS, 2))) for _ in range(min(BATCH, count - start))]
        answers = robfig.ask(program, asked)
        spelt = [Request(_canonical(request.text), request.after) for request in asked]
        for request, answer, canonical, again in zip(asked, answers, spelt, robfig.ask(program, spelt)):
            reason = refusal(request.text)
            figures[f"schedules {f'refused: {reason}' if reason else 'accepted'}"] += 1
            if reason in OWN_REFUSALS:
                figures["of our own refusals robfig/cron accepts"] += answer.read is not None
            if fault := disagreement(request.text, answer, request.after):
                yield fault
            elif reason is None:
                figures["lists of next runs compared"] += 2 * len(answer.runs)
                never = Schedule.parse(request.text).never_fires
                figures["of them never fire"] += never
                if _canonical(canonical.text) != canonical.text or len(canonical.text) > MAX_LENGTH:
                    yield f"{request.text!r}: canonical {canonical.text!r} is not"
                beyond = never and isinstance(answer.read, int)  # @every beyond five years never fires to us only
                if again.read is None or again.runs != answer.runs and not beyond:
                    yield f"{request.text!r} runs at {answer.runs}, its canonical {canonical.text!r} at {again.runs}"


def _canonical(text: str) -> str:
    """Return the canonical spelling of a schedule; of what is none, anything."""
    return Schedule.parse(text).canonical if refusal(text) is None else ""


# --- zones -------------------------------------------------------------------


def compare_zones(program: Path, count: int, rng: Random, figures: Figures) -> Iterator[str]:
    """Compare runs around transitions; print where robfig/cron is wrong, yield where we or the definition are."""
    every = _every_transition()
    found = [transition for some in every.values() for transition in some]
    figures |= {"zones with different clocks": len(every), "transitions": len(found)}
    figures["of them orderly"] = sum(transition.orderly for transition in found)
    wrong: dict[str, list[str]] = {}
    for start in range(0, count, BATCH):
        chosen = rng.choices(found, k=min(BATCH, count - start))
        asked = [Request(near(one, rng), around(one, rng), one.zone) for one in chosen]
        for at, (request, answer) in enumerate(zip(asked, robfig.ask(program, asked))):
            zone = zoneinfo.ZoneInfo(request.zone)
            figures["lists of next runs around transitions compared"] += len(request.after)
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
                figures["of them walked minute by minute"] += len(request.after)
                yield from _compare_walk(request, zone)
    for name, faults in sorted(wrong.items()):
        print(f"{name}: not orderly, and robfig/cron wrong {len(faults)} times, as in {faults[0]}")


def _every_transition() -> dict[str, list[Transition]]:
    """Return the transitions of every zone, one name for each clock."""
    clocks: dict[tuple[object, ...], list[Transition]] = {}
    for name in sorted(zoneinfo.available_timezones(), key=lambda name: ("/" not in name, name)):
        found = list(transitions(name, utc(1973, 1, 1), utc(2037, 12, 31)))
        clocks.setdefault(tuple((one.at, one.after) for one in found), found)
    return {found[0].zone: found for found in clocks.values() if found}


def near(transition: Transition, rng: Random) -> str:
    """Return a schedule that is likely to run around a transition."""
    wall = transition.at + rng.choice((transition.before, transition.after))
    minute = (wall.minute + rng.choice((0, 0, 1, -1, 15, 30))) % 60
    hour = (wall.hour + rng.choice((0, 0, 1, -1, 2, -2))) % 24
    fields = (
        (minute, minute, minute, "*", "*/20", "0,30"),
        (hour, hour, hour, "*", "*/2", "22-23,0-3"),
        ("*", "*", wall.day),
        ("*", "*", wall.month),
        ("*", "*", wall.isoweekday() % 7),
    )
    return plain_schedule(rng) if rng.random() < 0.3 else " ".join(str(rng.choice(field)) for field in fields)


def around(transition: Transition, rng: Random) -> list[datetime]:
    """Return three instants near a transition."""
    hours = rng.sample((-960.0, -49.0, -25.0, -3.0, -2.0, -1.0, -0.5, -1 / 60, -1 / 3600, 0.0, 0.5, 1.0, 2.0), 3)
    return [transition.at + timedelta(seconds=round(hour * 3600)) for hour in hours]


def _compare_walk(request: Request, zone: zoneinfo.ZoneInfo) -> Iterator[str]:
    for after in request.after:
        until = after + timedelta(days=4)
        runs = Schedule.parse(request.text).next_runs(after, request.count, tz=zone)
        walked = list(islice(walk(request.text, after, until, zone), request.count))
        if seconds([run for run in runs if run <= until]) != seconds(walked):
            yield f"{request.text!r} after {after} in {zone}: our runs {runs}, by the definition {walked}"


# --- recording ---------------------------------------------------------------


def record(program: Path) -> None:
    """Ask again what is on record, and write down the answers."""
    provenance = {"recorded by": "python -m tests.campaigns.schedules --record", "with": robfig.versions()}
    for name in ("schedules.jsonl", "zones.jsonl"):
        asked = [request for request, _ in robfig.recorded(name)]
        lines = (
            {**asdict(request), "after": [after.isoformat() for after in request.after], **asdict(answer)}
            for request, answer in zip(asked, robfig.ask(program, asked))
        )
        text = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in (provenance, *lines))
        (robfig.DATA / name).write_text(text, encoding="ascii")


if __name__ == "__main__":
    sys.exit(main())
