"""`plan_manifests` and `write_for`: objects in, writes out, and nobody's fault stops anybody else."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import pytest

from kopia_maint import (
    CLAIMS_ANNOTATION,
    Action,
    CronJobState,
    FirstWins,
    InvalidManifest,
    InvalidValue,
    KopiaMaintError,
    Plan,
    Repository,
    RepositoryMismatch,
    StateTooLarge,
    Verdict,
    manifest_from_state,
    plan_manifests,
    reconcile,
    request_from_manifest,
    resolve,
    state_from_manifest,
    write_for,
)
from kopia_maint._objects import merge_patch

from ..helpers import LATER, NOW, REPOSITORY, ask, replication_source, source

NAMESPACE = "volsync-system"
NAME = REPOSITORY.cron_job_name
OTHER = Repository("other-secret")
JOB = {"spec": {"jobTemplate": {"spec": {"backoffLimit": 3}}}}


def asks(who: str, schedule: str = "0 2 * * *", **kopia: Any) -> dict[str, Any]:
    """Return a source that asks for a schedule."""
    return replication_source(who, maintenanceCronJob={"schedule": schedule}, **kopia)


def stored(*requests: Any, **metadata: Any) -> dict[str, Any]:
    """Return the CronJob of a repository whose sources asked, as the API server has it."""
    desired = reconcile(None, requests, now=NOW).desired
    assert desired is not None
    manifest = manifest_from_state(desired, JOB)
    manifest["metadata"].update({"uid": "c0ffee", "resourceVersion": "4711", **metadata})
    return manifest


def planned(cron_jobs: Any = (), sources: Any = (), *, complete: bool = True, **arguments: Any) -> Plan:
    """Return the plan for these objects."""
    given: dict[str, Any] = {"template": lambda repository, state: JOB, "operator_namespace": NAMESPACE, "now": LATER}
    return plan_manifests(cron_jobs=cron_jobs, replication_sources=sources, complete=complete, **{**given, **arguments})


def reasons(plan: Plan) -> dict[str, str]:
    """Return in a word how each source stands."""
    return {str(it): standing.reason for it, standing in plan.standings.items()}


A, B = ask("team-a/source-a", "0 2 * * *"), ask("team-b/source-b", "0 4 * * *")


def test_a_whole_cluster_is_planned_at_once() -> None:
    """One repository's CronJob is created, one's is patched, one's is deleted, and one's stays as it is."""
    alone = ask("team-z/z", "0 2 * * *", repository=OTHER)
    quiet = ask("team-q/q", "0 2 * * *", repository=Repository("quiet-secret"))
    cron_jobs = [stored(A, B), stored(alone), stored(quiet)]
    sources = [
        asks("team-a/source-a"),
        asks("team-b/source-b", "0 6 * * *"),
        asks("team-q/q", repository="quiet-secret"),
        asks("team-n/n", repository="new-secret"),
    ]
    plan = planned(cron_jobs, sources)
    new = Repository("new-secret")
    actions = {write.name: write.action for write in plan.writes}
    assert actions == {NAME: "update", OTHER.cron_job_name: "delete", new.cron_job_name: "create"}
    assert [write.name for write in plan.writes] == sorted(actions)
    assert list(plan.decisions) == sorted([*actions, quiet.repository.cron_job_name])
    assert plan.decisions[quiet.repository.cron_job_name].action is Action.NONE
    assert plan.decisions[NAME].repository == REPOSITORY
    assert plan.decisions[OTHER.cron_job_name].repository is None
    assert [conflict.source for conflict in plan.decisions[NAME].opened] == [source("team-b/source-b")]
    by_action = {write.action.value: write for write in plan.writes}
    assert by_action["delete"].body == {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "preconditions": {"uid": "c0ffee", "resourceVersion": "4711"},
        "propagationPolicy": "Background",
    }
    assert by_action["update"].body["metadata"]["resourceVersion"] == "4711"
    assert by_action["create"].body["spec"] == {**JOB["spec"], "schedule": "0 2 * * *"}
    assert "status" not in by_action["create"].body
    assert reasons(plan) == {
        "team-a/source-a": "Agreed",
        "team-b/source-b": "Rejected",
        "team-n/n": "Agreed",
        "team-q/q": "Agreed",
    }
    assert (plan.unreadable, plan.withheld, plan.errors) == ({}, {}, ())


def test_what_was_written_is_quiet() -> None:
    """The next pass over what the writes made has nothing to write."""
    sources = [asks("team-a/source-a"), asks("team-b/source-b", "0 4 * * *")]
    (create,) = planned([], sources).writes
    assert planned([create.body], sources).writes == ()
    sources.append(asks("team-c/c", "0 6 * * *"))
    (update,) = planned([create.body], sources).writes
    assert planned([merge_patch(create.body, update.body)], sources).writes == ()


def test_the_template_is_called_for_what_is_created_and_only_then() -> None:
    """With the repository and the state; what it raises is raised: it is the author's code."""
    calls: list[tuple[Repository, CronJobState]] = []

    def template(repository: Repository, state: CronJobState) -> Mapping[str, Any]:
        calls.append((repository, state))
        return JOB

    planned([stored(A)], [asks("team-a/source-a", "0 6 * * *")], template=template)
    planned([stored(A)], [], template=template)
    assert calls == []
    plan = planned([], [asks("team-a/source-a")], template=template)
    assert calls == [(REPOSITORY, plan.decisions[NAME].desired)]

    def broken(repository: Repository, state: CronJobState) -> Mapping[str, Any]:
        raise KeyError(repository.secret_name)

    with pytest.raises(KeyError):
        planned([], [asks("team-a/source-a")], template=broken)
    with pytest.raises(InvalidManifest, match="'Job' is not known"):
        planned([], [asks("team-a/source-a")], template=lambda repository, state: {"kind": "Job"})
    with pytest.raises(InvalidValue, match="template must be a Mapping, not None"):
        planned([], [asks("team-a/source-a")], template=lambda repository, state: None)


@pytest.mark.parametrize(
    "stranger",
    [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": NAME, "namespace": NAMESPACE}},
        {"kind": "CronJob", "metadata": {"name": "kopia-maint-x-f11df99437a0f538", "namespace": NAMESPACE}},
        {"kind": "CronJob", "metadata": {"name": NAME, "namespace": "team-a"}},
        {"kind": "", "metadata": {"name": NAME, "namespace": "team-a"}},
        {"kind": "CronJob", "metadata": {"name": NAME, "namespace": "team-a"}, "spec": {"schedule": "damaged"}},
    ],
)
def test_strangers_are_passed_over(stranger: dict[str, Any]) -> None:
    """Another kind, KopiaMaintenance's CronJobs, and what a tenant made in its own namespace, whatever it holds."""
    plan = planned([stranger], [stranger] if stranger["kind"] == "ConfigMap" else [])
    assert (dict(plan.decisions), plan.errors, dict(plan.withheld)) == ({}, (), {})


def test_an_unreadable_source_keeps_claim_and_cron_job() -> None:
    """Its standing says why, and carries the conflict that its claim is in."""
    plan = planned([stored(A, B)], [asks("team-a/source-a"), asks("team-b/source-b", "0 4 * *")])
    standing = plan.standings[source("team-b/source-b")]
    assert (standing.verdict, standing.reason) == (Verdict.UNREADABLE, "Unreadable")
    assert standing.message.startswith("Unreadable: spec.kopia.maintenanceCronJob.schedule: expected 5 fields")
    assert standing.conflict is not None
    assert standing.conflict.schedule == B.schedule
    assert plan.writes == ()
    (error,) = plan.errors
    assert plan.unreadable == {source("team-b/source-b"): error}


@pytest.mark.parametrize(
    ("secret", "known", "kept"),
    [
        ("shared-repo-secret", True, True),
        ("other-secret", True, False),
        ("Not a name", True, False),
        (None, True, False),
        ("other-secret", False, True),
        (None, False, False),
    ],
)
def test_an_unreadable_source_counts_for_the_secret_that_it_names(secret: str | None, known: bool, kept: bool) -> None:
    """Whatever the CA; a CronJob whose Secret is not known counts as well, where it names a valid one."""
    cron_job = stored(A)
    if not known:
        del cron_job["metadata"]["annotations"]["volsync.backube/repository-config"]
    typo = asks("team-z/z", "0 2 * *", repository=secret, customCA={"key": "ca.crt"})
    plan = planned([cron_job], [typo])
    assert [write.action for write in plan.writes] == [Action.UPDATE if kept else Action.DELETE]
    desired = plan.decisions[NAME].desired
    assert (desired is not None and not desired.claims) is kept


@pytest.mark.parametrize("complete", [True, False])
def test_without_all_sources_nothing_is_deleted_and_no_claim_dropped(complete: bool) -> None:
    """A claim of a source that is not listed stands, without a standing of its own."""
    plan = planned([stored(A, B)], [], complete=complete)
    assert [write.action for write in plan.writes] == ([Action.DELETE] if complete else [])
    assert plan.standings == {}
    plan = planned([stored(A, B)], [asks("team-c/c", "0 6 * * *")], complete=complete)
    desired = plan.decisions[NAME].desired
    assert desired is not None
    assert len(desired.claims) == (1 if complete else 3)
    assert list(plan.standings) == [source("team-c/c")]


@pytest.mark.parametrize(
    "nobody",
    [{}, {"type": "ADDED", "object": asks("a/b")}, {"spec": {"kopia": {}}}, replication_source("team-a/Not A Name"), 5],
)
def test_an_object_that_nobody_can_name_makes_a_plan_incomplete(nobody: Any) -> None:
    """It may be any source's."""
    plan = planned([stored(A)], [nobody])
    assert (plan.writes, len(plan.errors), dict(plan.unreadable)) == ((), 1, {})
    assert plan.errors[0].source is None


def test_a_source_that_moved_leaves_and_one_that_reads_as_none_is_not_listed() -> None:
    """It counts in the new repository only; one without spec.kopia counts nowhere."""
    plan = planned([stored(A)], [asks("team-a/source-a", repository="other-secret")])
    assert {write.name: write.action for write in plan.writes} == {NAME: "delete", OTHER.cron_job_name: "create"}
    restic = {**replication_source(), "spec": {"restic": {}}}
    assert [write.action for write in planned([stored(A)], [restic]).writes] == [Action.DELETE]
    assert planned([stored(A)], [restic], complete=False).writes == ()


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        ("spec", {"schedule": "0 2 * *"}, "spec.schedule: expected 5 fields"),
        ("apiVersion", "batch/v2", "apiVersion: 'batch/v2' is not known"),
        ("kind", "", "kind: must not be empty"),
        ("api_version", "batch/v1", "has the key api_version: pass the object"),
    ],
)
def test_a_cron_job_that_cannot_be_understood_is_withheld(path: str, value: Any, told: str) -> None:
    """It stays as it is; its enabled sources stand as Withheld, its disabled ones as Disabled; the others go on."""
    sources = [
        asks("team-a/source-a"),
        replication_source("team-d/d", maintenanceCronJob={"enabled": False}),
        asks("team-o/o", repository="other-secret"),
    ]
    plan = planned([{**stored(A), path: value}], sources)
    assert list(plan.decisions) == [write.name for write in plan.writes] == [OTHER.cron_job_name]
    assert reasons(plan) == {"team-a/source-a": "Withheld", "team-d/d": "Disabled", "team-o/o": "Agreed"}
    standing = plan.standings[source("team-a/source-a")]
    assert (standing.verdict, standing.message) == (None, f"Withheld: {NAME} stays as it is: {plan.withheld[NAME]}")
    assert str(plan.withheld[NAME]).startswith(told)
    assert plan.errors == (plan.withheld[NAME],)


def test_withheld_sources_count_as_listed() -> None:
    """Their claims elsewhere are dropped, even where there may be other sources."""
    damaged = {**stored(ask("x/y", repository=OTHER)), "spec": {}}
    plan = planned([stored(A), damaged], [asks("team-a/source-a", repository="other-secret")], complete=False)
    desired = plan.decisions[NAME].desired
    assert desired is not None
    assert not desired.claims


def test_a_cron_job_without_a_namespace_or_name_is_an_error() -> None:
    """No API server sends one; whose name can be read is withheld."""
    homeless = stored(A)
    del homeless["metadata"]["namespace"]
    plan = planned([homeless, {"kind": "CronJob", "metadata": {"namespace": NAMESPACE}}], [asks("team-a/source-a")])
    assert [error.path for error in plan.errors] == ["metadata.namespace", "metadata.name"]
    assert (plan.writes, list(plan.withheld)) == ((), [NAME])


def test_equal_objects_of_one_name_count_once() -> None:
    """Whatever mappings they are made of."""
    cron_job, one = stored(A, B), asks("team-a/source-a")
    plan = planned([cron_job, copy.deepcopy(cron_job)], [one, copy.deepcopy(one), asks("team-b/source-b", "0 4 * * *")])
    assert (plan.writes, plan.errors) == ((), ())
    typo = asks("team-b/source-b", "0 4 * *")
    assert len(planned([], [typo, copy.deepcopy(typo)]).errors) == 1


def test_objects_that_are_too_deep_to_compare_differ() -> None:
    """Nobody can say that they are the same."""
    deep: dict[str, Any] = {}
    for _ in range(100_000):
        deep = {"a": deep}
    plan = planned([{**stored(A), "status": deep}, {**stored(A), "status": deep}], [])
    assert list(plan.withheld) == [NAME]


def test_different_cron_jobs_of_one_name_are_withheld() -> None:
    """Which of them would it be?"""
    plan = planned([stored(A), stored(A, B)], [asks("team-a/source-a")])
    assert (dict(plan.decisions), plan.writes, list(plan.withheld)) == ({}, (), [NAME])
    assert "is listed twice" in str(plan.errors[0])


def test_different_sources_of_one_name_are_unreadable_for_the_secrets_of_both() -> None:
    """Nobody can say which of them is meant: both repositories' CronJobs stay."""
    cron_jobs = [stored(A), stored(ask("team-a/source-a", "0 2 * * *", repository=OTHER))]
    plan = planned(cron_jobs, [asks("team-z/z"), asks("team-z/z", repository="other-secret")])
    assert [(write.action, write.name) for write in plan.writes] == [
        (Action.UPDATE, name) for name in sorted([NAME, OTHER.cron_job_name])
    ]
    assert reasons(plan) == {"team-z/z": "Unreadable"}
    nothing = replication_source("team-z/z", customCA={"key": "/"}, maintenanceCronJob={"enabled": False})
    assert request_from_manifest(nothing) is None
    kept = planned(cron_jobs, [nothing, asks("team-z/z", repository="other-secret")]).decisions.values()
    assert all(decision.desired is not None for decision in kept)
    restic = [{**replication_source("team-z/z"), "spec": {"restic": {"n": n}}} for n in range(2)]
    assert (planned([], restic).standings, planned([], restic).errors) == ({}, ())
    for third in (asks("team-z/z", "0 4 * *"), {**replication_source("team-z/z"), "spec": {"restic": {}}}):
        for order in ([third, asks("team-z/z")], [asks("team-z/z"), third]):
            assert reasons(planned([], order)) == {"team-z/z": "Unreadable"}


def test_a_state_that_is_too_large_is_withheld_and_told_last() -> None:
    """The others are written; the error names the namespace with the largest share."""
    crowd = [asks(f"team-b/{'b' * 240}-{n}") for n in range(1200)]
    plan = planned([stored(A)], [*crowd, asks("team-o/o", repository="other-secret"), {}])
    assert [write.name for write in plan.writes] == [OTHER.cron_job_name]
    assert [type(error) for error in plan.errors] == [InvalidManifest, StateTooLarge]
    assert "namespace team-b" in str(plan.withheld[NAME])
    assert reasons(plan)["team-o/o"] == "Agreed"
    assert plan.standings[request_from_manifest(crowd[0]).source].reason == "Withheld"  # type: ignore[union-attr]
    assert len(plan.standings[request_from_manifest(crowd[0]).source].message) <= 1024  # type: ignore[union-attr]


@pytest.mark.parametrize("key", ["uid", "resourceVersion"])
def test_a_cron_job_that_cannot_be_deleted_safely_is_withheld(key: str) -> None:
    """Without its uid or resourceVersion another one of that name could be deleted."""
    cron_job = stored(A)
    del cron_job["metadata"][key]
    plan = planned([cron_job], [])
    assert (plan.writes, [error.path for error in plan.errors]) == ((), [f"metadata.{key}"])


def test_what_a_policy_raises_is_raised() -> None:
    """Plans keep objects apart from each other, not the author's own code."""

    class Broken:
        name = "broken"

        def permits(self, state: CronJobState, challenger: Any, /) -> bool:
            raise KeyError(challenger)

    with pytest.raises(KeyError):
        planned([], [asks("team-a/source-a", "0 4 * * *")], policy=Broken())


def test_plans_and_writes_are_values_without_a_hash() -> None:
    """They hold plain JSON."""
    plan = planned([], [asks("team-a/source-a")])
    assert plan == planned([], [asks("team-a/source-a")])
    for value in (plan, plan.writes[0]):
        with pytest.raises(TypeError, match="unhashable"):
            hash(value)


# --- one CronJob -------------------------------------------------------------------


def test_write_for_says_create_patch_delete_or_nothing() -> None:
    """The same for one CronJob."""
    created = write_for(resolve(None, A, now=NOW), None, JOB, operator_namespace=NAMESPACE)
    assert created is not None
    assert (created.action, created.name, created.namespace) == (Action.CREATE, NAME, NAMESPACE)
    manifest = stored(A)
    state = state_from_manifest(manifest)
    assert state is not None
    assert write_for(resolve(state, A, now=LATER), manifest, JOB, operator_namespace=NAMESPACE) is None
    patched = write_for(resolve(state, B, now=LATER), manifest, JOB, operator_namespace=NAMESPACE)
    assert patched is not None
    assert (patched.action, patched.body["metadata"]["resourceVersion"]) == (Action.UPDATE, "4711")
    deleted = write_for(reconcile(state, [], now=LATER), manifest, JOB, operator_namespace=NAMESPACE)
    assert deleted is not None
    assert deleted.action is Action.DELETE
    nothing = reconcile(None, [], now=LATER)
    assert write_for(nothing, None, JOB, operator_namespace=NAMESPACE) is None


def test_a_write_that_only_repairs_is_an_update() -> None:
    """The write says whether to write, not the decision's action."""
    manifest = stored(A)
    manifest["metadata"]["labels"]["volsync.backube/source-namespace"] = "team-b"
    decision = resolve(state_from_manifest(manifest), A, now=LATER)
    write = write_for(decision, manifest, JOB, operator_namespace=NAMESPACE)
    assert (decision.action, write is not None and write.action) == (Action.NONE, Action.UPDATE)


def test_a_stale_decision_is_not_written_with_a_fresh_resource_version() -> None:
    """The CronJob must hold what was decided about: in place, of that repository, and in the operator's namespace."""
    decision = resolve(state_from_manifest(stored(A)), B, now=LATER)
    foreign = stored(ask("x/y", repository=OTHER))
    cases: list[tuple[Any, type[KopiaMaintError], str]] = [
        (stored(A, B), InvalidValue, "does not hold decision.current"),
        (None, InvalidValue, "does not hold decision.current"),
        (stored(A, namespace="team-a"), InvalidValue, "in namespace 'team-a', not in volsync-system"),
        (foreign, RepositoryMismatch, "is not the CronJob that was decided about"),
        ({"kind": "Pod", "metadata": {"name": NAME}}, RepositoryMismatch, "is not the CronJob"),
        ({**stored(A), "spec": {}}, InvalidManifest, "is missing"),
    ]
    for cron_job, kind, told in cases:
        with pytest.raises(kind, match=told):
            write_for(decision, cron_job, JOB, operator_namespace=NAMESPACE)
    with pytest.raises(InvalidValue, match=r"does not hold decision\.current"):
        write_for(resolve(None, A, now=NOW), stored(A), JOB, operator_namespace=NAMESPACE)


def test_no_deletion_without_uid_and_resource_version() -> None:
    """Both are preconditions."""
    manifest = stored(A)
    del manifest["metadata"]["uid"]
    decision = reconcile(state_from_manifest(manifest), [], now=LATER, policy=FirstWins())
    with pytest.raises(InvalidManifest, match=r"metadata\.uid: is missing"):
        write_for(decision, manifest, JOB, operator_namespace=NAMESPACE)


def test_adoption_gives_a_cron_job_its_claims() -> None:
    """One that has none yet, as the fork's: the first write adds them, for one source or for all."""
    manifest = stored(A)
    del manifest["metadata"]["annotations"][CLAIMS_ANNOTATION]
    plan = planned([manifest], [asks("team-a/source-a"), asks("team-b/source-b", "0 4 * * *")])
    (write,) = plan.writes
    assert set(write.body["metadata"]["annotations"]) == {CLAIMS_ANNOTATION, "volsync.backube/schedule-conflict"}
