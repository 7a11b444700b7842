"""
Does anything but our own errors come out of the readers of foreign data? And does what is read keep its laws?

``make fuzz`` looks on, for as long as it is told, guided by coverage (``tests.campaigns.fuzz``). What it finds, these
tests find again and make small; it becomes an ``@example`` here.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import contextmanager
from datetime import datetime, timezone
from itertools import chain
from random import Random
from types import MappingProxyType
from typing import Any

from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kopia_maint import (
    CLAIMS_ANNOTATION,
    Action,
    KopiaMaintError,
    Plan,
    Schedule,
    manifest_from_state,
    patch_from_state,
    plan_manifests,
    request_from_manifest,
    resolve,
    state_from_manifest,
)
from kopia_maint._objects import merge_patch
from kopia_maint.cli._main import cli
from kopia_maint.conformance import answer

from ..helpers import NOW, REPOSITORY
from ..mischief import MEMBERS, ODD, PIECES, QUESTIONS, broken, deep, exchanged, torn
from .schedule_cases import MORSELS, schedule

NOT_JSON: tuple[Any, ...] = (
    *(float("nan"), float("inf"), b"bytes", "\ud800", "\x00", (), object(), type, range(3)),
    *({1: 2}, {None: 3}, {("a",): []}, {"x": "y" * 300_000}, *[deep(1_500)] * 3),
    *(MappingProxyType({}), MappingProxyType({"name": "a"})),
    *(datetime(2024, 1, 15), datetime(2024, 1, 15, tzinfo=timezone.utc), datetime.max, datetime.min),  # noqa: DTZ001, DTZ901
)
YAML = (
    *("---\n", "\n", "  ", "- ", ": ", "&a ", "*a", "<<: *a", "!!binary ", "!x ", "? ", "|\n", "kind: CronJob\n"),
    *("{", "}", "[", "]", ",", "#", "%", "'", '"', "\t", "~", "\ufeff", "\x00", "\ud800", "${NAME}"),
    *("!!python/object/apply:os.system [id]", "2024-01-15", "0o17", "1e3", ".nan", "&a [" * 30, "[" * 2000),
    *("apiVersion: v1\nkind: List\nitems:\n", "kind: ReplicationSource\n", "metadata: {name: a, namespace: b}\n"),
    *("spec:\n", "  kopia: {repository: repo}\n"),
)
patient = settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def spoilt(objects: st.SearchStrategy[Any], odd: tuple[Any, ...] = (*ODD, *NOT_JSON)) -> st.SearchStrategy[Any]:
    """Objects of which now and then a few members are not what they should be."""

    def spoil(value: Any, times: int, rng: Random) -> Any:
        for _ in range(times):
            value = broken(exchanged(value, MEMBERS, rng), odd, rng)
        return value

    return st.builds(spoil, objects, st.sampled_from([0, 1, 1, 2, 4]), st.randoms())


def texts(pieces: tuple[str, ...], whole: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Texts that are whole, or torn, or hardly more than pieces in a row."""

    def tear(text: str, times: int, rng: Random) -> str:
        for _ in range(times):
            text = torn(text, pieces, rng)
        return text

    in_a_row = st.lists(st.sampled_from(pieces) | st.text(max_size=3), max_size=40).map("".join)
    return st.builds(tear, whole, st.sampled_from([0, 1, 2, 5]), st.randoms()) | in_a_row


LISTED = chain(*filter(None, chain(*(MEMBERS[name] for name in ("requests", "replicationSources", "cronJobs")))))
OBJECTS = [it for it in (*MEMBERS["request"], *MEMBERS["current"], *LISTED) if isinstance(it, dict)]
SOURCES = st.sampled_from([it for it in OBJECTS if it.get("kind") == "ReplicationSource"])
CRON_JOBS = st.sampled_from([it for it in OBJECTS if it.get("kind") == "CronJob"])
CLAIMS = st.sampled_from(MEMBERS[CLAIMS_ANNOTATION])
LINES = spoilt(st.sampled_from(QUESTIONS), ODD).map(json.dumps)


@contextmanager
def only_our_own_errors() -> Generator[None]:
    """See that what is refused is refused in one line of a reasonable length."""
    try:
        yield
    except KopiaMaintError as error:
        str(error).encode()
        assert len(str(error)) < 1000
        assert "\n" not in str(error)


@patient
@given(texts(MORSELS, st.randoms().map(schedule)))
@only_our_own_errors()
def test_text_is_a_schedule_or_refused(text: str) -> None:
    """A schedule's own spellings are the same schedule, and its runs ascend."""
    read = Schedule.parse(text)
    assert Schedule.parse(read.text) == Schedule.parse(read.canonical) == read
    assert Schedule.parse(read.canonical).canonical == read.canonical
    runs = read.next_runs(NOW, 2)
    assert all(run > NOW for run in runs)
    assert list(runs) == sorted(set(runs))
    assert not (runs and read.never_fires)


@patient
@given(spoilt(CRON_JOBS), spoilt(st.builds(dict, metadata=st.just({"labels": {"a": "b"}}), spec=st.just({}))))
@only_our_own_errors()
def test_an_object_is_a_state_or_no_maintenance_cron_job_or_refused(cron_job: Any, template: Any) -> None:
    """A state is read again from what is written for it, and then all is quiet."""
    before = repr(cron_job)
    if (read := state_from_manifest(cron_job)) is None:
        return
    for start in (cron_job, template):
        again = manifest_from_state(read, start)
        assert state_from_manifest(again) == read
        assert patch_from_state(read, again) is None
    patched = merge_patch(cron_job, patch_from_state(read, cron_job) or {})
    assert state_from_manifest(patched) == read
    assert patch_from_state(read, patched) is None
    assert repr(cron_job) == before


@patient
@given(texts(PIECES, CLAIMS))
@only_our_own_errors()
def test_the_annotation_of_the_claims_is_read_or_refused(text: str) -> None:
    """What is read is what is written for it."""
    metadata = {"name": REPOSITORY.cron_job_name, "annotations": {CLAIMS_ANNOTATION: text}}
    read = state_from_manifest({"metadata": metadata, "spec": {"schedule": "0 2 * * *"}})
    assert read is not None
    assert state_from_manifest(manifest_from_state(read, {})) == read


@patient
@given(spoilt(SOURCES), CRON_JOBS | spoilt(CRON_JOBS))
@only_our_own_errors()
def test_an_object_is_a_request_or_no_kopia_source_or_refused(source: Any, cron_job: Any) -> None:
    """A request can be decided, and the patch leads from the one state to the other."""
    if (asked := request_from_manifest(source)) is None:
        return
    resolve(None, asked, now=NOW)
    if (read := state_from_manifest(cron_job)) is not None:
        desired = resolve(read, asked, now=NOW).desired
        assert desired is not None
        assert state_from_manifest(merge_patch(cron_job, patch_from_state(desired, cron_job) or {})) == desired


@patient
@given(st.lists(spoilt(CRON_JOBS), max_size=3), st.lists(spoilt(SOURCES), max_size=3), st.booleans())
def test_whatever_objects_a_cluster_has_they_are_planned(jobs: Any, sources: Any, complete: bool) -> None:
    """No error is lost, and a second plan has nothing to write."""

    def planned(listed: list[Any]) -> Plan:
        return plan_manifests(
            cron_jobs=listed,
            replication_sources=sources,
            template=lambda repository, state: {},
            operator_namespace="volsync-system",
            complete=complete,
            now=NOW,
        )

    first = planned(jobs)
    for error in first.errors:
        with only_our_own_errors():
            raise error
    assert {*first.unreadable.values(), *first.withheld.values()} <= {*first.errors}
    assert not first.withheld.keys() & first.decisions.keys()
    created = [write.body for write in first.writes if write.action is Action.CREATE]
    unread = first.withheld.keys() - {write.name for write in first.writes}
    again = planned([*jobs, *created])
    assert all(write.name not in {body["metadata"]["name"] for body in created} for write in again.writes)
    assert unread <= again.withheld.keys()


@patient
@given(texts(PIECES, LINES) | st.binary())
def test_every_line_has_an_answer(line: str | bytes) -> None:
    """It is a line of JSON, too."""
    answered = answer(line)
    assert {"error", "cronJob", "cronJobs"} & answered.keys()
    json.dumps(answered, allow_nan=False).encode()


LISTS = st.lists(spoilt(CRON_JOBS | SOURCES, ODD), max_size=3)
DOCUMENTS = LISTS.map(lambda objects: "\n---\n".join(map(json.dumps, objects)))
LIST = LISTS.map(lambda objects: json.dumps({"kind": "List", "items": objects}))


@patient
@given(texts(YAML, DOCUMENTS | LIST), st.sampled_from(["json", "yaml", "table"]))
def test_whatever_a_file_holds_the_command_line_reports_it(text: str, output: str) -> None:
    """It ends with one of its statuses."""
    command = ["plan", "-", "--output", output, "--now", "2024-01-15T10:30:00Z"]
    done = CliRunner().invoke(cli, command, input=text.encode(errors="surrogatepass"))
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code in (0, 1, 2)
    assert "please report it" not in done.output
