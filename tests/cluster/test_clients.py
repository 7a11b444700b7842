"""Does the page about other clients do what it says? Its examples run against the stand-in, unchanged."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import indent
from typing import Any

import pytest
from kubernetes import client

from .servers import StandIn, connected, stand_in

PAGE = (Path(__file__).parents[2] / "docs" / "clients.md").read_text()
PATCH_FOR, *EXAMPLES = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
ERRORS = re.findall(r"^\| (\w+) \| `([\w.]+)` \| `(error[\w.]+)` \|$", PAGE, re.MULTILINE)
NAMES = ["kubernetes", "kubernetes, typed", "lightkube", "kr8s"]
JOB = ("batch", "v1", "volsync-system", "cronjobs", "kopia-maintenance-f11df99437a0f538")

every_client = pytest.mark.parametrize("example", EXAMPLES, ids=NAMES)


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[StandIn, Any]]:
    """Serve two sources that disagree, and the CronJob as the fork wrote it: hijacked, without claims."""
    with stand_in(tmp_path) as (kubeconfig, server), connected(kubeconfig) as connection:
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
        api = client.CustomObjectsApi(connection)
        for namespace, name, schedule in (("team-a", "source-a", "0 2 * * *"), ("team-b", "source-b", "0 4 * * *")):
            source = {
                "apiVersion": "volsync.backube/v1alpha1",
                "kind": "ReplicationSource",
                "metadata": {"name": name, "namespace": namespace},
                "spec": {"kopia": {"repository": "shared-repo-secret", "maintenanceCronJob": {"schedule": schedule}}},
            }
            place = ("volsync.backube", "v1alpha1", namespace, "replicationsources")
            api.create_namespaced_custom_object(*place, source)
        cron_job = {
            "apiVersion": "batch/v1",
            "kind": "CronJob",
            "metadata": {
                "name": JOB[-1],
                "labels": {"volsync.backube/source-namespace": "team-b"},
                "annotations": {"volsync.backube/source-namespace": "team-a"},
            },
            "spec": {"schedule": "0 4 * * *", "jobTemplate": {"spec": {"template": {"spec": {"containers": []}}}}},
        }
        api.create_namespaced_custom_object(*JOB[:4], cron_job)
        yield server, api


def run(script: str) -> str:
    """Run a script as a reader would, in a process of its own: clients keep connections and settings."""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@every_client
def test_an_example_adopts_and_heals_the_cron_job_and_then_is_quiet(example: str, cluster: tuple[StandIn, Any]) -> None:
    """With every client the patch arrives as it was made: the creator's schedule, a conflict, and no second write."""
    server, api = cluster
    run(PATCH_FOR + example)
    job = api.get_namespaced_custom_object(*JOB)
    assert job["spec"]["schedule"] == "0 2 * * *"
    assert job["metadata"]["labels"]["volsync.backube/source-namespace"] == "team-a"
    assert "'0 4 * * *'" in job["metadata"]["annotations"]["volsync.backube/schedule-conflict"]
    run(PATCH_FOR + example)
    assert [write for write in server.writes if write.startswith("PATCH")] == [server.writes[-1]]


@every_client
def test_a_refused_write_is_told_as_the_page_says(
    example: str, cluster: tuple[StandIn, Any], request: pytest.FixtureRequest
) -> None:
    """Each client raises the error that the page's table names, with the 409 where it says."""
    library = request.node.callspec.id.split(",")[0]
    ((_, error, status),) = [row for row in ERRORS if row[0] == library]
    cluster[0].faults.append(409)
    module = error.rpartition(".")[0]
    guarded = f"import {module}\ntry:\n{indent(example, '    ')}except {error} as error:\n    print({status})"
    assert run(PATCH_FOR + guarded) == "409\n"
