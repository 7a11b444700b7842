"""
Does an implementation give the answers that the vectors ask for?

It is started once, and is put one line at a time. What it answers as the CronJob
is given back to it as the next line's current one, so that it may keep its memory
there in any form it likes; compared is only what others can observe. One that
crashes, hangs or talks rubbish fails the vector it was at, and is started again.
"""

import json
import os
import selectors
import signal
import subprocess
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from tempfile import TemporaryFile
from time import monotonic, sleep
from typing import IO, Any

from attrs import frozen

from .._errors import InvalidValue, KopiaMaintError
from .._manifest import CONFLICT_ANNOTATION, NAMESPACE_LABEL_PREFIX, OWNER_KEY
from .._objects import merge_patch
from .._schedule import Schedule
from ._answer import MAX_LENGTH, read
from ._vectors import Vector

_MAX_HANGS = 3
_CHUNK = 64 * 1024
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
        step: The number of the last step that was tried, from 1; 0: the vector was left out.
        differences: What was different there; nothing: the vector passed.
    """

    vector: Vector
    step: int
    differences: tuple[Difference, ...]


def run(
    command: Sequence[str], vectors: Iterable[Vector], *, ops: Collection[str] = (), timeout: float = 30.0
) -> Iterator[Outcome]:
    """
    Put every vector to the implementation that *command* starts, and yield what became of each.

    Args:
        command: The program and its arguments.
        vectors: What to put to it.
        ops: What the implementation can answer; a vector that needs another op is left out. Empty: everything.
        timeout: How many seconds one answer may take. After three that took longer
            nothing more is asked: every other vector fails.

    Raises:
        InvalidValue: Every vector would be left out.
        OSError: The command cannot be started.
    """
    todo = [(vector, not ops or vector.ops <= set(ops)) for vector in vectors]
    if not any(asked for _, asked in todo):
        raise InvalidValue(f"there is no vector for {', '.join(ops)}")
    with TemporaryFile() as log:
        implementation = _Implementation(command, timeout, log)
        try:
            implementation.start()
            for vector, asked in todo:
                yield outcome(vector, implementation.ask) if asked else Outcome(vector, 0, ())
        finally:
            implementation.stop()


class _Fault(Exception):
    """There is no answer; why not."""


def outcome(vector: Vector, ask: Callable[[dict[str, Any]], dict[str, Any]]) -> Outcome:
    """Put the steps of *vector* to whoever answers *ask*, until something is different."""
    plans = "plan" in vector.ops
    start = vector.current if plans else {"": vector.current}  # the CronJobs by name, a single one without
    current = _there(start or {})
    number = 0
    for number, step in enumerate(vector.steps, 1):
        if step.edit:
            current = merge_patch(current, step.edit if plans else {"": step.edit})
        given = {"cronJobs": [*current.values()]} if plans else {"current": current.get("")}
        try:
            answer = ask({**step.send, **given})
        except _Fault as fault:
            return Outcome(vector, number, (Difference("answer", "one line of JSON", str(fault)),))
        got = answer.get("cronJobs", ...) if plans else {"": answer.get("cronJob", ...)}
        differences = tuple(_differences(step.expect, current, answer, got))
        if differences:
            return Outcome(vector, number, differences[:_MAX_DIFFERENCES])
        if "error" not in answer:
            current = _there({**current, **got})
    return Outcome(vector, number, ())


def _there(cron_jobs: Mapping[str, Any]) -> dict[str, Any]:
    return {name: cron_job for name, cron_job in cron_jobs.items() if cron_job is not None}


# --- what is compared ----------------------------------------------------------


def _differences(expect: Mapping[str, Any], current: dict[str, Any], answer: Any, got: Any) -> Iterator[Difference]:
    if "error" in expect or "error" in answer:
        error = answer.get("error", ...)
        code = error.get("code", ...) if isinstance(error, dict) else error
        if code != expect.get("error", ...):
            yield Difference("error", expect.get("error", ...), error)
        return
    for what in ("verdict", "verdicts", "standings", "withheld"):
        if what in expect:
            yield from _unequal(what, _sorted(expect[what]), _sorted(answer.get(what, ...)))
    if not isinstance(got, dict) or not all(it is None or isinstance(it, dict) for it in got.values()):
        yield Difference("cronJob", "a CronJob, or null", got.get("", got) if isinstance(got, dict) else got)
        return
    expected = {"": expect["cronJob"]} if "cronJob" in expect else expect.get("cronJobs", got)
    yield from _unequal("cronJobs", sorted(expected), sorted(got))
    for name in expected.keys() & got.keys() if expected is not got else ():
        yield from _observed(name and f"{name}: ", expected[name], got[name])
    after = _there({**current, **got})
    if expect.get("unchanged") is False and after == current:
        yield Difference("cronJob", "a change", "none")
    for name in {**current, **after} if expect.get("unchanged") else ():
        yield from _unequal(f"unchanged cronJob{name and '.'}{name}", current.get(name), after.get(name))


def _observed(where: str, expect: Mapping[str, Any] | None, got: Mapping[str, Any] | None) -> Iterator[Difference]:
    """Compare a CronJob as those see it who know nothing of its claims."""
    if expect is None or got is None:
        yield from _unequal(f"{where}cronJob", expect, got)
        return
    metadata = _mapping(got, "metadata")
    labels, annotations = _mapping(metadata, "labels"), _mapping(metadata, "annotations")
    if "schedule" in expect:
        schedule = _mapping(got, "spec").get("schedule", ...)
        if _meaning(schedule) != _meaning(expect["schedule"]):
            yield Difference(f"{where}schedule", expect["schedule"], schedule)
    if "owner" in expect:
        yield from _unequal(f"{where}owner (annotation)", expect["owner"], annotations.get(OWNER_KEY))
        yield from _unequal(f"{where}owner (label)", expect["owner"], labels.get(OWNER_KEY))
    if "conflict" in expect:
        yield from _unequal(f"{where}conflict", expect["conflict"], annotations.get(CONFLICT_ANNOTATION))
    if "namespaces" in expect:
        tracked = [key[len(NAMESPACE_LABEL_PREFIX) :] for key in labels if key.startswith(NAMESPACE_LABEL_PREFIX)]
        yield from _unequal(f"{where}namespaces", _sorted(expect["namespaces"]), _sorted(tracked))
    if "holds" in expect:
        yield from _unequal(f"{where}cronJob", merge_patch(got, expect["holds"]), got)


def _sorted(names: Any) -> Any:
    return sorted(names, key=str) if isinstance(names, list) else names


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

    def __init__(self, command: Sequence[str], timeout: float, log: IO[bytes]) -> None:
        self._command = command
        self._timeout = timeout
        self._log = log
        self._hangs = 0
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, in a session of its own: what it starts itself is ended with it."""
        self._log.seek(0)
        self._log.truncate()
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
        restored = partial(signal.pthread_sigmask, signal.SIG_SETMASK, mask)
        try:  # a signal that comes now has to wait until there is something to end
            self._process = subprocess.Popen(
                self._command,
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                start_new_session=True,
                preexec_fn=restored,  # noqa: PLW1509 - there are no threads
            )
        finally:
            restored()
        for stream in self._streams():
            os.set_blocking(stream.fileno(), False)

    def stop(self) -> str:
        """End it and all that it started, gently at first; return how it ended, and its last words."""
        process, self._process = self._process, None
        if process is None:
            return ""
        ended = False
        try:
            for stream in (process.stdin, process.stdout):
                assert stream is not None
                stream.close()
            ended = _ends(process.pid)
        finally:
            with suppress(ProcessLookupError, PermissionError):  # nobody is left
                os.killpg(process.pid, signal.SIGKILL)
            status = process.wait()
        self._log.seek(max(self._log.seek(0, os.SEEK_END) - _LAST_WORDS, 0))
        words = self._log.read().decode(errors="replace").strip()
        told = f"it ended with status {status}" if ended else "it closed its output"
        return f"{told}; its last words: {words}" if words else told

    def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        """Return the answer to a line."""
        if self._hangs >= _MAX_HANGS:
            raise _Fault(f"not asked: it has left {_MAX_HANGS} lines without an answer")
        if self._process is None:
            self.start()
        try:
            return read(self._exchange(json.dumps(question).encode() + b"\n"))
        except (KopiaMaintError, _Fault) as error:
            self.stop()  # what else it has to say belongs to this line, not to the next
            raise _Fault(str(error)) from None

    def _streams(self) -> tuple[Any, Any]:
        assert self._process is not None
        return self._process.stdin, self._process.stdout

    def _exchange(self, line: bytes) -> bytes:
        stdin, stdout = self._streams()
        deadline, unsent, answer = monotonic() + self._timeout, memoryview(line), bytearray()
        with selectors.DefaultSelector() as selector:
            selector.register(stdin, selectors.EVENT_WRITE)
            selector.register(stdout, selectors.EVENT_READ)
            while True:
                ready = [key.fileobj for key, _ in selector.select(max(deadline - monotonic(), 0))]
                if monotonic() > deadline:
                    self._hangs += 1
                    raise _Fault(f"it did not answer within {self._timeout:g} seconds")
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
                        raise _Fault(self.stop())
                    if len(answer) > MAX_LENGTH:
                        raise _Fault(f"it wrote more than {MAX_LENGTH} bytes without an end of line")
                    if b"\n" in chunk:
                        return bytes(answer)


def _ends(pid: int) -> bool:
    """Wait a second for a process to end; it is not reaped, so that its group keeps its number."""
    deadline = monotonic() + 1
    while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        if monotonic() > deadline:
            return False
        sleep(0.01)
    return True
