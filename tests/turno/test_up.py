"""`turno up` with stand-ins for the heavy processes: order, readiness, restarts, the end."""

import os
import signal
from pathlib import Path

import pytest

from tests.turno.conftest import Start, Started
from tests.turno.processes import is_alive, pid_in
from tests.waiting import wait_for

# the stand-ins leave their process number; the API's answers 200 on /readyz once the worker's is there
_STAND_INS = """
import dataclasses, sys
from shared.settings import load_settings
from turno.__main__ import main
from turno import cli, programs, up
from turno.programs import make_programs
from turno.supervisor import Program

NOTE = "import os, pathlib, signal, sys, time; pathlib.Path({name!r}).write_text(str(os.getpid()) + chr(10)); "
API = '''
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if pathlib.Path("worker").exists() else 503)
        self.end_headers()
    def log_message(self, *_): pass
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
'''
SOURCES = {
    "migrate": "print('migrated')",
    "api": API,
    "courier": "signal.pause()",
    "prepare": os_prepare,
    "worker": "signal.pause()",
}

def table(settings, inherited, key):
    real = make_programs(settings, inherited, key, reload=False)
    fakes = {
        name: dataclasses.replace(
            getattr(real, name), command=(sys.executable, "-c", NOTE.format(name=name) + "\\n" + source)
        )
        for name, source in SOURCES.items()
    }
    return dataclasses.replace(real, **fakes)

cli.app.registered_commands = []
@cli.app.command()
def start():
    up.run_everything(load_settings(), table=table)
@cli.app.command()
def other():
    pass
main()
"""
_TEAPOT = """
while not (pathlib.Path("api").exists() and pathlib.Path("courier").exists()):
    time.sleep(0.01)
print("turno: The model is a teapot.")
sys.exit(2)
"""
_NAMES = ("api", "courier", "worker")


def start_stand_ins(start: Start, prepare: str = "print('prepared')", **settings: str | bool) -> Started:
    return start("-c", _STAND_INS.replace("os_prepare", repr(prepare)), "start", **settings)


def redis_pid(folder: Path) -> int:
    import psutil

    found = [one.pid for one in psutil.process_iter(["cmdline"]) if str(folder) in " ".join(one.info["cmdline"] or [])]
    (pid,) = [pid for pid in found if psutil.Process(pid).name() == "redis-server"]
    return pid


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_starts_in_order_says_when_it_is_ready_and_leaves_nothing(
    start: Start, tmp_path: Path, free_port: int, number: signal.Signals
) -> None:
    started = start_stand_ins(start)
    started.wait_for_output(f"Ready: http://localhost:{free_port} (Ctrl-C stops everything)")
    pids = [pid_in(tmp_path / name) for name in _NAMES] + [redis_pid(tmp_path / "var")]
    assert all(map(is_alive, pids))
    order = [started.output.index(text) for text in ("migrated", "Preparing the model", "prepared", "Ready: ")]
    assert order == sorted(order)
    assert started.end(number) == 0, started.output
    assert not any(map(is_alive, pids))
    assert started.output.endswith("Everything has stopped.\n")
    assert "is started again" not in started.output


def test_crashed_processes_are_started_again_redis_too(start: Start, tmp_path: Path) -> None:
    started = start_stand_ins(start)
    started.wait_for_output("Ready: ")
    worker, redis = pid_in(tmp_path / "worker"), redis_pid(tmp_path / "var")
    os.kill(worker, signal.SIGKILL)
    os.kill(redis, signal.SIGKILL)
    started.wait_for_output("worker ended (killed by SIGKILL); it is started again in 0.5 s.")
    started.wait_for_output("redis ended (killed by SIGKILL); it is started again in 0.5 s.")
    wait_for(lambda: pid_in(tmp_path / "worker") != worker, "another worker")
    wait_for(lambda: started.output.count("Server initialized") == 2, "another Redis")
    assert started.end() == 0


def test_a_model_that_cannot_be_prepared_ends_everything_with_its_sentence(start: Start, tmp_path: Path) -> None:
    started = start_stand_ins(start, prepare=_TEAPOT)
    assert started.process.wait(40) == 2
    assert started.output.endswith("turno: The model is a teapot.\n")
    assert not any(is_alive(pid_in(tmp_path / name)) for name in ("api", "courier"))
    assert not (tmp_path / "worker").exists()


def test_a_preparation_that_is_killed_names_the_likely_cause(start: Start) -> None:
    started = start_stand_ins(start, prepare="os.kill(os.getpid(), signal.SIGKILL)")
    assert started.process.wait(40) == 2
    assert "The model could not be prepared (killed by SIGKILL): most likely this machine ran out" in started.output


def test_a_second_interrupt_kills_at_once(start: Start, tmp_path: Path) -> None:
    started = start_stand_ins(start)
    started.wait_for_output("Ready: ")
    os.kill(pid_in(tmp_path / "api"), signal.SIGSTOP)  # deaf to SIGTERM, with twelve seconds of grace
    started.process.send_signal(signal.SIGINT)
    started.wait_for_output("Ctrl-C again stops at once")
    started.process.send_signal(signal.SIGINT)
    started.wait_for_output("Stopping at once.")
    assert started.process.wait(8) == 0
    assert not any(is_alive(pid_in(tmp_path / name)) for name in _NAMES)


def test_nothing_is_left_when_it_is_killed_and_the_next_start_works(start: Start, tmp_path: Path) -> None:
    first = start_stand_ins(start)
    first.wait_for_output("Ready: ")
    pids = [pid_in(tmp_path / name) for name in _NAMES] + [redis_pid(tmp_path / "var")]
    first.end(signal.SIGKILL)
    wait_for(lambda: not any(map(is_alive, pids)), "the end of everything")
    (tmp_path / "worker").unlink()
    second = start_stand_ins(start)
    second.wait_for_output("Ready: ")
    assert second.end() == 0


def test_the_network_gets_a_key_that_is_shown_once(start: Start, tmp_path: Path, free_port: int) -> None:
    first = start_stand_ins(start, HOST="0.0.0.0", on_terminal=True)
    first.wait_for_output("Ready: ")
    assert first.end() == 0
    key = (tmp_path / "var" / "api.key").read_text().strip()
    assert first.output.count(key) == 1
    (tmp_path / "worker").unlink()
    second = start_stand_ins(start, HOST="0.0.0.0")
    second.wait_for_output("Ready: ")
    assert second.end() == 0
    assert key not in second.output
    assert f"API key: the one in {tmp_path / 'var' / 'api.key'}." in second.output


def test_a_log_never_holds_the_key(start: Start, tmp_path: Path) -> None:
    started = start_stand_ins(start, HOST="0.0.0.0")
    started.wait_for_output("Ready: ")
    assert started.end() == 0
    assert (tmp_path / "var" / "api.key").read_text().strip() not in started.output
    assert f"API key, made in {tmp_path / 'var' / 'api.key'}." in started.output


def test_of_all_processes_the_worker_tells_of_health(start: Start, tmp_path: Path) -> None:
    import psutil

    started = start_stand_ins(start, BEAT_FILE=str(tmp_path / "beat"))
    started.wait_for_output("Ready: ")
    told = {name: "BEAT_FILE" in psutil.Process(pid_in(tmp_path / name)).environ() for name in _NAMES}
    assert started.end() == 0
    assert (told["worker"], told["courier"]) == (True, False)


def test_where_redis_listens_is_replaced_when_the_path_is_too_long(start: Start, tmp_path: Path) -> None:
    started = start_stand_ins(start, STATE_DIR=str(tmp_path / ("long" * 30)))
    started.wait_for_output("Ready: ")
    assert started.end() == 0
