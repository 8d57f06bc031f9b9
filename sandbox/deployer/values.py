"""Property values as the engine sees them, and their two wire forms.

Pulumi marks what JSON cannot say (secrets, assets, unknowns) with signature keys. The constants are those
of the protocol: pulumi/sdk/go/common/resource/sig, and `pulumi.runtime.rpc`.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from google.protobuf import struct_pb2  # type: ignore[import-untyped]

SIGNATURE_KEY: Final = "4dabf18193072939515e22adb298388d"
SECRET_SIGNATURE: Final = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - a marker, no password
ASSET_SIGNATURE: Final = "c44067f5952c0a294b673a41bacd8c17"
ARCHIVE_SIGNATURE: Final = "0def7320c3a5731c473e5ecbe6d01bc7"
RESOURCE_SIGNATURE: Final = "5cf8f73096256a8f31e491e813e4eb8e"
OUTPUT_SIGNATURE: Final = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
UNKNOWN_ON_WIRE: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"

Properties = dict[str, Any]


class Unknown:
    """The value of a property that is known only after the operation has run."""

    def __repr__(self) -> str:
        return "<unknown>"

    def __deepcopy__(self, memo: object) -> Unknown:
        return self


UNKNOWN: Final = Unknown()


@dataclass(frozen=True)
class Secret:
    """A value that must not be shown."""

    value: Any


@dataclass(frozen=True)
class Reference:
    """Another resource passed as a value."""

    urn: str
    id: Any = None


@dataclass(frozen=True)
class Asset:
    """One file's bytes; equal when the content is equal."""

    hash: str
    path: str | None = field(default=None, compare=False)
    text: str | None = field(default=None, compare=False)

    @staticmethod
    def of_path(path: str) -> Asset:
        """Return the asset for a file relative to the program's working directory."""
        absolute = Path(path).absolute()
        try:
            digest = hashlib.sha256(absolute.read_bytes()).hexdigest()
        except OSError as error:
            raise ValueError(f"asset {path!r}: {error.strerror or error}") from error
        return Asset(digest, path=str(absolute))

    @staticmethod
    def of_text(text: str) -> Asset:
        """Return the asset for a literal text."""
        return Asset(hashlib.sha256(text.encode()).hexdigest(), text=text)

    def read(self) -> bytes:
        """Return the content."""
        if self.text is not None:
            return self.text.encode()
        if self.path is None:
            raise ValueError(f"the asset with hash {self.hash} has no content any more")
        return Path(self.path).read_bytes()


@dataclass(frozen=True)
class Archive:
    """A tree of files: a map of names to assets and archives, a folder, or a zip or tar file."""

    hash: str
    path: str | None = field(default=None, compare=False)
    assets: Mapping[str, Asset | Archive] | None = field(default=None, compare=False)

    @staticmethod
    def of_path(path: str) -> Archive:
        """Return the archive for a folder or an archive file relative to the working directory."""
        absolute = str(Path(path).absolute())
        if not Path(absolute).exists():
            raise ValueError(f"archive {path!r}: no such file or folder")
        return Archive(_digest(_path_entries(Path(absolute))), path=absolute)

    @staticmethod
    def of_assets(assets: Mapping[str, Asset | Archive]) -> Archive:
        """Return the archive that holds the given assets under their names."""
        return Archive(_digest(_asset_entries(assets)), assets=assets)

    def entries(self) -> Iterator[tuple[str, bytes]]:
        """Yield each file's name in the archive and its bytes, sorted by name."""
        if self.assets is not None:
            yield from _asset_entries(self.assets)
        elif self.path is not None:
            yield from _path_entries(Path(self.path))
        else:
            raise ValueError(f"the archive with hash {self.hash} has no content any more")

    def zipped(self) -> bytes:
        """Return the archive as a zip whose bytes depend on names and content only."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as target:
            for name, content in self.entries():
                info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
                info.external_attr = 0o644 << 16
                info.compress_type = zipfile.ZIP_DEFLATED
                target.writestr(info, content)
        return buffer.getvalue()


def _asset_entries(assets: Mapping[str, Asset | Archive]) -> Iterator[tuple[str, bytes]]:
    for name in sorted(assets):
        item = assets[name]
        if isinstance(item, Asset):
            yield name, item.read()
        else:
            for inner, content in item.entries():
                yield f"{name}/{inner}", content


def _path_entries(path: Path) -> Iterator[tuple[str, bytes]]:
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            if file.is_file():
                yield file.relative_to(path).as_posix(), file.read_bytes()
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as source:
            for name in sorted(n for n in source.namelist() if not n.endswith("/")):
                yield name, source.read(name)
    elif tarfile.is_tarfile(path):
        with tarfile.open(path) as source:
            for member in sorted((m for m in source if m.isfile()), key=lambda m: m.name):
                stream = source.extractfile(member)
                yield member.name, stream.read() if stream else b""
    else:
        raise ValueError(f"archive {path}: neither a folder nor a zip or tar file")


def _digest(entries: Iterator[tuple[str, bytes]]) -> str:
    digest = hashlib.sha256()
    for name, content in entries:
        digest.update(f"{len(name.encode())}:{name}:{len(content)}:".encode())
        digest.update(content)
    return digest.hexdigest()


def from_struct(struct: struct_pb2.Struct) -> Properties:
    """Return the properties of a protocol message; null entries are left out, as the engine does."""
    return {
        key: _from_value(value)
        for key, value in struct.fields.items()
        if value.WhichOneof("kind") not in (None, "null_value")
    }


def _from_value(value: struct_pb2.Value) -> Any:
    kind = value.WhichOneof("kind")
    if kind in (None, "null_value"):
        return None
    if kind == "string_value":
        return UNKNOWN if value.string_value == UNKNOWN_ON_WIRE else value.string_value
    if kind == "bool_value":
        return value.bool_value
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() else number
    if kind == "list_value":
        return [_from_value(item) for item in value.list_value.values]
    return _from_marked(from_struct(value.struct_value))


def _from_marked(mapping: Properties) -> Any:
    signature = mapping.get(SIGNATURE_KEY)
    if signature is None:
        return mapping
    if signature == SECRET_SIGNATURE:
        return Secret(mapping.get("value"))
    if signature == RESOURCE_SIGNATURE:
        return Reference(mapping["urn"], mapping.get("id"))
    if signature == OUTPUT_SIGNATURE:
        value = mapping.get("value", UNKNOWN)
        return Secret(value) if mapping.get("secret") else value
    if signature == ASSET_SIGNATURE:
        if "uri" in mapping:
            raise ValueError(f"remote asset {mapping['uri']!r}: the sandbox is offline; use a file or a text")
        return Asset.of_text(mapping["text"]) if "text" in mapping else Asset.of_path(mapping["path"])
    if signature == ARCHIVE_SIGNATURE:
        if "uri" in mapping:
            raise ValueError(
                f"remote archive {mapping['uri']!r}: the sandbox is offline; use a file or a folder"
            )
        if "path" in mapping:
            return Archive.of_path(mapping["path"])
        return Archive.of_assets(mapping.get("assets", {}))
    raise ValueError(f"unknown value signature {signature!r} from the program")


def to_struct(properties: Properties, *, accept_secrets: bool = True) -> struct_pb2.Struct:
    """Return the protocol message for properties; unknowns are sent as Pulumi's marker."""
    result = struct_pb2.Struct()
    result.update({key: _to_wire(value, accept_secrets) for key, value in properties.items()})
    return result


def _to_wire(value: Any, accept_secrets: bool) -> Any:
    if value is UNKNOWN:
        return UNKNOWN_ON_WIRE
    if isinstance(value, Secret):
        inner = _to_wire(value.value, accept_secrets)
        return {SIGNATURE_KEY: SECRET_SIGNATURE, "value": inner} if accept_secrets else inner
    if isinstance(value, Reference):
        return {SIGNATURE_KEY: RESOURCE_SIGNATURE, "urn": value.urn, "id": _to_wire(value.id, accept_secrets)}
    if isinstance(value, Asset):
        content = {"path": value.path} if value.path is not None else {"text": value.text}
        return {SIGNATURE_KEY: ASSET_SIGNATURE, "hash": value.hash, **content}
    if isinstance(value, Archive):
        mark = {SIGNATURE_KEY: ARCHIVE_SIGNATURE, "hash": value.hash}
        if value.assets is not None:
            return {**mark, "assets": {k: _to_wire(v, accept_secrets) for k, v in value.assets.items()}}
        return {**mark, "path": value.path}
    if isinstance(value, Mapping):
        return {key: _to_wire(item, accept_secrets) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_to_wire(item, accept_secrets) for item in value]
    return value


def to_json(value: Any) -> Any:
    """Return the form a value has in a checkpoint; secrets carry their plain text there, marked."""
    if isinstance(value, Secret):
        return {
            SIGNATURE_KEY: SECRET_SIGNATURE,
            "plaintext": json.dumps(to_json(value.value), sort_keys=True),
        }
    if isinstance(value, Archive) and value.assets is not None:
        assets = {key: to_json(item) for key, item in value.assets.items()}
        return {SIGNATURE_KEY: ARCHIVE_SIGNATURE, "hash": value.hash, "assets": assets}
    if isinstance(value, Mapping):
        return {key: to_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(item) for item in value]
    return _to_wire(value, accept_secrets=True)


def from_json(value: Any) -> Any:
    """Return the value of its checkpoint form; assets keep their recorded hash and are not read."""
    if isinstance(value, list):
        return [from_json(item) for item in value]
    if isinstance(value, dict):
        signature = value.get(SIGNATURE_KEY)
        if signature == SECRET_SIGNATURE:
            return Secret(from_json(json.loads(value["plaintext"])))
        if signature == RESOURCE_SIGNATURE:
            return Reference(value["urn"], from_json(value.get("id")))
        if signature == ASSET_SIGNATURE:
            return Asset(value["hash"], value.get("path"), value.get("text"))
        if signature == ARCHIVE_SIGNATURE:
            assets = value.get("assets")
            inner = None if assets is None else {key: from_json(item) for key, item in assets.items()}
            return Archive(value["hash"], value.get("path"), inner)
        return {key: from_json(item) for key, item in value.items()}
    return UNKNOWN if value == UNKNOWN_ON_WIRE else value


def plain(value: Any) -> Any:
    """Return a value as a provider takes it: secrets bare, other resources as their id or URN."""
    return _rebuild(value, _to_plain)


def _to_plain(value: Any) -> Any:
    if isinstance(value, Secret):
        return plain(value.value)
    if isinstance(value, Reference):
        return value.urn if value.id is None else value.id
    return value


def masked(value: Any) -> Any:
    """Return a value as it may be shown: secrets and unknowns as words, files as their hash."""
    return _rebuild(value, _to_masked)


def _to_masked(value: Any) -> Any:
    if isinstance(value, Secret):
        return "[secret]"
    if value is UNKNOWN:
        return "[unknown]"
    if isinstance(value, Reference):
        return value.urn
    if isinstance(value, Asset | Archive):
        return f"{type(value).__name__.lower()}({value.hash[:12]})"
    return value


def _rebuild(value: Any, leaf: Callable[[Any], Any]) -> Any:
    if isinstance(value, dict):
        return {key: _rebuild(item, leaf) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rebuild(item, leaf) for item in value]
    return leaf(value)


def has_unknown(value: Any) -> bool:
    """Say whether a value is, or holds, an unknown."""
    if isinstance(value, Secret):
        return has_unknown(value.value)
    if isinstance(value, Mapping):
        return any(has_unknown(item) for item in value.values())
    if isinstance(value, list | tuple):
        return any(has_unknown(item) for item in value)
    return value is UNKNOWN


def has_secret(value: Any) -> bool:
    """Say whether a value is, or holds, a secret."""
    if isinstance(value, Mapping):
        return any(has_secret(item) for item in value.values())
    if isinstance(value, list | tuple):
        return any(has_secret(item) for item in value)
    return isinstance(value, Secret)


def known_only(value: Any) -> Any:
    """Return a value without its unknown parts (entries of mappings); None when it is unknown itself."""
    if isinstance(value, dict):
        return {key: known_only(item) for key, item in value.items() if item is not UNKNOWN}
    if isinstance(value, Secret):
        return UNKNOWN if has_unknown(value.value) else value
    return value
