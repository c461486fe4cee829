"""Encryption, certificates of clients, and what a server refuses to start with."""

import asyncio
import datetime as dt
import re
import shutil
import ssl
import subprocess
import urllib.request
from pathlib import Path

import grpc
import pytest
import trustme
from click.testing import CliRunner

from support.dark_parts import DarkParts
from support.server import start
from support.waiting import until
from wsisam_server.cli import main
from wsisam_server.cli.app import App, StartError
from wsisam_server.client import Client, ServerError, is_installed
from wsisam_server.core.settings import Settings, Tls
from wsisam_server.core.tls import ServerTls, TlsError
from wsisam_server.service.identity import Role, TokenFile


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    """A lab's certificate authority, a server's certificate, a client's, and another authority with its client."""
    folder = tmp_path_factory.mktemp("pki")
    for name in ("lab", "other"):
        authority = trustme.CA(organization_name=name)
        authority.cert_pem.write_to_path(folder / f"{name}-ca.pem")
        for who in ("server", "client"):
            identity = "localhost" if who == "server" else "anna@lab.example"
            issued = authority.issue_cert(identity, "127.0.0.1") if who == "server" else authority.issue_cert(identity)
            issued.private_key_pem.write_to_path(folder / f"{name}-{who}.key")
            for blob in issued.cert_chain_pems:
                blob.write_to_path(folder / f"{name}-{who}.pem", append=True)
    return folder


@pytest.fixture(scope="module")
def secret(pki):
    return TokenFile(pki / "tokens.json").create("anna", Role.ANNOTATOR, frozenset({"colon"}), None)[1]


@pytest.fixture(scope="module")
def lab(model, pki, secret):
    """On all addresses, as a lab's server: encrypted, and with tokens."""
    tls = Tls(pki / "lab-server.pem", pki / "lab-server.key")
    running, stop = start(model, pki, host="0.0.0.0", tls=tls, tokens=pki / "tokens.json", metrics_port=0)
    yield running
    stop()


@pytest.fixture(scope="module")
def mutual(model, pki):
    tls = Tls(pki / "lab-server.pem", pki / "lab-server.key", pki / "lab-ca.pem")
    running, stop = start(model, pki, tls=tls)
    yield running
    stop()


def test_with_the_labs_authority_and_a_token(lab, pki, secret):
    for target in (lab.target, f"https://{lab.target}", f"https://localhost:{lab.target.rpartition(':')[2]}"):
        with Client(target, ca=pki / "lab-ca.pem", token=secret) as client:
            assert is_installed(client.models()[0])


def test_the_numbers_say_when_the_certificate_ends(lab, pki):
    page = urllib.request.urlopen(f"http://127.0.0.1:{lab.app.metrics_port}/metrics", timeout=30).read().decode()
    (value,) = re.findall(r"^wsisam_certificate_expiry_timestamp_seconds (\S+)$", page, re.MULTILINE)
    said = subprocess.run(
        ["openssl", "x509", "-noout", "-enddate", "-in", pki / "lab-server.pem"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert float(value) == ssl.cert_time_to_seconds(said.stdout.strip().removeprefix("notAfter="))


def test_the_address_beyond_loopback_wants_a_token(lab, pki):
    with Client(lab.target, ca=pki / "lab-ca.pem") as client, pytest.raises(ServerError) as caught:
        client.models()
    assert (caught.value.status, caught.value.reason) == ("UNAUTHENTICATED", "TOKEN_MISSING")


@pytest.mark.parametrize("ca", ["other-ca.pem", None])
def test_an_authority_that_is_not_trusted(lab, pki, secret, ca):
    trusted = None if ca is None else pki / ca
    client = Client(f"https://{lab.target}", ca=trusted, token=secret, timeout=10)
    with client, pytest.raises(ServerError) as caught:
        client.models()
    assert (caught.value.status, caught.value.reason) == ("UNAVAILABLE", "")


def test_nothing_is_answered_without_encryption(lab):
    with Client(lab.target, timeout=10) as client, pytest.raises(ServerError) as caught:
        client.models()
    assert caught.value.status == "UNAVAILABLE"


def test_a_client_without_the_labs_certificate_is_not_let_in(mutual, pki):
    own = {"certificate": pki / "lab-client.pem", "key": pki / "lab-client.key"}
    with Client(mutual.target, ca=pki / "lab-ca.pem", **own) as client:
        assert is_installed(client.models()[0])
    others = {"certificate": pki / "other-client.pem", "key": pki / "other-client.key"}
    for given in ({}, others):
        client = Client(mutual.target, ca=pki / "lab-ca.pem", timeout=10, **given)
        with client, pytest.raises(ServerError) as caught:
            client.models()
        assert caught.value.status == "UNAVAILABLE"


def test_a_token_never_crosses_the_network_in_the_clear(secret):
    for target in ("gpu.lab:8765", "192.0.2.7:8765", "http://gpu.lab:8765"):
        with pytest.raises(ValueError, match="readable for everybody"):
            Client(target, token=secret)
    for target in ("127.0.0.1:8765", "[::1]:8765", "localhost:8765", "https://gpu.lab:8765"):
        Client(target, token=secret).close()


def test_options_of_a_client_that_do_not_fit(pki):
    with pytest.raises(ValueError, match="https://"):
        Client("127.0.0.1:1", certificate=pki / "lab-client.pem", key=pki / "lab-client.key")
    with pytest.raises(ValueError, match="no address"):
        Client("ftp://127.0.0.1:1")
    with pytest.raises(TlsError, match="give both"):
        Client("https://127.0.0.1:1", certificate=pki / "lab-client.pem")


@pytest.mark.parametrize(
    ("certificate", "key", "client_ca", "text"),
    [
        ("missing.pem", "lab-server.key", None, "missing.pem cannot be read"),
        ("lab-server.pem", "other-server.key", None, "no certificate and its key"),
        ("lab-server.key", "lab-server.key", None, "no certificate and its key"),
        ("lab-server.pem", "lab-server.key", "tokens.json", "no certificates in PEM"),
    ],
)
def test_files_that_a_server_cannot_use(model, pki, secret, certificate, key, client_ca, text):
    tls = Tls(pki / certificate, pki / key, None if client_ca is None else pki / client_ca)
    with pytest.raises(StartError, match=text):
        App(Settings(tls=tls), lambda: model)


@pytest.fixture
def ending(pki):
    """Makes a server's certificate that ends in so many days, and returns its files."""

    def made(days, name="ending"):
        authority, now = trustme.CA(), dt.datetime.now(dt.timezone.utc)
        issued = authority.issue_cert("127.0.0.1", not_after=now + dt.timedelta(days=days))
        issued.private_key_pem.write_to_path(pki / f"{name}.key")
        issued.cert_chain_pems[0].write_to_path(pki / f"{name}.pem")
        return Tls(pki / f"{name}.pem", pki / f"{name}.key")

    return made


def test_a_certificate_that_has_expired_is_refused_at_the_start(model, ending):
    with pytest.raises(StartError, match="has expired"):
        App(Settings(tls=ending(-1)), lambda: model)


@pytest.mark.parametrize(("days", "warned"), [(29, True), (31, False)])
def test_the_log_warns_from_thirty_days_before_the_end(ending, caplog, days, warned):
    tls = ServerTls(ending(days))
    assert abs(tls.expiry - dt.datetime.now(dt.timezone.utc) - dt.timedelta(days=days)) < dt.timedelta(minutes=5)
    assert [record.levelname for record in caplog.records] == ["WARNING"] * warned
    assert ("expires on" in caplog.text) is warned


def test_years_after_2050_are_read(ending):
    assert ServerTls(ending(365 * 60)).expiry.year > 2080


@pytest.fixture
def renewing(pki, secret, tmp_path, caplog):
    """A server of the lab's files, and what puts others in their place."""

    def put(*names):
        for name, target in zip(names, ("server.pem", "server.key"), strict=False):
            fresh = tmp_path / "fresh"
            shutil.copy(pki / name, fresh)
            fresh.replace(tmp_path / target)

    caplog.set_level("INFO", logger="wsisam_server.core.tls")
    put("lab-server.pem", "lab-server.key")
    running, stop = start(DarkParts(), tmp_path, tls=Tls(tmp_path / "server.pem", tmp_path / "server.key"))
    yield running, put
    stop()


def answers(running, ca):
    with Client(running.target, ca=ca, timeout=10) as client:
        try:
            return bool(client.models())
        except ServerError as error:
            return error.status != "UNAVAILABLE"


def test_a_renewed_certificate_is_shown_to_new_connections(renewing, pki, caplog):
    running, put = renewing
    lab, other = pki / "lab-ca.pem", pki / "other-ca.pem"
    with Client(running.target, ca=lab, timeout=10) as open_before:
        assert open_before.models()
        put("other-server.pem", "other-server.key")
        assert answers(running, other)
        assert not answers(running, lab)
        assert open_before.models(), "what is open goes on"
    assert "renewed" in caplog.text
    # The port is opened anew when gRPC has given it up.
    asyncio.run_coroutine_threadsafe(running.app._server.stop(None), running.loop).result(10)
    until(lambda: answers(running, other), 10, pause=0.1)
    assert not answers(running, lab)


def test_files_that_cannot_be_used_leave_the_certificate_as_it_is(renewing, pki, caplog):
    running, put = renewing
    lab, other = pki / "lab-ca.pem", pki / "other-ca.pem"
    # The key is not there yet, as between two copies; then a file that is none; then one that is not there.
    put("other-server.pem")
    assert answers(running, lab)
    assert caplog.text.count("was not renewed") == 1
    assert answers(running, lab)
    assert caplog.text.count("was not renewed") == 1, "said once for each change"
    put("tokens.json")
    assert answers(running, lab)
    (running.root / "server.pem").unlink()
    assert answers(running, lab)
    assert caplog.text.count("was not renewed") == 3
    put("other-server.pem", "other-server.key")
    assert answers(running, other)


def test_one_failed_read_of_a_certificate_is_not_remembered(renewing, pki, monkeypatch, caplog):
    running, put = renewing
    read, failing = Path.read_bytes, [True]

    def held(path):
        if path.name == "server.pem" and failing.pop():
            raise PermissionError(13, "a virus scanner has it")
        return read(path)

    put("other-server.pem", "other-server.key")
    monkeypatch.setattr(Path, "read_bytes", held)
    assert answers(running, pki / "lab-ca.pem")
    assert "was not renewed" in caplog.text
    monkeypatch.setattr(Path, "read_bytes", read)
    assert answers(running, pki / "other-ca.pem"), "the files are as they were"


def test_the_command_line_reaches_it(lab, pki, secret, tmp_path, monkeypatch):
    token = tmp_path / "token"
    token.write_text(f"{secret}\n")
    command = ["export", str(tmp_path / "out.geojson"), "--server", lab.target, "--tls-ca", str(pki / "lab-ca.pem")]
    monkeypatch.delenv("WSISAM_STORE")
    shown = {}
    for name, options, variables in (
        ("option", ["--token", secret], {}),
        ("file", ["--token-file", str(token)], {}),
        ("variable", [], {"WSISAM_TOKEN": secret}),
        ("file variable", [], {"WSISAM_TOKEN_FILE": str(token)}),
        ("none", [], {}),
    ):
        shown[name] = CliRunner(env=variables).invoke(main, [*command, *options]).output
    assert "no token" in shown.pop("none")
    assert all("stores no annotations" in text for text in shown.values()), shown


def test_the_authority_in_the_environment(lab, pki, secret):
    variables = {"WSISAM_TLS_CA": str(pki / "lab-ca.pem"), "WSISAM_TOKEN": secret}
    done = CliRunner(env=variables).invoke(main, ["segment", "nothing.svs", "--box", "1,1,9,9", "--server", lab.target])
    assert "cannot open this slide" in done.output


def test_a_channel_without_our_client_is_refused_too(lab, pki):
    trust = grpc.ssl_channel_credentials((pki / "lab-ca.pem").read_bytes())
    with grpc.secure_channel(lab.target, trust) as channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary("/wsisam.v1.Segmentation/ListModels")(b"", timeout=10)
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_an_expired_certificate_takes_no_other_ones_place(renewing, ending, pki, caplog):
    running, put = renewing
    ending(-1)
    put("ending.pem", "ending.key")
    assert answers(running, pki / "lab-ca.pem")
    assert "was not renewed" in caplog.text
    assert "has expired" in caplog.text
