"""Does the runner tell right from wrong, and live through implementations that crash, hang and talk rubbish?"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from kopia_maint import manifest_from_state
from kopia_maint.cli._main import cli
from kopia_maint.conformance import Difference, Step, Vector, run
from kopia_maint.conformance._answer import MAX_LENGTH
from kopia_maint.conformance._runner import outcome

from ..helpers import REPOSITORY, ask, replication_source, state_of

Json = dict[str, Any]

RESOLVE = {"op": "resolve", "request": replication_source(), "now": "2024-01-15T10:30:00Z", "policy": "first-wins"}
PLAN = {**RESOLVE, "op": "plan", "replicationSources": [], "operatorNamespace": "volsync-system", "complete": True}


def vector(*expect: Json, send: Json = RESOLVE, current: Json | None = None) -> Vector:
    """Return a vector whose steps all send the same."""
    return Vector("area", "name", "A sentence.", current, tuple(Step(send, each, {}) for each in expect))


# --- what is compared; that answers are given back is what most vectors need ----

CRON_JOB = manifest_from_state(state_of(ask("team-a/source-a", "0 2 * * *")), {})
NAME = REPOSITORY.cron_job_name
AGREED = {"verdict": "agreed", "cronJob": CRON_JOB}
GONE: Json = {"cronJob": None}
NO_CRON_JOB = "a CronJob, or null"
OBSERVED = {
    "schedule": "00 02 * * 0-6",
    "owner": "team-a",
    "conflict": None,
    "namespaces": ["team-a"],
    "holds": {"metadata": {"name": NAME, "uid": None}},
}
PLANNED = {"cronJobs": {"ours": CRON_JOB}, "standings": {"team-a/a": "agreed"}, "withheld": ["b", "a"]}


@pytest.mark.parametrize(
    ("expect", "answer", "different"),
    [
        ({"verdict": "agreed", "cronJob": OBSERVED, "unchanged": False}, AGREED, []),
        ({"verdict": "rejected"}, AGREED, [("verdict", "rejected", "agreed")]),
        ({"verdict": None}, GONE, [("verdict", None, ...)]),
        ({"cronJob": None}, AGREED, [("cronJob", None, CRON_JOB)]),
        ({"cronJob": {"owner": "a"}}, GONE, [("cronJob", {"owner": "a"}, None)]),
        ({"cronJob": {"schedule": "0 3 * * *"}}, AGREED, [("schedule", "0 3 * * *", "0 2 * * *")]),
        ({"cronJob": {"schedule": "x"}}, {"cronJob": {"spec": 5}}, [("schedule", "x", ...)]),
        ({"cronJob": {"schedule": "x"}}, {"cronJob": {"spec": {"schedule": []}}}, [("schedule", "x", [])]),
        ({"cronJob": {"owner": "b"}}, AGREED, [(f"owner ({it})", "b", "team-a") for it in ("annotation", "label")]),
        ({"cronJob": {"conflict": "x"}}, AGREED, [("conflict", "x", None)]),
        ({"cronJob": {"namespaces": []}}, AGREED, [("namespaces", [], ["team-a"])]),
        ({"cronJob": {"holds": {"spec": {"suspend": True}}}}, AGREED, [("cronJob.spec.suspend", True, ...)]),
        ({"cronJob": {"holds": {"metadata": {"name": None}}}}, AGREED, [("cronJob.metadata.name", ..., NAME)]),
        ({"unchanged": True}, AGREED, [("unchanged cronJob", None, CRON_JOB)]),
        ({"unchanged": False}, GONE, [("cronJob", "a change", "none")]),
        ({"verdict": "agreed"}, {"verdict": "agreed"}, [("cronJob", NO_CRON_JOB, ...)]),
        ({"verdict": "agreed"}, {"verdict": "agreed", "cronJob": []}, [("cronJob", NO_CRON_JOB, [])]),
        ({"verdicts": {"a/b": "agreed"}}, {"verdicts": {}, **GONE}, [("verdicts.a/b", "agreed", ...)]),
        ({"error": "syntax"}, {"error": {"code": "syntax", "message": "whatever"}}, []),
        ({"error": "syntax"}, {"error": "syntax"}, []),
        ({"error": "syntax"}, {"error": {"code": "too-long"}}, [("error", "syntax", {"code": "too-long"})]),
        ({"error": "syntax"}, AGREED, [("error", "syntax", ...)]),
        ({"verdict": "agreed"}, {"error": None}, [("error", ..., None)]),
        # Of a plan: every CronJob with a decision, and no other; the order of what is withheld does not matter.
        ({"standings": {"team-a/a": "agreed"}, "withheld": ["a", "b"], "unchanged": False}, PLANNED, []),
        ({"cronJobs": {"ours": None}, "unchanged": True}, {"cronJobs": {"ours": None}}, []),
        ({"standings": {}}, PLANNED, [("standings.team-a/a", ..., "agreed")]),
        ({"withheld": ["a"]}, PLANNED, [("withheld", ["a"], ["a", "b"])]),
        ({"withheld": []}, {"cronJobs": {}}, [("withheld", [], ...)]),
        ({"withheld": ["a"]}, {"cronJobs": {}, "withheld": ["a", 5]}, [("withheld", ["a"], [5, "a"])]),
        ({"cronJobs": {"ours": {"conflict": "x"}}}, PLANNED, [("ours: conflict", "x", None)]),
        ({"cronJobs": {"ours": None}}, PLANNED, [("ours: cronJob", None, CRON_JOB)]),
        ({"cronJobs": {}}, PLANNED, [("cronJobs", [], ["ours"])]),
        ({"unchanged": True}, {"cronJobs": {"kept": None}}, [("unchanged cronJob.kept", {"spec": {}}, None)]),
        ({"unchanged": True}, {"cronJobs": 5}, [("cronJob", NO_CRON_JOB, 5)]),
        ({"unchanged": True}, {"cronJobs": {"a": 5}}, [("cronJob", NO_CRON_JOB, {"a": 5})]),
    ],
)
def test_what_is_compared(expect: Json, answer: Json, different: list[tuple[Any, ...]]) -> None:
    """Only what others can observe, and of that only what is mentioned; schedules by meaning."""
    plan = vector(expect, send=PLAN, current={"kept": {"spec": {}}})
    subject = plan if "cronJobs" in answer else vector(expect)
    assert outcome(subject, lambda _: answer).differences == tuple(Difference(*it) for it in different)


def test_a_vector_ends_at_its_first_difference() -> None:
    """What comes after would only follow from it."""
    failed = outcome(vector({"verdict": "agreed"}, {"verdict": "rejected"}, {"verdict": "disabled"}), lambda _: AGREED)
    assert (failed.step, [it.what for it in failed.differences]) == (2, ["verdict"])


# --- the other process -----------------------------------------------------------

LOOP = "import json, os, sys, time\nfor number, line in enumerate(sys.stdin):\n    "
RIGHT = "print(json.dumps({'verdict': 'agreed', 'cronJob': None}), flush=True)"
SUBJECT = vector({"verdict": "agreed"})


def later(code: str) -> str:
    """Return an implementation that answers right, but runs *code* at every line after its first."""
    return f"{LOOP}{code} if number else {RIGHT}"


def put(script: str, vectors: list[Vector], timeout: float = 20.0) -> list[str]:
    """Return what became of each vector with this implementation: nothing, or what was got instead."""
    outcomes = list(run([sys.executable, "-c", script], vectors, timeout=timeout))
    return ["".join(str(it.got) for it in each.differences) for each in outcomes]


def assert_ends(pid: str) -> None:
    """See that a process has ended, or does so at last: a busy machine kills late."""
    shows = ["ps", "-o", "stat=", "-p", pid.strip()]
    deadline = time.monotonic() + 10
    while subprocess.run(shows, stdout=subprocess.PIPE, check=False).stdout.strip()[:1] not in (b"", b"Z"):
        assert time.monotonic() < deadline


@pytest.mark.parametrize(
    ("script", "timeout", "faults"),
    [
        # It is started again after a crash: the next vector passes.
        (later("sys.exit('no more')"), 20, ["", "status 1; its last words: no more", ""]),
        # What is no answer is not taken for the next one, either.
        (later("print('hello', flush=True)"), 20, ["", "the line is not JSON", ""]),
        (later(r"print('{}\n{}', flush=True)"), 20, ["", "the line is not JSON", ""]),
        # Writing to one that no longer listens fails, which says little: its status and last words say more.
        (f"{LOOP}os.close(0); {RIGHT}; time.sleep(0.2); sys.exit('deaf')", 20, ["", "its last words: deaf", ""]),
        # A negative status is a signal's number.
        (LOOP + "os.kill(os.getpid(), 9)", 20, ["it ended with status -9"] * 2),
        ("raise SystemExit(3)", 20, ["it ended with status 3"] * 2),
        ("import os, time; os.close(1); time.sleep(1000)", 20, ["it closed its output"] * 2),
        # A line without an end, slow or fast: time and memory are bounded.
        (LOOP + "\n    while True: print(end='.', flush=True); time.sleep(0.01)", 2, ["not answer within 2 seconds"]),
        (LOOP + "\n    while True: print(end='x' * 10**6)", 20, [f"more than {MAX_LENGTH} bytes without an end"]),
        # After three hangs nothing more is asked.
        (LOOP + "time.sleep(1000)", 0.3, ["within 0.3 seconds"] * 3 + ["it has left 3 lines without an answer"] * 2),
        # Standard error goes to a file, and its end, of 500 bytes, is told.
        (LOOP + "sys.stderr.write('x' * 3_000_000) and " + RIGHT, 20, ["", ""]),
        (LOOP + "sys.stderr.write('x' * 3_000_000); sys.exit('end')", 20, [f"words: {'x' * 496}end"]),
    ],
)
def test_one_that_misbehaves_fails_the_vectors_it_was_at(script: str, timeout: float, faults: list[str]) -> None:
    """It is told how it failed; and where it can go on, it passes the other vectors."""
    got = put(script, [SUBJECT] * len(faults), timeout)
    assert [bool(it) for it in got] == [bool(it) for it in faults]
    assert all(fault in it for it, fault in zip(got, faults)), got


@pytest.mark.parametrize("then", ["import time; time.sleep(1000)", "raise SystemExit", LOOP + RIGHT])
def test_what_an_implementation_has_started_is_ended_with_it(tmp_path: Path, then: str) -> None:
    """One that hangs, one that has ended before, and one that passes: no child outlives the run."""
    pids = tmp_path / "pid"
    script = f"import subprocess; print(subprocess.Popen(['sleep', '1000']).pid, file=open({str(pids)!r}, 'w'))\n{then}"
    put(script, [SUBJECT], 3.0)
    assert_ends(pids.read_text())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_run_ends_what_it_started(tmp_path: Path, number: signal.Signals) -> None:
    """By Ctrl-C, by `timeout`, or by a terminal that is closed."""
    pids = tmp_path / "pid"
    hangs = ["sh", "-c", f"sleep 1000 & echo $! > {pids}; wait"]
    heard = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"  # background jobs ignore it
    main = f"{heard}; from kopia_maint.cli import main; main()"
    with subprocess.Popen([sys.executable, "-c", main, "conformance", "--", *hangs], stderr=subprocess.PIPE) as runs:
        while not (pids.exists() and pids.read_text().endswith("\n")):
            time.sleep(0.01)
        runs.send_signal(number)
        assert b"Traceback" not in runs.communicate(timeout=60)[1]
    assert runs.returncode == 128 + number
    assert_ends(pids.read_text())


def test_a_large_question_does_not_block_on_one_that_never_reads_it() -> None:
    """It may answer all the same, or its time is up."""
    big = vector({"verdict": "agreed"}, current={"x": "y" * 3_000_000})
    assert put("import json, time\n" + RIGHT + "\ntime.sleep(1000)", [big], 2.0) == [""]
    assert put("import time; time.sleep(1000)", [big], 0.3) == ["it did not answer within 0.3 seconds"]


# --- the command -------------------------------------------------------------------

WRONG = LOOP + "print(json.dumps({'verdict': '\x1b[2J', 'cronJob': {}}), flush=True)"
DIFFERENCES = [
    {"what": "verdict", "expected": "agreed", "got": "\x1b[2J"},
    {"what": "unchanged cronJob", "expected": None, "got": {}},
]
TOLD = r"""mine: n\x1b[31m
  A sentence.
  step 1 of 1
    verdict
      expected "agreed"
      got      "\u001b[2J"
    unchanged cronJob
      expected null
      got      {}

mine    0 of   1 passed, 1 left out
all     0 of   1 passed, 1 left out
"""


def test_a_failure_is_told_to_people_and_to_programs(tmp_path: Path) -> None:
    """Exit status 1; which vector, the rule, the step, both sides; and nothing that a terminal would act on."""
    step = {"send": RESOLVE, "expect": {"verdict": "agreed", "unchanged": True}}
    vectors = [
        {"name": "n\x1b[31m", "tests": "A sentence.", "steps": [{**step, "send": send}]} for send in (RESOLVE, PLAN)
    ]
    tmp_path.joinpath("mine.json").write_text(json.dumps({"area": "mine", "vectors": vectors}))
    command = ["conformance", "--vectors", str(tmp_path), "--op=resolve", "--", sys.executable, "-c", WRONG]
    result = CliRunner().invoke(cli, command)
    assert (result.exit_code, result.stdout) == (1, TOLD)
    result = CliRunner().invoke(cli, [*command[:1], "--output=json", *command[1:]])
    failure = {"area": "mine", "vector": "n\x1b[31m", "tests": "A sentence.", "step": 1, "differences": DIFFERENCES}
    counts = {"passed": 0, "failed": 1, "leftOut": 1}
    assert result.exit_code == 1
    assert json.loads(result.stdout) == {**counts, "areas": [{"area": "mine", **counts}], "failures": [failure]}
