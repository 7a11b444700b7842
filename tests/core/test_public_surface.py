"""The names and shapes that users rely on: a change here breaks somebody's operator."""

from __future__ import annotations

import inspect
import json
import typing

import attrs
import pytest

import kopia_maint

from ..helpers import NOW, ask

SIGNATURES = {
    "Bounded": "policy=, *, shortest=, longest=",
    "Claim": "schedule, since, rejected=",
    "Conflict": "*, namespace, name, schedule, since, policy",
    "CronJobState": "repository_hash, schedule, owner, claims, policy=, secret_name=",
    "CustomCA": "secret_name=, config_map_name=, key=",
    "Decision": "*, current, desired",
    "Plan": "*, decisions, writes, standings, unreadable, withheld, errors",
    "Repository": "secret_name, custom_ca=",
    "Reconciliation": "*, current, desired, repository, standings",
    "Resolution": "*, current, desired, request, verdict, conflict=",
    "SourceRef": "namespace, name",
    "SourceRequest": "source, repository, schedule=, enabled=, created_at=",
    "Standing": "*, verdict, reason, message, conflict",
    "Write": "*, action, name, namespace, body",
    "hand_over": "current, namespace, *, policy=",
    "manifest_from_state": "state, template, *, operator_namespace=",
    "patch_from_state": "state, manifest",
    "plan_manifests": "*, cron_jobs, replication_sources, template, operator_namespace, complete, now, policy=",
    "reconcile": "current, requests, *, now, policy=, unreadable=",
    "reconcile_all": "states, requests, *, now, policy=, unreadable=, complete",
    "request_from_manifest": "replication_source",
    "resolve": "current, request, *, now, policy=",
    "state_from_manifest": "cron_job",
    "withdraw": "current, source, *, policy=",
    "write_for": "decision, cron_job, template, *, operator_namespace",
}


CLASSES = [
    name
    for name, public in vars(kopia_maint).items()
    if name in kopia_maint.__all__
    and inspect.isclass(public)
    and typing.get_origin(public) is None  # Python 3.10: aliases
]


def shape(name: str) -> str:
    """Return a signature without its types: ``current, request, *, now, policy=``."""
    parts = []
    for parameter in inspect.signature(getattr(kopia_maint, name)).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and "*" not in parts:
            parts.append("*")
        elif parameter.kind is parameter.POSITIONAL_ONLY:
            parts.append("/")
        parts.append(parameter.name + ("" if parameter.default is parameter.empty else "="))
    return ", ".join(parts)


@pytest.mark.parametrize("name", SIGNATURES)
def test_signatures(name: str) -> None:
    """Names of arguments, which of them are by keyword only, and which may be left out."""
    assert shape(name) == SIGNATURES[name]


def test_everything_public_says_where_it_is_imported_from() -> None:
    """Errors, pickles and documentation name things as users import them."""
    for name in kopia_maint.__all__:
        public = getattr(kopia_maint, name)
        if name in CLASSES or inspect.isfunction(public):
            assert (public.__module__, public.__name__) == ("kopia_maint", name)
            assert inspect.getdoc(public)


@pytest.mark.parametrize("name", CLASSES)
def test_the_types_of_every_value_can_be_resolved(name: str) -> None:
    """Libraries that build values from types look names up where a class says that it lives."""
    public = getattr(kopia_maint, name)
    typing.get_type_hints(public)
    if attrs.has(public):
        attrs.resolve_types(public)


def test_enumerations_are_strings() -> None:
    """Compared, shown and written as their values."""
    decision = kopia_maint.resolve(None, ask("team-a/a"), now=NOW)
    assert decision.action == "create"
    assert f"{kopia_maint.Verdict.REJECTED}" == str(kopia_maint.Verdict.REJECTED) == "rejected"
    assert json.dumps(kopia_maint.Action.NONE) == '"none"'
    assert [verdict.name.lower() for verdict in kopia_maint.Verdict] == list(kopia_maint.Verdict)
