import json
import stat
import threading
from datetime import datetime, timedelta, timezone

import pytest

from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.service.identity import LOCAL, Keyring, Role, TokenError, TokenFile


@pytest.fixture
def file(tmp_path):
    return TokenFile(tmp_path / "made with it" / "tokens.json")


def make(file, name="anna", role=Role.ANNOTATOR, projects=("colon",), expires=None):
    return file.create(name, role, frozenset(projects), expires)


def refusal(call, *args):
    with pytest.raises(WsiSamServerError) as caught:
        call(*args)
    return caught.value.reason


@pytest.mark.parametrize(
    ("claimed", "author"),
    [
        ("", "anna"),
        ("ben", "anna"),
        ("qupath:ben", "qupath:anna"),
        ("replay:wsisam-lite", "replay:anna"),
        ("qupath", "anna"),
        ("ben:qupath", "anna"),
        ("qupath:ben:x", "qupath:anna"),
    ],
)
def test_a_request_says_through_what_a_change_was_made_and_not_whose_it_is(file, claimed, author):
    user = make(file)[0].user
    assert user.author(claimed) == author
    assert author in user.authors
    assert LOCAL.author(claimed) == claimed


def test_a_token_says_who_has_it(file):
    token, secret = make(file)
    user = Keyring(file.path).user(secret)
    assert (user.name, user.role, user.projects, user.token_id) == ("anna", Role.ANNOTATOR, {"colon"}, token.id)
    assert file.tokens() == [token]


def test_the_file_has_only_hashes_and_is_its_owners(file):
    _, secret = make(file)
    assert secret not in file.path.read_text()
    assert secret.split("_", 2)[2] not in file.path.read_text()
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600


def test_any_letter_counts(file):
    _, secret = make(file)
    keyring = Keyring(file.path)
    for wrong in (secret[:-1], secret + "A", secret[:-1] + ("A" if secret[-1] != "A" else "B"), secret.upper()):
        assert refusal(keyring.user, wrong) is Reason.TOKEN_INVALID


@pytest.mark.parametrize(
    "secret",
    ["", "wsisam_", "wsisam__", "wsisam_00000000_", "secret", "ä", "\ud800".encode("utf-8", "replace").decode()],
)
def test_what_is_no_token(file, secret):
    make(file)
    assert refusal(Keyring(file.path).user, secret) is Reason.TOKEN_INVALID


def test_a_keyring_follows_its_file(file):
    keyring = Keyring(file.path)
    assert refusal(keyring.user, "wsisam_x_y") is Reason.TOKEN_INVALID
    (one, first), (_, second) = make(file), make(file, "ben")
    assert keyring.user(first).name == "anna"
    assert keyring.user(second).name == "ben"
    assert file.revoke(one.id) == [one]
    assert refusal(keyring.user, first) is refusal(keyring.check, one.id) is Reason.TOKEN_INVALID
    assert keyring.user(second).name == "ben"


def test_a_file_that_is_gone_is_no_fault_of_the_tokens(file, caplog):
    _, secret = make(file)
    keyring = Keyring(file.path)
    assert keyring.user(secret).name == "anna"
    away = file.path.rename(file.path.with_name("away"))
    for _ in range(3):
        assert refusal(keyring.user, secret) is refusal(keyring.check, "x") is Reason.TOKENS_UNAVAILABLE
    (said,) = caplog.records
    assert (said.levelname, str(file.path) in said.message) == ("ERROR", True), "said once, and where"
    away.rename(file.path)
    assert keyring.user(secret).name == "anna"
    assert caplog.records[-1].levelname == "WARNING"


def test_one_failed_read_is_not_remembered(file, monkeypatch, caplog):
    _, secret = make(file)
    keyring = Keyring(file.path)
    read = file.path.__class__.read_text

    def held(path, *args, **named):
        monkeypatch.setattr(file.path.__class__, "read_text", read)
        raise PermissionError(13, "a virus scanner has it")

    monkeypatch.setattr(file.path.__class__, "read_text", held)
    assert refusal(keyring.user, secret) is Reason.TOKENS_UNAVAILABLE
    assert keyring.user(secret).name == "anna", "the file is as it was"
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]


def test_a_name_stands_for_all_of_a_users_tokens(file):
    made = [make(file)[0], make(file)[0], make(file, "ben")[0]]
    assert file.revoke("anna") == made[:2]
    assert file.tokens() == made[2:]
    with pytest.raises(TokenError, match="anna"):
        file.revoke("anna")


def test_a_token_ends(file):
    soon = datetime.now(timezone.utc) + timedelta(seconds=0.3)
    token, secret = make(file, expires=soon)
    keyring = Keyring(file.path)
    assert keyring.user(secret).name == "anna"
    threading.Event().wait(0.4)
    assert refusal(keyring.user, secret) is refusal(keyring.check, token.id) is Reason.TOKEN_EXPIRED


@pytest.mark.parametrize(
    "damage",
    ["", "{", "[]", '{"format": 2, "tokens": []}', '{"format": 1, "tokens": [{}]}', '{"format": 1, "tokens": [1]}'],
)
def test_a_file_that_cannot_be_read_lets_nobody_in(file, damage):
    _, secret = make(file)
    keyring = Keyring(file.path)
    keyring.user(secret)
    file.path.write_text(damage)
    assert refusal(keyring.user, secret) is Reason.TOKENS_UNAVAILABLE
    with pytest.raises(TokenError):
        make(file)
    assert file.path.read_text() == damage


def test_a_time_without_its_zone_is_damage(file):
    _, secret = make(file, expires=datetime(2100, 1, 1, tzinfo=timezone.utc))
    content = json.loads(file.path.read_text())
    content["tokens"][0]["expires"] = "2100-01-01T00:00:00"
    file.path.write_text(json.dumps(content))
    assert refusal(Keyring(file.path).user, secret) is Reason.TOKENS_UNAVAILABLE


@pytest.mark.parametrize("name", ["", " ", "an na", "anna\n", "-anna", "a" * 65, "a/b", "a\x1b[2J"])
def test_names_that_could_forge_a_log_line(file, name):
    with pytest.raises(TokenError):
        make(file, name)
    assert not file.path.exists()


@pytest.mark.parametrize(
    ("known", "name"),
    [
        ("anna", "\N{CYRILLIC SMALL LETTER A}nna"),
        ("anna", "\N{FULLWIDTH LATIN SMALL LETTER A}nna"),
        ("anna", "\N{LATIN SMALL LETTER ALPHA}nna"),
        ("anna", "anna\N{HANGUL FILLER}"),
        ("oscar", "\N{GREEK SMALL LETTER OMICRON}scar"),
        ("caco", "сасо"),  # noqa: RUF001 - all of it Cyrillic
        ("сасо", "caco"),  # noqa: RUF001
        ("TOM", "ΤΟΜ"),  # noqa: RUF001 - all of it Greek
        ("noël", "no\N{CYRILLIC SMALL LETTER IO}l"),
    ],
)
def test_a_name_that_looks_like_another_users_is_refused(file, known, name):
    make(file, known)
    before = file.path.read_bytes()
    with pytest.raises(TokenError, match=r"looks like|mixes letters"):
        make(file, name)
    assert file.path.read_bytes() == before


def test_names_of_one_script_and_a_users_second_token(file):
    names = [
        "anna",
        "Anna",
        "anna1",
        "annal",
        "иван",
        "іван",
        "Ольга",
        "νίκος",
        "田中",
        "田中さくら",
        "tanaka-田中",
        "김철수",
    ]
    for name in (*names, "anna", "иван", "müller@lab.example", "o_o"):
        assert make(file, name)[0].user.name == name


def test_several_make_tokens_at_once(file):
    threads = [threading.Thread(target=make, args=(file, f"user{number}")) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({token.user.name for token in file.tokens()}) == 8
    assert sorted(path.name for path in file.path.parent.iterdir()) in (
        ["tokens.json"],
        ["tokens.json", "tokens.json.lock"],
    )
