"""Where does ``kopia-maint plan --output github`` put what it has to say, and how does it write it?"""

import errno
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from ..helpers import replication_source
from .command_line import CLAIMS, EXAMPLE, cron_job, documents, edited, invoke, planned, wants

COMMAND = re.compile(r"::(error|warning|notice) ([^:]*)::(.*)")


def unescaped(text: str, *, value: bool = False) -> str:
    """Undo the escaping, as the runner does."""
    pairs = [("%0D", "\r"), ("%0A", "\n"), *([("%3A", ":"), ("%2C", ",")] if value else []), ("%25", "%")]
    for escape, character in pairs:
        text = text.replace(escape, character)
    return text


def annotated(*args: str, given: str | None = None) -> list[tuple[str, dict[str, str], str]]:
    """Return level, properties and message of each command; every line must be one."""
    found = []
    for line in invoke("--output", "github", *args, given=given).stdout.splitlines():
        match = COMMAND.fullmatch(line)
        assert match is not None, line
        properties = dict(it.split("=", 1) for it in match[2].split(","))
        told = {key: unescaped(value, value=True) for key, value in properties.items()}
        found.append((match[1], told, unescaped(match[3])))
    return found


def test_a_conflict_is_annotated_where_its_source_asks() -> None:
    """An error at the line of the schedule, with what ends it; the status is that of other outputs."""
    result = invoke("-o", "github", EXAMPLE)
    assert (result.exit_code, result.stderr) == (1, "2 repositories, 1 conflict in 1, 0 errors, 2 notes\n")
    level, properties, message = annotated(EXAMPLE)[0]
    assert level == "error"
    assert properties == {"file": f"{EXAMPLE}/team-b.yaml", "line": "12", "title": "Maintenance schedule conflict"}
    first, *steps = message.split("\n")
    assert first == (
        "shared-repo-secret: team-b/source-b wants 0 4 * * * since 2024-01-15T10:30:00Z;"
        " '0 2 * * *' is established (owner team-a). One of these ends the conflict:"
    )
    assert [step.partition(":")[0] for step in steps] == ["- agree", "- disable", "- ownRepository"]


def test_an_error_is_annotated_at_its_field_and_not_said_twice(tmp_path: Path) -> None:
    """Not at the document's first line, in a list as outside of one; standard error would repeat it in the log."""
    path = tmp_path / "sources.yaml"
    path.write_text(
        "# comment\n---\nkind: ReplicationSourceList\napiVersion: volsync.backube/v1alpha1\nitems:\n"
        "- metadata: {name: a, namespace: a}\n  spec:\n    kopia:\n      repository: r\n"
        "- metadata:\n    name: b\n    namespace: b\n  spec:\n    kopia:\n      repository: r\n"
        "      maintenanceCronJob:\n        enabled: true\n        schedule: never\n- 1\n"
    )
    result = invoke("--output", "github", str(path))
    assert (result.exit_code, result.stderr) == (2, "1 repository, 0 conflicts, 2 errors, 0 notes\n")
    first, second = annotated(str(path))
    assert first[1]["line"] == "19"
    assert second[1] == {"file": str(path), "line": "18", "title": "Not readable"}
    assert second[2].startswith("items[1].spec.kopia.maintenanceCronJob.schedule: b/b: expected 5 fields")


@pytest.mark.parametrize("indent", [1, "\t"])
def test_lines_are_found_in_json(tmp_path: Path, indent: int | str) -> None:
    """A file may hold several values, and each may be a list: the line is that of the field."""
    path = tmp_path / "export.json"
    exported, again = (
        json.dumps({"kind": "List", "items": [wants("0 2 * * *"), wants("0 2", who)]}, indent=indent)
        for who in ("team-b/b", "team-c/c")
    )
    path.write_text(f"{exported}\n\n{again}\n")
    lines = [number for number, text in enumerate(path.read_text().splitlines(), 1) if '"0 2"' in text]
    assert [it["line"] for it in planned(status=2, options=(str(path),))["errors"]] == lines


def test_what_has_no_line_of_its_own_is_annotated_at_what_is_above_it(tmp_path: Path) -> None:
    """A field that is missing is missed in its parent, and one inside an annotation's text in the annotation."""
    path = tmp_path / "all.yaml"
    job = edited(annotations={CLAIMS: '{"version":1,"claims":{"a":{"b":[1,2]}}}'})
    source = replication_source()
    del source["spec"]["kopia"]["repository"]
    path.write_text(f"kind: X\n---\n{json.dumps(job, indent=1)}\n---\n{json.dumps(source, indent=1)}\n")
    lines = path.read_text().splitlines()
    assert [lines[int(properties["line"]) - 1].strip().split(":")[0] for _, properties, _ in annotated(str(path))] == [
        '"volsync.backube/schedule-claims"',
        '"kopia"',
    ]


def test_what_cannot_be_looked_up_is_said_in_the_message(tmp_path: Path) -> None:
    """Standard input has no file to annotate; a missing file has no line."""
    [error] = annotated(given="a: [")
    assert error[1] == {"title": "Not readable"}
    assert error[2].startswith("standard input, document 1, line 1: is not YAML")
    [error] = annotated(str(tmp_path / "missing"))
    assert error[2] == f"{tmp_path}/missing: {os.strerror(errno.ENOENT)}"


def test_notes_are_warnings_where_something_is_not_done(tmp_path: Path) -> None:
    """A misspelt field is a warning at its line, an orphaned owner a notice without one."""
    path = tmp_path / "source.yaml"
    misspelt = replication_source("team-b/b", maintenanceCronJob={"shedule": "0 2 * * *"})
    path.write_text(json.dumps(misspelt, indent=1))
    warning, notice = annotated(str(path), "-", given=json.dumps(cron_job()))
    assert (warning[0], warning[1]["title"]) == ("warning", "unknown-field")
    assert '"shedule"' in path.read_text().splitlines()[int(warning[1]["line"]) - 1]
    assert notice[:2] == ("notice", {"title": "orphaned"})


@pytest.mark.parametrize("name", ["a,b:c%0A::error::x.yaml", "a\n::error::b.yaml", "\r\x1b[2J.yaml"])
def test_a_file_name_cannot_begin_a_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Whatever a file is called, each line is one command, and nothing moves the log's cursor."""
    path = tmp_path / name
    path.write_text("kind: ReplicationSource\nmetadata: 1\nspec: {kopia: {}}\n")
    [error] = annotated(str(path))
    assert error[1]["file"] == str(path).replace("\x1b", "\\x1b")
    assert error[1]["title"] == "Not readable"
    lines = invoke(str(path)).output.splitlines()
    assert not any(line.lstrip().startswith("::") for line in lines)
    monkeypatch.chdir(tmp_path)
    [error] = annotated(".")
    assert error[1]["file"] == name.replace("\x1b", "\\x1b")  # as GitHub knows it, without a dot in front


def test_what_a_tenant_writes_cannot_begin_a_command() -> None:
    """Line breaks and per cents in a manifest's text are escaped; nor does a line that is broken begin with one."""
    hostile: Any = replication_source("team-a/a\n::warning::x%0A")
    [error] = annotated(given=documents(hostile))
    assert "::warning::x%0A" in error[2]
    field = replication_source(maintenanceCronJob={f"{'x ' * 20} ::error::x": 1})
    assert not any(line.lstrip().startswith("::") for line in invoke(given=documents(field)).output.splitlines())
