"""`plan_manifests` and `write_for`: objects in, writes out, and nobody's fault stops anybody else."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import pytest

from kopia_maint import (
    Action,
    CronJobState,
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
    with pytest.raises(InvalidValue, match="what template returns must be a Mapping, not None"):
        planned([], [asks("team-a/source-a")], template=lambda repository, state: None)


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


def test_why_a_cron_job_is_withheld() -> None:
    """It stays as it is, and each source that asks for it is told so; the others go on."""
    sources = [asks("team-a/source-a"), asks("team-o/o", repository="other-secret")]
    plan = planned([{**stored(A), "spec": {"schedule": "0 2 * *"}}], sources)
    assert list(plan.decisions) == [write.name for write in plan.writes] == [OTHER.cron_job_name]
    standing = plan.standings[source("team-a/source-a")]
    assert (standing.verdict, standing.reason) == (None, "Withheld")
    assert standing.message == f"Withheld: {NAME} stays as it is: {plan.withheld[NAME]}"
    assert str(plan.withheld[NAME]).startswith("spec.schedule: expected 5 fields")
    assert plan.errors == (plan.withheld[NAME],)


def test_errors_are_told_once_and_in_order() -> None:
    """CronJobs, then sources, each in the order of the input, then what cannot be written."""
    homeless = stored(ask("a/a", repository=Repository("homeless")))
    del homeless["metadata"]["namespace"]
    no_uid = stored(ask("a/a", repository=Repository("no-uid")))
    del no_uid["metadata"]["uid"]
    twice = stored(ask("x/y", repository=OTHER))
    crowd = [asks(f"team-b/{'b' * 240}-{n}") for n in range(1200)]
    typo, restic = asks("team-z/z", "0 4 * *"), {**replication_source("team-z/z"), "spec": {"restic": {}}}
    cron_jobs = [stored(A), homeless, {"kind": "CronJob", "metadata": {}}, twice, {**twice, "spec": {}}, no_uid]
    plan = planned(cron_jobs, [*crowd, copy.deepcopy(typo), typo, restic, asks("team-z/z")])
    told = [
        "metadata.namespace: is missing",
        "metadata.name: is missing",
        "spec.schedule: is missing",
        "spec.kopia.maintenanceCronJob.schedule: expected 5 fields",
        *["the source team-z/z is listed twice, with different content"] * 2,
    ]
    assert [str(error)[: len(start)] for error, start in zip(plan.errors, told)] == told
    too_large = plan.withheld[NAME]
    assert isinstance(too_large, StateTooLarge)
    assert "namespace team-b" in str(too_large)
    unsafe = plan.withheld[no_uid["metadata"]["name"]]
    assert unsafe.path == "metadata.uid"
    assert {*plan.errors[len(told) :]} == {too_large, unsafe}
    assert plan.unreadable == {source("team-z/z"): plan.errors[len(told) - 1]}
    assert all(len(standing.message) <= 1024 for standing in plan.standings.values())


def test_objects_that_are_too_deep_to_compare_differ() -> None:
    """Nobody can say that they are the same."""
    deep: dict[str, Any] = {}
    for _ in range(100_000):
        deep = {"a": deep}
    plan = planned([{**stored(A), "status": deep}, {**stored(A), "status": deep}], [])
    assert list(plan.withheld) == [NAME]


def test_an_object_of_one_name_that_is_none_of_ours_may_be_there_twice() -> None:
    """It is no source; where one of the two is a source, in whatever order, nobody can say which of them is right."""
    restic = [{**replication_source("team-z/z"), "spec": {"restic": {"n": n}}} for n in range(2)]
    assert (planned([], restic).standings, planned([], restic).errors) == ({}, ())
    nothing = replication_source("team-z/z", customCA={"key": "/"}, maintenanceCronJob={"enabled": False})
    assert request_from_manifest(nothing) is None
    both = [nothing, asks("team-z/z", repository="other-secret")]
    kept = planned([stored(A), stored(ask("x/y", repository=OTHER))], both).decisions.values()
    assert all(decision.desired is not None for decision in kept)


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
