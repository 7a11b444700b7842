"""
What does the semantics page say? The same rules once more, in its order and as plainly as possible, to compare with.

All data is plain, and nothing is changed in place. A schedule is its text; None is no preference. A source is
``(namespace, name)``. Times are RFC 3339 in UTC, ``2024-01-15T10:30:00Z``, and so sort as text. A claim is
``(schedule, since, rejected)``. A state is a dict with ``repository`` (the hash), ``secret``, ``schedule``, ``owner``,
``claims`` (by source) and ``policy``. A request has ``source``, ``repository``, ``secret``, ``schedule``, ``enabled``
and ``created``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import date, timedelta
from fractions import Fraction
from functools import cache
from itertools import pairwise
from typing import Any

Source = tuple[str, str]
State = dict[str, Any]
Request = dict[str, Any]
Policy = tuple[str, Callable[[State, Source], bool]]

DEFAULT = "0 2 * * *"


class Refused(ValueError):
    """What cannot be decided, or cannot be read."""


# --- schedules: the days of 400 years on which they run, and the minutes of those days ---

_SHORT = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_MICRO = Fraction(1, 10**6)
_UNITS = {"ns": _MICRO / 1000, "us": _MICRO, "µs": _MICRO, "μs": _MICRO, "ms": _MICRO * 1000}
_UNITS.update(s=Fraction(1), m=Fraction(60), h=Fraction(3600))
_CYCLE = [date.fromordinal(date(2000, 1, 1).toordinal() + day) for day in range(400 * 365 + 97)]
_DAYS = [(day.day, day.month, day.isoweekday() % 7) for day in _CYCLE]
KINDS = set(_DAYS)


def _field(text: str, low: int, high: int, names: Sequence[str]) -> tuple[set[int], bool]:
    """Return the values of a field, and whether it is a star."""

    def number(text: str) -> int:
        value = names.index(text.lower()) + low if text.lower() in names else int(text)
        if not low <= value <= high:
            raise ValueError(text)
        return value

    values: set[int] = set()
    star = False
    for part in filter(None, text.split(",")):
        span, slash, step = part.partition("/")
        first, dash, last = span.partition("-")
        every = int(step) if slash else 1
        if first in ("*", "?"):
            begin, end, star = low, high, star or every == 1
        else:
            begin = number(first)
            end = number(last) if dash else high if slash else begin
        if begin > end or every < 1:
            raise ValueError(part)
        values.update(range(begin, end + 1, every))
    return values, star


@cache
def runs(text: str) -> tuple[Any, ...]:
    """Return the minutes of the day and the days of the cycle on which it runs, or the seconds of an interval."""
    try:
        if text.startswith("@every "):
            sign, parts = re.fullmatch(r"@every ([+-]?)((?:[\d.]+[a-zµμ]+)+)", text).groups()  # type: ignore[union-attr]
            total = sum(_UNITS[unit] * Fraction(n) for n, unit in re.findall(r"([\d.]+)([a-zµμ]+)", parts))
            return (max(1, int(-total if sign == "-" else total)),)
        minute, hour, day, month, weekday = _SHORT.get(text, text).split()
        minutes, hours = _field(minute, 0, 59, [])[0], _field(hour, 0, 23, [])[0]
        (days, any_day), (weekdays, any_weekday) = _field(day, 1, 31, []), _field(weekday, 0, 6, _WEEKDAYS)
        months = _field(month, 1, 12, _MONTHS)[0]
    except (ValueError, KeyError, AttributeError):
        raise Refused(text) from None
    both = all if any_day or any_weekday else any
    running = {(d, m, w) for d, m, w in KINDS if m in months and both((d in days, w in weekdays))}
    on = bytes(map(running.__contains__, _DAYS))
    times = tuple(sorted(60 * h + m for h in hours for m in minutes))
    return (times, on) if times and any(on) else ((), b"")


def never_fires(text: str) -> bool:
    return runs(text) == ((), b"")


def intervals(text: str) -> tuple[timedelta, timedelta] | None:
    """Return the shortest and the longest time between two runs."""
    if len(runs(text)) == 1:
        return timedelta(seconds=runs(text)[0]), timedelta(seconds=runs(text)[0])
    times, on = runs(text)
    days = [day for day, here in enumerate(on) if here]
    if not days:
        return None
    gaps = {later - earlier for earlier, later in pairwise(times)}
    gaps |= {1440 * days_between - times[-1] + times[0] for days_between in {b - a for a, b in pairwise(days)}}
    gaps.add(1440 * (days[0] + len(on) - days[-1]) - times[-1] + times[0])
    return timedelta(minutes=min(gaps)), timedelta(minutes=max(gaps))


def same(one: str | None, other: str | None) -> bool:
    """Return whether two preferences are one by meaning."""
    return one == other or one is not None and other is not None and runs(one) == runs(other)


# --- policies ---


def first_wins(state: State, challenger: Source) -> bool:
    return bool(challenger[0] == state["owner"])


def consensus(state: State, challenger: Source) -> bool:
    wanted = state["claims"][challenger][0]
    return all(wish is None or same(wish, wanted) for wish, _, _ in state["claims"].values())


def bounded(policy: Policy, shortest: timedelta | None, longest: timedelta | None) -> Policy:
    def permits(state: State, challenger: Source) -> bool:
        least, most = intervals(state["claims"][challenger][0]) or (timedelta(0), timedelta(0))
        within = (shortest is None or least >= shortest) and (longest is None or most <= longest)
        return policy[1](state, challenger) and within

    return f"bounded-{policy[0]}", permits


# --- decisions ---


def resolve(current: State | None, request: Request, now: str, policy: Policy) -> tuple[str, State | None]:
    """Return the verdict and the desired state."""
    if current is not None and current["repository"] != request["repository"]:
        raise Refused("another repository")
    if not request["enabled"]:
        return "disabled", current and withdraw(current, request["source"], policy)
    state = begin(current, request)
    state, news = record(state, request, now)
    verdict, state = decide(state, request, news, policy)
    if verdict == "agreed" and current is None:
        verdict = "established"
    return verdict, mark(state, policy)


def begin(current: State | None, request: Request) -> State:
    """Steps 1 and 2."""
    blank = {"repository": request["repository"], "schedule": DEFAULT, "owner": None, "claims": {}, "policy": None}
    state = current or blank
    return {**state, "owner": state["owner"] or request["source"][0]}


def record(state: State, request: Request, now: str) -> tuple[State, bool]:
    """Step 3; return whether the request is news, too."""
    news = is_news(state, request)
    claims = {**state["claims"], request["source"]: (request["schedule"], now, False)} if news else state["claims"]
    return {**state, "claims": claims, "secret": request["secret"]}, news


def decide(state: State, request: Request, news: bool, policy: Policy) -> tuple[str, State]:
    """Step 4: the table."""
    if agrees(state, request["schedule"]):
        return "agreed", state
    if not permits(policy, state, request["source"]):
        return "rejected", state
    if not news:
        return "superseded", state
    return "established", {**state, "schedule": request["schedule"], "owner": request["source"][0]}


def mark(state: State, policy: Policy) -> State:
    """Mark the claims anew."""
    rejected = {source for source in state["claims"] if is_rejected(state, source, policy)}
    claims = {s: (wish, since, s in rejected) for s, (wish, since, _) in state["claims"].items()}
    return {**state, "claims": claims, "policy": policy[0] if rejected else None}


def reconcile(
    current: State | None,
    requests: Iterable[Request],
    now: str,
    policy: Policy,
    *,
    unreadable: Collection[Source] = (),
    unheard: Collection[Source] | None = None,
) -> tuple[dict[Source, str], State | None]:
    """Return the verdicts and the desired state; ``unheard``: not None where there may be sources not listed."""
    listed = list(requests)
    sources = [request["source"] for request in listed] + list(unreadable)
    repositories = {request["repository"] for request in listed} | ({current["repository"]} if current else set())
    if len(set(sources)) < len(sources) or len(repositories) > 1:
        raise Refused("a source twice, or two repositories")
    verdicts = dict.fromkeys(sources, "disabled") | dict.fromkeys(unreadable, "unreadable")
    enabled = sorted(
        (request for request in listed if request["enabled"]),
        key=lambda request: (request["created"] is None, request["created"], request["source"]),
    )
    left = {request["source"] for request in enabled} | set(unreadable) | set(unheard or ())
    if not left and unheard is None:
        return verdicts, None
    state = current and {**current, "claims": {s: claim for s, claim in current["claims"].items() if s in left}}
    news = []
    for request in enabled:
        state, is_news = record(begin(state, request), request, now)
        news += [request] if is_news else []
    if state is None:
        return verdicts, None
    for request in news:
        _, state = decide(state, request, True, policy)
    state = mark(state, policy)
    for request in enabled:
        wish, _, rejected = state["claims"][request["source"]]
        superseded = "agreed" if agrees(state, wish) else "superseded"
        verdicts[request["source"]] = "rejected" if rejected else superseded
    return verdicts, state


def reconcile_all(
    states: Iterable[State],
    requests: Iterable[Request],
    now: str,
    policy: Policy,
    *,
    unreadable: Mapping[Source, Collection[str]],
    complete: bool,
    withheld: Iterable[Source] = (),
) -> dict[str, tuple[dict[Source, str], State | None]]:
    """Return verdicts and desired state by the CronJob's name; unreadable sources come with their Secrets."""
    stored: dict[str, State] = {}
    asked: dict[str, list[Request]] = {}
    listed = [*unreadable, *withheld]
    for state in states:
        if state["repository"] in stored:
            raise Refused("a CronJob twice")
        stored[state["repository"]] = state
    for request in requests:
        asked.setdefault(request["repository"], []).append(request)
        listed.append(request["source"])
    if len(set(listed)) < len(listed):
        raise Refused("a source twice")
    answers = {}
    for repository in sorted({*stored, *asked}):
        current = stored.get(repository)
        claims: Collection[Source] = current["claims"] if current else ()
        counted = [it for it in unreadable if it in claims or current and names(unreadable[it], current)]
        unheard = None if complete else [source for source in claims if source not in listed]
        requested = asked.get(repository, ())
        decided = reconcile(current, requested, now, policy, unreadable=counted, unheard=unheard)
        answers[f"kopia-maintenance-{repository}"] = decided
    return answers


def hand_over(current: State, namespace: str, policy: Policy) -> State:
    """Return the desired state."""
    if current["owner"] == namespace:
        return current
    state: State = {**current, "owner": namespace}
    may = []
    for source, (wish, since, _) in state["claims"].items():
        theirs = source[0] == namespace and wish is not None
        if theirs and (agrees(state, wish) or permits(policy, state, source)):
            may.append((since, source[1], wish))
    return mark({**state, "schedule": max(may)[2]} if may else state, policy)


def withdraw(current: State, source: Source, policy: Policy) -> State:
    """Return the desired state."""
    if source not in current["claims"]:
        return current
    return mark({**current, "claims": {s: c for s, c in current["claims"].items() if s != source}}, policy)


def is_news(state: State, request: Request) -> bool:
    claim = state["claims"].get(request["source"])
    return claim is None or not same(claim[0], request["schedule"])


def agrees(state: State, wish: str | None) -> bool:
    return wish is None or same(wish, state["schedule"])


def permits(policy: Policy, state: State, challenger: Source) -> bool:
    claims = {source: (wish, since, False) for source, (wish, since, _) in state["claims"].items()}
    return policy[1]({**state, "claims": claims, "policy": None}, challenger)


def is_rejected(state: State, source: Source, policy: Policy) -> bool:
    if state["owner"] is None or agrees(state, state["claims"][source][0]):
        return False
    return not permits(policy, state, source)


def names(secrets: Collection[str], state: State) -> bool:
    return state["secret"] in secrets or bool(secrets) and state["secret"] is None


def conflicts(state: State | None) -> dict[Source, tuple[str, str, str]]:
    """Return what is recorded of the marked claims: schedule, since and policy."""
    if state is None:
        return {}
    return {s: (wish, since, state["policy"]) for s, (wish, since, rejected) in state["claims"].items() if rejected}
