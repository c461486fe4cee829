"""What a log line says of its caller and of slides' paths."""

import io
import json
import logging

import pytest

from wsisam_server.core.errors import Reason, WsiSamServerError
from wsisam_server.service.interceptors import JsonLines, LogContext, normalized

PATH = "/data/slides/Müller, Anna 1957/biopsy 'a'.svs"


@pytest.fixture
def written():
    """The log as a handler writes it."""
    stream = io.StringIO()
    logger = logging.getLogger("wsisam_server")
    before = logger.level
    logger.setLevel(logging.INFO)
    handlers = []

    def log(*, hide_paths):
        handler = logging.StreamHandler(stream)
        handler.addFilter(LogContext(hide_paths=hide_paths))
        handler.setFormatter(logging.Formatter("%(user)s %(request_id)s %(message)s"))
        logger.addHandler(handler)
        handlers.append(handler)
        return stream

    yield log
    for handler in handlers:
        logger.removeHandler(handler)
    logger.setLevel(before)


def failures():
    file = FileNotFoundError(2, "No such file or directory", PATH)
    yield WsiSamServerError(Reason.SLIDE_UNREADABLE, private=repr(file), path=PATH)
    yield WsiSamServerError(Reason.SLIDE_NOT_FOUND, private=f"cannot open {PATH.rpartition('/')[2]}", path=PATH)
    yield WsiSamServerError(Reason.SLIDE_NOT_FOUND, path=PATH)
    try:
        raise file
    except OSError as error:
        yield error


def test_a_json_line_is_one_line_whatever_is_in_it(written):
    log = written(hide_paths=True)
    logging.getLogger("wsisam_server").handlers[-1].setFormatter(JsonLines())
    for failure in failures():
        normalized(failure)
    logging.getLogger("wsisam_server").info("two\nlines \u2028 and \x1b[2J")
    lines = [json.loads(line) for line in log.getvalue().split("\n")[:-1]]
    assert [line["level"] for line in lines] == ["info", "info", "info", "error", "info"]
    assert lines[-1]["message"] == "two\nlines \u2028 and \x1b[2J"
    assert "FileNotFoundError (text hidden)" in lines[3]["error"]
    assert {line["user"] for line in lines} == {"-"}
    assert all(line["time"].endswith("+00:00") for line in lines)
    assert "Müller" not in log.getvalue()


def test_paths_are_written_unless_they_are_to_be_hidden(written):
    log = written(hide_paths=False)
    for failure in failures():
        normalized(failure)
    assert log.getvalue().count(PATH.rpartition("/")[0]) == 4
    assert log.getvalue().startswith("- - ")


def test_hidden_paths_have_one_name_each_and_say_nothing(written):
    log = written(hide_paths=True)
    for failure in failures():
        normalized(failure)
    text = log.getvalue()
    assert not any(part in text for part in ("Müller", "biopsy", "slides/"))
    names = {word.strip("(:'\",)") for word in text.split() if "path-" in word}
    assert len(names) == 1
    assert "FileNotFoundError (text hidden)" in text
    assert "test_log_context.py" in text  # where it happened is still there
