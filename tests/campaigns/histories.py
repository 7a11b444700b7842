"""
Does a law break in a million steps? Long random histories, each step checked against every law.

    python -m tests.campaigns.histories [--steps N] [--seed SEED] [--jobs N]

Prints figures and the seed; at the first violation its story, and exits with status 1.
The histories are those of the testing kit, only longer and many more.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from datetime import timedelta
from functools import partial
from multiprocessing import Pool
from random import Random, SystemRandom

from hypothesis import HealthCheck, Phase, given, seed, settings

from kopia_maint import Bounded, Consensus, FirstWins, Schedule
from kopia_maint.testing import Step, strategies
from kopia_maint.testing._history import Subject
from kopia_maint.testing._laws import tell

from ..core.schedule_cases import schedule

SHORTEST, LONGEST = 10, 40
AT_ONCE = 100
SUBJECTS = [Subject(FirstWins()), Subject(Consensus()), Subject(Bounded(shortest=timedelta(hours=1)))]


def asked(random: Random) -> list[Schedule]:
    """Return schedules that a request may have, of every kind that the parser knows."""
    schedules: list[Schedule] = []
    while len(schedules) < AT_ONCE:
        try:
            read = Schedule.parse(schedule(random))
        except ValueError:
            continue
        schedules += [] if read.never_fires else [read]
    return schedules


def play(first: int, number: int) -> tuple[Counter[str], int, str]:
    """Play some histories under each policy; return how many steps of which kind, and the story of a violation."""
    played: Counter[str] = Counter()
    histories = 0
    stories: list[str] = []
    schedules = asked(Random(f"{first}-{number}"))

    @seed(f"{first}-{number}")
    @settings(
        max_examples=AT_ONCE,
        phases=[Phase.generate],
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(strategies.histories(schedules=schedules, min_steps=SHORTEST, max_steps=LONGEST))
    def every_history(history: tuple[Step, ...]) -> None:
        nonlocal histories
        histories += 1
        stories.extend(str(violation) for it in SUBJECTS if (violation := tell(it, history)))
        played.update(type(step).__name__ for step in history * len(SUBJECTS))

    every_history()
    return played, histories, next(iter(stories), "")


def main() -> int:
    """Run the campaign."""
    parser = argparse.ArgumentParser(description="Check long random histories against the laws.")
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(2**32))
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    begin = time.monotonic()
    steps: Counter[str] = Counter()
    histories = 0
    with Pool(options.jobs) as pool:
        for played, each, story in pool.imap(partial(play, options.seed), range(options.steps)):
            steps += played
            histories += each
            if story:
                print(story)
                return 1
            if steps.total() >= options.steps:
                break
        pool.terminate()
    kinds = ", ".join(f"{count:,} {kind.lower()}" for kind, count in steps.most_common())
    took = time.monotonic() - begin
    print(f"{steps.total():,} steps in {histories:,} histories, each under {len(SUBJECTS)} policies, hold every law")
    print(f"{kinds}; {took:.0f} s with {options.jobs} processes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
