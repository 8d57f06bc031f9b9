"""Carries out what the protocol decided: one change at most, which may be repeated after a crash."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from inference.preflight.places import Served
from inference.preflight.prepare import CheckPlan, prepare
from inference.release import observe, protocol
from inference.release.actions import (
    Action,
    AskSample,
    Claim,
    Create,
    Mark,
    Note,
    RequestStop,
    RunCheck,
    SetStopAlarm,
    Update,
    VerifyPassport,
    note,
)
from inference.release.sample import problem_of_answers
from inference.release.tools import Tools, is_passing, said
from inference.release.world import APPROVED, FAILED, LIVE, Observation
from training.registry import passport
from training.registry.metadata import value as metadata_value
from training.words import description

# What SageMaker says while another update is under way, and of a name that is taken: by ourselves, because a
# name carries a digest of what it names.
IN_PROGRESS, TAKEN = "in-progress", "already existing"
_REASON = "release_reason"


def carry_out(tools: Tools, seen: Observation, action: Action) -> dict[str, Any] | None:
    """Carry out an action.

    Args:
        tools: Clients.
        seen: What it was decided on.
        action: Any but `Wait`, `Pin` and `End`, which change nothing.

    Returns:
        The parameters of the job when a check is to be run, otherwise None.

    Raises:
        Exception: Of boto3, for what passes by itself.
    """
    match action:
        case Claim(changes=changes):
            tools.ledger.claim_rollout(tools.plan.model, tools.execution, seen.rollout, **dict(changes))
        case Note():
            write(tools, action)
        case RequestStop(owner=owner, reason=reason):
            tools.ledger.stop_rollout(tools.plan.model, owner, reason)
        case SetStopAlarm(ringing=ringing):
            _set_stop_alarm(tools, ringing)
        case VerifyPassport():
            write(tools, protocol.passport_verified(seen.rollout, _problem_of_passport(tools, seen)))
        case Create():
            _or_fail(tools, lambda: create(tools, seen.rollout.package_arn, seen.rollout.to_config))
        case RunCheck(attempt=attempt):
            return _check(tools, seen, attempt)
        case Update():
            _update(tools, seen, action)
        case AskSample():
            problem = problem_of_answers(tools, seen.endpoint.config, seen.rollout.package_arn)
            write(tools, protocol.sample_asked(seen, problem))
        case Mark():
            mark(tools, action)
        case _:
            raise TypeError(f"{type(action).__name__} changes nothing, so there is nothing to carry out")
    return None


def write(tools: Tools, action: Note) -> None:
    """Write a note; without the claim nothing is written, and the next look shows whose it is."""
    tools.ledger.update_rollout(tools.plan.model, tools.execution, **dict(action.changes))


def create(tools: Tools, package_arn: str, name: str) -> None:
    """Make model and configuration of a version; what is there already is the same."""
    package = observe.read_package(tools, package_arn)
    if package is None:
        return
    plan = tools.plan
    environment = passport.container_environment(package.get("CustomerMetadataProperties") or {})
    unless_taken(
        tools.sagemaker.create_model,
        ModelName=name,
        ExecutionRoleArn=plan.role_arn,
        EnableNetworkIsolation=True,
        PrimaryContainer=plan.container(package, environment),
        Tags=plan.tag_list(),
    )
    capture = {"DataCaptureConfig": plan.capture} if plan.capture else {}
    unless_taken(
        tools.sagemaker.create_endpoint_config,
        EndpointConfigName=name,
        ProductionVariants=[plan.variant_of(name)],
        Tags=plan.tag_list(),
        **capture,
    )


def mark(tools: Tools, action: Mark) -> None:
    """Write a mark in the registry."""
    facts = {"release": action.release, "released_at": _stamp(tools.now())}
    if action.reason:
        facts[_REASON] = metadata_value(action.reason)
    if action.config:
        facts["endpoint_config"] = action.config
    if action.release == LIVE:
        facts |= _image_facts(tools)
    rejected = {"ModelApprovalStatus": "Rejected", "ApprovalDescription": description(action.reason)}
    tools.sagemaker.update_model_package(
        ModelPackageArn=action.package_arn,
        CustomerMetadataProperties=facts,
        **(rejected if action.reject else {}),
    )


def _image_facts(tools: Tools) -> dict[str, str]:
    """The digest of the image that really serves: a tag may mean another image tomorrow.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DeployedImage.html
    """
    endpoint = tools.sagemaker.describe_endpoint(EndpointName=tools.plan.base)
    images = [image for v in endpoint.get("ProductionVariants", []) for image in v.get("DeployedImages", [])]
    digests = {str(image.get("ResolvedImage", "")).partition("@")[2] for image in images} - {""}
    return {"image_digest": ",".join(sorted(digests))} if digests else {}


def update_endpoint(tools: Tools, action: Update) -> None:
    """Ask SageMaker for a configuration.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_UpdateEndpoint.html
    """
    gradual = {"DeploymentConfig": tools.plan.deployment} if action.gradual and tools.plan.deployment else {}
    tools.sagemaker.update_endpoint(
        EndpointName=tools.plan.base,
        EndpointConfigName=action.config,
        RetainAllVariantProperties=action.retain,
        # Capture belongs to the configuration: a changed spec must reach the endpoint with the next release.
        ExcludeRetainedVariantProperties=[{"VariantPropertyType": "DataCaptureConfig"}],
        **gradual,
    )


def _update(tools: Tools, seen: Observation, action: Update) -> None:
    # Between the look and now somebody may have taken the claim, or taken back the approval.
    if not tools.ledger.holds_rollout(tools.plan.model, tools.execution):
        return
    if action.package_arn:
        package = observe.read_package(tools, action.package_arn)
        if package is None or package.get("ModelApprovalStatus") != APPROVED:
            return
    try:
        update_endpoint(tools, action)
    except tools.sagemaker.exceptions.ClientError as error:
        if is_passing(error):
            raise
        if IN_PROGRESS not in str(error):
            write(tools, protocol.update_refused(seen.rollout, said(error)))


def _check(tools: Tools, seen: Observation, attempt: int) -> dict[str, Any] | None:
    """Write down that a check begins, then what it reads; returns the job's parameters."""
    record, plan = seen.rollout, tools.plan
    if tools.ledger.update_rollout(plan.model, tools.execution, checks=attempt) is None:
        return None
    package = observe.read_package(tools, record.package_arn)
    if package is None:
        return None
    run_id = observe.run_of(package)
    environment = passport.container_environment(package.get("CustomerMetadataProperties") or {})
    container = plan.container(package, environment)
    return prepare(
        tools.s3,
        CheckPlan(
            model=plan.model,
            run_id=run_id,
            job_name=observe.attempt_name(tools, record, run_id, attempt),
            endpoint=plan.base,
            variant=plan.variant,
            challenger=Served(
                model_data_url=container["ModelDataUrl"],
                environment=container["Environment"],
                name=record.version,
            ),
            champion=_champion(tools, seen),
            image=container["Image"],
            role_arn=plan.role_arn,
            key_arn=plan.key_arn,
            instance_type=plan.instance_type,
            features=plan.features,
            check_requests=plan.check_requests,
            max_latency_milliseconds=plan.max_latency_milliseconds,
            code_uri=plan.code_uri,
            data_bucket=plan.data_bucket,
            artifacts_bucket=plan.artifacts_bucket,
            owner=tools.account,
            tags=plan.tags,
        ),
    )


def _champion(tools: Tools, seen: Observation) -> Served | None:
    """What serves now, with its own environment."""
    record, environment = seen.rollout, dict(tools.plan.environment)
    package = observe.read_package(tools, record.serving_package) if record.serving_package else None
    if package:
        environment |= passport.container_environment(package.get("CustomerMetadataProperties") or {})
    url = next(iter(observe.archives_of(tools, seen.endpoint.config).values()), "")
    if not url:
        return None
    return Served(
        model_data_url=url, environment=environment, name=record.serving_version or seen.endpoint.config
    )


def _problem_of_passport(tools: Tools, seen: Observation) -> str:
    package = observe.read_package(tools, seen.rollout.package_arn)
    if package is None:
        return "it is not in the registry any more"
    try:
        passport.verify(
            tools.s3,
            package.get("CustomerMetadataProperties") or {},
            model_data_url=package["InferenceSpecification"]["Containers"][0].get("ModelDataUrl", ""),
            artifacts_bucket=tools.plan.artifacts_bucket,
            data_bucket=tools.plan.data_bucket,
            owner=tools.account,
        )
    except passport.PassportError as error:
        return str(error)
    return ""


def _set_stop_alarm(tools: Tools, ringing: bool) -> None:
    """Ring or silence the alarm; it keeps the state, because it ignores that its metric has no data.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_SetAlarmState.html
    """
    words = "the rollout under way is to be stopped" if ringing else "no rollout is to be stopped"
    tools.cloudwatch.set_alarm_state(
        AlarmName=tools.plan.stop_alarm, StateValue="ALARM" if ringing else "OK", StateReason=words
    )


def _or_fail(tools: Tools, call: Any) -> None:
    """Make a call whose refusal for good ends the rollout."""
    try:
        call()
    except tools.sagemaker.exceptions.ClientError as error:
        if is_passing(error):
            raise
        failed = note(phase="ending", outcome=FAILED, failure=said(error))
        write(tools, failed)


def unless_taken(call: Any, **arguments: Any) -> None:
    """Create something whose name carries a digest of it: what is there already is the same."""
    try:
        call(**arguments)
    except Exception as error:
        if TAKEN not in str(error):
            raise


def _stamp(now: float) -> str:
    return datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds")
