"""What does ``kopia-maint plan`` show, and with which exit status does it end?"""

from __future__ import annotations

import errno
import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("click")

from click.testing import CliRunner

from kopia_maint import (
    DEFAULT_SCHEDULE,
    Claim,
    Conflict,
    CronJobState,
    Schedule,
    state_from_manifest,
)
from kopia_maint.cli import _yaml
from kopia_maint.cli._main import cli

from .command_line import EXAMPLE, cron_job, documents, invoke, only, planned, run, wants
from .helpers import NOW, REPOSITORY, replication_source, source

# --- the renderings ----------------------------------------------------------


def test_the_table_shows_every_repository_and_every_conflict() -> None:
    """Schedule, owner, namespaces, next run and action; then who asks for what, since when, and what stands."""
    result = invoke(EXAMPLE)
    assert result.exit_code == 1
    assert (
        result.stdout.partition("What ends a conflict")[0]
        == """\
Repositories

 Repository          Schedule   Owner   Namespaces      Next run          Action
 ───────────────────────────────────────────────────────────────────────────────
 shared-repo-secret  0 2 * * *  team-a  team-a, team-b  2024-01-16        create
                                                        02:00 UTC
 team-c-repo-secret  @weekly    team-c  team-c          2024-01-21        create
                                                        00:00 UTC

Conflicts

 Repository          Source           Asks for   Since           What stands
 ───────────────────────────────────────────────────────────────────────────────
 shared-repo-secret  team-b/source-b  0 4 * * *  2024-01-15      0 2 * * *
                                                 10:30 UTC       (owner team-a)

"""
    )


def test_json_is_as_documented() -> None:
    """The JSON has exactly the documented keys, sorted by repository."""
    answer = json.loads(invoke(EXAMPLE, "--output", "json").stdout)
    assert [it["repository"] for it in answer["repositories"]] == ["shared-repo-secret", "team-c-repo-secret"]
    assert answer["repositories"][0] == {
        "name": "kopia-maintenance-f11df99437a0f538",
        "repository": "shared-repo-secret",
        "repositoryHash": "f11df99437a0f538",
        "schedule": "0 2 * * *",
        "owner": "team-a",
        "namespaces": ["team-a", "team-b"],
        "action": "create",
        "changes": [],
        "nextRun": "2024-01-16T02:00:00Z",
        "conflicts": [
            {
                "namespace": "team-b",
                "name": "source-b",
                "schedule": "0 4 * * *",
                "since": "2024-01-15T10:30:00Z",
                "message": "Last conflict: Schedule '0 4 * * *' requested from namespace 'team-b'"
                " at 2024-01-15T10:30:00Z (rejected - first-wins strategy)",
                "nextSteps": {
                    "agree": 'set spec.kopia.maintenanceCronJob.schedule to "0 2 * * *",'
                    " or leave maintenanceCronJob out to have no preference",
                    "disable": "set spec.kopia.maintenanceCronJob.enabled to false: maintenance goes on for as long as"
                    " another source uses the repository",
                    "ownRepository": "name another Secret in spec.kopia.repository: another repository has another"
                    " schedule",
                    "handOver": "kubectl patch cronjob kopia-maintenance-f11df99437a0f538 -n volsync-system"
                    """ --type merge -p '{"metadata":{"annotations":{"volsync.backube/source-namespace":"team-b"}},"""
                    """"spec":{"schedule":"0 4 * * *"}}'""",
                },
                "file": f"{EXAMPLE}/team-b.yaml",
                "line": 12,
            }
        ],
    }
    assert answer["errors"] == []


def test_yaml_is_what_the_next_plan_reads() -> None:
    """The CronJobs that are printed, planned again with the same sources, need nothing."""
    written = invoke(EXAMPLE, "--output", "yaml").stdout
    assert written.startswith("---\n")
    result = CliRunner().invoke(cli, ["plan", EXAMPLE, "-", "--output", "json"], input=written)
    assert [it["action"] for it in json.loads(result.stdout)["repositories"]] == ["none", "none"]


@pytest.mark.parametrize("columns", [20, 40, 80, 200, 1000])
def test_nothing_is_cut_whatever_the_width(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    """Names as long as Kubernetes allows wrap, and no line is wider than the terminal where it could be narrower."""
    sources = documents(wants("0 2 * * *"), wants("0 4 * * *", f"z{'8' * 62}/{'9' * 253}"))
    monkeypatch.setenv("COLUMNS", str(columns))
    shown = invoke(given=sources).stdout.partition("What ends")[0]
    assert max(map(len, shown.splitlines())) <= columns
    assert (shown.count("8"), shown.count("9")) == (2 * 62, 253)


def test_words_are_kept_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """A long schedule breaks at its blanks; where the columns are too narrow for words, rows become lists."""
    long = "0,5,10,15,20,25,30,35,40,45,50,55 0-23/2 1,15 jan,feb,mar,apr,may,jun mon-fri"
    sources = documents(wants(long), wants("0 4 * * *", "team-b/source-b"))
    words = {*long.split(), "shared-repo-secret", "team-b/source-b"}
    for columns in (120, 80, 70, 60):
        monkeypatch.setenv("COLUMNS", str(columns))
        assert words <= set(invoke(given=sources).stdout.split())
    assert " Repository  shared-repo-secret\n Schedule    0,5,10," in invoke(given=sources).stdout
    for columns in (40, 50):
        monkeypatch.setenv("COLUMNS", str(columns))
        told = invoke(given=documents(cron_job(suspend=True), wants("0 2 * * *"))).stdout
        assert REPOSITORY.cron_job_name in told.partition("Notes")[2].split()


def test_user_text_is_not_read_as_mark_up() -> None:
    """Square brackets mean nothing to the table or to the messages."""
    result = invoke("[bold]missing[/bold]")
    assert result.stderr == f"error: [bold]missing[/bold]: {os.strerror(errno.ENOENT)}\n"


def test_hostile_text_does_not_reach_the_terminal(tmp_path: Path) -> None:
    """Control characters and those that turn text round are escaped, in file names as in manifests."""
    path = tmp_path / "a\x1b[2J\u202e\n.yaml"
    claims = json.dumps({"version": 1, "claims": {"\x1b]0;x\x07": {"a": 1}}})
    manifest = cron_job()
    manifest["metadata"]["annotations"]["volsync.backube/schedule-claims"] = claims
    path.write_text(documents({"kind": "ReplicationSource", "metadata": "\x1b[2J"}, manifest, "a: \x1b"))
    result = invoke(str(path))
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 3
    assert result.stderr.replace("\n", "").isprintable()
    assert "\\x1b[2J\\u202e\\n.yaml" in result.stderr


def test_progress_is_shown_on_a_terminal_only(tmp_path: Path) -> None:
    """Standard error tells that reading goes on where it is a terminal, and is silent where it is not."""
    controller, terminal = pty.openpty()
    command = [sys.executable, "-c", "from kopia_maint.cli import main; main()", "plan", EXAMPLE]
    subprocess.run(command, stderr=terminal, stdout=subprocess.DEVNULL, timeout=60, check=False)
    os.close(terminal)
    told = os.read(controller, 10_000)
    assert told.startswith(b"\rReading 0")
    assert told.endswith(b"\r\x1b[K")
    os.close(controller)
    assert run("plan", EXAMPLE).stderr == ""


def test_json_needs_no_yaml() -> None:
    """JSON to JSON, which has to be fast, does not load YAML's library."""
    code = (
        "import sys; from kopia_maint.cli._main import run; status = run();"
        "sys.exit(100 if 'yaml' in sys.modules else status)"
    )
    command = [sys.executable, "-c", code, "plan", "--output", "json"]
    given = documents(wants("0 2 * * *"), wants("0 4 * * *", "team-b/b"))
    result = subprocess.run(command, input=given, text=True, capture_output=True, timeout=60, check=False)
    assert (result.returncode, result.stderr) == (1, "")
    assert "0 4 * * *" in result.stdout


# --- exit status -------------------------------------------------------------


def test_exit_status_is_0_without_conflict() -> None:
    """Sources that agree are fine, and so is nothing at all."""
    assert invoke(given=documents(wants("@daily"), wants("0 0 * * *", "team-b/source-b"))).exit_code == 0
    result = invoke(given="")
    assert (result.exit_code, result.stdout) == (
        0,
        "Nothing to plan: no ReplicationSource with Kopia and no maintenance CronJob that\ncould be read.\n",
    )


def test_bad_input_wins_over_conflicts() -> None:
    """With a conflict and a bad document the status is 2, and the conflict is still shown."""
    answer = planned(wants("0 2 * * *"), wants("0 4 * * *", "team-b/source-b"), "a: [", status=2)
    assert len(only(answer)["conflicts"]) == 1
    [error] = answer["errors"]
    assert error["source"] == "standard input, document 3, line 5"
    assert error["path"] == ""
    assert error["message"].startswith("is not YAML: ")


def test_errors_are_on_standard_error_in_every_output() -> None:
    """Whoever redirects the result still sees what was wrong with the input."""
    for output in ("table", "json", "yaml"):
        result = invoke("--output", output, "missing.yaml")
        assert result.exit_code == 2
        assert result.stderr == f"error: missing.yaml: {os.strerror(errno.ENOENT)}\n"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--now", "yesterday"), "is not an RFC 3339 time"),
        (("--now", "2024-01-15T10:30:00"), "is not an RFC 3339 time"),
        (("--policy", "last-wins"), "--policy"),
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
    assert result.exit_code == 2
    assert reason in " ".join(result.stderr.split())
    assert result.stdout == ""


def test_a_terminal_is_not_waited_for() -> None:
    """Without an argument, and with nothing piped in, the usage is explained."""
    controller, terminal = pty.openpty()
    result = run("plan", stdin=terminal)
    os.close(terminal)
    os.close(controller)
    assert result.returncode == 2
    assert "give files or folders, or manifests on standard input" in result.stderr


@pytest.mark.parametrize("missing", ["click", "cron_descriptor", "yaml"])
def test_a_missing_dependency_is_a_hint(missing: str) -> None:
    """Installed without its extra, the command says in one line what to install."""
    code = f"import sys; sys.modules[{missing!r}] = None; from kopia_maint.cli import main; main()"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 2
    assert "pip install 'kopia-maint[cli]'" in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_reader_that_leaves_is_no_error() -> None:
    """A closed pipe neither changes the exit status nor ends in a traceback."""
    code = "import os, sys; r, w = os.pipe(); os.dup2(w, 1); os.close(r); from kopia_maint.cli import main; main()"
    command = [sys.executable, "-c", code, "plan", EXAMPLE + "/team-a.yaml"]
    result = subprocess.run(command, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert (result.returncode, result.stderr) == (0, "")


def test_an_output_that_is_full_is_an_error() -> None:
    """What could not be written is said, without a traceback."""
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-c", "from kopia_maint.cli import main; main()", "plan", EXAMPLE]
        result = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert result.returncode == 2
    assert os.strerror(errno.ENOSPC) in result.stderr
    assert "Traceback" not in result.stderr


def test_an_interrupt_is_no_verdict() -> None:
    """Ctrl-C ends with 130, not with the status of a conflict, and without a traceback."""
    code = (
        "import signal; from kopia_maint.cli import _load, main\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it\n"
        "_load.Path.read_bytes = lambda path: signal.raise_signal(signal.SIGINT)\n"
        "main()"
    )
    command = [sys.executable, "-c", code, "plan", EXAMPLE + "/team-a.yaml"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 130
    assert "Traceback" not in result.stderr


# --- bad sources -------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "path", "message"),
    [
        ({"schedule": "0 2 * *"}, "spec.kopia.maintenanceCronJob.schedule", "expected 5 fields"),
        ({"schedule": "0 0 30 2 *"}, "spec.kopia.maintenanceCronJob.schedule", "never fires"),
        ({"schedule": "${WHEN}"}, "spec.kopia.maintenanceCronJob.schedule", "a variable that was not substituted"),
        ({"schedule": 2}, "spec.kopia.maintenanceCronJob.schedule", "must be a string"),
        ({"enabled": "yes"}, "spec.kopia.maintenanceCronJob.enabled", "must be true or false"),
    ],
)
def test_a_bad_source_is_reported_and_counts_as_unreadable(change: dict[str, Any], path: str, message: str) -> None:
    """Its field is named, its claim stands, and its CronJob is not deleted."""
    bad = replication_source("team-a/source-a", maintenanceCronJob=change)
    answer = planned(cron_job(), bad, status=2)
    assert only(answer)["action"] == "none"
    assert only(answer)["namespaces"] == ["team-a"]
    [error] = answer["errors"]
    assert error["source"] == "standard input, document 2, line 3"
    assert error["path"] == path
    assert message in error["message"]


def test_the_path_of_an_error_leads_through_the_list() -> None:
    """In a List the path begins with the item."""
    answer = planned({"kind": "List", "items": [wants("0 2 * * *"), wants("0 2 * *")]}, status=2)
    assert answer["errors"][0]["path"] == "items[1].spec.kopia.maintenanceCronJob.schedule"


@pytest.mark.parametrize(
    "lost", ["a: [", "hello", {"kind": "ReplicationSource", "metadata": {"name": "x"}, "spec": {"kopia": {}}}]
)
def test_an_unknown_source_may_be_any_that_was_not_seen(lost: str | dict[str, Any]) -> None:
    """While some document may be anybody's, no unseen source counts as gone, and no CronJob is deleted."""
    adopted = cron_job(CronJobState("00000000000000aa", DEFAULT_SCHEDULE, "team-z", {}))
    moved = cron_job(
        CronJobState("00000000000000bb", DEFAULT_SCHEDULE, "team-b", {source("team-b/source-b"): Claim(None, NOW)})
    )
    seen = wants("0 2 * * *", "team-b/source-b")
    answer = planned(cron_job(), adopted, moved, seen, lost, status=2)
    assert [(it["repositoryHash"], it["action"], it["namespaces"]) for it in answer["repositories"]] == [
        (REPOSITORY.hash, "update", ["team-a", "team-b"]),
        ("00000000000000aa", "none", []),
        ("00000000000000bb", "none", ["team-b"]),
    ]
    answer = planned(cron_job(), adopted, moved, seen, status=0)
    assert [(it["repositoryHash"], it["action"], it["namespaces"]) for it in answer["repositories"]] == [
        (REPOSITORY.hash, "update", ["team-b"]),
        ("00000000000000aa", "delete", []),
        ("00000000000000bb", "delete", ["team-b"]),
    ]


def test_a_repository_that_is_kept_keeps_its_conflicts() -> None:
    """What stands because a document could not be read stands with the conflicts it had."""
    conflict = Conflict(namespace="team-b", schedule=Schedule.parse("0 4 * * *"), since=NOW)
    kept = only(
        planned(cron_job(CronJobState(REPOSITORY.hash, DEFAULT_SCHEDULE, "team-a", {}, conflict)), "a: [", status=2)
    )
    assert [(it["namespace"], it["name"]) for it in kept["conflicts"]] == [("team-b", None)]


def test_the_same_source_twice_is_fine_if_it_asks_for_the_same() -> None:
    """Overlapping folders, or a base and its rendered form, are no problem."""
    assert only(planned(wants("@daily"), wants("0 0 * * *")))["schedule"] == "@daily"


def test_the_same_source_twice_with_different_content_is_reported() -> None:
    """Which one counts nobody knows: it is unreadable, and its claim stands."""
    answer = planned(cron_job(), wants("0 4 * * *"), wants("0 2 * * *"), status=2)
    assert only(answer)["action"] == "none"
    assert answer["errors"][0]["message"] == (
        "the source team-a/source-a is there twice with different content, first in standard input, document 2, line 3"
        ": neither counts"
    )


def test_a_bad_copy_makes_a_source_unreadable() -> None:
    """A source that is there twice, once unreadably, counts as unreadable."""
    assert only(planned(cron_job(), wants("0 4 * * *"), wants("0 4 * *"), status=2))["schedule"] == "0 2 * * *"


def test_a_source_without_a_namespace_gets_the_default_one() -> None:
    """Git often leaves the namespace to the one who applies it: an option states it, and only where it is missing."""
    bare = wants("0 2 * * *")
    del bare["metadata"]["namespace"]
    answer = planned(bare, wants("0 2 * * *", "team-b/b"), options=("--default-namespace", "team-x"))
    assert only(answer)["namespaces"] == ["team-b", "team-x"]
    [error] = planned(bare, status=2)["errors"]
    assert error["path"] == "metadata.namespace"
    assert "--default-namespace" in error["message"]


def test_other_objects_are_none_of_our_business() -> None:
    """Other kinds, other backup methods and other groups are passed over silently."""
    other = {
        "kind": "ReplicationSource",
        "apiVersion": "example.org/v1",
        "metadata": {"name": "x", "namespace": "y"},
        "spec": {"kopia": 1},
    }
    restic = {"kind": "ReplicationSource", "metadata": {"name": "x", "namespace": "y"}, "spec": {"restic": {}}}
    job = {"kind": "CronJob", "metadata": {"name": "nightly", "labels": None}, "spec": {}}
    assert planned(other, restic, job, {"kind": 1}, {"kind": "CronJob"}, {"metadata": 1}) == {
        "repositories": [],
        "errors": [],
        "notes": [],
    }


# --- CronJobs ----------------------------------------------------------------


def test_an_existing_schedule_stands() -> None:
    """The CronJob that is found in the input is where the decision starts."""
    answer = planned(cron_job(), wants("0 2 * * *"), wants("0 1 * * *", "team-0/first"), status=1)
    assert (only(answer)["owner"], only(answer)["action"]) == ("team-a", "update")


def test_the_policy_decides() -> None:
    """Under consensus everybody who has a preference must share it."""
    objects = (cron_job(), replication_source("team-a/source-a"), wants("0 4 * * *", "team-b/source-b"))
    assert only(planned(*objects, status=1))["owner"] == "team-a"
    assert only(planned(*objects, options=("--policy", "consensus")))["owner"] == "team-b"


def test_a_bad_cron_job_is_left_as_it_is() -> None:
    """Its repository is not planned, since what is stored there is not known; others are."""
    damaged = cron_job()
    damaged["metadata"]["annotations"]["volsync.backube/schedule-claims"] = '{"version":1,"claims":{'
    answer = planned(damaged, wants("0 4 * * *"), wants("0 5 * * *", "team-b/b", repository="other"), status=2)
    assert only(answer)["repository"] == "other"
    assert answer["errors"][0]["path"] == "metadata.annotations[volsync.backube/schedule-claims]"


def test_two_cron_jobs_for_one_repository_are_reported() -> None:
    """Which one counts nobody knows: the repository is not planned. An equal copy is fine."""
    answer = planned(cron_job(), cron_job(suspend=True), wants("0 2 * * *"), status=2)
    assert answer["repositories"] == []
    assert "there twice with different content, first in standard input, document 1" in answer["errors"][0]["message"]
    assert len(planned(cron_job(), cron_job(), wants("0 2 * * *"))["repositories"]) == 1


def test_cron_jobs_elsewhere_are_not_trusted() -> None:
    """A tenant can write a CronJob with our labels into its own namespace: a note says it was passed over."""
    forged = cron_job(CronJobState(REPOSITORY.hash, Schedule.parse("0 9 * * *"), "team-b", {}))
    forged["metadata"]["namespace"] = "team-b"
    result = invoke("--output", "json", given=documents(forged, wants("0 2 * * *")))
    assert only(json.loads(result.stdout))["owner"] == "team-a"
    assert result.exit_code == 0
    assert json.loads(result.stdout)["notes"][0]["message"] == (
        "1 maintenance CronJob(s) outside namespace volsync-system passed over, such as in team-b;"
        " is --operator-namespace right?"
    )
    assert only(planned(forged, options=("--operator-namespace", "team-b")))["owner"] == "team-b"


def test_a_cron_job_without_a_namespace_is_trusted() -> None:
    """A manifest that leaves its namespace to the one who applies it counts as the operator's."""
    bare = cron_job()
    del bare["metadata"]["namespace"]
    assert only(planned(bare, wants("0 2 * * *")))["action"] == "none"


def test_a_cron_job_that_goes_is_shown_as_it_is() -> None:
    """What will be deleted is shown with its present schedule, has no next run, and is left out of the YAML."""
    gone = only(planned(cron_job()))
    assert (gone["action"], gone["schedule"], gone["owner"], gone["nextRun"]) == ("delete", "0 2 * * *", "team-a", None)
    result = invoke("--output", "yaml", given=documents(cron_job()))
    assert (result.exit_code, result.stdout) == (0, "")


def test_a_repository_that_nobody_maintains_has_no_schedule() -> None:
    """All sources disabled and no CronJob: there is nothing, and there will be nothing."""
    disabled = replication_source(maintenanceCronJob={"enabled": False})
    assert only(planned(disabled)) == {
        "name": REPOSITORY.cron_job_name,
        "repository": "shared-repo-secret",
        "repositoryHash": REPOSITORY.hash,
        "schedule": None,
        "owner": None,
        "namespaces": [],
        "action": "none",
        "changes": [],
        "nextRun": None,
        "conflicts": [],
    }
    assert "shared-repo-secret  none" in invoke(given=documents(disabled)).stdout


# --- the next run ------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "shown", "next_run"),
    [
        ({}, "02:00 UTC", "2024-01-16T02:00:00Z"),
        ({"timeZone": "Asia/Kolkata"}, "02:00 Asia/Kolkata", "2024-01-16T02:00:00+05:30"),
        ({"timeZone": "Etc/UTC"}, "02:00 Etc/UTC", "2024-01-16T02:00:00+00:00"),
        ({"suspend": True}, "suspended", None),
        ({"suspend": False}, "02:00 UTC", "2024-01-16T02:00:00Z"),
    ],
)
def test_the_next_run_is_in_the_cron_jobs_zone(spec: dict[str, Any], shown: str, next_run: str | None) -> None:
    """The zone is that of spec.timeZone; UTC is said where it is assumed, and so is suspended."""
    objects = (cron_job(**spec), wants("0 2 * * *"))
    assert only(planned(*objects))["nextRun"] == next_run
    assert shown in " ".join(invoke(given=documents(*objects)).stdout.split())


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "Local", "../../etc/passwd", "x" * 10_000, "a\0b", 5, "Europe"])
def test_an_unknown_zone_is_reported(zone: object) -> None:
    """A zone that is not known is an error at its field; the repository is planned, its next run is not known."""
    answer = planned(cron_job(timeZone=zone), wants("0 2 * * *"), status=2)
    assert (only(answer)["schedule"], only(answer)["nextRun"]) == ("0 2 * * *", None)
    assert answer["errors"][0]["path"] == "spec.timeZone"
    assert "unknown time zone" in " ".join(
        invoke(given=documents(cron_job(timeZone=zone), wants("0 2 * * *"))).stdout.split()
    )


def test_a_schedule_that_never_fires_is_said() -> None:
    """A CronJob that has such a schedule already is read, and shown for what it is."""
    idle = CronJobState(REPOSITORY.hash, Schedule.parse("0 0 30 2 *"), "team-a", {source("team-b/b"): Claim(None, NOW)})
    objects = (cron_job(idle), replication_source("team-b/b"))
    assert only(planned(*objects))["nextRun"] is None
    shown = " ".join(invoke(given=documents(*objects)).stdout.split())
    assert "never fires" in shown
    assert "(orphaned)" in shown


def test_an_unknown_owner_is_said() -> None:
    """An adopted CronJob whose only source cannot be read has no owner yet."""
    objects = (cron_job(CronJobState(REPOSITORY.hash, DEFAULT_SCHEDULE, None, {})), wants("0 2 * *"))
    assert only(planned(*objects, status=2))["owner"] is None
    assert "Owner       unknown" in invoke(given=documents(*objects)).stdout


# --- CronJobs, written -------------------------------------------------------


def test_the_yaml_is_in_the_usual_order(tmp_path: Path) -> None:
    """Whatever the template's order: apiVersion, kind, metadata, spec."""
    template = tmp_path / "template.yaml"
    template.write_text("spec: {jobTemplate: {}}\nmetadata: {labels: {a: b}}\n")
    result = invoke("--output", "yaml", "--template", str(template), given=documents(wants("0 2 * * *")))
    assert [line for line in result.stdout.splitlines() if line[:1] not in "- "] == [
        "apiVersion: batch/v1",
        "kind: CronJob",
        "metadata:",
        "spec:",
    ]
    assert result.stderr == ""


def test_yaml_that_kubernetes_would_refuse_is_noted() -> None:
    """Without a template a new CronJob has nothing to run."""
    result = invoke("--output", "yaml", given=documents(wants("0 2 * * *")))
    assert result.stderr == ("note: without a job template Kubernetes refuses a CronJob: give one with --template\n")


def test_what_others_wrote_on_a_cron_job_survives() -> None:
    """An existing CronJob is printed with its own labels and fields, the decision written over."""
    manifest = cron_job(timeZone="Asia/Kolkata", jobTemplate={"spec": {"backoffLimit": 3}})
    manifest["metadata"]["labels"]["app.kubernetes.io/version"] = "12e5"
    result = invoke("--output", "yaml", given=documents(manifest, wants("0 4 * * *")))
    written = _yaml.read(result.stdout)
    assert written["spec"] == {**manifest["spec"], "schedule": "0 4 * * *"}
    assert written["metadata"]["labels"]["app.kubernetes.io/version"] == "12e5"
    assert "version: '12e5'" in result.stdout
    assert state_from_manifest(written).schedule == Schedule.parse("0 4 * * *")


def test_new_cron_jobs_are_made_from_the_template(tmp_path: Path) -> None:
    """The template gives the job, the time zone and the limits; existing CronJobs do not take them."""
    template = tmp_path / "template.yaml"
    template.write_text("kind: CronJob\nspec: {timeZone: Asia/Kolkata, concurrencyPolicy: Forbid}\n")
    options = ("--template", str(template), "--operator-namespace", "backup")
    written = _yaml.read(invoke("--output", "yaml", *options, given=documents(wants("0 2 * * *"))).stdout)
    assert written["spec"] == {"timeZone": "Asia/Kolkata", "concurrencyPolicy": "Forbid", "schedule": "0 2 * * *"}
    assert written["metadata"]["namespace"] == "backup"
    assert only(planned(wants("0 2 * * *"), options=options))["nextRun"] == "2024-01-16T02:00:00+05:30"
    existing = cron_job()
    existing["metadata"]["namespace"] = "backup"
    assert only(planned(existing, wants("0 2 * * *"), options=options))["nextRun"] == "2024-01-16T02:00:00Z"


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
    result = invoke("--output", "yaml", given=documents(flood, wants("0 2 * * *", repository="other")))
    assert result.exit_code == 2
    assert _yaml.read(result.stdout)["metadata"]["annotations"]["volsync.backube/repository-config"] == "other"
    assert "namespace flood has the largest share" in result.stderr


def test_an_error_names_its_source_and_what_follows_from_it() -> None:
    """From a pipe, a document's number and an item's index cannot be looked up."""
    manifest = {
        "apiVersion": "volsync.backube/v1alpha1",
        "kind": "ReplicationSource",
        "metadata": {"namespace": "team-b", "name": "source-b"},
        "spec": {"kopia": {"repository": "r", "maintenanceCronJob": {"schedule": "0 4 * *"}}},
    }
    cron_job = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {
            "name": "kopia-maintenance-f11df99437a0f538",
            "annotations": {"volsync.backube/schedule-claims": "{"},
        },
        "spec": {"schedule": "0 2 * * *"},
    }
    given = json.dumps({"apiVersion": "v1", "kind": "List", "items": [manifest, cron_job]})
    result = invoke("--output", "json", given=given)
    assert result.exit_code == 2
    first, second = json.loads(result.stdout)["errors"]
    assert first["message"].startswith("team-b/source-b: expected 5 fields")
    assert first["path"] == "items[0].spec.kopia.maintenanceCronJob.schedule"
    assert "stays as it is, and its repository, with all who use it, is left out of the plan" in second["message"]
