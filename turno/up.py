"""`turno up`: what is started in which order, when it is ready, and how it all ends."""

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace

from shared.errors import OperatorError
from shared.images import open_images
from shared.settings import Settings
from turno.access import MadeKey, key_for, local_address, phone_address, web_address
from turno.checks import check_port, check_state_dir, only_start
from turno.embedded_redis import wait_until_answers
from turno.programs import Programs, make_programs
from turno.screen import Screen
from turno.supervisor import Program, Supervisor

_REDIS_SECONDS = 15.0
_READY_POLL_SECONDS = 0.5
_PROBE_SECONDS = 3.0
_OUT_OF_MEMORY = -signal.SIGKILL
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Table = Callable[[Settings, Mapping[str, str], str | None], Programs]


def run_everything(settings: Settings, *, reload: bool = False, table: Table | None = None) -> None:
    """Runs everything until it is told to stop.

    Args:
        table: makes the processes; another one than the real one in tests.

    Raises:
        OperatorError: it cannot start, or the model or the database cannot be used.
    """
    screen = Screen()
    check_state_dir(settings.state_dir)
    with only_start(settings.state_dir):
        check_port(settings.host, settings.port)
        open_images(settings).prepare()
        key = key_for(settings)
        value = key.value if key else None
        inherited = dict(os.environ)  # the children's, handed on as it is
        programs = (
            table(settings, inherited, value) if table else make_programs(settings, inherited, value, reload=reload)
        )
        # of one machine's health the worker tells: a courier's beat would hide that no model is warm
        quiet = {name: value for name, value in programs.courier.environment.items() if name != "BEAT_FILE"}
        programs = replace(programs, courier=replace(programs.courier, environment=quiet))
        _greet(screen, settings, key)
        try:
            asyncio.run(_run(settings, programs, screen))
        finally:
            _remove_temporary(programs, settings)
        screen.say("Everything has stopped.")


async def _run(settings: Settings, programs: Programs, screen: Screen) -> None:
    async with Supervisor(screen) as supervisor, _stop_asked(supervisor, screen) as stop_asked:
        work = asyncio.create_task(_start_all(settings, programs, supervisor))
        asked = asyncio.create_task(stop_asked.wait())
        try:
            await asyncio.wait({work, asked}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                work.result()  # raises what refused the start
                await asked
        finally:
            work.cancel()
            asked.cancel()
            await asyncio.gather(work, asked, return_exceptions=True)
            for program in (programs.api, programs.worker, programs.courier, programs.redis):
                if program is not None:
                    await supervisor.stop(program.name)


async def _start_all(settings: Settings, programs: Programs, supervisor: Supervisor) -> None:
    if programs.redis is not None and programs.redis_folder is not None:
        supervisor.keep(programs.redis)
        await wait_until_answers(programs.redis_folder, _REDIS_SECONDS)
    await _must_succeed(supervisor, programs.migrate, "The database could not be prepared")
    supervisor.keep(programs.api)
    supervisor.keep(programs.courier)
    supervisor.screen.say("Preparing the model: a minute at the first start, a moment afterwards.")
    await _must_succeed(supervisor, programs.prepare, "The model could not be prepared")
    supervisor.keep(programs.worker)
    while not await _is_ready(settings):
        await asyncio.sleep(_READY_POLL_SECONDS)
    _announce(supervisor.screen, settings)


async def _must_succeed(supervisor: Supervisor, program: Program, otherwise: str) -> None:
    """Runs one process to its end.

    Raises:
        OperatorError: it failed; with its own sentence if it said one.
    """
    ending = await supervisor.run_once(program)
    if ending.code == 2 and ending.last_line:
        raise OperatorError(ending.last_line.removeprefix("turno: "))
    if ending.code == _OUT_OF_MEMORY:
        raise OperatorError(f"{otherwise} ({ending}): most likely this machine ran out of memory.")
    if ending.code != 0:
        raise OperatorError(f"{otherwise} ({ending}): the lines above say why.")


@contextlib.asynccontextmanager
async def _stop_asked(supervisor: Supervisor, screen: Screen) -> AsyncIterator[asyncio.Event]:
    """Set by the first signal to stop; the second one kills everything at once."""
    asked, loop = asyncio.Event(), asyncio.get_running_loop()

    def on_signal() -> None:
        if asked.is_set():
            screen.say("Stopping at once.")
            supervisor.kill_all()
        else:
            screen.say("Stopping: the image in work is finished first (Ctrl-C again stops at once).")
            asked.set()

    for number in _SIGNALS:
        loop.add_signal_handler(number, on_signal)
    try:
        yield asked
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)


async def _is_ready(settings: Settings) -> bool:
    host = local_address(settings.host)
    request = f"GET /readyz HTTP/1.1\r\nHost: localhost:{settings.port}\r\nConnection: close\r\n\r\n"
    try:
        async with asyncio.timeout(_PROBE_SECONDS):
            reader, writer = await asyncio.open_connection(host, settings.port)
            try:
                writer.write(request.encode("ascii"))
                status = await reader.readline()
            finally:
                writer.close()
    except (OSError, TimeoutError, ValueError):
        return False
    return status.split()[1:2] == [b"200"]


def _greet(screen: Screen, settings: Settings, key: MadeKey | None) -> None:
    screen.say(f"Starting Turno: data in {settings.state_dir}, model {settings.model_path}.")
    if key is not None and key.new:
        # elsewhere than on a terminal, this line would stay in somebody's log
        shown = f"shown this once and kept in {key.path}: {key.value}" if screen.is_terminal else f"made in {key.path}."
        screen.say(f"API key, {shown}")
    elif key is not None:
        screen.say(f"API key: the one in {key.path}.")


def _announce(screen: Screen, settings: Settings) -> None:
    phone = phone_address(settings.host)
    if phone is not None:
        screen.say(f"From a phone in the same network: {web_address(phone, settings.port)}")
    own = local_address(settings.host)
    shown = "localhost" if own in ("127.0.0.1", "::1") else own
    screen.say(f"Ready: {web_address(shown, settings.port)} (Ctrl-C stops everything)")


def _remove_temporary(programs: Programs, settings: Settings) -> None:
    folder = programs.redis_folder
    if folder is not None and not folder.is_relative_to(settings.state_dir.absolute()):
        shutil.rmtree(folder, ignore_errors=True)
