"""What the tests of the command line need: to run it, and manifests to give it."""

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from kopia_maint import CronJobState, Schedule, manifest_from_state
from kopia_maint.cli._main import cli

from ..helpers import REPOSITORY, ask, replication_source, state_of

ROOT = Path(__file__).parents[2]
EXAMPLE = str(ROOT / "docs" / "examples" / "shared-repository")
CLAIMS = "volsync.backube/schedule-claims"

Given = Mapping[str, Any] | str
"""A manifest, or a text as it is."""


def wants(schedule: str, who: str = "team-a/source-a", repository: str = "shared-repo-secret") -> dict[str, Any]:
    """Return the manifest of a source that asks for *schedule*."""
    return replication_source(who, repository=repository, maintenanceCronJob={"schedule": schedule})


def fields(who: str = "team-a/source-a", **maintenance: Any) -> dict[str, Any]:
    """Return the manifest of a source with these fields under maintenanceCronJob."""
    return replication_source(who, maintenanceCronJob=maintenance)


def disagreeing() -> tuple[dict[str, Any], ...]:
    """Return a CronJob of team-a's, and two sources that disagree."""
    return cron_job(), wants("0 2 * * *"), wants("0 4 * * *", "team-b/source-b")


def bare(owner: str | None = None, schedule: str = "0 2 * * *", repository_hash: str = REPOSITORY.hash) -> CronJobState:
    """Return a state without claims."""
    return CronJobState(repository_hash, Schedule.parse(schedule), owner, {})


def cron_job(state: CronJobState | None = None, **spec: Any) -> dict[str, Any]:
    """Return a CronJob; without a state, one on which team-a's claim for 02:00 is stored."""
    return manifest_from_state(state or state_of(ask("team-a/source-a", "0 2 * * *")), {"spec": spec})


def edited(job: dict[str, Any] | None = None, **metadata: Any) -> dict[str, Any]:
    """Return a CronJob with other metadata."""
    job = job or cron_job()
    return {**job, "metadata": {**job["metadata"], **metadata}}


def stream(objects: Iterable[Given]) -> str:
    """Return manifests, and texts as they are, as one text."""
    return "\n---\n".join(it if isinstance(it, str) else json.dumps(it) for it in objects)


def plan(*arguments: str, given: Iterable[Given] = (), color: bool = False) -> Result:
    """Run ``plan`` in this process, with objects on its standard input; with *color*, it seems to be on a terminal."""
    command = ["plan", "--now", "2024-01-15T10:30:00Z", *arguments]
    return CliRunner().invoke(cli, command, input=stream(given), catch_exceptions=False, color=color)


def planned(*objects: Given, status: int | None = 0, options: tuple[str, ...] = ()) -> dict[str, Any]:
    """Plan *objects* as JSON, and return it."""
    result = plan("--output", "json", *options, given=objects)
    assert status in (None, result.exit_code), result.output
    answer: dict[str, Any] = json.loads(result.stdout)
    return answer


def only(answer: dict[str, Any]) -> dict[str, Any]:
    """Return the one repository in a plan."""
    assert len(answer["repositories"]) == 1, answer
    repository: dict[str, Any] = answer["repositories"][0]
    return repository


def notes(*objects: Given, options: tuple[str, ...] = ()) -> dict[str, str]:
    """Return the messages of a plan's notes by their codes."""
    return {it["code"]: it["message"] for it in planned(*objects, status=None, options=options)["notes"]}


def shown(*objects: Given, options: tuple[str, ...] = ()) -> str:
    """Return the lines for people."""
    return plan(*options, given=objects).stdout


def run(*args: str, code: str = "", **kwargs: Any) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own, or *code* that does."""
    command = [sys.executable, *(("-c", code) if code else ("-m", "kopia_maint.cli")), *args]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **kwargs)
    assert "Traceback" not in result.stderr
    return result


def tree(folder: Path, files: Mapping[str, str | bytes | Iterable[Given]]) -> str:
    """Write texts, or objects, into the files of a folder, and return its path, or that of the only file."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        text = content if isinstance(content, (str, bytes)) else stream(content)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
    return str(folder / min(files) if len(files) == 1 else folder)
