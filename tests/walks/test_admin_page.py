"""A walk through docs/admin.md on an empty machine: each command as the page has it, and what the page says of it.

Every block of commands on the page is either walked or named below with the reason why not.
"""

import contextlib
import datetime as dt
import os
import re
import shutil
import socket
import ssl
import tempfile
import uuid
from pathlib import Path

import pytest
import shapely

from support.admin_walk import NUMBER, Machine
from support.server import write_picture
from wsisam_server.annotations.store import AnnotationFilter, Content, Draft, SlideRecord, listed, open_store
from wsisam_server.client import Client, ServerError

pytestmark = pytest.mark.slow

NOT_WALKED = {
    "wsisam serve --slides /data/slides --host 0.0.0.0": "the service does, by its configuration",
    "nft add": "a firewall is the machine's own",
    "podman build": "there is no container engine",
    "podman run": "there is no container engine",
    "wsisam serve --print-config >": "walked where the service is installed",
    "embedding_cache_bytes  =": "no command",
    'pip install ".[openvino]"': "tests/inference/encoders",
    "wsisam serve --slides /data/slides --embedding-store": "tests/segmentation/precompute",
    "scrape_configs:": "no command",
    "wsisam: up 32 s": "no command",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "tests/service/tracing",
    "wsisam export outlines.geojson --slide case-7.svs --deidentify": "tests/cli/test_deidentify.py",
}


def blocks(repository):
    """The page's indented blocks by the beginning of each, as lists of commands."""
    text = (repository / "docs" / "admin.md").read_text(encoding="utf-8")
    found = {}
    for block in re.findall(r"(?:^ {4}.*\n)(?:(?: {4}.*)?\n)*", text, re.MULTILINE):
        code = re.sub(r"^ {4}", "", block, flags=re.MULTILINE).strip().replace("\\\n", " ")
        commands = [re.sub(r" {2,}", " ", line) for line in code.splitlines() if line]
        found[commands[0] if commands[0] not in found else f"{commands[0]} (again)"] = commands
    return found


class Page:
    """The commands of the page, each handed out once."""

    def __init__(self, repository):
        self._left = blocks(repository)

    def take(self, beginning):
        (head,) = [head for head in self._left if head.startswith(beginning)][:1]
        return self._left.pop(head)

    @property
    def left(self):
        return [
            head
            for head in self._left
            if not any(" ".join(head.split()).startswith(" ".join(one.split())) for one in NOT_WALKED)
        ]


@pytest.fixture
def machine(repository):
    # Not pytest's own folder, which no other user may enter.
    root = Path(tempfile.mkdtemp(prefix="wsisam-walk-"))
    root.chmod(0o755)
    made = Machine(root, repository)
    yield made
    made.stop()
    shutil.rmtree(root)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def configured(machine, **lines):
    """Edits the configuration as the page says: values of settings, and the files of [tls]."""
    file = machine.root / "etc/wsisam/wsisam.toml"
    text = file.read_text()
    for name, value in lines.items():
        text, count = re.subn(
            rf"^#?{name} =.*$", lambda _, name=name, value=value: f"{name} = {value}", text, count=1, flags=re.MULTILINE
        )
        assert count == 1, name
    file.write_text(text.replace("#[tls]", "[tls]"))


def is_the_services(path):
    return os.geteuid() != 0 or path.stat().st_uid == NUMBER


def draw(client, slide, count):
    record = SlideRecord(slide.slide_id, (slide.uri,))
    drafts = [
        Draft(uuid.uuid4(), Content(slide.slide_id, shapely.box(n, n, n + 9, n + 9), project="colon"), 0)
        for n in range(count)
    ]
    client.store.save(drafts, author="", request_id=uuid.uuid4().hex, slides=[record])


@pytest.mark.timeout(600)  # some forty programs, each of which imports what it needs
def test_each_command_of_the_page_does_what_the_page_says(machine, repository):  # noqa: PLR0915 - one walk
    page, root, port = Page(repository), machine.root, free_port()
    machine.words = {
        "gpu.lab:8765": f"localhost:{port}",
        "gpu.lab": "localhost",
        '"./wsisam-0.2[server]"': '".[server]"',
    }
    folder, write = root / "var/lib/wsisam", write_picture
    write(root / "data/slides/case-7.png")

    for command in page.take("useradd"):
        machine.run(command)
    authority, *certificate = page.take("openssl req -x509")
    machine.run(authority)
    for command in certificate:
        machine.run(command)
    tls = root / "etc/wsisam"
    assert (tls / "server.key").stat().st_mode & 0o077 == 0
    assert is_the_services(tls / "server.key")
    configured(
        machine,
        slides=f'["{root}/data/slides"]',
        host='"0.0.0.0"',
        port=port,
        certificate=f'"{tls}/server.pem"',
        key=f'"{tls}/server.key"',
    )
    doctor, install, token = page.take("sudo -u wsisam wsisam doctor")
    said = machine.run(f"{doctor} || true")
    assert [line for line in said.splitlines() if "TO DO" in line and "tokens" not in line] == [], said
    machine.run(install)
    secret = machine.run(token).strip().splitlines()[-1]
    assert is_the_services(folder / "tokens.json")

    def client(token=secret):
        return Client(f"localhost:{port}", ca=machine.home / "ca.pem", token=token)

    with client() as anna, pytest.raises(ServerError) as refused:
        anna.open_slide(str(root / "data/slides/case-7.png"))
        with client("") as nobody:
            nobody.about()
    assert refused.value.reason == "TOKEN_MISSING"

    # Certificate: who asks is shown when it ends; a new one is shown without a restart.
    (shown,) = page.take("openssl s_client")
    before = machine.run(shown)
    renewed = [line.replace("-days 90", "-days 60") for line in certificate]
    for command in renewed:
        machine.run(command)
    with client() as anna:
        anna.about()
    after = machine.run(shown)
    ends = [ssl.cert_time_to_seconds(one.strip().removeprefix("notAfter=")) for one in (before, after)]
    assert dt.timedelta(seconds=ends[0] - ends[1]).days in {29, 30}

    # Tokens: each is listed, and refused once it is revoked.
    another, listing, revoke = page.take("wsisam token create anna --project colon --expires 365d")
    machine.run(another)
    (invite,) = page.take("wsisam token create anna --project colon --expires 365d --invite")
    machine.run(invite)
    assert (machine.home / "anna.wsisam").stat().st_mode & 0o077 == 0
    assert machine.run(listing).count("anna") == 3
    with client() as anna:
        slide = anna.open_slide(str(root / "data/slides/case-7.png"))
        draw(anna, slide, 10)
        (mkdir, backup) = page.take("mkdir -p /backup")
        machine.run(mkdir)
        machine.run(backup)
        draw(anna, slide, 5)
        assert len(slide.annotations()) == 15
        identity = anna.store.identity

    for command in page.take("systemctl stop wsisam"):
        said = machine.run(command)
        if "db check" in command:
            assert "10 annotations" in said
            assert "no problems" in said
    assert is_the_services(folder / "annotations.sqlite")
    with client() as anna:
        assert len(anna.open_slide(str(root / "data/slides/case-7.png")).annotations()) == 10
        assert anna.store.identity != identity

    # The audit trail: what was printed is still true later.
    (check,) = page.take("sudo -u wsisam wsisam db check")
    (newest,) = re.findall(r"newest digest: (\S+)", machine.run(check))
    machine.run(f"{check.partition('#')[0]} --kept {newest}")

    for command in page.take("python3 -m venv /opt/wsisam-0.2"):
        machine.run(command)
    assert (root / "opt/wsisam").resolve().name == "wsisam-0.2"
    with client() as anna:
        assert len(anna.open_slide(str(root / "data/slides/case-7.png")).annotations()) == 10
        machine.run(revoke)
        with pytest.raises(ServerError) as refused:
            anna.about()
    assert refused.value.reason == "TOKEN_INVALID"
    assert all(is_the_services(path) for path in folder.rglob("*"))
    assert [head for head in page.left if not head.startswith(("pg_dump", "createdb"))] == []


def test_the_commands_for_postgresql(repository, postgres, tmp_path, monkeypatch):
    url = postgres()
    with open_store(url) as place:
        content = Content("5e" * 32, shapely.box(0, 0, 9, 9))
        place.save([Draft(uuid.uuid4(), content, 0)], author="anna", request_id="1")
        identity = place.identity
    page, machine = Page(repository), Machine(tmp_path / "machine", repository)
    server, _, schema = url.partition("&options")
    other = re.sub(r"/postgres\?", "/annotations2?", server) + f"&options{schema}"
    (folder,) = re.findall(r"host=([^&]+)", server)
    monkeypatch.setenv("PGHOST", folder.replace("%2F", "/"))
    monkeypatch.setenv("PGUSER", "wsisam")
    machine.words = {"postgresql://lab@db/annotations2": other, "postgresql://lab@db/annotations": url}
    pip = machine.root / "usr/local/bin/wsisam"
    machine._program(pip, "wsisam")
    (dump,) = page.take("pg_dump")
    machine.run(dump)
    create, *restore = page.take("createdb")
    with contextlib.suppress(AssertionError):
        machine.run("dropdb annotations2")
    machine.run(create)
    said = [machine.run(command) for command in restore]
    assert "1 annotations" in said[-1]
    with open_store(other) as place:
        assert len(listed(place, AnnotationFilter())[0]) == 1
        assert place.identity != identity


def test_a_block_that_is_new_on_the_page_must_be_walked(repository):
    """The reasons above are of blocks that are there; each other one is walked by the tests above, which say so."""
    heads = [" ".join(head.split()) for head in blocks(repository)]
    for one in NOT_WALKED:
        assert any(head.startswith(" ".join(one.split())) for head in heads), one
