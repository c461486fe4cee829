"""What a log line says of its caller and of slides' paths."""

import io
import logging

import pytest

from wsisam_server.errors import Reason, WsiSamServerError
from wsisam_server.interceptors import LogContext, normalized

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
    yield WsiSamServerError(Reason.SLIDE_UNREADABLE, private=repr(file), place=PATH)
    yield WsiSamServerError(Reason.SLIDE_NOT_FOUND, private=f"cannot open {PATH.rpartition('/')[2]}", place=PATH)
    yield WsiSamServerError(Reason.SLIDE_NOT_FOUND, place=PATH)
    try:
        raise file
    except OSError as error:
        yield error


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
