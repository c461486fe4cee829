"""`wsisam token`."""

import json
import os
import stat
import tempfile
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from click.testing import CliRunner

from wsisam_server.cli import main, service_files
from wsisam_server.service.identity import Keyring, Role, TokenFile


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("WSISAM_TOKENS", str(tmp_path / "tokens.json"))
    return tmp_path / "tokens.json"


def run(*arguments, status=0):
    done = CliRunner().invoke(main, ["token", *arguments])
    assert done.exit_code == status, done.output
    assert "Traceback" not in done.output
    return done


def test_the_token_alone_is_printed_and_never_again(place):
    secret = run("create", "anna", "--project", "colon").stdout.strip()
    assert Keyring(place).user(secret).name == "anna"
    assert secret not in run("list").output
    assert secret not in run("list", "--json").output


def test_tokens_are_listed_with_what_they_are_for(place):
    run("create", "anna", "--project", "colon", "--project", "skin", "--expires", "90d")
    run("create", "boss", "--role", "admin")
    run("create", "eva", "--role", "reader", "--project", "*")
    anna, boss, eva = run("list").stdout.splitlines()
    assert "anna  annotator  colon, skin  until 20" in anna
    assert "boss  admin  everything  never expires" in boss
    assert "eva  reader  all projects" in eva
    first = json.loads(run("list", "--json").stdout)[0]
    assert (first["name"], first["role"], first["projects"]) == ("anna", "annotator", ["colon", "skin"])
    left = datetime.fromisoformat(first["expires"]) - datetime.now(timezone.utc)
    assert timedelta(days=89) < left <= timedelta(days=90)


def test_revoking_by_name_or_id(place):
    run("create", "anna")
    run("create", "ben")
    anna, ben = TokenFile(place).tokens()
    assert "revoked" in run("revoke", "anna").stdout
    assert "revoked" in run("revoke", ben.id).stdout
    assert "there are no tokens" in run("list").output
    assert "no token 'anna'" in run("revoke", "anna", status=1).output
    assert anna.user.role is Role.ANNOTATOR


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (["anna", "--expires", "tomorrow"], 2, "90d"),
        (["anna", "--expires", "2001-01-31"], 2, "is over"),
        (["anna", "--expires", "99999d"], 0, ""),
        (["anna", "--role", "surgeon"], 2, "annotator"),
        (["an na"], 1, "no name"),
        (["eva", "--role", "reader"], 2, "--project"),
    ],
)
def test_refusals(place, arguments, status, text):
    assert text in run("create", *arguments, status=status).output


PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


@pytest.fixture
def ca(tmp_path):
    file = tmp_path / "ca.pem"
    file.write_text(f"{PEM}-----BEGIN PRIVATE KEY-----\nsecret\n-----END PRIVATE KEY-----\n{PEM}")
    return file


def test_an_invitation_holds_address_authority_and_token(place, ca, tmp_path):
    file = tmp_path / "anna.wsisam"
    options = ("--project", "colon", "--expires", "90d", "--server", "https://gpu.lab:8765", "--ca", str(ca))
    done = run("create", "anna", "--invite", str(file), *options)
    invited = json.loads(file.read_text(encoding="utf-8"))
    assert Keyring(place).user(invited["token"]).name == "anna"
    assert invited["token"] not in done.output
    assert (invited["wsisam_invitation"], invited["server"], invited["user"]) == (1, "https://gpu.lab:8765", "anna")
    assert invited["certificates"] == PEM + PEM
    assert datetime.fromisoformat(invited["expires"]) == TokenFile(place).tokens()[0].expires
    if os.name == "posix":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_no_token_is_made_where_the_invitation_cannot_be_written(place, tmp_path):
    there = tmp_path / "there.wsisam"
    there.write_text("somebody's")
    server = ("--server", "https://gpu.lab:8765")
    for file, text in ((there, "is there already"), (tmp_path / "no" / "folder.wsisam", "cannot write")):
        assert text in run("create", "anna", "--invite", str(file), *server, status=1).output
    assert there.read_text() == "somebody's"
    assert "there are no tokens" in run("list").output


def test_no_invitation_is_left_where_no_token_is_made(place, tmp_path):
    file = tmp_path / "x.wsisam"
    run("create", "an\na", "--invite", str(file), "--server", "gpu.lab", status=1)
    assert not file.exists()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--invite", "x.wsisam"), "--server https://HOST:PORT"),
        (("--server", "gpu.lab"), "give --invite FILE"),
    ],
)
def test_an_invitation_names_the_server_and_only_that(place, tmp_path, monkeypatch, arguments, text):
    monkeypatch.chdir(tmp_path)
    assert text in run("create", "anna", *arguments, status=2).output
    assert list(tmp_path.glob("*.wsisam")) == []


@pytest.fixture
def service(tmp_path, monkeypatch):
    """A machine with a service: its configuration, and its user, who is not who runs the command."""
    monkeypatch.delenv("WSISAM_TOKENS", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "own"))
    monkeypatch.setattr(service_files, "CONFIGURATION", tmp_path / "wsisam.toml")
    monkeypatch.setattr(service_files, "_user_id", lambda _: os.geteuid() + 1)
    return tmp_path


def test_the_services_configuration_says_where_its_tokens_are(service):
    (service / "wsisam.toml").write_text(f'tokens = "{service}/its.json"\n', encoding="utf-8")
    assert f"in {service}/its.json" in run("create", "bob", "--project", "colon").stderr
    assert "bob" in run("list").stdout
    assert f"in {service}/its.json" in run("revoke", "bob").stderr
    assert f"in {service}/its.json" in run("revoke", "bob", status=1).output
    assert not (service / "own").exists()


@pytest.mark.parametrize("configuration", ["", "port = 9000\n"])
def test_another_users_command_does_not_guess(service, configuration):
    if configuration:
        (service / "wsisam.toml").write_text(configuration, encoding="utf-8")
    for words in (["create", "bob", "--project", "colon"], ["list"], ["revoke", "bob"]):
        said = run(*words, status=1).output
        assert "sudo -u wsisam" in said
        assert "--tokens FILE" in said
    assert not (service / "own").exists()
    run("create", "bob", "--project", "colon", "--tokens", str(service / "said.json"))


def test_a_users_own_server_needs_no_service(service, monkeypatch):
    monkeypatch.setattr(service_files, "_user_id", lambda _: None)
    assert f"{service}/own" in run("create", "bob", "--project", "colon").stderr


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root makes what is another's")
def test_what_root_makes_is_the_services(tmp_path):
    os.chown(tmp_path, 10001, 10001)
    file = tmp_path / "tokens.json"
    for _ in range(2):
        TokenFile(file).create("anna", Role.ADMIN, frozenset(), None)
        for made in (file, tmp_path / "tokens.json.lock"):
            assert (made.stat().st_uid, made.stat().st_gid) == (10001, 10001)
        assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.process
@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root becomes another")
def test_a_lock_that_root_left_keeps_nobody_from_revoking():
    # pytest's own folders are root's alone: the other user could not even enter them
    with tempfile.TemporaryDirectory() as folder:
        _revoked_by_another(Path(folder))


def _revoked_by_another(tmp_path):
    TokenFile(tmp_path / "tokens.json").create("anna", Role.ADMIN, frozenset(), None)
    for one in (tmp_path, tmp_path / "tokens.json"):
        os.chown(one, 10001, 10001)
    lock = tmp_path / "tokens.json.lock"
    lock.write_bytes(b"")
    os.chown(lock, 0, 0)
    lock.chmod(0o600)
    child = os.fork()
    if child == 0:
        os.chdir(tmp_path)
        os.setuid(10001)
        try:
            os._exit(0 if TokenFile(Path("tokens.json")).revoke("anna") else 1)
        except BaseException:  # noqa: BLE001 - nothing of pytest runs in this process
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
