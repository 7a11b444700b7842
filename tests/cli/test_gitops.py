"""What becomes of GitOps repositories as people have them? The shapes are theirs, the names are not."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from kopia_maint.cli import _advice, _main, _report
from kopia_maint.cli._lint import Note

from .command_line import EXAMPLE, ROOT, Given, plan, planned, wants

DATA = ROOT / "tests" / "data" / "gitops"


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


def test_what_is_no_kopia_source_is_passed_over() -> None:
    """Silently: other kinds, groups and backup methods, what names a kind alone, and an image under "kopia"."""
    restic = {"kind": "ReplicationSource", "metadata": {"name": "${APP}"}, "spec": {"restic": {}}}
    foreign: list[Given] = [
        {**wants("0 2"), "apiVersion": "example.org/v1"},
        restic,
        {"kopia": {"repository": "example.org/volsync"}, "checks": [{"kind": "ReplicationSource"}, restic]},
        {"kind": "CronJob", "metadata": {"name": "backup"}, "spec": 1},
        {"kind": "CronJob"},
        {"kind": 5},
    ]
    answer = planned(*foreign, options=("--allow-empty",))
    assert answer == {"repositories": [], "errors": [], "notes": []}


def closed(node: dict[str, Any]) -> dict[str, Any]:
    """Return a schema, or a part, that allows no key which it does not describe; it requires each that it does."""
    if "properties" not in node:
        return node
    assert sorted(node["required"]) == sorted(node["properties"])
    return {**node, "additionalProperties": False}


def test_the_json_has_the_documented_shape() -> None:
    """Every key that is written is in the schema, and every key of the schema is written."""
    schema = json.loads(ROOT.joinpath("docs", "plan.schema.json").read_text("utf-8"), object_hook=closed)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
    for path in (EXAMPLE, *map(str, DATA.iterdir())):
        validator.validate(planned(status=None, options=(path,)))


def test_every_code_of_a_note_is_documented() -> None:
    """The command's page has a row for each code that the source has, with a star where it is a warning."""
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
    assert hook.items() >= {"id": "kopia-maint-plan", "entry": "kopia-maint plan", "language": "python"}.items()
    assert (hook["pass_filenames"], hook["additional_dependencies"]) == (False, [".[cli]"])
    monkeypatch.chdir(tmp_path)
    assert plan(*hook["args"]).exit_code == 0
