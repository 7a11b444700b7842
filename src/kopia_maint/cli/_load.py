"""
Which objects are in the input? Files, folders and standard input, YAML and JSON, lists taken apart.

What cannot be read becomes a ``Problem``, in its place among the documents, and hides no other.
"""

import json
import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from attrs import evolve, field, frozen

from .._errors import InvalidManifest, joined, shown
from .._objects import MAX_DEPTH, is_deep

STANDARD_INPUT = "-"

_SUFFIXES = (".yaml", ".yml", ".json")
# Every object that concerns us holds one of these words. GitOps folders hold much else, Helm templates included.
_CONCERNS = re.compile("ReplicationSource|kopia-?maintenance", re.IGNORECASE)
_KINDS = ("ReplicationSource", "CronJob", "")  # in these, and in lists of them, no key may be anything but a string
_MAX_NESTED_LISTS = 10
_MAX_LOOKED_UP = 2**20

_CONTENT = re.compile(r"^(?!(?:---)?[ \t\r]*(?:#|$)|%)", re.MULTILINE)
_SPACE = re.compile(r"[ \t\r\n]*")


@frozen
class Place:
    """Where something was read."""

    file: str  # its path, or "-"
    document: int = 0  # its number in the file, empty ones not counted; 0: the file as a whole
    line: int = 0  # where the document, or the field or fault in it, begins; 0: unknown
    path: str = ""  # the field's path in the document, such as items[5] for an object in a list
    text: str = field(default="", eq=False, repr=False)  # the document, to find its fields' lines in

    def __str__(self) -> str:
        parts = ["standard input" if self.file == STANDARD_INPUT else self.file]
        parts += [f"document {self.document}"] * bool(self.document) + [f"line {self.line}"] * bool(self.line)
        return ", ".join(parts)

    @property
    def in_file(self) -> tuple[str, int] | None:
        """File and line, where they can be looked up."""
        return None if self.file == STANDARD_INPUT or not self.line else (self.file, self.line)

    def at(self, path: str) -> "Place":
        """Return the place of a field of the object that is here; its line is that of what is nearest above it."""
        path = nearest = joined(self.path, path) if path else self.path
        line = self.line
        # Nobody looks up a line of standard input, and long lists of a cluster are not worth the time.
        if self.file != STANDARD_INPUT and len(self.text) <= _MAX_LOOKED_UP:
            lines = _lines(self.text)
            while nearest and nearest not in lines:
                nearest = nearest[: max(nearest.rfind("."), nearest.rfind("["), 0)]
            line += lines.get(nearest, 0)
        return Place(self.file, self.document, line, path)


@lru_cache(maxsize=4)
def _lines(text: str) -> dict[str, int]:
    from . import _yaml  # late: where nothing is wrong, JSON does without

    lines: dict[str, int] = {}
    with suppress(_yaml.InvalidYaml):
        _yaml.read(text.replace("\t", " "), lines)  # JSON may be indented with tabs; lines stay where they are
    return lines


@frozen
class Document:
    """One object, and where it was read."""

    place: Place
    value: dict[str, Any]


@frozen
class Problem:
    """What is wrong with the input, and where."""

    place: Place
    message: str

    def __str__(self) -> str:
        return ": ".join(part for part in (str(self.place), self.place.path, self.message) if part)


def documents(paths: Iterable[str]) -> Iterator[Document | Problem]:
    """Read files, folders (recursively, sorted) and, for ``-``, standard input."""
    for path in paths:
        yield from _folder(path) if path != STANDARD_INPUT and os.path.isdir(path) else _file(path)


def _folder(root: str) -> Iterator[Document | Problem]:
    """Read a folder: hidden folders are passed over, links to folders not followed."""
    errors: list[OSError] = []
    for folder, folders, files in os.walk(root, onerror=errors.append):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for path in (os.path.join(folder, name) for name in sorted(files) if name.lower().endswith(_SUFFIXES)):
            if os.path.isfile(path):
                yield from _file(path, scanned=True)
    for error in errors:
        yield Problem(Place(str(error.filename)), error.strerror or str(error))


def _file(path: str, *, scanned: bool = False) -> Iterator[Document | Problem]:
    """Read a file; where it was only *scanned* for, nobody said that it concerns us."""
    try:
        text = _read(path)
    except OSError as error:
        yield Problem(Place(path), error.strerror or str(error))
        return
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        yield Problem(Place(path, line=line), f"is not UTF-8: {error.reason} at byte {error.start + 1}")
        return
    if scanned and not _CONCERNS.search(text):
        return
    number = 0
    for first_line, part in _parts(text):
        for line, text, value in _values(part, is_json=path.lower().endswith(".json")):
            number += 1
            place = Place(path, number, first_line + line, text=text)
            if isinstance(value, InvalidManifest):
                yield Problem(place, value.message)
            else:
                yield from _objects(place, value)


def _read(path: str) -> str:
    if path == STANDARD_INPUT and sys.stdin is None:
        raise OSError("is closed")
    data = sys.stdin.buffer.read() if path == STANDARD_INPUT else Path(path).read_bytes()
    return data.decode("utf-8-sig")


def _parts(text: str) -> Iterator[tuple[int, str]]:
    """Split *text* at the lines that begin with ``---``, and yield each part with the number of its first line."""
    start, line = 0, 1
    for marker in re.finditer(r"\n(?=---(?:[ \t\r\n]|\Z))|\Z", text):
        part = text[start : marker.end()]
        yield line, part
        line, start = line + part.count("\n"), marker.end()


def _values(part: str, *, is_json: bool) -> Iterator[tuple[int, str, Any]]:
    """Yield each value in *part*, or an error for one that cannot be read, behind its first line, from 0, and text."""
    content = _CONTENT.search(part)
    if content is None:
        return
    position = start = _skip_space(part, 3 if part.startswith("---") else 0)
    if is_json or part[position] in "{[":
        line = part.count("\n", 0, start)
        try:
            while position < len(part):
                value, end = json.JSONDecoder().raw_decode(part, position)
                yield line, part[position:end], value
                end = _skip_space(part, end)
                line, position = line + part.count("\n", position, end), end
            return
        except (ValueError, RecursionError) as error:
            if is_json or position > start:
                reason = "it nests too deeply" if isinstance(error, RecursionError) else getattr(error, "msg", error)
                yield getattr(error, "lineno", line + 1) - 1, "", InvalidManifest(f"is not JSON: {reason}")
                return
            # A flow mapping, or a template: YAML's reader has the better message.
    from . import _yaml  # late: JSON does without

    line = part.count("\n", 0, content.start())
    try:
        value, odd = _yaml.read(part)
        if odd and isinstance(value, dict) and str(value.get("kind")).removesuffix("List") in _KINDS:
            raise odd
        yield line, part[content.start() :], value
    except _yaml.InvalidYaml as error:
        if "{{" in part:
            error.message += " (a Helm template? give the rendered manifests)"
        # What is missing at the end is missed in the last line, not in the one after it.
        yield line if error.line is None else min(error.line, part.rstrip().count("\n")), "", error


def _skip_space(text: str, position: int) -> int:
    found = _SPACE.match(text, position)
    return found.end() if found else position


def _objects(
    place: Place, value: Any, inherited: dict[str, Any] | None = None, nested: int = 0
) -> Iterator[Document | Problem]:
    """Yield the object, or those in it where it is a list. What lists leave out of their items is *inherited*."""
    if value is None or value == {}:
        return
    if not isinstance(value, dict):
        yield Problem(
            place.at(""),
            f"a manifest must be a mapping, not {shown(value)} (several go into a List, or into documents)",
        )
        return
    if inherited and "kind" not in value:
        value = {**inherited, **value}
    kind, items = value.get("kind"), value.get("items")
    if not isinstance(kind, str) or not kind.endswith("List") or "items" not in value:
        if kind == "CronJob" and is_deep(value):
            yield Problem(place.at(""), f"nests more than {MAX_DEPTH} deep")
        else:
            yield Document(place, value)
    elif items is not None and not isinstance(items, list):
        yield Problem(place.at("items"), f"must be a list, not {shown(items)}")
    elif nested == _MAX_NESTED_LISTS:
        yield Problem(place.at("items"), f"lists are nested more than {_MAX_NESTED_LISTS} deep")
    else:
        inherited = {"kind": kind[:-4], "apiVersion": value.get("apiVersion")} if kind != "List" else None
        for index, item in enumerate(items or ()):
            path = f"{joined(place.path, 'items')}[{index}]"
            yield from _objects(evolve(place, path=path), item, inherited, nested + 1)
