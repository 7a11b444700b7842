"""
Which conformance vectors are made by a program, and out of what?

``python -m tests.conformance.generate`` writes them again, byte for byte: identities from the record of Go's own
``encoding/json``, schedules from the record of the real robfig/cron, histories from the reference model, which
shares no code with the library. ``--record`` asks Go for the identities first.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from itertools import combinations
from operator import ne, or_
from pathlib import Path
from random import Random
from typing import Any

import kopia_maint
from kopia_maint import Schedule
from kopia_maint._model import format_time
from kopia_maint._objects import merge_patch

from ..core.schedule_cases import FIVE_YEARS, cycle, day_matches, refusal
from ..helpers import NOW, replication_source
from .model import answer

VECTORS = Path(kopia_maint.__file__).parent / "conformance" / "vectors"
DATA = Path(__file__).parent.parent / "data"
IDENTITIES = DATA / "identities.jsonl"

Json = dict[str, Any]


def layout(content: Mapping[str, Any], indent: str = "") -> str:
    """Return a file of vectors as text: each member on a line, but for lists of vectors and of steps."""
    members = []
    for key, value in content.items():
        text = json.dumps(value)
        if key in ("vectors", "steps"):
            items = ",\n".join(layout(item, f"{indent}    ") for item in value)
            text = f"[\n{items}\n{indent}  ]"
        members.append(f"{indent}  {json.dumps(key)}: {text}")
    return f"{indent}{{\n" + ",\n".join(members) + f"\n{indent}}}"


def generated() -> Iterator[tuple[Path, str]]:
    """Yield each generated file, and what should be in it."""
    for area, vectors, about in (
        ("identity", _identities, "Which CronJob it is: hashes that Go's own encoding/json leads to."),
        ("schedules", _schedules, "What Kubernetes makes of a schedule: answers of the real robfig/cron v3.0.1."),
        (
            "histories",
            _histories,
            "Random histories of single repositories and of whole clusters, decided by a reference model.",
        ),
    ):
        content = {"area": area, "about": about, "origin": "generated", "vectors": list(vectors())}
        yield VECTORS / f"{area}.json", layout(content) + "\n"


def _recorded(record: Path) -> list[Json]:
    _provenance, *lines = record.read_text(encoding="ascii").splitlines()
    return [json.loads(line) for line in lines]


def _resolve(manifest: Json, expect: Json) -> Json:
    send = {"op": "resolve", "request": manifest, "now": format_time(NOW), "policy": "first-wins"}
    return {"send": send, "expect": expect}


def _wants(who: str, schedule: str) -> Json:
    return replication_source(who, maintenanceCronJob={"schedule": schedule})


# --- identities ------------------------------------------------------------------


def record_identities() -> str:
    """Ask Go for every identity on record, and return its answers as the record's text."""
    done = subprocess.run(
        ["go", "run", Path(__file__).with_name("identities.go")],
        input="".join(json.dumps(line["identity"]) for line in _recorded(IDENTITIES)),
        env={**os.environ, "GO111MODULE": "off"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    version = subprocess.run(["go", "version"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    provenance = {"recorded by": "python -m tests.conformance.generate --record", "with": [version]}
    return f"{json.dumps(provenance)}\n{done.stdout}"


def _identities() -> Iterator[Json]:
    for line in _recorded(IDENTITIES):
        ca, repository = line["identity"]["customCA"], line["identity"]["repository"]
        metadata = {
            "name": "kopia-maintenance-" + line["hash"],
            "labels": {"volsync.backube/repository-hash": line["hash"]},
            "annotations": {"volsync.backube/repository-config": repository},
        }
        manifest = replication_source(repository=repository, **({"customCA": ca} if ca else {}))
        yield {
            "name": " ".join([repository[:20], *(f"{key}={value}" for key, value in ca.items())]),
            "tests": "The hash is that of the JSON which Go writes for the secret's name and the CA.",
            "steps": [_resolve(manifest, {"verdict": "established", "cronJob": {"holds": {"metadata": metadata}}})],
        }


# --- schedules -------------------------------------------------------------------


def _meaning(read: Any) -> Any:
    """Return what decides when a schedule fires, or None if it never does, from what robfig/cron read."""
    if isinstance(read, int):
        return read if read <= FIVE_YEARS else None
    minutes, hours = read[0] % (1 << 60), read[1] % (1 << 24)  # without the bits that say that there was a star
    fires = tuple(day_matches(read, *day) for day in sorted(set(cycle())))
    return (minutes, hours, fires) if minutes and hours and any(fires) else None


def _schedules() -> Iterator[Json]:
    groups: dict[Any, list[str]] = {}
    refusals: dict[str, list[str]] = {}
    for line in _recorded(DATA / "schedules.jsonl"):
        code, meaning = refusal(line["text"]), line["read"] and _meaning(line["read"])
        assert code is not None or line["read"] is not None  # what robfig/cron refuses, we refuse
        if code is None and meaning is not None:
            groups.setdefault(meaning, []).append(line["text"])
        else:
            refusals.setdefault(code or "never-fires", []).append(line["text"])
    yield from _spellings(groups.values())
    yield from _neighbours(groups)
    for code, texts in sorted(refusals.items()):
        for text in texts[: 24 if code == "syntax" else 8]:
            yield {
                "name": f"refused, {code}: {json.dumps(text)[1:-1]:.50}",
                "tests": "What Kubernetes refuses, and what nobody may ask for, is refused, each for its own reason.",
                "steps": [_resolve(_wants("team-a/source-a", text), {"error": code})],
            }


def _asks(who: str, schedule: str, verdict: str, established: str, conflict: str | None = None) -> Json:
    """Return a step in which somebody asks for a schedule, and one is established for team-a."""
    cron_job = {"schedule": established, "owner": "team-a", "conflict": conflict}
    return _resolve(_wants(who, schedule), {"verdict": verdict, "cronJob": cron_job})


def _spellings(groups: Iterable[list[str]]) -> Iterator[Json]:
    """Yield, for schedules that were spelt in several ways, that they are equal."""
    several = sorted((texts for texts in groups if len(texts) > 1), key=len, reverse=True)
    for first, *others in several[:30]:
        steps = [_asks("team-a/source-a", first, "established", first)]
        for number, text in enumerate(others[:8]):
            steps.append(_asks(f"team-b/source-{number}", text, "agreed", first))
            steps.append(_resolve(_wants("team-a/source-a", text), {"verdict": "agreed", "unchanged": True}))
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
        conflict = (
            f"Last conflict: Schedule '{Schedule.parse(other).text}' requested from namespace 'team-b' at"
            f" {format_time(NOW)} (rejected - first-wins strategy)"
        )
        yield {
            "name": f"not the same: {first} and {other}",
            "tests": "Schedules differ when robfig/cron fires them at different instants, even on one day a year.",
            "steps": [
                _asks("team-a/source-a", first, "established", first),
                _asks("team-b/source-b", other, "rejected", first, conflict),
            ],
        }


# --- histories -------------------------------------------------------------------

_SOURCES = ("team-a/source-1", "team-a/source-2", "team-b/source-1", "team-c/source-1")
_TEXTS = ("0 2 * * *", "@daily", "0 0 * * *", "0 4 * * *", "*/5 * * * *")
_WISHES: tuple[Json, ...] = (
    {},
    {"maintenanceCronJob": {"enabled": False}},
    *({"maintenanceCronJob": {"schedule": text}} for text in _TEXTS),
)
_POLICIES: tuple[Any, ...] = (
    *("first-wins", "first-wins", "consensus"),
    {"name": "bounded", "policy": "first-wins", "shortest": "1h"},
    {"name": "bounded", "policy": "consensus", "shortest": "10m", "longest": "24h"},
)
_UID = {"metadata": {"uid": "8f2c", "resourceVersion": "4711"}}


def _histories() -> Iterator[Json]:
    for number in range(30):
        rng = Random(f"history {number + 1}")
        policy = _POLICIES[number % len(_POLICIES)]
        about, take = ("cluster", _plan) if number % 3 == 2 else ("repository", _one)
        current: Any = {} if take is _plan else None
        steps = []
        now = NOW
        for _ in range(rng.randint(5, 8)):
            now += timedelta(seconds=rng.choice((0, 1, 3600)))
            edit, send, expect, current = take(rng, current, {"now": format_time(now), "policy": policy})
            steps.append({**({"edit": edit} if edit else {}), "send": send, "expect": expect})
        yield {
            "name": f"history {number + 1}, of a {about}",
            "tests": "Whatever was asked in whatever order, the outcome is the reference model's.",
            "steps": steps,
        }


def _one(rng: Random, current: Json | None, common: Json) -> tuple[Json, Json, Json, Json | None]:
    """Return a step about one CronJob (what is edited, sent and expected), and the CronJob after it."""
    edit: Json = {}
    if current and rng.random() < 0.15:
        owner = {"metadata": {"annotations": {"volsync.backube/source-namespace": rng.choice(("team-a", "team-b"))}}}
        edit = rng.choice((owner, {"spec": {"schedule": rng.choice(_TEXTS)}}))
    asks: list[Json] = [
        *[{"op": "resolve", "request": _manifest(rng, rng.choice(_SOURCES))}] * 5,
        *[{"op": "reconcile", "requests": _listed(rng)}] * 3,
    ]
    if current:
        asks.append({"op": "handOver", "namespace": rng.choice(("team-a", "team-b", "team-c"))})
        asks.append({"op": "withdraw", "source": rng.choice(_SOURCES)})
    send = {**rng.choice(asks), **common}
    if send["op"] in ("handOver", "withdraw"):
        del send["now"]
    current = merge_patch(current, edit) if edit else current
    answered = answer({**send, "current": current})
    after = answered["cronJob"]
    told = {key: value for key, value in answered.items() if key != "cronJob"}
    expect = {**told, "unchanged": current == after, "cronJob": _observable(after)}
    return edit, send, expect, after


def _plan(rng: Random, current: Json, common: Json) -> tuple[Json, Json, Json, Json]:
    """Return a step about a whole cluster, and its CronJobs after it."""
    new = (name for name, cron_job in current.items() if "uid" not in cron_job["metadata"])
    edit = {name: _UID for name in new if rng.random() < 0.6}
    listed = [
        merge_patch(manifest, {"spec": {"kopia": {"repository": rng.choice(("shared-repo-secret", "repo1"))}}})
        for manifest in _listed(rng)
    ]
    send: Json = {"op": "plan", "replicationSources": listed, "operatorNamespace": "volsync-system"}
    send |= {"complete": rng.random() < 0.7, **common}
    current = merge_patch(current, edit)
    answered = answer({**send, "cronJobs": list(current.values())})
    changed = {**current, **answered["cronJobs"]}
    after = {name: cron_job for name, cron_job in changed.items() if cron_job is not None}
    observed = {name: _observable(cron_job) for name, cron_job in answered["cronJobs"].items()}
    expect = {**answered, "unchanged": current == after, "cronJobs": observed}
    return edit, send, expect, after


def _listed(rng: Random) -> list[Json]:
    return [
        _wants(who, "60 * * * *") if rng.random() < 0.15 else _manifest(rng, who)
        for who in rng.sample(_SOURCES, rng.randint(0, len(_SOURCES)))
    ]


def _manifest(rng: Random, who: str) -> Json:
    manifest = replication_source(who, **rng.choice(_WISHES))
    if rng.random() < 0.5:
        manifest["metadata"]["creationTimestamp"] = format_time(NOW - timedelta(days=rng.randrange(3)))
    return manifest


def _observable(cron_job: Json | None) -> Json | None:
    if cron_job is None:
        return None
    labels, annotations = cron_job["metadata"]["labels"], cron_job["metadata"]["annotations"]
    prefix = "source-namespace.volsync.backube/"
    return {
        "schedule": cron_job["spec"]["schedule"],
        "owner": labels.get("volsync.backube/source-namespace"),
        "conflict": annotations.get("volsync.backube/schedule-conflict"),
        "namespaces": sorted(label[len(prefix) :] for label in labels if label.startswith(prefix)),
    }


if __name__ == "__main__":
    if "--record" in sys.argv[1:]:
        IDENTITIES.write_text(record_identities(), encoding="ascii")
    for path, text in generated():
        path.write_text(text, encoding="ascii")
