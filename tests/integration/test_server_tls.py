"""Servers behind TLS, and headers: what is believed, what is refused, and what is said then."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.servers import revision, value
from tests.support.tls import Certificates, make_certificates, tls_front
from workbench.errors import WorkbenchUsageError
from workbench.server_errors import ServerModeError, ServerUnreachable
from workbench.server_install import ServerInstall
from workbench.targets import servers
from workbench.targets.client import ServerClient
from workbench.targets.process_server import ServerProcess
from workbench.targets.remote import ServerTarget
from workbench.targets.tls import Tls

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def process(
    triton_2410: ServerInstall, files: Certificates, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    """A server whose gRPC port speaks TLS and wants certificates of its clients."""
    more = [
        "--grpc-use-ssl-mutual=true",
        f"--grpc-server-cert={files.server}",
        f"--grpc-server-key={files.server_key}",
        f"--grpc-root-cert={files.ca}",
    ]
    repository = tmp_path_factory.mktemp("models")
    with ServerProcess(
        repository, triton_2410, auto_complete=False, extra_args=more, stop_timeout=3.0
    ) as server:
        yield server


@pytest.fixture
def known() -> Iterator[None]:
    yield
    servers.close_all()


def test_https_with_an_authority_of_ones_own(process: ServerProcess, files: Certificates) -> None:
    with tls_front(process.http_port, files) as port:
        target = ServerTarget("s", ServerClient(f"https://127.0.0.1:{port}", tls=Tls(ca=files.ca)))
        target.push(revision("x + 1"))
        assert value(target) == [2, 3]
        target.unload("m")


def test_a_certificate_nobody_vouches_for(process: ServerProcess, files: Certificates, known: None) -> None:
    with tls_front(process.http_port, files) as port:
        with pytest.raises(ServerUnreachable, match="its certificate is not trusted here") as refused:
            servers.connect(f"https://127.0.0.1:{port}", "s")
        assert refused.value.hint.startswith("--ca FILE")
        # It is for an address, and known by another name.
        with pytest.raises(ServerUnreachable, match="its certificate is for another host name"):
            servers.connect(f"https://localhost:{port}", "s", tls=Tls(ca=files.ca))
    assert servers.names() == []
    url = f"grpcs://{process.grpc_address}"
    with pytest.raises(ServerUnreachable, match="its certificate is not trusted here"):
        ServerClient(url, timeout=20).server()


def test_a_server_that_asks_who_we_are(process: ServerProcess, files: Certificates) -> None:
    ours = Tls(files.ca, files.client, files.client_key)
    with tls_front(process.http_port, files, ask_client=True) as port:
        url = f"https://127.0.0.1:{port}"
        assert ServerClient(url, tls=ours).server()["name"] == "triton"
        with pytest.raises(ServerUnreachable, match="no Triton server answers at"):
            ServerClient(url, tls=Tls(ca=files.ca)).server()
    target = ServerTarget("s", ServerClient(f"grpcs://{process.grpc_address}", tls=ours))
    target.push(revision("x + 1"))
    assert value(target) == [2, 3]
    target.unload("m")
    with pytest.raises(ServerUnreachable):
        ServerClient(f"grpcs://{process.grpc_address}", tls=Tls(ca=files.ca), timeout=20).server()


def test_tls_to_a_server_without(process: ServerProcess, files: Certificates) -> None:
    with pytest.raises(ServerUnreachable, match="before TLS was agreed on"):
        ServerClient(f"https://{process.http_address}", tls=Tls(ca=files.ca)).server()
    with pytest.raises(ServerUnreachable):
        ServerClient(f"http://{process.grpc_address}").server()


def test_files_that_are_none(files: Certificates, tmp_path: Path) -> None:
    with pytest.raises(WorkbenchUsageError, match="cannot read the file of --ca: No such file"):
        Tls(ca=tmp_path / "nosuch.pem")
    (tmp_path / "text.pem").write_text("no certificate")
    with pytest.raises(WorkbenchUsageError, match="the file of --cert is not in PEM form"):
        Tls(certificate=tmp_path / "text.pem", key=files.client_key)
    with pytest.raises(WorkbenchUsageError, match="go together"):
        Tls(certificate=files.client)
    with pytest.raises(WorkbenchUsageError, match="certificates are for https and grpcs, not for http"):
        ServerClient("http://127.0.0.1:9", tls=Tls(ca=files.ca))


def test_headers_reach_the_server(
    triton_2410: ServerInstall, tmp_path: Path, known: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server can be told to take only requests that carry a key."""
    more = ["--grpc-restricted-protocol=model-repository,metadata:admin-key=sesame"]
    with ServerProcess(tmp_path, triton_2410, extra_args=more, stop_timeout=3.0) as process:
        url = f"grpc://{process.grpc_address}"
        variables = {"triton-grpc-protocol-admin-key": "WB_TEST_KEY"}
        with pytest.raises(WorkbenchUsageError, match="WB_TEST_KEY, which is not set"):
            servers.connect(url, "s", headers=variables)
        monkeypatch.setenv("WB_TEST_KEY", "sesame")
        target = servers.connect(url, "s", headers=variables, check=True)
        target.push(revision("x + 1"))
        assert value(target) == [2, 3]
        assert "sesame" not in repr(target)


def test_a_server_in_another_mode(triton_2410: ServerInstall, tmp_path: Path, known: None) -> None:
    more = ["--model-control-mode=none"]
    with ServerProcess(tmp_path, triton_2410, extra_args=more, stop_timeout=3.0) as process:
        for url in (f"http://{process.http_address}", f"grpc://{process.grpc_address}"):
            with pytest.raises(ServerModeError) as refused:
                servers.connect(url, "s", check=True)
            assert "--model-control-mode=explicit" in refused.value.hint
            target = servers.connect(url, "s")
            with pytest.raises(ServerModeError):
                target.push(revision("x"))
            servers.stop("s")
