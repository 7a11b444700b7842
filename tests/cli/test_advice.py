"""What does ``kopia-maint plan`` say of what ends a conflict, and of what else deserves a look?"""

from __future__ import annotations

import json
import shlex
from typing import Any

import pytest

pytest.importorskip("click")

from kopia_maint import Claim, CronJobState, Schedule, Verdict, reconcile, state_from_manifest
from kopia_maint._objects import merge_patch

from .command_line import cron_job, documents, invoke, only, planned, wants
from ..helpers import LATER, NOW, REPOSITORY, ask, replication_source, source

TWO = Schedule.parse("0 2 * * *")
FOUR = Schedule.parse("0 4 * * *")


def notes(*objects: Any, status: int = 0, options: tuple[str, ...] = ()) -> dict[str, str]:
    """Return the messages of a plan's notes by their codes."""
    return {it["code"]: it["message"] for it in planned(*objects, status=status, options=options)["notes"]}


def disagreeing() -> tuple[dict[str, Any], ...]:
    """Return a CronJob of team-a's, and two sources that disagree."""
    return cron_job(), wants("0 2 * * *"), wants("0 4 * * *", "team-b/source-b")


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


@pytest.mark.parametrize("policy", ["first-wins", "consensus"])
def test_the_command_hands_over(policy: str) -> None:
    """Its patch, applied to the CronJob, makes the namespace the owner, and establishes what it asked for."""
    [conflict] = only(planned(*disagreeing(), status=1, options=("--policy", policy)))["conflicts"]
    words = shlex.split(conflict["nextSteps"]["handOver"])
    assert words[:6] == ["kubectl", "patch", "cronjob", REPOSITORY.cron_job_name, "-n", "volsync-system"]
    job = merge_patch(cron_job(), json.loads(words[-1]))
    assert (state_from_manifest(job).owner, state_from_manifest(job).schedule) == ("team-b", FOUR)
    [conflict] = only(planned(job, *disagreeing()[1:], status=1))["conflicts"]
    assert conflict["namespace"] == "team-a"


def test_the_command_establishes_nothing_that_stands() -> None:
    """Under consensus the owner's own namespace may be in conflict: the schedule is patched only where it changes."""
    claims = {source("team-a/a"): Claim(FOUR, NOW), source("team-b/b"): Claim(TWO, NOW)}
    state = CronJobState(REPOSITORY.hash, TWO, "team-a", claims)
    objects = (cron_job(state), wants("0 4 * * *", "team-a/a"), wants("0 2 * * *", "team-b/b"))
    [conflict] = only(planned(*objects, status=1, options=("--policy", "consensus")))["conflicts"]
    assert "spec" not in json.loads(shlex.split(conflict["nextSteps"]["handOver"])[-1])


def test_what_is_pasted_into_a_shell_is_quoted() -> None:
    """Kubernetes reads no further than a star's hyphen, so that a tenant can write anything behind it."""
    [conflict] = only(planned(cron_job(), wants("0 4 * * *-'$(reboot)'", "team-b/b"), status=1))["conflicts"]
    words = shlex.split(conflict["nextSteps"]["handOver"])
    assert json.loads(words[-1])["spec"]["schedule"] == "0 4 * * *-'$(reboot)'"


def test_the_table_says_once_what_ends_conflicts() -> None:
    """What is the same for all sources is there once, the command once for each namespace."""
    more = (wants("0 5 * * *", "team-b/other"), wants("0 6 * * *", "team-c/c"), wants("@hourly", "team-d/d", "other"))
    shown = invoke(given=documents(*disagreeing(), *more)).stdout
    assert shown.count("maintenanceCronJob.enabled to false") == 1
    assert shown.count("   kubectl patch cronjob") == 2


def test_the_table_shows_a_few_commands_and_says_where_the_rest_is() -> None:
    """Many tenants in conflict do not flood a terminal; those shown are the first by name, in every run."""
    many = [wants("0 5 * * *", f"team-{number}/source") for number in range(10, 30)]
    shown = invoke(given=documents(*disagreeing(), *many)).stdout
    assert shown.count("   kubectl patch cronjob") == 3
    assert "for 18 more such commands see --output json, handOver" in shown
    assert [line for line in shown.splitlines() if "the owner of" in line] == [
        f" - make {namespace} the owner of shared-repo-secret, as an administrator:"
        for namespace in ("team-10", "team-11", "team-12")
    ]


# --- notes -------------------------------------------------------------------


def test_an_orphaned_repository_is_pointed_out() -> None:
    """The owner has no source left, and somebody has to hand over to one of those who have."""
    message = notes(cron_job(), wants("0 2 * * *", "team-b/source-b"))["orphaned"]
    assert "its owner, team-a, has no source left" in message
    assert "set the annotation volsync.backube/source-namespace of" in message
    assert message.endswith("to one of team-b")


def test_a_suspended_cron_job_is_pointed_out() -> None:
    """Nothing is maintained until somebody resumes it."""
    assert (
        "no maintenance until its spec.suspend is false"
        in notes(cron_job(suspend=True), wants("0 2 * * *"))["suspended"]
    )


def test_superseded_sources_are_pointed_out() -> None:
    """They are in no conflict, and still do not get what they ask for; of many, the first are named."""
    sources = [ask(f"team-a/s{n}", "0 2 * * *") for n in range(7)]
    state = reconcile(None, sources, now=NOW).desired
    state = reconcile(state, [*sources, ask("team-a/t", "0 4 * * *")], now=LATER).desired
    objects = [wants("0 2 * * *", f"team-a/s{n}") for n in range(7)]
    message = notes(cron_job(state), *objects, wants("0 4 * * *", "team-a/t"))["superseded"]
    assert message.endswith("team-a/s0, team-a/s1, team-a/s2, team-a/s3, team-a/s4 and 2 more")


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


def test_one_name_in_several_namespaces_may_be_several_repositories() -> None:
    """Identity goes by the Secret's name, and each namespace has a Secret of its own."""
    agreeing = (wants("0 2 * * *"), wants("0 2 * * *", "team-b/source-b"))
    message = notes(*agreeing)["shared-name"]
    assert "shared-repo-secret (2 namespaces)" in message
    assert "KOPIA_REPOSITORY" in message
    assert notes(wants("0 2 * * *"), wants("0 2 * * *", "team-a/other")) == {}


def test_repositories_that_differ_in_their_ca_are_told_apart() -> None:
    """Two rows with one name would look alike: each says its CA, or its hash where nobody knows the CA."""
    gone = cron_job(CronJobState("00000000000000aa", TWO, "team-c", {}, repository_name="shared-repo-secret"))
    private = replication_source("team-b/b", customCA={"configMapName": "ca", "key": "ca.crt"})
    answer = planned(wants("0 2 * * *"), private, gone)
    labels = {it["message"].partition(":")[0] for it in answer["notes"] if it["code"] == "custom-ca"}
    assert labels == {
        "shared-repo-secret (no CA)",
        "shared-repo-secret (CA ca ca.crt)",
        "shared-repo-secret (00000000000000aa)",
    }
    shown = invoke(given=documents(wants("0 2 * * *"), private)).stdout
    assert "shared-repo-secret (no CA)" in shown
    assert "shared-repo-secret (CA ca ca.crt)" in shown


def test_a_cron_job_that_nobody_needs_is_said_to_go() -> None:
    """In YAML, which has only what should be there, nothing else would tell."""
    result = invoke("--output", "yaml", given=documents(cron_job()))
    assert result.stdout == ""
    assert f"{REPOSITORY.cron_job_name} is to be deleted" in result.stderr


def test_a_bad_cron_job_says_what_it_leaves_out() -> None:
    """A repository that is missing from the plan is not forgotten."""
    damaged = cron_job()
    damaged["spec"]["schedule"] = "0 2"
    shown = invoke(given=documents(damaged, wants("0 4 * * *")))
    assert (shown.exit_code, "shared-repo-secret" in shown.stdout) == (2, False)
    assert "its repository, with all who use it, is left out of the plan" in shown.stderr


@pytest.mark.parametrize(
    ("kopia", "hint"),
    [
        ({"maintenanceCronJob": {"shedule": "0 4 * * *"}}, "(schedule?)"),
        ({"maintenanceCronJob": {"Enabled": False}}, "(enabled?)"),
        ({"maintenanceCronJob": {"cron": "0 4 * * *"}}, "'cron':"),
        ({"maintenanceCronjob": {"schedule": "0 4 * * *"}}, "(maintenanceCronJob?)"),
        ({"customCA": {"secretname": "ca"}}, "(secretName?)"),
        ({"maintenanceCronJob": {"x" * 100_000: 1}}, "…:"),
    ],
)
def test_a_misspelt_field_is_pointed_out(kopia: dict[str, Any], hint: str) -> None:
    """The API server drops it without a word, and so the source would ask for something else than it seems to."""
    [note] = planned(replication_source(**kopia))["notes"]
    assert note["code"] == "unknown-field"
    assert hint in note["message"]
    assert note["message"].startswith("team-a/source-a: VolSync has no field")


def test_fields_that_are_known_or_none_of_our_business_are_not_pointed_out() -> None:
    """Everything that the fork's definition has under the three keys, and whatever else a source may say."""
    kopia: dict[str, Any] = {
        "maintenanceCronJob": {
            "enabled": True,
            "schedule": "0 2 * * *",
            "suspend": False,
            "resources": {},
            "successfulJobsHistoryLimit": 3,
            "failedJobsHistoryLimit": 1,
        },
        "customCA": {"secretName": "ca", "configMapName": "", "key": "ca.crt"},
        "maintenanceIntervalDays": 7,
        "repositoryPVC": "x",
        "retain": {},
        "moverVolumes": [],
    }
    assert planned(replication_source(**kopia))["notes"] == []


# --- what an update changes --------------------------------------------------


def test_an_update_says_what_it_changes() -> None:
    """Schedule, owner, claims and conflict, each where a write would change it; labels where nothing else changes."""
    unowned = CronJobState(REPOSITORY.hash, TWO, None, {})
    assert only(planned(cron_job(unowned), wants("0 4 * * *")))["changes"] == ["schedule", "owner", "claims"]
    assert only(planned(*disagreeing(), status=1))["changes"] == ["claims", "conflict"]
    assert only(planned(cron_job(), wants("@daily")))["changes"] == ["schedule", "claims"]
    bare = cron_job()
    del bare["metadata"]["labels"]
    healed = only(planned(bare, wants("0 2 * * *")))
    assert (healed["action"], healed["changes"]) == ("none", ["labels"])
    shown = invoke(given=documents(bare, wants("0 2 * * *"))).stdout
    assert "update" in shown
    assert "(labels)" in shown
    assert only(planned(cron_job(), wants("0 2 * * *")))["changes"] == []


def test_a_conflict_is_shown_with_the_verdicts_of_the_library() -> None:
    """The plan's conflicts are those of the decision, record by record."""
    decision = reconcile(None, [ask("team-a/source-a", "0 2 * * *"), ask("team-b/source-b", "0 4 * * *")], now=NOW)
    assert decision.verdicts[source("team-b/source-b")] is Verdict.REJECTED
    [shown] = only(planned(*disagreeing(), status=1))["conflicts"]
    [record] = decision.conflicts
    assert shown["message"] == record.message
    assert Conflict.parse(shown["message"]).schedule == FOUR
