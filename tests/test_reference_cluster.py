"""Do two implementations agree about whole clusters of manifests, with some that are edited, damaged or foreign?"""

from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from kopia_maint import Action, plan_manifests

from . import plain, reference_cluster
from .helpers import NOW, replication_source
from .reference import same
from .reference_cluster import CLAIMS, CONFLICT, HASH, NAMESPACE, OWNER, SECRET
from .test_reference import POLICIES, TEXTS

Manifest = dict[str, Any]

OPERATOR = "volsync-system"
SECRETS = ("shared-repo-secret", "other-secret")
CAST = tuple(f"team-{a}/source-{b}" for a in "abc" for b in "xy")
WANTED: tuple[Any, ...] = (
    None,
    *({"schedule": text} for text in TEXTS),
    {"schedule": ""},
    {"enabled": False, "schedule": "nonsense"},
    {"schedule": "60 * * * *"},
    {"schedule": "0 0 30 2 *"},
)


@st.composite
def sources(draw: st.DrawFn) -> Manifest:
    """A ReplicationSource: it may be disabled, deleted, of the old form, or unreadable."""
    kopia: Manifest = {"repository": draw(st.sampled_from(SECRETS))}
    wanted = draw(st.sampled_from(WANTED))
    if wanted is not None:
        kopia["maintenanceCronJob"] = wanted
    elif draw(st.booleans()):
        kopia["maintenanceIntervalDays"] = draw(st.sampled_from([0, 1, 7, 30, 31, 5]))
    if draw(st.integers(0, 4)) == 0:
        kopia["customCA"] = {"secretName": "ca-secret", "key": "ca.crt"}
    manifest = replication_source(draw(st.sampled_from(CAST)), **kopia)
    if draw(st.integers(0, 6)) == 0:
        manifest["metadata"]["deletionTimestamp"] = "2024-01-15T10:00:00Z"
    if draw(st.booleans()):
        manifest["metadata"]["creationTimestamp"] = draw(
            st.sampled_from(["2024-01-01T00:00:00Z", "2023-01-01T00:00:00Z"])
        )
    return manifest


def _annotate(key: str, value: str | None) -> Callable[[Manifest], None]:
    def edit(cron_job: Manifest) -> None:
        annotations = cron_job["metadata"].setdefault("annotations", {})
        annotations.pop(key, None)
        if value is not None:
            annotations[key] = value

    return edit


def _label(key: str, value: str) -> Callable[[Manifest], None]:
    return lambda cron_job: cron_job["metadata"].setdefault("labels", {}).update({key: value})


def _schedule(text: str) -> Callable[[Manifest], None]:
    return lambda cron_job: cron_job["spec"].update(schedule=text)


CLAIM = '["0 4 * * *","2024-01-01T00:00:00Z","rejected"]'
MARKED = f'{{"version":1,"policy":"first-wins","claims":{{"team-a":{{"source-x":{CLAIM}}}}}}}'
EDITS: tuple[Callable[[Manifest], Any], ...] = (
    *(_annotate(OWNER, owner) for owner in (None, "", "team-b", "stranger", "Not A Name")),
    *(_annotate(SECRET, secret) for secret in (None, "other-secret", "Not A Name")),
    *(_annotate(CLAIMS, text) for text in (None, "", "{}", "[]", '{"version":1,"claims":{}}', MARKED)),
    *(
        _annotate(CLAIMS, text)
        for text in (MARKED.replace('1,"p', '2,"p'), MARKED.replace('"policy":"first-wins",', ""))
    ),
    *(_annotate(CLAIMS, MARKED.replace(',"rejected"', mark)) for mark in ("", ',"refused"', ',"rejected",1')),
    *(_annotate(CLAIMS, MARKED.replace('"0 4 * * *"', wish)) for wish in ("null", '"0 0 30 2 *"', '"x"')),
    _annotate(CONFLICT, "anything"),
    _annotate("a.stranger/note", "kept"),
    _label(OWNER, "team-c"),
    _label(HASH, "0123456789abcdef"),
    _label("a.stranger/note", "kept"),
    _label(f"{NAMESPACE}gone", ""),
    _schedule("0 4 * * *"),
    _schedule("0 0 30 2 *"),
    _schedule("nonsense"),
    lambda cron_job: cron_job["metadata"].pop("labels", None),
    lambda cron_job: cron_job["metadata"].pop("uid", None),
    lambda cron_job: cron_job["metadata"].update(namespace="team-a"),
)


def patched(target: Any, patch: Any) -> Any:
    """Apply a merge patch, as RFC 7386 writes it down."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = patched(merged.get(key), value)
    return merged


def observable(cron_job: Manifest | None) -> Any:
    if cron_job is None:
        return None
    metadata = {key: cron_job["metadata"].get(key) for key in ("name", "namespace", "labels", "annotations")}
    return metadata, {key: value for key, value in cron_job["spec"].items() if key != "schedule"}


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_plans_agree(data: st.DataObject) -> None:
    """Round after round, each on what the one before has written and somebody has edited."""
    draw, now = data.draw, NOW
    cron_jobs: list[Manifest] = []
    for _ in range(draw(st.integers(1, 4))):
        now += draw(st.sampled_from([0, 1, 3600])) * timedelta(seconds=1)
        listed = draw(st.lists(sources(), max_size=7))
        listed += copy.deepcopy(listed[: draw(st.integers(0, 1))])
        complete, policy = draw(st.booleans()), draw(st.sampled_from(POLICIES))
        plan = plan_manifests(
            cron_jobs=cron_jobs,
            replication_sources=listed,
            template=lambda repository, state: {},
            operator_namespace=OPERATOR,
            complete=complete,
            now=now,
            policy=policy,
        )
        answer = reference_cluster.plan(
            cron_jobs, listed,
            operator_namespace=OPERATOR, complete=complete, now=plain.time(now), policy=plain.policy(policy),
        )  # fmt: skip
        assert list(plan.withheld) == answer["withheld"]
        words = {
            source: standing.verdict.value if standing.verdict else "withheld"
            for source, standing in plan.standings.items()
        }
        assert {plain.source(source): word for source, word in words.items()} == answer["standings"]
        stored: dict[str, Manifest | None]
        stored = {it["metadata"]["name"]: it for it in cron_jobs if it["metadata"]["namespace"] == OPERATOR}
        writes = {write.name: write for write in plan.writes}
        assert list(plan.decisions) == list(answer["cronJobs"])
        for name, expected in answer["cronJobs"].items():
            write, after = writes.get(name), stored.get(name)
            if write is not None:
                after = patched(after if write.action is Action.UPDATE else {}, write.body)
            if write is not None and write.action is Action.DELETE:
                after = None
            assert observable(after) == observable(expected)
            assert after is None or same(after["spec"]["schedule"], expected["spec"]["schedule"])
            stored[name] = after
        cron_jobs = [edited(cron_job, draw) for cron_job in stored.values() if cron_job is not None]
        cron_jobs += copy.deepcopy(cron_jobs[: draw(st.integers(0, 1))])


def edited(cron_job: Manifest, draw: Any) -> Manifest:
    """Return the CronJob as the server stores it, and as somebody leaves it."""
    cron_job = copy.deepcopy(cron_job)
    cron_job["metadata"] |= {"uid": "a-uid", "resourceVersion": "7"}
    for edit in draw(st.lists(st.sampled_from(EDITS), max_size=1)):
        edit(cron_job)
    return cron_job
