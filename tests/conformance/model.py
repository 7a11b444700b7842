"""What does the reference model answer to a line of the wire? It reads and writes manifests by itself, too."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from ..reference import decisions as reference
from ..reference.cluster import plan, read, read_source, write
from ..reference.decisions import Policy, Refused, bounded, consensus, first_wins, runs

Json = dict[str, Any]

POLICIES: dict[str, Policy] = {"first-wins": ("first-wins", first_wins), "consensus": ("consensus", consensus)}


def answer(asked: Json) -> Json:
    """
    Answer a line about manifests of a sound shape.

    Raises:
        Refused: The line is refused.
    """
    op, policy, now, current = asked["op"], _policy(asked["policy"]), asked.get("now", ""), asked.get("current")
    if op == "plan":
        arguments = {"operator_namespace": asked["operatorNamespace"], "complete": asked["complete"]}
        planned = plan(asked["cronJobs"], asked["replicationSources"], now=now, policy=policy, **arguments)
        return {**planned, "standings": _named(planned["standings"])}
    state = current and read(current)
    told: Json = {}
    if op == "resolve":
        told["verdict"], after = reference.resolve(state, read_source(asked["request"]), now, policy)
    elif op == "reconcile":
        requests, unreadable = [], []
        for manifest in asked["requests"]:
            try:
                requests.append(read_source(manifest))
            except Refused:
                unreadable.append((manifest["metadata"]["namespace"], manifest["metadata"]["name"]))
        verdicts, after = reference.reconcile(state, requests, now, policy, unreadable=unreadable)
        told["verdicts"] = _named(verdicts)
    elif op == "handOver":
        assert state is not None
        after = reference.hand_over(state, asked["namespace"], policy)
    else:
        assert state is not None
        namespace, _, name = asked["source"].partition("/")
        after = reference.withdraw(state, (namespace, name), policy)
    if after is None:
        return {**told, "cronJob": None}
    name = f"kopia-maintenance-{after['repository']}"
    return {**told, "cronJob": write(after, current, name, "volsync-system")}


def _named(words: dict[Any, str]) -> dict[str, str]:
    return {"/".join(source): word for source, word in sorted(words.items())}


def _policy(asked: Any) -> Policy:
    if isinstance(asked, str):
        return POLICIES[asked]
    shortest, longest = (
        timedelta(seconds=runs(f"@every {asked[key]}")[0]) if key in asked else None for key in ("shortest", "longest")
    )
    return bounded(POLICIES[asked["policy"]], shortest, longest)
