"""What does ``kopia-maint plan`` say of what ends a conflict, and of what else deserves a look?"""

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from kopia_maint import CronJobState, Repository, Schedule, reconcile, state_from_manifest
from kopia_maint._objects import merge_patch

from ..helpers import LATER, NOW, REPOSITORY, ask, replication_source
from .command_line import bare, cron_job, disagreeing, edited, notes, only, planned, shown, wants

BOUNDED = """
from datetime import timedelta
from kopia_maint import Bounded
policy = Bounded(Bounded(shortest=timedelta(hours=1)), shortest=timedelta(hours=20))
"""


@pytest.fixture
def bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """Return the options that name a policy of at most one run in 20 hours."""
    monkeypatch.chdir(tmp_path)
    name = f"policy_of_{tmp_path.name}"
    Path(f"{name}.py").write_text(BOUNDED)
    return "--policy", f"{name}:policy"


def handed_over(command: str, job: dict[str, Any]) -> CronJobState:
    """Return the state of a CronJob after the command was run, which must be one that the shell does not take apart."""
    words = shlex.split(command)
    assert words[:6] == ["kubectl", "patch", "cronjob", REPOSITORY.cron_job_name, "-n", "volsync-system"]
    state = state_from_manifest(merge_patch(job, json.loads(words[-1])))
    assert state is not None
    return state


# --- what ends a conflict ----------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"maintenanceCronJob": {"schedule": "0 2 * * *"}},
        {},
        {"maintenanceCronJob": {"enabled": False, "schedule": "0 4 * * *"}},
        {"maintenanceCronJob": {"schedule": "0 4 * * *"}, "repository": "another"},
    ],
)
def test_each_step_that_a_source_can_take_ends_the_conflict(change: dict[str, Any]) -> None:
    """To agree, to have no preference, to be disabled, and to name another Secret are what the plan suggests."""
    job, first, _ = disagreeing()
    planned(job, first, replication_source("team-b/source-b", **change))


def test_the_command_hands_over() -> None:
    """Its patch makes the namespace the owner, and establishes what it asked for: then somebody else is in conflict."""
    [conflict] = only(planned(*disagreeing(), status=1))["conflicts"]
    state = handed_over(conflict["nextSteps"]["handOver"], cron_job())
    assert (state.owner, state.schedule) == ("team-b", Schedule.parse("0 4 * * *"))
    [conflict] = only(planned(cron_job(state), *disagreeing()[1:], status=1))["conflicts"]
    assert conflict["namespace"] == "team-a"


def test_no_hand_over_is_advised_where_none_would_help(bounded: tuple[str, str]) -> None:
    """Where there is no CronJob, where the schedule is out of bounds, and under a policy that asks everybody."""
    hourly = (cron_job(), wants("0 2 * * *"), wants("@hourly", "team-b/b"))
    tried = [(disagreeing()[1:], ()), (hourly, bounded), (disagreeing(), ("--policy", "consensus"))]
    for objects, options in tried:
        repository = only(planned(*objects, status=1, options=options))
        assert [it["nextSteps"]["handOver"] for it in repository["conflicts"]] == [None] * len(repository["conflicts"])
        assert "kubectl" not in shown(*objects, options=options)
    daily = (cron_job(), wants("0 2 * * *"), wants("0 4 * * *", "team-b/b"))
    assert only(planned(*daily, status=1, options=bounded))["conflicts"][0]["nextSteps"]["handOver"]


def test_what_is_pasted_into_a_shell_is_quoted() -> None:
    """Kubernetes reads no further than a star's hyphen, so that a tenant can write anything behind it."""
    [conflict] = only(planned(cron_job(), wants("0 4 * * *-'$(reboot)'", "team-b/b"), status=1))["conflicts"]
    words = shlex.split(conflict["nextSteps"]["handOver"])
    assert json.loads(words[-1])["spec"]["schedule"] == "0 4 * * *-'$(reboot)'"


def test_people_are_told_once_what_ends_conflicts() -> None:
    """What is the same for all sources is there once, with one command and where the others are."""
    many = [wants("0 5 * * *", f"team-{number}/source") for number in range(10, 30)]
    told = shown(*disagreeing(), wants("0 5 * * *", "team-10/twice"), *many)
    assert told.count("ask for '0 2 * * *' in spec.kopia.maintenanceCronJob") == 1
    assert "the owner, as in (20 more with -o json): kubectl patch cronjob" in " ".join(told.split())
    assert told.count("kubectl patch cronjob") == 1
    other = (cron_job(bare("team-d", "@daily", Repository("other").hash)), wants("@hourly", "team-e/e", "other"))
    assert "ask for the established schedule" in shown(*disagreeing(), *other)


# --- notes -------------------------------------------------------------------


def superseded() -> tuple[dict[str, Any], ...]:
    """Return a CronJob, and sources of its owner that ask for what they asked for before it had another schedule."""
    sources = [ask(f"team-a/s{n}", "0 2 * * *") for n in range(7)]
    state = reconcile(None, sources, now=NOW).desired
    state = reconcile(state, [*sources, ask("team-a/t", "0 4 * * *")], now=LATER).desired
    return cron_job(state), *(wants("0 2 * * *", str(it.source)) for it in sources), wants("0 4 * * *", "team-a/t")


def fields(who: str = "team-a/source-a", **maintenance: Any) -> dict[str, Any]:
    """Return a source with these fields under maintenanceCronJob."""
    return replication_source(who, maintenanceCronJob=maintenance)


def named(*secrets: str) -> tuple[dict[str, Any], ...]:
    """Return one source for each Secret."""
    return tuple(wants("@daily", f"media/{secret}-{number}", secret) for number, secret in enumerate(secrets))


APPS = named("player-volsync", "home-radio-volsync", "books-volsync")


@pytest.mark.parametrize(
    ("code", "objects", "message"),
    [
        ("suspended", (cron_job(suspend=True), wants("0 2 * * *")), "no maintenance until its spec.suspend is false"),
        ("superseded", superseded(), "'0 4 * * *' is established"),
        ("superseded", superseded(), "team-a/s0, team-a/s1, team-a/s2, team-a/s3, team-a/s4 and 2 more"),
        (
            "kopia-maintenance",
            (cron_job(), edited(name="kopia-maint-daily"), wants("0 2 * * *")),
            "CronJob kopia-maint-daily.",
        ),
        # Identity goes by the Secret's name, and each namespace has a Secret of its own.
        ("shared-name", (wants("@daily"), wants("@daily", "team-b/b")), "shared-repo-secret (2 namespaces)"),
        # A component makes a Secret for each application, and all of them lead to one repository.
        ("similar-names", APPS, "3 repositories of one source each have names in -volsync: books-volsync, home-"),
        # A tenant that suspends maintenance, or limits it, has to ask an administrator.
        (
            "ignored-field",
            (fields("team-a/a", suspend=True), fields("team-a/b", resources={"limits": {"memory": "1Gi"}})),
            ": team-a/a (suspend), team-a/b (resources)",
        ),
        # The API server drops it without a word, and so the source would ask for something else than it seems to.
        ("unknown-field", (fields(shedule="0 4 * * *"),), "team-a/source-a: VolSync has no field 'shedule' (sch"),
        ("unknown-field", (fields(Enabled=False),), "(enabled?)"),
        ("unknown-field", (fields(cron="0 4 * * *"),), "'cron':"),
        ("unknown-field", (replication_source(maintenanceCronjob={}),), "(maintenanceCronJob?)"),
        ("unknown-field", (replication_source(customCA={"secretname": "ca"}),), "(secretName?)"),
        ("unknown-field", (replication_source(customCA={"x" * 100_000: ""}),), "…:"),
    ],
)
def test_what_deserves_a_look_is_pointed_out(code: str, objects: tuple[Any, ...], message: str) -> None:
    """Nobody is in conflict, and still does not get what they ask for, or does what they want."""
    told = notes(*objects)
    assert list(told) == [code]
    assert message in told[code]


@pytest.mark.parametrize(
    "objects",
    [
        (wants("@daily"), wants("@daily", "team-a/other")),
        APPS[1:],
        (*APPS[1:], *named("more-volsync", "more-volsync")),
        named("a", "b", "c"),
        # Everything that the fork's definition has, and whatever else a source may say.
        (fields(enabled=True, schedule="@daily", suspend=False, resources={}, successfulJobsHistoryLimit=3),),
        (fields(failedJobsHistoryLimit=1),),
        (replication_source(customCA={"secretName": "ca", "configMapName": "", "key": "ca.crt"}),),
        (replication_source(maintenanceIntervalDays=7, repositoryPVC="x", retain={}, moverVolumes=[]),),
    ],
)
def test_what_is_as_it_should_be_is_not(objects: tuple[Any, ...]) -> None:
    """One namespace, few names with one ending, names that end in nothing, and fields that are known."""
    assert notes(*objects) == {}


def test_an_orphaned_repository_is_pointed_out() -> None:
    """The owner has no source left; the command gives owner and schedule to one of those who have."""
    job, wish = cron_job(), wants("0 4 * * *", "team-b/source-b")
    message = notes(job, wish, status=1)["orphaned"]
    assert "its owner, team-a, has no source left that takes part" in message
    state = handed_over(message[message.index("kubectl") :], job)
    assert (state.owner, state.schedule) == ("team-b", Schedule.parse("0 4 * * *"))
    assert "\n    kubectl patch" in shown(job, wish).partition("note: ")[2]
    assert "kubectl" not in notes(cron_job(bare("team-a")), wants("0 2", "team-b/b"), status=2)["orphaned"]


@pytest.mark.parametrize("unread", [wants("0 2 * *", "team-a/other"), "a: ["])
def test_an_owner_that_may_be_there_is_not_orphaned(unread: Any) -> None:
    """Its source is in the input and cannot be read, or may be in what cannot be read."""
    assert "orphaned" not in notes(cron_job(bare("team-a")), replication_source("team-b/b"), unread, status=2)


def test_a_schedule_that_never_fires_is_pointed_out() -> None:
    """A CronJob that has such a schedule already is read, and shown for what it is."""
    objects = (cron_job(bare("team-b", "0 0 30 2 *")), replication_source("team-b/b"))
    assert "never runs: no date matches '0 0 30 2 *'" in notes(*objects)["never-fires"]
    assert only(planned(*objects))["nextRun"] is None
    assert "0 0 30 2 *, never fires, owner team-b" in shown(*objects)


def test_an_established_schedule_out_of_bounds_is_pointed_out(bounded: tuple[str, str]) -> None:
    """By adoption, or an administrator's edit: no policy is asked about that. Bounds inside of bounds count as well."""
    for schedule, expected in (("@hourly", True), ("* * * * *", True), ("@daily", False)):
        objects = (cron_job(bare("team-a", schedule)), replication_source())
        told = notes(*objects, options=bounded).get("out-of-bounds", "")
        assert ("the policy bounded-bounded-first-wins" in told) == expected
        assert notes(*objects) == {}


def test_who_was_first_may_be_unknown() -> None:
    """With a conflict, neither a CronJob nor every creation time, the plan says that it went by names."""
    first, second = wants("0 2 * * *"), wants("0 4 * * *", "team-b/source-b")
    assert "owner-by-name" in notes(first, second, status=1)
    assert "owner-by-name" not in notes(first, wants("0 2 * * *", "team-b/source-b"))
    assert "owner-by-name" not in notes(*disagreeing(), status=1)
    first["metadata"]["creationTimestamp"] = "2024-01-02T00:00:00Z"
    assert "owner-by-name" in notes(first, second, status=1)
    second["metadata"]["creationTimestamp"] = "2024-01-01T00:00:00Z"
    answer = planned(first, second, status=1)
    assert only(answer)["owner"] == "team-b"
    assert [it["code"] for it in answer["notes"]] == ["shared-name"]


def test_repositories_that_differ_in_their_ca_are_told_apart() -> None:
    """Two of one name would look alike: each says its CA, or its hash where nobody knows the CA."""
    gone = cron_job(CronJobState("00000000000000aa", Schedule.parse("@daily"), "c", {}, None, "shared-repo-secret"))
    private = replication_source("team-b/b", customCA={"configMapName": "ca", "key": "ca.crt"})
    answer = planned(wants("0 2 * * *"), private, gone)
    labels = {it["message"].partition(":")[0] for it in answer["notes"] if it["code"] == "custom-ca"}
    assert labels == {f"shared-repo-secret ({it})" for it in ("no CA", "CA ca ca.crt", "00000000000000aa")}
    assert all(f"{label}: " in shown(wants("0 2 * * *"), private, gone) for label in labels)


# --- what an update changes --------------------------------------------------


def test_an_update_says_what_it_changes() -> None:
    """Schedule, owner, claims and conflict, each where a write would change it; labels where nothing else changes."""
    assert only(planned(cron_job(bare()), wants("0 4 * * *")))["changes"] == ["schedule", "owner", "claims"]
    assert only(planned(*disagreeing(), status=1))["changes"] == ["claims", "conflict"]
    assert only(planned(cron_job(), wants("@daily")))["changes"] == ["schedule", "claims"]
    unlabelled = edited(labels=None)
    healed = only(planned(unlabelled, wants("0 2 * * *")))
    assert (healed["action"], healed["changes"]) == ("none", ["labels"])
    assert "update (labels)" in shown(unlabelled, wants("0 2 * * *"))
    assert only(planned(cron_job(), wants("0 2 * * *")))["changes"] == []
