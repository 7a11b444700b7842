"""What does ``kopia-maint plan`` decide and show? Whole answers are in docs/command-line.md, which is run, too."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from kopia_maint.cli import _yaml

from ..helpers import ask, replication_source, state_of
from .command_line import CLAIMS, EXAMPLE, bare, cron_job, edited, fields, only, plan, planned, shown, tree, wants

# --- the renderings ----------------------------------------------------------


@pytest.mark.parametrize("output", ["table", "yaml", "github"])
def test_quiet_leaves_out_notes_and_not_errors(output: str) -> None:
    """In every output for people; that it leaves out advice, and who is not in conflict, is in docs/command-line.md."""
    told = plan("-q", "-o", output, EXAMPLE, "-", given=["a: ["]).output
    assert "is not YAML" in told
    assert "shared by name" not in told


def test_json_has_what_a_program_needs() -> None:
    """Repositories sorted by name, and for each conflict who, what, since when, where, and what ends it."""
    answer = planned(options=(EXAMPLE,), status=1)
    assert [it["repository"] for it in answer["repositories"]] == ["shared-repo-secret", "team-c-repo-secret"]
    [conflict] = answer["repositories"][0]["conflicts"]
    assert list(conflict.pop("nextSteps")) == ["agree", "disable", "ownRepository", "handOver"]
    assert conflict.pop("message").startswith("Last conflict: Schedule '0 4 * * *' requested from namespace 'team-b'")
    asked = {"namespace": "team-b", "name": "source-b", "schedule": "0 4 * * *", "since": "2024-01-15T10:30:00Z"}
    assert conflict == {**asked, "new": True, "file": f"{EXAMPLE}/team-b.yaml", "line": 12}


def test_yaml_is_what_the_next_plan_reads(tmp_path: Path) -> None:
    """The CronJobs that are printed, planned again with the same sources, need nothing; no conflict is new."""
    path = tree(tmp_path, {"written.yaml": plan(EXAMPLE, "--output", "yaml").stdout})
    first, second = planned(options=(EXAMPLE, path), status=1)["repositories"]
    assert [first["action"], second["action"], first["conflicts"][0]["new"]] == ["none", "none", False]
    assert ", new" not in plan(EXAMPLE, path).stdout


@pytest.mark.parametrize("columns", [20, 40, 80, 200])
def test_nothing_is_cut_whatever_the_width(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    """Lines break between words, and inside of no name, schedule or quotation: a terminal wraps those."""
    long = "0,5,10,15,20,25,30,35,40,45,50,55 0-23/2 1,15 jan,feb,mar,apr,may,jun mon-fri"
    name = f"z{'8' * 62}/{'9' * 253}"
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = shown(wants(long), wants("0 4 * * *", name)).splitlines()
    assert all(any(text in line for line in lines) for text in (long, name, "0 4 * * *", f"'{long}'"))
    assert max(len(line) for line in lines if long not in line and name[:63] not in line) <= max(columns, 50)


# Kubernetes reads no further than a star's hyphen: a tenant can write anything behind it.
LOGGED = ("0 4 * * *-##[stop-commands]x", "0 4 * * ?-##vso[x]", "*-##[a] 4 * * *")
HOSTILE = "a\x1b[2J\u202e\n::error::b##[c]\r%0A"
HOSTILE_OBJECTS: tuple[Any, ...] = (
    {"kind": "ReplicationSource", "metadata": HOSTILE},
    replication_source(f"team-a/{HOSTILE}"),
    edited(annotations={CLAIMS: json.dumps({"version": 1, "claims": {HOSTILE: {"a": 1}}})}),
    wants(f"{LOGGED[0]}/##[x", "team-c/c", "other"),
    replication_source("team-d/d", repository="other", maintenanceCronJob={HOSTILE: 1, f"{'x ' * 20} ::error::x": 1}),
    *(wants(schedule, f"team-b/{number}", "other") for number, schedule in enumerate(LOGGED)),
    f"a: {HOSTILE}",
)


@pytest.mark.parametrize("output", ["table", "json", "yaml", "github"])
def test_what_others_write_is_obeyed_by_no_terminal_and_no_log(tmp_path: Path, output: str) -> None:
    """Control characters, those that turn text round, and commands are escaped, in file names as in manifests."""
    result = plan("-o", output, tree(tmp_path, {f"{HOSTILE}{' ::error::x' * 12}.yaml": HOSTILE_OBJECTS}))
    assert result.exit_code == 2
    assert "team-b" in result.output
    assert [line for line in result.output.splitlines() if not line.isprintable() or "##" in line] == []
    commands = re.findall(r"^\s*::.*", result.output, re.MULTILINE)
    assert all(re.match("::(error|warning|notice) (file=[^,:]*,line=[0-9]+,)?title=[^,:]*::", it) for it in commands)
    assert bool(commands) == (output == "github")


@pytest.mark.parametrize("schedule", LOGGED)
def test_what_a_log_would_obey_is_what_a_program_reads(schedule: str) -> None:
    """People see another spelling of the schedule; JSON and YAML escape it."""
    written = _yaml.read(plan("-o", "yaml", given=[wants(schedule)]).stdout)[0]
    assert only(planned(wants(schedule)))["schedule"] == written["spec"]["schedule"] == schedule


# --- what is shown of a repository -------------------------------------------


@pytest.mark.parametrize(
    ("objects", "told", "next_run"),
    [
        # Folders may overlap: what is there twice with the same content counts once.
        ((cron_job(), wants("0 2 * * *")) * 2, "0 2 * * *, owner team-a, unchanged", "2024-01-16T02:00:00Z"),
        ((cron_job(timeZone="Asia/Tokyo"), wants("0 2 * * *")), "0 2 * * * Asia/Tokyo", "2024-01-16T02:00:00+09:00"),
        ((cron_job(suspend=True), wants("0 2 * * *")), "0 2 * * *, suspended, owner", None),
        ((cron_job(suspend=False), wants("0 2 * * *")), "0 2 * * *, owner", "2024-01-16T02:00:00Z"),
        ((cron_job(bare("b", "0 0 30 2 *")), replication_source("b/b")), "0 0 30 2 *, never fires, owner b", None),
        # What will be deleted has its present schedule and no next run.
        ((cron_job(),), "0 2 * * *, owner team-a, delete", None),
        # There is nothing, and there will be nothing; or nobody knows whose the CronJob is.
        ((fields(enabled=False),), "shared-repo-secret: no CronJob\n", None),
        ((cron_job(bare()), wants("0 2 * *")), "owner unknown", "2024-01-16T02:00:00Z"),
        # What a write would change; labels where nothing else changes.
        ((cron_job(bare()), wants("@daily")), "update (schedule, owner, claims)", "2024-01-16T00:00:00Z"),
        ((cron_job(), wants("@daily")), "update (schedule, claims)", "2024-01-16T00:00:00Z"),
        ((cron_job(timeZone="x"), wants("0 2 * * *")), "0 2 * * *, unknown time zone, owner", None),
        ((edited(labels=None), wants("0 2 * * *")), "update (labels)", "2024-01-16T02:00:00Z"),
    ],
)
def test_a_repository_is_said_in_a_line(objects: tuple[Any, ...], told: str, next_run: str | None) -> None:
    """Schedule and owner as they will be, whether and when it runs, and what becomes of the CronJob."""
    assert told in shown(*objects)
    assert only(planned(*objects, status=None))["nextRun"] == next_run


# --- what cannot be read -----------------------------------------------------

ZONES = ("Mars/Olympus", "", "Local", "../../etc/passwd", "x" * 10_000, "a\0b", 5, "Europe")
ASKS = wants("0 2 * * *")
TWICE = "listed twice, with different content, first in standard input, document 2, line 3"
LEFT_OUT = "; this CronJob stays as it is, and its repository, with all who use it, is left out of the plan"


@pytest.mark.parametrize(
    ("objects", "told", "left_out"),
    [
        # A source keeps its claim, and its CronJob is not deleted.
        ((cron_job(), wants("0 2 * *")), "document 2, line 3: spec.kopia.maintenanceCronJob.schedule: team-a/s", ""),
        ((cron_job(), {"kind": "List", "items": [fields(enabled=1)]}), "document 2, line 3: items[0].spec.kopia.", ""),
        ((cron_job(), wants("@daily"), ASKS), f"line 5: team-a/source-a: the source team-a/source-a is {TWICE}", ""),
        *[((cron_job(timeZone=it), ASKS), "document 1, line 1: spec.timeZone: ", "") for it in ZONES],
        # What is stored on a CronJob is not known; --default-namespace is for sources only.
        ((edited(annotations={CLAIMS: "{"}), ASKS), f"document 1, line 1: metadata.annotations[{CLAIMS}]: ", LEFT_OUT),
        ((edited(namespace=None), ASKS), "document 1, line 1: metadata.namespace: is missing", LEFT_OUT),
        ((ASKS, cron_job(), cron_job(suspend=True)), TWICE, LEFT_OUT),
    ],
)
def test_what_is_wrong_is_said_with_its_place(objects: tuple[Any, ...], told: str, left_out: str) -> None:
    """One error for each fault; other repositories do not suffer from it."""
    given = (*objects, wants("@daily", "b/b", "other"))
    result = plan("--default-namespace", "default", given=given)
    assert result.exit_code == 2
    assert re.fullmatch(f"error: standard input, .*{re.escape(told)}.*{left_out}\n", result.stderr)
    assert "other: @daily, owner b, create, used by b" in result.stdout
    kept = re.search(r"shared-repo-secret: 0 2 \* \* \*,.* owner team-a,\s+unchanged", result.stdout)
    assert bool(kept) == (left_out == "")


@pytest.mark.parametrize(
    "lost", ["a: [", "hello", {"kind": "ReplicationSource", "metadata": {"name": "x"}, "spec": {"kopia": {}}}]
)
def test_an_unknown_source_may_be_any_that_was_not_seen(lost: Any) -> None:
    """While a document may be anybody's, no unseen source counts as gone: its CronJob and its conflict stay."""
    job = cron_job(state_of(ask("team-a/source-a", "0 2 * * *"), ask("team-b/b", "0 4 * * *")))
    assert only(planned(job))["action"] == "delete"
    kept = only(planned(job, lost, status=2))
    assert kept["action"] == "none"
    [conflict] = kept["conflicts"]
    assert (conflict["namespace"], conflict["file"], conflict["new"]) == ("team-b", None, False)


def test_claims_that_do_not_fit_are_reported() -> None:
    """A CronJob that Kubernetes would refuse is not printed, and the namespace that fills it is named."""
    flood = {"kind": "List", "items": [wants("0 2 * * *", f"flood/{'x' * 200}-{i}") for i in range(1500)]}
    for objects in ((flood,), (cron_job(), flood)):
        result = plan("--output", "yaml", given=(*objects, wants("0 2 * * *", "b/b", "other")))
        assert result.exit_code == 2
        assert re.findall("repository-config: (.*)", result.stdout) == ["other"]
        assert "namespace flood has the largest share" in result.stderr


@pytest.mark.parametrize("objects", [[{**cron_job(), "apiVersion": None}, wants("0 2 * * *")], [fields(enabled=False)]])
def test_no_object_is_anybody_elses_fault(objects: list[Any]) -> None:
    """What is odd is planned or blamed: no policy is said to have failed."""
    assert "Error: " not in plan("-o", "yaml", given=objects).stderr


# --- options -----------------------------------------------------------------


def test_a_source_without_a_namespace_gets_the_default_one() -> None:
    """Git often leaves the namespace to the one who applies it: an option states it, and only where it is missing."""
    nameless, unused = wants("0 2 * * *"), fields(enabled=False)
    del nameless["metadata"]["namespace"], unused["metadata"]["namespace"]
    answer = planned(nameless, wants("0 2 * * *", "team-b/b"), options=("--default-namespace", "team-x"))
    assert only(answer)["namespaces"] == ["team-b", "team-x"]
    errors = planned(nameless, unused, status=2)["errors"]
    assert [it["path"] for it in errors] == ["metadata.namespace"] * 2
    assert "--default-namespace" in errors[0]["message"]


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


BROKEN = """
class Broken:
    name = "broken"
    def permits(self, *_): return 1 / 0
policy = Broken()
"""


def test_a_policy_of_ones_own_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By name, or as an object in a module of the working folder, which no other module may take the place of."""
    tree(tmp_path, {"broken.py": BROKEN, "yaml.py": "1 / 0"})
    monkeypatch.chdir(tmp_path)
    result = plan("--policy", "broken:policy", given=[wants("@hourly")])
    assert (result.exit_code, result.stdout) == (2, "")
    assert "the policy broken failed: ZeroDivisionError: " in result.stderr
    agreeing = (cron_job(), replication_source("team-a/source-a"), wants("0 4 * * *", "team-b/b"))
    assert only(planned(*agreeing, options=("--policy", "consensus")))["schedule"] == "0 4 * * *"


def test_new_cron_jobs_are_made_from_the_template(tmp_path: Path) -> None:
    """It gives the job and the time zone; what is written is in the usual order, whatever the template's."""
    template = tree(tmp_path, {"t": "spec: {timeZone: Asia/Kolkata, jobTemplate: {}}\nmetadata: {labels: {a: b}}\n"})
    options = ("--template", template, "--operator-namespace", "backup")
    result = plan("--output", "yaml", *options, given=[wants("0 2 * * *")])
    written = _yaml.read(result.stdout)[0]
    assert list(written) == ["apiVersion", "kind", "metadata", "spec"]
    assert written["spec"] == {"timeZone": "Asia/Kolkata", "jobTemplate": {}, "schedule": "0 2 * * *"}
    assert (written["metadata"]["namespace"], written["metadata"]["labels"]["a"]) == ("backup", "b")
    assert only(planned(wants("0 2 * * *"), options=options))["nextRun"] == "2024-01-16T02:00:00+05:30"
    told = "note: without a job template Kubernetes refuses a CronJob: give one with --template\n"
    assert told not in result.stderr
    assert told in plan("--output", "yaml", given=[wants("0 2 * * *")]).stderr


def test_what_others_wrote_on_a_cron_job_survives(tmp_path: Path) -> None:
    """An existing CronJob is printed with its own labels and fields, the decision written over; no template counts."""
    manifest = cron_job(suspend=False, jobTemplate={"spec": {"backoffLimit": 3}})
    manifest["metadata"]["labels"]["app.kubernetes.io/version"] = "12e5"
    template = tree(tmp_path, {"t": "spec: {timeZone: Asia/Kolkata}"})
    objects = (manifest, wants("0 4 * * *"))
    written = _yaml.read(plan("--output", "yaml", "--template", template, given=objects).stdout)[0]
    assert written["spec"] == {**manifest["spec"], "schedule": "0 4 * * *"}
    assert written["metadata"].keys() == {"name", "namespace", "labels", "annotations"}
    assert written["metadata"]["labels"]["app.kubernetes.io/version"] == "12e5"
    assert only(planned(*objects, options=("--template", template)))["nextRun"] == "2024-01-16T04:00:00Z"
