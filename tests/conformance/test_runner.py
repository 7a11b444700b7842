"""Does the runner tell right from wrong, and live through implementations that crash, hang and talk rubbish?"""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("click")

from click.testing import CliRunner, Result

from kopia_maint import InvalidValue
from kopia_maint.cli._main import cli
from kopia_maint.conformance import Difference, Step, Vector, load, run
from kopia_maint.conformance import _runner as runner
from kopia_maint.conformance._runner import outcome

from ..helpers import replication_source

OWNER = "volsync.backube/source-namespace"


def vector(expect: dict[str, Any], *more: dict[str, Any], edit: dict[str, Any] | None = None) -> Vector:
    """Return a vector whose every step sends the same, and expects what is given."""
    send = {"op": "resolve", "request": replication_source(), "now": "2024-01-15T10:30:00Z", "policy": "first-wins"}
    steps = [Step(send, each, {}) for each in (expect, *more)]
    steps[-1] = Step(send, steps[-1].expect, edit or {})
    return Vector("area", "name", "A sentence.", None, tuple(steps))


def cron_job(**annotations: str) -> dict[str, Any]:
    """Return a CronJob of somebody who keeps no claims."""
    labels = {OWNER: "team-a", "source-namespace.volsync.backube/team-a": ""}
    return {
        "metadata": {"name": "x", "labels": labels, "annotations": {OWNER: "team-a", **annotations}},
        "spec": {"schedule": "0 2 * * *"},
    }


AGREED = {"verdict": "agreed", "cronJob": cron_job()}


@pytest.mark.parametrize(
    ("expect", "answer", "different"),
    [
        ({"verdict": "agreed"}, AGREED, []),
        ({"verdict": "rejected"}, AGREED, [("verdict", "rejected", "agreed")]),
        ({"verdict": None}, {"cronJob": None}, [("verdict", None, ...)]),
        ({"verdict": "agreed", "cronJob": None}, AGREED, [("cronJob", None, cron_job())]),
        ({"cronJob": {"owner": "a"}}, {"cronJob": None}, [("cronJob", {"owner": "a"}, None)]),
        ({"cronJob": {"schedule": "00 02 * * 0-6"}}, AGREED, []),
        ({"cronJob": {"schedule": "0 3 * * *"}}, AGREED, [("schedule", "0 3 * * *", "0 2 * * *")]),
        ({"cronJob": {"schedule": "0 3 * * *"}}, {"cronJob": {"spec": 5}}, [("schedule", "0 3 * * *", ...)]),
        (
            {"cronJob": {"schedule": "0 3 * * *"}},
            {"cronJob": {"spec": {"schedule": []}}},
            [("schedule", "0 3 * * *", [])],
        ),
        ({"cronJob": {"owner": "team-a"}}, AGREED, []),
        (
            {"cronJob": {"owner": "team-b"}},
            AGREED,
            [("owner (annotation)", "team-b", "team-a"), ("owner (label)", "team-b", "team-a")],
        ),
        ({"cronJob": {"conflict": None}}, AGREED, []),
        ({"cronJob": {"conflict": "x"}}, AGREED, [("conflict", "x", None)]),
        ({"cronJob": {"namespaces": ["team-a"]}}, AGREED, []),
        ({"cronJob": {"namespaces": []}}, AGREED, [("namespaces", [], ["team-a"])]),
        ({"cronJob": {"holds": {"metadata": {"name": "x", "uid": None}}}}, AGREED, []),
        ({"cronJob": {"holds": {"spec": {"suspend": True}}}}, AGREED, [("cronJob.spec.suspend", True, ...)]),
        ({"cronJob": {"holds": {"metadata": {"name": None}}}}, AGREED, [("cronJob.metadata.name", ..., "x")]),
        ({"unchanged": False}, AGREED, []),
        ({"unchanged": True}, AGREED, [("unchanged cronJob", None, cron_job())]),
        ({"unchanged": False}, {"cronJob": None}, [("cronJob", "a change", "none")]),
        ({"verdict": "agreed"}, {"verdict": "agreed"}, [("cronJob", "a CronJob, or null", ...)]),
        ({"verdict": "agreed"}, {"verdict": "agreed", "cronJob": []}, [("cronJob", "a CronJob, or null", [])]),
        (
            {"verdicts": {"a/b": "agreed"}},
            {"verdicts": {"c/d": "agreed"}, "cronJob": None},
            [("verdicts.a/b", "agreed", ...), ("verdicts.c/d", ..., "agreed")],
        ),
        ({"error": "syntax"}, {"error": {"code": "syntax", "message": "whatever"}}, []),
        ({"error": "syntax"}, {"error": {"code": "too-long"}}, [("error", "syntax", {"code": "too-long"})]),
        ({"error": "syntax"}, {"error": "syntax"}, []),
        ({"error": "syntax"}, AGREED, [("error", "syntax", ...)]),
        ({"verdict": "agreed"}, {"error": None}, [("error", ..., None)]),
    ],
)
def test_what_is_compared(expect: dict[str, Any], answer: dict[str, Any], different: list[tuple[Any, ...]]) -> None:
    """Only what others can observe, and of that only what is mentioned; schedules by meaning."""
    assert outcome(vector(expect), lambda _: answer).differences == tuple(Difference(*it) for it in different)


def test_the_cron_job_of_an_answer_is_the_next_current_one() -> None:
    """Memory in any annotation comes back; what an edit does to it comes first; an error changes nothing."""
    answers: list[dict[str, Any]] = [
        {"verdict": "agreed", "cronJob": cron_job(memory="1")},
        {"error": {"code": "syntax"}},
        AGREED,
    ]
    asked = []

    def ask(question: dict[str, Any]) -> dict[str, Any]:
        asked.append(question["current"])
        return answers[len(asked) - 1]

    steps = ({"verdict": "agreed"}, {"error": "syntax"}, {"verdict": "agreed", "unchanged": False})
    edit = {"metadata": {"annotations": {"memory": None, "seen": "yes"}}}
    assert outcome(vector(*steps, edit=edit), ask) == runner.Outcome(vector(*steps, edit=edit), 3, ())
    assert asked == [None, cron_job(memory="1"), cron_job(seen="yes")]


PLAN = {
    "op": "plan",
    "replicationSources": [],
    "operatorNamespace": "volsync-system",
    "complete": True,
    "now": "2024-01-15T10:30:00Z",
    "policy": "first-wins",
}
PLANNED = {"cronJobs": {"ours": cron_job()}, "standings": {"team-a/a": "agreed"}, "withheld": ["b", "a"]}


@pytest.mark.parametrize(
    ("expect", "answer", "different"),
    [
        ({"standings": {"team-a/a": "agreed"}, "withheld": ["a", "b"], "unchanged": False}, PLANNED, []),
        ({"standings": {}}, PLANNED, [("standings.team-a/a", ..., "agreed")]),
        ({"withheld": ["a"]}, PLANNED, [("withheld", ["a"], ["a", "b"])]),
        ({"withheld": []}, {"cronJobs": {}}, [("withheld", [], ...)]),
        ({"withheld": ["a"]}, {"cronJobs": {}, "withheld": ["a", 5]}, [("withheld", ["a"], [5, "a"])]),
        ({"cronJobs": {"ours": {"schedule": "00 2 * * *"}}}, PLANNED, []),
        ({"cronJobs": {"ours": {"conflict": "x"}}}, PLANNED, [("ours: conflict", "x", None)]),
        ({"cronJobs": {"ours": None}}, PLANNED, [("ours: cronJob", None, cron_job())]),
        ({"cronJobs": {}}, PLANNED, [("cronJobs", [], ["ours"])]),
        ({"cronJobs": {"ours": None}}, {"cronJobs": {"ours": None}}, []),
        ({"unchanged": True}, {"cronJobs": {"new": None}}, []),
        ({"unchanged": True}, {"cronJobs": {"kept": None}}, [("unchanged cronJob.kept", {"spec": {}}, None)]),
        ({"withheld": []}, {"withheld": []}, [("cronJob", "a CronJob, or null", ...)]),
        ({"withheld": []}, {"withheld": [], "cronJobs": {"a": 5}}, [("cronJob", "a CronJob, or null", {"a": 5})]),
    ],
)
def test_what_is_compared_of_a_plan(
    expect: dict[str, Any], answer: dict[str, Any], different: list[tuple[Any, ...]]
) -> None:
    """Every CronJob with a decision, and no other; the order of what is withheld does not matter."""
    subject = Vector("area", "name", "A sentence.", {"kept": {"spec": {}}}, (Step(PLAN, expect, {}),))
    assert outcome(subject, lambda _: answer).differences == tuple(Difference(*it) for it in different)


def test_the_cron_jobs_of_a_plan_are_the_next_current_ones() -> None:
    """What is deleted is gone, what has no decision stays as it is, and an edit comes first."""
    answers: list[dict[str, Any]] = [
        {"cronJobs": {"new": {"spec": 1}, "gone": None}},
        {"error": {"code": "syntax"}},
        {"cronJobs": {}},
    ]
    asked = []

    def ask(question: dict[str, Any]) -> dict[str, Any]:
        asked.append(question["cronJobs"])
        return answers[len(asked) - 1]

    expect: list[dict[str, Any]] = [{"unchanged": False}, {"error": "syntax"}, {"unchanged": True}]
    steps = tuple(Step(PLAN, it, {"new": {"kind": "x"}} if "error" in it else {}) for it in expect)
    subject = Vector("area", "name", "A sentence.", {"stranger": {"spec": 2}, "gone": {"spec": 3}}, steps)
    assert outcome(subject, ask).differences == ()
    edited = {"spec": 1, "kind": "x"}
    assert asked == [[{"spec": 2}, {"spec": 3}], [{"spec": 2}, edited], [{"spec": 2}, edited]]


def test_a_vector_ends_at_its_first_difference() -> None:
    """What comes after would only follow from it."""
    failed = outcome(vector({"verdict": "agreed"}, {"verdict": "rejected"}, {"verdict": "disabled"}), lambda _: AGREED)
    assert (failed.step, [it.what for it in failed.differences]) == (2, ["verdict"])


# --- the other process -----------------------------------------------------------


LOOP = "import json, sys, time\nfor number, line in enumerate(sys.stdin):\n    "
RIGHT = "print(json.dumps({'verdict': 'agreed', 'cronJob': None}), flush=True)"
SUBJECT = vector({"verdict": "agreed"})


def put(script: str, vectors: list[Vector], timeout: float = 20.0) -> list[str]:
    """Return what became of each vector with this implementation: nothing, or what was got instead."""
    outcomes = list(run([sys.executable, "-c", script], vectors, timeout=timeout))
    return ["".join(str(it.got) for it in each.differences) for each in outcomes]


def test_one_that_no_longer_listens_is_told_by_how_it_ended() -> None:
    """Writing to it fails, which says little: its status and last words say more, and it is started again."""
    script = (
        "import os, sys, time; os.read(0, 65536); os.close(0); "
        + RIGHT.replace("print", "import json; print")
        + "; time.sleep(0.2); print('deaf', file=sys.stderr); sys.exit(3)"
    )
    assert put(script, [SUBJECT, SUBJECT, SUBJECT]) == ["", "it ended with status 3; its last words: deaf", ""]


def test_it_is_started_once_and_ended() -> None:
    """Every vector is put to the same process, which is gone afterwards."""
    script = LOOP + "import os; print(json.dumps({'verdict': os.getpid(), 'cronJob': None}), flush=True)"
    (first, second) = put(script, [SUBJECT, SUBJECT])
    assert first == second != ""
    with pytest.raises(ProcessLookupError):
        os.kill(int(first), 0)


def test_a_crash_fails_the_vector_it_came_at_and_no_other() -> None:
    """It is started again, and its last words are told."""
    script = LOOP + "sys.exit('no more') if number == 1 else " + RIGHT
    assert put(script, [SUBJECT] * 3) == ["", "it ended with status 1; its last words: no more", ""]


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("raise SystemExit(3)", "it ended with status 3"),
        (LOOP + "os.kill(os.getpid(), 9)", "it ended with status -9"),
        ("os.close(1)\ntime.sleep(1000)", "it closed its output"),
        ("while True: print(end='.', flush=True); time.sleep(0.01)", "it did not answer within 2 seconds"),
    ],
)
def test_one_that_never_answers_fails_every_vector(script: str, told: str) -> None:
    """It does not even start, is killed (a negative status is a signal's number), goes silent, or ends no line."""
    assert put("import os, time\n" + script, [SUBJECT] * 2, 2.0) == [told] * 2


def test_a_hang_ends_when_its_time_is_up_and_is_not_waited_for_too_often() -> None:
    """After three hangs nothing more is asked."""
    hung, refused = "it did not answer within 0.3 seconds", "not asked: it has left 3 lines without an answer"
    assert put(LOOP + "time.sleep(1000)", [SUBJECT] * 5, 0.3) == [hung] * 3 + [refused] * 2


def ended(pids: Path) -> bool:
    """Return whether the process whose number a file holds has ended, or does so at last: a busy machine kills late."""
    shows = ["ps", "-o", "stat=", "-p", pids.read_text().strip()]
    for _ in range(100):
        if subprocess.run(shows, stdout=subprocess.PIPE, check=False).stdout.strip()[:1] in (b"", b"Z"):
            return True
        time.sleep(0.1)
    return False


@pytest.mark.parametrize("then", ["import time; time.sleep(1000)", "raise SystemExit", LOOP + RIGHT])
def test_what_an_implementation_has_started_is_ended_with_it(tmp_path: Path, then: str) -> None:
    """One that hangs, one that has ended before, and one that passes: no child outlives the run."""
    pids = tmp_path / "pid"
    script = f"import subprocess; print(subprocess.Popen(['sleep', '1000']).pid, file=open({str(pids)!r}, 'w'))\n{then}"
    put(script, [SUBJECT], 3.0)
    assert ended(pids)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_run_ends_what_it_started(tmp_path: Path, number: signal.Signals) -> None:
    """By Ctrl-C, by `timeout`, or by a terminal that is closed."""
    pids = tmp_path / "pid"
    hangs = f"sleep 1000 & echo $! > {pids}; wait"
    with subprocess.Popen(
        [*COMMAND, "--", "sh", "-c", hangs], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as runs:
        while not (pids.exists() and pids.read_text().endswith("\n")):
            time.sleep(0.01)
        runs.send_signal(number)
        assert runs.wait(timeout=60) == 128 + number
        assert runs.stderr is not None
        assert b"Traceback" not in runs.stderr.read()
    assert ended(pids)


def test_vectors_of_other_ops_are_left_out() -> None:
    """They are counted, and not asked; where all are left out, that is an error, and not a success."""
    plan = Vector("area", "plan", "A sentence.", None, (Step(PLAN, {"unchanged": True}, {}),))
    outcomes = list(run([sys.executable, "-c", LOOP + RIGHT], [plan, SUBJECT], ops=["resolve"]))
    assert [(it.vector, it.step, it.differences) for it in outcomes] == [(plan, 0, ()), (SUBJECT, 1, ())]
    with pytest.raises(InvalidValue, match="there is no vector for withdraw"):
        list(run(["/nowhere"], [plan], ops=["withdraw"]))


@pytest.mark.parametrize("rubbish", ["hello", "[]", "{", "null", "\\xff", '{\\"a\\": NaN}', "[" * 5000, "{}\\n{}", ""])
def test_rubbish_is_told_and_belongs_to_no_other_line(rubbish: str) -> None:
    """Whatever else it has to say is not taken for the next answer."""
    script = LOOP + f'sys.stdout.buffer.write(b"{rubbish}\\n") and sys.stdout.flush() if number == 0 else {RIGHT}'
    faults = put(script, [SUBJECT] * 3)
    assert all("the line" in fault for fault in faults)
    good = LOOP + f"print('rubbish', flush=True) if number == 1 else {RIGHT}"
    assert [bool(fault) for fault in put(good, [SUBJECT] * 3)] == [False, True, False]


def test_megabytes_without_an_end_are_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded."""
    monkeypatch.setattr(runner, "MAX_LENGTH", 1_000_000)
    script = LOOP + "\n    while True: print(end='x' * 100_000)"
    assert put(script, [SUBJECT]) == ["it wrote more than 1000000 bytes without an end of line"]


def test_megabytes_of_log_are_no_obstacle() -> None:
    """Standard error goes to a file, and only its end is told."""
    script = LOOP + "sys.stderr.write('x' * 3_000_000) and " + RIGHT
    assert put(script, [SUBJECT] * 2) == ["", ""]
    (fault,) = put(LOOP + "sys.stderr.write('x' * 3_000_000); sys.exit('the end')", [SUBJECT])
    assert fault.endswith("xthe end")
    assert len(fault) < 1000


def test_one_that_answers_without_listening() -> None:
    """A large question does not block on somebody who never reads it."""
    big = vector({"verdict": "agreed"})
    big = Vector("area", "big", "A sentence.", {"x": "y" * 3_000_000}, big.steps)
    assert put("import json, time\n" + RIGHT + "\ntime.sleep(1000)", [big], 2.0) == [""]
    assert put("import time; time.sleep(1000)", [big], 0.3) == ["it did not answer within 0.3 seconds"]


# --- the command -------------------------------------------------------------------


COMMAND = [sys.executable, "-m", "kopia_maint.cli", "conformance"]


def invoke(*arguments: str) -> Result:
    """Run ``conformance`` in this process."""
    return CliRunner().invoke(cli, ["conformance", *arguments], catch_exceptions=False)


def test_the_command_passes_the_library_itself() -> None:
    """Exit status 0, and each area with how many passed."""
    result = invoke("--", sys.executable, "-m", "kopia_maint.cli", "serve")
    assert (result.exit_code, result.stderr) == (0, "")
    *areas, total = result.stdout.splitlines()
    assert [line.split()[0] for line in areas] == sorted({it.area for it in load()})
    assert total.split() == ["all", str(len(load())), "of", str(len(load())), "passed"]


@pytest.fixture
def mine(tmp_path: Path) -> str:
    """Return a folder with one vector."""
    content = {"area": "mine", "vectors": [{"name": "n\x1b[31m", "tests": "A sentence.", "steps": []}]}
    send = {"op": "resolve", "request": replication_source(), "now": "2024-01-15T10:30:00Z", "policy": "first-wins"}
    content["vectors"][0]["steps"] = [{"send": send, "expect": {"verdict": "agreed", "unchanged": True}}]  # type: ignore[index]
    tmp_path.joinpath("mine.json").write_text(json.dumps(content))
    return str(tmp_path)


WRONG = (sys.executable, "-c", LOOP + "print(json.dumps({'verdict': '\x1b[2J', 'cronJob': {}}), flush=True)")


def test_a_failure_is_told_so_that_a_person_can_read_it(mine: str) -> None:
    """Exit status 1; which vector, the rule, the step, both sides; and nothing that a terminal would act on."""
    result = invoke("--vectors", mine, "--", *WRONG)
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "mine: n\\x1b[31m",
        "  A sentence.",
        "  step 1 of 1",
        "    verdict",
        '      expected "agreed"',
        '      got      "\\u001b[2J"',
        "    unchanged cronJob",
        "      expected null",
        "      got      {}",
        "",
        "mine    0 of   1 passed",
        "all     0 of   1 passed",
    ]


def test_a_failure_as_json(mine: str) -> None:
    """The same, for programs; a side that is not there is absent."""
    result = invoke("--vectors", mine, "--output", "json", "--", *WRONG)
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    assert (report["passed"], report["failed"]) == (0, 1)
    assert report["areas"] == [{"area": "mine", "passed": 0, "failed": 1, "leftOut": 0}]
    (failure,) = report["failures"]
    assert (failure["area"], failure["vector"], failure["step"]) == ("mine", "n\x1b[31m", 1)
    assert failure["differences"][0] == {"what": "verdict", "expected": "agreed", "got": "\x1b[2J"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "COMMAND"),
        (["--vectors", "/nowhere", "--", "true"], "/nowhere"),
        (["--op", "destroy", "--", "true"], "destroy"),
        (["--", "/no/such/program"], f"/no/such/program cannot be started: {os.strerror(errno.ENOENT)}"),
    ],
)
def test_bad_usage(arguments: list[str], message: str) -> None:
    """Exit status 2, and what is wrong."""
    done = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert message in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_bad_vectors_are_bad_input(tmp_path: Path) -> None:
    """Exit status 2, and where they are bad."""
    tmp_path.joinpath("x.json").write_text("{}")
    result = CliRunner().invoke(cli, ["conformance", "--vectors", str(tmp_path), "--", "true"])
    assert result.exit_code == 2
    assert "x.json: must have area" in result.stderr
