"""
Does a law break in a million steps? Long random histories, each step checked against every law.

    python -m tests.campaign_histories [--steps N] [--seed SEED] [--jobs N]

Prints figures and the seed; at the first violation its story, and exits with
status 1. Histories are longer here, and more tenants take part, than in those that
hypothesis makes for the ordinary tests.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from multiprocessing import Pool
from random import Random, SystemRandom

from kopia_maint import Consensus, FirstWins, Schedule, SourceRef, SourceRequest
from kopia_maint.testing import HandedOver, Reconciled, Restarted, Step, Submitted
from kopia_maint.testing._history import EPOCH, Subject
from kopia_maint.testing._laws import REPOSITORY, tell

from .schedule_cases import schedule

LENGTH = 40
SUBJECTS = (Subject(FirstWins()), Subject(Consensus()))
KINDS = {"ask": 6, "ask again": 3, "disable": 2, "delete": 2, "list": 4, "hand over": 1, "restart": 1}


def wanted(random: Random) -> Schedule | None:
    """Return a preference: none, or any schedule that a request may have."""
    while True:
        text = schedule(random)
        try:
            asked = Schedule.parse(text)
        except ValueError:
            continue
        if not asked.never_fires:
            return asked if random.random() < 0.9 else None


def history(random: Random) -> Iterator[Step]:
    """Yield the steps of one history, which begins with no CronJob."""
    namespaces = [f"team-{letter}" for letter in "abc"[: random.randint(1, 3)]]
    cast = [SourceRef(name, f"source-{letter}") for name in namespaces for letter in "abc"[: random.randint(1, 3)]]
    schedules = [None, *(wanted(random) for _ in range(random.randint(1, 5)))]
    born = {source: random.choice([None, EPOCH - timedelta(minutes=random.randint(0, 9))]) for source in cast}
    asked: dict[SourceRef, SourceRequest] = {}

    def asks(source: SourceRef) -> SourceRequest:
        asked[source] = SourceRequest(source, REPOSITORY, random.choice(schedules), created_at=born[source])
        return asked[source]

    for kind in random.choices(list(KINDS), list(KINDS.values()), k=random.randint(1, LENGTH)):
        source = random.choice(cast)
        if kind == "ask":
            yield Submitted(asks(source))
        elif kind == "ask again":
            yield Submitted(asked.get(source) or asks(source))
        elif kind == "disable":
            asked.pop(source, None)
            yield Submitted(SourceRequest(source, REPOSITORY, enabled=False, created_at=born[source]))
        elif kind == "hand over":
            yield HandedOver(source.namespace)
        elif kind == "restart":
            yield Restarted()
        else:
            if kind == "delete":
                asked.pop(source, None)
            else:
                for each in random.sample(cast, random.randint(0, min(len(cast), 4))):
                    asks(each)
            unreadable = frozenset(random.sample(cast, random.random() < 0.3))
            listed = [request for request in asked.values() if request.source not in unreadable]
            yield Reconciled(tuple(random.sample(listed, len(listed))), unreadable)


def play(seed: int, number: int) -> tuple[Counter[str], str]:
    """Play one history under each policy; return how many steps of which kind, and the story of a violation."""
    steps = tuple(history(Random(f"{seed}-{number}")))
    for subject in SUBJECTS:
        violation = tell(subject, steps, None, EPOCH)
        if violation is not None:
            return Counter(), f"history {number}\n\n{violation}"
    return Counter(type(step).__name__ for step in steps * len(SUBJECTS)), ""


def main() -> int:
    """Run the campaign."""
    parser = argparse.ArgumentParser(description="Hold long random histories against the laws.")
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(2**32))
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    begin = time.monotonic()
    steps: Counter[str] = Counter()
    histories = 0
    with Pool(options.jobs) as pool:
        for played, story in pool.imap(partial(play, options.seed), range(options.steps), chunksize=4):
            if story:
                print(story)
                return 1
            histories += 1
            steps += played
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
