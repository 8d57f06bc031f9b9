"""Gives versions their numbers: each is claimed for good, by one run, before anything says it.

A claim is an object of its own, so that a number is never given twice: not when two runs are judged at once,
and not after the newest package was deleted from the registry.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from training.registry import digests as known_digests
from training.registry import once, semver

_TRIES = 20


class NumberError(Exception):
    """No number could be claimed."""


def key(model: str, version: str) -> str:
    """Where a claim is kept in the artifacts bucket."""
    return f"versions/{model}/{version}.json"


def claim(
    s3: Any,
    *,
    bucket: str,
    owner: str,
    model: str,
    run_id: str,
    digests: Mapping[str, str],
    seed_digests: Mapping[str, str],
) -> str:
    """The version of a run; a run that is asked about again gets the one it has.

    Args:
        s3: boto3 client.
        bucket: The artifacts bucket.
        owner: Account that must own it.
        model: The model's name.
        run_id: Whose version it will be.
        digests: What decided the new model; see ``digests.of``.
        seed_digests: What decided the first model of the stack, for the first number after it.

    Raises:
        NumberError: Others took every number that was tried.
    """
    tried = ""
    for _ in range(_TRIES):
        newest = _newest(s3, bucket, owner, model)
        if newest is None:
            version = semver.next_version(semver.SEED, seed_digests, digests)
        else:
            before = json.loads(_read(s3, bucket, key(model, newest), owner))
            if before["run_id"] == run_id:
                return newest
            version = semver.next_version(newest, known_digests.known(before.get("digests")), digests)
        tried = version
        body = json.dumps({"version": version, "run_id": run_id, "digests": dict(digests)}, indent=1)
        there = once.put(s3, bucket, key(model, version), body.encode(), "application/json", owner)
        if json.loads(there)["run_id"] == run_id:
            return version
    raise NumberError(f"{model}: {_TRIES} numbers were taken by others, the last was {tried}; judge again")


def _newest(s3: Any, bucket: str, owner: str, model: str) -> str | None:
    folder = key(model, "").removesuffix(".json")
    pages = s3.get_paginator("list_objects_v2").paginate(
        Bucket=bucket, Prefix=folder, ExpectedBucketOwner=owner
    )
    names = (
        item["Key"].removeprefix(folder).removesuffix(".json")
        for page in pages
        for item in page.get("Contents", [])
    )
    return max((name for name in names if semver.is_version(name)), key=semver.parse, default=None)


def _read(s3: Any, bucket: str, at: str, owner: str) -> bytes:
    found: bytes = s3.get_object(Bucket=bucket, Key=at, ExpectedBucketOwner=owner)["Body"].read()
    return found
