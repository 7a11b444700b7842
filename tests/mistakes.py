"""Which plausible mistakes must a test find? Wrong resolvers, each with one step of the reference model wrong."""

from __future__ import annotations

from collections.abc import Collection

from .reference import DEFAULT, Policy, Reference, Request, Source, State


class ForkTakesTheLabel(Reference):
    """The fork: a tenant that was rejected becomes the owner all the same."""

    def decide(self, state: State, request: Request, news: bool, policy: Policy) -> tuple[str, State]:
        verdict, after = super().decide(state, request, news, policy)
        return verdict, {**after, "owner": request["source"][0]} if verdict == "rejected" else after


class LastWriterOwns(Reference):
    """A tenant that agrees becomes the owner."""

    def decide(self, state: State, request: Request, news: bool, policy: Policy) -> tuple[str, State]:
        verdict, after = super().decide(state, request, news, policy)
        return verdict, {**after, "owner": request["source"][0]} if verdict == "agreed" else after


class RemembersTheFirst(Reference):
    """A memory of its own: the first namespace that it ever saw is the owner, restart or not."""

    first: str | None = None

    def begin(self, current: State | None, request: Request) -> State:
        self.first = self.first or request["source"][0]
        return {**super().begin(current, request), "owner": self.first}


class ComparesText(Reference):
    """`@daily` conflicts with `0 0 * * *`."""

    def agrees(self, state: State, wish: str | None) -> bool:
        return wish in (None, state["schedule"])


class NoPreferenceIsTheDefault(Reference):
    """No preference is taken for a wish for 02:00."""

    def wish(self, request: Request) -> str | None:
        return super().wish(request) or DEFAULT


class CountsDisabled(Reference):
    """`enabled: false` is overlooked."""

    def takes_part(self, request: Request) -> bool:
        return True


class FirstIsNotAsked(Reference):
    """The first request gets its schedule, whatever the policy says."""

    def permits(self, policy: Policy, state: State, challenger: Source) -> bool:
        return state["claims"].keys() == {challenger} or super().permits(policy, state, challenger)


class DefaultsToThree(Reference):
    """Another default."""

    def begin(self, current: State | None, request: Request) -> State:
        state = super().begin(current, request)
        return {**state, "schedule": "0 3 * * *"} if current is None else state


class RefreshesTimes(Reference):
    """Each submission is dated anew."""

    def record(self, state: State, request: Request, now: str) -> tuple[State, bool]:
        after, news = super().record(state, request, now)
        claim = (self.wish(request), now, False)
        return {**after, "claims": {**after["claims"], request["source"]: claim}}, news


class TakesTurns(Reference):
    """Two sources of one namespace that differ change the schedule at every reconcile."""

    def is_news(self, state: State, request: Request) -> bool:
        return True


class StaleIsNews(Reference):
    """A request that differs from the established schedule is news, whatever was asked before."""

    def is_news(self, state: State, request: Request) -> bool:
        return super().is_news(state, request) or not self.agrees(state, self.wish(request))


class LosesClaims(Reference):
    """What is rejected is not remembered."""

    def resolve(self, current: State | None, request: Request, now: str, policy: Policy) -> tuple[str, State | None]:
        verdict, after = super().resolve(current, request, now, policy)
        return verdict, self.withdraw(after, request["source"], policy) if after and verdict == "rejected" else after


class NeverClears(Reference):
    """A conflict is marked until its source asks for something else."""

    def is_rejected(self, state: State, source: Source, policy: Policy) -> bool:
        return state["claims"][source][2] or super().is_rejected(state, source, policy)


class RejectsSilently(Reference):
    """There is a verdict, and no record."""

    def is_rejected(self, state: State, source: Source, policy: Policy) -> bool:
        return False


class MarksSuperseded(Reference):
    """What the owner's namespace asked for before is taken for a conflict with itself."""

    def is_rejected(self, state: State, source: Source, policy: Policy) -> bool:
        return state["owner"] is not None and not self.agrees(state, state["claims"][source][0])


class SaysAgreed(Reference):
    """Establishes, and says that it agreed."""

    def resolve(self, current: State | None, request: Request, now: str, policy: Policy) -> tuple[str, State | None]:
        verdict, after = super().resolve(current, request, now, policy)
        return "agreed" if verdict in ("established", "superseded") else verdict, after


class ForgetsTheOwner(Reference):
    """Where the owner's last source is gone, the next namespace becomes the owner."""

    def mark(self, state: State, policy: Policy) -> State:
        namespaces = {namespace for namespace, _ in state["claims"]}
        orphaned = namespaces and state["owner"] not in namespaces
        return super().mark({**state, "owner": min(namespaces)} if orphaned else state, policy)


class DropsTheSchedule(Reference):
    """Where the owner's last source is gone, the default is back."""

    def mark(self, state: State, policy: Policy) -> State:
        orphaned = state["owner"] not in {namespace for namespace, _ in state["claims"]}
        return super().mark({**state, "schedule": DEFAULT} if orphaned else state, policy)


class DeletesWithTheOwner(Reference):
    """The CronJob goes when its owner goes."""

    def is_over(self, state: State | None, left: set[Source]) -> bool:
        return state is not None and all(source[0] != state["owner"] for source in left)


class UnreadableIsGone(Reference):
    """A typo deletes a claim."""

    def keeps(self, unreadable: Collection[Source]) -> set[Source]:
        return set()


class ListOrderDecides(Reference):
    """The first of the list is the first."""

    def in_order(self, requests: list[Request]) -> list[Request]:
        return requests


class IgnoresCreation(Reference):
    """The oldest source has no precedence."""

    def in_order(self, requests: list[Request]) -> list[Request]:
        return sorted(requests, key=lambda request: request["source"])


class HandOverForgets(Reference):
    """The claims of the new owner are taken for settled, and dropped."""

    def hand_over(self, current: State, namespace: str, policy: Policy) -> State:
        after = super().hand_over(current, namespace, policy)
        if after == current:
            return current
        return self.mark({**after, "claims": {s: c for s, c in after["claims"].items() if s[0] != namespace}}, policy)


class HandsOverTheEarliest(Reference):
    """Of the new owner's claims, the first counts."""

    def chosen(self, claims: list[tuple[str, str, str]]) -> tuple[str, str, str]:
        return min(claims)


class HandsOverTheOwnerOnly(Reference):
    """The new owner's wish does not count."""

    def hand_over(self, current: State, namespace: str, policy: Policy) -> State:
        return current if current["owner"] == namespace else self.mark({**current, "owner": namespace}, policy)


class WithdrawsTheNamespace(Reference):
    """All claims of the namespace go with one."""

    def withdraw(self, current: State, source: Source, policy: Policy) -> State:
        claims = {s: c for s, c in current["claims"].items() if s[0] != source[0]}
        return self.mark({**current, "claims": claims}, policy) if source in current["claims"] else current


WRONG_RESOLVERS: tuple[type[Reference], ...] = tuple(Reference.__subclasses__())
