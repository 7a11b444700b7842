"""What does ``kopia-maint plan`` decide and show, and with which exit status does it end?"""

import errno
import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kopia_maint import Claim, CronJobState, Schedule
from kopia_maint.cli import _yaml
from kopia_maint.testing.strategies import cron_jobs, replication_sources

from ..helpers import NOW, REPOSITORY, replication_source, source
from .command_line import (
    CLAIMS,
    EXAMPLE,
    PROGRAM,
    bare,
    cron_job,
    disagreeing,
    documents,
    edited,
    invoke,
    only,
    planned,
    run,
    shown,
    wants,
)

# --- the renderings ----------------------------------------------------------


def test_the_lines_show_every_repository_with_its_conflicts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Schedule and owner once, then who wants what and where; a summary comes last. No repository takes four lines."""
    monkeypatch.chdir(Path(EXAMPLE).parent)
    result = invoke("shared-repository")
    assert result.exit_code == 1
    assert (
        result.stdout.partition("\n\n")[0]
        == """\
shared-repo-secret: 0 2 * * *, owner team-a, create, used by team-a, team-b
  conflict: team-b/source-b wants 0 4 * * *, new,
    shared-repository/team-b.yaml:12
team-c-repo-secret: @weekly, owner team-c, create, used by team-c"""
    )
    assert result.stdout.splitlines()[-1] == "2 repositories, 1 conflict in 1, 0 errors, 2 notes"


def test_quiet_leaves_conflicts_errors_and_the_summary() -> None:
    """No repository without a conflict, no note and no advice, in every output for people."""
    given = documents(*disagreeing(), wants("@weekly", "team-c/c", "other"), "a: [")
    result = invoke("-q", given=given)
    assert result.stdout.splitlines() == [
        "shared-repo-secret: 0 2 * * *, owner team-a, update (claims, conflict),",
        "    used by team-a, team-b",
        "  conflict: team-b/source-b wants 0 4 * * *, new",
        "2 repositories, 1 conflict in 1, 1 error, 1 note",
    ]
    assert len(result.stderr.splitlines()) == 1
    for output in ("yaml", "github"):
        assert "shared by name" not in invoke("-q", "-o", output, given=given).output


def test_only_a_conflict_without_a_record_is_new() -> None:
    """What the CronJob tells already was opened by an earlier decision."""
    written = _yaml.read(invoke("-o", "yaml", given=documents(*disagreeing())).stdout)[0]
    again = (written, *disagreeing()[1:])
    assert [it["new"] for it in only(planned(*disagreeing(), status=1))["conflicts"]] == [True]
    assert [it["new"] for it in only(planned(*again, status=1))["conflicts"]] == [False]
    assert ", new" not in shown(*again)


def test_json_has_what_a_program_needs() -> None:
    """Repositories sorted by name, and for each conflict who, what, since when, where, and what ends it."""
    answer = planned(options=(EXAMPLE,), status=1)
    assert [it["repository"] for it in answer["repositories"]] == ["shared-repo-secret", "team-c-repo-secret"]
    expected = """
        {"name": "kopia-maintenance-f11df99437a0f538", "repository": "shared-repo-secret",
        "repositoryHash": "f11df99437a0f538", "schedule": "0 2 * * *", "owner": "team-a",
        "namespaces": ["team-a", "team-b"], "action": "create", "changes": [], "nextRun": "2024-01-16T02:00:00Z",
        "conflicts": [{"namespace": "team-b", "name": "source-b", "schedule": "0 4 * * *",
            "since": "2024-01-15T10:30:00Z", "new": true, "line": 12,
            "message": "Last conflict: Schedule '0 4 * * *' requested from namespace 'team-b' at 2024-01-15T10:30:00Z \
(rejected - first-wins strategy)",
            "nextSteps": {"agree": "ask for \\"0 2 * * *\\" in spec.kopia.maintenanceCronJob, or for nothing:\
 without that and maintenanceIntervalDays",
                "disable": "set spec.kopia.maintenanceCronJob.enabled to false",
                "ownRepository": "use another repository: name another Secret in spec.kopia.repository",
                "handOver": null}}]}"""
    assert answer["repositories"][0]["conflicts"][0].pop("file") == f"{EXAMPLE}/team-b.yaml"
    assert answer["repositories"][0] == json.loads(expected)


def test_yaml_is_what_the_next_plan_reads(tmp_path: Path) -> None:
    """The CronJobs that are printed, planned again with the same sources, need nothing; without sources, they go."""
    path = tmp_path / "written.yaml"
    path.write_text(invoke(EXAMPLE, "--output", "yaml").stdout)
    answer = planned(options=(EXAMPLE, str(path)), status=1)
    assert [it["action"] for it in answer["repositories"]] == ["none", "none"]
    assert [it["action"] for it in planned(options=(str(path),))["repositories"]] == ["delete", "delete"]


@pytest.mark.parametrize("columns", [20, 40, 80, 200])
def test_nothing_is_cut_whatever_the_width(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    """Lines break between words, and inside of no name, schedule or quotation: a terminal wraps those."""
    long = "0,5,10,15,20,25,30,35,40,45,50,55 0-23/2 1,15 jan,feb,mar,apr,may,jun mon-fri"
    name = f"z{'8' * 62}/{'9' * 253}"
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = shown(wants(long), wants("0 4 * * *", name)).splitlines()
    assert all(any(text in line for line in lines) for text in (long, name, "0 4 * * *", f"'{long}'"))
    assert max(len(line) for line in lines if long not in line and name[:63] not in line) <= max(columns, 50)


def test_hostile_text_does_not_reach_the_terminal(tmp_path: Path) -> None:
    """Control characters and those that turn text round are escaped, in file names as in manifests."""
    path = tmp_path / "a\x1b[2J\u202e\n.yaml"
    manifest = edited(annotations={CLAIMS: json.dumps({"version": 1, "claims": {"\x1b]0;x\x07": {"a": 1}}})})
    conflicting = wants("0 4 * * *", "team-b/b", "other"), wants("0 5 * * *", repository="other")
    path.write_text(documents({"kind": "ReplicationSource", "metadata": "\x1b[2J"}, manifest, "a: \x1b", *conflicting))
    result = invoke(str(path))
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 3
    assert result.output.replace("\n", "").isprintable()
    assert result.output.count("\\x1b[2J\\u202e\\n.yaml") == 4


@pytest.mark.parametrize("schedule", ["0 4 * * *-##[stop-commands]x", "0 4 * * ?-##vso[x]", "*-##[a] 4 * * *"])
@pytest.mark.parametrize("output", ["table", "json", "yaml", "github"])
def test_what_a_ci_log_obeys_is_shown_by_its_meaning(schedule: str, output: str) -> None:
    """Kubernetes reads no further than a star's hyphen: a tenant can write anything behind it."""
    hostile = wants(schedule, "team-b/b")
    refused = wants(f"{schedule}/##[x", "team-c/c")
    for objects in ((cron_job(), wants("0 2 * * *"), hostile, refused), (hostile, wants("0 2 * * *", "team-c/c"))):
        told = invoke("-o", output, given=documents(*objects)).output
        assert "##" not in told
        assert "team-b" in told
    owner = json.loads(invoke("-o", "json", given=documents(hostile)).stdout)
    written = _yaml.read(invoke("-o", "yaml", given=documents(hostile)).stdout)[0]
    assert only(owner)["schedule"] == written["spec"]["schedule"] == schedule
    assert "##" not in run("explain", schedule).stdout + run("explain", f"{schedule}/##[").stdout


def on_a_terminal(*args: str, **environment: str) -> tuple[str, int]:
    """Run the command on a terminal of its own; return what that shows, and the status."""
    controller, terminal = pty.openpty()
    environment = {**os.environ, "COLUMNS": "80", **environment}
    process = subprocess.Popen([*PROGRAM, *args], stdin=terminal, stdout=terminal, stderr=terminal, env=environment)
    os.close(terminal)
    told = b""
    try:
        while part := os.read(controller, 10_000):
            told += part
    except OSError:  # how Linux says that nobody writes any more
        pass
    os.close(controller)
    return told.decode(), process.wait(60)


def test_a_terminal_gets_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    """Conflict, error and note are coloured, unless NO_COLOR is set or nobody looks."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    told, status = on_a_terminal("plan", EXAMPLE, "missing")
    assert status == 2
    assert all(f"\x1b[3{word}\x1b[0m" in told for word in ("1m  conflict", "1merror", "3mnote"))
    assert "\x1b[3" not in on_a_terminal("plan", EXAMPLE, "missing", NO_COLOR="1")[0]
    piped = run("plan", EXAMPLE)
    assert (piped.stderr, "\x1b" in piped.stdout) == ("", False)


def test_json_needs_no_yaml() -> None:
    """JSON to JSON, which has to be fast, does not load YAML's library."""
    code = "import sys; from kopia_maint.cli._main import run; sys.exit(run() + 100 * ('yaml' in sys.modules))"
    given = documents(wants("0 2 * * *"), wants("0 4 * * *", "team-b/b"))
    result = run("plan", "--output", "json", code=code, input=given)
    assert result.returncode == 1
    assert "0 4 * * *" in result.stdout


# --- exit status -------------------------------------------------------------


@pytest.mark.parametrize("output", ["table", "json", "yaml", "github"])
def test_the_summary_is_last(output: str) -> None:
    """Among the lines for people; elsewhere on standard error, where a program does not read it."""
    result = invoke("-o", output, "-", "missing", given=documents(wants("@daily"), wants("0 0 * * *", "team-b/b")))
    assert result.exit_code == 2
    stream = result.stdout if output == "table" else result.stderr
    notes = "2 notes" if output == "yaml" else "1 note"
    assert stream.splitlines()[-1] == f"1 repository, 0 conflicts, 1 error, {notes}"
    assert (os.strerror(errno.ENOENT) in result.stderr) == (output != "github")


@pytest.mark.parametrize("given", ["", "&-", "kind: ConfigMap", "{kind: ReplicationSource, metadata: {name: a}}"])
def test_nothing_to_plan_is_bad_input(given: str) -> None:
    """A command in front of a pipe may have failed: nothing found is green only where that was asked for."""
    result = invoke(given=given)
    assert (result.exit_code, result.stdout) == (2, "0 repositories, 0 conflicts, 0 errors, 0 notes\n")
    assert result.stderr.startswith("nothing to plan: ")
    assert invoke("--allow-empty", given=given).exit_code == 0
    assert invoke("--allow-empty", given="a: [").exit_code == 2


def test_bad_input_wins_over_conflicts() -> None:
    """With a conflict and a bad document the status is 2, and the conflict is still shown."""
    answer = planned(wants("0 2 * * *"), wants("0 4 * * *", "team-b/source-b"), "a: [", status=2)
    assert len(only(answer)["conflicts"]) == 1
    [error] = answer["errors"]
    assert error["source"] == "standard input, document 3, line 5"
    assert (error["path"], error["message"][:13]) == ("", "is not YAML: ")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--now", "yesterday"), "is not an RFC 3339 time"),
        (("--now", "2024-01-15T10:30:00"), "is not an RFC 3339 time"),
        (("--policy", "last-wins"), "'last-wins' is none of first-wins, consensus, MODULE:ATTRIBUTE"),
        (("--policy", "nowhere:policy"), "cannot be had: ModuleNotFoundError: "),
        (("--policy", "datetime:nothing"), "cannot be had: AttributeError: "),
        (("--policy", "a b:c"), "cannot be had: ValueError: "),
        (
            ("--policy", "kopia_maint:Bounded"),
            "not be the class Bounded: pass an object of it, such as Bounded(shortest=",
        ),
        (("--output", "xml"), "--output"),
        (("--default-namespace", "Team A"), "is not valid: 1 to 63 characters"),
        (("--operator-namespace", ""), "is not valid: 1 to 63 characters"),
        (("--template", "missing"), f"missing: {os.strerror(errno.ENOENT)}"),
        (("--colour",), "--colour"),
    ],
)
def test_wrong_usage_is_status_2(options: tuple[str, ...], reason: str) -> None:
    """A wrong option is said to be wrong before anything is read."""
    result = invoke(*options)
    assert (result.exit_code, result.stdout) == (2, "")
    assert reason in " ".join(result.stderr.split())


def test_a_terminal_is_not_waited_for() -> None:
    """Without an argument, and with nothing piped in, the usage is explained."""
    told, status = on_a_terminal("plan")
    assert status == 2
    assert "give files or folders, or manifests on standard input" in told


def test_a_closed_standard_input_is_an_error() -> None:
    """As a shell's <&- makes it."""
    command = f"{sys.executable} -m kopia_maint.cli plan"
    for arguments, reason in (("- <&-", "standard input: is closed"), ("<&-", "give files or folders")):
        result = subprocess.run(f"{command} {arguments}", shell=True, capture_output=True, text=True, check=False)
        assert result.returncode == 2
        assert reason in result.stderr
        assert "Traceback" not in result.stderr


@pytest.mark.parametrize("missing", ["click", "cron_descriptor", "yaml"])
def test_a_missing_dependency_is_a_hint(missing: str) -> None:
    """Installed without its extra, the command says in one line what to install."""
    code = f"import sys; sys.modules[{missing!r}] = None; from kopia_maint.cli import main; main()"
    result = run(code=code)
    assert result.returncode == 2
    assert "pip install 'kopia-maint[cli]'" in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_reader_that_leaves_is_no_error() -> None:
    """A closed pipe neither changes the exit status nor ends in a traceback."""
    code = "import os, sys; r, w = os.pipe(); os.dup2(w, 1); os.close(r); from kopia_maint.cli import main; main()"
    result = run("plan", EXAMPLE + "/team-a.yaml", code=code)
    assert (result.returncode, result.stderr) == (0, "")


def test_an_output_that_is_full_is_an_error() -> None:
    """What could not be written is said, without a traceback."""
    with open("/dev/full", "w") as full:
        result = run("plan", EXAMPLE, stdout=full)
    assert result.returncode == 2
    assert os.strerror(errno.ENOSPC) in result.stderr


LOADING = """
import sys
class Interrupted:
    def find_spec(self, name, *_):
        if name.endswith("._main"):
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupted())
"""
READING = """
import signal
from kopia_maint.cli import _load
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
_load.Path.read_bytes = lambda path: signal.raise_signal(signal.SIGINT)
"""


@pytest.mark.parametrize("moment", [LOADING, READING])
def test_an_interrupt_is_no_verdict(moment: str) -> None:
    """Ctrl-C ends with 130, not with the status of a conflict, and without a traceback, whenever it comes."""
    code = f"{moment}\nfrom kopia_maint.cli import main\nmain()"
    assert run("plan", EXAMPLE + "/team-a.yaml", code=code).returncode == 130


# --- bad sources -------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "path", "message"),
    [
        ({"schedule": "0 2 * *"}, "schedule", "expected 5 fields"),
        ({"schedule": "0 0 30 2 *"}, "schedule", "never fires"),
        ({"schedule": "${WHEN}"}, "schedule", "a variable that was not substituted"),
        ({"enabled": "yes"}, "enabled", "must be true or false"),
    ],
)
def test_a_bad_source_is_reported_and_counts_as_unreadable(change: dict[str, Any], path: str, message: str) -> None:
    """Its name, place and field are told, its claim stays, and its CronJob is not deleted."""
    bad = replication_source("team-a/source-a", maintenanceCronJob=change)
    answer = planned(cron_job(), {"kind": "List", "items": [bad]}, status=2)
    assert (only(answer)["action"], only(answer)["namespaces"]) == ("none", ["team-a"])
    [error] = answer["errors"]
    assert error["source"] == "standard input, document 2, line 3"
    assert error["path"] == f"items[0].spec.kopia.maintenanceCronJob.{path}"
    assert error["message"].startswith("team-a/source-a: ")
    assert message in error["message"]


@pytest.mark.parametrize(
    "lost", ["a: [", "hello", {"kind": "ReplicationSource", "metadata": {"name": "x"}, "spec": {"kopia": {}}}]
)
def test_an_unknown_source_may_be_any_that_was_not_seen(lost: str | dict[str, Any]) -> None:
    """While some document may be anybody's, no unseen source counts as gone, and no CronJob is deleted."""
    adopted = cron_job(bare("team-z", repository_hash="00000000000000aa"))
    claims = {source("team-b/source-b"): Claim(None, NOW)}
    moved = cron_job(CronJobState("00000000000000bb", Schedule.parse("@daily"), "team-b", claims))
    objects = (cron_job(), adopted, moved, wants("0 2 * * *", "team-b/source-b"))

    def outcome(answer: dict[str, Any]) -> list[tuple[str, list[str]]]:
        by_hash = sorted(answer["repositories"], key=lambda it: it["repositoryHash"])
        return [(it["action"], it["namespaces"]) for it in by_hash]

    gone = [("delete", []), ("delete", ["team-b"])]
    assert outcome(planned(*objects)) == [*gone, ("update", ["team-b"])]
    # A listed source has moved away; one that is not listed may still be there.
    kept = outcome(planned(*objects, lost, status=2))
    assert kept == [("none", []), ("update", []), ("update", ["team-a", "team-b"])]


def test_what_is_kept_keeps_its_conflicts() -> None:
    """The record of a source that may be in what could not be read stays, without a place."""
    claims = {source("team-b/b"): Claim(Schedule.parse("0 4 * * *"), NOW, rejected=True)}
    state = CronJobState(REPOSITORY.hash, Schedule.parse("0 2 * * *"), "team-a", claims, "first-wins")
    [kept] = only(planned(cron_job(state), "a: [", status=2))["conflicts"]
    assert (kept["namespace"], kept["name"], kept["file"], kept["new"]) == ("team-b", "b", None, False)


@pytest.mark.parametrize("second", ["0 2 * * *", "0 4 * *"])
def test_the_same_source_twice_with_different_content_is_unreadable(second: str) -> None:
    """Which one counts nobody knows: both places are told, and the claim stays as it is."""
    assert only(planned(wants("@daily"), wants("@daily")))["schedule"] == "@daily"  # overlapping folders
    answer = planned(cron_job(), wants("0 4 * * *"), wants(second), status=2)
    assert only(answer)["action"] == "none"
    assert (answer["errors"][-1]["source"], answer["errors"][-1]["message"]) == (
        "standard input, document 3, line 5",
        "team-a/source-a: the source team-a/source-a is listed twice, with different content,"
        " first in standard input, document 2, line 3",
    )
    assert [it["source"] for it in answer["errors"]] == ["standard input, document 3, line 5"] * len(answer["errors"])


def test_a_source_without_a_namespace_gets_the_default_one() -> None:
    """Git often leaves the namespace to the one who applies it: an option states it, and only where it is missing."""
    nameless, off = wants("0 2 * * *"), {"enabled": False}
    del nameless["metadata"]["namespace"]
    answer = planned(nameless, wants("0 2 * * *", "team-b/b"), options=("--default-namespace", "team-x"))
    assert only(answer)["namespaces"] == ["team-b", "team-x"]
    unused = {"kind": "ReplicationSource", "metadata": {"name": "x"}, "spec": {"kopia": {"maintenanceCronJob": off}}}
    [error] = planned(nameless, unused, status=2)["errors"]
    assert error["path"] == "metadata.namespace"
    assert "--default-namespace" in error["message"]


def test_other_objects_are_none_of_our_business() -> None:
    """Other kinds, other backup methods and other groups are passed over silently, however often they are there."""
    other = {**wants("0 2"), "apiVersion": "example.org/v1"}
    restic = {**wants("0 2"), "spec": {"restic": {}}}
    twice = {**restic, "spec": {"restic": {"a": 1}}}
    foreign = {"kind": "CronJob", "metadata": {"name": "backup"}, "spec": 1}
    answer = planned(other, restic, twice, foreign, {"kind": "CronJob"}, {"kind": 5}, options=("--allow-empty",))
    assert answer == {"repositories": [], "errors": [], "notes": []}
    assert only(planned({**other, "spec": {}}, wants("@daily")))["schedule"] == "@daily"


@given(
    objects=st.lists(cron_jobs() | replication_sources(), max_size=4), output=st.sampled_from(["json", "yaml", "table"])
)
@example(objects=[{**cron_job(), "apiVersion": None}, wants("0 2 * * *")], output="yaml")
@example(objects=[replication_source(maintenanceCronJob={"enabled": False})], output="yaml")
@settings(max_examples=50, deadline=None)
def test_no_object_is_anybody_elses_fault(objects: list[Any], output: str) -> None:
    """Ours, the fork's, edited and broken ones are planned or blamed: there is no traceback, and no policy failed."""
    result = invoke("-o", output, given=documents(*objects))
    assert result.exit_code in (0, 1, 2)
    assert "Error: " not in result.stderr


# --- CronJobs ----------------------------------------------------------------


def test_a_policy_of_ones_own_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By name, or as an object in a module of the working folder, which no other module may take the place of."""
    monkeypatch.chdir(tmp_path)
    Path("my_policies.py").write_text(
        "from datetime import timedelta\nfrom kopia_maint import Bounded\n"
        "daily = Bounded(shortest=timedelta(hours=20))\n"
        "class Broken:\n name = 'broken'\n def permits(self, *_): return 1 / 0\n"
        "broken = Broken()\n"
    )
    Path("yaml.py").write_text("1 / 0")
    often = documents(wants("@hourly"))
    own = invoke("--policy", "my_policies:daily", "-o", "json", given=often)
    assert (own.exit_code, only(json.loads(own.stdout))["schedule"]) == (1, "0 2 * * *")
    broken = invoke("--policy", "my_policies:broken", given=often)
    assert (broken.exit_code, broken.stdout) == (2, "")
    assert "the policy broken failed: ZeroDivisionError: " in broken.stderr
    agreeing = (cron_job(), replication_source("team-a/source-a"), wants("0 4 * * *", "team-b/b"))
    assert only(planned(*agreeing, status=1))["schedule"] == "0 2 * * *"
    assert only(planned(*agreeing, options=("--policy", "consensus")))["schedule"] == "0 4 * * *"


@pytest.mark.parametrize(
    ("jobs", "path", "message"),
    [
        ([edited(annotations={CLAIMS: "{"})], f"metadata.annotations[{CLAIMS}]", ""),
        ([cron_job(), cron_job(suspend=True)], "", "different content, first in standard input, document 1, line 1"),
        ([edited(namespace=None)], "metadata.namespace", "is missing"),  # --default-namespace is for sources only
    ],
)
def test_a_bad_cron_job_is_left_as_it_is(jobs: list[dict[str, Any]], path: str, message: str) -> None:
    """Its repository is not planned, since what is stored there is not known, and that is said; others are."""
    sources = wants("0 4 * * *"), wants("0 5 * * *", "team-b/b", repository="other")
    answer = planned(*jobs, *sources, status=2, options=("--default-namespace", "volsync-system"))
    assert only(answer)["repository"] == "other"
    [error] = answer["errors"]
    assert error["path"] == path
    assert message in error["message"]
    assert error["message"].endswith("stays as it is, and its repository, with all who use it, is left out of the plan")
    assert len(planned(cron_job(), cron_job(), wants("0 2 * * *"))["repositories"]) == 1  # equal copies count once


def test_cron_jobs_elsewhere_are_not_trusted() -> None:
    """A tenant can write a CronJob with our labels into its own namespace: a note says it was passed over."""
    forged = edited(cron_job(bare("team-b", "0 9 * * *")), namespace="team-b")
    answer = planned(forged, wants("0 2 * * *"))
    assert only(answer)["owner"] == "team-a"
    assert answer["notes"][0]["message"] == (
        "1 maintenance CronJob outside namespace volsync-system passed over, such as in team-b;"
        " is --operator-namespace right?"
    )
    assert only(planned(forged, options=("--operator-namespace", "team-b")))["owner"] == "team-b"


def test_a_cron_job_that_goes_is_shown_as_it_is() -> None:
    """What will be deleted has its present schedule and no next run; in YAML, which has only the rest, a note tells."""
    gone = only(planned(cron_job()))
    assert (gone["action"], gone["schedule"], gone["owner"], gone["nextRun"]) == ("delete", "0 2 * * *", "team-a", None)
    result = invoke("--output", "yaml", given=documents(cron_job()))
    assert (result.exit_code, result.stdout) == (0, "")
    assert f"{REPOSITORY.cron_job_name} is to be deleted" in result.stderr


@pytest.mark.parametrize(
    ("objects", "status", "told"),
    [
        ((replication_source(maintenanceCronJob={"enabled": False}),), 0, "shared-repo-secret: no CronJob\n"),
        ((cron_job(bare()), wants("0 2 * *")), 2, "owner unknown"),  # adopted, and its only source cannot be read
    ],
)
def test_what_nobody_owns_is_said(objects: tuple[Any, ...], status: int, told: str) -> None:
    """There is nothing, and there will be nothing; or nobody knows whose the CronJob is."""
    found = only(planned(*objects, status=status))
    assert (found["owner"], found["namespaces"], found["action"]) == (None, [], "none")
    assert (found["schedule"] is None) == (status == 0)
    assert told in shown(*objects)


@pytest.mark.parametrize(
    ("spec", "told", "next_run"),
    [
        ({}, "0 2 * * *, owner", "2024-01-16T02:00:00Z"),
        ({"timeZone": "Asia/Kolkata"}, "0 2 * * * Asia/Kolkata, owner", "2024-01-16T02:00:00+05:30"),
        ({"suspend": True}, "0 2 * * *, suspended, owner", None),
        ({"suspend": False}, "0 2 * * *, owner", "2024-01-16T02:00:00Z"),
    ],
)
def test_the_next_run_is_in_the_cron_jobs_zone(spec: dict[str, Any], told: str, next_run: str | None) -> None:
    """The zone is that of spec.timeZone; a suspended CronJob does not run."""
    objects = (cron_job(**spec), wants("0 2 * * *"))
    assert only(planned(*objects))["nextRun"] == next_run
    assert told in shown(*objects)


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "Local", "../../etc/passwd", "x" * 10_000, "a\0b", 5, "Europe"])
def test_an_unknown_zone_is_reported(zone: object) -> None:
    """A zone that is not known is an error at its field; the repository is planned, its next run is not known."""
    objects = (cron_job(timeZone=zone), wants("0 2 * * *"))
    answer = planned(*objects, status=2)
    assert (only(answer)["schedule"], only(answer)["nextRun"]) == ("0 2 * * *", None)
    assert answer["errors"][0]["path"] == "spec.timeZone"
    assert "unknown time zone" in shown(*objects)


# --- CronJobs, written -------------------------------------------------------


def test_the_yaml_is_in_the_usual_order(tmp_path: Path) -> None:
    """Whatever the template's order: apiVersion, kind, metadata, spec. Without one, there is nothing to run."""
    template = tmp_path / "template.yaml"
    template.write_text("spec: {jobTemplate: {}}\nmetadata: {labels: {a: b}}\n")
    result = invoke("--output", "yaml", "--template", str(template), given=documents(wants("0 2 * * *")))
    lines = [line.partition(":")[0] for line in result.stdout.splitlines() if line[:1] not in "- "]
    assert lines == ["apiVersion", "kind", "metadata", "spec"]
    assert "job template" not in result.stderr
    told = invoke("--output", "yaml", given=documents(wants("0 2 * * *"))).stderr
    assert "note: without a job template Kubernetes refuses a CronJob: give one with --template\n" in told


def test_what_others_wrote_on_a_cron_job_survives() -> None:
    """An existing CronJob is printed with its own labels and fields, the decision written over."""
    manifest = cron_job(timeZone="Asia/Kolkata", jobTemplate={"spec": {"backoffLimit": 3}})
    manifest["metadata"]["labels"]["app.kubernetes.io/version"] = "12e5"
    result = invoke("--output", "yaml", given=documents(manifest, wants("0 4 * * *")))
    written = _yaml.read(result.stdout)[0]
    assert written["spec"] == {**manifest["spec"], "schedule": "0 4 * * *"}
    assert written["metadata"].keys() == {"name", "namespace", "labels", "annotations"}
    assert written["metadata"]["labels"]["app.kubernetes.io/version"] == "12e5"


def test_new_cron_jobs_are_made_from_the_template(tmp_path: Path) -> None:
    """The template gives the job, the time zone and the limits; existing CronJobs do not take them."""
    template = tmp_path / "template.yaml"
    template.write_text("kind: CronJob\nspec: {timeZone: Asia/Kolkata, concurrencyPolicy: Forbid}\n")
    options = ("--template", str(template), "--operator-namespace", "backup")
    written = _yaml.read(invoke("--output", "yaml", *options, given=documents(wants("0 2 * * *"))).stdout)[0]
    assert written["spec"] == {"timeZone": "Asia/Kolkata", "concurrencyPolicy": "Forbid", "schedule": "0 2 * * *"}
    assert written["metadata"]["namespace"] == "backup"
    assert only(planned(wants("0 2 * * *"), options=options))["nextRun"] == "2024-01-16T02:00:00+05:30"
    assert (
        only(planned(edited(namespace="backup"), wants("0 2 * * *"), options=options))["nextRun"]
        == "2024-01-16T02:00:00Z"
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("kind: Job", "kind: 'Job' is not known, only CronJob is"),
        ("spec: {timeZone: Mars/Olympus}", "spec.timeZone: 'Mars/Olympus' is not a known time zone"),
        ("metadata: 1", "metadata: must be a mapping"),
        ("a: [", "is not YAML"),
        ("", "must hold one CronJob, not 0"),
        ("kind: CronJob\n---\nkind: CronJob", "must hold one CronJob, not 2"),
    ],
)
def test_a_bad_template_is_wrong_usage(tmp_path: Path, text: str, reason: str) -> None:
    """A template that no CronJob can be made from is refused once, whatever the output."""
    template = tmp_path / "t"
    template.write_text(text)
    result = invoke("--template", str(template), given="")
    assert result.exit_code == 2
    assert reason in " ".join(result.stderr.split())


def test_claims_that_do_not_fit_are_reported() -> None:
    """A CronJob that Kubernetes would refuse is not printed, and the namespace that fills it is named."""
    flood = {"kind": "List", "items": [wants("0 2 * * *", f"flood/{'x' * 200}-{i}") for i in range(1500)]}
    for objects in ((flood,), (cron_job(), flood)):
        result = invoke("--output", "yaml", given=documents(*objects, wants("0 2 * * *", "b/b", "other")))
        assert result.exit_code == 2
        written = _yaml.read(result.stdout)[0]
        assert written["metadata"]["annotations"]["volsync.backube/repository-config"] == "other"
        assert "namespace flood has the largest share" in result.stderr
