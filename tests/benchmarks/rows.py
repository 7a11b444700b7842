"""Which costs are watched, against what, and how far may they go? The table of the page, as code."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from attrs import frozen
from croniter import croniter

import kopia_maint
from kopia_maint import (
    Consensus,
    CronJobState,
    FirstWins,
    Policy,
    Repository,
    Schedule,
    SourceRef,
    SourceRequest,
    Verdict,
    reconcile,
    request_from_manifest,
    state_from_manifest,
)

from . import cases, peers
from .timing import Effort, Sample, kept_bytes, spread, timer, turn_by_turn, whole_process


@frozen
class Target:
    """
    How far a cost may go.

    Attributes:
        kind: ``times`` theirs, ``faster`` than theirs so many times, or ``bytes``.
        limit: What the median may be at most, or at least where faster is meant; None: it is there to be seen.
        never: What the upper quartile may be at most.
    """

    kind: str
    limit: float | None = None
    never: float | None = None

    def __str__(self) -> str:
        if self.limit is None:
            return "–"
        if self.kind == "bytes":
            return f"at most {self.limit:g} bytes"
        if self.kind == "faster":
            return f"at least {self.limit:g}× faster"
        never = "" if self.never is None else f", never over {self.never:g}×"
        return f"at most {self.limit:g}×{never}"

    def missed(self, middle: float, high: float) -> bool:
        """Return whether a median, or an upper quartile, is beyond it."""
        if self.limit is None:
            return False
        if self.kind == "faster":
            return middle < self.limit
        return middle > self.limit or self.never is not None and high > self.never


@frozen
class Row:
    """
    One benchmark.

    Attributes:
        name: What ``--only`` calls it.
        what: What is measured.
        against: What it is compared with.
        target: How far it may go.
        measure: How it is measured.
        unit: ``s`` or ``B``, of the absolute figures.
    """

    name: str
    what: str
    against: str
    target: Target
    measure: Callable[[Effort], Sample]
    unit: str = "s"

    @property
    def heading(self) -> dict[str, str]:
        """What of its record is known without measuring."""
        return {"name": self.name, "what": self.what, "against": self.against, "target": str(self.target)}

    def run(self, effort: Effort) -> dict[str, Any]:
        """Measure, and return what is recorded."""
        try:
            sample = self.measure(effort)
        except peers.NotInstalled as missing:
            return {**self.heading, "missing": str(missing)}
        values = sample.ratios() or list(sample.ours)
        if self.target.kind == "faster":
            values = [1 / ratio for ratio in values]
        low, middle, high = spread(values)
        return {
            **self.heading,
            "kind": self.target.kind,
            "unit": self.unit,
            "median": middle,
            "quartiles": [low, high],
            "ours": median(sample.ours),
            "theirs": median(sample.theirs) if sample.theirs else None,
            "missed": self.target.missed(middle, high),
        }


# --- one request -----------------------------------------------------------------

# Two namespaces that agree, and a third that does not: the least that can be in conflict.
_STANDS, _OTHER = "0 2 * * *", "0 4 * * *"
_BARE = {
    "schedule": _STANDS,
    "owner": "team-a",
    "claims": {("team-a", "source-a"): (_STANDS, cases.NOW), ("team-c", "source-c"): (_STANDS, cases.NOW)},
}


def _ask(namespace: str, schedule: str) -> SourceRequest:
    source = SourceRef(namespace, namespace.replace("team", "source"))
    return SourceRequest(source, Repository(cases.SECRET), Schedule.parse(schedule))


def _small() -> CronJobState:
    state = reconcile(None, [_ask("team-a", _STANDS), _ask("team-c", _STANDS)], now=cases.NOW).desired
    assert state is not None
    return state


def _names(namespace: str = "team-a", schedule: str = _STANDS) -> dict[str, Any]:
    """Return what the expressions below are about; what is asked for is built apart from what stands, as in use."""
    return {
        **vars(kopia_maint),
        "bare": peers.bare,
        "simple": _BARE,
        "state": _small(),
        "request": _ask(namespace, schedule),
        "agreed": Verdict.AGREED,
        "now": cases.LATER,
    }


_RESOLVE = "resolve(state, request, now=now)"
_ANSWER_ALONE = "Resolution(request=request, current=state, desired=state, verdict=agreed, conflict=None)"


def _bare(expression: str = _RESOLVE, namespace: str = "team-a", schedule: str = _STANDS) -> Callable[[Effort], Sample]:
    def measure(effort: Effort) -> Sample:
        names = _names(namespace, schedule)
        source = names["request"].source
        names["asked"] = {"source": (source.namespace, source.name), "schedule": schedule, "enabled": True}
        ours, theirs = timer(expression, names), timer("bare(simple, asked, now)", names)
        return turn_by_turn(ours, theirs, effort.rounds, effort.loop)

    return measure


def _engine(
    engine: Callable[..., Callable[[], bool]], expression: str = _RESOLVE, *, prepared: bool = False
) -> Callable[[Effort], Sample]:
    def measure(effort: Effort) -> Sample:
        claims = {"team-a/source": _STANDS, "team-c/source": _STANDS}
        state = {"schedule": _STANDS, "owner": "team-a", "claims": claims}
        ask = engine(state, "team-a", _STANDS, prepared=prepared)
        if not ask() or engine(state, "team-b", _OTHER, prepared=prepared)():
            raise AssertionError("the policy does not decide as first-wins does")
        return turn_by_turn(timer(expression, _names()), timer("ask()", {"ask": ask}), effort.rounds, effort.loop)

    return measure


def _manifest(expression: str) -> Callable[[Effort], Sample]:
    def measure(effort: Effort) -> Sample:
        cron_job = cases.cron_job(_small())
        text = json.dumps(cron_job)
        claims = cron_job["metadata"]["annotations"]["volsync.backube/schedule-claims"]
        names = {**_names(), "cron_job": cron_job, "text": text, "claims": claims, "loads": json.loads}
        return turn_by_turn(timer(expression, names), timer("loads(text)", names), effort.rounds, effort.loop)

    return measure


# --- schedules -------------------------------------------------------------------


def _unseen(effort: Effort) -> Sample:
    """Every round has texts of its own, more than the cache of parsed schedules holds."""
    size = 5_000 // effort.scale

    def batches() -> Iterator[list[str]]:
        texts = cases.schedules()
        while True:
            yield list(islice(texts, size))

    ours, theirs = (
        timer("for text in texts: read(text)", {"read": read, "batches": batches()}, "texts = next(batches)")
        for read in (Schedule.parse, croniter.expand)
    )
    sample = turn_by_turn(ours, theirs, effort.large)
    return Sample(tuple(time / size for time in sample.ours), tuple(time / size for time in sample.theirs))


def _seen(effort: Effort) -> Sample:
    texts = list(islice(cases.schedules(), 1000))
    names = {"Schedule": Schedule, "known": {text: Schedule.parse(text) for text in texts}, "text": texts[500]}
    return turn_by_turn(timer("Schedule.parse(text)", names), timer("known[text]", names), effort.rounds, effort.loop)


# --- many sources ----------------------------------------------------------------


def _reconcile(policy: Policy) -> Callable[[Effort], Sample]:
    """Of a first decision and of one that changes nothing, the case that grows faster."""

    def measure(effort: Effort) -> Sample:
        many, few = (cases.requests(count // effort.scale) for count in (100_000, 10_000))
        samples = []
        for steady in (False, True):
            sides = []
            for asked in (many, few):
                current = reconcile(None, asked, now=cases.NOW, policy=policy).desired if steady else None
                names = {"reconcile": reconcile, "current": current, "asked": asked, "now": cases.LATER, "p": policy}
                sides.append(timer("reconcile(current, asked, now=now, policy=p)", names))
            samples.append(turn_by_turn(sides[0], sides[1], effort.large))
        return max(samples, key=lambda sample: spread(sample.ratios())[1])

    return measure


_LOAD = "import json, sys; json.load(open(sys.argv[1]))"
_VALUES_ALONE = """
import json, sys
from kopia_maint import *
values = [
    SourceRequest(SourceRef(it["metadata"]["namespace"], it["metadata"]["name"]), Repository("shared-repo-secret"))
    for it in json.load(open(sys.argv[1]))["items"]
]
"""


@lru_cache(maxsize=1)
def _plan(effort: Effort) -> list[list[tuple[float, float]]]:
    """Run plan, json.load and the values alone in turn: (wall time, peak memory) of each."""
    with TemporaryDirectory() as folder:
        file = str(Path(folder, "sources.json"))
        items = list(cases.source_manifests(100_000 // effort.scale, 50))
        Path(file).write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}), "utf-8")
        del items
        return [
            [
                whole_process("-m", "kopia_maint.cli", "plan", file, "--output", "json", allowed=(1,)),  # conflicts
                whole_process("-c", _LOAD, file),
                whole_process("-c", _VALUES_ALONE, file),
            ]
            for _ in range(effort.large)
        ]


def _planned(side: int, part: int) -> Callable[[Effort], Sample]:
    return lambda effort: Sample.of([(turn[side][part], turn[1][part]) for turn in _plan(effort)])


def _import(program: str) -> Callable[[Effort], Sample]:
    """Each import is timed inside an interpreter of its own, that has just started."""

    def seconds(program: str) -> float:
        timed = f"from time import perf_counter as now; start = now(); {program}; print(now() - start)"
        return float(subprocess.run([sys.executable, "-c", timed], capture_output=True, check=True).stdout)

    def measure(effort: Effort) -> Sample:
        seconds("import kopia_maint, attrs")  # compiles what has not been compiled
        return Sample.of([(seconds(program), seconds("import attrs")) for _ in range(3 * effort.rounds)])

    return measure


# --- memory ----------------------------------------------------------------------


def _decided_claim(effort: Effort) -> Sample:
    """Requests from manifests that json has read, each with strings of its own; they are gone when it is measured."""

    def build(count: int) -> CronJobState | None:
        asked = (json.loads(text) for text in texts[:count])
        requests = [request for it in asked if (request := request_from_manifest(it)) is not None]
        return reconcile(None, requests, now=cases.NOW).desired

    count = 50_000 // effort.scale
    texts = [json.dumps(manifest) for manifest in cases.source_manifests(2 * count, 2 * count)]
    build(count)
    more = kept_bytes(partial(build, 2 * count)) - kept_bytes(partial(build, count))
    return Sample((more / count,))


def _read_claim(effort: Effort) -> Sample:
    """As many sources as fit into the annotation, and half of them."""
    count = 2_000 // min(effort.scale, 20)
    many, few = (cases.cron_job(cases.crowd(size)) for size in (2 * count, count))
    state_from_manifest(many)
    more = kept_bytes(partial(state_from_manifest, many)) - kept_bytes(partial(state_from_manifest, few))
    return Sample((more / count,))


_BARE_NAME = "a bare function over a dict"
_JSON = "`json.loads` of the same manifest"
_LOAD_NAME = "`json.load` of the file, whole process"
_IN_AND_OUT = "patch_from_state(resolve(state_from_manifest(cron_job), request, now=now).desired, cron_job)"
_VALUES_OF_CLAIMS = """CronJobState(state.repository_hash, state.schedule, state.owner, {
    SourceRef(namespace, name): Claim(state.schedule, now)
    for namespace, names in loads(claims)["claims"].items() for name in names
})"""
# fmt: off
ROWS = (
    Row("known", "`resolve`, a known source that asks for what stands", _BARE_NAME,
        Target("times", 12, never=15), _bare()),
    Row("cedar", "the same", "Cedar, policies and state given with each call",
        Target("faster", 100), _engine(peers.cedar)),
    Row("rego", "the same", "Rego, given the state with each call",
        Target("faster", 500), _engine(peers.rego)),
    Row("conflict", "`resolve`, a new conflict", _BARE_NAME,
        Target("times", 80), _bare(_RESOLVE, "team-b", _OTHER)),
    Row("manifest", "manifest in, `resolve`, no patch out", _JSON,
        Target("times", 3), _manifest(_IN_AND_OUT)),
    Row("parse-unseen", "`Schedule.parse`, a text not seen before", "`croniter.expand` of the same text",
        Target("faster", 6), _unseen),
    Row("parse-seen", "`Schedule.parse`, a text seen before", "a dict look-up",
        Target("times", 8), _seen),
    Row("reconcile-first-wins", "`reconcile` of 100,000 sources, first-wins", "of 10,000 sources",
        Target("times", 15), _reconcile(FirstWins())),
    Row("reconcile-consensus", "`reconcile` of 100,000 sources, consensus", "of 10,000 sources",
        Target("times", 15), _reconcile(Consensus())),
    Row("plan-time", "`kopia-maint plan` of 100,000 sources as JSON, whole process", _LOAD_NAME,
        Target("times", 3), _planned(0, 0)),
    Row("plan-memory", "its peak memory", "of `json.load`",
        Target("times", 1.5), _planned(0, 1), "B"),
    Row("import", "`import kopia_maint`", "`import attrs`, which is part of it",
        Target("times", 1.5), _import("import kopia_maint")),
    Row("memory-decided", "memory of one claim, decided by `reconcile`", "",
        Target("bytes", 320), _decided_claim, "B"),
    Row("memory-read", "memory of one claim, read from a manifest", "",
        Target("bytes", 320), _read_claim, "B"),
    # What a target cannot ask for, and what the engines can do at their best.
    Row("known-floor", "the answer alone: one `Resolution`, of values at hand", _BARE_NAME,
        Target("times"), _bare(_ANSWER_ALONE)),
    Row("cedar-floor", "the answer alone", "Cedar, policies and state given with each call",
        Target("faster"), _engine(peers.cedar, _ANSWER_ALONE)),
    Row("rego-floor", "the answer alone", "Rego, given the state with each call",
        Target("faster"), _engine(peers.rego, _ANSWER_ALONE)),
    Row("cedar-prepared", "`resolve`, known source", "Cedar, policies and state parsed beforehand",
        Target("faster"), _engine(peers.cedar, prepared=True)),
    Row("rego-prepared", "`resolve`, known source", "Rego, state, input and query compiled beforehand",
        Target("faster"), _engine(peers.rego, prepared=True)),
    Row("manifest-floor", "the claims' JSON and the values read from it, alone", _JSON,
        Target("times"), _manifest(_VALUES_OF_CLAIMS)),
    Row("plan-floor", "`json.load` and the requests' values alone, whole process", _LOAD_NAME,
        Target("times"), _planned(2, 0)),
    Row("import-floor", "`import attrs` and what is used of the standard library", "`import attrs`",
        Target("times"), _import("import attrs, datetime, enum, hashlib, heapq, json, re, typing")),
)
# fmt: on
"""Those with a target first."""
