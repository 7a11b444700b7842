"""Values: normalised, checked, frozen, hashable, picklable. What they refuse is in test_wrong_use.py."""

from __future__ import annotations

import copy
import pickle
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from attrs import evolve
from attrs.exceptions import FrozenInstanceError
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kopia_maint import (
    Action,
    Bounded,
    Claim,
    Conflict,
    Consensus,
    CronJobState,
    CustomCA,
    FirstWins,
    InvalidManifest,
    InvalidSchedule,
    InvalidValue,
    KopiaMaintError,
    Repository,
    RepositoryMismatch,
    Schedule,
    SourceRef,
    StateTooLarge,
    resolve,
)
from kopia_maint._model import parse_time
from kopia_maint.testing import strategies

from ..helpers import NOW, REPOSITORY, ask, source

TWO, SIX = Schedule.parse("0 2 * * *"), Schedule.parse("0 6 * * *")
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
    st.sampled_from([FirstWins(), Consensus(), Bounded(shortest=timedelta(1))]),
)


@settings(deadline=None)
@given(VALUES)
@example(FirstWins())
def test_every_value_is_frozen_hashable_and_picklable(value: Any) -> None:
    """A copy is equal and has the same hash; nothing can be set, and nothing can be added."""
    for again in (pickle.loads(pickle.dumps(value)), copy.deepcopy(value)):
        assert again == value
        assert hash(again) == hash(value)
    for name in ("name", *(attribute.name for attribute in value.__attrs_attrs__)):
        with pytest.raises((FrozenInstanceError, AttributeError, TypeError)):
            setattr(value, name, None)
    with pytest.raises((AttributeError, TypeError)):
        value.something_new = 1


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


class Text(str):
    """As some YAML loaders have it, or worse."""

    __hash__ = None  # type: ignore[assignment]

    def __str__(self) -> str:
        return "something else"

    def __len__(self) -> int:
        return 1000


class Moment(datetime):
    """What pandas, pendulum and freezegun have."""


def test_subclasses_of_str_and_datetime_are_normalised() -> None:
    """What is stored is plain, whatever came in."""
    ref = SourceRef(Text("team-a"), "source-a")
    assert (str(ref), type(ref.namespace)) == ("team-a/source-a", str)
    for schedule in (Schedule.parse(Text(" 0 2  * * *")), Schedule(Text("0 2 * * *"))):
        assert (schedule, schedule.text, type(schedule.text)) == (TWO, "0 2 * * *", str)
    state = CronJobState(REPOSITORY.hash, TWO, Text("team-a"), {}, None, Text("secret"))
    assert {type(state.owner), type(state.secret_name)} == {str}
    moment = Moment(2024, 1, 15, tzinfo=timezone.utc)
    every = Schedule.parse("@every 1h")
    assert {type(it) for it in (Claim(None, moment).since, *TWO.next_runs(moment, 1), *every.next_runs(moment, 1))} == {
        datetime
    }


def test_times_are_stored_in_utc_and_whole_seconds() -> None:
    """Any aware datetime is taken, and cut, not rounded."""
    odd = datetime(2024, 1, 15, 12, 30, 0, 999_999, tzinfo=timezone(timedelta(hours=2)))
    for since in (odd, NOW.replace(microsecond=5)):
        assert (Claim(None, since).since, Claim(None, since).since.tzinfo) == (NOW, timezone.utc)


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
    for length in (most + 1, most * 2):
        with pytest.raises(InvalidValue):
            build(length)


def test_huge_wrong_values_make_short_messages() -> None:
    """What a tenant wrote is shown on one line, printable, and cut."""
    with pytest.raises(InvalidValue) as caught:
        SourceRef("team-a", "\x1b[31m" + "x" * 100_000)
    assert len(str(caught.value)) < 250
    assert "\x1b" not in str(caught.value)


def test_a_request_for_a_schedule_that_never_fires_is_refused() -> None:
    """One tenant must not switch off everybody's maintenance; so is a claim, which a hand-over could establish."""
    never = Schedule.parse("0 0 30 2 *")
    for build in (lambda: ask("team-a/source-a", never.text), lambda: Claim(never, NOW)):
        with pytest.raises(InvalidSchedule, match="never fires") as caught:
            build()
        assert caught.value.code == "never-fires"


@pytest.mark.parametrize("kind", [InvalidValue, InvalidSchedule, InvalidManifest, RepositoryMismatch, StateTooLarge])
def test_errors_are_one_family_and_survive_pickling(kind: type[KopiaMaintError]) -> None:
    """Code, path, source and message are all still there."""
    error = kind("is bad", path="spec.x", source=source("team-a/source-a"))
    assert isinstance(error, KopiaMaintError)
    assert isinstance(error, ValueError)
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.__dict__) == (kind, "spec.x: is bad", error.__dict__)
    assert error.code.replace("-", "").isalpha()


# --- what values tell ------------------------------------------------------------


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
    assert [evolve(state, owner=owner).orphaned for owner in ("team-a", "team-c", None)] == [False, True, False]
    assert state.cron_job_name == REPOSITORY.cron_job_name


def test_conflicts_are_the_marked_claims_and_the_latest_is_the_latest() -> None:
    """By source; at the same time, the last by namespace and name is the latest."""
    claims = {
        source("team-c/x"): Claim(SIX, NOW, rejected=True),
        source("team-b/y"): Claim(SIX, NOW, rejected=True),
        source("team-b/x"): Claim(SIX, NOW + timedelta(seconds=1)),
    }
    state = CronJobState(REPOSITORY.hash, TWO, "team-a", claims, "first-wins")
    assert [conflict.source for conflict in state.conflicts] == [source("team-b/y"), source("team-c/x")]
    assert state.latest_conflict == state.conflicts[1]
    assert (state.unmarked.policy, state.unmarked.conflicts, state.unmarked.latest_conflict) == (None, (), None)


def test_what_is_equal_has_not_changed() -> None:
    """Whether it is the same object does not matter."""
    decision = resolve(None, ask("team-a/a"), now=NOW)
    again = evolve(decision, current=copy.deepcopy(decision.desired))
    assert (again.action, again.changed) == (Action.NONE, False)
