"""The sandbox process: `python -m sandbox.server`, started by `sandbox.lifecycle`.

Two processes: a keeper that does nothing but wait, and the server it forks. Whichever of them is killed, the
other ends all that was started below (Lambda workers, containers), removes the run directory and goes.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from sandbox import lifecycle, processes

_STOP_SECONDS = 12.0  # what the server gets to stop by itself


def main(arguments: list[str] | None = None, sagemaker: Callable[[Any, float], Any] | None = None) -> int:
    """Keep one server: fork it, wait for it, clean up after it. Returns the exit code.

    `sagemaker` makes the SageMaker service of an account and a wait scale; tests give a quicker one.
    """
    options = _options(arguments)
    processes.adopt_orphans()
    if options.parent is not None:
        processes.end_with_parent(options.parent)
    lifecycle.write_record(options.run_dir, options.port)
    keeper = os.getpid()
    server = os.fork()
    if server == 0:
        _be_server(options, keeper, sagemaker or _real_sagemaker)
    return _keep(server, options.run_dir)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sandbox.server", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--run-dir", type=Path, required=True)
    parser.add_argument("--wait-scale", type=float, default=lifecycle.WAIT_SCALE)
    parser.add_argument("--parent", type=int, help="end when this process does")
    return parser.parse_args(arguments)


def _keep(server: int, run_dir: Path) -> int:
    """Wait for the server, passing signals on, then leave nothing behind."""
    deadline: list[float] = []

    def forward(_number: int, _frame: FrameType | None) -> None:
        deadline.append(time.monotonic() + _STOP_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.kill(server, signal.SIGTERM)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, forward)
    status = _wait(server, deadline)
    _clean_up(run_dir)
    return os.waitstatus_to_exitcode(status) if status is not None else 1


def _wait(server: int, deadline: list[float]) -> int | None:
    """The server's wait status; after a signal it gets `_STOP_SECONDS`, then SIGKILL."""
    while True:
        pid, status = os.waitpid(-1, os.WNOHANG)  # -1: adopted orphans are reaped here too
        if pid == server:
            return status
        if pid == 0:
            if deadline and time.monotonic() > deadline[0]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(server, signal.SIGKILL)
            time.sleep(0.05)


def _clean_up(run_dir: Path) -> None:
    left = processes.end_descendants(os.getpid())
    if left:
        print(f"could not end the processes {left}", file=sys.stderr)
    shutil.rmtree(run_dir, ignore_errors=True)
    with contextlib.suppress(OSError):
        run_dir.parent.rmdir()


def _be_server(options: argparse.Namespace, keeper: int, sagemaker: Callable[[Any, float], Any]) -> NoReturn:
    """Serve until told to stop, then end this process at once: no thread of an execution holds it up."""
    code = 1
    try:
        processes.end_with_parent(keeper)
        asyncio.new_event_loop().run_until_complete(_run(options, keeper, sagemaker))
        code = 0
    except OSError as error:
        print(f"cannot serve on {lifecycle.HOST}:{options.port}: {error}", file=sys.stderr)
    except BaseException:  # noqa: BLE001 - the process ends here, and its log must say why
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        # The keeper does this too, unless it is the one that was killed.
        _clean_up(options.run_dir)
        os._exit(code)


def _real_sagemaker(account: Any, wait_scale: float) -> Any:
    from sandbox.sagemaker.service import SageMaker
    from sandbox.sagemaker.settings import of_a_sandbox

    return SageMaker(account, settings=of_a_sandbox(wait_scale))


async def _run(options: argparse.Namespace, keeper: int, sagemaker: Callable[[Any, float], Any]) -> None:
    from sandbox import gateway, seam

    seam.prepare(port=options.port, run_dir=options.run_dir, wait_scale=options.wait_scale)

    from hypercorn.asyncio import serve
    from hypercorn.config import Config

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    account = seam.Account(options.port, options.run_dir)
    emulator = seam.connect(account, sagemaker(account, options.wait_scale))
    config = Config()
    config.bind = [f"{lifecycle.HOST}:{options.port}"]
    config.keep_alive_timeout = 75
    config.graceful_timeout = 0.5
    config.shutdown_timeout = _STOP_SECONDS - 2
    app: Any = gateway.Gateway(emulator, pid=keeper)
    await serve(app, config, shutdown_trigger=stop.wait)


if __name__ == "__main__":
    raise SystemExit(main())
