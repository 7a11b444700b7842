"""How does the cost grow with the number of sources, and what does one more source cost?"""

from __future__ import annotations

from typing import Any

import kopia_maint
from kopia_maint import (
    patch_from_state,
    plan,
    reconcile,
    request_from_manifest,
    resolve,
    state_from_manifest,
)

from . import cases
from .timing import Effort, seconds, timer

SIZES = (10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000, 100_000)
CURVES = {
    "conflict": "resolve, a new conflict",
    "again": "resolve, asked before",
    "reconcile": "reconcile, per source",
    "plan": "plan, per source",
}
REPOSITORIES = (50, 500, 3_000)
PER_REPOSITORY = 50
"""How many sources share a repository where a whole cluster is planned."""


def growth(effort: Effort) -> dict[str, list[float]]:
    """Return the seconds of each curve at each size, in a cluster where nothing but the conflict is new."""
    curves: dict[str, list[float]] = {name: [] for name in CURVES}
    for size in SIZES:
        count = max(size // effort.scale, 1)
        asked, cluster = cases.requests(count), cases.requests(count, PER_REPOSITORY)
        names = {
            **vars(kopia_maint),
            "state": reconcile(None, asked, now=cases.NOW).desired,
            "states": [decision.desired for decision in plan((), cluster, now=cases.NOW).values()],
            "asked": asked,
            "cluster": cluster,
            "known": asked[count // 2],
            "new": request_from_manifest(cases.newcomer()),
            "now": cases.LATER,
        }
        for name, expression, parts in (
            ("conflict", "resolve(state, new, now=now)", 1),
            ("again", "resolve(state, known, now=now)", 1),
            ("reconcile", "reconcile(state, asked, now=now)", count),
            ("plan", "plan(states, cluster, now=now)", count),
        ):
            curves[name].append(seconds(timer(expression, names), effort.large, effort.loop) / parts)
    return curves


def one_more(effort: Effort) -> list[dict[str, Any]]:
    """Return, for each size of repository, what a new source costs, one that asks again, and a look at all of them."""
    costs = []
    for size in REPOSITORIES:
        count = max(size // effort.scale, 1)
        sources = list(cases.source_manifests(count, count))
        cron_job, again, new = cases.cron_job(cases.crowd(count)), sources[count // 2], cases.newcomer()
        if patch_for(cron_job, again) is not None or patch_for_all(cron_job, sources) is not None:
            raise AssertionError("what was asked before changes nothing")
        annotations = cron_job["metadata"]["annotations"]
        grown = {**annotations, **(patch_for(cron_job, new) or {})["metadata"]["annotations"]}
        names = {**globals(), "cron_job": cron_job, "again": again, "new": new, "sources": sources}
        costs.append(
            {
                "sources": count,
                "bytes": _size(annotations),
                "more_bytes": _size(grown) - _size(annotations),
                **{
                    name: seconds(timer(expression, names), effort.large, effort.loop)
                    for name, expression in (
                        ("new", "patch_for(cron_job, new)"),
                        ("again", "patch_for(cron_job, again)"),
                        ("all", "patch_for_all(cron_job, sources)"),
                    )
                },
            }
        )
    return costs


def patch_for(cron_job: dict[str, Any], source: dict[str, Any]) -> dict[str, Any] | None:
    """Decide for one source, from manifest to patch."""
    request = request_from_manifest(source)
    assert request is not None
    desired = resolve(state_from_manifest(cron_job), request, now=cases.LATER).desired
    return None if desired is None else patch_from_state(desired, cron_job)


def patch_for_all(cron_job: dict[str, Any], sources: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Decide for every source of the repository, from manifests to patch."""
    asked = [request for source in sources if (request := request_from_manifest(source)) is not None]
    desired = reconcile(state_from_manifest(cron_job), asked, now=cases.LATER).desired
    return None if desired is None else patch_from_state(desired, cron_job)


def _size(annotations: dict[str, str]) -> int:
    return sum(len(key.encode()) + len(value.encode()) for key, value in annotations.items())
