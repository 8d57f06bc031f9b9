"""What makes thousands of stories affordable without changing what the functions do."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Any

from models import spec
from models.spec import ModelSpec

_Result = tuple[Any, bytes | None, bytes | None]
_parsed: dict[str, ModelSpec] = {}
_checked: dict[tuple[Any, ...], _Result] = {}


class InlinePool:
    """A thread pool that does its work at once, in the caller's thread, so that its order can be repeated."""

    def __init__(self, max_workers: int | None = None, *_: Any, **__: Any) -> None:
        self.max_workers = max_workers

    def __enter__(self) -> InlinePool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shutdown()

    def submit(self, work: Callable[..., Any], *args: Any, **options: Any) -> Future[Any]:
        """Do it now."""
        future: Future[Any] = Future()
        try:
            future.set_result(work(*args, **options))
        except Exception as error:  # noqa: BLE001 - what a pool does; a kill goes through
            future.set_exception(error)
        return future

    def map(self, work: Callable[..., Any], *items: Iterable[Any], **_: Any) -> Iterator[Any]:
        """Do it for all items now."""
        return iter([work(*one) for one in zip(*items, strict=False)])

    def shutdown(self, *_: Any, **__: Any) -> None:
        """Nothing is left to do."""


def remembered(check: Callable[..., Any]) -> Callable[..., Any]:
    """The check, which is a function of the file and the contract, done once per file and contract."""

    def check_file(
        path: Path,
        spec: ModelSpec,
        *,
        name: str = "",
        now: Any = None,
        accept_to: Path | None = None,
        reject_to: Path | None = None,
        forgotten: Sequence[Any] = (),
    ) -> Any:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        key = (check, digest, name.rpartition(".")[2], spec.contract_version, repr(forgotten))
        if key not in _checked:
            report = check(
                path,
                spec,
                name=name,
                now=now,
                accept_to=accept_to,
                reject_to=reject_to,
                forgotten=forgotten,
            )
            _checked[key] = (report, _read(accept_to), _read(reject_to))
        report, good, bad = _checked[key]
        for target, body in ((accept_to, good), (reject_to, bad)):
            if target is not None and body is not None:
                target.write_bytes(body)
        return report

    return check_file


def in_memory() -> str | None:
    """A folder for temporary files that is no disk, where there is one."""
    memory = Path("/dev/shm")
    return str(memory) if memory.is_dir() else None


def parse(data: Any, source: str = "model spec") -> ModelSpec:
    """The spec, read once per text."""
    text = json.dumps(data)
    if text not in _parsed:
        _parsed[text] = spec.parse(data, source)
    return _parsed[text]


def _read(path: Path | None) -> bytes | None:
    return path.read_bytes() if path is not None and path.exists() else None
