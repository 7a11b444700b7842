"""What does the wire format say to each line, the hostile ones included? And does `serve` live through them?"""

from __future__ import annotations

import json
import subprocess
import sys
from io import BytesIO
from typing import Any

import pytest

from kopia_maint._objects import merge_patch
from kopia_maint.cli import _conformance
from kopia_maint.conformance import _answer, answer

from ..helpers import replication_source

SERVE = [sys.executable, "-m", "kopia_maint.cli", "serve"]
NEVER = replication_source(maintenanceCronJob={"schedule": "0 0 30 2 *"})
UNNAMED = replication_source("Team/a")
BOUNDED = {"name": "bounded", "policy": "first-wins", "shortest": "1h"}
PLAN = {"op": "plan", "cronJobs": [], "replicationSources": [], "operatorNamespace": "a", "complete": True}


def question(**members: Any) -> dict[str, Any]:
    """Return a line to send, with some members changed."""
    request = replication_source(maintenanceCronJob={"schedule": "0 2 * * *"})
    asked = {"op": "resolve", "current": None, "request": request, "now": "2024-01-15T10:30:00Z"}
    return {**asked, "policy": "first-wins", **members}


def asked(**members: Any) -> dict[str, Any]:
    """Return the answer to such a line."""
    return answer(json.dumps(question(**members)))


FULL = merge_patch(asked()["cronJob"], {"metadata": {"annotations": {"note": "x" * 262_100}}})


@pytest.mark.parametrize(
    ("members", "code", "path"),
    [
        ({"op": "destroy"}, "invalid-value", "op"),
        ({"op": None}, "invalid-manifest", "op"),
        ({"now": "noon"}, "invalid-value", "now"),
        ({"now": 5}, "invalid-manifest", "now"),
        ({"policy": "last-wins"}, "invalid-value", "policy"),
        ({"policy": ["first-wins"]}, "invalid-manifest", "policy"),
        ({"policy": {"name": "bounded", "policy": "first-wins"}}, "invalid-value", "policy"),
        ({"policy": {**BOUNDED, "name": "loose"}}, "invalid-value", "policy.name"),
        ({"policy": {**BOUNDED, "policy": {}}}, "invalid-manifest", "policy.policy"),
        ({"policy": {**BOUNDED, "shortest": "9" * 5000 + "s"}}, "invalid-value", "policy.shortest"),
        ({"policy": {**BOUNDED, "longest": 5}}, "invalid-manifest", "policy.longest"),
        ({"request": None}, "invalid-manifest", "request"),
        ({"request": UNNAMED}, "invalid-value", "request.metadata.namespace"),
        ({"request": NEVER}, "never-fires", "request.spec.kopia.maintenanceCronJob.schedule"),
        ({"current": []}, "invalid-manifest", "current"),
        ({"current": {"metadata": {"name": "x"}}}, "invalid-manifest", "current"),
        # What does not fit is an error of the answer.
        ({"current": FULL, "request": replication_source("b/b")}, "state-too-large", "cronJob.metadata.annotations"),
        ({"op": "reconcile", "requests": {}}, "invalid-manifest", "requests"),
        ({"op": "reconcile", "requests": [replication_source(), 5]}, "invalid-manifest", "requests[1]"),
        ({"op": "reconcile", "requests": [UNNAMED]}, "invalid-value", "requests[0].metadata.namespace"),
        ({"op": "reconcile", "requests": [replication_source()] * 2}, "invalid-value", ""),
        ({"op": "handOver", "namespace": "T"}, "invalid-value", "namespace"),
        ({"op": "handOver", "namespace": "team-b"}, "invalid-manifest", "current"),
        ({"op": "withdraw", "source": "team-b"}, "invalid-value", "source"),
        ({"op": "withdraw", "source": "team-b/b"}, "invalid-manifest", "current"),
        ({**PLAN, "cronJobs": {}}, "invalid-manifest", "cronJobs"),
        ({**PLAN, "replicationSources": None}, "invalid-manifest", "replicationSources"),
        ({**PLAN, "complete": 1}, "invalid-manifest", "complete"),
        ({**PLAN, "operatorNamespace": "T"}, "invalid-value", "operatorNamespace"),
    ],
)
def test_what_is_refused_is_answered_with_an_error(members: dict[str, Any], code: str, path: str) -> None:
    """Wrong operations, times, policies and manifests, and lists that no verdict can be given for: what and where."""
    error = asked(**members)["error"]
    assert error == {"code": code, "message": error["message"], "path": path}


def test_of_several_faults_the_first_is_answered() -> None:
    """In the order: op, policy, now, what is asked for, the CronJob."""
    faults = {"op": "x", "policy": 5, "now": "noon", "request": {}, "current": {}}
    for first in list(faults):
        assert asked(**faults)["error"]["path"].split(".")[0] == first
        del faults[first]


HOSTILE = {
    "empty": b"",
    "no JSON": b"what?",
    "a list": b"[]",
    "null": b"null",
    "bytes": b'{"op": "\xff"}',
    "a byte order mark": b"\xef\xbb\xbf{}",
    "NaN": json.dumps(question(extra=1)).replace("1}", "NaN}").encode(),
    "infinite": json.dumps(question(extra=7)).replace("7}", "1e999}").encode(),
    "digits": b'{"op": ' + b"9" * 5000 + b"}",
    "deep list": b'{"op": ' + b"[" * 100_000,
    "deep object": b'{"a":' * 500 + b"1" + b"}" * 500,
    "deep manifest": json.dumps(question()).replace('"data"', "[" * 99 + "]" * 99).encode(),
}


@pytest.mark.parametrize("line", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_line_is_answered_with_an_error(line: bytes) -> None:
    """Whatever it holds, the answer is the same on every Python, and can be written down."""
    error = answer(line)["error"]
    assert (error["code"], error["path"]) == ("invalid-value", "")
    assert len(error["message"]) < 200


def test_serve_answers_each_line_before_it_reads_the_next() -> None:
    """Who embeds it as a child waits for each answer, to bad lines, too; it ends when nobody reads its answers."""
    good = (json.dumps(question()) + "\n").encode()
    child: Any = subprocess.Popen(SERVE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with child:
        for line in (good, b"\n", b"rubbish\n", good, b"[" * 300_000 + b"\n", good):
            child.stdin.write(line)
            child.stdin.flush()
            assert json.loads(child.stdout.readline()).get("verdict") == ("established" if line is good else None)
        child.stdout.close()
        child.stdin.write(good)
        child.stdin.flush()
        assert (child.wait(timeout=60), child.stderr.read()) == (0, b"")  # its input is still open


def test_serve_skips_what_is_too_long_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """One error for the whole line, which is not parsed, however long; an unfinished last line is answered, too."""
    good = json.dumps(question()).encode()
    for module in (_answer, _conformance):
        monkeypatch.setattr(module, "MAX_LENGTH", len(good) + 1)
    written = BytesIO()
    _conformance.serve(BytesIO(b" " * 10 * len(good) + b"\n" + good + b"\n" + good), written)
    refused, *answers = [json.loads(line) for line in written.getvalue().splitlines()]
    assert refused["error"]["message"] == f"the line is longer than {len(good) + 1} bytes"
    assert [list(it) for it in answers] == [["verdict", "cronJob"]] * 2
