"""Does the page about other clients do what it says? Its examples run on the server, unchanged."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ..helpers import replication_source
from .proxy import Proxy, overtaken, proxy
from .servers import ADMIN, EXAMPLE, JOBS, Api, Server

PAGE = (Path(__file__).parents[2] / "docs" / "operator.md").read_text().partition("\n## Other clients\n")[2]
PLAN, *EXAMPLES = re.findall(r"^```python\n(.*?)^```$", PAGE.partition("\n## ")[0], re.MULTILINE | re.DOTALL)
ERRORS = re.findall(r"^\| (\w+) \|.*\| `([\w.]+)` \| `(error[\w.]+)` \|$", PAGE, re.MULTILINE)
CONNECT = {
    "kubernetes": "from kubernetes import client, config\nconfig.load_config()",
    "lightkube": "from lightkube import Client",
    "kr8s": "import kr8s",
}
JOB = f"{JOBS}/kopia-maintenance-f11df99437a0f538"

every_client = pytest.mark.parametrize(("example", "library"), [*zip(EXAMPLES, CONNECT)], ids=CONNECT)


@pytest.fixture
def watched(server: Server, api: Api, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """Serve two sources that disagree, and the CronJob as the fork wrote it: hijacked, without claims."""
    for source, schedule in (("team-a/source-a", "0 2 * * *"), ("team-b/source-b", "0 4 * * *")):
        api.create(replication_source(source, maintenanceCronJob={"schedule": schedule}))
    cron_job: Any = yaml.safe_load((EXAMPLE / "cronjob.yaml").read_text())
    cron_job["metadata"] = {
        "name": JOB.rpartition("/")[2],
        "namespace": "volsync-system",
        "labels": {"volsync.backube/source-namespace": "team-b"},
        "annotations": {"volsync.backube/source-namespace": "team-a"},
    }
    cron_job["spec"]["schedule"] = "0 4 * * *"
    api.create(cron_job)
    with proxy(server) as between:
        monkeypatch.setenv("KUBECONFIG", str(server.kubeconfig(ADMIN, between.url)))
        yield between


def run(example: str, library: str, call: str = "{}") -> str:
    """Run an example as a reader would, in a process of its own: clients keep connections and settings."""
    ((function, arguments),) = re.findall(r"^def (\w+)\(.*\) -> None:  # (.*)$", example, re.MULTILINE)
    script = f"{PLAN}\n{example}\n{CONNECT[library]}\n{call.format(f'{function}({arguments})')}"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@every_client
def test_an_example_adopts_and_heals_the_cron_job_and_then_is_quiet(
    example: str, library: str, watched: Proxy, api: Api
) -> None:
    """With every client the patch arrives as it was made: the creator's schedule, a conflict, and no second write."""
    run(example, library)
    job = api("GET", JOB)
    assert job["spec"]["schedule"] == "0 2 * * *"
    assert job["metadata"]["labels"]["volsync.backube/source-namespace"] == "team-a"
    assert "'0 4 * * *'" in job["metadata"]["annotations"]["volsync.backube/schedule-conflict"]
    run(example, library)
    assert [(method, status) for method, _, status in watched.writes] == [("PATCH", 200)]


@every_client
def test_a_refused_write_is_told_as_the_page_says(example: str, library: str, watched: Proxy) -> None:
    """Each client raises the error that the page's table names, with the 409 where it says."""
    ((error, status),) = [(error, status) for client, error, status in ERRORS if client == library]
    watched.faults.append(overtaken)
    guarded = f"import {error.rpartition('.')[0]}\ntry:\n    {{}}\nexcept {error} as error:\n    print({status})"
    assert run(example, library, guarded) == "409\n"
