"""
Which objects are in the input? Files, folders and standard input, YAML and JSON, lists taken apart.

What cannot be read becomes a ``Problem``, in its place among the documents, and hides no other.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from attrs import frozen

from .._errors import InvalidManifest, KopiaMaintError, shown
from .._manifest import MAX_DEPTH, is_deep

STANDARD_INPUT = "-"

_SUFFIXES = (".yaml", ".yml", ".json")
# Every object that concerns us holds one of these words. GitOps folders hold much else, Helm templates included.
_WORDS = ("ReplicationSource", "kopia-maintenance")
_MAX_NESTED_LISTS = 10

_CONTENT = re.compile(r"^(?!(?:---)?[ \t\r]*(?:#|$)|%)", re.MULTILINE)
_SPACE = " \t\r\n"


@frozen
class Place:
    """
    Where something was read.

    Attributes:
        file: The file's path, or ``-``.
        document: The number of the document in the file, empty ones not counted; 0: the file as a whole.
        line: The line where the document, or the fault in it, begins; 0: unknown.
    """

    file: str
    document: int = 0
    line: int = 0

    def __str__(self) -> str:
        parts = ["standard input" if self.file == STANDARD_INPUT else self.file]
        if self.document:
            parts.append(f"document {self.document}")
        if self.line:
            parts.append(f"line {self.line}")
        return ", ".join(parts)


@frozen
class Document:
    """
    One object.

    Attributes:
        place: Where it was read.
        path: The field path to it, such as ``items[5]`` in a list, or ``""``.
        value: The object.
    """

    place: Place
    path: str
    value: dict[str, Any]


@frozen
class Problem:
    """What is wrong with the input, where, and in which field."""

    place: Place
    message: str
    path: str = ""

    def __str__(self) -> str:
        return ": ".join(part for part in (str(self.place), self.path, self.message) if part)


def documents(paths: Iterable[str]) -> Iterator[Document | Problem]:
    """Read files, folders (recursively, sorted) and, for ``-``, standard input."""
    for path in paths:
        if path != STANDARD_INPUT and os.path.isdir(path):
            yield from _folder(path)
        else:
            yield from _file(path)


def _folder(root: str) -> Iterator[Document | Problem]:
    """Read a folder: hidden folders are passed over, links to folders not followed."""
    pending = [root]
    while pending:
        folder = pending.pop()
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            yield Problem(Place(folder), error.strerror or str(error))
            continue
        for entry in entries:
            if entry.name.lower().endswith(_SUFFIXES) and os.path.isfile(entry.path):
                yield from _file(entry.path, scanned=True)
        for entry in reversed(entries):
            if entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
                pending.append(entry.path)


def _file(path: str, *, scanned: bool = False) -> Iterator[Document | Problem]:
    """Read a file; where it was only *scanned* for, nobody said that it concerns us."""
    try:
        data = sys.stdin.buffer.read() if path == STANDARD_INPUT else Path(path).read_bytes()
    except OSError as error:
        yield Problem(Place(path), error.strerror or str(error))
        return
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        yield Problem(Place(path, line=line), f"is not UTF-8: {error.reason} at byte {error.start + 1}")
        return
    if scanned and not any(word in text for word in _WORDS):
        return
    number = 0
    for first_line, part in _parts(text):
        for line, value in _values(part, is_json=path.lower().endswith(".json")):
            number += 1
            place = Place(path, number, first_line + line)
            if isinstance(value, KopiaMaintError):
                yield Problem(place, value.message)
            else:
                yield from _objects(place, value)


def _parts(text: str) -> Iterator[tuple[int, str]]:
    """Split *text* at the lines that begin with ``---``, and yield each part with the number of its first line."""
    start, line, found = 0, 1, -1
    while start < len(text):
        found = text.find("\n---", found + 1)
        end = found + 1 or len(text)
        if found < 0 or text[end + 3 : end + 4] in ("", " ", "\t", "\r", "\n"):
            part = text[start:end]
            yield line, part
            line += part.count("\n")
            start = end


def _values(part: str, *, is_json: bool) -> Iterator[tuple[int, Any]]:
    """Yield each value in *part*, an error for one that cannot be read, and the line that it begins in, from 0."""
    content = _CONTENT.search(part)
    if content is None:
        return
    start = _skip_space(part, 3 if part.startswith("---") else 0)
    if is_json or part[start] in "{[":
        line = counted = values = 0
        try:
            for position, value in _json_values(part, start):
                line, counted, values = line + part.count("\n", counted, position), position, values + 1
                yield line, value
            return
        except (ValueError, RecursionError) as error:
            if is_json or values:
                reason = "it nests too deeply" if isinstance(error, RecursionError) else getattr(error, "msg", error)
                yield getattr(error, "lineno", line + 1) - 1, InvalidManifest(f"is not JSON: {reason}")
                return
            # A flow mapping, or a template: YAML's reader has the better message.
    from . import _yaml  # late: JSON does without

    line = part.count("\n", 0, content.start())
    try:
        yield line, _yaml.read(part)
    except _yaml.InvalidYaml as error:
        if "{{" in part:
            error.message += " (a Helm template? give the rendered manifests)"
        # What is missing at the end is missed in the last line, not in the one after it.
        yield line if error.line is None else min(error.line, part.rstrip().count("\n")), error


def _json_values(text: str, position: int) -> Iterator[tuple[int, Any]]:
    decoder = json.JSONDecoder()
    while position < len(text):
        value, end = decoder.raw_decode(text, position)
        yield position, value
        position = _skip_space(text, end)


def _skip_space(text: str, position: int) -> int:
    while position < len(text) and text[position] in _SPACE:
        position += 1
    return position


def _objects(
    place: Place, value: Any, path: str = "", inherited: dict[str, Any] | None = None, nested: int = 0
) -> Iterator[Document | Problem]:
    """Yield the object, or those in it where it is a list. What lists leave out of their items is *inherited*."""
    if value is None or value == {}:
        return
    if not isinstance(value, dict):
        yield Problem(place, f"a manifest must be a mapping, not {shown(value)}", path)
        return
    if inherited and "kind" not in value:
        value = {**inherited, **value}
    kind = value.get("kind")
    if not isinstance(kind, str) or not kind.endswith("List") or "items" not in value:
        if kind == "CronJob" and is_deep(value):
            yield Problem(place, f"nests more than {MAX_DEPTH} deep", path)
        else:
            yield Document(place, path, value)
        return
    path = f"{path}.items" if path else "items"
    items = value["items"]
    if items is None:
        return
    if not isinstance(items, list):
        yield Problem(place, f"must be a list, not {shown(items)}", path)
    elif nested == _MAX_NESTED_LISTS:
        yield Problem(place, f"lists are nested more than {_MAX_NESTED_LISTS} deep", path)
    else:
        inherited = {"kind": kind[:-4], "apiVersion": value.get("apiVersion")} if kind != "List" else None
        for index, item in enumerate(items):
            yield from _objects(place, item, f"{path}[{index}]", inherited, nested + 1)
