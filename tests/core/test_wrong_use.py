"""A wrong argument is loud, at once, and says what to pass. Each of these was found by trying."""

# mypy: disable-error-code="arg-type, list-item, dict-item, no-untyped-call"
# pyright: reportArgumentType=false

from __future__ import annotations

from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from kopia_maint import (
    Bounded,
    Claim,
    CronJobState,
    CustomCA,
    FirstWins,
    InvalidManifest,
    InvalidSchedule,
    InvalidValue,
    KopiaMaintError,
    Repository,
    Schedule,
    SourceRef,
    SourceRequest,
    hand_over,
    manifest_from_state,
    patch_from_state,
    plan_manifests,
    reconcile,
    reconcile_all,
    request_from_manifest,
    resolve,
    state_from_manifest,
    withdraw,
    write_for,
)

from ..helpers import NOW, REPOSITORY, ask, replication_source, source, state_of

REQUEST = ask("team-a/source-a", "0 2 * * *")
RESOLUTION = resolve(None, REQUEST, now=NOW)
STATE = state_of(REQUEST)
MANIFEST = manifest_from_state(STATE, {})
PLAN: dict[str, Any] = {
    "cron_jobs": [],
    "replication_sources": [],
    "template": lambda repository, state: {},
    "operator_namespace": "volsync-system",
    "complete": True,
    "now": NOW,
}

WRONG: dict[str, tuple[Any, str]] = {
    # None, a class, a decision, a manifest or text where a state is wanted
    "patch None": (lambda: patch_from_state(None, MANIFEST), "state must be a CronJobState, not None"),
    "patch decision": (lambda: patch_from_state(RESOLUTION, MANIFEST), "state must .*: pass its .desired"),
    "manifest decision": (lambda: manifest_from_state(RESOLUTION, {}), "state must .*: pass its .desired"),
    "manifest class": (lambda: manifest_from_state(CronJobState, {}), "state .* not the class CronJobState"),
    "manifest template": (lambda: manifest_from_state(STATE, None), "template must be a Mapping, not None"),
    "resolve manifest": (lambda: resolve(MANIFEST, REQUEST, now=NOW), "current must be a CronJobState, not"),
    "resolve decision": (lambda: resolve(RESOLUTION, REQUEST, now=NOW), "current must .*: pass its .desired"),
    "reconcile manifest": (lambda: reconcile({}, [], now=NOW), "current must be a CronJobState, not"),
    "hand_over None": (lambda: hand_over(None, "team-b"), "current must be a CronJobState, not None"),
    "hand_over decision": (lambda: hand_over(RESOLUTION, "team-b"), "current must .*: pass its .desired"),
    "hand_over source": (lambda: hand_over(STATE, source("team-b/b")), "namespace must be a string"),
    "hand_over name": (lambda: hand_over(STATE, "Team B"), "namespace 'Team B' is not valid"),
    "withdraw None": (lambda: withdraw(None, source("team-b/b")), "current must be a CronJobState, not None"),
    "withdraw text": (lambda: withdraw(STATE, "team-b/b"), "source must be a SourceRef, not 'team-b/b'"),
    "write_for None": (
        lambda: write_for(None, None, {}, operator_namespace="ns"),
        "decision must be a Decision, not None",
    ),
    "write_for namespace": (
        lambda: write_for(RESOLUTION, None, {}, operator_namespace=None),
        "operator_namespace must",
    ),
    # requests
    "resolve None": (lambda: resolve(None, None, now=NOW), "request must be a SourceRequest, not None"),
    "resolve source": (lambda: resolve(None, replication_source(), now=NOW), "request must be a SourceRequest"),
    # collections
    "reconcile None": (lambda: reconcile(None, None, now=NOW), "requests must be a collection of SourceRequest"),
    "reconcile text": (lambda: reconcile(None, "team-a/a", now=NOW), "requests must be a collection of SourceRequest"),
    "reconcile dict": (lambda: reconcile(STATE, {}, now=NOW), "requests must be a collection of SourceRequest"),
    "reconcile one": (lambda: reconcile(None, REQUEST, now=NOW), "requests must be a collection of SourceRequest"),
    "reconcile Nones": (lambda: reconcile(None, [None], now=NOW), "a member of requests must be a SourceRequest"),
    "unreadable text": (
        lambda: reconcile(None, [], now=NOW, unreadable="team-a/a"),
        "unreadable must be a collection of SourceRef, not 'team-a/a'",
    ),
    "unreadable texts": (
        lambda: reconcile(None, [], now=NOW, unreadable=["team-a/a"]),
        "a member of unreadable must be a SourceRef, not 'team-a/a'",
    ),
    "all states": (
        lambda: reconcile_all([None], [], now=NOW, complete=True),
        "a member of states must be a CronJobState",
    ),
    "all one state": (lambda: reconcile_all(STATE, [], now=NOW, complete=True), "states must be a collection"),
    "all requests": (lambda: reconcile_all([], [{}], now=NOW, complete=True), "a member of requests must be a Source"),
    "all complete": (lambda: reconcile_all([], [], now=NOW, complete=None), "complete must be a bool, not None"),
    "all unreadable": (
        lambda: reconcile_all([], [], now=NOW, complete=True, unreadable=[source("a/b")]),
        "unreadable must be a Mapping, .*: pass a mapping from SourceRef to the name of a Secret",
    ),
    "all secrets": (
        lambda: reconcile_all([], [], now=NOW, complete=True, unreadable={source("a/b"): 5}),
        "the name of the Secret of a/b must be a str",
    ),
    "all twice": (lambda: reconcile_all([STATE, STATE], [], now=NOW, complete=True), "is listed twice"),
    "plan List": (
        lambda: plan_manifests(**{**PLAN, "cron_jobs": {"kind": "CronJobList", "items": []}}),
        "cron_jobs must be a list of objects, .*: pass the items of a List",
    ),
    "plan None": (
        lambda: plan_manifests(**{**PLAN, "replication_sources": None}),
        "replication_sources must be a list",
    ),
    "plan template": (lambda: plan_manifests(**{**PLAN, "template": {}}), "template must be a function of repository"),
    "plan complete": (lambda: plan_manifests(**{**PLAN, "complete": "yes"}), "complete must be a bool, not 'yes'"),
    "plan namespace": (
        lambda: plan_manifests(**{**PLAN, "operator_namespace": ""}),
        "operator_namespace '' is not valid",
    ),
    "plan now": (
        lambda: plan_manifests(**{**PLAN, "now": "2024-01-15T10:30:00Z"}),
        "now must be a datetime, not '2024",
    ),
    # times
    "now None": (lambda: resolve(None, REQUEST, now=None), "now must be a datetime, not None"),
    "now naive": (lambda: resolve(None, REQUEST, now=NOW.replace(tzinfo=None)), "now must be aware"),
    "now class": (lambda: resolve(None, REQUEST, now=datetime), "now must be a datetime, not the class datetime"),
    # values
    "source text": (lambda: SourceRequest("team-a/a", REPOSITORY), "source must be a SourceRef, not 'team-a/a'"),
    "source None": (lambda: SourceRef(None, "a"), "namespace must be a string, not None"),
    "repository": (lambda: Repository(None), "secret_name must be a string, not None"),
    "ca": (lambda: Repository("a", {"key": "ca.crt"}), "custom_ca must be a CustomCA"),
    "ca None": (lambda: CustomCA(None), "secret_name must be a string"),
    "schedule text": (lambda: Claim("0 2 * * *", NOW), "schedule must be a Schedule, not '0 2"),
    "claims": (lambda: CronJobState(REPOSITORY.hash, STATE.schedule, None, None), "claims must be a Mapping, not None"),
    "claims list": (lambda: CronJobState(REPOSITORY.hash, STATE.schedule, None, [1]), "claims must be a Mapping"),
    "schedule None": (lambda: Schedule.parse(None), "schedule must be a string"),
    # policies
    "policy class": (
        lambda: resolve(None, REQUEST, now=NOW, policy=FirstWins),
        r"policy .*: pass an object of it, such as FirstWins\(\)",
    ),
    "policy name": (lambda: resolve(None, REQUEST, now=NOW, policy="first-wins"), "policy must have a method permits"),
    "policy None": (lambda: hand_over(STATE, "team-b", policy=None), "policy must have a method permits"),
    "policy nameless": (
        lambda: withdraw(STATE, source("a/b"), policy=SimpleNamespace(permits=lambda *_: True)),
        r"policy\.name must be a string",
    ),
    "policy bad name": (
        lambda: reconcile(None, [], now=NOW, policy=SimpleNamespace(name="First Wins", permits=lambda *_: True)),
        r"policy\.name 'First Wins' is not valid",
    ),
    "policy without permits": (
        lambda: plan_manifests(**PLAN, policy=SimpleNamespace(name="x")),
        "policy must have a method permits",
    ),
    "policy Bounded": (lambda: resolve(None, REQUEST, now=NOW, policy=Bounded), r"such as Bounded\(shortest=timedelta"),
    "bounded": (Bounded, "shortest, longest or both must be given"),
    "bounded number": (lambda: Bounded(shortest=3600), "shortest must be a timedelta"),
    "bounded crossed": (
        lambda: Bounded(shortest=timedelta(days=2), longest=timedelta(days=1)),
        "shortest .* must not exceed longest",
    ),
    "bounded nothing": (lambda: Bounded(longest=timedelta(0)), "longest must be at least one second"),
    "bounded class": (lambda: Bounded(FirstWins, shortest=timedelta(1)), "policy must have a method permits"),
    "bounded name": (
        lambda: Bounded(SimpleNamespace(name="x" * 56, permits=lambda *_: True), shortest=timedelta(1)),
        "the name 'bounded-x.* is not valid: 1 to 63",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_argument_is_named(case: str) -> None:
    """And never an AttributeError or a TypeError from inside."""
    use, told = WRONG[case]
    with pytest.raises(InvalidValue, match=told):
        use()


NO_OBJECTS: dict[str, tuple[Any, str]] = {
    "nothing": ({}, "pass the whole object"),
    "event": ({"type": "ADDED", "object": MANIFEST}, "is a watch event: pass its object"),
    "List": ({"kind": "List", "metadata": {}, "items": []}, "is a list of objects: pass each of its items"),
    "typed list": ({"apiVersion": "batch/v1", "kind": "CronJobList", "metadata": {}, "items": []}, "each of its items"),
    "raw list": ({"items": [MANIFEST], "metadata": {"resourceVersion": "1"}}, "pass each of its items"),
    "spec view": ({"kopia": {"repository": "shared-repo-secret"}}, "pass the whole object"),
    "null metadata": ({"kind": "CronJob", "metadata": None}, "pass the whole object"),
    "empty kind": ({**MANIFEST, "kind": ""}, "kind: must not be empty"),
    "to_dict": (
        {"api_version": "batch/v1", "metadata": {"name": STATE.cron_job_name, "resource_version": "1"}, "spec": {}},
        "has the key api_version: pass the object as the API server sends it",
    ),
    "to_dict of an item": ({"metadata": {"name": "x", "creation_timestamp": None}}, "has the key creation_timestamp"),
    "model": (SimpleNamespace(to_dict=dict), "sanitize_for_serialization"),
    "None": (None, "an object must be a mapping, not null"),
    "text": ("kind: CronJob", "an object must be a mapping, not 'kind: CronJob'"),
}


@pytest.mark.parametrize("read", [request_from_manifest, state_from_manifest])
@pytest.mark.parametrize("case", NO_OBJECTS)
def test_what_is_not_one_object_says_what_to_pass(case: str, read: Any) -> None:
    """Silence would read as "no source left", and delete a CronJob."""
    value, told = NO_OBJECTS[case]
    with pytest.raises(InvalidManifest, match=told):
        read(value)


@pytest.mark.parametrize(
    ("read", "value"),
    [
        (request_from_manifest, {**replication_source(), "kind": "replicationsource"}),
        (state_from_manifest, {**MANIFEST, "kind": "cronjob"}),
    ],
)
def test_a_clients_own_spelling_of_a_kind_is_refused(read: Any, value: Any) -> None:
    """As kr8s has it where a kind was asked for in lower case: None would read as "no source left"."""
    with pytest.raises(InvalidManifest, match="must be spelt") as caught:
        read(value)
    assert caught.value.path == "kind"


@pytest.mark.parametrize("answer", ["yes", 1, None, [], float("nan")])
def test_a_policy_that_answers_neither_true_nor_false_is_an_error(answer: object) -> None:
    """The first time it is asked; in production, too."""
    policy: Any = SimpleNamespace(name="odd", permits=lambda *_: answer)
    assert resolve(None, REQUEST, now=NOW, policy=policy).desired == STATE  # it is not asked
    for decide in (
        lambda: resolve(STATE, ask("team-b/b", "0 4 * * *"), now=NOW, policy=policy),
        lambda: resolve(None, ask("team-b/b", "0 4 * * *"), now=NOW, policy=policy),
        lambda: resolve(STATE, ask("team-b/b", "0 4 * * *"), now=NOW, policy=Bounded(policy, longest=timedelta(400))),
    ):
        with pytest.raises(InvalidValue, match="the policy odd must answer True or False"):
            decide()


def test_an_async_policy_is_an_error() -> None:
    """At any decision where that can be seen, and otherwise when it is asked."""

    class Waits:
        name = "waits"

        async def permits(self, state: CronJobState, challenger: SourceRef, /) -> bool:
            return challenger.namespace == state.owner

    with pytest.raises(InvalidValue, match="permits must be a plain function"):
        resolve(None, REQUEST, now=NOW, policy=Waits())
    hidden: Any = SimpleNamespace(name="hidden", permits=lambda *asked: Waits().permits(*asked))
    with pytest.raises(InvalidValue, match="must answer True or False, not a value of type coroutine"):
        resolve(STATE, ask("team-b/b", "0 4 * * *"), now=NOW, policy=hidden)


@pytest.mark.parametrize("key", ["kind", "apiVersion"])
def test_an_unreadable_kind_names_the_source_all_the_same(key: str) -> None:
    """So that it counts as unreadable, not as gone."""
    with pytest.raises(InvalidManifest, match="must be a string") as caught:
        request_from_manifest({**replication_source(), key: ["x"]})
    assert (caught.value.source, caught.value.secret_name) == (source("team-a/source-a"), "shared-repo-secret")


class Views(dict[str, Any]):
    """A mapping that makes new children at each access, as python-benedict and read-only views do."""

    def __getitem__(self, key: str) -> Any:
        value = super().__getitem__(key)
        return Views(value) if isinstance(value, dict) else value

    def get(self, key: str, default: Any = None) -> Any:
        return self[key] if key in self else default  # noqa: SIM401 - through __getitem__

    def items(self) -> Any:
        return [(key, self[key]) for key in self]


def test_a_mapping_may_make_new_children_at_each_access() -> None:
    """Nothing of the job template is lost."""
    template = {"spec": {f"field{n}": {"a": {"b": {"c": n}}, "d": {"e": n}} for n in range(50)}}
    assert manifest_from_state(STATE, Views(template)) == manifest_from_state(STATE, template)
    assert request_from_manifest(Views(replication_source())) == request_from_manifest(replication_source())


def test_errors_are_one_family() -> None:
    """A ValueError with a code."""
    assert issubclass(InvalidSchedule, InvalidValue)
    assert issubclass(InvalidValue, KopiaMaintError)
    assert issubclass(KopiaMaintError, ValueError)
