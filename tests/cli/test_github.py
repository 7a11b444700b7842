"""Where does ``kopia-maint plan --output github`` put what it has to say, and how does it write it?"""

import errno
import json
import os
import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from ..helpers import replication_source
from .command_line import CLAIMS, EXAMPLE, Given, edited, fields, plan, tree, wants

COMMAND = re.compile(r"::(error|warning|notice) ([^:]*)::(.*)")


def annotated(*arguments: str, given: tuple[Given, ...] = ()) -> list[tuple[str, dict[str, str], str]]:
    """Return level, properties and message of each command; every line must be one."""
    found = []
    for line in plan("--output", "github", *arguments, given=given).stdout.splitlines():
        match = COMMAND.fullmatch(line)
        assert match is not None, line
        properties = dict(it.split("=", 1) for it in match[2].split(","))
        found.append((match[1], {key: unquote(value) for key, value in properties.items()}, unquote(match[3])))
    return found


def test_a_conflict_is_annotated_where_its_source_asks() -> None:
    """An error at the line of the schedule, with what ends it; a note that is not urgent is a notice."""
    (level, properties, message), *notes = annotated(EXAMPLE)
    assert (level, [it[0] for it in notes]) == ("error", ["notice", "notice"])
    assert properties == {"file": f"{EXAMPLE}/team-b.yaml", "line": "12", "title": "Maintenance schedule conflict"}
    first, *steps = message.split("\n")
    assert first == (
        "shared-repo-secret: team-b/source-b wants 0 4 * * * since 2024-01-15T10:30:00Z;"
        " '0 2 * * *' is established (owner team-a). One of these ends the conflict:"
    )
    assert [step.partition(":")[0] for step in steps] == ["- agree", "- disable", "- ownRepository"]


LIST = """\
# comment
---
kind: List
items:
- kind: ReplicationSource
  metadata: {name: b, namespace: b}
  spec:
    kopia:
      repository: r
      maintenanceCronJob:
        schedule: never
- 1
"""
TABS = json.dumps({"kind": "List", "items": [wants("@daily"), wants("0 2", "b/b")]}, indent="\t")
SPACES = json.dumps(wants("0 2", "c/c"), indent=1)
UNREADABLE = edited(annotations={CLAIMS: '{"version":1,"claims":{"a":{"b":[1,2]}}}'})


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (LIST, ["- 1", "schedule: never"]),
        (f"{TABS}\n\n{SPACES}", ['"schedule": "0 2"'] * 2),
        (json.dumps(fields(shedule="0 2 * * *"), indent=1), ['"shedule"']),
        # A field that is missing is missed in its parent, and one inside an annotation's text in the annotation.
        ("kind: ReplicationSource\nmetadata: {name: a, namespace: a}\nspec:\n  kopia: {}", ["kopia"]),
        (f"kind: X\n---\n{json.dumps(UNREADABLE, indent=1)}", [f'"{CLAIMS}"']),
    ],
)
def test_what_deserves_attention_is_annotated_at_its_line(tmp_path: Path, text: str, lines: list[str]) -> None:
    """Not at the document's first line, in a list as outside of one, in YAML and JSON; a wrong field is a warning."""
    found = annotated(tree(tmp_path, {"all.yaml": text}))
    at = [text.splitlines()[int(properties["line"]) - 1].strip() for _, properties, _ in found]
    assert [line[: len(begin)] for line, begin in zip(at, lines, strict=True)] == lines
    assert {level for level, *_ in found} == {"warning" if "shedule" in text else "error"}


def test_what_cannot_be_looked_up_is_said_in_the_message(tmp_path: Path) -> None:
    """Standard input has no file to annotate; a missing file has no line. Nothing in a message begins a command."""
    [(_, properties, message)] = annotated(given=(replication_source("team-a/a\n::warning::x%0A"),))
    assert properties == {"title": "Not readable"}
    assert message.startswith("standard input, document 1, line 1: metadata.name: ")
    assert r"a\n::warning::x%0A" in message
    [(*_, message)] = annotated(str(tmp_path / "missing"))
    assert message == f"{tmp_path}/missing: {os.strerror(errno.ENOENT)}"


def test_a_file_is_named_as_github_knows_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it is called, and without a dot in front."""
    name = "a,b:c%0A\n::error::x.yaml"
    tree(tmp_path, {name: "kind: ReplicationSource\nmetadata: 1\nspec: {kopia: {}}\n"})
    monkeypatch.chdir(tmp_path)
    [error] = annotated(".")
    assert error[1]["file"] == name
