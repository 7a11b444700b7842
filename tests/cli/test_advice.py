"""What does ``kopia-maint plan`` say of what ends a conflict, and of what else deserves a look?"""

import json
import shlex
from datetime import timedelta
from typing import Any

import pytest

from kopia_maint import Bounded, CronJobState, Repository, Schedule, reconcile, state_from_manifest
from kopia_maint._objects import merge_patch

from ..helpers import LATER, REPOSITORY, ask, replication_source, state_of
from .command_line import bare, cron_job, disagreeing, edited, fields, notes, only, planned, shown, wants

DAILY = Bounded(Bounded(shortest=timedelta(hours=1)), shortest=timedelta(hours=20))
BOUNDED = ("--policy", f"{__name__}:DAILY")


def handed_over(command: str, job: dict[str, Any]) -> CronJobState:
    """Return the state of a CronJob after the command was run, which must be one that the shell does not take apart."""
    words = shlex.split(command)
    assert words[:6] == ["kubectl", "patch", "cronjob", REPOSITORY.cron_job_name, "-n", "volsync-system"]
    state = state_from_manifest(merge_patch(job, json.loads(words[-1])))
    assert state is not None
    return state


# --- what ends a conflict ----------------------------------------------------


def test_the_command_hands_over() -> None:
    """
    Its patch makes the namespace the owner, and establishes what it asked for: then somebody else is in conflict.

    Kubernetes reads no further than a star's hyphen: a tenant can write anything behind it, which a shell must not run.
    """
    job, first, second = cron_job(), wants("0 2 * * *"), wants("0 4 * * *-'$(reboot)'", "team-b/b")
    [conflict] = only(planned(job, first, second, status=1))["conflicts"]
    state = handed_over(conflict["nextSteps"]["handOver"], job)
    assert (state.owner, state.schedule.text) == ("team-b", "0 4 * * *-'$(reboot)'")
    [conflict] = only(planned(cron_job(state), first, second, status=1))["conflicts"]
    assert conflict["namespace"] == "team-a"


@pytest.mark.parametrize(
    ("objects", "options", "advised"),
    [
        (disagreeing(), (), True),
        (disagreeing()[1:], (), False),  # there is no CronJob
        (disagreeing(), ("--policy", "consensus"), False),  # everybody is asked
        (disagreeing(), BOUNDED, True),
        ((cron_job(), wants("0 2 * * *"), wants("@hourly", "team-b/b")), BOUNDED, False),  # out of bounds
    ],
)
def test_a_hand_over_is_advised_if_it_helps(objects: tuple[Any, ...], options: tuple[str, ...], advised: bool) -> None:
    """A command that changes nothing is not shown."""
    conflicts = only(planned(*objects, status=1, options=options))["conflicts"]
    assert {it["nextSteps"]["handOver"] is not None for it in conflicts} == {advised}
    assert ("kubectl" in shown(*objects, options=options)) == advised


def test_people_are_told_once_what_ends_conflicts() -> None:
    """What is the same for all sources is there once, with one command and where the others are."""
    many = [wants("0 5 * * *", f"team-{number}/source") for number in range(10, 30)]
    told = " ".join(shown(*disagreeing(), wants("0 5 * * *", "team-10/twice"), *many).split())
    assert told.count("ask for '0 2 * * *' in spec.kopia.maintenanceCronJob") == 1
    assert told.count("the owner, as in (20 more with -o json): kubectl patch cronjob") == told.count("kubectl") == 1
    other = (cron_job(bare("team-d", "@daily", Repository("other").hash)), wants("@hourly", "team-e/e", "other"))
    assert "ask for the established schedule" in shown(*disagreeing(), *other)


# --- notes -------------------------------------------------------------------


def superseded() -> tuple[dict[str, Any], ...]:
    """Return a CronJob, and sources of its owner that ask for what they asked for before it had another schedule."""
    sources = [ask(f"team-a/s{n}", "0 2 * * *") for n in range(7)]
    state = reconcile(state_of(*sources), [*sources, ask("team-a/t", "0 4 * * *")], now=LATER).desired
    return cron_job(state), *(wants("0 2 * * *", str(it.source)) for it in sources), wants("0 4 * * *", "team-a/t")


def named(*secrets: str) -> tuple[dict[str, Any], ...]:
    """Return one source for each Secret."""
    return tuple(wants("@daily", f"media/{secret}-{number}", secret) for number, secret in enumerate(secrets))


APPS = named("player-volsync", "home-radio-volsync", "books-volsync")


@pytest.mark.parametrize(
    ("code", "objects", "message"),
    [
        ("suspended", (cron_job(suspend=True), wants("0 2 * * *")), "no maintenance until its spec.suspend is false"),
        ("delete", (cron_job(),), f"{REPOSITORY.cron_job_name} is to be deleted"),
        ("superseded", superseded(), "team-a/s0, team-a/s1, team-a/s2, team-a/s3, team-a/s4 and 2 more"),
        # What the CronJob has already is read, and shown for what it is.
        ("never-fires", (cron_job(bare("a", "0 0 30 2 *")), replication_source("a/b")), "no date matches '0 0 30 2 *'"),
        ("embedded", ({"spec": "kind: ReplicationSource\nspec:\n  kopia: {}"},), "such as a chart's values"),
        ("kopia-maintenance", (edited(name="kopia-maint-daily"), wants("0 2 * * *")), "CronJob kopia-maint-daily."),
        # Identity goes by the Secret's name, and each namespace has a Secret of its own.
        ("shared-name", (wants("@daily"), wants("@daily", "team-b/b")), "shared-repo-secret (2 namespaces)"),
        # A component makes a Secret for each application, and all of them lead to one repository.
        ("similar-names", APPS, "3 repositories of one source each have names in -volsync: books-volsync, home-"),
        # A tenant that suspends maintenance, or limits it, has to ask an administrator.
        ("ignored-field", (fields("a/b", suspend=True), fields("a/c", resources={"x": 1})), ": a/b (suspend), a/c (re"),
        # The API server drops it without a word, and so the source would ask for something else than it seems to.
        ("unknown-field", (fields(shedule="0 4 * * *"),), "team-a/source-a: VolSync has no field 'shedule' (sch"),
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
        # The owner is not gone: its source cannot be read, or may be in what cannot be read.
        *[(cron_job(bare("a")), replication_source("b/b"), unread) for unread in (wants("0 2", "a/other"), "a: [")],
        # Everything that the fork's definition has, and whatever else a source may say.
        (fields(enabled=True, schedule="@daily", suspend=False, resources={}, successfulJobsHistoryLimit=3),),
        (fields(failedJobsHistoryLimit=1),),
        (replication_source(customCA={"secretName": "ca", "configMapName": "", "key": "ca.crt"}),),
        (replication_source(maintenanceIntervalDays=7, repositoryPVC="x", retain={}, moverVolumes=[]),),
    ],
)
def test_what_is_as_it_should_be_is_not(objects: tuple[Any, ...]) -> None:
    """One namespace, few names with one ending, names that end in nothing, a present owner, and known fields."""
    assert notes(*objects) == {}


def test_an_orphaned_repository_is_pointed_out() -> None:
    """The owner has no source left; the command gives owner and schedule to one of those who have."""
    job, wish = cron_job(), wants("0 4 * * *", "team-b/source-b")
    message = notes(job, wish)["orphaned"]
    assert "its owner, team-a, has no source left that takes part" in message
    state = handed_over(message[message.index("kubectl") :], job)
    assert (state.owner, state.schedule) == ("team-b", Schedule.parse("0 4 * * *"))
    assert "\n    kubectl patch" in shown(job, wish).partition("note: ")[2]
    assert "kubectl" not in notes(cron_job(bare("team-a")), wants("0 2", "team-b/b"))["orphaned"]
    assert '"spec"' not in notes(job, wants("0 2 * * *", "team-b/b"))["orphaned"]  # who agrees keeps the schedule


@pytest.mark.parametrize(("schedule", "out"), [("@hourly", True), ("* * * * *", True), ("@daily", False)])
def test_an_established_schedule_out_of_bounds_is_pointed_out(schedule: str, out: bool) -> None:
    """By adoption, or an administrator's edit: no policy is asked about that. Bounds inside of bounds count as well."""
    objects = (cron_job(bare("team-a", schedule)), replication_source())
    told = notes(*objects, options=BOUNDED).get("out-of-bounds", "")
    assert ("the policy bounded-bounded-first-wins" in told) == out
    assert notes(*objects) == {}


def test_who_was_first_may_be_unknown() -> None:
    """With a conflict, neither a CronJob nor every creation time, the plan says that it went by names."""
    job, first, second = disagreeing()
    younger = edited(first, creationTimestamp="2024-01-02T00:00:00Z")
    older = edited(second, creationTimestamp="2024-01-01T00:00:00Z")
    for unknown in ((first, second), (younger, second)):
        assert "owner-by-name" in notes(*unknown)
    for known in ((first, wants("0 2 * * *", "team-b/source-b")), (job, first, second), (younger, older)):
        assert "owner-by-name" not in notes(*known)
    assert only(planned(younger, older, status=1))["owner"] == "team-b"


def test_repositories_that_differ_in_their_ca_are_told_apart() -> None:
    """Two of one name would look alike: each says its CA, or its hash where nobody knows the CA."""
    gone = cron_job(CronJobState("00000000000000aa", Schedule.parse("@daily"), "c", {}, None, "shared-repo-secret"))
    private = replication_source("team-b/b", customCA={"configMapName": "ca", "key": "ca.crt"})
    answer = planned(wants("0 2 * * *"), private, gone)
    labels = {it["message"].partition(":")[0] for it in answer["notes"] if it["code"] == "custom-ca"}
    assert labels == {f"shared-repo-secret ({it})" for it in ("no CA", "CA ca ca.crt", "00000000000000aa")}
    assert all(f"{label}: " in shown(wants("0 2 * * *"), private, gone) for label in labels)
