"""Are the vectors what they are said to be: valid, complete, reproducible, and able to find mistakes?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from kopia_maint import InvalidManifest, Verdict
from kopia_maint.conformance import _answer, answer, load
from kopia_maint.conformance._answer import OPS
from kopia_maint.conformance._runner import outcome

from ..kit.mistakes import IMPLEMENTATIONS
from . import generate, model

Json = dict[str, Any]

FILES = sorted(generate.VECTORS.glob("*.json"))
SCHEMA = json.loads(generate.VECTORS.with_name("vectors.schema.json").read_text("utf-8"))
ALL = load()


def in_process(question: dict[str, Any]) -> dict[str, Any]:
    """Answer as `serve` does."""
    return answer(json.dumps(question))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_file_is_valid_and_laid_out(file: Path) -> None:
    """It follows the schema, has its area's name, names no vector twice, and shows a change as one line."""
    text = file.read_text("ascii")
    content = json.loads(text)
    jsonschema.Draft202012Validator(SCHEMA).validate(content)
    assert content["area"] == file.stem
    assert len({it["name"] for it in content["vectors"]}) == len(content["vectors"])
    assert f"{generate.layout(content)}\n" == text


def test_the_schema_is_one_and_refuses_what_would_not_be_compared() -> None:
    """A misspelt expectation would be met by everybody."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    content = json.loads(FILES[0].read_text("ascii"))
    content["vectors"][0]["steps"][0]["expect"]["conflct"] = None
    assert not jsonschema.Draft202012Validator(SCHEMA).is_valid(content)


def test_the_generated_files_are_what_the_generator_writes() -> None:
    """Byte for byte; every other file is marked as written by hand."""
    made = dict(generate.generated())
    for file in FILES:
        text = file.read_text("ascii")
        assert ('"origin": "generated"' in text) is (file in made)
        assert made.get(file, text) == text


def test_every_op_verdict_and_code_is_expected_somewhere() -> None:
    """Nothing that the wire format knows is left out."""
    assert {op for it in ALL for op in it.ops} == {*OPS, "overwrite"}
    expected = [step.expect for it in ALL for step in it.steps]
    verdicts = {word for it in expected for word in [it.get("verdict"), *it.get("verdicts", {}).values()]}
    standings = {word for it in expected for word in it.get("standings", {}).values()}
    assert verdicts == {*map(str, Verdict), None}
    assert standings == {*map(str, Verdict), "withheld"} - {"established"}
    assert {it["error"] for it in expected if "error" in it} == {
        *("invalid-manifest", "invalid-value", "never-fires", "repository-mismatch", "state-too-large"),
        *("syntax", "time-zone", "too-long", "unprintable"),
    }


def test_the_page_lists_every_area() -> None:
    """With what its vectors have in common, and how many there are."""
    page = Path(__file__).parents[2].joinpath("docs", "forks.md").read_text("utf-8")
    rows = ["| area | | vectors |", "| --- | --- | ---: |"]
    for content in (json.loads(file.read_text("ascii")) for file in FILES):
        rows.append(f"| `{content['area']}` | {content['about']} | {len(content['vectors'])} |")
    assert "\n".join(["% begin: areas", *rows, "% end: areas"]) in page


def test_the_library_passes_every_vector() -> None:
    """In this process, in any order, for nothing is remembered."""
    for vector in reversed(ALL):
        assert outcome(vector, in_process).differences == (), (vector.area, vector.name)


KNOWN = ("bounded", "consensus", "hand-over", "limits", "marks", "persistence", "plan", "published", "withdraw")
"""Areas written by hand whose objects are of a sound shape, which the reference model asks for."""


def test_the_reference_model_passes_every_decision() -> None:
    """It shares no code with the library, from manifest to manifest."""
    for vector in (it for it in ALL if it.area in KNOWN):
        if not any("error" in step.expect or "sourcePVC" in json.dumps(step.send) for step in vector.steps):
            assert outcome(vector, model.answer).differences == (), (vector.area, vector.name)


NOT_SENT = {"rejects without a record", "dates the record when it is reported"}
"""The wire has the conflict of the CronJob, and not that of the verdict."""


@pytest.mark.parametrize("mistake", [it for it in IMPLEMENTATIONS if it not in NOT_SENT])
def test_every_plausible_mistake_fails_a_vector(monkeypatch: pytest.MonkeyPatch, mistake: str) -> None:
    """Whatever an implementation gets wrong, if it can be seen in its answers at all."""
    wrong = IMPLEMENTATIONS[mistake]
    for function in ("resolve", "reconcile", "hand_over", "withdraw"):
        monkeypatch.setattr(_answer, function, getattr(wrong, function) or getattr(_answer, function))
    assert any(outcome(vector, in_process).differences for vector in ALL)


# --- files of vectors --------------------------------------------------------------

GOOD = {"send": {"op": "resolve"}, "expect": {"unchanged": True}}


def of(*steps: Json) -> Json:
    """Return the content of a file that has one vector with these steps."""
    return {"area": "x", "vectors": [{"name": "y", "tests": "Z.", "steps": [*steps]}]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "x.json: cannot be read: "),
        ([], "x.json: the line must be a JSON object"),
        ({}, "must have area, of type str"),
        ({"area": "x"}, "must have vectors, of type list"),
        ({"area": "x", "vectors": []}, "there are no vectors"),
        ({"area": "x", "vectors": [5]}, r"x.json: vectors\[0\]: must have steps, of type list"),
        ({"area": "x", "vectors": [{"steps": []}]}, "must have name"),
        (of(GOOD, {"send": {}}), r"vectors\[0\].steps\[1\]: must have expect"),
        (of({**GOOD, "send": {"op": 5}}), r"steps\[0\].send: must have op, of type str"),
        (of({**GOOD, "expect": {}}), r"steps\[0\].expect: expects nothing"),
        (of({**GOOD, "expect": {"unchanged": 1}}), "expects 'unchanged', which is not known or has another type"),
        (of({**GOOD, "expect": {"cronJob": {}}}), "expects nothing"),
        (of({**GOOD, "expect": {"cronJob": {"ownr": "a"}}}), "expects 'ownr', which is not known"),
        (of({**GOOD, "expect": {"cronJobs": {"a": 5}}}), "expects nothing"),
        (of({**GOOD, "send": {"op": "plan", "x": [{"repeat": "2", "of": 1}]}}), "repeats 'x'"),
        (of(GOOD, {**GOOD, "send": {"op": "plan"}}), "plans a whole cluster in one step"),
    ],
)
def test_a_bad_file_of_vectors_is_refused(tmp_path: Path, content: Any, message: str) -> None:
    """The error names the file and the place in it; None is a folder of that name."""
    file = tmp_path / "x.json"
    if content is None:
        file.mkdir()
    else:
        file.write_text(json.dumps(content))
    with pytest.raises(InvalidManifest, match=message):
        load(tmp_path)


def test_what_is_repeated_is_written_out(tmp_path: Path) -> None:
    """With the number of each in place of every #; and a folder of one's own may hold other files."""
    item = {"name": "a-#", "labels": ["#", "#"]}
    step = {**GOOD, "send": {"op": "reconcile", "requests": [5, {"repeat": 2, "of": item}, 6]}}
    tmp_path.joinpath("x.json").write_text(json.dumps(of(step)))
    tmp_path.joinpath("README.md").write_text("notes")
    [vector] = load(tmp_path)
    first, second = ({"name": f"a-{n}", "labels": [f"{n}", f"{n}"]} for n in range(2))
    assert vector.steps[0].send["requests"] == [5, first, second, 6]
