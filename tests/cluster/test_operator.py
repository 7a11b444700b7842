"""Do the example operators, in Python and in Go, do what the published document promises? And both of them at once?"""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from kopia_maint import Repository

from ..helpers import replication_source
from .proxy import Fault, lost, overtaken, proxy, unavailable
from .servers import EVENTS, JOBS, OPERATOR, SOURCES, Api, Server, collection, operators, running, until

CONDITION = "MaintenanceScheduleAccepted"
OPERATORS = {"python": ("python",), "go": ("go",), "both": ("python", "go")}
SHARED = Repository("shared-repo-secret").cron_job_name
BARRIER = "team-z/unreadable"  # the operator tells sources in the order of their names, after writing the CronJobs


class Cluster:
    """What the tests do to a server, and see of it."""

    def __init__(self, server: Server, api: Api, folder: Path, commands: Mapping[str, list[Any]]) -> None:
        self.server = server
        self.api = api
        self.folder = folder
        self.commands = commands

    @contextmanager
    def operator(self, through: str = "", *, only: str = "") -> Generator[None]:
        """Run the operators as their READMEs say, through a proxy if one is named, and kill them at the end."""
        log = self.folder / "operator.log"
        try:
            with ExitStack() as stack:
                for number, name in enumerate([only] if only else self.commands):
                    if number:
                        self.caught_up()  # the one in Python is slower to start
                    environment = {"KUBECONFIG": str(self.server.kubeconfig(OPERATOR, through))}
                    stack.enter_context(running(self.commands[name], log, **environment))
                yield
        finally:
            print(log.read_text())  # pytest shows it where a test fails
        assert not re.search("Traceback|panic", log.read_text())

    def put(self, source: str, schedule: str | None, repository: str = "shared-repo-secret", **kopia: Any) -> Any:
        """Create or change a ReplicationSource, given as namespace/name."""
        maintenance = {"schedule": schedule, "enabled": kopia.pop("enabled", True)}
        manifest = replication_source(source, repository=repository, maintenanceCronJob=maintenance, **kopia)
        if source in self.sources():
            return self.api("PATCH", place(source), {"spec": manifest["spec"]})
        return self.api.create(manifest)

    def annotate(self, source: str, value: str) -> Any:
        """Change something about a source that is none of the operator's business."""
        return self.api("PATCH", place(source), {"metadata": {"annotations": {"seen": value}}})

    def remove(self, source: str) -> None:
        self.api("DELETE", place(source))

    def sources(self) -> dict[str, Any]:
        found = self.api("GET", SOURCES)["items"]
        return {f"{source['metadata']['namespace']}/{source['metadata']['name']}": source for source in found}

    def jobs(self) -> dict[str, Any]:
        return {job["metadata"]["name"]: job for job in self.api("GET", JOBS)["items"]}

    def events(self) -> list[tuple[str, str, str, str]]:
        """Return what Events say: the reason, the source's namespace and name, and the note."""
        said = [(event["reason"], event["related"], event["note"]) for event in self.api("GET", EVENTS)["items"]]
        return sorted((reason, source["namespace"], source["name"], note) for reason, source, note in said)

    def schedule(self, name: str = SHARED) -> str | None:
        job = self.jobs().get(name)
        return None if job is None else str(job["spec"]["schedule"])

    def told(self, source: str) -> Any:
        """Return our condition, if the source has it."""
        conditions = self.sources()[source].get("status", {}).get("conditions", [])
        return next((condition for condition in conditions if condition["type"] == CONDITION), None)

    def condition(self, source: str) -> tuple[str, str] | None:
        """Return the status and the reason of our condition, if the source has it."""
        told = self.told(source)
        return told and (told["status"], told["reason"])

    def edit(self, source: str, **changes: str) -> Any:
        """Change our condition, as another replica or an administrator might."""
        condition = {**self.told(source), **changes}
        self.api("PATCH", f"{place(source)}/status", {"status": {"conditions": [condition]}})
        return condition

    def caught_up(self) -> None:
        """Return when the operator has seen all that was done so far: it has told the last source."""
        if BARRIER in self.sources():
            self.remove(BARRIER)
        self.put(BARRIER, "0 25 * * *", "another-secret")
        until(lambda: self.condition(BARRIER))


def place(source: str) -> str:
    """Return the path of a source."""
    manifest = replication_source(source)
    return f"{collection(manifest)}/{manifest['metadata']['name']}"


@pytest.fixture(scope="session")
def commands(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    """What starts each operator; the one in Go is built once."""
    return operators(tmp_path_factory.mktemp("go"))


@pytest.fixture(params=OPERATORS)
def cluster(
    server: Server, api: Api, tmp_path: Path, commands: dict[str, list[Any]], request: pytest.FixtureRequest
) -> Cluster:
    """Serve each test to the operator in Python, to the one in Go, and to one of each at once."""
    return Cluster(server, api, tmp_path, {name: commands[name] for name in OPERATORS[request.param]})


either = pytest.mark.parametrize("cluster", ["python", "go"], indirect=True)


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
        assert cluster.condition("team-a/source-a") == ("True", "Agreed")
        assert cluster.events() == [("Rejected", "team-b", "source-b", message)]


@either
def test_an_event_is_on_the_cron_job_and_about_the_source(cluster: Cluster) -> None:
    """So ``kubectl describe cronjob`` shows it, and who reads it knows whose request it tells of."""
    with cluster.operator():
        two_tenants(cluster)
        (event,) = cluster.api("GET", EVENTS)["items"]
        job = cluster.jobs()[SHARED]["metadata"]
        identity = {"namespace": "volsync-system", "name": SHARED, "uid": job["uid"]}
        assert event["regarding"] == {"apiVersion": "batch/v1", "kind": "CronJob", **identity}
        about = {"namespace": "team-b", "name": "source-b"}
        assert event["related"] == {"apiVersion": "volsync.backube/v1alpha1", "kind": "ReplicationSource", **about}
        assert event["type"] == "Warning"


def test_every_source_is_told_how_it_stands(cluster: Cluster) -> None:
    """From the first pass on, in words that ``kubectl wait`` knows, and of which generation that is said."""
    damaged = Repository("damaged").cron_job_name
    expected = {
        "my-app/affected": ("Unknown", "Withheld"),
        "team-a/source-a": ("False", "Superseded"),
        "team-a/source-c": ("True", "Agreed"),
        "team-b/disabled": ("True", "Disabled"),
        "team-b/source-b": ("False", "Rejected"),
        "team-b/unreadable": ("False", "Unreadable"),
    }
    cluster.put("my-app/affected", "0 2 * * *", "damaged")
    cluster.put("team-a/source-a", "0 2 * * *")
    with cluster.operator():
        until(lambda: cluster.condition("my-app/affected") == ("True", "Agreed"))
    damage = {"metadata": {"annotations": {"volsync.backube/schedule-claims": '{"version":2}'}}}
    cluster.api("PATCH", f"{JOBS}/{damaged}", damage)
    cluster.put("team-a/source-c", "0 3 * * *")
    cluster.put("team-b/disabled", "0 4 * * *", enabled=False)
    cluster.put("team-b/source-b", "0 4 * * *")
    cluster.put("team-b/unreadable", "0 25 * * *")
    with cluster.operator():
        until(lambda: {source: cluster.condition(source) for source in expected} == expected)
        cluster.put("team-a/source-c", "00 3 * * *")
        until(lambda: cluster.told("team-a/source-c")["observedGeneration"] == 2)
        assert {source: cluster.condition(source) for source in expected} == expected


@either
def test_a_condition_keeps_the_time_of_its_last_transition(cluster: Cluster) -> None:
    """Another reason is no transition, another status is one."""
    then = "2024-01-15T10:30:00Z"
    two = "team-b/source-b"
    with cluster.operator():
        two_tenants(cluster)
        cluster.edit(two, lastTransitionTime=then)
        cluster.put(two, "0 25 * * *")
        until(lambda: cluster.condition(two) == ("False", "Unreadable"))
        assert cluster.told(two)["lastTransitionTime"] == then
        cluster.put(two, "0 2 * * *")
        until(lambda: cluster.condition(two) == ("True", "Agreed"))
        assert cluster.told(two)["lastTransitionTime"] > then


def test_a_condition_in_other_words_is_left(cluster: Cluster) -> None:
    """A replica of another release may word it differently; it must say why, and which conflict is recorded."""
    two = "team-b/source-b"
    with cluster.operator():
        two_tenants(cluster)
        conflict = cluster.jobs()[SHARED]["metadata"]["annotations"]["volsync.backube/schedule-conflict"]
        assert cluster.told(two)["message"].endswith(conflict)
        reworded = cluster.edit(two, message=f"Somebody else was first. {conflict}")
        cluster.caught_up()
        assert cluster.told(two) == reworded
        cluster.edit(two, message="Somebody else was first.")
        until(lambda: cluster.told(two)["message"].endswith(conflict))


@either
def test_a_source_that_it_may_not_tell_stops_nobody(cluster: Cluster) -> None:
    """Without rights to the status of one namespace, the other namespaces' sources and all CronJobs are served."""
    with proxy(cluster.server) as between, cluster.operator(between.url):
        between.forbidden = "/namespaces/team-a/replicationsources/"
        cluster.put("team-a/source-a", "0 2 * * *")
        cluster.put("team-b/source-b", "0 4 * * *")
        until(lambda: cluster.condition("team-b/source-b") == ("False", "Rejected"))
        cluster.put("team-a/source-a", "0 5 * * *")
        until(lambda: cluster.schedule() == "0 5 * * *")
        assert cluster.condition("team-a/source-a") is None


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
        before = cluster.api("PATCH", f"{JOBS}/{SHARED}", damage)
        cluster.put("team-a/source-a", "0 5 * * *")
        cluster.caught_up()
        assert cluster.jobs()[SHARED]["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]


def test_what_others_do_to_the_cron_job_is_put_right(cluster: Cluster) -> None:
    """A CronJob that somebody deletes, or takes labels from, is restored without any change of a source."""
    with cluster.operator():
        two_tenants(cluster)
        cluster.api("PATCH", f"{JOBS}/{SHARED}", {"metadata": {"labels": None}})
        until(lambda: "volsync.backube/repository-hash" in cluster.jobs()[SHARED]["metadata"].get("labels", {}))
        cluster.api("DELETE", f"{JOBS}/{SHARED}")
        until(lambda: cluster.schedule() == "0 2 * * *")


@either
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
    cluster.api("PATCH", f"{place('team-b/source-b')}/status", {"status": {"conditions": [synchronizing]}})
    with cluster.operator():
        until(lambda: cluster.condition("team-b/source-b"))
        assert cluster.sources()["team-b/source-b"]["status"]["conditions"][0] == synchronizing


def test_it_is_quiet_once_requests_stop_changing(cluster: Cluster) -> None:
    """Further events of every source, without news, cause no write at all."""
    with proxy(cluster.server) as between, cluster.operator(between.url):
        last = ("PATCH", f"{place(BARRIER)}/status", 200)
        two_tenants(cluster)
        cluster.caught_up()
        until(lambda: last in between.writes)  # the proxy notes a write a little after it is done
        told = len(between.writes)
        for number in range(5):
            for source in ("team-a/source-a", "team-b/source-b"):
                cluster.annotate(source, str(number))
        cluster.caught_up()
        until(lambda: last in between.writes[told:])
        # Of two operators one may come too late, and write nothing, or the same once more.
        assert {write for write in between.writes[told:] if write[2] not in {404, 409}} == {last}


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


@pytest.mark.parametrize("cluster", ["both"], indirect=True)
def test_one_goes_on_where_the_other_was_killed(cluster: Cluster) -> None:
    """What one has written is what the other would write, to the byte but for the times: so the other is quiet."""
    written: dict[str, str] = {}
    ca = {"configMapName": "ca-bundle"}
    for first, second in (("python", "go"), ("go", "python")):
        with cluster.operator(only=first):
            two_tenants(cluster)
            cluster.put("my-app/source-1", "@daily", "repo1", customCA=ca)
            cluster.put("team-a/source-c", "0 6 * * *")
            until(lambda: cluster.schedule() == "0 6 * * *")
            cluster.caught_up()
        jobs, sources = cluster.jobs(), cluster.sources()
        with cluster.operator(only=second):
            cluster.caught_up()
            assert cluster.jobs() == jobs
            assert {**cluster.sources(), BARRIER: None} == {**sources, BARRIER: None}
            for source in cluster.sources():
                cluster.remove(source)
            until(lambda: not cluster.jobs())
        metadata = [[job["metadata"][key] for key in ("labels", "annotations")] for job in jobs.values()]
        content = json.dumps([metadata, [job["spec"] for job in jobs.values()]])
        written[first] = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "", content)
    assert written["python"] == written["go"]


@either
@pytest.mark.parametrize("fault", [lost, unavailable, overtaken])
def test_refused_writes_and_lost_answers_are_made_good(cluster: Cluster, fault: Fault) -> None:
    """Whether a create, a patch or a delete was stale, or done and its answer lost: the next pass puts it right."""
    with proxy(cluster.server) as between, cluster.operator(between.url):
        between.faults.append(fault)
        two_tenants(cluster)
        between.faults.append(fault)
        cluster.put("team-a/source-a", "0 5 * * *")
        until(lambda: cluster.schedule() == "0 5 * * *")
        cluster.remove("team-b/source-b")
        cluster.caught_up()
        between.faults.append(fault)
        cluster.remove("team-a/source-a")
        until(lambda: SHARED not in cluster.jobs())
        assert not between.faults


@either
def test_nobody_is_told_what_is_not_written(cluster: Cluster) -> None:
    """A condition comes after the write that it tells of, and not in a pass in which that write failed."""
    with proxy(cluster.server) as between, cluster.operator(between.url):
        between.faults.append(unavailable)
        cluster.put("team-a/source-a", "0 2 * * *")
        last = ("PATCH", f"{place('team-a/source-a')}/status", 200)
        until(lambda: last in between.writes)
        assert between.writes[:3] == [("POST", JOBS, 503), ("POST", JOBS, 201), last]


@either
def test_a_custom_ca_reaches_the_job(cluster: Cluster) -> None:
    """A new CronJob takes its credentials from the repository's Secret, and trusts the CA that its sources name."""
    cluster.put("team-a/source-a", "0 2 * * *", "repo1", customCA={"secretName": "ca-secret", "key": "ca.crt"})
    with cluster.operator():
        until(lambda: "kopia-maintenance-7aa5925ff8bd3439" in cluster.jobs())
        (job,) = cluster.jobs().values()
        pod = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
        assert pod["containers"][0]["envFrom"] == [{"secretRef": {"name": "repo1"}}]
        assert pod["volumes"][-1] == {"name": "custom-ca", "secret": {"secretName": "ca-secret", "defaultMode": 420}}
        assert pod["containers"][0]["env"][-1] == {"name": "CUSTOM_CA", "value": "/customCA/ca.crt"}
