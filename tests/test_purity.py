"""Law 1: no file, socket, process or import while deciding; no dependence on hash seed, time zone or locale."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

HISTORY = """
import sys
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo
from kopia_maint import *

now = datetime(2024, 1, 15, 10, 30, tzinfo=timezone.utc)
zone = ZoneInfo("America/New_York")
Schedule.parse("0 2 * * *").next_runs(now, 1)  # croniter and the zone are loaded when first used

def forbidden(event, arguments):
    if event.partition(".")[0] in {"open", "os", "socket", "subprocess", "import", "ctypes", "urllib", "tempfile"}:
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
    answer = plan([resolution.desired], [request], now=now + timedelta(hours=step), policy=policy)
    patch_from_state(resolution.desired, manifest_from_state(resolution.desired, {}))
    manifest = manifest_from_state(hand_over(resolution.desired, namespace), manifest or {})
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
    assert usual.count("\n") == 602


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
