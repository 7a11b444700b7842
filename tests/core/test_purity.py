"""Law 1 beyond the kit: no file, socket, process or import while deciding; no dependence on surroundings."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache

import pytest

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

cron_jobs = []
for step in range(300):
    source = {
        "apiVersion": "volsync.backube/v1alpha1",
        "kind": "ReplicationSource",
        "metadata": {"namespace": "team-" + "abc"[step % 3], "name": "a", "creationTimestamp": "2024-01-15T10:30:00Z"},
        "spec": {"kopia": {"repository": "repo", "maintenanceCronJob": {"schedule": f"{step % 7} 2 * * {step % 9}"}}},
    }
    policy = Bounded((FirstWins(), Consensus())[step % 5 == 0], shortest=timedelta(hours=1))
    plan = plan_manifests(
        cron_jobs=cron_jobs, replication_sources=[source], template=lambda *_: {}, operator_namespace="volsync-system",
        complete=False, now=now + timedelta(minutes=step), policy=policy,
    )
    print(plan)
    for decision in plan.decisions.values():
        print(hand_over(decision.desired, "team-b"), decision.desired.schedule.next_runs(now, 2, tz=zone))
        cron_jobs = [manifest_from_state(decision.desired, {})]
"""


@cache
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


def test_a_long_history_touches_nothing_outside() -> None:
    """An audit hook sees no file, no socket, no process and no import."""
    assert run(PYTHONHASHSEED="0").count("\n") == 600


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
def test_results_do_not_depend_on_the_surroundings(environment: dict[str, str]) -> None:
    """The same history prints the same, to the byte."""
    assert run(**environment) == run(PYTHONHASHSEED="0")
