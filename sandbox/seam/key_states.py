"""What services answer when the key of a thing is disabled or about to be deleted.

Sources: "Key states of AWS KMS keys" (https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html),
the errors of SQS (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html)
and SNS (https://docs.aws.amazon.com/sns/latest/api/API_Publish.html). S3 puts ``KMS.`` before KMS's
code. DynamoDB's answer is documented for missing permissions only; it asks for the key every five minutes
there, at each call here (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/encryption.howitworks.html).
"""

# ruff: noqa: SLF001 - MiniStack's private names are what this package is for

from __future__ import annotations

import json
from dataclasses import dataclass
from xml.sax.saxutils import escape

from sandbox.seam.internals import ministack
from sandbox.seam.sagemaker import Answer


@dataclass(frozen=True)
class Problem:
    """Why a key cannot be used.

    Attributes:
        code: KMS's error code.
        words: KMS's sentence, which names the key.
    """

    code: str
    words: str


_DISABLED, _INVALID = "DisabledException", "KMSInvalidStateException"
_STATES = {
    "Disabled": (_DISABLED, "is disabled."),
    "PendingDeletion": (_INVALID, "is pending deletion."),
    "PendingImport": (_INVALID, "is pending import."),
}
_SQS = {_DISABLED: "KmsDisabled", _INVALID: "KmsInvalidState"}
_SNS = {_DISABLED: "KMSDisabled", _INVALID: "KMSInvalidState"}


def problem(key: str | None) -> Problem | None:
    """Why a key, by its id, ARN or alias, cannot be used now; None when it can or is not known."""
    record = ministack("services.kms")._resolve_key(key) if key else None
    found = _STATES.get(record["KeyState"]) if record else None
    return Problem(found[0], f"{record['Arn']} {found[1]}") if record and found else None


def answer(service: str, found: Problem) -> Answer:
    """The service's own error."""
    if service == "s3":
        return _xml(f"<Error><Code>KMS.{found.code}</Code><Message>{escape(found.words)}</Message></Error>")
    if service == "sns":
        inner = f"<Type>Sender</Type><Code>{_SNS[found.code]}</Code><Message>{escape(found.words)}</Message>"
        return _xml(f"<ErrorResponse><Error>{inner}</Error></ErrorResponse>")
    if service == "sqs":
        return _json(_SQS[found.code], found.words, {"x-amzn-query-error": f"KMS.{found.code};Sender"})
    return _json("AccessDeniedException", f"KMS key access denied error: {found.words}", {})


def _xml(text: str) -> Answer:
    return 400, {"Content-Type": "application/xml"}, text.encode()


def _json(code: str, message: str, headers: dict[str, str]) -> Answer:
    content = json.dumps({"__type": code, "message": message}).encode()
    return 400, {"Content-Type": "application/x-amz-json-1.0", **headers}, content
