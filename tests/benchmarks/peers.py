"""
What else could make the decision? A bare function, and two policy engines.

None of them does what the library does: the bare function checks nothing and
compares texts; the engines say yes or no, and keep no claims and no record.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from json import dumps
from typing import Any

CEDAR = """
permit (principal, action == Action::"ask", resource)
when { !(context has schedule) || context.schedule == resource.schedule };
permit (principal, action == Action::"ask", resource)
when { !(resource has owner) };
permit (principal, action == Action::"ask", resource)
when {
  context.namespace == resource.owner &&
  !resource.claims.contains({"source": context.source, "schedule": context.schedule})
};
forbid (principal, action == Action::"ask", resource)
when { !context.enabled };
"""
REGO = """
package maintenance
known := STATE.claims[input.source]
news if not known
news if known != input.schedule
agrees if input.schedule == null
agrees if input.schedule == STATE.schedule
verdict := "disabled" if not input.enabled
verdict := "agreed" if { input.enabled; agrees }
verdict := "rejected" if { input.enabled; not agrees; input.namespace != STATE.owner }
verdict := "established" if { input.enabled; not agrees; input.namespace == STATE.owner; news }
verdict := "superseded" if { input.enabled; not agrees; input.namespace == STATE.owner; not news }
"""


class NotInstalled(Exception):
    """The peer is no dependency of the tests; ``make bench`` installs it."""


def bare(state: dict[str, Any] | None, request: dict[str, Any], now: Any) -> tuple[str, dict[str, Any] | None]:
    """
    Decide as ``resolve`` does under first-wins, over dicts, with no checks: verdict, schedule, owner and claims.

    Of conflicts it records the request's own; it never looks at the other claims.
    """
    source, wanted = request["source"], request["schedule"]
    if not request["enabled"]:
        if state is not None and source in state["claims"]:
            state = {**state, "claims": {other: claim for other, claim in state["claims"].items() if other != source}}
        return "disabled", state
    if state is None:
        schedule = wanted or "0 2 * * *"
        return "established", {"schedule": schedule, "owner": source[0], "claims": {source: (wanted, now)}}
    known = state["claims"].get(source)
    news = known is None or known[0] != wanted
    if news:
        state = {**state, "claims": {**state["claims"], source: (wanted, now)}}
    agrees = wanted is None or wanted == state["schedule"]
    if state["owner"] is None:
        state = {**state, "owner": source[0], "schedule": wanted or state["schedule"]}
        return "agreed" if agrees else "established", state
    if agrees:
        return "agreed", state
    if source[0] != state["owner"]:
        return "rejected", {**state, "conflict": (source, *state["claims"][source])}
    return ("established", {**state, "schedule": wanted}) if news else ("superseded", state)


def cedar(state: dict[str, Any], namespace: str, schedule: str, *, prepared: bool) -> Callable[[], bool]:
    """
    Return the call that asks Cedar whether what a source wants will stand; it can say yes or no, and no more.

    Policies and state are handed over with each call, as cedarpy's documentation has it; if *prepared*, both are
    parsed beforehand.
    """
    cedarpy = _peer("cedarpy")
    claims = [{"source": source, "schedule": wanted} for source, wanted in state["claims"].items()]
    cron_job = {"uid": {"type": "CronJob", "id": "maintenance"}, "attrs": {**state, "claims": claims}, "parents": []}
    policies: Any = CEDAR
    entities: Any = [cron_job]
    if prepared:
        policies = cedarpy.PolicySet.from_str(CEDAR)
        entities = cedarpy.Entities.from_json_str(dumps(entities))
    source = f"{namespace}/source"
    request = {
        "principal": f'Source::"{source}"',
        "action": 'Action::"ask"',
        "resource": 'CronJob::"maintenance"',
        "context": {"source": source, "namespace": namespace, "schedule": schedule, "enabled": True},
    }
    return lambda: bool(cedarpy.is_authorized(request, policies, entities).allowed)


def rego(state: dict[str, Any], namespace: str, schedule: str, *, prepared: bool) -> Callable[[], bool]:
    """
    Return the call that asks Rego for the verdict, and tells whether it is "agreed"; the module is loaded beforehand.

    The state is part of the input of each query, as ``resolve`` is given it; if *prepared*, it is data that is there,
    the input is set, and the query is compiled.
    """
    regopy = _peer("regopy")
    question = {"source": f"{namespace}/source", "namespace": namespace, "schedule": schedule, "enabled": True}
    engine = regopy.Interpreter()
    if not prepared:
        engine.add_module("maintenance.rego", REGO.replace("STATE", "input.state"))

        def ask() -> bool:
            engine.set_input({**question, "state": state})
            return "agreed" in str(engine.query("data.maintenance.verdict"))

        return ask
    compiler = regopy.Interpreter()
    compiler.add_data({"state": state})
    compiler.add_module("maintenance.rego", REGO.replace("STATE", "data.state"))
    bundle = compiler.build(None, ["maintenance/verdict"])
    engine.set_input(question)
    return lambda: "agreed" in str(engine.query_bundle_entrypoint(bundle, "maintenance/verdict"))


def _peer(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        raise NotInstalled(name) from None
