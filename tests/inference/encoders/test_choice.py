"""Which way a model's encoder is run, with OpenVINO, without it, and with one that is broken."""

import logging
import subprocess
import sys
import textwrap

import pytest
import torch

from wsisam_model import WsiSam
from wsisam_server.inference.encoders import EncoderChoice, EncoderError, Processor, library, switching


@pytest.fixture(scope="module")
def model():
    return WsiSam.from_name("wsisam-lite")


@pytest.fixture(autouse=True)
def _torch_again(model):
    yield
    model.encoder_runner = model.encoder


def test_torch_alone_is_the_encoder_itself(model, tmp_path):
    EncoderChoice(tmp_path, "torch").apply(model)
    assert model.encoder_runner is model.encoder
    assert model.encoder_runner.description == "torch"


@pytest.mark.parametrize("way", ["auto", "openvino"])
def test_without_openvino_torch_runs_and_one_line_says_so(model, tmp_path, monkeypatch, caplog, way):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(library, "installed_version", lambda: None)
    EncoderChoice(tmp_path, way, eager=True).apply(model)
    assert model.encoder_runner is model.encoder
    assert model.encoder_runner.description == 'torch: OpenVINO is not installed (pip install ".[openvino]")'
    assert [record.levelname for record in caplog.records] == ["WARNING" if way == "openvino" else "INFO"]


def test_other_number_types_are_torchs(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(library, "installed_version", lambda: "2026.4.1")
    half = WsiSam.from_name("wsisam-lite", dtype="bfloat16")
    EncoderChoice(tmp_path, "openvino").apply(half)
    assert half.encoder_runner is half.encoder
    assert "float32 on the CPU" in caplog.text


@pytest.mark.parametrize(
    ("wanted", "as_good", "processor", "chosen"),
    [
        ("auto", {"bfloat16"}, True, "bfloat16"),
        ("auto", {"bfloat16"}, False, "float32"),
        ("auto", set(), True, "float32"),
        ("float32", {"bfloat16"}, True, "float32"),
        ("bfloat16", set(), True, "bfloat16"),
        ("bfloat16", {"bfloat16"}, False, "float32"),
    ],
)
def test_bfloat16_is_for_weights_that_were_measured_in_it(
    model, tmp_path, monkeypatch, caplog, wanted, as_good, processor, chosen
):
    monkeypatch.setattr(library, "installed_version", lambda: "2026.4.1")
    monkeypatch.setattr(Processor, "has_bfloat16", processor)
    monkeypatch.setattr(model, "encoder_types", as_good)
    made = []
    monkeypatch.setattr(switching, "SwitchingEncoder", lambda *_, **more: made.append(more) or model.encoder)
    EncoderChoice(tmp_path, "openvino", number_type=wanted).apply(model)
    assert [one["number_type"] for one in made] == [chosen]
    # Who asked for it by name is told that it cannot be.
    assert ("no bfloat16" in caplog.text) == (wanted == "bfloat16" and not processor)


def test_the_hash_is_of_the_encoder_that_runs(model):
    changed = WsiSam.from_name("wsisam-lite")
    assert changed.encoder.weights_hash() == model.encoder.weights_hash()
    with torch.no_grad():
        next(iter(changed.encoder.parameters())).view(-1)[0] += 1e-3
    assert changed.encoder.weights_hash() != model.encoder.weights_hash()


def test_reports_nothing_to_anybody(tmp_path):
    """Of a wheel that would report its import: neither what reports is imported, nor is it lost for others."""
    (tmp_path / "openvino_telemetry").mkdir()
    (tmp_path / "openvino_telemetry" / "__init__.py").write_text("open('reported', 'w').close()")
    (tmp_path / "openvino").mkdir()
    (tmp_path / "openvino" / "__init__.py").write_text(
        "try:\n    import openvino_telemetry\nexcept ImportError:\n    stub = True\n"
    )
    program = """
        from wsisam_server.inference.encoders import library
        library.installed_version = lambda: "2026.4.1"
        assert library.import_openvino().stub
        import pathlib
        assert not pathlib.Path("reported").exists()
        import openvino_telemetry
        assert pathlib.Path("reported").exists()
    """
    run(program, tmp_path)


def test_an_installation_that_cannot_be_loaded_is_told(tmp_path):
    (tmp_path / "openvino").mkdir()
    (tmp_path / "openvino" / "__init__.py").write_text("raise OSError('libopenvino.so: no such file')")
    program = """
        from wsisam_server.inference.encoders import EncoderError, library
        library.installed_version = lambda: "2026.4.1"
        try:
            library.import_openvino()
        except EncoderError as error:
            assert "libopenvino.so" in str(error), error
        else:
            raise SystemExit("it was loaded")
    """
    run(program, tmp_path)


def test_where_the_extra_is_missing_everything_else_is_there(tmp_path):
    """In a process in which neither OpenVINO nor its metadata can be found."""
    program = """
        import importlib.metadata, sys
        class Nowhere:
            def find_spec(self, name, path=None, target=None):
                if name.split(".")[0] == "openvino":
                    raise ModuleNotFoundError(name, name=name)
        sys.meta_path.insert(0, Nowhere())
        version = importlib.metadata.version
        def without(name):
            if name == "openvino":
                raise importlib.metadata.PackageNotFoundError(name)
            return version(name)
        importlib.metadata.version = without

        import pathlib
        import numpy as np
        from wsisam_model import WsiSam
        from wsisam_server.inference.encoders import EncoderChoice
        model = EncoderChoice(pathlib.Path("encoders"), eager=True).apply(WsiSam.from_name("wsisam-lite"))
        image = np.random.default_rng(0).integers(0, 255, (112, 112, 3), dtype=np.uint8)
        assert model.features(image, middle=True).embedding.isfinite().all()
        assert model.encoder_runner.description.startswith("torch: OpenVINO is not installed")
        assert not pathlib.Path("encoders").exists()
        assert "openvino" not in sys.modules
    """
    run(program, tmp_path)


@pytest.mark.parametrize("version", ["2024.6.0", "2025.3.0", "nonsense"])
def test_too_old_a_version_is_told(monkeypatch, version):
    monkeypatch.setattr(library, "installed_version", lambda: version)
    with pytest.raises(EncoderError, match="too old"):
        library.import_openvino()


def run(program, folder):
    path = [str(folder), *sys.path]
    program = f"import sys; sys.path[:0] = {path!r}\n{textwrap.dedent(program)}"
    done = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
