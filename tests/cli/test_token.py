"""`wsisam token`."""

import json
from datetime import datetime, timedelta, timezone

import pytest
from click.testing import CliRunner

from wsisam_server.cli import main
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
