"""
What does it cost? Every row against something that a reader knows.

    python -m tests.campaigns.benchmarks [WORD]...

Prints a Markdown table of all rows, or of those that a word is part of. Both sides of
a row run turn by turn, and the median of the ratios counts, so that a drifting
machine decides nothing. What is timed is CPU time, with the garbage collector on.
A limit that is missed is marked, and fails nothing.
"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from itertools import cycle
from pathlib import Path
from platform import python_version
from random import Random
from statistics import median
from time import process_time
from timeit import Timer
from typing import Any

import cedarpy  # pyright: ignore[reportMissingImports, reportMissingTypeStubs]
import yaml
from attrs import frozen
from croniter import croniter

import kopia_maint
from kopia_maint import (
    DEFAULT_SCHEDULE,
    CronJobState,
    Repository,
    SourceRequest,
    manifest_from_state,
    reconcile_all,
    request_from_manifest,
)

from ..helpers import LATER, NOW, ask, state_of

TEMPLATE = Path(__file__).parents[2] / "docs/examples/kopf-operator/cronjob.yaml"
NAMESPACE = "volsync-system"
ROUNDS = (5, 41)
"""How many pairs are measured, at least and at most."""
PATIENCE = 5.0
"""How many seconds the pairs of one row may take, unless there are too few of them."""
LOOP = 0.01
"""How many seconds are measured at once, at least: far above the clock's resolution."""

Side = Callable[[], float]
"""Runs one side of a row, and returns the seconds that it took."""


@frozen
class Row:
    """
    One benchmark.

    Attributes:
        what: What is measured.
        against: What it is compared with.
        limit: What the ratio may be at most; None: nobody has asked for one.
        sides: Prepares both sides.
    """

    what: str
    against: str
    limit: float | None
    sides: Callable[[], tuple[Side, Side]]

    def __str__(self) -> str:
        """Measure, and return the row of the table."""
        ours, theirs = self.sides()
        pairs: list[tuple[float, float]] = []
        begin = process_time()
        while len(pairs) < ROUNDS[0] or len(pairs) < ROUNDS[1] and process_time() - begin < PATIENCE:
            pairs.append((ours(), theirs()))
        ratio = median(mine / other for mine, other in pairs)
        missed = " (missed)" if self.limit is not None and ratio > self.limit else ""
        limit = "–" if self.limit is None else f"{self.limit:.3g}×"
        mine, other = (spelt(median(side)) for side in zip(*pairs))
        return f"| {self.what} | {self.against} | {limit} | {ratio:.3g}×{missed} | {mine} | {other} |"


def spelt(seconds: float) -> str:
    """Return a time as a reader would say it: 43.7 µs, 1.07 s."""
    unit, size = next((it for it in (("s", 1), ("ms", 1e-3)) if seconds >= it[1]), ("µs", 1e-6))
    return f"{float(f'{seconds / size:.3g}'):g} {unit}"


def timed(expression: str, **names: Any) -> Side:
    """Return the side that evaluates an expression over these names and the library's, in this process."""
    timer = Timer(
        expression, "gc.enable()", process_time, globals={**vars(kopia_maint), "gc": gc, "now": LATER, **names}
    )
    loops = 1
    while timer.timeit(loops) < LOOP:
        loops *= 2
    return lambda: timer.timeit(loops) / loops


def imports(module: str) -> Side:
    """Return the side that imports a module in an interpreter that has just started."""
    code = f"from time import process_time as now; begin = now(); import {module}; print(now() - begin)"
    return lambda: float(subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True).stdout)


# --- what is decided ---------------------------------------------------------------------------


def sources(count: int, per_repository: int) -> Iterator[dict[str, Any]]:
    """Yield a cluster's ReplicationSources: of ten, six agree, two have no preference, two ask for something else."""
    wishes = ("0 2 * * *",) * 6 + (None, None, "0 4 * * *", "30 5 * * *")
    for at in range(count):
        wish = wishes[at % 10]
        yield {
            "apiVersion": "volsync.backube/v1alpha1",
            "kind": "ReplicationSource",
            "metadata": {
                "name": f"app-{at:06}-data",
                "namespace": f"tenant-{at // 20:05}",
                "labels": {"app.kubernetes.io/name": f"app-{at:06}", "kustomize.toolkit.fluxcd.io/name": "apps"},
                "creationTimestamp": f"2024-01-{1 + at % 14:02}T{at * 7919 % 24:02}:12:44Z",
            },
            "spec": {
                "sourcePVC": f"app-{at:06}-data",
                "trigger": {"schedule": f"{at % 60} */6 * * *"},
                "kopia": {
                    "repository": f"repo-{at // per_repository:05}",
                    "copyMethod": "Snapshot",
                    "compression": "zstd-fastest",
                    "retain": {"hourly": 24, "daily": 7, "weekly": 4, "monthly": 6},
                    **({"maintenanceCronJob": {"enabled": True, "schedule": wish}} if wish else {}),
                },
            },
        }


def requests(count: int) -> list[SourceRequest]:
    """Return what so many sources of one repository ask for."""
    return [request for source in sources(count, count) if (request := request_from_manifest(source)) is not None]


def cron_job(state: CronJobState) -> dict[str, Any]:
    """Return the CronJob of a state as the API server shows it."""
    manifest = manifest_from_state(state, yaml.safe_load(TEMPLATE.read_text("utf-8")), operator_namespace=NAMESPACE)
    manifest["metadata"] |= {
        "uid": "5f0c3a52-7f0e-4a83-9a7a-0a6f1d9b8c11",
        "resourceVersion": "182736455",
        "generation": 3,
        "creationTimestamp": "2024-01-02T09:12:44Z",
    }
    status = {"lastScheduleTime": "2024-01-15T02:00:00Z", "lastSuccessfulTime": "2024-01-15T02:01:13Z"}
    return {**manifest, "status": status}


def unseen(count: int) -> list[str]:
    """Return schedules that differ in every part: with more of them than a cache holds, each is always a new one."""
    rng = Random(20240115)

    def some(low: int, high: int, most: int) -> str:
        return ",".join(map(str, sorted(rng.sample(range(low, high + 1), rng.randint(1, most)))))

    found: set[str] = set()
    while len(found) < count:
        hour, month = rng.choice((some(0, 23, 3), "*/6")), rng.choice(("*", some(1, 12, 6)))
        weekday = rng.choice(("*", some(0, 6, 3), "MON-FRI"))
        found.add(f"{some(0, 59, 3)} {hour} {some(1, 28, 6)} {month} {weekday}")
    return sorted(found)


# --- rows --------------------------------------------------------------------------------------

A, B, C = ask("team-a/source-a", "0 2 * * *"), ask("team-b/source-b", "0 4 * * *"), ask("team-c/source-c", "0 2 * * *")
AGREED, CONFLICT = state_of(A, C), state_of(A, B, C)
RESOLVE = "resolve(state, request, now=now)"


def resolved(state: CronJobState, request: SourceRequest) -> Callable[[], tuple[Side, Side]]:
    """Return the sides of a request against one that agrees where no conflict stands."""
    return lambda: (timed(RESOLVE, state=state, request=request), timed(RESOLVE, state=AGREED, request=A))


def manifests() -> tuple[Side, Side]:
    """A CronJob is read, one request decided, and there is nothing to write."""
    loop = "patch_from_state(resolve(state_from_manifest(cron_job), request, now=now).desired, cron_job)"
    manifest = cron_job(AGREED)
    return timed(loop, cron_job=manifest, request=A), timed("loads(text)", loads=json.loads, text=json.dumps(manifest))


def parsed() -> tuple[Side, Side]:
    """Both walk through the same texts."""
    ours, theirs = cycle(unseen(10_000)), cycle(unseen(10_000))
    return timed("Schedule.parse(next(texts))", texts=ours), timed(
        "read(next(texts))", read=croniter.expand, texts=theirs
    )


def reconciled() -> tuple[Side, Side]:
    """Passes over one repository, in which nothing changes."""

    def side(count: int) -> Side:
        asked = requests(count)
        return timed("reconcile(state, asked, now=now)", state=state_of(*asked), asked=asked)

    return side(100_000), side(10_000)


def typed_wrongly() -> tuple[Side, Side]:
    """Every source is unreadable, and names the Secret of a CronJob that knows no claims."""

    def side(count: int) -> Side:
        asked = [ask(f"team-{at}/source", repository=Repository(f"repo-{at}")) for at in range(count)]
        states = [
            CronJobState(it.repository.hash, DEFAULT_SCHEDULE, "team-a", {}, secret_name=it.repository.secret_name)
            for it in asked
        ]
        unreadable = {it.source: it.repository.secret_name for it in asked}
        names = {"states": states, "unreadable": unreadable}
        return timed("reconcile_all(states, [], now=now, unreadable=unreadable, complete=True)", **names)

    return side(16_000), side(4_000)


def planned() -> tuple[Side, Side]:
    """A cluster of 200 repositories in which nothing changes."""
    listed = list(sources(10_000, 50))
    asked = [request for source in listed if (request := request_from_manifest(source)) is not None]
    decided = reconcile_all([], asked, now=NOW, complete=True).values()
    cron_jobs = [cron_job(decision.desired) for decision in decided if decision.desired is not None]
    plan = f"""plan_manifests(
        cron_jobs=cron_jobs, replication_sources=listed, template=lambda *_: {{}}, operator_namespace="{NAMESPACE}",
        complete=True, now=now,
    )"""
    text = json.dumps([*cron_jobs, *listed])
    return timed(plan, cron_jobs=cron_jobs, listed=listed), timed("loads(text)", loads=json.loads, text=text)


CEDAR = """
permit (principal, action == Action::"ask", resource) when { context.schedule == resource.schedule };
permit (principal, action == Action::"ask", resource) when {
  context.namespace == resource.owner &&
  !resource.claims.contains({"source": context.source, "schedule": context.schedule})
};
"""
ASKED = {"source": "team-a/source-a", "namespace": "team-a", "schedule": "0 2 * * *"}
STATE = {"schedule": "0 2 * * *", "owner": "team-a"}


def cedar() -> tuple[Side, Side]:
    """Policies and state are given with each call, as they are to `resolve`."""
    claims = [{"source": f"team-{it}/source-{it}", "schedule": "0 2 * * *"} for it in "ac"]
    cron_job = {"uid": {"type": "CronJob", "id": "maintenance"}, "attrs": {**STATE, "claims": claims}, "parents": []}
    asks = {
        "principal": 'Source::"a"',
        "action": 'Action::"ask"',
        "resource": 'CronJob::"maintenance"',
        "context": ASKED,
    }
    names = {"ask": cedarpy.is_authorized, "asks": asks, "policies": CEDAR, "entities": [cron_job]}
    return timed(RESOLVE, state=AGREED, request=A), timed("ask(asks, policies, entities).allowed", **names)


ALONE = "where no conflict stands"
SIZE = f"{len(json.dumps(cron_job(AGREED))) / 1000:.1f} KB"
ROWS = (
    Row("`resolve`, asked again, beside one conflict", ALONE, 2, resolved(CONFLICT, A)),
    Row("`resolve`, rejected again", f"asked again, {ALONE}", 3, resolved(CONFLICT, B)),
    Row("`resolve`, asked again", "Cedar, policies and state given with each call", None, cedar),
    Row("CronJob read, one request decided, no patch", f"`json.loads` of that CronJob ({SIZE})", 4, manifests),
    Row("`Schedule.parse`, a text not seen before", "`croniter.expand`", 1 / 6, parsed),
    Row("`reconcile` of 100,000 sources", "of 10,000", 15, reconciled),
    Row("`reconcile_all` of 16,000 unreadable sources", "of 4,000", 5, typed_wrongly),
    Row("`plan_manifests` of 10,000 sources, 200 CronJobs", "`json.loads` of them", 3, planned),
    Row("`import kopia_maint`", "`import attrs`, a part of it", 1.5,
        lambda: (imports("kopia_maint"), imports("attrs"))),
)  # fmt: skip


def main() -> None:
    """Print the table."""
    peers = ", ".join(f"{name} {version(name)}" for name in ("attrs", "croniter", "cedarpy"))
    print(f"Measured on {os.cpu_count()} CPUs with Python {python_version()}, {peers}.\n")
    print("| what | against | limit | measured | ours | theirs |\n| --- | --- | --- | --- | --- | --- |")
    for row in ROWS:
        if not sys.argv[1:] or any(word in row.what for word in sys.argv[1:]):
            print(row, flush=True)


if __name__ == "__main__":
    main()
