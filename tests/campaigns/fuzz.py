"""
What does a long search find? Every test of ``test_fuzz``, guided by coverage.

    python -m tests.campaigns.fuzz [--seconds N]

Runs Atheris (libFuzzer for Python) on each test for its share of the time; where there is no Atheris, random bytes.
Prints how often each test ran, and ends with status 1 when one failed. Hypothesis remembers the input: run the test,
and it fails for the smallest input like that.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from importlib import import_module
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from random import Random
from typing import Any

atheris: Any = import_module("atheris") if find_spec("atheris") else None

with atheris.instrument_imports(include=["kopia_maint"]) if atheris else nullcontext():
    from ..core import test_fuzz

TESTS: dict[str, Any] = {name: test for name, test in vars(test_fuzz).items() if name.startswith("test_")}
LONGEST = 8192
"""Bytes: hypothesis reads no more."""
PATIENCE = 2.0
"""Seconds of processor time: an input that takes longer is a find."""
SEEDS = 200


def fuzz(name: str, seconds: int, runs: Any) -> None:
    """Run one test until the time is up, or until it fails."""
    target: Callable[[bytes], bytes | None] = TESTS[name].hypothesis.fuzz_one_input
    random = Random(name)
    seeds = [target(random.randbytes(LONGEST)) or b"" for _ in range(SEEDS)]

    def run(data: bytes) -> None:
        runs.value += 1
        begin = time.process_time()
        target(data)
        assert time.process_time() - begin < PATIENCE

    if atheris:
        guided(run, seconds, seeds)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        run(random.randbytes(LONGEST))


def guided(run: Callable[[bytes], None], seconds: int, seeds: list[bytes]) -> None:
    """Let Atheris choose what to run next; it ends the process."""
    with tempfile.TemporaryDirectory() as folder:
        for number, seed in enumerate(seeds):
            Path(folder, str(number)).write_bytes(seed)
        options = [f"-max_total_time={seconds}", f"-max_len={LONGEST}", "-len_control=0", "-timeout=20", "-verbosity=0"]
        atheris.Setup([sys.argv[0], *options, f"-artifact_prefix={folder}/", folder], run)
        atheris.Fuzz()


def main() -> int:
    """Run the campaign."""
    parser = argparse.ArgumentParser(description="Fuzz the readers of foreign data.")
    parser.add_argument("--seconds", type=int, default=600, help="in all (600)")
    options = parser.parse_args()
    total = finds = 0
    for name in TESTS:
        runs = get_context("fork").Value("Q", 0)
        process = get_context("fork").Process(target=fuzz, args=(name, options.seconds // len(TESTS), runs))
        process.start()
        process.join()
        print(f"{runs.value:>10,} runs of {name}{': it failed' if process.exitcode else ''}", flush=True)
        total += runs.value
        finds += process.exitcode != 0
    print(f"{total:>10,} in all, {finds} finds")
    return int(finds > 0)


if __name__ == "__main__":
    sys.exit(main())
