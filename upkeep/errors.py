"""What goes wrong in the command line, with the exit codes people and scripts rely on."""

from __future__ import annotations

import re
from typing import Any

RELEASED = 0
FAILED = 1
REFUSED = 3
QUARANTINED = 4
WAITING = 5
HELD = 6
ROLLED_BACK = 7


class UpkeepError(Exception):
    """Something the person can act on; the message names the thing, what was found and what to do."""


def explain(error: Exception) -> str | None:
    """The sentence to show for an error of ours or of an AWS client, or None for a bug.

    Recognises by module name, so that nothing heavy is imported to say that something failed.
    """
    kind = type(error)
    origin = kind.__module__.partition(".")[0]
    if origin == "botocore" or kind.__module__.startswith("boto3."):
        return _explain_aws(error)
    if origin in _OUR_PACKAGES and kind.__name__.endswith("Error"):
        return str(error)
    if isinstance(error, FileNotFoundError | PermissionError | IsADirectoryError) and error.filename:
        return f"{error.filename}: {error.strerror}."
    return None


def is_gone(error: Exception) -> bool:
    """Whether an AWS client's error says that the thing asked for does not exist.

    SageMaker says so with a ValidationException: only its words tell it from a wrong request.
    """
    found = (getattr(error, "response", None) or {}).get("Error", {})
    code, message = found.get("Code", ""), found.get("Message", "")
    if code in ("ValidationException", "ValidationError"):
        return any(words in message.lower() for words in ("could not find", "does not exist", "not found"))
    return code in _GONE


def is_logged_out(error: Exception) -> bool:
    """Whether a call failed because the caller's credentials are over, or cannot be renewed."""
    if type(error).__name__ == "S3UploadFailedError" and isinstance(error.__context__, Exception):
        return is_logged_out(error.__context__)  # boto3's word for any failure of an upload in parts
    found = (getattr(error, "response", None) or {}).get("Error", {})
    origin = type(error).__module__.partition(".")[0]
    return found.get("Code") in _OVER or (origin == "botocore" and type(error).__name__ in _NOT_RENEWED)


# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html,
# https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html
_OVER = {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"}
_NOT_RENEWED = {
    "CredentialRetrievalError", "SSOTokenLoadError", "TokenRetrievalError", "UnauthorizedSSOTokenError",
}  # fmt: skip
_GONE = {
    "404", "NotFound", "NoSuchKey", "NoSuchBucket", "ResourceNotFound", "ResourceNotFoundException",
    "ExecutionDoesNotExist", "StateMachineDoesNotExist", "NoSuchVersion", "QueueDoesNotExist",
    "AWS.SimpleQueueService.NonExistentQueue",
}  # fmt: skip
_OUR_PACKAGES = {"upkeep", "sandbox", "models", "training", "inference", "monitoring", "infra"}


def _explain_aws(error: Exception) -> str:
    name = type(error).__name__
    response: dict[str, Any] = getattr(error, "response", None) or {}
    if response.get("Error"):
        code, message = response["Error"].get("Code", "?"), response["Error"].get("Message", "")
        operation = getattr(error, "operation_name", "a call")
        hint = _about_key(message) or _HINTS.get(code, "")
        return f"AWS refused {operation}: {code}: {message.strip().rstrip('.') or 'no message'}.{hint}"
    if is_logged_out(error):
        return f"{str(error).rstrip('.')}.{_RENEW}"
    if name in ("NoCredentialsError", "PartialCredentialsError"):
        return (
            "No AWS credentials were found. Log in (`aws sso login`), set AWS_PROFILE, or set "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; for the offline "
            "AWS run `upkeep sandbox` and leave --stack out."
        )
    if name == "ProfileNotFound":
        return f"{str(error).rstrip('.')}. Choose one that `aws configure list-profiles` shows."
    if name == "NoRegionError":
        return "No AWS region is set. Set AWS_REGION, or `aws:region` in the stack's file."
    if name in (
        "EndpointConnectionError",
        "ConnectTimeoutError",
        "ConnectionClosedError",
        "ReadTimeoutError",
    ):
        return f"{str(error).rstrip('.')}. Is the sandbox (`upkeep sandbox status`) or the network up?"
    return str(error)


def _about_key(message: str) -> str:
    """What to do about a key that cannot be used; each service has its code, all pass on KMS's words."""
    if re.search(r":key/\S+ is disabled", message):
        return (
            " The stack's key was switched off: nothing can be read or stored, and what serves serves on. "
            "Switch it on again (`aws kms enable-key --key-id ARN`); then what waits in queues is worked off."
        )
    if re.search(r":key/\S+ is pending deletion", message):
        return (
            " The stack's key is about to be deleted, and with it all that is stored. Take that back (`aws "
            "kms cancel-key-deletion --key-id ARN`, then `aws kms enable-key --key-id ARN`)."
        )
    return ""


_RENEW = " Your credentials are not valid now; log in again (`aws sso login`) or set new ones."
_HINTS = {
    "ExpiredToken": _RENEW,
    "ExpiredTokenException": _RENEW,
    "InvalidClientTokenId": _RENEW,
    "UnrecognizedClientException": _RENEW,
    "RequestExpired": _RENEW,
    "TokenRefreshRequired": _RENEW,
    "AccessDenied": " The role or user you act as lacks this permission.",
    "AccessDeniedException": " The role or user you act as lacks this permission.",
    "NoSuchBucket": " The stack's outputs name it; run `upkeep up` to bring the stack in order.",
}
