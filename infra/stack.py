"""The whole program: the only file that knows all the components."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from infra import archives, settings
from infra import dispatch as dispatch_module
from infra import intake as intake_module
from infra.alarms import (
    Alarms,
    AlarmsArgs,
    dead_letters_alarm,
    endpoint_alarms,
    function_alarm,
    intake_alarms,
    machine_alarms,
    rollout_alarms,
    stray_files_alarm,
)
from infra.alerts import Alerts, AlertsArgs
from infra.archives import Archives, TrainingCode, TrainingCodeArgs
from infra.dashboard import Dashboard, DashboardArgs
from infra.dispatch import Dispatch, DispatchArgs, ended_rules, sweep_rule
from infra.functions import LambdaFunction
from infra.intake import Intake, IntakeArgs, arrivals_rule
from infra.judging import judge_function
from infra.ledger import Ledger, LedgerArgs
from infra.model import Model, ModelArgs
from infra.naming import Names
from infra.queues import WorkQueue, WorkQueueArgs
from infra.release import ReleaseArgs, ReleaseMachine
from infra.release_function import ReleaseFunctionArgs, release_function
from infra.retrain import RetrainArgs, RetrainMachine
from infra.settings import Settings
from infra.storage import Storage, StorageArgs
from models.spec import ModelSpec

# https://docs.aws.amazon.com/sagemaker/latest/dg/pre-built-docker-containers-scikit-learn-spark.html
IMAGE_REPOSITORY = "sagemaker-scikit-learn"
IMAGE_TAG = "1.9-0-cpu-py3"


@dataclass(frozen=True, kw_only=True)
class Stack:
    """What `pulumi stack output` shows; the keys are an interface of the command line."""

    region: str
    data_bucket: pulumi.Output[str]
    artifacts_bucket: pulumi.Output[str]
    alerts_topic_arn: pulumi.Output[str]
    intake_queue_url: pulumi.Output[str]
    intake_dead_letters_url: pulumi.Output[str]
    dispatch_queue_url: pulumi.Output[str]
    dispatch_dead_letters_url: pulumi.Output[str]
    ledger_table: pulumi.Output[str]
    dashboard_name: str
    dashboard_url: str
    models: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class _Shared:
    """What every model's part is made with."""

    config: Settings
    names: Names
    image: str
    archives: Archives
    storage: Storage
    ledger: Ledger
    alerts: Alerts
    code: TrainingCode
    judge: LambdaFunction


def build() -> Stack:
    """Declare everything.

    Raises:
        SettingsError: The configuration or a model spec has errors; nothing was declared.
    """
    config = settings.load()
    names = Names(
        stack=config.stack,
        account_id=aws.get_caller_identity().account_id,
        region=aws.get_region().region,
        partition=aws.get_partition().partition,
    )
    shared = _build_shared(config, names)
    intake_queue, dispatch_queue = _build_queues(config, names)
    intake = Intake(
        "intake",
        IntakeArgs(
            names=names,
            storage=shared.storage,
            ledger=shared.ledger,
            queue=intake_queue,
            dispatch_queue=dispatch_queue,
            archive=shared.archives.functions,
            log_retention_days=config.log_retention_days,
        ),
    )
    dispatch = Dispatch(
        "dispatch",
        DispatchArgs(
            names=names,
            storage=shared.storage,
            ledger=shared.ledger,
            alerts=shared.alerts,
            queue=dispatch_queue,
            intake_queue=intake_queue,
            archive=shared.archives.functions,
            models=list(config.specs),
            log_retention_days=config.log_retention_days,
        ),
    )
    served = {name: _build_served(shared, spec) for name, spec in config.specs.items()}
    release = release_function(
        ReleaseFunctionArgs(
            names=names,
            specs=config.specs,
            role_arns={name: model.role_arn for name, model in served.items()},
            storage=shared.storage,
            ledger=shared.ledger,
            archive=shared.archives.functions,
            log_retention_days=config.log_retention_days,
        )
    )
    functions = {
        "intake": intake.function,
        "dispatch": dispatch.function,
        "judge": shared.judge,
        "release": release,
    }
    watched = [function_alarm(function.function_name, role) for role, function in functions.items()]
    alarms = Alarms(
        "stack",
        AlarmsArgs(
            names=names,
            prefix=names.prefix,
            alarms=[
                dead_letters_alarm(intake_queue.dead_letters.queue_name),
                dead_letters_alarm(dispatch_queue.dead_letters.queue_name, "dispatch-dead-letters"),
                stray_files_alarm(names.prefix),
                *watched,
            ],
            topic_arn=shared.alerts.topic_arn,
        ),
    )
    models, model_alarms = {}, []
    for spec in config.specs.values():
        models[spec.name], watching = _build_machines(shared, spec, served[spec.name], release)
        model_alarms.extend(watching.arns)
    dashboard = Dashboard(
        "stack",
        DashboardArgs(
            names=names,
            specs=config.specs,
            functions=[function.function_name for function in functions.values()],
            alarm_arns=[*alarms.arns, *model_alarms],
            queues=[intake_queue, dispatch_queue],
        ),
    )
    return Stack(
        region=names.region,
        data_bucket=shared.storage.data,
        artifacts_bucket=shared.storage.artifacts,
        alerts_topic_arn=shared.alerts.topic_arn,
        intake_queue_url=intake_queue.url,
        intake_dead_letters_url=intake_queue.dead_letters.url,
        dispatch_queue_url=dispatch_queue.url,
        dispatch_dead_letters_url=dispatch_queue.dead_letters.url,
        ledger_table=shared.ledger.table,
        dashboard_name=dashboard.dashboard_name,
        dashboard_url=dashboard.url,
        models=models,
    )


def _build_queues(config: Settings, names: Names) -> tuple[WorkQueue, WorkQueue]:
    """The two queues, before the functions: each of these sends to the other's."""
    waiting = {
        "intake": WorkQueueArgs(
            names=names,
            role="intake",
            rules=[arrivals_rule(names)],
            timeout_seconds=intake_module.TIMEOUT_SECONDS,
            max_receives=intake_module.MAX_RECEIVES,
        ),
        "dispatch": WorkQueueArgs(
            names=names,
            role="dispatch",
            rules=[*ended_rules(names, list(config.specs)), sweep_rule(names)],
            timeout_seconds=dispatch_module.TIMEOUT_SECONDS,
            max_receives=dispatch_module.MAX_RECEIVES,
        ),
    }
    intake, dispatch = (WorkQueue(role, args) for role, args in waiting.items())
    return intake, dispatch


def _build_shared(config: Settings, names: Names) -> _Shared:
    image = aws.sagemaker.get_prebuilt_ecr_image(repository_name=IMAGE_REPOSITORY, image_tag=IMAGE_TAG)
    built = archives.build(bundle=config.lambda_dependencies == "bundle")
    storage = Storage(
        "storage",
        StorageArgs(
            names=names,
            version_retention_days=config.version_retention_days,
            quarantine_retention_days=config.quarantine_retention_days,
            capture_retention_days=config.capture_retention_days,
            force_destroy=config.force_destroy,
            protect=config.protect,
        ),
    )
    alerts = Alerts("alerts", AlertsArgs(names=names, key_arn=storage.key_arn, email=config.alert_email))
    ledger = Ledger("ledger", LedgerArgs(names=names, key_arn=storage.key_arn, protect=config.protect))
    return _Shared(
        config=config,
        names=names,
        image=image.registry_path,
        archives=built,
        storage=storage,
        ledger=ledger,
        alerts=alerts,
        code=TrainingCode("code", TrainingCodeArgs(bucket=storage.artifacts, archives=built)),
        judge=judge_function(
            names, storage, ledger, built.functions, config.approval, config.log_retention_days
        ),
    )


def _build_served(shared: _Shared, spec: ModelSpec) -> Model:
    """What serves a model, and the first version of it."""
    config = shared.config
    return Model(
        spec.name,
        ModelArgs(
            names=shared.names,
            spec=spec,
            seed=config.seeds[spec.name],
            image=shared.image,
            storage=shared.storage,
            ledger=shared.ledger,
            code_key=shared.code.key,
            code_digest=shared.archives.digest,
            code=shared.code.object,
            log_retention_days=config.log_retention_days,
        ),
    )


def _build_machines(
    shared: _Shared, spec: ModelSpec, model: Model, release_step: LambdaFunction
) -> tuple[dict[str, Any], Alarms]:
    """What trains a model anew and releases it, and the alarms on all of that."""
    names, config, own = shared.names, shared.config, shared.names.model(spec.name)
    retrain = RetrainMachine(
        f"{spec.name}-retrain",
        RetrainArgs(
            names=names,
            spec=spec,
            image=shared.image,
            role_arn=model.role_arn,
            storage=shared.storage,
            alerts=shared.alerts,
            judge_arn=shared.judge.arn,
            code_key=shared.code.key,
            spec_key=model.spec_key,
            tags=config.tags,
            log_retention_days=config.log_retention_days,
        ),
    )
    release = ReleaseMachine(
        f"{spec.name}-release",
        ReleaseArgs(
            names=names,
            spec=spec,
            role_arn=model.role_arn,
            key_arn=shared.storage.key_arn,
            seed_config=model.seed_config,
            code_key=shared.code.key,
            alerts=shared.alerts,
            function_arn=release_step.arn,
            tags=config.tags,
            log_retention_days=config.log_retention_days,
        ),
    )
    watching = Alarms(
        spec.name,
        AlarmsArgs(
            names=names,
            prefix=own.base,
            alarms=[
                *endpoint_alarms(own.base, spec),
                *rollout_alarms(own.base, names.prefix, spec),
                *machine_alarms("retrain", f"Retraining {spec.name}", retrain.arn),
                *machine_alarms("release", f"Releasing {spec.name}", release.arn),
                dead_letters_alarm(release.dead_letters.queue_name, "approved-dead-letters"),
                *intake_alarms(names.prefix, spec.name),
            ],
            topic_arn=shared.alerts.topic_arn,
        ),
    )
    return {
        "endpoint": model.endpoint,
        "package_group": model.package_group,
        "retrain_state_machine_arn": retrain.arn,
        "release_state_machine_arn": release.arn,
        "incoming": pulumi.Output.concat("s3://", shared.storage.data, f"/incoming/{spec.name}/"),
        "seed_job": model.seed_job,
    }, watching
