"""What the tests of the command line need: to run it, and manifests to give it."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from kopia_maint import CronJobState, Schedule, manifest_from_state, reconcile
from kopia_maint.cli._main import cli

from ..helpers import NOW, REPOSITORY, ask, replication_source

ROOT = Path(__file__).parents[2]
EXAMPLE = str(ROOT / "docs" / "examples" / "shared-repository")
CLAIMS = "volsync.backube/schedule-claims"
PROGRAM = [sys.executable, "-m", "kopia_maint.cli"]


def wants(schedule: str, who: str = "team-a/source-a", repository: str = "shared-repo-secret") -> dict[str, Any]:
    """Return the manifest of a source that asks for *schedule*."""
    return replication_source(who, repository=repository, maintenanceCronJob={"schedule": schedule})


def disagreeing() -> tuple[dict[str, Any], ...]:
    """Return a CronJob of team-a's, and two sources that disagree."""
    return cron_job(), wants("0 2 * * *"), wants("0 4 * * *", "team-b/source-b")


def bare(owner: str | None = None, schedule: str = "0 2 * * *", repository_hash: str = REPOSITORY.hash) -> CronJobState:
    """Return a state without claims."""
    return CronJobState(repository_hash, Schedule.parse(schedule), owner, {})


def cron_job(state: CronJobState | None = None, **spec: Any) -> dict[str, Any]:
    """Return a CronJob; without a state, one on which team-a's claim for 02:00 is stored."""
    if state is None:
        state = reconcile(None, [ask("team-a/source-a", "0 2 * * *")], now=NOW).desired
    assert state is not None
    return manifest_from_state(state, {"spec": spec})


def edited(job: dict[str, Any] | None = None, **metadata: Any) -> dict[str, Any]:
    """Return a CronJob with other metadata."""
    job = job or cron_job()
    return {**job, "metadata": {**job["metadata"], **metadata}}


def invoke(*args: str, given: str | bytes | None = None) -> Result:
    """Run ``plan`` in this process."""
    return CliRunner().invoke(
        cli, ["plan", "--now", "2024-01-15T10:30:00Z", *args], input=given, catch_exceptions=False
    )


def documents(*objects: Mapping[str, Any] | str) -> str:
    """Return manifests, and texts as they are, as one stream."""
    return "\n---\n".join(it if isinstance(it, str) else json.dumps(it) for it in objects)


def planned(*objects: Mapping[str, Any] | str, status: int = 0, options: tuple[str, ...] = ()) -> dict[str, Any]:
    """Plan *objects* as JSON, and return it."""
    result = invoke("--output", "json", *options, given=documents(*objects))
    assert result.exit_code == status, result.output
    answer: dict[str, Any] = json.loads(result.stdout)
    return answer


def only(answer: dict[str, Any]) -> dict[str, Any]:
    """Return the one repository in a plan."""
    assert len(answer["repositories"]) == 1, answer
    repository: dict[str, Any] = answer["repositories"][0]
    return repository


def notes(*objects: Any, status: int = 0, options: tuple[str, ...] = ()) -> dict[str, str]:
    """Return the messages of a plan's notes by their codes."""
    return {it["code"]: it["message"] for it in planned(*objects, status=status, options=options)["notes"]}


def shown(*objects: Any, options: tuple[str, ...] = ()) -> str:
    """Return the lines for people."""
    return invoke(*options, given=documents(*objects)).stdout


def run(*args: str, code: str = "", **kwargs: Any) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own, or *code* that does."""
    kwargs = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **kwargs}
    program = [sys.executable, "-c", code] if code else PROGRAM
    result = subprocess.run([*program, *args], text=True, timeout=60, check=False, **kwargs)
    assert "Traceback" not in (result.stderr or "")
    return result
