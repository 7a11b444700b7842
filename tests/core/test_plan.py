"""`plan_manifests` and `write_for`: objects in, writes out, and nobody's fault stops anybody else."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from kopia_maint import (
    CronJobState,
    Decision,
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
    resolve,
    state_from_manifest,
    write_for,
)

from ..helpers import LATER, NOW, REPOSITORY, ask, replication_source, source, state_of

NAMESPACE = "volsync-system"
NAME = REPOSITORY.cron_job_name
OTHER = Repository("other-secret")
JOB = {"spec": {"jobTemplate": {"spec": {"backoffLimit": 3}}}}


def asks(who: str, schedule: str = "0 2 * * *", **kopia: Any) -> dict[str, Any]:
    """Return a source that asks for a schedule."""
    return replication_source(who, maintenanceCronJob={"schedule": schedule}, **kopia)


def stored(*requests: Any, **metadata: Any) -> dict[str, Any]:
    """Return the CronJob of a repository whose sources asked, as the API server has it."""
    manifest = manifest_from_state(state_of(*requests), JOB)
    manifest["metadata"].update({"uid": "c0ffee", "resourceVersion": "4711", **metadata})
    return manifest


def planned(cron_jobs: Any = (), sources: Any = (), *, complete: bool = True, **arguments: Any) -> Plan:
    """Return the plan for these objects."""
    given: dict[str, Any] = {"template": lambda repository, state: JOB, "operator_namespace": NAMESPACE, "now": LATER}
    return plan_manifests(cron_jobs=cron_jobs, replication_sources=sources, complete=complete, **{**given, **arguments})


A, B = ask("team-a/source-a", "0 2 * * *"), ask("team-b/source-b", "0 4 * * *")


def test_the_template_is_called_for_what_is_created_and_only_then() -> None:
    """With the repository and the state."""
    calls: list[tuple[Repository, CronJobState]] = []

    def template(repository: Repository, state: CronJobState) -> Mapping[str, Any]:
        calls.append((repository, state))
        return JOB

    planned([stored(A)], [asks("team-a/source-a", "0 6 * * *")], template=template)
    planned([stored(A)], [], template=template)
    assert calls == []
    plan = planned([], [asks("team-a/source-a")], template=template)
    assert calls == [(REPOSITORY, plan.decisions[NAME].desired)]


def broken(*asked: Any) -> Any:
    raise KeyError(asked)


@pytest.mark.parametrize(
    ("code", "kind", "told"),
    [
        ({"template": broken}, KeyError, "shared-repo-secret"),
        ({"template": lambda *_: {"kind": "Job"}}, InvalidManifest, "'Job' is not known"),
        ({"template": lambda *_: None}, InvalidValue, "what template returns must be a Mapping, not None"),
        ({"policy": SimpleNamespace(name="broken", permits=broken)}, KeyError, "source-a"),
    ],
)
def test_what_the_authors_code_raises_is_raised(code: dict[str, Any], kind: type[Exception], told: str) -> None:
    """Plans keep objects apart from each other, not the author's own code."""
    with pytest.raises(kind, match=told):
        planned([], [asks("team-a/source-a", "0 4 * * *")], **code)


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


def test_plans_and_writes_are_values_without_a_hash() -> None:
    """They hold plain JSON."""
    plan = planned([], [asks("team-a/source-a")])
    assert plan == planned([], [asks("team-a/source-a")])
    for value in (plan, plan.writes[0]):
        with pytest.raises(TypeError, match="unhashable"):
            hash(value)


# --- one CronJob -------------------------------------------------------------------


def test_write_for_says_create_patch_delete_or_nothing() -> None:
    """The same for one CronJob; it says whether to write, not the decision's action."""
    manifest, drifted = stored(A), stored(A)
    drifted["metadata"]["labels"]["volsync.backube/source-namespace"] = "team-b"
    state = state_from_manifest(manifest)
    cases: list[tuple[Decision, Any, str | None]] = [
        (resolve(None, A, now=NOW), None, "create"),
        (resolve(state, A, now=LATER), manifest, None),
        (resolve(state, A, now=LATER), drifted, "update"),
        (resolve(state, B, now=LATER), manifest, "update"),
        (reconcile(state, [], now=LATER), manifest, "delete"),
        (reconcile(None, [], now=LATER), None, None),
    ]
    for decision, cron_job, action in cases:
        write = write_for(decision, cron_job, JOB, operator_namespace=NAMESPACE)
        assert (write and write.action) == action
        assert write is None or (write.name, write.namespace) == (NAME, NAMESPACE)
        if write and write.action == "delete":
            assert write.body == {
                "apiVersion": "v1",
                "kind": "DeleteOptions",
                "preconditions": {"uid": "c0ffee", "resourceVersion": "4711"},
                "propagationPolicy": "Background",
            }


def test_a_stale_decision_is_not_written_with_a_fresh_resource_version() -> None:
    """The CronJob must hold what was decided about: in place, of that repository, and in the operator's namespace."""
    decision, created = resolve(state_from_manifest(stored(A)), B, now=LATER), resolve(None, A, now=NOW)
    lower, higher = (stored(ask("x/y", repository=it)) for it in (OTHER, Repository("f")))  # by their hashes
    cases: list[tuple[Decision, Any, type[KopiaMaintError], str]] = [
        (decision, stored(A, B), InvalidValue, "does not hold decision.current"),
        (decision, None, InvalidValue, "does not hold decision.current"),
        (created, stored(A), InvalidValue, "does not hold decision.current"),
        (decision, stored(A, namespace="team-a"), InvalidValue, "in namespace 'team-a', not in volsync-system"),
        (decision, stored(A, namespace="zoo"), InvalidValue, "in namespace 'zoo', not in volsync-system"),
        (created, lower, RepositoryMismatch, "is not the CronJob that was decided about"),
        (decision, lower, RepositoryMismatch, "is not the CronJob that was decided about"),
        (decision, higher, RepositoryMismatch, "is not the CronJob that was decided about"),
        (decision, {"kind": "Pod", "metadata": {"name": NAME}}, RepositoryMismatch, "is not the CronJob"),
        (decision, {**stored(A), "spec": {}}, InvalidManifest, "is missing"),
    ]
    for decided, cron_job, kind, told in cases:
        with pytest.raises(kind, match=told):
            write_for(decided, cron_job, JOB, operator_namespace=NAMESPACE)
