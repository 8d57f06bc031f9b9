"""What a version was trained from, found again and compared with what was recorded: nothing is guessed.

A version's own archive holds the code and the spec, its decision names the data manifest and the champion it
was compared with. All of it is looked at before a job is paid for, and what is gone is named piece by piece.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from models.spec import ModelSpec, parse
from training import unpacking
from training.errors import ArtifactError
from training.outputs import split_uri
from training.registry import inspection, seal
from training.registry.inspection import Inspected
from upkeep.errors import UpkeepError, is_gone
from upkeep.models import Version
from upkeep.outputs import ModelOutputs
from upkeep.runs import Clients

_PARALLEL = 8
_NAMED = 20
_CHUNK_BYTES = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Object:
    """An object in S3.

    Attributes:
        uri: Where it is.
        version_id: Which version of it; '' for the newest.
        newest: Whether that is what a reader of the address gets.
    """

    uri: str
    version_id: str = ""
    newest: bool = True


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """All that a version's training read, and what came out of it.

    Attributes:
        version: Which version.
        run_id: Its run; part of what the model holds.
        archive: Its artifact, on this machine, as it was registered.
        recorded: What is in that.
        spec: As it was trained.
        image: Container that trained it.
        manifest_uri: Its data.
        champion: The artifact it was compared with; None for the first model.
    """

    version: Version
    run_id: str
    archive: Path
    recorded: Inspected
    spec: ModelSpec
    image: str
    manifest_uri: str
    champion: Object | None


@dataclass
class _Search:
    """What was found so far."""

    there: Clients
    problems: list[str] = field(default_factory=list)

    @property
    def s3(self) -> Any:
        return self.there.client("s3")

    def head(self, uri: str, version_id: str = "") -> dict[str, Any] | None:
        """What S3 says of an object, or of one version of it; None when it is gone."""
        bucket, key = split_uri(uri)
        exact = {"VersionId": version_id} if version_id else {}
        try:
            found: dict[str, Any] = self.s3.head_object(Bucket=bucket, Key=key, **exact)
        except self.s3.exceptions.ClientError as error:
            if is_gone(error) or _unversioned(error, version_id):
                return None
            raise
        return found

    def read(self, uri: str) -> bytes | None:
        """An object's bytes; None when it is gone."""
        bucket, key = split_uri(uri)
        try:
            found: bytes = self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        except self.s3.exceptions.ClientError as error:
            if is_gone(error):
                return None
            raise
        return found


def find(
    there: Clients, model: ModelOutputs, version: Version, folder: Path, report: Callable[[str], None]
) -> Inputs:
    """Find a version's inputs.

    Args:
        there: The stack.
        model: Where the model lives.
        version: Which version.
        folder: Where its archive is put.
        report: Told what is looked at.

    Raises:
        UpkeepError: Names every input that is gone or is not what was recorded.
    """
    search = _Search(there)
    facts = _facts(search, model, version)
    report("artifact")
    archive = folder / "model.tar.gz"
    recorded = _artifact(search, version, facts, archive)
    report("data")
    _data(search, facts)
    champion = _champion(search, facts)
    if search.problems or recorded is None:
        listed = "\n".join(f"  {one}" for one in search.problems)
        raise UpkeepError(
            f"{version.words[0].upper()}{version.words[1:]} cannot be trained again from what it was "
            f"trained from:\n{listed}"
        )
    return Inputs(
        version=version,
        run_id=str(recorded.passport["run_id"]),
        archive=archive,
        recorded=recorded,
        spec=_spec(archive),
        image=facts["image"],
        manifest_uri=facts["manifest_uri"],
        champion=champion,
    )


def code_files(archive: Path) -> Iterator[tuple[str, bytes]]:
    """The code that trained a version, out of its own archive, by path."""
    for path, content in _members(archive):
        if path.startswith(f"{seal.CODE}/"):
            yield path.removeprefix(f"{seal.CODE}/"), content


def _spec(archive: Path) -> ModelSpec:
    content = next(body for path, body in _members(archive) if path == "spec.json")
    return parse(json.loads(content), f"{archive.name}: spec.json")


def _members(archive: Path) -> Iterator[tuple[str, bytes]]:
    with archive.open("rb") as stream:
        for member in unpacking.members(stream, archive.name, seal.is_part):
            if member.path.startswith(f"{seal.CODE}/") or member.path == "spec.json":
                yield member.path, b"".join(member.chunks)


def _facts(search: _Search, model: ModelOutputs, version: Version) -> dict[str, str]:
    """What is recorded: by the decision, else by the package; of the seed by its training job."""
    if version.package is None:
        return _seed_facts(search, model)
    found = {name: version.fact(name) for name in version.package.metadata}
    uri = found.get("decision_uri", "")
    body = search.read(uri) if uri else None
    if body is None:
        # The package repeats all that matters, but for an address that is too long for it.
        return found
    if hashlib.sha256(body).hexdigest() != found.get("decision_sha256"):
        search.problems.append(f"decision {uri}: changed after its registration")
        return found
    decision = json.loads(body)
    told = {name: str(value) for name, value in decision.items() if isinstance(value, str)}
    return {**told, **{name: value for name, value in found.items() if value}}


def _seed_facts(search: _Search, model: ModelOutputs) -> dict[str, str]:
    job = describe_job(search.there, model.seed_job)
    if job is None:
        search.problems.append(f"training job {model.seed_job}: gone; nothing else says what the seed read")
        return {}
    channels = {
        one["ChannelName"]: one["DataSource"]["S3DataSource"]["S3Uri"] for one in job["InputDataConfig"]
    }
    return {"manifest_uri": channels["data"], "image": job["AlgorithmSpecification"]["TrainingImage"]}


def describe_job(there: Clients, name: str) -> dict[str, Any] | None:
    """A training job; None when there is none, or none any more."""
    sagemaker = there.client("sagemaker")
    try:
        found: dict[str, Any] = sagemaker.describe_training_job(TrainingJobName=name)
    except sagemaker.exceptions.ClientError as error:
        if is_gone(error):
            return None
        raise
    return found


def _artifact(search: _Search, version: Version, facts: Mapping[str, str], target: Path) -> Inspected | None:
    """The registered bytes: what lies at the address, or the version of it that was registered."""
    uri, expected = version.model_data_url, facts.get("artifact_sha256", "")
    if version.package is not None and not expected:
        search.problems.append(f"package {version.label}: it was registered without a passport")
        return None
    tried = ["", *(one for one in [facts.get("artifact_version_id", "")] if one)]
    found = ""
    for version_id in tried:
        if search.head(uri, version_id) is None:
            continue
        found = _download(search.s3, uri, version_id, target)
        if not expected or found == expected:
            return _inspected(search, uri, target)
    what = f"changed: found SHA-256 {found}, registered was {expected}" if found else "gone"
    search.problems.append(f"artifact {uri}: {what}")
    return None


def _inspected(search: _Search, uri: str, path: Path) -> Inspected | None:
    try:
        with path.open("rb") as stream:
            return inspection.inspect(stream, path.name)
    except ArtifactError as error:
        search.problems.append(f"artifact {uri}: {error}")
        return None


def _download(s3: Any, uri: str, version_id: str, target: Path) -> str:
    bucket, key = split_uri(uri)
    exact = {"VersionId": version_id} if version_id else {}
    body = s3.get_object(Bucket=bucket, Key=key, **exact)["Body"]
    total = hashlib.sha256()
    with target.open("wb") as file:
        while chunk := body.read(_CHUNK_BYTES):
            total.update(chunk)
            file.write(chunk)
    return total.hexdigest()


def _data(search: _Search, facts: Mapping[str, str]) -> None:
    uri = facts.get("manifest_uri", "")
    if not uri:
        search.problems.append("data manifest: none is recorded")
        return
    body = search.read(uri)
    if body is None:
        search.problems.append(f"data manifest {uri}: gone")
        return
    expected = facts.get("manifest_sha256", "")
    if expected and hashlib.sha256(body).hexdigest() != expected:
        search.problems.append(f"data manifest {uri}: changed after the registration")
        return
    prefix, *keys = json.loads(body)
    recorded = _recorded(search, facts)
    addresses = [f"{prefix['prefix']}{key}" for key in keys]
    search.there.client("s3")  # made here: sessions are not for several threads
    with ThreadPoolExecutor(_PARALLEL) as pool:
        heads = list(pool.map(search.head, addresses))
    lost = []
    for key, address, head in zip(keys, addresses, heads, strict=True):
        if head is None:
            lost.append(f"data file {address}: gone")
        elif recorded.get(key, head.get("VersionId")) != head.get("VersionId"):
            lost.append(f"data file {address}: replaced, the version {recorded[key]} was read")
    search.problems += lost[:_NAMED]
    if len(lost) > _NAMED:
        search.problems.append(f"and {len(lost) - _NAMED} more data files")


def _recorded(search: _Search, facts: Mapping[str, str]) -> dict[str, str]:
    """S3's ids of the data files' versions, as the data version's record has them."""
    uri = facts.get("data_version_uri", "")
    body = search.read(uri) if uri else None
    if body is None:
        return {}
    objects = json.loads(body).get("objects", [])
    ids = {one["key"]: str(one.get("version_id") or "") for one in objects}
    return {key: found for key, found in ids.items() if found not in ("", "null", "none")}


def _champion(search: _Search, facts: Mapping[str, str]) -> Object | None:
    if not facts.get("champion_run_id"):
        return None
    uri, version_id = facts.get("champion_url", ""), facts.get("champion_version_id", "")
    who = f"champion {facts['champion_run_id']}"
    if not uri:
        search.problems.append(f"{who}: its artifact's address is not recorded")
        return None
    head = search.head(uri)
    if head is not None and version_id in ("", head.get("VersionId")):
        return Object(uri=uri, version_id=version_id)
    if version_id and search.head(uri, version_id) is not None:
        return Object(uri=uri, version_id=version_id, newest=False)
    what = "gone" if head is None else f"replaced, and the version {version_id} is gone"
    search.problems.append(f"{who}, artifact {uri}: {what}")
    return None


def _unversioned(error: Exception, version_id: str) -> bool:
    """HEAD answers 400 for an id that is none, and 405 for a deleted version's marker."""
    response: Mapping[str, Any] = getattr(error, "response", {})
    code = str(response.get("Error", {}).get("Code", ""))
    return bool(version_id) and code in ("400", "405", "MethodNotAllowed", "InvalidArgument")
