"""Consoles that cannot show a name, devices and addresses that a command is given."""

import io
import sys

import pytest
from click.testing import CliRunner

from wsisam_server.annotations.store import open_store
from wsisam_server.cli import main
from wsisam_server.cli.dataset import _ADDRESS


def test_a_name_that_the_console_cannot_show_ends_no_command(tmp_path, monkeypatch):
    """As Windows redirects output: in cp1252, which has some 200 letters."""
    store, out = tmp_path / "s.sqlite", tmp_path / "症例.geojson"
    open_store(str(store)).close()
    shown = io.TextIOWrapper(io.BytesIO(), encoding="cp1252", write_through=True)
    monkeypatch.setattr(sys, "stdout", shown)
    with pytest.raises(SystemExit) as ended:
        main(["export", str(out), "--store", str(store)])
    assert ended.value.code == 0
    assert out.is_file()
    assert b"??.geojson: 0 annotations" in shown.buffer.getvalue()


@pytest.mark.model
@pytest.mark.parametrize("device", ["mps", "xpu", "meta", "nonsense"])
def test_a_device_that_was_never_tried_is_wrong_usage(tmp_path, device):
    there = tmp_path / "there.png"
    there.write_bytes(b"")
    done = CliRunner().invoke(main, ["segment", str(there), "--box", "0,0,9,9", "--device", device])
    assert (done.exit_code, done.exception.__class__) == (2, SystemExit)
    assert "se auto, cpu, cuda or cuda:N" in done.output.replace("\n", " ")


@pytest.mark.parametrize("place", ["https://[::1]:9464", "::1:9464", "gpu.lab:nothing"])
def test_addresses_of_numbers_that_are_none(place):
    done = CliRunner().invoke(main, ["top", "--once", "--metrics", place])
    assert done.exit_code == 2
    assert "HOST:PORT" in done.output or "write [::1]:9464" in done.output


@pytest.mark.parametrize("source", ["gpu.lab:8765", "[::1]:8765", "https://gpu.lab", "HTTPS://gpu.lab:8765/"])
def test_a_data_set_of_a_server_takes_what_other_commands_take(source):
    assert _ADDRESS.fullmatch(source)
