"""`wsisam doctor --config`: what would keep the server from starting, or people out, is found before."""

import datetime as dt

import pytest
import trustme

from wsisam_server.annotations.store import open_store
from wsisam_server.cli import doctor_service as doctor
from wsisam_server.core.settings import Settings, Tls
from wsisam_server.service.identity import Role, TokenFile


def todo(findings):
    return [text for ok, text in findings if not ok]


def test_folders_of_slides_that_are_not_there(tmp_path):
    assert not todo(doctor.slides(Settings(slides=(tmp_path,))))
    (problem,) = todo(doctor.slides(Settings(slides=(tmp_path, tmp_path / "none"))))
    assert str(tmp_path / "none") in problem


@pytest.mark.parametrize(("days", "word"), [(-1, "has expired"), (10, "new one"), (60, None)])
def test_the_end_of_a_certificate(tmp_path, days, word):
    end = dt.datetime.now(dt.timezone.utc) + dt.timedelta(days=days)
    issued = trustme.CA().issue_cert("gpu.lab", not_after=end)
    issued.private_key_pem.write_to_path(tmp_path / "s.key")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "s.pem")
    found = doctor.encryption(Settings(host="0.0.0.0", tls=Tls(tmp_path / "s.pem", tmp_path / "s.key")))
    assert f"{end:%Y-%m-%d}" in found[0][1]
    assert bool(todo(found)) is (word is not None)
    assert word is None or word in found[0][1]


def test_an_address_of_a_lab_needs_a_certificate():
    assert "would not start" in todo(doctor.encryption(Settings(host="0.0.0.0")))[0]
    assert not todo(doctor.encryption(Settings()))


def test_tokens(tmp_path):
    file = tmp_path / "tokens.json"
    here, lab = Settings(tokens=file), Settings(tokens=file, require_tokens=True)
    assert not todo(doctor.tokens(here))
    assert "wsisam token create" in todo(doctor.tokens(lab))[0]
    TokenFile(file).create("anna", Role.ADMIN, frozenset(), None)
    assert not todo(doctor.tokens(lab))
    file.write_text("{", encoding="utf-8")
    assert "nobody is let in" in todo(doctor.tokens(here))[0]


def test_a_store_that_cannot_be_made_and_one_that_is_there(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    assert "would not start" in todo(doctor.store(Settings(store=str(tmp_path / "file" / "s.sqlite"))))[0]
    assert not todo(doctor.store(Settings(store=str(tmp_path / "new" / "s.sqlite"))))
    assert not (tmp_path / "new").exists()
    open_store(str(tmp_path / "s.sqlite")).close()
    assert "0 revisions" in doctor.store(Settings(store=str(tmp_path / "s.sqlite")))[0][1]


def test_a_port_of_an_address_that_is_another_machines():
    assert (
        "no address of this machine" in todo(doctor.metrics(Settings(metrics_host="192.0.2.1", metrics_port=9464)))[0]
    )
