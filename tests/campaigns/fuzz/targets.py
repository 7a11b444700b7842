"""What is read, and what must hold of it? One target for each reader of foreign data."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

from click.testing import CliRunner

from kopia_maint import (
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

from .draw import CLAIMS_WORDS, SCHEDULE_WORDS, YAML_WORDS, Draw, written

NOW = datetime(2024, 1, 15, 10, 30, tzinfo=timezone.utc)


def schedule(draw: Draw) -> None:
    """Text is a schedule or refused; a schedule's own spellings are the same schedule, and its runs ascend."""
    read = Schedule.parse(draw.text(SCHEDULE_WORDS))
    assert Schedule.parse(read.text) == Schedule.parse(read.canonical) == read
    assert Schedule.parse(read.canonical).canonical == read.canonical
    runs = read.next_runs(NOW, 2)
    assert all(run > NOW for run in runs)
    assert list(runs) == sorted(set(runs))
    assert not (runs and read.never_fires)


def request(draw: Draw) -> None:
    """A manifest is a request, no Kopia source, or refused; a request can be decided."""
    read = request_from_manifest(draw.source())
    if read is not None:
        resolve(None, read, now=NOW)


def state(draw: Draw) -> None:
    """A manifest is a state or refused; a state is read again from what is written for it, and then all is quiet."""
    manifest = draw.cron_job()
    read = state_from_manifest(manifest)
    if read is None:
        return
    before = written(manifest)
    template = manifest if draw.number(2) else draw.spoilt({"metadata": {"labels": {"a": "b"}}, "spec": {}})
    again = manifest_from_state(read, template)
    assert state_from_manifest(again) == read
    assert patch_from_state(read, again) is None
    patched = merge_patch(manifest, patch_from_state(read, manifest) or {})
    assert state_from_manifest(patched) == read
    assert patch_from_state(read, patched) is None
    assert written(manifest) == before


def decision(draw: Draw) -> None:
    """What was read is decided, and the patch leads from the one state to the other."""
    manifest, asked = draw.cron_job(), request_from_manifest(draw.source())
    read = state_from_manifest(manifest)
    if asked is None or read is None:
        return
    desired = resolve(read, asked, now=NOW).desired
    assert desired is not None
    assert state_from_manifest(merge_patch(manifest, patch_from_state(desired, manifest) or {})) == desired


def plan(draw: Draw) -> None:
    """Whatever the objects of a cluster are, they are planned; no error is lost; a second plan has nothing to write."""
    jobs, sources = ([make() for _ in range(draw.number(4))] for make in (draw.cron_job, draw.source))
    complete = bool(draw.number(2))

    def planned(cron_jobs: list[Any]) -> Plan:
        return plan_manifests(
            cron_jobs=cron_jobs,
            replication_sources=sources,
            template=lambda repository, state: {},
            operator_namespace="volsync-system",
            complete=complete,
            now=NOW,
        )

    first = planned(jobs)
    assert {*first.unreadable.values(), *first.withheld.values()} <= {*first.errors}
    assert not first.withheld.keys() & first.decisions.keys()
    created = [write.body for write in first.writes if write.action is Action.CREATE]
    unread = first.withheld.keys() - {write.name for write in first.writes}
    again = planned([*jobs, *created])
    assert all(write.name not in {body["metadata"]["name"] for body in created} for write in again.writes)
    assert unread <= again.withheld.keys()


def claims(draw: Draw) -> None:
    """The annotation of the claims is read or refused."""
    metadata = {
        "name": "kopia-maintenance-f11df99437a0f538",
        "annotations": {"volsync.backube/schedule-claims": draw.text(CLAIMS_WORDS)},
    }
    read = state_from_manifest({"metadata": metadata, "spec": {"schedule": "0 2 * * *"}})
    assert read is not None
    assert state_from_manifest(manifest_from_state(read, {})) == read


def wire(draw: Draw) -> None:
    """Every line has an answer, which is a line of JSON too."""
    question = {
        "op": draw.pick(("resolve", "reconcile", "handOver", "withdraw", "plan")),
        "current": draw.cron_job() if draw.number(2) else None,
        "request": draw.source(),
        "requests": [draw.source() for _ in range(draw.number(4))],
        "namespace": draw.pick(("team-a", "team-b", "Team-C")),
        "source": draw.pick(("team-a/source-a", "team-b/source-b", "team-a")),
        "cronJobs": [draw.cron_job() for _ in range(draw.number(3))],
        "replicationSources": [draw.source() for _ in range(draw.number(4))],
        "operatorNamespace": "volsync-system",
        "complete": True,
        "now": "2024-01-15T10:30:00Z",
        "policy": draw.pick(("first-wins", "consensus")),
    }
    kind = draw.number(4)
    line: str | bytes = written(draw.spoilt(question))
    if kind == 0:
        line = draw.text(CLAIMS_WORDS)
    elif kind == 1:
        line = draw.rest()
    answered = answer(line)
    assert {"error", "cronJob", "cronJobs"} & answered.keys()
    json.dumps(answered, allow_nan=False).encode()


def files(draw: Draw) -> None:
    """Whatever a file holds, the command line reports it and ends with one of its statuses."""
    kind = draw.number(3)
    if kind == 0:
        text = draw.text(YAML_WORDS, 40)
    else:
        documents = [draw.cron_job() if draw.number(3) == 0 else draw.source() for _ in range(draw.number(4))]
        joined = {"kind": "List", "items": documents}
        text = written(joined) if kind == 1 else "\n---\n".join(map(written, documents))
    output = draw.pick(("json", "yaml", "table"))
    done = CliRunner().invoke(
        cli,
        ["plan", "-", "--output", output, "--now", "2024-01-15T10:30:00Z"],
        input=text.encode(errors="surrogatepass"),
    )
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code in (0, 1, 2)


TARGETS: dict[str, Callable[[Draw], None]] = {
    each.__name__: each for each in (schedule, request, state, decision, plan, claims, wire, files)
}


def run(name: str, data: bytes) -> None:
    """Run one target: only our own errors may come out."""
    try:
        TARGETS[name](Draw(data))
    except KopiaMaintError as error:
        str(error).encode()
        assert len(str(error)) < 1000
        assert "\n" not in str(error)
