"""Runs a Pulumi program through Pulumi's own Python runtime.

Each run gets an empty context (the runtime keeps its settings in context variables), its own event loop, and
modules of the program imported afresh, so that one process can preview and then deploy.
"""

from __future__ import annotations

import asyncio
import contextvars
import os
import runpy
import sys
import traceback
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from .engine import Engine
from .monitor import EngineService, Monitor

# One thread per registration that waits for its operation; the engine bounds the operations themselves.
_REGISTRATION_THREADS = 128
# Errors about what the user wrote: their message is the whole story, a traceback is noise.
_PLAIN_ERRORS = {
    "SpecError",
    "CodeError",
    "SettingsError",
    "ConfigMissingError",
    "ConfigTypeError",
    "RunError",
}

Body = Callable[[], Awaitable[None] | None]


class ProgramError(Exception):
    """The program raised; the message is what to show."""


def run_project(engine: Engine) -> None:
    """Run the project's program with its folder as working directory.

    Raises:
        ProgramError: the program failed.
    """
    main = engine.project.main
    folder = main if main.is_dir() else main.parent
    _forget_modules(folder)

    def body() -> None:
        runpy.run_path(str(main), run_name="__main__")

    with _in_folder(folder), _arguments(main):
        run(engine, body, shown_below=folder)


def run(engine: Engine, body: Body, *, shown_below: Path | None = None) -> None:
    """Run a program given as a function.

    Raises:
        ProgramError: the program failed; frames outside `shown_below` are left out of the traceback.
    """
    try:
        contextvars.Context().run(_run, engine, body)
    except (Exception, SystemExit) as error:
        raise ProgramError(_describe(error, shown_below)) from error


def _run(engine: Engine, body: Body) -> None:
    import pulumi.runtime
    from pulumi.runtime import config, settings

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    pool = ThreadPoolExecutor(_REGISTRATION_THREADS, thread_name_prefix="register")
    loop.set_default_executor(pool)
    project = engine.project
    try:
        config.set_all_config(dict(project.config), list(project.secret_keys))
        settings.configure(
            settings.Settings(
                project=project.name,
                stack=project.stack,
                monitor=Monitor(engine),
                engine=EngineService(engine),
                parallel=engine.parallel,
                dry_run=engine.dry_run,
                organization="organization",
                root_directory=str(project.root),
            )
        )
        loop.run_until_complete(pulumi.runtime.run_in_stack(body))
    finally:
        _cancel_all(loop)
        pool.shutdown(wait=True)
        asyncio.set_event_loop(None)
        loop.close()


def _cancel_all(loop: asyncio.AbstractEventLoop) -> None:
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    if tasks:
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))


def _forget_modules(folder: Path) -> None:
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if name != "__main__" and file and Path(file).is_relative_to(folder):
            del sys.modules[name]


@contextmanager
def _in_folder(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@contextmanager
def _arguments(main: Path) -> Iterator[None]:
    before = sys.argv
    sys.argv = [str(main)]
    try:
        yield
    finally:
        sys.argv = before


def _describe(error: BaseException, shown_below: Path | None) -> str:
    if isinstance(error, SystemExit):
        return f"the program ended itself with status {error.code}"
    if any(kind.__name__ in _PLAIN_ERRORS for kind in type(error).__mro__):
        return str(error)
    frames = traceback.extract_tb(error.__traceback__)
    if shown_below is not None:
        own = [frame for frame in frames if Path(frame.filename).is_relative_to(shown_below.parent)]
        own = [frame for frame in own if ".venv" not in frame.filename]
        frames = traceback.StackSummary.from_list(own) if own else frames
    lines = ["Traceback of the program (most recent call last):\n", *frames.format()]
    lines.extend(traceback.format_exception_only(error))
    return "".join(lines).rstrip()
