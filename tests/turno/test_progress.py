"""What a command does is shown on stderr while it does it."""

import pytest

from shared.logs import configure_logging, get_logger
from turno.models.progress import shown_log


def test_what_is_logged_is_shown_whichever_loggers_are_in_use_already(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("DEBUG")
    log = get_logger("in use")
    log.info("before")  # from now on it is bound to what was configured
    configure_logging("DEBUG")
    with shown_log():
        log.info("loading", model="leaf")
        log.debug("a detail")
    log.info("after")
    told = capsys.readouterr()
    assert told.err == "loading (model leaf)\n"
    assert '"before"' in told.out
    assert '"after"' in told.out
    assert "loading" not in told.out
