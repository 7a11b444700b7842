"""
How is a cost compared with another so that a drifting machine does not decide?

Both sides run turn by turn in one process, timed by its CPU time, or as whole
processes one after the other, timed by the clock on the wall; what counts is the
median of the ratios of the pairs.
"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Mapping
from importlib.metadata import version
from statistics import median, quantiles
from time import process_time
from timeit import Timer
from typing import Any

from attrs import frozen


@frozen
class Effort:
    """
    How much is done.

    Attributes:
        rounds: How many pairs are measured in one process.
        loop: How long a loop takes at least, in seconds: far above the clock's resolution.
        large: How many rounds the large inputs and the whole processes get.
        scale: What the sizes of large inputs are divided by.
    """

    rounds: int
    loop: float
    large: int
    scale: int


FULL = Effort(rounds=41, loop=0.02, large=5, scale=1)
QUICK = Effort(rounds=1, loop=0.0, large=1, scale=500)


@frozen
class Sample:
    """What was measured, pair by pair, in seconds or bytes; without *theirs* it is compared with nothing."""

    ours: tuple[float, ...]
    theirs: tuple[float, ...] = ()

    @classmethod
    def of(cls, pairs: list[tuple[float, float]]) -> Sample:
        """Return the sample of these pairs."""
        ours, theirs = zip(*pairs)
        return cls(ours, theirs)

    def ratios(self) -> list[float]:
        """Return how many times theirs ours is, pair by pair."""
        return [ours / theirs for ours, theirs in zip(self.ours, self.theirs)]


def spread(values: list[float]) -> tuple[float, float, float]:
    """Return the lower quartile, the median and the upper quartile."""
    low, _, high = quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
    return low, median(values), high


def timer(expression: str, names: Mapping[str, Any], before: str = "pass") -> Timer:
    """Return a timer of an expression; the garbage collector runs as it does in use, which timeit switches off."""
    return Timer(expression, f"gc.enable()\n{before}", process_time, globals={"gc": gc, **names})


def turn_by_turn(ours: Timer, theirs: Timer, rounds: int, loop: float = 0.0) -> Sample:
    """Time both, alternately and in alternating order, in loops of at least *loop* seconds."""
    sides = [(side, _number(side, loop) if loop else 1) for side in (ours, theirs)]
    pairs = []
    for turn in range(rounds):
        order = (0, 1) if turn % 2 else (1, 0)
        seconds = {side: sides[side][0].timeit(sides[side][1]) / sides[side][1] for side in order}
        pairs.append((seconds[0], seconds[1]))
    return Sample.of(pairs)


def seconds(timed: Timer, rounds: int, loop: float = 0.0) -> float:
    """Return the least time of an expression that is compared with nothing: what else the machine does only adds."""
    number = _number(timed, loop) if loop else 1
    return min(timed.repeat(rounds, number)) / number


def _number(timed: Timer, loop: float) -> int:
    number = 1
    while timed.timeit(number) < loop:
        number *= 2
    return number


_LAUNCHER = """
import json, os, sys, time
silent = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
began = time.perf_counter()
child = os.posix_spawn(sys.executable, [sys.executable, *sys.argv[1:]], os.environ, file_actions=silent)
_, status, usage = os.wait4(child, 0)
print(json.dumps([time.perf_counter() - began, usage.ru_maxrss, os.waitstatus_to_exitcode(status)]))
"""


def whole_process(*arguments: str, allowed: tuple[int, ...] = (0,)) -> tuple[float, float]:
    """
    Run this Python with *arguments*; return its wall time in seconds and its peak resident memory in bytes.

    A small process starts it: Linux counts the memory of whoever starts a process as the process's own at first.
    """
    started = subprocess.run([sys.executable, "-I", "-c", _LAUNCHER, *arguments], stdout=subprocess.PIPE, check=True)
    wall, peak, status = json.loads(started.stdout)
    if status not in allowed:
        raise RuntimeError(f"{arguments} ended with status {status}")
    return wall, peak * (1 if sys.platform == "darwin" else 1024)


def kept_bytes(build: Callable[[], object]) -> int:
    """Return how many bytes are still allocated once *build* has returned, while its result is held."""
    gc.collect()
    tracemalloc.start()
    try:
        result = build()
        gc.collect()
        size, _ = tracemalloc.get_traced_memory()
        del result
    finally:
        tracemalloc.stop()
    return size


def machine() -> dict[str, Any]:
    """Return what a reader has to know of where it was measured."""
    python = ".".join(map(str, sys.version_info[:3]))
    peers = {peer: version(peer) for peer in ("attrs", "croniter", "cedarpy", "regopy")}
    return {"cpus": os.cpu_count(), "versions": {"Python": python, **peers}}
