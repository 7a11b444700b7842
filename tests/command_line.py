"""What the tests of the command line need: to run it, and manifests to give it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from kopia_maint import CronJobState, manifest_from_state, reconcile
from kopia_maint.cli._main import cli

from .helpers import NOW, ask, replication_source

EXAMPLE = str(Path(__file__).parent.parent / "docs" / "examples" / "shared-repository")
AT_NOW = ("--now", "2024-01-15T10:30:00Z")


def wants(schedule: str, who: str = "team-a/source-a", repository: str = "shared-repo-secret") -> dict[str, Any]:
    """Return the manifest of a source that asks for *schedule*."""
    return replication_source(who, repository=repository, maintenanceCronJob={"schedule": schedule})


def cron_job(state: CronJobState | None = None, **spec: Any) -> dict[str, Any]:
    """Return a CronJob; without a state, one on which team-a's claim for 02:00 is stored."""
    if state is None:
        state = reconcile(None, [ask("team-a/source-a", "0 2 * * *")], now=NOW).desired
    assert state is not None
    return manifest_from_state(state, {"spec": spec})


def invoke(*args: str, given: str | bytes | None = None) -> Result:
    """Run ``plan`` in this process."""
    return CliRunner().invoke(cli, ["plan", *AT_NOW, *args], input=given, catch_exceptions=False)


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


def run(*args: str, **kwargs: Any) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own."""
    command = [sys.executable, "-c", "from kopia_maint.cli import main; main()", *args]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **kwargs)
