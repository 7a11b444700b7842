"""
Which API server is there to test against? The real one, which each run starts for itself, with its etcd.

``make cluster`` builds the two programs; where ``KUBEBUILDER_ASSETS`` names a folder, that folder's are used.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import urllib3
import yaml
from attrs import frozen

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "kopf-operator"
GO = EXAMPLE.with_name("go-operator")
ASSETS = Path(os.environ.get("KUBEBUILDER_ASSETS") or Path(__file__).with_name("server") / "bin")
NAMESPACES = ("volsync-system", "team-a", "team-b", "my-app", "team-z")
ADMIN = "admin"
OPERATOR = "system:serviceaccount:volsync-system:kopia-maint"
JOBS = "/apis/batch/v1/namespaces/volsync-system/cronjobs"
EVENTS = "/apis/events.k8s.io/v1/namespaces/volsync-system/events"
SOURCES = "/apis/volsync.backube/v1alpha1/replicationsources"


class Refused(Exception):
    """The server's answer was an error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(status, message)
        self.status = status


class Api:
    """
    Plain HTTP with one user's token, over a connection that is kept.

    Attributes:
        warning: What the latest answer warned of.
    """

    warning = ""

    def __init__(self, server: Server, user: str) -> None:
        self._url = server.url
        self._headers = {"Authorization": f"Bearer {server.tokens[user]}"}
        self._pool = urllib3.PoolManager(ca_certs=str(server.certificate), retries=False)

    def __call__(self, method: str, path: str, body: Any = None) -> Any:
        """Return what the server answers; a body that is sent with PATCH is a merge patch."""
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        headers = {**self._headers, "Content-Type": kind, "Accept": "application/json"}
        content = None if body is None else json.dumps(body).encode()
        answer = self._pool.request(method, self._url + path, body=content, headers=headers)
        self.warning = answer.headers.get("Warning", "")
        if answer.status >= 400:
            raise Refused(answer.status, json.loads(answer.data)["message"])
        return json.loads(answer.data)

    def create(self, manifest: Any, query: str = "") -> Any:
        """Create an object of any kind."""
        return self("POST", collection(manifest) + query, manifest)


@frozen
class Server:
    """A server that runs: where, whom it trusts, and the certificate to trust it by."""

    url: str
    certificate: Path
    tokens: dict[str, str]
    folder: Path

    def kubeconfig(self, user: str, url: str = "") -> Path:
        """Write the configuration of a client that is that user; through a proxy, if one is named."""
        path = self.folder / f"{user.rpartition(':')[2]}-{(url or self.url).rpartition(':')[2]}.kubeconfig"
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {"name": "test", "cluster": {"server": url or self.url, "certificate-authority": str(self.certificate)}}
            ],
            "users": [{"name": "test", "user": {"token": self.tokens[user]}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
            "current-context": "test",
        }
        path.write_text(yaml.safe_dump(content))
        return path


@contextmanager
def api_server(folder: Path) -> Generator[Server]:
    """Run a server that has the example's definition and rights, and some namespaces."""
    key, certificate, trusted = folder / "server.key", folder / "server.crt", folder / "tokens.csv"
    name = ["-subj", "/CN=kube-apiserver", "-addext", "subjectAltName=IP:127.0.0.1"]
    signed = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *name]
    subprocess.run([*signed, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    tokens = {user: secrets.token_hex() for user in (ADMIN, OPERATOR)}
    groups = {ADMIN: "system:masters", OPERATOR: "system:serviceaccounts"}
    trusted.write_text("".join(f'{token},{user},{user},"{groups[user]}"\n' for user, token in tokens.items()))
    clients, peers, port = free_port(), free_port(), free_port()
    etcd = [
        ASSETS / "etcd",
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls=http://127.0.0.1:{clients}",
        f"--advertise-client-urls=http://127.0.0.1:{clients}",
        f"--listen-peer-urls=http://127.0.0.1:{peers}",
        "--unsafe-no-fsync",
    ]
    kube_apiserver = [
        ASSETS / "kube-apiserver",
        f"--etcd-servers=http://127.0.0.1:{clients}",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        f"--tls-cert-file={certificate}",
        f"--tls-private-key-file={key}",
        f"--service-account-key-file={key}",
        f"--service-account-signing-key-file={key}",
        "--service-account-issuer=https://127.0.0.1",
        "--service-cluster-ip-range=10.0.0.0/24",
        "--endpoint-reconciler-type=none",
        "--authorization-mode=RBAC",
        f"--token-auth-file={trusted}",
    ]
    server = Server(f"https://127.0.0.1:{port}", certificate, tokens, folder)
    with running(etcd, folder / "etcd.log"), running(kube_apiserver, folder / "kube-apiserver.log"):
        until(lambda: answers(server, "/readyz"), 120)
        api = Api(server, ADMIN)
        for namespace in NAMESPACES:
            api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        for file in ("crd.yaml", "rbac.yaml"):
            for manifest in yaml.safe_load_all((EXAMPLE / file).read_text()):
                api.create(manifest)
        until(lambda: answers(server, SOURCES))
        yield server


def answers(server: Server, path: str) -> bool:
    """Return whether the server is there, and serves that."""
    headers = {"Authorization": f"Bearer {server.tokens[ADMIN]}"}
    with urllib3.PoolManager(ca_certs=str(server.certificate), retries=False) as pool:
        try:
            return pool.request("GET", server.url + path, headers=headers).status == 200
        except urllib3.exceptions.HTTPError:
            return False


def collection(manifest: Any) -> str:
    """Return the path that objects of this kind, in this namespace, are created under."""
    version, kind, namespace = manifest["apiVersion"], manifest["kind"].lower(), manifest["metadata"].get("namespace")
    plural = f"{kind[:-1]}ies" if kind.endswith("y") else f"{kind}s"
    return f"/{'apis' if '/' in version else 'api'}/{version}{f'/namespaces/{namespace}' * bool(namespace)}/{plural}"


def operators(folder: Path) -> dict[str, list[Any]]:
    """Return what starts the example operators, as their READMEs say; the one in Go is built into *folder*."""
    subprocess.run(["go", "build", "-o", folder / "operator", "."], cwd=GO, check=True)
    return {
        "python": [sys.executable, "-m", "kopf", "run", "--standalone", "-A", EXAMPLE / "maintenance.py"],
        "go": [folder / "operator", GO / "cronjob.yaml"],
    }


@contextmanager
def running(command: list[Any], log: Path, **environment: str) -> Generator[subprocess.Popen[bytes]]:
    """Run a process for as long as the block lasts; killed, not asked, so that nothing may depend on its farewell."""
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env={**os.environ, **environment})
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def until(holds: Callable[[], Any], seconds: float = 30) -> None:
    """Wait until something holds; how long it takes is no matter."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it never came to hold"
        time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
