"""Do schedules mean what robfig/cron makes of them? Its answers are recorded."""

from __future__ import annotations

import re
from collections import Counter
from datetime import datetime
from itertools import islice
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from kopia_maint import Schedule

from .robfig import Answer, Request, recorded
from .schedule_cases import OWN_REFUSALS, disagreement, orderly, refusal, transitions, utc, walk

PAGE = Path(__file__).parents[2] / "docs/schedules.md"


SCHEDULES, ZONES = recorded("schedules.jsonl"), recorded("zones.jsonl")
ORDERLY = [
    (request, answer)
    for request, answer in ZONES
    if not answer.hung and orderly(request, transitions(request.zone, utc(1999, 1, 1), utc(2025, 1, 1)))
]


def test_every_recorded_schedule_is_read_as_robfig_cron_reads_it() -> None:
    """What is accepted, the bits of every field, the star bits, and the next runs in UTC are robfig/cron's."""
    assert [
        fault for request, answer in SCHEDULES if (fault := disagreement(request.text, answer, request.after))
    ] == []


def test_the_record_has_every_kind_of_schedule_in_it() -> None:
    """The record would show a parser that accepts, or refuses, too much, for whichever reason."""
    kinds = Counter(refusal(request.text) or "accepted" for request, _ in SCHEDULES)
    assert kinds["accepted"] > 500
    assert kinds["syntax"] > 200
    assert all(kinds[reason] > 2 for reason in OWN_REFUSALS)
    assert any(isinstance(answer.read, int) for _, answer in SCHEDULES)
    assert any(answer.read and refusal(request.text) == "unprintable" for request, answer in SCHEDULES)


def test_a_canonical_spelling_is_a_schedule_of_the_same_meaning() -> None:
    """Reading a canonical spelling again gives an equal schedule, and it is never too long to be read."""
    for request, answer in SCHEDULES:
        if answer.read is not None and refusal(request.text) is None:
            parsed = Schedule.parse(request.text)
            again = Schedule.parse(parsed.canonical)
            assert (again, again.canonical) == (parsed, parsed.canonical)


@pytest.mark.parametrize(("request_", "answer"), ORDERLY, ids=lambda one: getattr(one, "zone", ""))
def test_runs_agree_across_transitions_by_an_hour_and_clear_of_midnight(request_: Request, answer: Answer) -> None:
    """In zones whose clocks move by an hour, on the hour and not at midnight, our runs are robfig/cron's."""
    assert disagreement(request_.text, answer, request_.after, ZoneInfo(request_.zone)) is None


def rows() -> list[tuple[str, ...]]:
    """Return the rows of the page's table of places where robfig/cron is wrong."""
    row = r"^\| ([A-Z]\S+) \| `(.+?)` after `(.+?)` \| `(.+?)`, (?:not|but) `?(.+?)`? \|"
    return re.findall(row, PAGE.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0])
def test_where_robfig_cron_is_wrong_the_page_says_so(row: tuple[str, ...]) -> None:
    """Each row shows the run that the definition gives, and what robfig/cron was recorded to give instead."""
    name, text, after, ours, theirs = row
    zone = ZoneInfo(name)
    [answer] = [answer for request, answer in ZONES if (request.zone, request.text) == (name, text)]
    runs = Schedule.parse(text).next_runs(datetime.fromisoformat(after), 5, tz=zone)
    assert runs[:2] == tuple(islice(walk(text, datetime.fromisoformat(after), runs[1], zone), 2))
    if answer.hung:
        assert (ours, theirs) == (shown(runs[0]), "never returns")
    else:
        given = [datetime.fromtimestamp(run, zone) for run in answer.runs[0]]
        assert (ours, theirs) == next((shown(one), shown(other)) for one, other in zip(runs, given) if one != other)


def test_the_page_lists_every_place_recorded() -> None:
    """No recorded disagreement is missing from the page."""
    wrong = [request for request, answer in ZONES if (request, answer) not in ORDERLY]
    listed = [
        (request.zone, request.text, shown(request.after[0].astimezone(ZoneInfo(request.zone)))) for request in wrong
    ]
    assert listed == [row[:3] for row in rows()]


def shown(instant: datetime) -> str:
    """Return an instant as the page shows it."""
    return instant.isoformat(timespec="minutes")
