"""A wrong argument is loud, at once, and says what to pass. Each of these was found by trying."""

# mypy: disable-error-code="arg-type"
# pyright: reportArgumentType=false

from __future__ import annotations

import inspect
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest

from kopia_maint import (
    Action,
    Bounded,
    Claim,
    Conflict,
    CronJobState,
    CustomCA,
    Decision,
    FirstWins,
    InvalidValue,
    Reconciliation,
    Repository,
    SourceRef,
    SourceRequest,
    Standing,
    Write,
    hand_over,
    manifest_from_state,
    patch_from_state,
    plan_manifests,
    reconcile,
    reconcile_all,
    resolve,
    withdraw,
    write_for,
)

from ..helpers import NOW, REPOSITORY, ask, source, state_of

REQUEST = ask("team-a/source-a", "0 2 * * *")
RESOLUTION = resolve(None, REQUEST, now=NOW)
STATE = state_of(REQUEST)
MANIFEST = manifest_from_state(STATE, {})
MARKED = {REQUEST.source: Claim(REQUEST.schedule, NOW, rejected=True)}
DAY = timedelta(days=1)

RIGHT: dict[Callable[..., object], dict[str, Any]] = {
    resolve: {"current": None, "request": REQUEST, "now": NOW},
    reconcile: {"current": None, "requests": [], "now": NOW},
    reconcile_all: {"states": [], "requests": [], "now": NOW, "complete": True},
    hand_over: {"current": STATE, "namespace": "team-b"},
    withdraw: {"current": STATE, "source": source("team-b/b")},
    manifest_from_state: {"state": STATE, "template": {}},
    patch_from_state: {"state": STATE, "manifest": MANIFEST},
    write_for: {"decision": RESOLUTION, "cron_job": None, "template": {}, "operator_namespace": "volsync-system"},
    plan_manifests: {
        "cron_jobs": [],
        "replication_sources": [],
        "template": lambda repository, state: {},
        "operator_namespace": "volsync-system",
        "complete": True,
        "now": NOW,
    },
    SourceRef: {"namespace": "team-a", "name": "source-a"},
    CustomCA: {},
    Repository: {"secret_name": "secret"},
    SourceRequest: {"source": REQUEST.source, "repository": REPOSITORY},
    Claim: {"schedule": None, "since": NOW},
    Conflict: {"namespace": "a", "name": "b", "schedule": REQUEST.schedule, "since": NOW, "policy": "first-wins"},
    CronJobState: {"repository_hash": REPOSITORY.hash, "schedule": REQUEST.schedule, "owner": None, "claims": {}},
    Decision: {"current": None, "desired": None},
    Standing: {"verdict": None, "reason": "Withheld", "message": "Withheld", "conflict": None},
    Reconciliation: {"current": None, "desired": None, "repository": None, "standings": {}},
    Write: {"action": Action.CREATE, "name": "a", "namespace": "b", "body": {}},
    Bounded: {"longest": DAY},
}
"""What each function takes; the tests put one wrong argument into it."""
ARGUMENTS = [
    (use, argument)
    for use in RIGHT
    for argument in inspect.signature(use).parameters
    if argument not in ("manifest", "cron_job")  # objects: see test_manifest.py
]


@pytest.mark.parametrize(("use", "argument"), ARGUMENTS)
def test_every_wrong_argument_is_named(use: Callable[..., object], argument: str) -> None:
    """And never is there an AttributeError or a TypeError from inside; None is allowed only where the types say so."""
    annotation = inspect.signature(use).parameters[argument].annotation
    values: list[Any] = [5, b"x", object(), datetime(2024, 1, 1)]  # noqa: DTZ001
    optional = str(annotation).endswith("None")
    if not optional:
        values.append(None)
    if use not in (Standing, Write) or annotation is not str:
        values.append("Not A Name")
    if "Any]" not in str(annotation):  # objects
        values += [[None], {"a/b": None}]
    for value in values:
        with pytest.raises(InvalidValue, match=argument):
            use(**{**RIGHT[use], argument: value})
    if optional and use is not Bounded:
        use(**{**RIGHT[use], argument: None})


def policy(name: Any = "x", permits: Any = lambda *_: True) -> Any:
    return SimpleNamespace(name=name, permits=permits)


WRONG: list[tuple[Callable[..., object], str, Any, str]] = [
    # a class, a decision, a manifest or text where a value is wanted
    (patch_from_state, "state", None, "^state must be a CronJobState, not None$"),
    (patch_from_state, "state", RESOLUTION, "state must .*: pass its .desired$"),
    (manifest_from_state, "state", RESOLUTION, "state must .*: pass its .desired$"),
    (manifest_from_state, "state", CronJobState, "state .* not the class CronJobState$"),
    (resolve, "current", MANIFEST, "current .*: pass a CronJobState, or None where there is no CronJob$"),
    (resolve, "current", RESOLUTION, "current must .*: pass its .desired$"),
    (hand_over, "current", RESOLUTION, "current must .*: pass its .desired$"),
    (Decision, "desired", RESOLUTION, "desired must .*: pass its .desired$"),
    (resolve, "now", datetime, "now must be a datetime, not the class datetime$"),
    (SourceRequest, "schedule", "0 2 * * *", "schedule must be a Schedule, not '0 2 .*': None is allowed, too$"),
    # collections
    (reconcile_all, "states", [STATE, STATE], "is listed twice"),
    (reconcile_all, "unreadable", [REQUEST.source], "unreadable must be a Mapping, .*: pass a mapping from SourceRef"),
    (reconcile_all, "unreadable", {source("a/b"): 5}, "the name of the Secret of a/b must be a str"),
    (plan_manifests, "cron_jobs", {"items": []}, "cron_jobs must be a .*pass the items of a List"),
    (CronJobState, "claims", {REQUEST.source: "0 2 * * *"}, "a value of claims must be a Claim"),
    (Reconciliation, "standings", {REQUEST.source: "agreed"}, "a value of standings must be a Standing"),
    # what does not fit together
    (Claim, "rejected", True, "a claim without a preference cannot be rejected"),
    (CronJobState, "policy", "first-wins", "policy must name the policy .*, and be None without any"),
    (CronJobState, "claims", MARKED, "policy must name the policy that rejects the marked claims"),
    # times
    (resolve, "now", NOW.replace(tzinfo=None), "now must be aware"),
    (Claim, "since", datetime.max.replace(tzinfo=timezone(-timedelta(hours=1))), "since must be within the years"),
    # names
    *(
        (SourceRef, "namespace", name, "^namespace '.*' is not valid: 1 to 63 characters, lower-case letters")
        for name in ("", "Team-A", "-team", "team-a\n", "team.a")
    ),
    *((SourceRef, "name", name, "^name '.*' is not valid: 1 to 253") for name in ("", "a..b", "a_b")),
    *((CustomCA, "key", name, "^key '.*' is not valid: 1 to 253") for name in ("a/b", "..", "..data")),
    (Repository, "secret_name", "", "^secret_name '' is not valid"),
    (CronJobState, "repository_hash", "XYZ", "^repository_hash 'XYZ' is not valid: 1 to 16 .*, 16 hexadecimal digits$"),
    (plan_manifests, "operator_namespace", "", "operator_namespace '' is not valid"),
    # policies
    (resolve, "policy", FirstWins, r"policy must .*such as FirstWins\(\)"),
    (resolve, "policy", Bounded, r"Bounded\(shortest=timedelta"),
    (plan_manifests, "policy", SimpleNamespace(name="x"), "policy must "),
    (withdraw, "policy", policy(name=None), r"policy\.name must be a string"),
    (reconcile, "policy", policy(name="First Wins"), r"policy\.name 'First Wins' is not valid"),
    (Bounded, "longest", None, "shortest, longest or both must be given"),
    (Bounded, "shortest", 2 * DAY, "shortest .* must not exceed longest"),
    (Bounded, "longest", timedelta(0), "longest must be at least one second"),
    (Bounded, "policy", policy(name="x" * 56), "the name 'bounded-x.* is not valid: 1 to 63"),
]


@pytest.mark.parametrize(("use", "argument", "value", "told"), WRONG)
def test_a_refusal_says_what_to_pass(use: Callable[..., object], argument: str, value: Any, told: str) -> None:
    """In the words of those who make that mistake."""
    with pytest.raises(InvalidValue, match=told):
        use(**{**RIGHT[use], argument: value})


@pytest.mark.parametrize("answer", ["yes", 1, None, [], float("nan")])
def test_a_policy_that_answers_neither_true_nor_false_is_an_error(answer: object) -> None:
    """The first time it is asked; in production, too."""
    odd = policy("odd", lambda *_: answer)
    assert resolve(None, REQUEST, now=NOW, policy=odd).desired == STATE  # it is not asked
    for current, asked in ((STATE, odd), (None, odd), (STATE, Bounded(odd, longest=400 * DAY))):
        with pytest.raises(InvalidValue, match="the policy odd must answer True or False"):
            resolve(current, ask("team-b/b", "0 4 * * *"), now=NOW, policy=asked)


def test_an_async_policy_is_an_error() -> None:
    """At any decision where that can be seen, and otherwise when it is asked."""

    async def waits(state: CronJobState, challenger: SourceRef) -> bool:
        return challenger.namespace == state.owner

    with pytest.raises(InvalidValue, match="permits must be a plain function"):
        resolve(None, REQUEST, now=NOW, policy=policy(permits=waits))
    hidden = policy(permits=lambda state, challenger: waits(state, challenger))  # noqa: PLW0108 - so it hides
    with pytest.raises(InvalidValue, match="must answer True or False, not a value of type coroutine"):
        resolve(STATE, ask("team-b/b", "0 4 * * *"), now=NOW, policy=hidden)
