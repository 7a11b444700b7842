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

from .command_line import ROOT, invoke

SOURCE = "kind: ReplicationSource\nmetadata: {name: a}\n"


def read(folder: Path, text: str | bytes, name: str = "input.yaml") -> list[Document | Problem]:
    """Write *text* to a file and read it as a named file."""
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return list(documents([str(path)]))


def only_problem(folder: Path, text: str | bytes, name: str = "input.yaml") -> str:
    """Return the one problem of a text, without the folder in front."""
    found = read(folder, text, name)
    assert len(found) == 1
    assert isinstance(found[0], Problem)
    return str(found[0]).replace(f"{folder}{os.sep}", "")


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
    ],
)
def test_documents_are_found_one_by_one(tmp_path: Path, name: str, text: str, expected: list[Any]) -> None:
    """Each knows its number and line, and a bad one hides no other."""
    found = read(tmp_path, text, name)
    assert len(found) == len(expected)
    for it, place in zip(found, expected, strict=True):
        if isinstance(it, Problem):
            assert f"{name}, {place}" in str(it)
        else:
            assert (it.place.document, it.place.line) == place


@pytest.mark.parametrize(
    "text", ["", "\n", "# nothing\n", "---\n---\n", "null\n", "{}\n", "\ufeff", "{kind: List, items: null}"]
)
def test_empty_input_holds_nothing(tmp_path: Path, text: str) -> None:
    """Empty files, comments, null and {} are no objects and no problems."""
    assert read(tmp_path, text) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hello", "document 1, line 1: a manifest must be a mapping, not 'hello'"),
        ("- 1", "document 1, line 1: a manifest must be a mapping, not a value of type list"),
        ("a: [\n\n", "document 1, line 1: is not YAML: ."),
        ("a: 1\nb: 2\na: 3\n", "document 1, line 3: the key 'a' is there twice"),
        ("a: {b: 1,\n b: 2}", "document 1, line 2: the key 'b' is there twice"),
        ("a: !!int x", "document 1, line 1: is not YAML: a value does not fit its type"),
        ("a: !!bool x", "document 1, line 1: is not YAML: a value does not fit its type"),
        (f"a: {'9' * 5000}", "document 1, line 1: is not YAML: a value does not fit its type"),
        ("a: 1\nb: !Ref x", "document 1, line 2: is not YAML: ."),
        ("a: 1\nb: !Ref {x: 1}", "document 1, line 2: is not YAML: the tag '!Ref' is not known"),
        ("a: 1\r---\rb: 2", "document 1, line 1: is not YAML: another document begins without '---'"),
        ("a: {<<: 1}", "document 1, line 1: is not YAML: a merge key names something else than mappings"),
        (
            "kind: CronJob\nmetadata:\n  labels: {a: b,\n 1: c}",
            "document 1, line 4: the key 1 is not a string: quote it",
        ),
        ("kind: List\nitems:\n- {kind: CronJob, on: 1}", "document 1, line 3: the key True is not a string: quote it"),
        ("? [a]\n: b", "document 1, line 1: is not YAML: a key must not be a collection"),
        ("a: *b", "document 1, line 1: is not YAML: the alias 'b' is not defined"),
        ("a: 1\n...\nb: 1", "document 1, line 3: is not YAML: ."),
        ("a: \x1b", "document 1, line 1: is not YAML: ."),
        ("a: {{ .Values.x }}", r": is not YAML: .+ \(a Helm template\? give the rendered manifests\)$"),
        ("a: &a\n- *a\n", "document 1, line 2: the alias 'a' contains itself"),
        # What JSON's reader accepts may still be too deep to be compared and copied.
        ('{"kind": "CronJob", "spec": ' + '{"a":' * 200 + "1" + "}" * 201, "nests more than 100 deep"),
        ("kind: List\nitems: 1", "items: must be a list, not a value of type int"),
        ("kind: List\nitems: ''", "items: must be a list, not ''"),
        ("kind: List\nitems: [1]", r"items\[0\]: a manifest must be a mapping, not a value of type int"),
        ("{kind: List, items: [" * 11 + "]}" * 11, "items: lists are nested more than 10 deep"),
        (b"a: b\nc: \xe9\n", "line 2: is not UTF-8: .+ at byte 9$"),
        ("a: 1".encode("utf-16"), "line 1: is not UTF-8: .+ at byte 1$"),
    ],
)
def test_what_is_wrong_is_said_with_file_document_and_line(tmp_path: Path, text: str | bytes, expected: str) -> None:
    """One problem per bad document: where it is, and what is wrong in it."""
    problem = only_problem(tmp_path, text)
    assert problem.startswith("input.yaml, ")
    assert re.search(expected, problem)


def test_readers_say_in_their_own_words_what_is_wrong(tmp_path: Path) -> None:
    """The words are those of the installed PyYAML and Python: while doing what, and what; a position is said once."""
    with pytest.raises(yaml.MarkedYAMLError) as of_yaml:
        yaml.safe_load("a: [\n\n")
    assert str(of_yaml.value.problem).partition(" ")[0] in only_problem(tmp_path, "a: [\n\n")
    with pytest.raises(json.JSONDecodeError) as of_json:
        json.loads("[1 2]")
    assert only_problem(tmp_path, "[1 2]", "a.json") == f"a.json, document 1, line 1: is not JSON: {of_json.value.msg}"


# --- YAML that attacks -------------------------------------------------------


@pytest.mark.parametrize("text", ["[" * 100_000, "- " * 100_000, '{"a":' * 100_000, "a: " + "[" * 100_000])
def test_deep_nesting_is_refused(tmp_path: Path, text: str) -> None:
    """Nesting that would end the process, or its stack, is a problem like others, whichever reader refuses it."""
    assert only_problem(tmp_path, text).startswith("input.yaml, document 1, line 1: ")
    assert invoke(str(tmp_path / "input.yaml")).exit_code == 2


@pytest.mark.parametrize(("opens", "closes"), [("[", "]"), ("- ", ""), ('{"a":', "}"), ("{a: ", "}")])
def test_nesting_has_a_limit_of_ours(opens: str, closes: str) -> None:
    """A hundred levels are read as YAML, and one more is refused."""
    assert _yaml.read(opens * 100 + "1" + closes * 100)[1] is None
    with pytest.raises(_yaml.InvalidYaml, match="nests more than 100 deep"):
        _yaml.read(opens * 101 + "1" + closes * 101)


def test_aliases_that_multiply_are_refused(tmp_path: Path) -> None:
    """A document may not grow out of proportion, by aliases or by merge keys."""
    nine = {i: ", ".join([f"*a{i - 1}"] * 9) for i in range(1, 30)}
    lists = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [{nine[i]}]\n" for i in nine)
    merges = "a0: &a0 {x: 1}\n" + "".join(f"a{i}: &a{i} {{<<: [{nine[i]}]}}\n" for i in nine)
    doubles = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 10_000))
    for text in (lists, merges, doubles):
        assert "its aliases multiply" in only_problem(tmp_path, text)


def test_aliases_as_people_use_them_are_read(tmp_path: Path) -> None:
    """An anchor that a few places refer to is followed, a merge key too: what is nearer counts, and what is first."""
    [found] = read(tmp_path, "kind: &k X\na: &a {b: 1}\nc: *a\nd: {<<: [*a, {b: 2, f: 3}], e: *k}\ng: {b: 4, <<: *a}\n")
    assert isinstance(found, Document)
    assert found.value == {
        "kind": "X",
        "a": {"b": 1},
        "c": {"b": 1},
        "d": {"b": 1, "e": "X", "f": 3},
        "g": {"b": 4},
    }


# --- what values are ---------------------------------------------------------


def test_values_are_what_kubernetes_makes_of_them() -> None:
    """Timestamps and "=" are strings; "yes" is true, as in the YAML 1.1 that Kubernetes reads."""
    text = "[2024-01-15T10:30:00Z, 2024-01-15, =, <<, yes, off, 1, '1', !!str 2, !!int '3', !!seq [], !!map {}]"
    expected = ["2024-01-15T10:30:00Z", "2024-01-15", "=", "<<", True, False, 1, "1", "2", 3, [], {}]
    assert _yaml.read(text) == (expected, None)


def test_pyyaml_itself_is_left_as_it_was() -> None:
    """Other users of PyYAML in the same process still get timestamps."""
    assert str(type(yaml.safe_load("2024-01-15"))) == "<class 'datetime.date'>"


def test_whatever_kubernetes_would_take_for_something_else_is_quoted() -> None:
    """Recorded by tests/kubernetes_yaml: strings, and whether Kubernetes' reader takes them for such without quotes."""
    recorded = (ROOT / "tests" / "data" / "yaml_strings.jsonl").read_text("utf-8").splitlines()
    for text, plain in map(json.loads, recorded):
        written = _yaml.write({text: text})
        assert _yaml.read(written) == ({text: text}, None)
        assert plain or not written.endswith(f": {text}\n"), text
        assert written.isascii()


# --- lists -------------------------------------------------------------------


def test_lists_are_taken_apart(tmp_path: Path) -> None:
    """Each item of a List, nested or not, is an object with its own path; those of a typed list have its kind."""
    typed = {"kind": "ReplicationSourceList", "apiVersion": "v", "items": [{"metadata": {"name": "a"}}]}
    found = read(tmp_path, json.dumps({"kind": "List", "items": [{"kind": "A"}, typed, None]}))
    assert [(it.place.path, it.value) for it in found if isinstance(it, Document)] == [
        ("items[0]", {"kind": "A"}),
        ("items[1].items[0]", {"kind": "ReplicationSource", "apiVersion": "v", "metadata": {"name": "a"}}),
    ]


# --- folders -----------------------------------------------------------------


def test_folders_are_read_recursively_and_sorted(tmp_path: Path) -> None:
    """Manifests are found by suffix; a folder's own files come before its subfolders."""
    for name in ("b.yml", "a.yaml", "c.JSON", "sub/d.yaml", "sub/deep/er/e.yaml", "notes.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(SOURCE if "JSON" not in name else '{"kind": "ReplicationSource"}')
    found = [it.place.file for it in documents([str(tmp_path)]) if isinstance(it, Document)]
    assert [Path(it).stem for it in found] == ["a", "b", "c", "d", "e"]


def test_hidden_folders_and_links_to_folders_are_passed_over(tmp_path: Path) -> None:
    """Neither .git nor a link that leads round in a circle, or out, is followed."""
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "a.yaml").write_text(SOURCE)
    (tmp_path / "round").symlink_to(tmp_path)
    (tmp_path / "self.yaml").symlink_to("self.yaml")
    os.mkfifo(tmp_path / "pipe.yaml")
    assert list(documents([str(tmp_path)])) == []


def test_files_that_cannot_concern_us_are_passed_over_in_folders(tmp_path: Path) -> None:
    """GitOps folders hold templates that are not YAML: only a file that was named is held to it."""
    template = tmp_path / "template.yaml"
    template.write_text("kind: CronJob\nmetadata: {{ toYaml . }}\n")
    assert list(documents([str(tmp_path)])) == []
    assert len(list(documents([str(template)]))) == 1
    (tmp_path / "latin.yaml").write_bytes(b"\xe9")
    [problem] = documents([str(tmp_path)])
    assert re.fullmatch(r".*/latin\.yaml, line 1: is not UTF-8: .+ at byte 1", str(problem))


def test_a_folder_that_may_not_be_read_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder without permission is reported, and the folders beside it are read."""
    scan = os.scandir

    def scandir(path: str) -> Any:
        if path.endswith("secret"):
            raise PermissionError(13, "Permission denied", path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", scandir)
    for name in ("a", "secret", "z"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "source.yaml").write_text(SOURCE)
    found = list(documents([str(tmp_path)]))
    assert [type(it) for it in found] == [Document, Document, Problem]
    assert str(found[2]) == f"{tmp_path}/secret: Permission denied"
