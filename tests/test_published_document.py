"""Every statement of the published document on maintenance schedule conflicts, as an example."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from kopia_maint import (
    Action,
    Conflict,
    CronJobState,
    CustomCA,
    Repository,
    Schedule,
    SourceRequest,
    Verdict,
    manifest_from_state,
    reconcile,
    request_from_manifest,
    resolve,
    state_from_manifest,
)

from .helpers import LATER, MUCH_LATER, NOW, ask

SCENARIOS: dict[str, list[dict[str, Any]]] = yaml.safe_load(
    Path(__file__).with_name("data").joinpath("published-scenarios.yaml").read_text("utf-8")
)


def requests(scenario: str) -> list[SourceRequest]:
    """Return the requests of a scenario's manifests."""
    found = [request_from_manifest(manifest) for manifest in SCENARIOS[scenario]]
    return [request for request in found if request is not None]


@pytest.fixture
def scenario_1() -> CronJobState:
    """Return the state after both teams have asked."""
    first, second = requests("scenario-1")
    state = resolve(None, first, now=NOW).desired
    desired = resolve(state, second, now=LATER).desired
    assert desired is not None
    return desired


def test_there_is_a_single_cron_job_per_repository_in_the_operator_namespace() -> None:
    """However many sources use a repository, they get one CronJob, in the operator's namespace."""
    state = reconcile(None, requests("scenario-1"), now=NOW).desired
    assert state is not None
    manifest = manifest_from_state(state, {})
    assert manifest["kind"] == "CronJob"
    assert manifest["metadata"]["namespace"] == "volsync-system"
    assert {request.repository.cron_job_name for request in requests("scenario-1")} == {manifest["metadata"]["name"]}


def test_scenario_1_the_first_source_sets_the_schedule(scenario_1: CronJobState) -> None:
    """02:00 stays: the first source to create the CronJob determines the schedule."""
    assert scenario_1.schedule == Schedule.parse("0 2 * * *")
    assert scenario_1.owner == "team-a"


def test_scenario_1_a_conflict_annotation_is_added(scenario_1: CronJobState) -> None:
    """Team-b's schedule is ignored, and the annotation says so in the published words."""
    annotations = manifest_from_state(scenario_1, {})["metadata"]["annotations"]
    assert annotations["volsync.backube/schedule-conflict"] == (
        "Last conflict: Schedule '0 4 * * *' requested from namespace 'team-b' at 2024-01-15T11:30:00Z"
        " (rejected - first-wins strategy)"
    )


def test_different_namespaces_cannot_override_however_often_they_ask(scenario_1: CronJobState) -> None:
    """Sources of other namespaces cannot change the established schedule, on no reconcile."""
    _, second = requests("scenario-1")
    for _ in range(20):
        resolution = resolve(scenario_1, second, now=MUCH_LATER)
        assert resolution.verdict is Verdict.REJECTED
        assert resolution.desired is scenario_1


def test_scenario_2_the_same_namespace_can_update() -> None:
    """03:00 is applied: within one namespace the latest configuration takes precedence."""
    first, second = requests("scenario-2")
    state = resolve(None, first, now=NOW).desired
    resolution = resolve(state, second, now=LATER)
    assert resolution.verdict is Verdict.ESTABLISHED
    assert resolution.desired is not None
    assert resolution.desired.schedule == Schedule.parse("0 3 * * *")
    assert resolution.desired.latest_conflict is None


def test_the_schedule_persists_after_the_first_source_is_deleted(scenario_1: CronJobState) -> None:
    """02:00 stays after source-a is deleted, as long as another source uses the repository."""
    _, second = requests("scenario-1")
    desired = reconcile(scenario_1, [second], now=MUCH_LATER).desired
    assert desired is not None
    assert desired.schedule == Schedule.parse("0 2 * * *")
    assert desired.orphaned


def test_the_cron_job_persists_until_no_source_references_the_repository(scenario_1: CronJobState) -> None:
    """The CronJob goes with its last source, not before."""
    first, second = requests("scenario-1")
    assert reconcile(scenario_1, [first], now=LATER).action is Action.UPDATE
    assert reconcile(scenario_1, [second], now=LATER).action is Action.UPDATE
    assert reconcile(scenario_1, [], now=LATER).action is Action.DELETE


def test_a_disabled_source_does_not_affect_maintenance_scheduling(scenario_1: CronJobState) -> None:
    """`enabled: false` neither creates a CronJob nor changes one."""
    (disabled,) = requests("disabled")
    assert resolve(None, disabled, now=NOW).desired is None
    assert resolve(scenario_1, disabled, now=NOW).desired is scenario_1
    assert resolve(scenario_1, disabled, now=NOW).verdict is Verdict.DISABLED


def test_labels_select_maintenance_cron_jobs_and_track_namespaces(scenario_1: CronJobState) -> None:
    """`kubectl get cronjobs -l volsync.backube/kopia-maintenance=true` finds it; labels name who uses it."""
    labels = manifest_from_state(scenario_1, {})["metadata"]["labels"]
    assert labels["volsync.backube/kopia-maintenance"] == "true"
    assert {key for key in labels if key.startswith("source-namespace.volsync.backube/")} == {
        "source-namespace.volsync.backube/team-a",
        "source-namespace.volsync.backube/team-b",
    }


def test_identity_is_secret_name_and_ca_only() -> None:
    """The hash excludes namespace and schedule, and is the one the fork's Go code computes."""
    assert Repository("shared-repo-secret").hash == "f11df99437a0f538"
    assert Repository("repo1", CustomCA(secret_name="ca-secret", key="ca.crt")).hash == "7aa5925ff8bd3439"
    assert len({request.repository.hash for request in requests("scenario-1")}) == 1


def test_the_published_annotation_is_understood() -> None:
    """The example breaks the line after the namespace; it is read all the same."""
    text = (
        "Last conflict: Schedule '0 4 * * *' requested from namespace 'team-b'\n"
        "at 2024-01-15T10:30:00Z (rejected - first-wins strategy)\n"
    )
    assert Conflict.parse(text) == Conflict(namespace="team-b", schedule=Schedule.parse("0 4 * * *"), since=NOW)


def test_separate_repositories_do_not_meet() -> None:
    """Best practice 2, and alternative 1: with a repository of its own, each team has its schedule."""
    mine = resolve(None, ask("team-a/source-a", "0 2 * * *", repository=Repository("repo-a")), now=NOW).desired
    yours = resolve(None, ask("team-b/source-b", "0 4 * * *", repository=Repository("repo-b")), now=NOW).desired
    assert mine is not None
    assert yours is not None
    assert mine.cron_job_name != yours.cron_job_name
    assert yours.latest_conflict is None


def test_consensus_scheduling_ends_the_conflict(scenario_1: CronJobState) -> None:
    """Alternative 3: once all agree on a common schedule, the annotation goes."""
    desired = resolve(scenario_1, ask("team-b/source-b", "@daily"), now=MUCH_LATER).desired
    desired = resolve(desired, ask("team-a/source-a", "0 0 * * *"), now=MUCH_LATER).desired
    assert desired is not None
    assert desired.latest_conflict is None
    assert "volsync.backube/schedule-conflict" not in manifest_from_state(desired, {})["metadata"]["annotations"]
    assert state_from_manifest(manifest_from_state(desired, {})) == desired
