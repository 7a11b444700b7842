"""The names and shapes that users rely on: a change here breaks somebody's operator."""

from __future__ import annotations

import inspect

import pytest

import kopia_maint

SIGNATURES = {
    "Claim": "schedule, since",
    "Conflict": "*, namespace, schedule, since, name=, policy=",
    "CronJobState": "repository_hash, schedule, owner, claims, latest_conflict=, repository_name=",
    "CustomCA": "secret_name=, config_map_name=, key=",
    "Repository": "secret_name, custom_ca=",
    "Reconciliation": "*, current, desired, verdicts, conflicts, before=",
    "Resolution": "*, request, current, desired, verdict, conflict",
    "SourceRef": "namespace, name",
    "SourceRequest": "source, repository, schedule=, enabled=, created_at=",
    "hand_over": "current, namespace, *, policy=",
    "manifest_from_state": "state, template, *, operator_namespace=",
    "patch_from_state": "state, manifest",
    "plan": "states, requests, *, now, policy=, unreadable=",
    "reconcile": "current, requests, *, now, policy=, unreadable=",
    "request_from_manifest": "replication_source",
    "resolve": "current, request, *, now, policy=",
    "state_from_manifest": "cron_job",
}


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
