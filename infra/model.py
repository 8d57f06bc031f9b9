"""One model: its registry, its role, its seed, and the endpoint that its first version is served from.

Who owns what after the first deployment: the release state machine. The seed's training job, model and
endpoint configuration are made once and then left alone, and the endpoint keeps the configuration that a
release gave it. Without that, an `up` after a change of code or spec would train a model nobody asked for,
take the endpoint back to it, or delete the configuration that serves (an endpoint cannot be updated or scaled
without it). A changed spec reaches the endpoint with the next release; the state machines change at once.

The seed's names carry a digest of what it was made from, so that a first deployment that failed in the seed's
training can be repaired and repeated: the repaired job has another name than the failed one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from infra import jobs
from infra.ledger import PARTITION, SORT, Ledger
from infra.model_role import model_permissions
from infra.naming import VARIANT, Names
from infra.permissions import service_role
from infra.release_function import watch_alarms
from infra.seed import Seed
from infra.serving import data_capture, serving_environment
from infra.storage import Storage
from models.spec import ModelSpec
from training.manifest import Manifest
from training.words import description

# Every input that can change; `tags` alone stay Pulumi's.
_SEED_IS_MADE_ONCE = {
    "job": [
        *("algorithmSpecification", "enableNetworkIsolation", "hyperParameters", "inputDataConfigs"),
        *("outputDataConfig", "resourceConfig", "roleArn", "stoppingCondition", "trainingJobName"),
    ],
    "model": ["enableNetworkIsolation", "executionRoleArn", "name", "primaryContainer"],
    "config": ["dataCaptureConfig", "name", "productionVariants"],
    "endpoint": ["deploymentConfig", "endpointConfigName"],
}
ENDPOINT_TIMEOUT = "30m"


@dataclass(frozen=True, kw_only=True)
class ModelArgs:
    """What `Model` needs.

    Attributes:
        names: Names of the stack.
        spec: The model.
        seed: Its first training file.
        image: Container that trains and serves.
        storage: Key and buckets.
        ledger: Where the seed is written down as accepted data.
        code_key: Key of the code archive in the artifacts bucket.
        code_digest: Digest of that code.
        code: The uploaded archive; the seed's training waits for it.
        log_retention_days: How long the endpoint's log is kept.
    """

    names: Names
    spec: ModelSpec
    seed: Seed
    image: str
    storage: Storage
    ledger: Ledger
    code_key: str
    code_digest: str
    code: pulumi.Resource
    log_retention_days: int


class Model(pulumi.ComponentResource):
    """Registry group, role, spec, seed, endpoint.

    Attributes:
        role_arn: Role of training and serving.
        spec_key: Key of the spec in the artifacts bucket.
        endpoint: Name of the endpoint.
        package_group: Name of the registry group.
        seed_job: Name of the first training job.
        seed_config: Name of the first endpoint configuration: what a rollback can always go back to.
    """

    role_arn: pulumi.Output[str]
    spec_key: str
    endpoint: pulumi.Output[str]
    package_group: pulumi.Output[str]
    seed_config: pulumi.Output[str]
    seed_job: pulumi.Output[str]

    def __init__(self, name: str, args: ModelArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("upkeep:model:Model", name, {}, opts)
        self._name, self._args = name, args
        self._own = args.names.model(args.spec.name)
        self._digest = _digest(args)
        self.spec_key = f"specs/{args.spec.name}.json"
        self.group = aws.sagemaker.ModelPackageGroup(
            f"{name}-registry",
            model_package_group_name=self._own.base,
            model_package_group_description=description(
                args.spec.description or f"Versions of {args.spec.name}"
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.role, policy = service_role(
            name,
            "sagemaker.amazonaws.com",
            f"Trains and serves {self._own.base}",
            args.names.account_id,
            [
                *model_permissions(args.names, args.storage, args.spec, args.image),
                watch_alarms(args.names, args.spec),
            ],
            pulumi.ResourceOptions(parent=self),
        )
        objects = self._upload()
        self._record_seed(objects[1])
        self.job = self._train_seed([*objects, policy, args.code])
        self.served = self._serve(policy)
        self.role_arn = self.role.arn
        self.endpoint = self.served.name
        self.package_group = self.group.model_package_group_name
        self.seed_job = self.job.training_job_name
        self.seed_config = self.config.name
        self.register_outputs({"endpoint": self.endpoint, "package_group": self.package_group})

    def _once(self, part: str, depends_on: Sequence[pulumi.Resource] = ()) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(
            parent=self, ignore_changes=_SEED_IS_MADE_ONCE[part], depends_on=list(depends_on)
        )

    def _upload(self) -> list[aws.s3.BucketObjectv2]:
        """Spec, seed and manifest."""
        args = self._args
        self._seed_key = args.seed.key(args.spec.name)
        listed = Manifest.of(args.names.bucket("data"), [self._seed_key])
        self._manifest_key = listed.key(args.spec.name)
        data, artifacts = args.storage.data, args.storage.artifacts
        spec = self._object("spec", artifacts, self.spec_key, args.spec.to_json())
        seed = self._object(
            "seed", data, self._seed_key, args.seed.content.decode(), "text/csv", args.seed.facts
        )
        return [spec, seed, self._object("manifest", data, self._manifest_key, listed.body)]

    def _record_seed(self, stored: aws.s3.BucketObjectv2) -> None:
        """Later trainings find the seed in the ledger, like every other data.

        What people make of the record, say by forgetting rows, is theirs; another seed is another record.
        """
        ledger, seed, spec = self._args.ledger.resource, self._args.seed, self._args.spec
        aws.dynamodb.TableItem(
            f"{self._name}-seed-record-{seed.sha256[:8]}",
            table_name=ledger.name,
            hash_key=PARTITION,
            range_key=SORT,
            item=stored.version_id.apply(
                lambda version: json.dumps(seed.record(spec, version).to_item(), sort_keys=True)
            ),
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["item"]),
        )

    def _object(
        self,
        role: str,
        bucket: pulumi.Input[str],
        key: str,
        content: str,
        content_type: str = "application/json",
        metadata: dict[str, str] | None = None,
    ) -> aws.s3.BucketObjectv2:
        return aws.s3.BucketObjectv2(
            f"{self._name}-{role}",
            bucket=bucket,
            key=key,
            source=pulumi.StringAsset(content),
            content_type=content_type,
            metadata=metadata,
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _train_seed(self, depends_on: Sequence[pulumi.Resource]) -> aws.sagemaker.TrainingJob:
        args, spec = self._args, self._args.spec
        artifacts, data = (f"s3://{args.names.bucket(role)}" for role in ("artifacts", "data"))
        run_id = self._own.seed_run(self._digest)
        inputs = jobs.channels(
            code=f"{artifacts}/{args.code_key}",
            spec=f"{artifacts}/{self.spec_key}",
            manifest=f"{data}/{self._manifest_key}",
        )
        return aws.sagemaker.TrainingJob(
            f"{self._name}-seed-job",
            training_job_name=self._own.training_job(run_id),
            role_arn=self.role.arn,
            enable_network_isolation=True,
            algorithm_specification=aws.sagemaker.TrainingJobAlgorithmSpecificationArgs(
                training_image=args.image,
                training_input_mode="File",
                metric_definitions=[
                    aws.sagemaker.TrainingJobAlgorithmSpecificationMetricDefinitionArgs(
                        name=metric, regex=regex
                    )
                    for metric, regex in jobs.metric_definitions(spec)
                ],
            ),
            hyper_parameters=jobs.hyperparameters(spec.name) | {"run_id": run_id},
            input_data_configs=[_input(channel) for channel in inputs],
            output_data_config=aws.sagemaker.TrainingJobOutputDataConfigArgs(
                s3_output_path=f"{artifacts}/training/{spec.name}", kms_key_id=args.storage.key_arn
            ),
            resource_config=aws.sagemaker.TrainingJobResourceConfigArgs(
                instance_type=spec.training.instance_type,
                instance_count=jobs.INSTANCE_COUNT,
                volume_size_in_gb=spec.training.volume_size_gb,
            ),
            stopping_condition=aws.sagemaker.TrainingJobStoppingConditionArgs(
                max_runtime_in_seconds=spec.training.max_runtime_seconds
            ),
            opts=self._once("job", depends_on),
        )

    def _serve(self, policy: pulumi.Resource) -> aws.sagemaker.Endpoint:
        args, serving = self._args, self._args.spec.serving
        # The job's output and not its planned name: once made, the seed stays the one that was made.
        model_data = pulumi.Output.concat(
            f"s3://{args.names.bucket('artifacts')}/training/{args.spec.name}/",
            self.job.training_job_name,
            "/output/model.tar.gz",
        )
        name = self._own.serving(0, self._digest)
        self.model = aws.sagemaker.Model(
            f"{self._name}-model",
            name=name,
            execution_role_arn=self.role.arn,
            enable_network_isolation=True,
            primary_container=aws.sagemaker.ModelPrimaryContainerArgs(
                image=args.image,
                model_data_url=model_data,
                environment=serving_environment(args.spec, args.names.region),
            ),
            # Without the role's policy in place the model's file could not be read.
            opts=self._once("model", [policy]),
        )
        self.config = aws.sagemaker.EndpointConfiguration(
            f"{self._name}-config",
            name=name,
            production_variants=[
                aws.sagemaker.EndpointConfigurationProductionVariantArgs(
                    variant_name=VARIANT,
                    model_name=self.model.name,
                    instance_type=serving.instance_type,
                    initial_instance_count=serving.instance_count,
                    initial_variant_weight=1,
                )
            ],
            data_capture_config=_capture(args),
            opts=self._once("config"),
        )
        logs = aws.cloudwatch.LogGroup(
            f"{self._name}-endpoint-logs",
            name=f"/aws/sagemaker/Endpoints/{self._own.base}",
            retention_in_days=args.log_retention_days,
            opts=pulumi.ResourceOptions(parent=self),
        )
        options = self._once("endpoint", [logs])
        options.custom_timeouts = pulumi.CustomTimeouts(create=ENDPOINT_TIMEOUT, update=ENDPOINT_TIMEOUT)
        return aws.sagemaker.Endpoint(
            f"{self._name}-endpoint",
            name=self._own.base,
            endpoint_config_name=self.config.name,
            opts=options,
        )


def _digest(args: ModelArgs) -> str:
    parts = (args.code_digest, args.spec.digest(), args.seed.sha256)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _input(channel: jobs.Channel) -> aws.sagemaker.TrainingJobInputDataConfigArgs:
    source = aws.sagemaker.TrainingJobInputDataConfigDataSourceS3DataSourceArgs(
        s3_data_type=channel.data_type, s3_uri=channel.uri, s3_data_distribution_type="FullyReplicated"
    )
    return aws.sagemaker.TrainingJobInputDataConfigArgs(
        channel_name=channel.name,
        input_mode="File",
        data_source=aws.sagemaker.TrainingJobInputDataConfigDataSourceArgs(s3_data_source=source),
    )


def _capture(args: ModelArgs) -> aws.sagemaker.EndpointConfigurationDataCaptureConfigArgs | None:
    wanted = data_capture(
        args.names.bucket("data"), args.spec.name, args.spec.serving.capture_percent, key_arn=""
    )
    if wanted is None:
        return None
    types = wanted["CaptureContentTypeHeader"]
    return aws.sagemaker.EndpointConfigurationDataCaptureConfigArgs(
        enable_capture=True,
        initial_sampling_percentage=wanted["InitialSamplingPercentage"],
        destination_s3_uri=wanted["DestinationS3Uri"],
        kms_key_id=args.storage.key_arn,
        capture_options=[
            aws.sagemaker.EndpointConfigurationDataCaptureConfigCaptureOptionArgs(
                capture_mode=option["CaptureMode"]
            )
            for option in wanted["CaptureOptions"]
        ],
        capture_content_type_header=aws.sagemaker.EndpointConfigurationDataCaptureConfigCaptureContentTypeHeaderArgs(
            csv_content_types=types["CsvContentTypes"], json_content_types=types["JsonContentTypes"]
        ),
    )
