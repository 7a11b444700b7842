"""
Does a law break in a million steps? Long random histories, each step checked against every law.

    python -m tests.campaigns.histories [--steps N] [--seed SEED]

Prints figures and the seed; at the first violation its story, and exits with status 1.
The histories are those of the testing kit, only longer and many more.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from datetime import timedelta
from functools import partial
from multiprocessing import Pool
from random import SystemRandom

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from kopia_maint import Bounded, Consensus, FirstWins
from kopia_maint.testing import Step, strategies
from kopia_maint.testing._history import Subject
from kopia_maint.testing._laws import tell

AT_ONCE = 100
SUBJECTS = [Subject(FirstWins()), Subject(Consensus()), Subject(Bounded(shortest=timedelta(hours=1)))]
HISTORIES = st.lists(strategies.schedules(), min_size=3, max_size=3).flatmap(
    lambda wishes: strategies.histories(schedules=wishes, min_steps=10, max_steps=40)
)


def play(first: int, number: int) -> tuple[Counter[str], str]:
    """Play some histories under each policy; return how many steps of which kind, and the story of a violation."""
    played, stories = Counter[str](), list[str]()

    @seed(f"{first}-{number}")
    @settings(
        max_examples=AT_ONCE,
        phases=[Phase.generate],
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(HISTORIES)
    def every_history(history: tuple[Step, ...]) -> None:
        stories.extend(str(violation) for it in SUBJECTS if (violation := tell(it, history)))
        played.update(type(step).__name__ for step in history * len(SUBJECTS))

    every_history()
    return played, next(iter(stories), "")


def main() -> int:
    """Run the campaign."""
    parser = argparse.ArgumentParser(description="Check long random histories against the laws.")
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(2**32))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    steps = Counter[str]()
    with Pool() as pool:
        for played, story in pool.imap(partial(play, options.seed), range(options.steps)):
            steps += played
            if story:
                print(story)
                return 1
            if steps.total() >= options.steps:
                break
    print(f"{steps.total():,} steps, under {len(SUBJECTS)} policies, hold every law: ", end="")
    print(", ".join(f"{count:,} {kind.lower()}" for kind, count in steps.most_common()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
