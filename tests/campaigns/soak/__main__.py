"""
Do the sources explain all that operators do on a real API server? Minutes of random edits, with operators being killed.

    python -m tests.campaigns.soak [--seconds N] [--seed SEED] [--fault]

Prints figures and the seed, which repeats what people do, not when; at the first change of a CronJob that nothing
explains its story, and exits with status 1.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from random import Random, SystemRandom
from subprocess import Popen
from tempfile import TemporaryDirectory
from typing import Any

from ...cluster import servers
from ...cluster.proxy import Answer, lost, overtaken, proxy, unavailable
from ...helpers import replication_source
from .judge import Judge, unfinished
from .people import People, furnish, place

FAULT = "from kopia_maint import FirstWins\n\nFirstWins.permits = lambda *_: True\n"
PAUSES = (0, 0, 0.02, 0.05, 0.5)  # seconds from one action to the next: several within a pass, and then some peace
LIFE = (2, 8)  # seconds from one kill to the next
SETTLED, QUIET = 120, 10  # seconds until all is written, at most, and for which nothing more may be


def operators(folder: Path, *, fault: bool) -> list[tuple[str, list[Any]]]:
    """Return the replicas: of each the language, and the command that starts it."""
    commands = servers.operators(folder)
    python, go = ("Python", commands["python"]), ("Go", commands["go"])
    faulty = folder / "fault.py"
    faulty.write_text(FAULT)
    return [python, go, go, ("faulty", [*commands["python"], faulty]) if fault else python]


def late(send: Callable[[], Answer]) -> Answer:
    """Let others write before."""
    time.sleep(1)
    return send()


FAULTS = (late, late, late, lost, overtaken, unavailable)


class Replica:
    """An operator, behind a proxy of its own, that is killed and started again."""

    def __init__(self, name: str, command: list[Any], log: Path, server: servers.Server, stack: ExitStack) -> None:
        self.name, self._command, self._log = name, command, log
        self.proxy = stack.enter_context(proxy(server))
        self._kubeconfig = str(server.kubeconfig(servers.OPERATOR, self.proxy.url))
        self._life = stack.enter_context(ExitStack())
        self.start()

    def start(self) -> None:
        running = servers.running(self._command, self._log, KUBECONFIG=self._kubeconfig)
        self._process: Popen[bytes] | None = self._life.enter_context(running)

    def kill(self) -> None:
        self._process = None
        self._life.close()

    @property
    def trouble(self) -> str:
        """What its log says, where it ended by itself, or met an error that it does not expect."""
        said = self._log.read_text()
        ended = self._process and self._process.poll() is not None
        return f"{self.name} operator: {said[-5000:]}" if ended or re.search("Traceback|panic", said) else ""


class Soak:
    """Everybody who takes part."""

    def __init__(self, stack: ExitStack, *, seed: int, fault: bool) -> None:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        server = stack.enter_context(servers.api_server(folder))
        self._figures: Counter[str] = Counter()
        self._api, self._random = servers.Api(server, servers.ADMIN), Random(seed)
        self._people = People(self._api, self._random, self._figures)
        self._judge = Judge(server, self._people, self._figures)
        furnish(self._api)
        commands = enumerate(operators(folder, fault=fault))
        self._replicas = [Replica(*it, folder / f"{number}.log", server, stack) for number, it in commands]

    def act(self, seconds: float) -> None:
        """Let everybody act for some seconds."""
        end, next_kill = time.monotonic() + seconds, 0.0
        while time.monotonic() < end and not self.wrong():
            self._people.tenant()
            if self._random.random() < 0.2:
                self._people.administrator()
            if self._random.random() < 0.2:
                fault = self._random.choice(FAULTS)
                self._random.choice(self._replicas).proxy.faults = [fault]
            if time.monotonic() > next_kill:
                next_kill = time.monotonic() + self._random.uniform(*LIFE)
                replica = self._random.choice(self._replicas)
                replica.kill()
                replica.start()
                self._figures[f"{replica.name} operators killed"] += 1
            time.sleep(self._random.choice(PAUSES))

    def finish(self) -> str:
        """Let one operator finish, and see that the others have nothing to add. Return what is wrong."""
        last, *others = self._random.sample(self._replicas, len(self._replicas))
        for replica in others:
            replica.kill()
        end = time.monotonic() + SETTLED
        while (left := unfinished(self._api)) and time.monotonic() < end:
            time.sleep(0.5)
        for replica in others:
            replica.start()
        path, no_news = place(replication_source("team-a/large")), {"metadata": {"annotations": {"touched": ""}}}
        touched = self._api("PATCH", path, no_news)
        time.sleep(QUIET)
        if left or self._judge.is_latest(touched):
            return self.wrong() or "\n".join(left)
        return self.wrong() or f"what an operator in {last.name} left, others wrote anew"

    def wrong(self) -> str:
        """Judge what was seen. Return what is wrong."""
        self._judge.judge()
        return self._judge.story or "".join(replica.trouble for replica in self._replicas)

    def count(self) -> list[tuple[str, int]]:
        """Return how often everybody did what."""
        for replica in self._replicas:
            answers = [status or "lost" for _, path, status in replica.proxy.writes if "/cronjobs" in path]
            self._figures.update(f"{replica.name} operators' writes of CronJobs, answer {it}" for it in answers)
        self._figures["Events"] = len(self._api("GET", servers.EVENTS)["items"])
        return sorted(self._figures.items())


def main() -> int:
    """Run the campaign."""
    parser = argparse.ArgumentParser(description="Explain all that operators do on a real API server.")
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(2**32))
    parser.add_argument("--fault", action="store_true", help="let one operator have a policy that permits everything")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    with ExitStack() as stack:
        campaign = Soak(stack, seed=options.seed, fault=options.fault)
        begin = time.monotonic()
        campaign.act(options.seconds)
        acted = time.monotonic() - begin
        wrong = campaign.wrong() or campaign.finish()
        for what, count in campaign.count():
            print(f"{count:7,} {what}")
    print(wrong or "the sources explain everything", f"(in {acted:.0f} s)")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
