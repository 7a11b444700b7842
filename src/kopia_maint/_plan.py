"""What has to be written? Many objects in, the writes out, and no object's fault stops the others."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, ClassVar

from attrs import define, field, frozen

from ._decision import Action, Decision, Reconciliation, Standing, Verdict, standing_of
from ._errors import (
    InvalidManifest,
    InvalidValue,
    KopiaMaintError,
    RepositoryMismatch,
    StateTooLarge,
    expect,
    iterated,
    shown,
)
from ._manifest import (
    hash_from,
    is_source,
    manifest_from_state,
    patch_from_state,
    request_from_manifest,
    secret_named,
    source_named,
    state_from_manifest,
)
from ._model import (
    Conflict,
    CronJobState,
    FrozenMapping,
    Repository,
    SourceRef,
    SourceRequest,
    by_name,
    check_name,
    instance_of,
    utc_seconds,
)
from ._objects import Fields, Manifest, attempt, plain
from ._policy import FIRST_WINS, Policy, expect_policy
from ._resolver import reconcile_each

Object = Mapping[str, Any]
Template = Callable[[Repository, CronJobState], Object]

_MESSAGE_LENGTH = 1024
_OBJECTS = "objects (pass the items of a List)"


@frozen(kw_only=True)
class Write:
    """
    One request to the API server.

    Attributes:
        action: CREATE, UPDATE or DELETE.
        name: The name of the CronJob.
        namespace: Its namespace, the operator's.
        body: The manifest to create; the JSON merge patch, with resourceVersion where the
            CronJob has one; or the DeleteOptions, with uid and resourceVersion as preconditions.
    """

    action: Action = field(validator=instance_of(Action))
    name: str = field(validator=instance_of(str))
    namespace: str = field(validator=instance_of(str))
    body: dict[str, Any] = field(validator=instance_of(dict))

    __hash__: ClassVar[None] = None  # type: ignore[assignment] # it holds plain JSON


@frozen(kw_only=True)
class Plan:
    """
    What has to be written, and what there is to tell.

    Attributes:
        decisions: By the CronJob's name, sorted: every CronJob that was listed or is asked
            for, also where nothing changes, but for the withheld ones.
        writes: In the same order, each independent of the others.
        standings: How every source that was listed stands, sorted.
        unreadable: Why a source cannot be read.
        withheld: Why a CronJob, by name, stays as it is: it cannot be understood, is listed twice with different
            content, would be too large, or is to be deleted and has no uid or resourceVersion.
        errors: All of them: CronJobs, then sources, each in the order of the input, then what cannot be written.
    """

    decisions: Mapping[str, Reconciliation]
    writes: tuple[Write, ...]
    standings: Mapping[SourceRef, Standing]
    unreadable: Mapping[SourceRef, KopiaMaintError]
    withheld: Mapping[str, KopiaMaintError]
    errors: tuple[KopiaMaintError, ...]

    __hash__: ClassVar[None] = None  # type: ignore[assignment] # it holds plain JSON


def plan_manifests(
    *,
    cron_jobs: Iterable[Object],
    replication_sources: Iterable[Object],
    template: Template,
    operator_namespace: str,
    complete: bool,
    now: datetime,
    policy: Policy = FIRST_WINS,
) -> Plan:
    """
    Decide for a whole cluster: Kubernetes objects in, writes out.

    Read the CronJobs first and the sources after them, both from the API: sources that
    are older than a CronJob would undo its claims. After a refused write, read and plan again.

    Args:
        cron_jobs: The CronJobs of the operator's namespace. Objects that are not ours are passed over.
        replication_sources: The sources of all namespaces. Objects that are no Kopia sources are passed over.
        template: Called with repository and state for each CronJob to create, and only
            then; returns a CronJob to start from, with its job template.
        operator_namespace: Where maintenance CronJobs are; one elsewhere is a tenant's, and passed over.
        complete: Whether *replication_sources* is every source of the cluster. If not, nothing is
            deleted, and no claim of a source that is not listed is dropped.
        now: The time of the decision, aware.
        policy: Who may replace the established schedule.

    Raises:
        InvalidValue: An argument is wrong. An object never raises: see :class:`Plan`.
    """
    now = utc_seconds(now, "now")
    expect_policy(policy)
    check_name(operator_namespace, "namespace", "operator_namespace")
    expect(complete, bool, "complete")
    if not callable(template):
        raise InvalidValue(f"template must be a function of repository and state, not {shown(template)}")
    jobs, sources = _CronJobs(operator_namespace), _Sources()
    for cron_job in iterated(cron_jobs, "cron_jobs", _OBJECTS):
        jobs.add(cron_job)
    for source in iterated(replication_sources, "replication_sources", _OBJECTS):
        sources.add(source)
    withheld = dict(jobs.withheld)
    states = {state.repository_hash: state for name, state in jobs.states.items() if name not in withheld}
    requests = [it for it in sources.requests.values() if it.repository.cron_job_name not in withheld]
    unreadable = {it: sources.secrets.get(it, set()) for it in sources.unreadable}
    listed = None if complete and not sources.unnamed else sources.requests.keys() | unreadable.keys()
    decisions = dict(reconcile_each(states, requests, now=now, policy=policy, unreadable=unreadable, listed=listed))
    writes, unwritable = [], []
    for name, decision in list(decisions.items()):
        present = jobs.objects.get(name)
        base: Object = {}
        if decision.action is Action.CREATE:
            assert decision.repository is not None and decision.desired is not None  # noqa: PT018 - a source asked
            base = expect(template(decision.repository, decision.desired), Mapping, "what template returns")  # type: ignore[type-abstract]
        try:
            write = _write(decision, present, base, operator_namespace)
        except KopiaMaintError as error:
            if present is None and not isinstance(error, StateTooLarge):
                raise  # the template's fault, and so the author's
            unwritable.append(error)
            withheld[name] = error
            del decisions[name]
        else:
            if write:
                writes.append(write)
    return Plan(
        decisions=FrozenMapping(decisions),
        writes=tuple(writes),
        standings=_standings(sources, decisions, withheld),
        unreadable=FrozenMapping(sorted(sources.unreadable.items(), key=_by_source)),
        withheld=FrozenMapping(sorted(withheld.items())),
        errors=(*jobs.errors, *sources.errors, *unwritable),
    )


def write_for(
    decision: Decision, cron_job: Object | None, template: Object, *, operator_namespace: str
) -> Write | None:
    """
    Return the request that makes one CronJob what a decision desires.

    Args:
        decision: What was decided.
        cron_job: The CronJob that the decision was made about; None: there was none.
        template: A CronJob to start from, with its job template, where one is created.
        operator_namespace: Where maintenance CronJobs are.

    Returns:
        The write; None: there is nothing to do.

    Raises:
        RepositoryMismatch: *cron_job* is another repository's.
        InvalidValue: *cron_job* does not hold ``decision.current``, so that the decision is stale;
            it is in another namespace; or an argument is of the wrong type.
        InvalidManifest: It has no uid or no resourceVersion, and is to be deleted; or the template is no CronJob.
        StateTooLarge: The claims do not fit into the annotations of one object.
    """
    expect(decision, Decision, "decision")
    check_name(operator_namespace, "namespace", "operator_namespace")
    stored = None
    if cron_job is not None:
        stored = state_from_manifest(cron_job)
        about = decision.current or decision.desired
        if stored is None or (about is not None and stored.repository_hash != about.repository_hash):
            raise RepositoryMismatch("cron_job is not the CronJob that was decided about", path="metadata.name")
        namespace = cron_job["metadata"].get("namespace")
        if namespace != operator_namespace:
            raise InvalidValue(f"cron_job is in namespace {shown(namespace)}, not in {operator_namespace}")
    if stored != decision.current:
        raise InvalidValue("cron_job does not hold decision.current: read it again, and decide again")
    return _write(decision, cron_job, template, operator_namespace)


def _write(decision: Decision, cron_job: Object | None, template: Object, namespace: str) -> Write | None:
    """Say create, patch or delete; *cron_job* holds the current state."""
    desired = decision.desired
    if cron_job is None:
        if desired is None:
            return None
        body = manifest_from_state(desired, template, operator_namespace=namespace)
        return Write(action=Action.CREATE, name=desired.cron_job_name, namespace=namespace, body=body)
    if desired is not None:
        patch = patch_from_state(desired, cron_job)
        if patch is None:
            return None
        return Write(action=Action.UPDATE, name=desired.cron_job_name, namespace=namespace, body=patch)
    metadata = Fields(cron_job).mapping("metadata")
    options = {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "preconditions": {key: metadata.required(key) for key in ("uid", "resourceVersion")},
        "propagationPolicy": "Background",
    }
    return Write(action=Action.DELETE, name=metadata.required("name"), namespace=namespace, body=options)


# --- many objects ----------------------------------------------------------------


@define
class _CronJobs:
    """The CronJobs of a cluster by name, collected object by object."""

    namespace: str
    objects: dict[str, Object] = field(factory=dict)
    states: dict[str, CronJobState] = field(factory=dict)
    withheld: dict[str, KopiaMaintError] = field(factory=dict)
    errors: list[KopiaMaintError] = field(factory=list)

    def add(self, cron_job: Object) -> None:
        """Take in one object. One of our name in a namespace of a tenant is passed over, whatever it holds."""
        name, namespace = attempt(_named, cron_job, "name"), attempt(_named, cron_job, "namespace") or None
        ours = name if name and hash_from(name) is not None else None
        if ours is not None and namespace not in (None, self.namespace):
            return
        if ours is not None and _same(self.objects.get(ours), cron_job):
            return
        try:
            state = state_from_manifest(cron_job)
            if state is None:
                return
            if namespace is None:
                raise InvalidManifest("is missing", path="metadata.namespace")
            if state.cron_job_name in self.objects:
                raise InvalidManifest(f"the CronJob {name} is listed twice, with different content")
        except KopiaMaintError as error:
            self.errors.append(error)
            if ours is not None:
                self.withheld[ours] = error
        else:
            self.states[state.cron_job_name] = state
        if ours is not None:
            self.objects.setdefault(ours, cron_job)


@define
class _Sources:
    """The sources of a cluster, collected object by object."""

    objects: dict[SourceRef, Object] = field(factory=dict)
    requests: dict[SourceRef, SourceRequest] = field(factory=dict)
    unreadable: dict[SourceRef, KopiaMaintError] = field(factory=dict)
    secrets: dict[SourceRef, set[str]] = field(factory=dict)
    unnamed: bool = False
    errors: list[KopiaMaintError] = field(factory=list)

    def add(self, replication_source: Object) -> None:
        """Take in one object. Two of one name that differ make the source unreadable, for the Secrets of both."""
        request, error = None, None
        try:
            request = request_from_manifest(replication_source)
        except KopiaMaintError as fault:
            error = fault
        known = request or error  # both say whose it is
        if known is not None:
            source = known.source
        else:  # it asks for nothing, but another of its name may
            source = source_named(replication_source) if is_source(Manifest(replication_source)) else None
        if source is not None and _same(self.objects.get(source), replication_source):
            return
        if error is not None:
            self.errors.append(error)
            self.unnamed = self.unnamed or source is None
        if source is None:
            return
        secret_name = secret_named(replication_source)
        if secret_name is not None:
            self.secrets.setdefault(source, set()).add(secret_name)
        counts = known is not None or source in self.requests or source in self.unreadable
        if source in self.objects and counts:
            error = InvalidManifest(f"the source {source} is listed twice, with different content", source=source)
            self.errors.append(error)
            self.requests.pop(source, None)
        elif request is not None:
            self.requests[source] = request
        if error is not None:
            self.unreadable[source] = error
        self.objects.setdefault(source, replication_source)


def _standings(
    sources: _Sources, decisions: Mapping[str, Reconciliation], withheld: Mapping[str, KopiaMaintError]
) -> Mapping[SourceRef, Standing]:
    known = {
        source: standing.conflict
        for decision in decisions.values()
        for source, standing in decision.standings.items()
        if standing.verdict is Verdict.UNREADABLE and standing.conflict
    }
    standings = {
        source: _standing(Verdict.UNREADABLE, "Unreadable", str(error), known.get(source))
        for source, error in sources.unreadable.items()
    }
    for source, request in sources.requests.items():
        name = request.repository.cron_job_name
        if name not in withheld:
            standings[source] = decisions[name].standings[source]
        elif request.enabled:
            standings[source] = _standing(None, "Withheld", f"{name} stays as it is: {withheld[name]}")
        else:
            standings[source] = standing_of(Verdict.DISABLED, None, None)
    return FrozenMapping(sorted(standings.items(), key=_by_source))


def _by_source(item: tuple[SourceRef, object]) -> tuple[str, str]:
    return by_name(item[0])


def _standing(verdict: Verdict | None, reason: str, message: str, conflict: Conflict | None = None) -> Standing:
    told = f"{reason}: {message}"[:_MESSAGE_LENGTH]
    return Standing(verdict=verdict, reason=reason, message=told, conflict=conflict)


def _same(one: Object | None, other: Object) -> bool:
    """Return whether two objects have the same content, whatever mappings they are made of."""
    if one is None or one is other:
        return one is other
    try:
        return bool(plain(one) == plain(other))
    except (InvalidManifest, RecursionError):  # too deep to compare
        return False


def _named(manifest: Any, key: str) -> str | None:
    return Fields(manifest).mapping("metadata").string(key, variables=False) if isinstance(manifest, Mapping) else None
