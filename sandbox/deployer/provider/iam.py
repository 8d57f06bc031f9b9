"""IAM roles and their inline policies (`aws_iam_role`, `aws_iam_role_policy`)."""

from __future__ import annotations

import functools
import json
import urllib.parse
from typing import Any

from sandbox.deployer.interface import ProviderError
from sandbox.deployer.values import Properties

from .aws import Call, found, gone, retried
from .kinds import Kind, Naming, again, document, names, retag, tag_map

_MISSING = ("NoSuchEntity",)


def _text(policy: Any) -> str:
    # botocore decodes policy documents of its own accord; other servers send them percent-encoded.
    return json.dumps(policy) if isinstance(policy, dict) else urllib.parse.unquote(str(policy))


def _create_role(call: Call, inputs: Properties) -> str:
    iam = call.client("iam")
    request: dict[str, Any] = {
        "RoleName": inputs["name"],
        "AssumeRolePolicyDocument": inputs["assumeRolePolicy"],
        "Path": inputs.get("path", "/"),
    }
    if inputs.get("description"):
        request["Description"] = inputs["description"]
    if inputs.get("maxSessionDuration"):
        request["MaxSessionDuration"] = inputs["maxSessionDuration"]
    if inputs.get("permissionsBoundary"):
        request["PermissionsBoundary"] = inputs["permissionsBoundary"]
    if call.tags:
        request["Tags"] = call.tag_list()
    # A principal made a moment ago may not be seen yet.
    retried(lambda: iam.create_role(**request), "MalformedPolicyDocument", message="invalid principal")
    id_ = call.created(inputs["name"])
    _set_inline(call, id_, {}, _inline(inputs))
    _set_managed(call, id_, [], inputs.get("managedPolicyArns") or [])
    return id_


def _inline(inputs: Properties) -> dict[str, str]:
    return {item["name"]: item["policy"] for item in inputs.get("inlinePolicies") or [] if item.get("name")}


def _set_inline(call: Call, role: str, old: dict[str, str], new: dict[str, str]) -> None:
    iam = call.client("iam")
    for name in sorted(set(old) - set(new)):
        gone(functools.partial(iam.delete_role_policy, RoleName=role, PolicyName=name), *_MISSING)
    for name, policy in new.items():
        if document(old.get(name)) != document(policy):
            iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=policy)


def _set_managed(call: Call, role: str, old: list[str], new: list[str]) -> None:
    iam = call.client("iam")
    for arn in sorted(set(old) - set(new)):
        gone(functools.partial(iam.detach_role_policy, RoleName=role, PolicyArn=arn), *_MISSING)
    for arn in sorted(set(new) - set(old)):
        iam.attach_role_policy(RoleName=role, PolicyArn=arn)


def _read_role(call: Call, id_: str, inputs: Properties) -> Properties | None:
    iam = call.client("iam")
    answer = found(lambda: iam.get_role(RoleName=id_), *_MISSING)
    if answer is None:
        return None
    role = answer["Role"]
    live: Properties = {
        "name": id_,
        "arn": role["Arn"],
        "assumeRolePolicy": _text(role["AssumeRolePolicyDocument"]),
        "path": role.get("Path", "/"),
        "description": role.get("Description") or None,
        "maxSessionDuration": role.get("MaxSessionDuration") or 3600,
        "permissionsBoundary": (role.get("PermissionsBoundary") or {}).get("PermissionsBoundaryArn"),
        "uniqueId": role["RoleId"],
        "createDate": role["CreateDate"].isoformat()
        if hasattr(role.get("CreateDate"), "isoformat")
        else None,
        "tagsAll": tag_map(iam.list_role_tags(RoleName=id_).get("Tags", [])),
    }
    attached = iam.list_attached_role_policies(RoleName=id_).get("AttachedPolicies", [])
    live["managedPolicyArns"] = sorted(item["PolicyArn"] for item in attached)
    if "inlinePolicies" in inputs:
        live["inlinePolicies"] = _live_inline(call, id_, inputs)
    return live


def _live_inline(call: Call, role: str, inputs: Properties) -> list[dict[str, str]]:
    iam = call.client("iam")
    wanted = _inline(inputs)
    policies = []
    for name in iam.list_role_policies(RoleName=role).get("PolicyNames", []):
        text = _text(iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"])
        same = name in wanted and document(wanted[name]) == document(text)
        policies.append({"name": name, "policy": wanted[name] if same else text})
    return policies


def _update_role(call: Call, id_: str, old: Properties, new: Properties) -> None:
    iam = call.client("iam")

    def changed(key: str) -> bool:
        return bool(old.get(key) != new.get(key))

    if changed("assumeRolePolicy"):
        policy = new["assumeRolePolicy"]
        iam.update_assume_role_policy(RoleName=id_, PolicyDocument=policy)
    if changed("description") or changed("maxSessionDuration"):
        duration = new.get("maxSessionDuration") or 3600
        iam.update_role(RoleName=id_, Description=new.get("description", ""), MaxSessionDuration=duration)
    if changed("permissionsBoundary"):
        boundary = new.get("permissionsBoundary")
        if boundary:
            iam.put_role_permissions_boundary(RoleName=id_, PermissionsBoundary=boundary)
        else:
            iam.delete_role_permissions_boundary(RoleName=id_)
    _set_inline(call, id_, _inline(old), _inline(new))
    _set_managed(call, id_, old.get("managedPolicyArns") or [], new.get("managedPolicyArns") or [])
    retag(
        old,
        new,
        lambda keys: iam.untag_role(RoleName=id_, TagKeys=keys),
        lambda: iam.tag_role(RoleName=id_, Tags=call.tag_list()),
    )


def _delete_role(call: Call, id_: str, inputs: Properties) -> None:
    """Delete with what this resource put on the role; `forceDetachPolicies` takes everything off."""
    iam = call.client("iam")
    own, managed = set(_inline(inputs)), set(inputs.get("managedPolicyArns") or [])
    if inputs.get("forceDetachPolicies"):
        listed = found(lambda: iam.list_role_policies(RoleName=id_), *_MISSING) or {}
        own |= set(listed.get("PolicyNames", []))
        attached = found(lambda: iam.list_attached_role_policies(RoleName=id_), *_MISSING) or {}
        managed |= {item["PolicyArn"] for item in attached.get("AttachedPolicies", [])}
    _set_inline(call, id_, dict.fromkeys(own, ""), {})
    _set_managed(call, id_, sorted(managed), [])
    gone(lambda: iam.delete_role(RoleName=id_), *_MISSING)


ROLE = Kind(
    type="aws:iam/role:Role",
    properties=names(
        "assumeRolePolicy description forceDetachPolicies inlinePolicies managedPolicyArns "
        "maxSessionDuration name namePrefix path permissionsBoundary tags"
    ),
    create=_create_role,
    read=_read_role,
    update=_update_role,
    delete=_delete_role,
    replace=names("name namePrefix path"),
    naming=Naming(maximum=64),
    documents=names("assumeRolePolicy"),
    unordered=names("managedPolicyArns inlinePolicies"),
    defaults={"forceDetachPolicies": False, "maxSessionDuration": 3600, "path": "/"},
    tags=True,
    identify=lambda inputs: inputs["name"],
    local=names("forceDetachPolicies"),
)


def _put_policy(call: Call, inputs: Properties) -> str:
    iam = call.client("iam")
    role, name = inputs["role"], inputs["name"]
    iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=inputs["policy"])
    return f"{role}:{name}"


def _create_policy(call: Call, inputs: Properties) -> str:
    iam = call.client("iam")
    role, name = inputs["role"], inputs["name"]
    if found(lambda: iam.get_role_policy(RoleName=role, PolicyName=name), *_MISSING) is not None:
        raise ProviderError(
            f"PutRolePolicy: EntityAlreadyExists: the role {role} has a policy {name} already"
        )
    return _put_policy(call, inputs)


def _read_policy(call: Call, id_: str, _inputs: Properties) -> Properties | None:
    role, _, name = id_.partition(":")
    iam = call.client("iam")
    answer = found(lambda: iam.get_role_policy(RoleName=role, PolicyName=name), *_MISSING)
    if answer is None:
        return None
    return {"role": role, "name": name, "policy": _text(answer["PolicyDocument"])}


def _delete_policy(call: Call, id_: str, _inputs: Properties) -> None:
    role, _, name = id_.partition(":")
    iam = call.client("iam")
    gone(lambda: iam.delete_role_policy(RoleName=role, PolicyName=name), *_MISSING)


ROLE_POLICY = Kind(
    type="aws:iam/rolePolicy:RolePolicy",
    properties=names("name namePrefix policy role"),
    create=_create_policy,
    read=_read_policy,
    update=again(_put_policy),
    delete=_delete_policy,
    replace=names("name namePrefix role"),
    naming=Naming(maximum=128),
    documents=names("policy"),
    identify=lambda inputs: f"{inputs['role']}:{inputs['name']}",
)

KINDS = (ROLE, ROLE_POLICY)
