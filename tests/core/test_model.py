"""Values: normalised, checked, frozen, hashable, picklable."""

from __future__ import annotations

import copy
import pickle
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from attrs import evolve
from attrs.exceptions import FrozenInstanceError
from hypothesis import given, settings
from hypothesis import strategies as st

import kopia_maint
from kopia_maint import (
    Action,
    Claim,
    Conflict,
    Consensus,
    CronJobState,
    CustomCA,
    Decision,
    FirstWins,
    InvalidManifest,
    InvalidSchedule,
    InvalidValue,
    KopiaMaintError,
    Reconciliation,
    Repository,
    RepositoryMismatch,
    Schedule,
    SourceRef,
    SourceRequest,
    Standing,
    StateTooLarge,
    Write,
    reconcile,
)
from kopia_maint._model import parse_time
from kopia_maint.testing import strategies

from ..helpers import MUCH_LATER, NOW, REPOSITORY, ask, source

TWO = Schedule.parse("0 2 * * *")


def ask_nobody() -> Reconciliation:
    """Return a reconciliation with one verdict."""
    return reconcile(None, [ask("team-a/a")], now=NOW)


VALUES = st.one_of(
    strategies.schedules(never_fires=True),
    strategies.custom_cas(),
    strategies.repositories(),
    strategies.sources(),
    strategies.requests(),
    strategies.claims(),
    strategies.conflicts(),
    strategies.states(),
    strategies.resolutions(),
    strategies.reconciliations(),
)


@settings(deadline=None)
@given(VALUES)
def test_every_value_is_frozen_hashable_and_picklable(value: Any) -> None:
    """A copy is equal and has the same hash; nothing can be set, and nothing can be added."""
    for again in (pickle.loads(pickle.dumps(value)), copy.deepcopy(value)):
        assert again == value
        assert hash(again) == hash(value)
    with pytest.raises(FrozenInstanceError):
        setattr(value, value.__attrs_attrs__[0].name, None)
    with pytest.raises((AttributeError, TypeError)):
        value.something_new = 1


@pytest.mark.parametrize("policy", [FirstWins, Consensus])
def test_the_shipped_policies_are_values(policy: type[FirstWins] | type[Consensus]) -> None:
    """Two of a kind are equal, have one hash, and hold nothing that could be set."""
    assert policy() == policy()
    assert hash(policy()) == hash(policy())
    with pytest.raises(FrozenInstanceError):
        policy().name = "another"  # type: ignore[misc]


def test_everything_public_is_importable_from_the_top() -> None:
    """`__all__` is what there is."""
    for name in kopia_maint.__all__:
        assert hasattr(kopia_maint, name)


def test_times_are_stored_in_utc_and_whole_seconds() -> None:
    """Any aware datetime is taken, and cut, not rounded."""
    odd = datetime(2024, 1, 15, 12, 30, 0, 999_999, tzinfo=timezone(timedelta(hours=2)))
    assert Claim(None, odd).since == NOW
    assert Claim(None, odd).since.tzinfo is timezone.utc
    assert Claim(None, NOW.replace(microsecond=5)).since.microsecond == 0


@pytest.mark.parametrize(
    "value",
    [datetime(2024, 1, 1), "2024-01-01T00:00:00Z", 5, datetime.max.replace(tzinfo=timezone(timedelta(hours=-1)))],  # noqa: DTZ001
)
def test_other_times_are_refused(value: Any) -> None:
    """A naive datetime does not say which instant it is."""
    with pytest.raises(InvalidValue, match="since must be"):
        Claim(None, value)


@pytest.mark.parametrize(
    "build",
    [
        lambda: SourceRef("team-a", ""),
        lambda: SourceRef("", "source-a"),
        lambda: SourceRef("Team-A", "source-a"),
        lambda: SourceRef("-team", "source-a"),
        lambda: SourceRef("team-a\n", "source-a"),
        lambda: SourceRef("a" * 64, "source-a"),
        lambda: SourceRef("team-a", "a" * 254),
        lambda: SourceRef("team-a", "a..b"),
        lambda: SourceRef("team-a", 5),  # type: ignore[arg-type]
        lambda: Repository(""),
        lambda: Repository("Secret"),
        lambda: Repository("secret", "ca"),  # type: ignore[arg-type]
        lambda: CustomCA("UPPER"),
        lambda: CustomCA(key="a/b"),
        lambda: CustomCA(key="..data"),
        lambda: SourceRequest("team-a/source-a", REPOSITORY),  # type: ignore[arg-type]
        lambda: SourceRequest(source("a/b"), REPOSITORY, "0 2 * * *"),  # type: ignore[arg-type]
        lambda: SourceRequest(source("a/b"), REPOSITORY, None, "yes"),  # type: ignore[arg-type]
        lambda: Claim("0 2 * * *", NOW),  # type: ignore[arg-type]
        lambda: Conflict(namespace="team-b", name="b", schedule=TWO, since=NOW, policy="First Wins"),
        lambda: Claim(None, NOW, rejected=True),
        lambda: Claim(TWO, NOW, "rejected"),  # type: ignore[arg-type]
        lambda: CronJobState(REPOSITORY.hash, TWO, None, {}, "first-wins"),
        lambda: CronJobState(REPOSITORY.hash, TWO, "a", {source("b/c"): Claim(TWO, NOW, rejected=True)}),
        lambda: CronJobState("XYZ", TWO, None, {}),
        lambda: CronJobState(REPOSITORY.hash, TWO, "Team", {}),
        lambda: CronJobState(REPOSITORY.hash, TWO, None, []),  # type: ignore[arg-type]
        lambda: CronJobState(REPOSITORY.hash, TWO, None, {"a/b": None}),  # type: ignore[dict-item]
        lambda: CronJobState(REPOSITORY.hash, TWO, None, ask_nobody().verdicts),  # type: ignore[arg-type]
        lambda: CronJobState(REPOSITORY.hash, TWO, None, {}, None, "Secret"),
        lambda: Decision(current=None, desired=ask_nobody()),  # type: ignore[arg-type]
        lambda: Standing(verdict="agreed", reason="Agreed", message="yes", conflict=None),  # type: ignore[arg-type]
        lambda: Reconciliation(current=None, desired=None, repository=None, standings={"a/b": "agreed"}),  # type: ignore[dict-item]
        lambda: Write(action="create", name="a", namespace="b", body={}),  # type: ignore[arg-type]
    ],
)
def test_what_kubernetes_would_refuse_is_refused(build: Any) -> None:
    """Names, and anything of the wrong type."""
    with pytest.raises(InvalidValue):
        build()


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: SourceRef(["team-a"], "a"), "namespace must be a string, not a value of type list"),  # type: ignore[arg-type]
        (lambda: CustomCA(None), "secret_name must be a string, not None"),  # type: ignore[arg-type]
        (lambda: CustomCA(key=None), "key must be a string, not None"),  # type: ignore[arg-type]
        (lambda: SourceRequest(None, REPOSITORY), "source must be a SourceRef, not None"),  # type: ignore[arg-type]
        (lambda: SourceRequest(source("a/b"), None), "repository must be a Repository, not None"),  # type: ignore[arg-type]
        (lambda: Claim("@daily", NOW), "schedule must be a Schedule, not '@daily': None is allowed, too"),  # type: ignore[arg-type]
        (
            lambda: CronJobState("XYZ", TWO, None, {}),
            "repository_hash 'XYZ' is not valid: 1 to 16 characters, 16 hexadecimal digits",
        ),
    ],
)
def test_a_refusal_says_what_is_allowed(build: Any, message: str) -> None:
    """None is allowed only where that is said."""
    with pytest.raises(InvalidValue) as caught:
        build()
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("build", "most"),
    [
        (lambda length: SourceRef("a" * length, "a"), 63),
        (lambda length: SourceRef("a", "a" * length), 253),
        (lambda length: Repository("a" * length), 253),
        (lambda length: CustomCA(key="a" * length), 253),
        (lambda length: Conflict(namespace="a", name="b", schedule=TWO, since=NOW, policy="a" * length), 63),
        (lambda length: parse_time(f"2024-01-15T10:30:00.{'0' * (length - 21)}Z"), 64),
    ],
)
def test_what_is_too_long_is_refused(build: Any, most: int) -> None:
    """At its greatest length a text is taken, one character more is one too many."""
    build(most)
    with pytest.raises(InvalidValue):
        build(most + 1)
    with pytest.raises(InvalidValue):
        build(most * 2)


def test_a_request_for_a_schedule_that_never_fires_is_refused() -> None:
    """One tenant must not switch off everybody's maintenance; so is a claim, which a hand-over could establish."""
    with pytest.raises(InvalidSchedule, match="never fires") as caught:
        ask("team-a/source-a", "0 0 30 2 *")
    assert caught.value.code == "never-fires"
    with pytest.raises(InvalidSchedule, match="never fires"):
        Claim(Schedule.parse("0 0 30 2 *"), NOW)


def test_sources_are_ordered_and_spell_themselves() -> None:
    """By namespace, then name."""
    refs = [source("b/a"), source("a/b"), source("a/a")]
    assert [str(ref) for ref in sorted(refs)] == ["a/a", "a/b", "b/a"]


def test_a_state_tells_what_policies_and_people_need() -> None:
    """Namespaces, preferences, and whether the owner has left."""
    claims = {
        source("team-a/x"): Claim(TWO, NOW),
        source("team-b/y"): Claim(Schedule.parse("00 2 * * *"), NOW),
        source("team-b/z"): Claim(None, NOW),
    }
    state = CronJobState(REPOSITORY.hash, TWO, "team-a", claims)
    assert state.namespaces == {"team-a", "team-b"}
    assert state.preferences == {TWO: 2}
    assert not state.orphaned
    assert CronJobState(REPOSITORY.hash, TWO, "team-c", claims).orphaned
    assert not CronJobState(REPOSITORY.hash, TWO, None, claims).orphaned
    assert state.cron_job_name == REPOSITORY.cron_job_name


def test_what_is_equal_has_not_changed() -> None:
    """Whether it is the same object does not matter."""
    decision = ask_nobody()
    again = evolve(decision, current=pickle.loads(pickle.dumps(decision.desired)))
    assert (again.action, again.changed) == (Action.NONE, False)


def test_a_states_claims_are_its_own() -> None:
    """They neither follow the mapping they came from, nor can they be changed."""
    claims = {source("team-a/x"): Claim(TWO, NOW)}
    state = CronJobState(REPOSITORY.hash, TWO, "team-a", claims)
    claims.clear()
    assert len(state.claims) == 1
    for change in ("clear", "popitem"):
        with pytest.raises(TypeError):
            getattr(state.claims, change)()
    with pytest.raises(TypeError):
        state.claims[source("a/b")] = Claim(None, NOW)  # type: ignore[index]


def test_a_conflict_says_what_it_says_on_one_line() -> None:
    """Schedule, namespace, time and policy; whose it is, is in the record."""
    conflict = Conflict(
        namespace="team-b", name="b", schedule=Schedule.parse("0 4 * * *"), since=NOW, policy="consensus"
    )
    assert conflict.message == (
        "Last conflict: Schedule '0 4 * * *' requested from namespace 'team-b' at 2024-01-15T10:30:00Z"
        " (rejected - consensus strategy)"
    )
    assert conflict.source == source("team-b/b")


def test_conflicts_are_the_marked_claims_and_the_latest_is_the_latest() -> None:
    """By source; at the same time, the last by namespace and name is the latest."""
    six = Schedule.parse("0 6 * * *")
    claims = {
        source("team-c/x"): Claim(six, NOW, rejected=True),
        source("team-b/y"): Claim(six, NOW, rejected=True),
        source("team-b/x"): Claim(six, NOW + timedelta(seconds=1)),
    }
    state = CronJobState(REPOSITORY.hash, TWO, "team-a", claims, "first-wins")
    assert [conflict.source for conflict in state.conflicts] == [source("team-b/y"), source("team-c/x")]
    assert state.latest_conflict == state.conflicts[1]
    later = evolve(state, claims={**claims, source("team-a/a"): Claim(six, MUCH_LATER, rejected=True)})
    assert later.latest_conflict is not None
    assert later.latest_conflict.namespace == "team-a"
    assert (later.unmarked.policy, later.unmarked.conflicts, later.unmarked.latest_conflict) == (None, (), None)


@pytest.mark.parametrize("kind", [InvalidValue, InvalidSchedule, InvalidManifest, RepositoryMismatch, StateTooLarge])
def test_errors_are_one_family_and_survive_pickling(kind: type[KopiaMaintError]) -> None:
    """Code, path, source and message are all still there."""
    error = kind("is bad", path="spec.x", source=source("team-a/source-a"))
    assert isinstance(error, ValueError)
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.__dict__) == (kind, "spec.x: is bad", error.__dict__)
    assert error.code.replace("-", "").isalpha()


class Subclass(str):
    """As some YAML loaders have it, or worse."""

    __hash__ = None  # type: ignore[assignment]

    def __str__(self) -> str:
        return "something else"


def test_subclasses_of_str_and_datetime_are_normalised() -> None:
    """What is stored is plain, whatever came in."""
    ref = SourceRef(Subclass("team-a"), "source-a")
    assert (str(ref), type(ref.namespace)) == ("team-a/source-a", str)
    assert Schedule.parse(Subclass("0  2 * * *")).text == "0 2 * * *"
    state = CronJobState(REPOSITORY.hash, TWO, Subclass("team-a"), {}, None, Subclass("secret"))
    assert {type(state.owner), type(state.secret_name)} == {str}

    class Moment(datetime):
        pass

    assert type(Claim(None, Moment(2024, 1, 15, tzinfo=timezone.utc)).since) is datetime


def test_huge_wrong_values_make_short_messages() -> None:
    """What a tenant wrote is shown on one line, printable, and cut."""
    with pytest.raises(InvalidValue) as caught:
        SourceRef("team-a", "\x1b[31m" + "x" * 100_000)
    assert len(str(caught.value)) < 250
    assert "\x1b" not in str(caught.value)
