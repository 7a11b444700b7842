"""
Does an implementation give the answers that the vectors ask for?

It is started once, and is put one line at a time. What it answers as the CronJob
is given back to it as the next line's current one, so that it may keep its memory
there in any form it likes; compared is only what others can observe. One that
crashes, hangs or talks rubbish fails the vector it was at, and is started again.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from time import monotonic
from typing import Any

from attrs import frozen

from .._errors import KopiaMaintError
from .._manifest import CONFLICT_ANNOTATION, NAMESPACE_LABEL_PREFIX, OWNER_KEY
from .._objects import merge_patch
from .._schedule import Schedule
from ._answer import MAX_LENGTH, read
from ._vectors import Step, Vector

_MAX_HANGS = 3
_CHUNK = 64 * 1024
_PIPE = 1024 * 1024  # the most that a pipe holds, as Linux has it
_LAST_WORDS = 500
_MAX_DIFFERENCES = 20


@frozen
class Difference:
    """What was observed and should not have been: both sides as JSON has them; ``...``: there is nothing."""

    what: str
    expected: Any
    got: Any


@frozen
class Outcome:
    """
    What became of one vector.

    Attributes:
        vector: Which one.
        step: The number of the last step that was tried, from 1.
        differences: What was different there; nothing: the vector passed.
    """

    vector: Vector
    step: int
    differences: tuple[Difference, ...]


def run(command: Sequence[str], vectors: Iterable[Vector], *, timeout: float = 30.0) -> Iterator[Outcome]:
    """
    Put every vector to the implementation that *command* starts, and yield what became of each.

    Args:
        command: The program and its arguments.
        vectors: What to put to it.
        timeout: How many seconds one answer may take. After three that took longer
            nothing more is asked: every other vector fails.

    Raises:
        OSError: The command cannot be started.
    """
    implementation = _Implementation(command, timeout)
    try:
        implementation.start()
        for vector in vectors:
            yield outcome(vector, implementation.ask)
    finally:
        implementation.stop()


class _Fault(Exception):
    """There is no answer; why not."""


def outcome(vector: Vector, ask: Callable[[dict[str, Any]], dict[str, Any]]) -> Outcome:
    """Put the steps of *vector* to whoever answers *ask*, until something is different."""
    current, number = vector.current, 0
    for number, step in enumerate(vector.steps, 1):
        current = merge_patch(current, step.edit) if step.edit else current
        try:
            answer = ask({**step.send, "current": current})
        except _Fault as fault:
            return Outcome(vector, number, (Difference("answer", "one line of JSON", str(fault)),))
        differences = tuple(_differences(step, current, answer))
        if differences:
            return Outcome(vector, number, differences[:_MAX_DIFFERENCES])
        current = current if "error" in answer else answer["cronJob"]
    return Outcome(vector, number, ())


# --- what is compared ----------------------------------------------------------


def _differences(step: Step, current: Any, answer: dict[str, Any]) -> Iterator[Difference]:
    expect = step.expect
    if "error" in expect or "error" in answer:
        error = answer.get("error", ...)
        got = error.get("code", ...) if isinstance(error, dict) else error
        if got != expect.get("error", ...):
            yield Difference("error", expect.get("error", ...), answer.get("error", ...))
        return
    for what in ("verdict", "verdicts"):
        if what in expect:
            yield from _unequal(what, expect[what], answer.get(what, ...))
    got = answer.get("cronJob", ...)
    if got is not None and not isinstance(got, dict):
        yield Difference("cronJob", "a CronJob, or null", got)
        return
    if "cronJob" in expect:
        yield from _observed(expect["cronJob"], got)
    if expect.get("unchanged") is True:
        yield from _unequal("unchanged cronJob", current, got)
    elif expect.get("unchanged") is False and got == current:
        yield Difference("cronJob", "a change", "none")


def _observed(expect: Mapping[str, Any] | None, got: Mapping[str, Any] | None) -> Iterator[Difference]:
    """Compare a CronJob as those see it who know nothing of its claims."""
    if expect is None or got is None:
        yield from _unequal("cronJob", expect, got)
        return
    metadata = _mapping(got, "metadata")
    labels, annotations = _mapping(metadata, "labels"), _mapping(metadata, "annotations")
    if "schedule" in expect:
        schedule = _mapping(got, "spec").get("schedule", ...)
        if _meaning(schedule) != _meaning(expect["schedule"]):
            yield Difference("schedule", expect["schedule"], schedule)
    if "owner" in expect:
        yield from _unequal("owner (annotation)", expect["owner"], annotations.get(OWNER_KEY))
        yield from _unequal("owner (label)", expect["owner"], labels.get(OWNER_KEY))
    if "conflict" in expect:
        yield from _unequal("conflict", expect["conflict"], annotations.get(CONFLICT_ANNOTATION))
    if "namespaces" in expect:
        tracked = sorted(key[len(NAMESPACE_LABEL_PREFIX) :] for key in labels if key.startswith(NAMESPACE_LABEL_PREFIX))
        yield from _unequal("namespaces", sorted(expect["namespaces"]), tracked)
    if "holds" in expect:
        yield from _unequal("cronJob", merge_patch(got, expect["holds"]), got)


def _mapping(parent: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = parent.get(key)
    return value if isinstance(value, Mapping) else {}


def _meaning(schedule: Any) -> Any:
    with suppress(KopiaMaintError):
        return Schedule.parse(schedule).canonical
    return schedule


def _unequal(path: str, expected: Any, got: Any) -> Iterator[Difference]:
    """Yield where two values differ, as deep inside them as it can be said."""
    if isinstance(expected, dict) and isinstance(got, dict):
        for key in [*expected, *(key for key in got if key not in expected)]:
            yield from _unequal(f"{path}.{key}", expected.get(key, ...), got.get(key, ...))
    elif expected != got:
        yield Difference(path, expected, got)


# --- the other process ---------------------------------------------------------


class _Implementation:
    """A process that is asked lines, and is started again when it has failed."""

    def __init__(self, command: Sequence[str], timeout: float) -> None:
        self._command = command
        self._timeout = timeout
        self._hangs = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._last_words = b""

    def start(self) -> None:
        """Start it, in a session of its own: what it starts itself is ended with it."""
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            self._command, bufsize=0, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True
        )
        self._last_words = b""
        for stream in self._streams():
            os.set_blocking(stream.fileno(), False)

    def stop(self) -> int | None:
        """End it, gently at first; return its exit status if it ended by itself."""
        process, self._process = self._process, None
        if process is None:
            return None
        for stream in (process.stdin, process.stdout, process.stderr):
            assert stream is not None
            stream.close()
        try:
            return process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return None

    def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        """Return the answer to a line."""
        if self._hangs >= _MAX_HANGS:
            raise _Fault(f"not asked: it has left {_MAX_HANGS} lines without an answer")
        if self._process is None:
            self.start()
        try:
            return read(self._exchange(json.dumps(question).encode() + b"\n"))
        except KopiaMaintError as error:
            self.stop()  # what else it has to say belongs to this line, not to the next
            raise _Fault(str(error)) from None
        except _Fault:
            self.stop()
            raise

    def _streams(self) -> tuple[Any, Any, Any]:
        assert self._process is not None
        return self._process.stdin, self._process.stdout, self._process.stderr

    def _exchange(self, line: bytes) -> bytes:
        stdin, stdout, stderr = self._streams()
        deadline, unsent, answer = monotonic() + self._timeout, memoryview(line), bytearray()
        with selectors.DefaultSelector() as selector:
            selector.register(stdin, selectors.EVENT_WRITE)
            selector.register(stdout, selectors.EVENT_READ)
            selector.register(stderr, selectors.EVENT_READ)
            while True:
                ready = [key.fileobj for key, _ in selector.select(max(deadline - monotonic(), 0))]
                if monotonic() > deadline:
                    self._hangs += 1
                    raise _Fault(f"it did not answer within {self._timeout:g} seconds")
                if stderr in ready and not self._listen(stderr):
                    selector.unregister(stderr)
                if stdin in ready:
                    try:
                        unsent = unsent[os.write(stdin.fileno(), unsent[:_CHUNK]) :]
                    except BrokenPipeError:
                        unsent = unsent[:0]  # it has ended, or does not listen: what it says tells which
                    if not unsent:
                        selector.unregister(stdin)
                if stdout in ready:
                    chunk = os.read(stdout.fileno(), _CHUNK)
                    answer += chunk
                    if not chunk:
                        raise _Fault(self._epitaph())
                    if len(answer) > MAX_LENGTH:
                        raise _Fault(f"it wrote more than {MAX_LENGTH} bytes without an end of line")
                    if b"\n" in chunk:
                        return bytes(answer)

    def _listen(self, stderr: Any) -> bool:
        words = os.read(stderr.fileno(), _CHUNK)
        self._last_words = (self._last_words + words)[-_LAST_WORDS:]
        return bool(words)

    def _epitaph(self) -> str:
        stderr = self._streams()[2]
        with suppress(BlockingIOError):
            for _ in range(_PIPE // _CHUNK):
                self._listen(stderr)
        status = self.stop()
        ended = "it closed its output" if status is None else f"it ended with status {status}"
        words = self._last_words.decode(errors="replace").strip()
        return f"{ended}; its last words: {words}" if words else ended
