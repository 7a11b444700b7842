"""Which objects does the command line find in its input, and what does it say about what it cannot read?"""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from kopia_maint.cli import _yaml
from kopia_maint.cli._load import Document, Problem, documents

from .command_line import ROOT, plan, tree

SOURCE = "kind: ReplicationSource\nmetadata: {name: a}\n"


def read(folder: Path, text: str | bytes, name: str = "input.yaml") -> list[Document | Problem]:
    """Write *text* to a file and read it as a named file."""
    return list(documents([tree(folder, {name: text})]))


# --- documents ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        # Empty documents are not counted, and the others begin at their first line with content.
        ("a.yaml", f"---\n# empty\n---\n{SOURCE}--- # second\n\n{SOURCE}---\n", [(1, 4), (2, 8)]),
        ("a.yaml", f"{SOURCE}---\na: b: c\n---\n{SOURCE}", [(1, 1), "document 2, line 4: is not YAML", (3, 6)]),
        ("a.yaml", f"kind: Values\n8080: a\n---\n{SOURCE}", [(1, 1), (2, 4)]),  # other objects may have other keys
        ("a.yaml", 'kind: X\ntext: "\n---no marker\n"\n', [(1, 1)]),
        ("a.yaml", "{kind: A, metadata: {name: a}}", [(1, 1)]),  # no JSON, though it begins as such
        ("a.yaml", '{"kind": "A"}\n{"kind": "B"}\n\n {"kind": "C"}', [(1, 1), (2, 2), (3, 4)]),
        ("a.json", '\ufeff{"kind": "A"}', [(1, 1)]),
        ("a.json", '{"kind": "A"}\n{"kind":\n ]}', [(1, 1), "document 2, line 3: is not JSON: "]),
        ("a.yaml", '{"kind": "A"}\n{"kind":\n ]}', [(1, 1), "document 2, line 3: is not JSON: "]),
        ("a.json", "[" * 100_000, ["document 1, line 1: is not JSON: it nests too deeply"]),
        # Empty files, comments, null and {} are no objects and no problems.
        *[("a.yaml", it, []) for it in ("", "\n", "# nothing\n", "---\n---\n", "null\n", "{}\n", "\ufeff")],
        ("a.yaml", "{kind: List, items: null}", []),
        ("a.yaml", "{a: " * 100 + "1" + "}" * 100, [(1, 1)]),
    ],
)
def test_documents_are_found_one_by_one(tmp_path: Path, name: str, text: str, expected: list[Any]) -> None:
    """Each knows its number and line, and a bad one hides no other."""
    for it, place in zip(read(tmp_path, text, name), expected, strict=True):
        if isinstance(it, Problem):
            assert f"{name}, {place}" in str(it)
            assert "(char " not in str(it)  # JSON's reader says the place, too
        else:
            assert (it.place.document, it.place.line) == place


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hello", "document 1, line 1: a manifest must be a mapping, not 'hello'"),
        ("- 1", "document 1, line 1: a manifest must be a mapping, not a value of type list"),
        ("a: [\n\n", "document 1, line 1: is not YAML: ."),
        ("a: 1\nb: 2\na: 3\n", "document 1, line 3: the key 'a' is there twice"),
        ("a: !!bool x", "document 1, line 1: is not YAML: a value does not fit its type"),
        ("a: !!timestamp x", "document 1, line 1: is not YAML: a value does not fit its type"),
        (f"a: {'9' * 5000}", "document 1, line 1: is not YAML: a value does not fit its type"),
        ("a: 1\nb: !Ref x", "document 1, line 2: is not YAML: ."),
        ("a: 1\nb: !Ref {x: 1}", "document 1, line 2: is not YAML: the tag '!Ref' is not known"),
        ("a: 1\r---\rb: 2", "document 1, line 1: is not YAML: another document begins without '---'"),
        ("a: {<<: 1}", "document 1, line 1: is not YAML: a merge key names something else than mappings"),
        ("kind: CronJob\nmetadata:\n  labels: {a: b,\n 1: c}", "document 1, line 4: the key 1 is not a string: quote"),
        ("kind: List\nitems:\n- {kind: CronJob, on: 1}", "document 1, line 3: the key True is not a string: quote it"),
        ("? [a]\n: b", "document 1, line 1: is not YAML: a key must not be a collection"),
        ("a: *b", "document 1, line 1: is not YAML: the alias 'b' is not defined"),
        ("a: 1\n...\nb: 1", "document 1, line 3: is not YAML: ."),
        ("a: \x1b", "document 1, line 1: is not YAML: ."),
        ("a: {{ .Values.x }}", r": is not YAML: .+ \(a Helm template\? give the rendered manifests\)$"),
        ("a: &a\n- *a\n", "document 1, line 2: the alias 'a' contains itself"),
        ("kind: List\nitems: 1", "items: must be a list, not a value of type int"),
        ("kind: List\nitems: ''", "items: must be a list, not ''"),
        ("kind: List\nitems: [1]", r"items\[0\]: a manifest must be a mapping, not a value of type int"),
        ("{kind: List, items: [" * 11 + "]}" * 11, "items: lists are nested more than 10 deep"),
        (b"a: b\nc: \xe9\n", "line 2: is not UTF-8: .+ at byte 9$"),
        ("a: 1".encode("utf-16"), "line 1: is not UTF-8: .+ at byte 1$"),
        # Nesting that would end the process, or its stack; what JSON's reader accepts may still be too deep to copy.
        *[(it * 100_000, "document 1, line 1: ") for it in ("[", "- ", '{"a":')],
        ("- " * 101 + "1", "nests more than 100 deep"),
        ('{"kind": "CronJob", "spec": ' + '{"a":' * 200 + "1" + "}" * 201, "nests more than 100 deep"),
    ],
)
def test_what_is_wrong_is_said_with_file_document_and_line(tmp_path: Path, text: str | bytes, expected: str) -> None:
    """One problem per bad document: where it is, and what is wrong in it."""
    [problem] = read(tmp_path, text)
    assert re.match(f"input.yaml, .*{expected}", str(problem).removeprefix(f"{tmp_path}{os.sep}"))
    assert plan(str(tmp_path / "input.yaml")).exit_code == 2


@pytest.mark.parametrize(
    ("first", "other", "times", "levels"),
    [("[x]", "[{}]", 9, 30), ("{x: 1}", "{{<<: [{}]}}", 9, 30), ("[x]", "[{}]", 2, 10_000)],
)
def test_aliases_that_multiply_are_refused(first: str, other: str, times: int, levels: int) -> None:
    """A document may not grow out of proportion, by aliases or by merge keys."""
    lines = [f"a{i}: &a{i} {other.format(', '.join([f'*a{i - 1}'] * times))}" for i in range(1, levels)]
    with pytest.raises(_yaml.InvalidYaml, match="its aliases multiply"):
        _yaml.read("\n".join([f"a0: &a0 {first}", *lines]))


def test_aliases_as_people_use_them_are_read() -> None:
    """An anchor that a few places refer to is followed, a merge key too: what is nearer counts, and what is first."""
    text = "kind: &k X\na: &a {b: 1}\nc: *a\nd: {<<: [*a, {b: 2, f: 3}], e: *k}\ng: {b: 4, <<: *a}\n"
    merged = {"kind": "X", "a": {"b": 1}, "c": {"b": 1}, "d": {"b": 1, "e": "X", "f": 3}, "g": {"b": 4}}
    assert _yaml.read(text) == (merged, None)


def test_lists_are_taken_apart(tmp_path: Path) -> None:
    """Each item of a List, nested or not, is an object with its own path; those of a typed list have its kind."""
    typed = {"kind": "ReplicationSourceList", "apiVersion": "v", "items": [{"metadata": {"name": "a"}}]}
    found = read(tmp_path, json.dumps({"kind": "List", "items": [{"kind": "A"}, typed, None]}))
    assert [(it.place.path, it.value) for it in found if isinstance(it, Document)] == [
        ("items[0]", {"kind": "A"}),
        ("items[1].items[0]", {"kind": "ReplicationSource", "apiVersion": "v", "metadata": {"name": "a"}}),
    ]


# --- what values are ---------------------------------------------------------


def test_values_are_what_kubernetes_makes_of_them() -> None:
    """Timestamps and "=" are strings; "yes" is true, as in the YAML 1.1 that Kubernetes reads."""
    text = "[2024-01-15T10:30:00Z, 2024-01-15, =, <<, yes, off, 1, '1', !!str 2, !!int '3', !!seq [], !!map {}]"
    expected = ["2024-01-15T10:30:00Z", "2024-01-15", "=", "<<", True, False, 1, "1", "2", 3, [], {}]
    assert _yaml.read(text) == (expected, None)
    assert str(type(yaml.safe_load("2024-01-15"))) == "<class 'datetime.date'>"  # PyYAML itself is left as it was


def test_whatever_kubernetes_would_take_for_something_else_is_quoted() -> None:
    """``python -m tests.cli.kubernetes_yaml`` has recorded which strings need no quotes for Kubernetes' reader."""
    recorded = (ROOT / "tests" / "data" / "yaml_strings.jsonl").read_text("utf-8").splitlines()
    for text, plain in map(json.loads, recorded):
        written = _yaml.write({text: text})
        assert _yaml.read(written) == ({text: text}, None)
        assert plain or not written.endswith(f": {text}\n"), text
        assert written.isascii()


# --- folders -----------------------------------------------------------------


def test_folders_are_read_recursively_and_sorted(tmp_path: Path) -> None:
    """A folder's own files come before its subfolders; what is hidden, no manifest or a link is passed over."""
    files: dict[str, str | bytes] = {
        "b.yml": SOURCE,
        "a.yaml": SOURCE,
        "c.JSON": '{"kind": "ReplicationSource"}',
        "latin.yaml": b"\xe9",
        "sub/d.yaml": SOURCE,
        "sub/deep/er/e.yaml": SOURCE,
        "notes.txt": SOURCE,
        ".git/a.yaml": SOURCE,
        "template.yaml": "kind: CronJob\nmetadata: {{ toYaml . }}\n",
    }
    tree(tmp_path, files)
    (tmp_path / "round").symlink_to(tmp_path)
    (tmp_path / "self.yaml").symlink_to("self.yaml")
    os.mkfifo(tmp_path / "pipe.yaml")
    found = list(documents([str(tmp_path)]))
    assert [Path(it.place.file).stem for it in found] == ["a", "b", "c", "latin", "d", "e"]
    assert [it.place.line for it in found if isinstance(it, Problem)] == [1]
    # GitOps folders hold templates that are not YAML: only a file that was named is held to it.
    assert isinstance(next(documents([str(tmp_path / "template.yaml")])), Problem)


def test_a_folder_that_may_not_be_read_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may read every folder: so the refusal is played."""

    def refuse(path: str) -> Any:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert list(map(str, documents([str(tmp_path)]))) == [f"{tmp_path}: Permission denied"]
