"""How a record becomes an item of DynamoDB, and under which keys."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

from training.ledger.attributes import Attribute, pack, unpack

Item = dict[str, Attribute]
NO_MODEL = "no-model"
NO_VERSION = "null"  # S3's own name for the version of an object in a bucket without versions

_MODEL_NAME = re.compile(r"[a-z][a-z0-9-]{0,19}")  # as models.spec allows
_INCOMING = "incoming/"
# A sort key has at most 1024 bytes, and so has a key of S3:
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html
_MAX_KEY_BYTES = 900
_CUT_KEY_BYTES = 800


def model_of(key: str) -> str:
    """Under which model the ledger keeps an object of ``incoming/``: its folder, if that can be a model."""
    folder, slash, _ = key.removeprefix(_INCOMING).partition("/")
    return folder if slash and _MODEL_NAME.fullmatch(folder) else NO_MODEL


def sort_prefix(key: str) -> str:
    """The beginning of the sort keys of all versions of an object; a very long key ends in its digest."""
    data = key.encode()
    if len(data) > _MAX_KEY_BYTES:
        key = data[:_CUT_KEY_BYTES].decode(errors="ignore") + "~" + hashlib.sha256(data).hexdigest()
    return f"object#{key}#"


def pack_files(files: Sequence[Mapping[str, Any]]) -> bytes:
    """A manifest's list, compressed: an item holds 400 KB, and a delivery may have thousands of files."""
    text = json.dumps(files, sort_keys=True, separators=(",", ":"))
    return gzip.compress(text.encode(), mtime=0)


class Record:
    """What all records can do; ``model`` is the partition key."""

    prefix: ClassVar[str]

    @property
    def sort_key(self) -> str:
        """The item's ``sk``."""
        raise NotImplementedError

    def to_item(self) -> Item:
        """The item as DynamoDB takes it."""
        fields: Any = self
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(fields)}
        values |= {"pk": values.pop("model"), "sk": self.sort_key}
        return {name: pack(value) for name, value in values.items() if value is not None}

    @classmethod
    def from_item(cls, item: Mapping[str, Mapping[str, Any]]) -> Self:
        """Read an item of any version of Upkeep.

        Raises:
            TypeError: An attribute that has no default is missing.
        """
        fields: Any = cls
        known = {f.name for f in dataclasses.fields(fields)}
        values = {name: unpack(value) for name, value in item.items() if name in known}
        return fields(**values, model=unpack(item["pk"]))  # type: ignore[no-any-return]
