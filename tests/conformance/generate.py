"""
Which conformance vectors are made by a program, and out of what?

``python -m tests.vectors`` writes them again, byte for byte: identities from the record of Go's own
``encoding/json``, schedules from the record of the real robfig/cron, histories from the reference model, which
shares no code with the resolver. ``--record`` asks Go for the identities first.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, timedelta
from functools import cache
from itertools import combinations
from operator import ne, or_
from pathlib import Path
from random import Random
from typing import Any

import kopia_maint
from kopia_maint import Consensus, CronJobState, FirstWins, InvalidSchedule, Policy, Schedule, request_from_manifest
from kopia_maint._model import format_time

from ..helpers import NOW, replication_source, source
from ..reference import Reference

VECTORS = Path(kopia_maint.__file__).parent / "conformance" / "vectors"
DATA = Path(__file__).parent.parent / "data"
IDENTITIES = DATA / "identities.jsonl"

Json = dict[str, Any]

_STAR = 1 << 63
_FIVE_YEARS = 5 * 365 * 24 * 3600


def layout(content: Mapping[str, Any]) -> str:
    """Return a file of vectors as text: what is sent on one line, what is expected on another."""
    vectors = []
    for vector in content["vectors"]:
        *members, steps = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in vector.items()]
        steps = ",\n".join(
            "        {\n"
            + ",\n".join(f"          {json.dumps(k)}: {json.dumps(v)}" for k, v in step.items())
            + "\n        }"
            for step in vector["steps"]
        )
        head = "".join(f"      {member},\n" for member in members)
        vectors.append(f'    {{\n{head}      "steps": [\n{steps}\n      ]\n    }}')
    head = "".join(f"  {json.dumps(key)}: {json.dumps(value)},\n" for key, value in content.items() if key != "vectors")
    return f'{{\n{head}  "vectors": [\n' + ",\n".join(vectors) + "\n  ]\n}\n"


def generated() -> Iterator[tuple[Path, str]]:
    """Yield each generated file, and what should be in it."""
    for area, about, vectors in (
        ("identity", "Which CronJob it is: hashes that Go's own encoding/json leads to.", _identities()),
        ("schedules", "What Kubernetes makes of a schedule: answers of the real robfig/cron v3.0.1.", _schedules()),
        ("histories", "Random histories of four sources, decided by a reference model.", _histories()),
    ):
        content = {"area": area, "about": about, "origin": "generated", "vectors": list(vectors)}
        yield VECTORS / f"{area}.json", layout(content)


def _resolve(manifest: Json, now: datetime, expect: Json, policy: str = "first-wins") -> Json:
    return {"send": {"op": "resolve", "request": manifest, "now": format_time(now), "policy": policy}, "expect": expect}


def _wants(who: str, schedule: str) -> Json:
    return replication_source(who, maintenanceCronJob={"schedule": schedule})


# --- identities ------------------------------------------------------------------

_LONG = ".".join(["a" * 50] * 4) + "." + "b" * 49
_CUSTOM_CAS: tuple[Json, ...] = (
    {},
    {"secretName": "ca-secret", "key": "ca.crt"},
    {"secretName": "ca-secret"},
    {"configMapName": "ca-bundle", "key": "ca-bundle.crt"},
    {"key": "ca.crt"},
    {"secretName": "ca-secret", "configMapName": "ca-bundle", "key": "CA_1.crt"},
)


def record_identities() -> str:
    """Ask Go for every identity, and return its answers as the record's text."""
    asked: list[Json] = [{"repository": "shared-repo-secret", "customCA": ca} for ca in _CUSTOM_CAS]
    asked += [{"repository": name, "customCA": {}} for name in ("repo1", "0", "a.b.c", "kopia-repo", _LONG)]
    asked += [{"repository": "repo1", "customCA": ca} for ca in _CUSTOM_CAS[1:4]]
    program = Path(__file__).with_name("main.go")
    done = subprocess.run(
        ["go", "run", program],
        input="".join(map(json.dumps, asked)),
        env={**os.environ, "GO111MODULE": "off"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    version = subprocess.run(["go", "version"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    return json.dumps({"recorded by": "python -m tests.vectors --record", "with": [version]}) + "\n" + done.stdout


def go_is_missing() -> bool:
    """Return whether the record cannot be made on this machine."""
    return shutil.which("go") is None


def _identities() -> Iterator[Json]:
    _provenance, *lines = IDENTITIES.read_text(encoding="ascii").splitlines()
    for line in map(json.loads, lines):
        ca, repository = line["identity"]["customCA"], line["identity"]["repository"]
        told = " ".join([repository[:20], *(f"{key}={value}" for key, value in ca.items())])
        given: Json = {"customCA": ca} if ca else {}
        manifest = replication_source(repository=repository, **given)
        name = "kopia-maintenance-" + line["hash"]
        held = {
            "metadata": {
                "name": name,
                "labels": {"volsync.backube/repository-hash": line["hash"]},
                "annotations": {"volsync.backube/repository-config": repository},
            }
        }
        yield {
            "name": told,
            "tests": "The hash is that of the JSON which Go writes for the secret's name and the CA.",
            "steps": [_resolve(manifest, NOW, {"verdict": "established", "cronJob": {"holds": held}})],
        }


# --- schedules -------------------------------------------------------------------


@cache
def _recorded() -> list[tuple[str, Any]]:
    _provenance, *lines = (DATA / "schedules.jsonl").read_text(encoding="ascii").splitlines()
    return [(line["text"], line["read"]) for line in map(json.loads, lines)]


@cache
def _calendar() -> list[tuple[int, int, int]]:
    """Return every month, day and weekday (Sunday is 0) that can come together: 28 years have them all."""
    first = date(2000, 1, 1)
    days = (first + timedelta(days=n) for n in range(28 * 366))
    return sorted({(day.month, day.day, day.isoweekday() % 7) for day in days})


def _meaning(read: Any) -> Any:
    """Return what decides when a schedule fires, or None if it never does, from what robfig/cron read."""
    if isinstance(read, int):
        return read if read <= _FIVE_YEARS else None
    minutes, hours, days, months, weekdays = read
    either = not (days | weekdays) & _STAR
    fires = tuple(
        months >> m & 1 and (days >> d & 1 or weekdays >> w & 1 if either else days >> d & 1 and weekdays >> w & 1)
        for m, d, w in _calendar()
    )
    minutes, hours = minutes % (1 << 60), hours % (1 << 24)
    return (minutes, hours, fires) if minutes and hours and any(fires) else None


def _refused(text: str) -> str | None:
    try:
        Schedule.parse(text)
    except InvalidSchedule as error:
        return error.code
    return None


def _schedules() -> Iterator[Json]:
    groups: dict[Any, list[str]] = {}
    refusals: dict[str, list[str]] = {}
    for text, read in _recorded():
        code = _refused(text)
        if code is None and read is None:
            raise AssertionError(f"robfig/cron refuses {text!r}")
        if code is None and _meaning(read) is None:
            code = "never-fires"
        if code is not None:
            refusals.setdefault(code, []).append(text)
        else:
            groups.setdefault(_meaning(read), []).append(text)
    yield from _spellings(groups.values())
    yield from _neighbours(groups)
    for code, texts in sorted(refusals.items()):
        for text in texts[: 24 if code == "syntax" else 8]:
            yield {
                "name": f"refused, {code}: {json.dumps(text)[1:-1]:.50}",
                "tests": "What Kubernetes refuses, and what nobody may ask for, is refused, each for its own reason.",
                "steps": [_resolve(_wants("team-a/source-a", text), NOW, {"error": code})],
            }


def _spellings(groups: Iterable[list[str]]) -> Iterator[Json]:
    """Yield, for schedules that were spelt in several ways, that they are equal."""
    several = sorted((texts for texts in groups if len(texts) > 1), key=len, reverse=True)
    for first, *others in several[:30]:
        expect = {"cronJob": {"schedule": first, "owner": "team-a", "conflict": None}}
        steps = [_resolve(_wants("team-a/source-a", first), NOW, {"verdict": "established", **expect})]
        for number, text in enumerate(others[:8]):
            steps.append(_resolve(_wants(f"team-b/source-{number}", text), NOW, {"verdict": "agreed", **expect}))
            steps.append(_resolve(_wants("team-a/source-a", text), NOW, {"verdict": "agreed", "unchanged": True}))
        yield {
            "name": f"spelt otherwise: {first}",
            "tests": "Schedules are equal when robfig/cron fires them at the same instants, however they are spelt.",
            "steps": steps,
        }


def _neighbours(groups: Mapping[Any, list[str]]) -> Iterator[Json]:
    """Yield, for schedules that fire on almost the same days, that they are not equal."""
    cron = [(meaning, texts[0]) for meaning, texts in groups.items() if isinstance(meaning, tuple)]
    pairs = sorted(
        (sum(map(ne, one[2], two[2])) / sum(map(or_, one[2], two[2])), first, other)
        for (one, first), (two, other) in combinations(cron, 2)
        if one[:2] == two[:2]
    )
    alike: dict[str, str] = {}
    for _, first, other in pairs:
        if {first, other}.isdisjoint([*alike, *alike.values()]):
            alike[first] = other
    for first, other in list(alike.items())[:25]:
        schedule = Schedule.parse(other).text
        message = (
            f"Last conflict: Schedule '{schedule}' requested from namespace 'team-b' at {format_time(NOW)}"
            " (rejected - first-wins strategy)"
        )
        stands = {"schedule": first, "owner": "team-a"}
        yield {
            "name": f"not the same: {first} and {other}",
            "tests": "Schedules differ when robfig/cron fires them at different instants, were it one day a year.",
            "steps": [
                _resolve(
                    _wants("team-a/source-a", first),
                    NOW,
                    {"verdict": "established", "cronJob": {**stands, "conflict": None}},
                ),
                _resolve(
                    _wants("team-b/source-b", other),
                    NOW,
                    {"verdict": "rejected", "cronJob": {**stands, "conflict": message}},
                ),
            ],
        }


# --- histories -------------------------------------------------------------------

_SOURCES = ("team-a/source-1", "team-a/source-2", "team-b/source-1", "team-c/source-1")
_WISHES: tuple[Json, ...] = (
    {},
    {"maintenanceCronJob": {"enabled": False}},
    *({"maintenanceCronJob": {"schedule": text}} for text in ("0 2 * * *", "@daily", "0 0 * * *", "0 4 * * *")),
)


def _histories() -> Iterator[Json]:
    for number in range(30):
        rng = Random(f"history {number}")
        policy: Policy = Consensus() if number % 4 == 3 else FirstWins()
        state: CronJobState | None = None
        now, steps = NOW, []
        for _ in range(rng.randint(6, 10)):
            now += timedelta(seconds=rng.choice((0, 1, 3600)))
            take = _whole_list if rng.random() < 0.3 else _one_request
            step, state = take(rng, state, now, policy)
            steps.append(step)
        yield {
            "name": f"history {number + 1}, {policy.name}",
            "tests": "Whatever was asked in whatever order, the outcome is the reference model's.",
            "steps": steps,
        }


def _manifest(rng: Random, who: str) -> Json:
    manifest = replication_source(who, **rng.choice(_WISHES))
    if rng.random() < 0.5:
        manifest["metadata"]["creationTimestamp"] = format_time(NOW - timedelta(days=rng.randrange(3)))
    return manifest


def _one_request(
    rng: Random, state: CronJobState | None, now: datetime, policy: Policy
) -> tuple[Json, CronJobState | None]:
    manifest = _manifest(rng, rng.choice(_SOURCES))
    request = request_from_manifest(manifest)
    assert request is not None
    answer = Reference().resolve(state, request, now=now, policy=policy)
    expect = {"verdict": answer.verdict.value, **_observable(answer.current, answer.desired)}
    return _resolve(manifest, now, expect, policy.name), answer.desired


def _whole_list(
    rng: Random, state: CronJobState | None, now: datetime, policy: Policy
) -> tuple[Json, CronJobState | None]:
    manifests, requests, unreadable = [], [], set()
    for who in rng.sample(_SOURCES, rng.randint(0, len(_SOURCES))):
        manifest = _wants(who, "60 * * * *") if rng.random() < 0.15 else _manifest(rng, who)
        manifests.append(manifest)
        try:
            request = request_from_manifest(manifest)
        except InvalidSchedule:
            unreadable.add(source(who))
        else:
            assert request is not None
            requests.append(request)
    answer = Reference().reconcile(state, requests, now=now, policy=policy, unreadable=frozenset(unreadable))
    verdicts = {str(who): verdict.value for who, verdict in sorted(answer.verdicts.items())}
    verdicts.update((str(who), "unreadable") for who in sorted(unreadable))
    send = {"op": "reconcile", "requests": manifests, "now": format_time(now), "policy": policy.name}
    return {
        "send": send,
        "expect": {"verdicts": verdicts, **_observable(answer.current, answer.desired)},
    }, answer.desired


def _observable(before: CronJobState | None, after: CronJobState | None) -> Json:
    cron_job = None
    if after is not None:
        conflict = after.latest_conflict
        cron_job = {
            "schedule": after.schedule.text,
            "owner": after.owner,
            "conflict": None if conflict is None else conflict.message,
            "namespaces": sorted(after.namespaces),
        }
    return {"unchanged": before == after, "cronJob": cron_job}
