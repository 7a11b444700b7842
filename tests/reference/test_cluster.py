"""Do two implementations agree about whole clusters of manifests, with some that are edited, damaged or foreign?"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import json_merge_patch  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st

from kopia_maint import Policy, plan_manifests
from kopia_maint.testing import strategies
from kopia_maint.testing._history import SCHEDULES, moment

from ..helpers import replication_source
from . import cluster, plain
from .cluster import CLAIMS, CONFLICT, HASH, NAMESPACE, OWNER, SECRET
from .decisions import same

Manifest = dict[str, Any]
Edit = Callable[[Manifest], Any]

OPERATOR = "volsync-system"
KOPIA: tuple[dict[str, Any], ...] = (
    {},
    *({"maintenanceIntervalDays": days} for days in (0, 1, 7, 30, 31, 5)),
    *({"maintenanceCronJob": {"schedule": text}} for text in (*SCHEDULES, "", "60 * * * *", "0 0 30 2 *")),
    {"maintenanceCronJob": {"enabled": False, "schedule": "nonsense"}},
)
OTHERWISE: tuple[dict[str, str], ...] = (
    *({"creationTimestamp": f"{year}-01-01T00:00:00Z"} for year in (2023, 2024)),
    {"deletionTimestamp": "2024-01-15T10:00:00Z"},
    {},
)


@st.composite
def sources(draw: st.DrawFn) -> Manifest:
    """A ReplicationSource: it may be disabled, deleted, of the old form, or unreadable."""
    ca = draw(st.sampled_from([{}, {}, {}, {"customCA": {"secretName": "ca-secret", "key": "ca.crt"}}]))
    manifest = replication_source(
        f"team-{draw(st.sampled_from('abc'))}/source-{draw(st.sampled_from('xy'))}",
        **{"repository": draw(st.sampled_from(["shared-repo-secret", "other-secret"])), **ca},
        **draw(st.sampled_from(KOPIA)),
    )
    manifest["metadata"] |= draw(st.sampled_from(OTHERWISE))
    return manifest


def annotated(key: str, value: str) -> Edit:
    return lambda cron_job: cron_job["metadata"].setdefault("annotations", {}).update({key: value})


def labelled(key: str, value: str) -> Edit:
    return lambda cron_job: cron_job["metadata"].setdefault("labels", {}).update({key: value})


CLAIM = '["0 4 * * *","2024-01-01T00:00:00Z","rejected"]'
MARKED = f'{{"version":1,"policy":"first-wins","claims":{{"team-a":{{"source-x":{CLAIM}}}}}}}'
EDITS: tuple[Edit, ...] = (
    *(lambda cron_job, key=key: cron_job["metadata"]["annotations"].pop(key, None) for key in (OWNER, SECRET, CLAIMS)),
    *(annotated(OWNER, owner) for owner in ("", "team-b", "stranger", "Not A Name")),
    *(annotated(SECRET, secret) for secret in ("other-secret", "Not A Name")),
    *(annotated(CLAIMS, text) for text in ("", "{}", "[]", '{"version":1,"claims":{}}', MARKED)),
    *(annotated(CLAIMS, MARKED.replace(*it)) for it in (('1,"p', '2,"p'), ('"policy":"first-wins",', ""))),
    *(annotated(CLAIMS, MARKED.replace(',"rejected"', mark)) for mark in ("", ',"refused"', ',"rejected",1')),
    *(annotated(CLAIMS, MARKED.replace('"0 4 * * *"', wish)) for wish in ("null", '"0 0 30 2 *"', '"x"')),
    annotated(CONFLICT, "anything"),
    annotated("a.stranger/note", "kept"),
    labelled(OWNER, "team-c"),
    labelled(HASH, "0123456789abcdef"),
    labelled("a.stranger/note", "kept"),
    labelled(f"{NAMESPACE}gone", ""),
    *(lambda it, text=text: it["spec"].update(schedule=text) for text in ("0 4 * * *", "0 0 30 2 *", "nonsense")),
    lambda cron_job: cron_job["metadata"].pop("labels", None),
    lambda cron_job: cron_job["metadata"].pop("uid", None),
    lambda cron_job: cron_job["metadata"].update(namespace="team-a"),
)


def observable(cron_job: Manifest | None) -> Any:
    if cron_job is None:
        return None
    metadata = {key: cron_job["metadata"].get(key) for key in ("name", "namespace", "labels", "annotations")}
    return metadata, {key: value for key, value in cron_job["spec"].items() if key != "schedule"}


ROUNDS = st.tuples(
    st.lists(sources(), max_size=7),
    st.booleans(),
    strategies.policies(),
    st.lists(st.none() | st.sampled_from(EDITS), min_size=4, max_size=4),
    st.booleans(),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(ROUNDS, min_size=1, max_size=4))
def test_plans_agree(rounds: list[tuple[list[Manifest], bool, Policy, list[Edit | None], bool]]) -> None:
    """Round after round, each on what the one before has written and somebody has edited."""
    cron_jobs: list[Manifest] = []
    for number, (asked, complete, policy, edits, twice) in enumerate(rounds):
        now, listed = moment(number), asked + copy.deepcopy(asked[:twice])
        plan = plan_manifests(
            cron_jobs=cron_jobs,
            replication_sources=listed,
            template=lambda repository, state: {},
            operator_namespace=OPERATOR,
            complete=complete,
            now=now,
            policy=policy,
        )
        how: dict[str, Any] = {"operator_namespace": OPERATOR, "complete": complete, "now": plain.time(now)}
        answer = cluster.plan(cron_jobs, listed, policy=plain.policy(policy), **how)
        assert list(plan.withheld) == answer["withheld"]
        words = {
            it: standing.verdict.value if standing.verdict else "withheld" for it, standing in plan.standings.items()
        }
        assert {plain.source(it): word for it, word in words.items()} == answer["standings"]
        assert list(plan.decisions) == list(answer["cronJobs"])
        stored = {it["metadata"]["name"]: it for it in cron_jobs if it["metadata"]["namespace"] == OPERATOR}
        for write in plan.writes:
            present = stored.pop(write.name, {})
            if write.action != "delete":
                stored[write.name] = json_merge_patch.merge(copy.deepcopy(present), write.body)
        for name, expected in answer["cronJobs"].items():
            after = stored.get(name)
            assert observable(after) == observable(expected)
            assert after is None or same(after["spec"]["schedule"], expected["spec"]["schedule"])
        cron_jobs = [edited(*it) for it in zip(stored.values(), edits)]
        cron_jobs += copy.deepcopy(cron_jobs[:twice])


def edited(cron_job: Manifest, edit: Edit | None) -> Manifest:
    """Return the CronJob as the server stores it, and as somebody leaves it."""
    cron_job = copy.deepcopy(cron_job)
    cron_job["metadata"] |= {"uid": "a-uid", "resourceVersion": "7"}
    if edit is not None:
        edit(cron_job)
    return cron_job
