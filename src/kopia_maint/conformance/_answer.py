"""
What does this library answer to a line of the conformance wire format?

One JSON object comes in, and one goes out, whatever came in. The objects inside
are the Kubernetes manifests themselves, so that every implementation can use its
own types. Nothing is remembered between lines.
"""

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from math import isinf
from typing import Any, TypeVar

from .._cron import bit_sets
from .._decision import Action
from .._errors import InvalidManifest, InvalidSchedule, InvalidValue, KopiaMaintError, at, shown
from .._manifest import manifest_from_state, patch_from_state, request_from_manifest, state_from_manifest
from .._model import CronJobState, SourceRef, check_name, parse_time
from .._objects import MAX_DEPTH, Fields, attempt, is_deep, merge_patch
from .._plan import plan_manifests
from .._policy import POLICIES, Bounded, Policy
from .._resolver import hand_over, reconcile, resolve, withdraw

MAX_LENGTH = 64 * 1024 * 1024
"""Bytes of one line: a list of more sources than one CronJob can hold claims of is shorter."""

T = TypeVar("T")
Answer = dict[str, Any]


def answer(line: str | bytes) -> Answer:
    """
    Answer one line; what is refused is answered with ``{"error": {"code", "message", "path"}}``.

    Args:
        line: A JSON object with ``op`` (a key of ``OPS``), ``policy``, and what the op needs. Of several faults, the
            first is answered: ``op``, ``policy``, ``now``, then what is asked for, then the CronJob.
    """
    try:
        asked = Fields(read(line))
        return _one_of(OPS, asked, "op")(asked, _policy(asked))
    except KopiaMaintError as error:
        return {"error": {"code": error.code, "message": error.message, "path": error.path}}


def read(line: str | bytes) -> dict[str, Any]:
    """
    Read a line, a question or an answer.

    Raises:
        InvalidValue: It is not one JSON object, or one that is too long or too deep.
    """
    if len(line) > MAX_LENGTH:
        raise InvalidValue(f"the line is longer than {MAX_LENGTH} bytes")
    try:
        text = line if isinstance(line, str) else line.decode()
        value = json.loads(text, parse_float=_number, parse_constant=_number)
    except (ValueError, RecursionError) as error:
        raise InvalidValue(f"the line is not JSON: {shown(str(error))}") from None
    if not isinstance(value, dict):
        raise InvalidValue("the line must be a JSON object, with op, policy, and what the op needs")
    if is_deep(value):
        raise InvalidValue(f"the line nests more than {MAX_DEPTH} deep")
    return value


def _number(text: str) -> float:
    """Refuse what JSON cannot write down again: NaN and the infinities, however they are spelt."""
    value = float(text) if text != "NaN" else float("inf")
    if isinf(value):
        raise ValueError(f"{text} is not a number that JSON knows")
    return value


# --- the ops -----------------------------------------------------------------------


def _resolve(asked: Fields, policy: Policy) -> Answer:
    now, current = _now(asked), asked.members.get("current")
    with at("request"):
        request = request_from_manifest(asked.members.get("request"))  # type: ignore[arg-type] # it says what is wrong
    if request is None:
        return {"verdict": None, "cronJob": current}
    decision = resolve(_state(asked), request, now=now, policy=policy)
    return {"verdict": decision.verdict.value, "cronJob": _written(decision.desired, current)}


def _reconcile(asked: Fields, policy: Policy) -> Answer:
    now, requests, unreadable = _now(asked), [], []
    for index, manifest in enumerate(_list(asked, "requests")):
        try:
            with at(f"requests[{index}]"):
                request = request_from_manifest(manifest)
        except KopiaMaintError as error:
            if error.source is None:  # nobody can say whose claim has to stay
                raise
            unreadable.append(error.source)
        else:
            requests += [request] if request else []
    decision = reconcile(_state(asked), requests, now=now, policy=policy, unreadable=unreadable)
    verdicts = {str(source): verdict.value for source, verdict in decision.verdicts.items()}
    return {"verdicts": verdicts, "cronJob": _written(decision.desired, asked.members.get("current"))}


def _hand_over(asked: Fields, policy: Policy) -> Answer:
    namespace = asked.read("namespace", check_name, "namespace", variables=False)
    decision = hand_over(_required(_state(asked), "current"), namespace, policy=policy)
    return {"cronJob": _written(decision.desired, asked.members["current"])}


def _withdraw(asked: Fields, policy: Policy) -> Answer:
    source = asked.read("source", lambda text: SourceRef(*(text.partition("/")[::2])), variables=False)
    decision = withdraw(_required(_state(asked), "current"), source, policy=policy)
    return {"cronJob": _written(decision.desired, asked.members["current"])}


def _plan(asked: Fields, policy: Policy) -> Answer:
    now, sources, cron_jobs = _now(asked), _list(asked, "replicationSources"), _list(asked, "cronJobs")
    namespace = asked.read("operatorNamespace", check_name, "namespace", variables=False)
    plan = plan_manifests(
        cron_jobs=cron_jobs,
        replication_sources=sources,
        template=lambda *_: {},
        operator_namespace=namespace,
        complete=_required(asked.get("complete", bool, "true or false"), "complete"),
        now=now,
        policy=policy,
    )
    after: dict[str, Any] = dict.fromkeys(plan.decisions)
    for cron_job in cron_jobs:
        state = attempt(state_from_manifest, cron_job)
        if state and state.cron_job_name in after and cron_job["metadata"].get("namespace") == namespace:
            after[state.cron_job_name] = cron_job
    for write in plan.writes:
        deleted = write.action is Action.DELETE
        after[write.name] = None if deleted else merge_patch(after[write.name], write.body)
    standings = {str(source): standing.reason.lower() for source, standing in plan.standings.items()}
    return {"cronJobs": after, "standings": standings, "withheld": [*plan.withheld]}


OPS: Mapping[str, Callable[[Fields, Policy], Answer]] = {
    "resolve": _resolve,
    "reconcile": _reconcile,
    "handOver": _hand_over,
    "withdraw": _withdraw,
    "plan": _plan,
}


# --- what the ops need ---------------------------------------------------------------


def _policy(asked: Fields) -> Policy:
    """Read a policy: its name, or a mapping for a bounded one, whose bounds are Go durations as ``@every`` has them."""
    if not isinstance(asked.members.get("policy"), dict):
        return _one_of(POLICIES, asked, "policy")
    bounded = asked.mapping("policy")
    _one_of({"bounded": Bounded}, bounded, "name")
    inner = _one_of(POLICIES, bounded, "policy")
    shortest, longest = (_duration(bounded, key) for key in ("shortest", "longest"))
    with at("policy"):
        return Bounded(inner, shortest=shortest, longest=longest)


def _duration(bounded: Fields, key: str) -> timedelta | None:
    text = bounded.string(key, variables=False)
    if text is None:
        return None
    try:
        seconds = bit_sets(f"@every {text}")
    except InvalidSchedule:
        message = f"{shown(text)} is not a Go duration, such as 90m or 1h30m"
        raise InvalidValue(message, path=bounded.path(key)) from None
    assert isinstance(seconds, int)  # that is what @every is read as
    return timedelta(seconds=seconds)


def _one_of(known: Mapping[str, T], asked: Fields, key: str) -> T:
    name = asked.required(key, variables=False)
    if name not in known:
        raise InvalidValue(f"{shown(name)} is not known, only {', '.join(known)}", path=asked.path(key))
    return known[name]


def _now(asked: Fields) -> datetime:
    return asked.read("now", parse_time, variables=False)


def _list(asked: Fields, key: str) -> list[Any]:
    value = _required(asked.members.get(key), key)
    if not isinstance(value, list):
        raise InvalidManifest(f"must be a list, not {shown(value)}", path=key)
    return value


def _required(value: Any, path: str) -> Any:
    if value is None:
        raise InvalidManifest("is missing", path=path)
    return value


def _state(asked: Fields) -> CronJobState | None:
    current = asked.members.get("current")
    if current is None:
        return None
    with at("current"):
        state = state_from_manifest(current)
        if state is None:
            raise InvalidManifest("is not a maintenance CronJob")
    return state


def _written(desired: CronJobState | None, current: Any) -> dict[str, Any] | None:
    """Return the CronJob as it should be: the current one patched, or a new one."""
    if desired is None:
        return None
    with at("cronJob"):
        if current is None:
            return manifest_from_state(desired, {})
        written: dict[str, Any] = merge_patch(current, patch_from_state(desired, current) or {})
    return written
