"""Does the example operator do over HTTP, to an API server, what the published document promises?"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client

from kopia_maint import Repository

from .servers import ASSETS, EXAMPLE, StandIn, api_server, connected, running, stand_in, until

JOBS = ("batch", "v1", "volsync-system", "cronjobs")
EVENTS = ("events.k8s.io", "v1", "volsync-system", "events")
CONDITION = "MaintenanceScheduleAccepted"
SHARED = Repository("shared-repo-secret").cron_job_name
BARRIER = "team-z/unreadable"  # sources that cannot be read are told last


class Cluster:
    """What the tests do to an API server, and see of it; in plain objects, whichever server it is."""

    def __init__(self, connection: client.ApiClient, operator: Path, folder: Path, server: StandIn | None) -> None:
        self.api: Any = client.CustomObjectsApi(connection)
        self.kubeconfig = operator
        self.folder = folder
        self.server = server

    @contextmanager
    def operator(self) -> Generator[None]:
        """Run the operator as its README says, and kill it at the end."""
        command = [sys.executable, "-m", "kopf", "run", "--standalone", "-A", EXAMPLE / "maintenance.py"]
        log = self.folder / "operator.log"
        try:
            with running(command, log, KUBECONFIG=str(self.kubeconfig)):
                yield
        finally:
            print(log.read_text())  # pytest shows it where a test fails
        assert "Traceback" not in log.read_text()

    def put(self, source: str, schedule: str | None, repository: str = "shared-repo-secret", **maintenance: Any) -> Any:
        """Create or replace a ReplicationSource, given as namespace/name."""
        namespace, name = source.split("/")
        cron_job = {"schedule": schedule, **maintenance}
        manifest = {
            "apiVersion": "volsync.backube/v1alpha1",
            "kind": "ReplicationSource",
            "metadata": {"namespace": namespace, "name": name},
            "spec": {"kopia": {"repository": repository, "maintenanceCronJob": cron_job}},
        }
        place = ("volsync.backube", "v1alpha1", namespace, "replicationsources")
        if source in self.sources():
            return self.api.patch_namespaced_custom_object(*place, name, {"spec": manifest["spec"]})
        return self.api.create_namespaced_custom_object(*place, manifest)

    def annotate(self, source: str, value: str) -> Any:
        """Change something about a source that is none of the operator's business."""
        namespace, name = source.split("/")
        place = ("volsync.backube", "v1alpha1", namespace, "replicationsources", name)
        return self.api.patch_namespaced_custom_object(*place, {"metadata": {"annotations": {"seen": value}}})

    def remove(self, source: str) -> None:
        namespace, name = source.split("/")
        place = ("volsync.backube", "v1alpha1", namespace, "replicationsources", name)
        self.api.delete_namespaced_custom_object(*place)

    def sources(self) -> dict[str, Any]:
        found = self.api.list_cluster_custom_object("volsync.backube", "v1alpha1", "replicationsources")["items"]
        return {f"{source['metadata']['namespace']}/{source['metadata']['name']}": source for source in found}

    def jobs(self) -> dict[str, Any]:
        return {job["metadata"]["name"]: job for job in self.api.list_namespaced_custom_object(*JOBS)["items"]}

    def events(self) -> list[tuple[str, str, str, str]]:
        """Return what Events say: the reason, the source's namespace and name, and the note."""
        found = self.api.list_namespaced_custom_object(*EVENTS)["items"]
        said = [(event["reason"], event["related"], event["note"]) for event in found]
        return sorted((reason, source["namespace"], source["name"], note) for reason, source, note in said)

    def schedule(self, name: str = SHARED) -> str | None:
        job = self.jobs().get(name)
        return None if job is None else str(job["spec"]["schedule"])

    def condition(self, source: str) -> tuple[str, str] | None:
        """Return the status and the reason of our condition, if the source has it."""
        conditions = self.sources()[source].get("status", {}).get("conditions", [])
        return next(((c["status"], c["reason"]) for c in conditions if c["type"] == CONDITION), None)

    def caught_up(self) -> None:
        """Return when the operator has seen all that was done so far: it has told the last source."""
        if BARRIER in self.sources():
            self.remove(BARRIER)
        self.put(BARRIER, "0 25 * * *")
        until(lambda: self.condition(BARRIER))

    def clear(self) -> None:
        for source in self.sources():
            self.remove(source)
        for job in self.jobs():
            self.api.delete_namespaced_custom_object(*JOBS, job)
        for event in self.api.list_namespaced_custom_object(*EVENTS)["items"]:
            self.api.delete_namespaced_custom_object(*EVENTS, event["metadata"]["name"])


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    absent = [name for name in ("etcd", "kube-apiserver") if not (ASSETS / name).exists()]
    if absent or not shutil.which("openssl"):
        pytest.skip(f"no {' and no '.join(absent) or 'openssl'} in {ASSETS}: set KUBEBUILDER_ASSETS, as for envtest")
    with api_server(tmp_path_factory.mktemp("api-server")) as kubeconfigs:
        yield kubeconfigs


@pytest.fixture(params=["stand-in", "real"])
def cluster(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Cluster]:
    with ExitStack() as stack:
        if request.param == "real":
            ours, operators = request.getfixturevalue("real")
            server = None
        else:
            ours, server = stack.enter_context(stand_in(tmp_path))
            operators = ours
        cluster = Cluster(stack.enter_context(connected(ours)), operators, tmp_path, server)
        yield cluster
        cluster.clear()


only_the_stand_in = pytest.mark.parametrize("cluster", ["stand-in"], indirect=True)


def two_tenants(cluster: Cluster) -> None:
    """Scenario 1 of the published document, up to the rejection."""
    cluster.put("team-a/source-a", "0 2 * * *", enabled=True)
    until(lambda: cluster.schedule() == "0 2 * * *")
    cluster.put("team-b/source-b", "0 4 * * *", enabled=True)
    until(lambda: cluster.condition("team-b/source-b"))


def test_the_first_namespace_wins_and_the_other_is_told(cluster: Cluster) -> None:
    """Scenario 1: team-a's schedule runs; team-b's is recorded on the CronJob, on its source, and in one Event."""
    with cluster.operator():
        two_tenants(cluster)
        job = cluster.jobs()[SHARED]
        assert job["spec"]["schedule"] == "0 2 * * *"
        assert job["metadata"]["annotations"]["volsync.backube/source-namespace"] == "team-a"
        message = job["metadata"]["annotations"]["volsync.backube/schedule-conflict"]
        assert message.startswith("Last conflict: Schedule '0 4 * * *' requested from namespace 'team-b' at ")
        assert cluster.condition("team-b/source-b") == ("False", "Rejected")
        assert cluster.condition("team-a/source-a") is None
        assert cluster.events() == [("Rejected", "team-b", "source-b", message)]


def test_the_latest_configuration_of_one_namespace_wins(cluster: Cluster) -> None:
    """Scenario 2: a later source of the namespace moves the schedule, and the earlier one does not move it back."""
    name = Repository("app-repo-secret").cron_job_name
    with cluster.operator():
        cluster.put("my-app/source-1", "0 2 * * *", "app-repo-secret")
        until(lambda: cluster.schedule(name) == "0 2 * * *")
        cluster.put("my-app/source-2", "0 3 * * *", "app-repo-secret")
        until(lambda: cluster.condition("my-app/source-1") == ("False", "Superseded"))
        cluster.annotate("my-app/source-1", "again")
        cluster.caught_up()
        assert cluster.schedule(name) == "0 3 * * *"


def test_a_conflict_ends_when_the_loser_agrees(cluster: Cluster) -> None:
    """Who lost and then asks for what stands is told so, once; the record on the CronJob goes."""
    with cluster.operator():
        two_tenants(cluster)
        cluster.put("team-b/source-b", "00 2 * * *")
        until(lambda: cluster.condition("team-b/source-b") == ("True", "Agreed"))
        assert "volsync.backube/schedule-conflict" not in cluster.jobs()[SHARED]["metadata"]["annotations"]
        assert [event[1:3] for event in cluster.events() if event[0] == "ConflictEnded"] == [("team-b", "source-b")]


def test_the_schedule_outlives_its_owner_and_the_job_the_last_but_one(cluster: Cluster) -> None:
    """When the owner's source is deleted its schedule persists; when the last one is, the CronJob goes."""
    with cluster.operator():
        two_tenants(cluster)
        cluster.remove("team-a/source-a")
        cluster.caught_up()
        job = cluster.jobs()[SHARED]
        assert job["spec"]["schedule"] == "0 2 * * *"
        assert "source-namespace.volsync.backube/team-a" not in job["metadata"]["labels"]
        assert job["metadata"]["annotations"]["volsync.backube/source-namespace"] == "team-a"
        cluster.remove("team-b/source-b")
        until(lambda: SHARED not in cluster.jobs())


def test_a_restart_changes_nothing_and_misses_nothing(cluster: Cluster) -> None:
    """Killed and started again, the operator leaves what stands, and catches up with what happened meanwhile."""
    with cluster.operator():
        two_tenants(cluster)
    before = cluster.jobs()[SHARED]
    with cluster.operator():
        cluster.caught_up()
        assert cluster.jobs()[SHARED] == before
    cluster.remove("team-a/source-a")
    cluster.put("team-b/source-b", None, enabled=False)
    with cluster.operator():
        until(lambda: SHARED not in cluster.jobs())


def test_an_unreadable_source_freezes_nobody_and_is_told(cluster: Cluster) -> None:
    """A typo keeps its CronJob alive and is reported on its source; everybody else is served meanwhile."""
    with cluster.operator():
        two_tenants(cluster)
        cluster.put("team-b/source-b", "0 25 * * *")
        until(lambda: cluster.condition("team-b/source-b") == ("False", "Unreadable"))
        cluster.put("team-a/source-a", "0 5 * * *")
        until(lambda: cluster.schedule() == "0 5 * * *")
        cluster.remove("team-a/source-a")
        cluster.caught_up()
        assert cluster.schedule() == "0 5 * * *"


def test_a_cron_job_that_cannot_be_read_stays_as_it_is(cluster: Cluster) -> None:
    """Claims of an unknown version are left alone, and the other repositories are served meanwhile."""
    damage = {"metadata": {"annotations": {"volsync.backube/schedule-claims": '{"version":2}'}}}
    with cluster.operator():
        two_tenants(cluster)
        before = cluster.api.patch_namespaced_custom_object(*JOBS, SHARED, damage)
        cluster.put("team-a/source-a", "0 5 * * *")
        cluster.caught_up()
        assert cluster.jobs()[SHARED]["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]


def test_what_others_do_to_the_cron_job_is_put_right(cluster: Cluster) -> None:
    """A CronJob that somebody deletes, or takes labels from, is restored without any change of a source."""
    with cluster.operator():
        two_tenants(cluster)
        cluster.api.patch_namespaced_custom_object(*JOBS, SHARED, {"metadata": {"labels": None}})
        until(lambda: "volsync.backube/repository-hash" in cluster.jobs()[SHARED]["metadata"].get("labels", {}))
        cluster.api.delete_namespaced_custom_object(*JOBS, SHARED)
        until(lambda: cluster.schedule() == "0 2 * * *")


def test_conditions_of_others_survive(cluster: Cluster) -> None:
    """The operator adds its condition to VolSync's own, and leaves those."""
    synchronizing = {
        "type": "Synchronizing",
        "status": "True",
        "reason": "SyncInProgress",
        "message": "",
        "lastTransitionTime": "2024-01-15T10:30:00Z",
    }
    cluster.put("team-b/source-b", "0 25 * * *")
    place = ("volsync.backube", "v1alpha1", "team-b", "replicationsources", "source-b")
    cluster.api.patch_namespaced_custom_object_status(*place, {"status": {"conditions": [synchronizing]}})
    with cluster.operator():
        until(lambda: cluster.condition("team-b/source-b"))
        assert cluster.sources()["team-b/source-b"]["status"]["conditions"][0] == synchronizing


def test_it_is_quiet_once_requests_stop_changing(cluster: Cluster) -> None:
    """Further events of every source, without news, cause no write at all."""
    with cluster.operator():
        two_tenants(cluster)
        cluster.caught_up()
        events, job = cluster.events(), cluster.jobs()[SHARED]
        written = len(cluster.server.writes) if cluster.server else 0
        last: dict[str, Any] = {}
        for number in range(5):
            for source in ("team-a/source-a", "team-b/source-b"):
                last[source] = cluster.annotate(source, str(number))
        cluster.caught_up()
        assert cluster.jobs()[SHARED] == job
        assert cluster.events() == events
        assert {source: cluster.sources()[source] for source in last} == last
        if cluster.server:
            places = ("/cronjobs", "/events", "/status")
            ours = [write for write in cluster.server.writes[written:] if any(place in write for place in places)]
            assert ours == [
                "PATCH /apis/volsync.backube/v1alpha1/namespaces/team-z/replicationsources/unreadable/status"
            ]


def test_two_operators_at_once_agree(cluster: Cluster) -> None:
    """Operators that race refuse each other's stale writes, and leave what one alone would have left."""
    with cluster.operator(), cluster.operator():
        two_tenants(cluster)
        cluster.put("team-a/source-a", "0 5 * * *")
        cluster.put("team-a/source-c", "0 6 * * *")
        cluster.remove("team-a/source-a")
        until(lambda: cluster.schedule() == "0 6 * * *")
        cluster.caught_up()
        claims = cluster.jobs()[SHARED]["metadata"]["annotations"]["volsync.backube/schedule-claims"]
        assert ["source-a" in claims, "source-b" in claims, "source-c" in claims] == [False, True, True]
        assert cluster.condition("team-b/source-b") == ("False", "Rejected")


@only_the_stand_in
@pytest.mark.parametrize("status", [409, 500])
def test_refused_writes_and_lost_answers_are_made_good(cluster: Cluster, status: int) -> None:
    """Whether a create, a patch or a delete was stale, or done and its answer lost: the next pass puts it right."""
    assert cluster.server is not None
    faults = cluster.server.faults
    with cluster.operator():
        faults.append(status)
        two_tenants(cluster)
        faults.append(status)
        cluster.put("team-a/source-a", "0 5 * * *")
        until(lambda: cluster.schedule() == "0 5 * * *")
        cluster.remove("team-b/source-b")
        cluster.caught_up()
        faults.append(status)
        cluster.remove("team-a/source-a")
        until(lambda: SHARED not in cluster.jobs())
        assert not faults
        assert cluster.server.refusals == ([409] * 3 if status == 409 else [])


def test_a_custom_ca_reaches_the_job(cluster: Cluster) -> None:
    """A new CronJob takes its credentials from the repository's Secret, and trusts the CA that its sources name."""
    ca = {"secretName": "ca-secret", "key": "ca.crt"}
    cluster.put("team-a/source-a", "0 2 * * *", "repo1")
    place = ("volsync.backube", "v1alpha1", "team-a", "replicationsources", "source-a")
    cluster.api.patch_namespaced_custom_object(*place, {"spec": {"kopia": {"customCA": ca}}})
    with cluster.operator():
        until(lambda: "kopia-maintenance-7aa5925ff8bd3439" in cluster.jobs())
        (job,) = cluster.jobs().values()
        pod = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
        assert pod["containers"][0]["envFrom"] == [{"secretRef": {"name": "repo1"}}]
        assert pod["volumes"][-1] == {"name": "custom-ca", "secret": {"secretName": "ca-secret"}}
        assert pod["containers"][0]["env"][-1] == {"name": "CUSTOM_CA", "value": "/customCA/ca.crt"}
