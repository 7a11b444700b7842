"""Law 1: no file, socket, process or import while deciding; nothing given is changed; no dependence on surroundings."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from types import MappingProxyType
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given, settings

from kopia_maint import (
    Consensus,
    CronJobState,
    FirstWins,
    SourceRequest,
    hand_over,
    manifest_from_state,
    patch_from_state,
    reconcile,
    reconcile_all,
    request_from_manifest,
    resolve,
    state_from_manifest,
)
from kopia_maint.testing import strategies

from ..helpers import REPOSITORY, replication_source

HISTORY = """
import locale
import sys
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo
from kopia_maint import *

with suppress(locale.Error):  # not every machine has every locale
    locale.setlocale(locale.LC_ALL, "")

now = datetime(2024, 1, 15, 10, 30, tzinfo=timezone.utc)
zone = ZoneInfo("America/New_York")
Schedule.parse("0 2 * * *").next_runs(now, 1)  # croniter and the zone are loaded when first used

OUTSIDE = set(
    "open os io socket subprocess import ctypes urllib http tempfile shutil glob sqlite3 mmap fcntl pty signal syslog"
    " time exec compile marshal webbrowser".split()
)

def forbidden(event, arguments):
    if event.partition(".")[0] in OUTSIDE:
        raise SystemExit(f"not pure: {event} {arguments}")

sys.addaudithook(forbidden)

manifest = None
for step in range(300):
    namespace, name = "team-" + "abc"[step % 3], "source-" + "xy"[step % 2]
    source = {
        "apiVersion": "volsync.backube/v1alpha1",
        "kind": "ReplicationSource",
        "metadata": {"namespace": namespace, "name": name, "creationTimestamp": "2024-01-15T10:30:00Z"},
        "spec": {"kopia": {"repository": "repo", "maintenanceCronJob": {"schedule": f"{step % 7} 2 * * 1-5"}}},
    }
    request = request_from_manifest(source)
    current = None if manifest is None else state_from_manifest(manifest)
    policy = (FirstWins(), Consensus())[step % 5 == 0]
    resolution = resolve(current, request, now=now + timedelta(minutes=step), policy=policy)
    later = now + timedelta(hours=step)
    answer = reconcile_all([resolution.desired], [request], now=later, policy=policy, complete=True)
    patch_from_state(resolution.desired, manifest_from_state(resolution.desired, {}))
    manifest = manifest_from_state(hand_over(resolution.desired, namespace).desired, manifest or {})
    plan = plan_manifests(
        cron_jobs=[manifest], replication_sources=[source], template=lambda *_: {}, operator_namespace="volsync-system",
        complete=False, now=now, policy=Bounded(policy, shortest=timedelta(hours=1)),
    )
    print(plan)
    print(resolution.explanation, [str(source) for each in answer.values() for source in each.verdicts])
    print(resolution.desired.schedule.next_runs(now, 2, tz=zone))
try:
    Schedule.parse("0 2 * * 7")
except InvalidSchedule as error:
    print(error)
print(manifest)
"""


def run(**environment: str) -> str:
    """Return what the history prints in an interpreter of its own."""
    done = subprocess.run(
        [sys.executable, "-c", HISTORY],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def usual() -> str:
    """Return what the history prints as things are."""
    return run(PYTHONHASHSEED="0")


def test_a_long_history_touches_nothing_outside(usual: str) -> None:
    """An audit hook sees no file, no socket, no process and no import."""
    assert usual.count("\n") == 902


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONHASHSEED": "1"},
        {"PYTHONHASHSEED": "4711"},
        {"TZ": "Pacific/Apia"},
        {"LC_ALL": "tr_TR.UTF-8", "LANG": "tr_TR.UTF-8"},
        {"PYTHONUTF8": "0", "LC_ALL": "C"},
    ],
    ids=str,
)
def test_results_do_not_depend_on_the_surroundings(usual: str, environment: dict[str, str]) -> None:
    """The same history prints the same, to the byte."""
    assert run(**environment) == usual


def frozen(value: Any) -> Any:
    """Return a manifest that cannot be changed, at any depth."""
    if isinstance(value, dict):
        return MappingProxyType({key: frozen(member) for key, member in value.items()})
    return tuple(map(frozen, value)) if isinstance(value, list) else value


@settings(deadline=None, max_examples=50)
@given(state=strategies.states(), other=strategies.states())
def test_manifests_may_be_frozen_to_the_bottom(state: CronJobState, other: CronJobState) -> None:
    """They are read, and started from, without a write, and what comes out is the same as for plain ones."""
    source = replication_source(maintenanceCronJob={"schedule": "0 4 * * *"}, customCA={"key": "ca.crt"})
    assert request_from_manifest(frozen(source)) == request_from_manifest(source)
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"jobTemplate": {"spec": {"containers": [{"name": "x"}]}}}}
    manifest = manifest_from_state(state, frozen(template))
    assert manifest == manifest_from_state(state, template)
    assert state_from_manifest(frozen(manifest)) == state
    changed = evolve(other, repository_hash=state.repository_hash)
    assert patch_from_state(changed, frozen(manifest)) == patch_from_state(changed, manifest)


@pytest.mark.parametrize("policy", [FirstWins(), Consensus()], ids=lambda policy: policy.name)
@settings(deadline=None, max_examples=50)
@given(state=strategies.states(), request_=strategies.requests(), since=strategies.times())
def test_no_decision_changes_what_it_was_given(
    policy: FirstWins | Consensus, state: CronJobState, request_: SourceRequest, since: Any
) -> None:
    """To the byte: the state, its claims, the requests, and the list that they came in."""
    state = evolve(state, repository_hash=REPOSITORY.hash)
    listed = [evolve(request_, repository=REPOSITORY)]
    before = pickle.dumps((state, listed))
    resolve(state, listed[0], now=since, policy=policy)
    reconcile(state, listed, now=since, policy=policy)
    reconcile_all([state], listed, now=since, policy=policy, complete=True)
    hand_over(state, request_.source.namespace, policy=policy)
    assert pickle.dumps((state, listed)) == before
