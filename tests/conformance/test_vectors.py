"""Are the vectors what they are said to be: valid, complete, reproducible, and able to find mistakes?"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from kopia_maint import InvalidManifest, Verdict
from kopia_maint.conformance import _answer, answer, load
from kopia_maint.conformance._runner import outcome

from . import vectors
from .reference import WRONG_RESOLVERS, Reference

FILES = sorted(vectors.VECTORS.glob("*.json"))
SCHEMA = json.loads(vectors.VECTORS.with_name("vectors.schema.json").read_text("utf-8"))
ALL = load()
DECISIONS = [
    it
    for it in ALL
    if it.area in ("conflicts", "consensus", "persistence", "published", "quiet", "reconcile", "resolve")
    and it.current is None
    and not any("error" in step.expect for step in it.steps)
]
"""Hand-written vectors about what the reference model models, too: no adoption, nothing that is refused."""

OFF_THE_WIRE = ("HandOverForgets", "HandsOverTheEarliest", "RejectsSilently")
"""Mistakes that no line can show: a hand-over is not on the wire, nor is a record but in the annotation."""


def in_process(question: dict[str, Any]) -> dict[str, Any]:
    """Answer as `serve` does."""
    return answer(json.dumps(question))


def or_nothing(question: dict[str, Any]) -> dict[str, Any]:
    """Answer as a resolver does that trips over its own mistake."""
    try:
        return in_process(question)
    except (AssertionError, LookupError):
        return {}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_file_is_valid_and_laid_out(file: Path) -> None:
    """It follows the schema, has its area's name, and is laid out so that a change shows as one line."""
    text = file.read_text("ascii")
    content = json.loads(text)
    jsonschema.Draft202012Validator(SCHEMA).validate(content)
    assert content["area"] == file.stem
    assert vectors.layout(content) == text


def test_the_schema_is_one_and_refuses_what_would_not_be_compared() -> None:
    """A misspelt expectation would be met by everybody."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    content = json.loads(FILES[0].read_text("ascii"))
    content["vectors"][0]["steps"][0]["expect"]["conflct"] = None
    assert not jsonschema.Draft202012Validator(SCHEMA).is_valid(content)


def test_the_generated_files_are_what_the_generator_writes() -> None:
    """Byte for byte; every other file is marked as written by hand."""
    made = dict(vectors.generated())
    for file in FILES:
        text = file.read_text("ascii")
        assert ('"origin": "generated"' in text) is (file in made)
        assert made.get(file, text) == text


def test_there_are_enough_and_each_has_its_name() -> None:
    """At least 150; a name is there once in its area."""
    assert len(ALL) >= 150
    assert [it for it, count in Counter((it.area, it.name) for it in ALL).items() if count > 1] == []


def test_every_verdict_and_every_code_is_expected_somewhere() -> None:
    """But for ``state-too-large``, whose vector would be larger than all others together."""
    expected = [step.expect for it in ALL for step in it.steps]
    verdicts = {word for it in expected for word in [it.get("verdict"), *it.get("verdicts", {}).values()]}
    assert verdicts == {*(verdict.value for verdict in Verdict), "unreadable", None}
    assert {it["error"] for it in expected if "error" in it} == {
        *("invalid-manifest", "invalid-value", "never-fires", "repository-mismatch"),
        *("syntax", "time-zone", "too-long", "unprintable"),
    }


def test_the_library_passes_every_vector() -> None:
    """In this process, in any order, for nothing is remembered."""
    for vector in reversed(ALL):
        assert outcome(vector, in_process).differences == (), (vector.area, vector.name)


@pytest.mark.skipif(vectors.go_is_missing(), reason="go is not installed")
def test_the_identities_are_gos() -> None:
    """The record is what Go's own encoding/json writes today."""
    _provenance, *recorded = vectors.IDENTITIES.read_text("ascii").splitlines()
    assert vectors.record_identities().splitlines()[1:] == recorded


def failed_by(kind: type[Reference], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the names of the vectors that this variant of the reference model fails."""
    subject = kind()
    monkeypatch.setattr(_answer, "resolve", subject.resolve)
    monkeypatch.setattr(_answer, "reconcile", _with_a_set(subject.reconcile))
    return [it.name for it in DECISIONS if outcome(it, or_nothing).differences]


def test_the_reference_model_passes_every_decision(monkeypatch: pytest.MonkeyPatch) -> None:
    """It shares no code with the resolver."""
    assert failed_by(Reference, monkeypatch) == []


@pytest.mark.parametrize(
    "kind",
    [kind for kind in WRONG_RESOLVERS if kind.__name__ not in OFF_THE_WIRE],
    ids=lambda kind: kind.__name__,
)
def test_every_plausible_mistake_fails_a_hand_written_vector(
    kind: type[Reference], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a wrong variant of the reference model gets wrong, some vector shows it."""
    assert failed_by(kind, monkeypatch)


def _with_a_set(reconcile: Callable[..., Any]) -> Callable[..., Any]:
    def called(current: Any, requests: Any, *, unreadable: Any, **rest: Any) -> Any:
        return reconcile(current, requests, unreadable=frozenset(unreadable), **rest)

    return called


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "x.json: the line is not JSON"),
        ("[]", "x.json: the line must be a JSON object"),
        ("{}", "must have area, of type str"),
        ('{"area": "x"}', "must have vectors, of type list"),
        ('{"area": "x", "vectors": [5]}', r"x.json: vectors\[0\]: must have steps, of type list"),
        ('{"area": "x", "vectors": [{"steps": []}]}', "must have name"),
        ('{"area": "x", "vectors": [{"steps": [{"send": {}}]}]}', r"vectors\[0\].steps\[0\]: must have expect"),
        (
            '{"area": "x", "vectors": [{"steps": [{"send": {}, "expect": {"cronJob": {"ownr": 1}}}]}]}',
            "expects 'ownr', which is not known",
        ),
        ('{"area": "x", "vectors": [{"steps": [{"send": {}, "expect": {}}]}]}', "expects '', which is not known"),
        ('{"area": "x", "vectors": []}', "there are no vectors"),
    ],
)
def test_a_bad_file_of_vectors_is_refused(tmp_path: Path, text: str, message: str) -> None:
    """The error names the file and the place in it."""
    tmp_path.joinpath("x.json").write_text(text)
    with pytest.raises(InvalidManifest, match=message):
        load(tmp_path)


def test_a_folder_of_ones_own(tmp_path: Path) -> None:
    """It takes the place of the package's; other files in it are passed over."""
    tmp_path.joinpath("mine.json").write_text(FILES[0].read_text("ascii"))
    tmp_path.joinpath("README.md").write_text("notes")
    assert load(tmp_path) == [it for it in ALL if it.area == FILES[0].stem]
