"""
What does the real robfig/cron answer? Builds the Go program beside this file, and asks it.

Kubernetes reads ``spec.schedule`` with robfig/cron v3.0.1, ``ParseStandard``. ``main.go``, a program
of ours, puts JSON lines around that package.
"""

from __future__ import annotations

import json
import os
import subprocess
import zoneinfo
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from importlib import resources
from pathlib import Path

from attrs import frozen

MODULE = Path(__file__).parent
DATA = MODULE.parents[1] / "data"
_CALENDAR_END = 253402300800  # the year 10000, in Unix seconds: Go goes on, Python does not


@frozen
class Answer:
    """
    What robfig/cron made of one schedule.

    Attributes:
        read: Five bit sets, or the seconds of ``@every``, or None where it refuses.
        runs: For each instant asked about, the next runs in Unix seconds.
        hung: It never returned.
    """

    read: tuple[int, ...] | int | None = None
    runs: tuple[tuple[int, ...], ...] = ()
    hung: bool = False


@frozen
class Request:
    """A schedule, and the instants and the zone to say the next runs for."""

    text: str
    after: Sequence[datetime] = ()
    zone: str = "UTC"
    count: int = 5


def build(directory: Path) -> Path:
    """Build the Go program into *directory*."""
    program = directory / "robfig"
    subprocess.run(["go", "build", "-o", program], cwd=MODULE, check=True)
    return program


def versions() -> list[str]:
    """Return the versions that the answers depend on: of Go, of robfig/cron, and of the zones."""
    commands = (["go", "version"], ["go", "list", "-m", "github.com/robfig/cron/v3"])
    told = [subprocess.run(command, cwd=MODULE, stdout=subprocess.PIPE, text=True, check=True) for command in commands]
    zones = Path(_zoneinfo(), "tzdata.zi").read_text("ascii").partition("\n")[0]
    return [*(each.stdout.strip() for each in told), f"tzdata {zones.split()[-1]}"]


def ask(program: Path, requests: Iterable[Request]) -> list[Answer]:
    """Return the answer to each request; a hang ends the program, which is then started again."""
    lines = [_line(request) for request in requests]
    answers: list[Answer] = []
    while len(answers) < len(lines):
        done = subprocess.run(
            [program],
            input="".join(lines[len(answers) :]),
            env={**os.environ, "ZONEINFO": _zoneinfo()},
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        if done.returncode not in (0, 3):
            done.check_returncode()
        answers += [_answer(json.loads(line)) for line in done.stdout.rstrip("\n").split("\n")]
    return answers


def recorded(name: str) -> list[tuple[Request, Answer]]:
    """Return what was asked and what robfig/cron answered, as a file of tests/data has it."""
    _provenance, *lines = (DATA / name).read_text(encoding="ascii").splitlines()
    pairs = []
    for line in map(json.loads, lines):
        after = tuple(map(datetime.fromisoformat, line.pop("after")))
        fields = line.pop("read", None)
        read = tuple(fields) if isinstance(fields, list) else fields
        answer = Answer(read, tuple(map(tuple, line.pop("runs", ()))), line.pop("hung", False))
        pairs.append((Request(after=after, **line), answer))
    return pairs


def _line(request: Request) -> str:
    after = [instant.isoformat() for instant in request.after]
    asked = {"text": request.text, "after": after, "zone": request.zone, "count": request.count}
    return json.dumps(asked) + "\n"


def _answer(answer: Mapping[str, object]) -> Answer:
    match answer:
        case {"ok": True, "every": int(seconds)}:
            read: tuple[int, ...] | int = seconds
        case {"ok": True, "fields": list(fields)}:
            read = tuple(map(int, fields))
        case _:
            return Answer(hung="hang" in answer)
    runs = answer.get("next", ())
    assert isinstance(runs, (list, tuple))
    return Answer(read, tuple(tuple(run for run in some if run < _CALENDAR_END) for some in runs))


def _zoneinfo() -> str:
    """Return the directory that Python reads zones from, so that Go reads the same release of them."""
    for directory in map(Path, zoneinfo.TZPATH):
        if (directory / "America/New_York").is_file():
            return str(directory)
    return str(resources.files("tzdata") / "zoneinfo")
