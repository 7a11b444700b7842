"""What becomes of GitOps repositories as people have them? The shapes are theirs, the names are not."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from .command_line import EXAMPLE, ROOT, cron_job, invoke, notes, only, planned, wants

DATA = Path(__file__).parent.parent / "data" / "gitops"


@pytest.mark.parametrize(
    ("folder", "status", "repositories", "errors", "notes"),
    [
        # Sources beside the claims that they back up, one Secret's name in all namespaces; one in a chart's values.
        ("argo", 0, {"kopia-repository": "0 4 * * *"}, [], ["embedded", "shared-name"]),
        # A component with variables, and the Flux kustomization that fills them in.
        # It has no namespace either, but to state one would not help.
        ("flux", 2, {}, ["metadata.name: '${APP}' holds a variable that was not"], ["kopia-maintenance"]),
        # The same, rendered, with the deprecated interval.
        ("rendered", 0, {"player-backup": "0 2 * * 0", "radio-backup": "0 2 * * 0"}, [], []),
        # A kustomize patch, which is no source.
        ("overlay", 2, {}, ["spec.kopia.repository: media/player: is missing (a patch? give the rendered"], []),
        # What kubectl exports: creation times tell who was first, though the list and the names say otherwise.
        ("cluster", 1, {"kopia-repository": "0 3 * * *"}, [], ["shared-name"]),
    ],
)
def test_a_repository_goes_through(
    folder: str, status: int, repositories: Mapping[str, str], errors: list[str], notes: list[str]
) -> None:
    """What is there is planned, what was not rendered is said, and nothing is guessed."""
    answer = planned(status=status, options=(str(DATA / folder),))
    assert {it["repository"]: it["schedule"] for it in answer["repositories"]} == repositories
    told = [f"{it['path']}: {it['message']}" for it in answer["errors"]]
    assert [it.startswith(begin) for it, begin in zip(told, errors, strict=True)] == [True] * len(errors), told
    assert [it["code"] for it in answer["notes"]] == notes


def test_what_is_no_kopia_source_is_passed_over(tmp_path: Path) -> None:
    """An image's "repository" under "kopia", health checks that name a kind alone, and sources with restic."""
    values = {"kopia": {"repository": "example.org/volsync"}, "checks": [{"kind": "ReplicationSource", "name": "a"}]}
    restic = {"kind": "ReplicationSource", "metadata": {"name": "${APP}"}, "spec": {"restic": {}}}
    tmp_path.joinpath("values.yaml").write_text(json.dumps({**values, "extra": [restic]}))
    tmp_path.joinpath("component.yaml").write_text(json.dumps(restic))
    options = (str(tmp_path), "--allow-empty")
    assert planned(options=options)["notes"] == []
    template = {"kind": "ResourceSet", "spec": {"resourcesTemplate": "kind: ReplicationSource\nspec:\n  kopia: {}\n"}}
    assert "ResourceSet" in notes(template, options=("--allow-empty",))["embedded"]


def test_the_json_has_the_documented_shape() -> None:
    """Every key that is written is in the schema, and every key of the schema is written."""
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads(ROOT.joinpath("docs", "plan.schema.json").read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)

    def close(node: object) -> None:
        """Allow no key that is not described, and require each that is."""
        if isinstance(node, dict):
            if "properties" in node:
                node["additionalProperties"] = False
                assert sorted(node["required"]) == sorted(node["properties"])
            for member in node.values():
                close(member)

    close(schema)
    validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
    for path in (EXAMPLE, *(str(folder) for folder in DATA.iterdir())):
        validator.validate(json.loads(invoke("--output", "json", path).stdout))


def test_every_code_of_a_note_is_documented() -> None:
    """The command's page has a row for each code that the source has, with a star where it is a warning."""
    from kopia_maint.cli import _advice, _main, _report
    from kopia_maint.cli._lint import Note

    page = ROOT.joinpath("docs", "command-line.md").read_text("utf-8")
    table = page.partition("### Notes")[2].partition("\n## ")[0]
    rows = [line.split("|")[1].strip() for line in table.splitlines() if line.startswith("| `")]
    text = "".join(Path(str(module.__file__)).read_text("utf-8") for module in (_advice, _main, _report))
    codes = re.findall(r'(?:Note\(|yield )\s*\(?"([a-z-]+)"|^            "([a-z-]+)",$', text, re.MULTILINE)
    assert {one or other for one, other in codes} == {row.split("`")[1] for row in rows}
    assert [Note(row.split("`")[1], "").urgent for row in rows] == [row.endswith("*") for row in rows]


def test_the_hook_reads_the_whole_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file that changed may agree with what it asked before: pre-commit must not hand over file names."""
    [hook] = yaml.safe_load(ROOT.joinpath(".pre-commit-hooks.yaml").read_text("utf-8"))
    assert hook["id"] == "kopia-maint-plan"
    assert hook["pass_filenames"] is False
    command, subcommand = hook["entry"].split()
    assert (command, hook["language"], hook["additional_dependencies"]) == ("kopia-maint", "python", [".[cli]"])
    assert subcommand == "plan"
    monkeypatch.chdir(tmp_path)
    assert invoke(*hook["args"]).exit_code == 0


def test_a_plan_of_files_and_of_the_cluster_together(tmp_path: Path) -> None:
    """CronJobs from the cluster beside sources from files: what stands there counts."""
    exported = tmp_path / "cronjobs.json"
    exported.write_text(json.dumps({"kind": "CronJobList", "apiVersion": "batch/v1", "items": [cron_job()]}))
    answer = planned(wants("0 2 * * *"), wants("0 1 * * *", "team-0/first"), status=1, options=(str(exported), "-"))
    assert (only(answer)["owner"], only(answer)["action"]) == ("team-a", "update")
