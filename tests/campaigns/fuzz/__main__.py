"""
What does a long search find? The fuzzing campaign, guided by coverage.

    python -m tests.campaigns.fuzz [TARGET]... [--seconds N]

Runs Atheris (libFuzzer for Python) on each target for its share of the time, and
prints the executions of each and in all. Exits with status 1 when something was
found; the bytes that show it are printed, to become a case of ``test_fuzz``.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from random import Random

import atheris  # pyright: ignore[reportMissingModuleSource]

with atheris.instrument_imports(include=["kopia_maint"]):  # pyright: ignore[reportAttributeAccessIssue]
    from .targets import TARGETS, run

LONGEST = 1024
PATIENCE = 1.0
"""Seconds of processor time: an input that takes longer is a find."""
SEEDS = 200
"""Random inputs to begin with: from nothing, libFuzzer takes long to reach the length of a manifest."""


def fuzz(target: str, seconds: int, folder: str) -> tuple[int, str]:
    """Run one target in a process of its own; return the executions, and what was found or nothing."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.campaigns.fuzz",
            target,
            "--alone",
            "--seconds",
            str(seconds),
            "--folder",
            folder,
        ],
        capture_output=True,
        check=False,
    )
    told = done.stderr.decode(errors="replace")
    counts = re.findall(r"^#(\d+)\s", told, re.MULTILINE)
    return int(counts[-1]) if counts else 0, "" if done.returncode == 0 else told + done.stdout.decode(errors="replace")


def quickly(target: str, data: bytes) -> None:
    """Run one target, and see that it does not take long."""
    begin = time.perf_counter()
    run(target, data)
    if time.perf_counter() - begin > PATIENCE:  # a find, or a busy machine?
        begin = time.process_time()
        run(target, data)
        assert time.process_time() - begin < PATIENCE


def alone(target: str, seconds: int, folder: str) -> None:
    """Run one target until the time is up or something is found; does not return."""
    seeds = Path(folder, target)
    seeds.mkdir()
    for number in range(SEEDS):
        (seeds / str(number)).write_bytes(Random(number).randbytes(LONGEST // 4))
    options = [f"-max_total_time={seconds}", f"-max_len={LONGEST}", "-len_control=0", "-timeout=20"]
    options += [f"-artifact_prefix={folder}/found-", str(seeds)]
    atheris.Setup([sys.argv[0], *options], lambda data: quickly(target, data))
    atheris.Fuzz()


def main() -> int:
    """Run the campaign."""
    parser = argparse.ArgumentParser(description="Fuzz the readers of foreign data.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}")
    parser.add_argument("--seconds", type=int, default=600, help="in all (600)")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    options = parser.parse_args()
    targets = options.targets or list(TARGETS)
    if options.alone:
        alone(targets[0], options.seconds, options.folder)
    total = finds = 0
    with tempfile.TemporaryDirectory() as folder:
        for target in targets:
            executions, found = fuzz(target, max(options.seconds // len(targets), 1), folder)
            total += executions
            print(f"{target:10} {executions:>10,} executions", flush=True)
            if found:
                finds += 1
                print(found[-3000:])
                for artifact in Path(folder).glob("found-*"):
                    print(f"{target}: bytes.fromhex({artifact.read_bytes().hex()!r})", flush=True)
                    artifact.unlink()
    print(f"{'in all':10} {total:>10,} executions, {finds} finds")
    return int(finds > 0)


if __name__ == "__main__":
    sys.exit(main())
