"""Content types of requests and answers, and a table of decoders.

Requests:
    text/csv: one row per line, cells in the order of the spec's features. A first line that names columns is
    a
        header; then the order is free and the spec's time and target columns may be there (they are ignored),
        so that a training file can be scored as it is. ``text/csv; header=present`` or ``absent`` settles the
        matter.
    application/json: ``{"instances": [{"carrier": "UA", ...}, ...]}``, or the list alone.
    application/jsonlines (also application/x-jsonlines, application/x-ndjson): one such object per line.

An absent key, null, and an empty cell are missing values, which only nullable features may have. A key or
column the spec does not know is refused: a misspelt nullable feature would be predicted as missing without a
word. Anything pickled (application/x-npy) is refused; reading it could run code.
"""

from __future__ import annotations

import csv
import difflib
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from operator import itemgetter
from typing import Any, NoReturn

import numpy as np

from inference.errors import RequestError, bad_request
from training.features import FeatureEncoder, ValueRefusedError
from training.words import cut, shown

CSV, JSON, JSONLINES = "text/csv", "application/json", "application/jsonlines"
_JSONLINES_NAMES = (JSONLINES, "application/x-jsonlines", "application/x-ndjson")
# InvokeEndpoint takes bodies of up to 6 MiB:
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html
MAX_BODY_BYTES = 6 * 1024 * 1024
# One worker answers one request at a time and must be done long before the 60 s an endpoint waits.
MAX_ROWS = 50_000
_REPLACEMENT = "\ufffd"
# Clients send few different headers; the caches are bounded for those who do not.
_HEADERS = 64


@dataclass(frozen=True)
class Columns:
    """What a request may name.

    Attributes:
        features: Input columns in the order of rows without a header.
        ignored: Columns of training files that are no input: time and target.
    """

    features: tuple[str, ...]
    ignored: tuple[str, ...] = ()


def decode(body: bytes | str, content_type: str, columns: Columns, encoder: FeatureEncoder) -> np.ndarray:
    """Turn a request's body into the estimator's array.

    Raises:
        RequestError: 400, 413 or 415, saying what was found and what is allowed.
    """
    name, parameters = parse_header(content_type)
    decoder = _DECODERS.get(name)
    if decoder is None:
        allowed = ", ".join(_DECODERS)
        raise RequestError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"Content-Type: found {shown(content_type)}, expected one of {allowed}",
            allowed=list(_DECODERS),
        )
    text = _text(body, parameters)
    try:
        matrix = decoder(text, parameters, columns, encoder)
    except ValueRefusedError as error:
        raise bad_request(
            str(error), row=error.row, column=error.column, value=_short(error.value), expected=error.expected
        ) from error
    if not len(matrix):
        raise bad_request("the body holds no row; at least one is needed")
    return matrix


@lru_cache(_HEADERS)
def parse_header(value: str) -> tuple[str, Mapping[str, str]]:
    """Split ``text/csv; charset=utf-8`` into its lower-case name and its parameters."""
    name, *rest = (value or "").split(";")
    parameters = {}
    for item in rest:
        key, _, setting = item.partition("=")
        parameters[key.strip().lower()] = setting.strip().strip('"').lower()
    return name.strip().lower(), parameters


@lru_cache(_HEADERS)
def negotiate(accept: str | None) -> str:
    """The content type to answer with.

    Raises:
        RequestError: 406; nothing that is accepted can be given.
    """
    wanted = []
    for position, item in enumerate((accept or "*/*").split(",")):
        name, parameters = parse_header(item)
        quality = _quality(parameters.get("q", "1"))
        if quality > 0:
            wanted.append((-quality, position, name))
    for _, _, name in sorted(wanted):
        chosen = _ACCEPTED.get(name)
        if chosen:
            return chosen
    raise RequestError(
        HTTPStatus.NOT_ACCEPTABLE,
        f"Accept: found {shown(accept)}, expected one of {', '.join(ANSWERS)}",
        allowed=list(ANSWERS),
    )


def _quality(text: str) -> float:
    try:
        return min(max(float(text), 0.0), 1.0)
    except ValueError:
        return 0.0


def _text(body: bytes | str, parameters: Mapping[str, str]) -> str:
    if len(body) > MAX_BODY_BYTES:
        raise RequestError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"the body has {len(body):,} bytes, at most {MAX_BODY_BYTES:,} are taken; send fewer rows per "
            f"request",
        )
    charset = parameters.get("charset", "utf-8")
    if charset not in ("utf-8", "utf8", "us-ascii", "ascii"):
        raise RequestError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"charset: found {shown(charset)}, expected utf-8"
        )
    if isinstance(body, bytes):
        try:
            return body.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise bad_request(f"the body is not UTF-8 text: byte {error.start} cannot be read") from error
    # The server in front of us has decoded it already and replaced what it could not read.
    if _REPLACEMENT in body:
        raise bad_request(f"the body is not UTF-8 text: character {body.index(_REPLACEMENT)} cannot be read")
    return body.removeprefix("\ufeff")


def _decode_csv(
    text: str, parameters: Mapping[str, str], columns: Columns, encoder: FeatureEncoder
) -> np.ndarray:
    try:
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
    except csv.Error as error:
        raise bad_request(f"the body is no CSV text: {error}") from error
    if not rows:
        raise bad_request("the body holds no row; at least one is needed")
    _limit_rows(len(rows))
    header = parameters.get("header")
    if header == "present" or (header != "absent" and _is_header(rows[0], columns)):
        names = [name.strip() for name in rows.pop(0)]
        _check_names(names, columns, "header", encoder)
        _check_lengths(rows, len(names), f"as the header has: {', '.join(names)}")
        places = [names.index(name) if name in names else None for name in columns.features]
        rows = [["" if p is None else row[p] for p in places] for row in rows]
    else:
        _check_lengths(rows, len(columns.features), f"in this order: {', '.join(columns.features)}")
    return encoder.encode_texts(rows)


def _is_header(row: Sequence[str], columns: Columns) -> bool:
    names = {*columns.features, *columns.ignored}
    return any(cell.strip() in names for cell in row)


def _check_lengths(rows: Sequence[Sequence[str]], width: int, expected: str) -> None:
    for number, row in enumerate(rows, 1):
        if len(row) != width:
            raise bad_request(
                f"row {number}: found {len(row)} cells, expected {width} {expected}", row=number
            )


def _check_names(names: Sequence[str], columns: Columns, where: str, encoder: FeatureEncoder) -> None:
    """Refuse unknown and repeated columns, and the absence of one that has to be there."""
    for name in names:
        if name not in columns.features and name not in columns.ignored:
            _refuse_unknown(name, columns, where)
    repeated = next((n for n in names if names.count(n) > 1), None)
    if repeated is not None:
        raise bad_request(f"{where}: column {repeated!r} is there more than once", column=repeated)
    for column in encoder.columns:
        if column.feature.name not in names and not column.feature.nullable:
            raise bad_request(
                f"{where}: column {column.feature.name!r} is missing", column=column.feature.name
            )


def _refuse_unknown(name: str, columns: Columns, where: str) -> NoReturn:
    near = difflib.get_close_matches(name, columns.features, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    raise bad_request(
        f"{where}: unknown column {shown(name)}{hint}; allowed: {', '.join(columns.features)}",
        column=_short(name),
    )


def _decode_json(
    text: str, _parameters: Mapping[str, str], columns: Columns, encoder: FeatureEncoder
) -> np.ndarray:
    quickly = _plain_instances(text)
    if quickly is not None:
        return _encode_objects(quickly, columns, encoder)
    data = _load(text, "the body")
    if isinstance(data, dict):
        if set(data) != {"instances"}:
            keys = ", ".join(shown(k) for k in list(data)[:5]) or "no key"
            raise bad_request(f'the body: found {keys}, expected {{"instances": [...]}} or a list of objects')
        data = data["instances"]
    if not isinstance(data, list):
        raise bad_request(f"instances: found {_kind(data)}, expected a list of objects, one per row")
    return _encode_objects(data, columns, encoder)


def _decode_jsonlines(
    text: str, _parameters: Mapping[str, str], columns: Columns, encoder: FeatureEncoder
) -> np.ndarray:
    lines = [line for line in text.split("\n") if line.strip()]
    _limit_rows(len(lines))
    objects = _plain_rows(lines)
    if objects is None:
        objects = [_load(line, f"row {number}") for number, line in enumerate(lines, 1)]
    return _encode_objects(objects, columns, encoder)


def _encode_objects(objects: list[Any], columns: Columns, encoder: FeatureEncoder) -> np.ndarray:
    _limit_rows(len(objects))
    names = columns.features
    rows = _whole_rows(objects, columns)
    if rows is not None:
        return encoder.encode_values(rows)
    known = {*columns.features, *columns.ignored}
    rows = []
    for number, item in enumerate(objects, 1):
        if not isinstance(item, dict):
            raise bad_request(
                f"row {number}: found {_kind(item)}, expected an object with the keys {', '.join(names)}",
                row=number,
            )
        if not item.keys() <= known:
            _refuse_unknown(next(k for k in item if k not in known), columns, f"row {number}")
        rows.append([item.get(name) for name in names])
    return encoder.encode_values(rows)


def _whole_rows(objects: list[Any], columns: Columns) -> list[Sequence[Any]] | None:
    """The values of objects that all have exactly the features as keys; None when they do not."""
    width = len(columns.features)
    if width < 2 or not all(type(item) is dict and len(item) == width for item in objects):
        return None
    try:
        return list(map(itemgetter(*columns.features), objects))
    except KeyError:
        return None


def _limit_rows(count: int) -> None:
    if count > MAX_ROWS:
        raise RequestError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"found {count:,} rows, at most {MAX_ROWS:,} are answered at once; send several requests",
        )


def _plain_instances(text: str) -> list[Any] | None:
    """The rows of a body in which nothing has to be refused yet; None when it must be read with care."""
    try:
        data = _PLAIN.decode(text)
    except (RequestError, RecursionError, ValueError):
        return None
    if type(data) is list:
        return data if _no_pair_lost(data, text.count(":")) else None
    if type(data) is not dict or len(data) != 1 or type(data.get("instances")) is not list:
        return None
    rows: list[Any] = data["instances"]
    return rows if _no_pair_lost(rows, text.count(":") - 1) else None


def _plain_rows(lines: list[str]) -> list[Any] | None:
    """The same of lines that each hold a row."""
    try:
        rows = list(map(_PLAIN.decode, lines))
    except (RequestError, RecursionError, ValueError):
        return None
    return rows if _no_pair_lost(rows, sum(line.count(":") for line in lines)) else None


def _no_pair_lost(rows: list[Any], colons: int) -> bool:
    """Whether no key can have been there twice.

    Each pair of key and value has a colon, so rows of as many pairs as there are colons have lost none. A
    colon within a text only makes the body be read with care.
    """
    return {*map(type, rows)} <= {dict} and sum(map(len, rows)) == colons


def _load(text: str, where: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_object, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise bad_request(
            f"{where}: no JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        ) from error
    except RecursionError as error:
        raise bad_request(f"{where}: nested too deeply; rows are flat objects") from error
    except ValueError as error:  # an integer of thousands of digits
        raise bad_request(f"{where}: no usable JSON: {error}") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(n for n in names if names.count(n) > 1)
        raise bad_request(f"the key {shown(repeated)} is there twice in one object", column=_short(repeated))
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise bad_request(f"found {name}, which is no JSON value; leave a missing value out or send null")


_PLAIN = json.JSONDecoder(parse_constant=_refuse_constant)


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def _short(value: Any) -> Any:
    """A value as it may be repeated in an answer: nothing long, nothing nested."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, float):
        return value if abs(value) <= np.finfo(np.float64).max else repr(value)
    text = str(value) if isinstance(value, str) else shown(value)
    return cut(text)


_Decoder = Callable[[str, Mapping[str, str], Columns, FeatureEncoder], np.ndarray]
_DECODERS: dict[str, _Decoder] = {
    CSV: _decode_csv,
    JSON: _decode_json,
    **dict.fromkeys(_JSONLINES_NAMES, _decode_jsonlines),
}
# What an answer can be; inference/replies.py writes it.
ANSWERS = (JSON, CSV, JSONLINES)
_ACCEPTED = {
    "*/*": JSON,
    "application/*": JSON,
    "text/*": CSV,
    CSV: CSV,
    JSON: JSON,
    **dict.fromkeys(_JSONLINES_NAMES, JSONLINES),
}
