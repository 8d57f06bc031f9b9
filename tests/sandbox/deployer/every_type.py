"""Every resource type the provider has, but the slow two; `two` changes what can be changed."""

import json

import pulumi
import pulumi_aws as aws
from pulumi import Output, ResourceOptions

PREFIX = "every-type"


def _policy(**statement: object) -> Output[str]:
    return Output.json_dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]})


def _role(name: str, service: str, note: str, *, inline: bool = False) -> aws.iam.Role:
    list_buckets = _policy(Action=["s3:ListAllMyBuckets"], Resource="*")
    return aws.iam.Role(
        name,
        name=f"{PREFIX}-{name}",
        description=note,
        assume_role_policy=_policy(Principal={"Service": service}, Action="sts:AssumeRole"),
        inline_policies=[{"name": "own", "policy": list_buckets}] if inline else None,
    )


def program(two: bool) -> None:
    note = "two" if two else "one"
    account = aws.get_caller_identity().account_id
    key = aws.kms.Key("key", description=note, enable_key_rotation=two, deletion_window_in_days=7)
    aws.kms.Alias("alias", name=f"alias/{PREFIX}", target_key_id=key.key_id)
    bucket = aws.s3.Bucket("bucket", bucket=f"{PREFIX}-{account}", force_destroy=True, tags={"note": note})
    logs_bucket = aws.s3.Bucket("logs-bucket", force_destroy=True)
    _bucket_settings(bucket, logs_bucket, key, two)
    dead = aws.sqs.Queue("dead", name=f"{PREFIX}-dead", message_retention_seconds=60 if two else 120)
    redrive = Output.json_dumps({"deadLetterTargetArn": dead.arn, "maxReceiveCount": 5 if two else 3})
    queue = aws.sqs.Queue(
        "queue", name=f"{PREFIX}-queue", redrive_policy=redrive, delay_seconds=2 if two else None
    )
    pattern = Output.json_dumps({"source": ["aws.s3"], "detail-type": [note]})
    rule = aws.cloudwatch.EventRule("rule", name=f"{PREFIX}-rule", event_pattern=pattern, description=note)
    aws.cloudwatch.EventTarget("target", rule=rule.name, arn=queue.arn, input=json.dumps({"note": note}))
    send = _policy(
        Principal={"Service": "events.amazonaws.com"}, Action="sqs:SendMessage", Resource=queue.arn
    )
    aws.sqs.QueuePolicy("queue-policy", queue_url=queue.url, policy=send)
    topic = aws.sns.Topic("topic", display_name=note)
    publish = _policy(
        Principal={"Service": "cloudwatch.amazonaws.com"}, Action="sns:Publish", Resource=topic.arn
    )
    aws.sns.TopicPolicy("topic-policy", arn=topic.arn, policy=publish)
    aws.sns.TopicSubscription(
        "subscription", topic=topic.arn, protocol="sqs", endpoint=queue.arn, raw_message_delivery=two
    )
    _table(key, two)
    function = _function(queue, rule, two)
    _state_machine(note)
    _alarms(function, topic, two)
    _models(bucket, note)
    pulumi.export("bucket", bucket.bucket)
    pulumi.export("note", note)


def _bucket_settings(bucket: aws.s3.Bucket, logs: aws.s3.Bucket, key: aws.kms.Key, two: bool) -> None:
    id_ = bucket.id
    aws.s3.BucketVersioning("versions", bucket=id_, versioning_configuration={"status": "Enabled"})
    default = {"sse_algorithm": "aws:kms", "kms_master_key_id": key.arn}
    aws.s3.BucketServerSideEncryptionConfiguration(
        "encryption",
        bucket=id_,
        rules=[{"apply_server_side_encryption_by_default": default, "bucket_key_enabled": two}],
    )
    aws.s3.BucketPublicAccessBlock("private", bucket=id_, block_public_acls=True, block_public_policy=two)
    aws.s3.BucketOwnershipControls("owner", bucket=id_, rule={"object_ownership": "BucketOwnerEnforced"})
    deny = {"Bool": {"aws:SecureTransport": "false"}, "StringEquals": {"aws:PrincipalTag/x": str(two)}}
    aws.s3.BucketPolicy(
        "policy",
        bucket=id_,
        policy=bucket.arn.apply(
            lambda arn: json.dumps(
                {
                    "Version": "2012-10-17",
                    "Statement": [
                        {
                            "Effect": "Deny",
                            "Principal": "*",
                            "Action": ["s3:*"],
                            "Resource": [f"{arn}/*", arn],
                            "Condition": deny,
                        }
                    ],
                }
            )
        ),
    )
    aws.s3.BucketLifecycleConfiguration(
        "lifecycle",
        bucket=id_,
        rules=[
            {
                "id": "old",
                "status": "Enabled",
                "filter": {"prefix": "old/"},
                "expiration": {"days": 9 if two else 8},
                "noncurrent_version_expiration": {"noncurrent_days": 7},
                "abort_incomplete_multipart_upload": {"days_after_initiation": 3},
            }
        ],
    )
    aws.s3.BucketNotification("events", bucket=id_, eventbridge=True)
    aws.s3.BucketLogging("access-log", bucket=id_, target_bucket=logs.id, target_prefix=f"{two}/")
    aws.s3.BucketObjectv2(
        "object", bucket=id_, key="a.json", content=json.dumps(two), content_type="application/json"
    )


def _table(key: aws.kms.Key, two: bool) -> None:
    table = aws.dynamodb.Table(
        "table",
        name=f"{PREFIX}-table",
        billing_mode="PROVISIONED" if two else "PAY_PER_REQUEST",
        read_capacity=2 if two else None,
        write_capacity=3 if two else None,
        hash_key="pk",
        range_key="sk",
        attributes=[{"name": "sk", "type": "N"}, {"name": "pk", "type": "S"}],
        ttl={"attribute_name": "ends", "enabled": not two},
        point_in_time_recovery={"enabled": not two},
        server_side_encryption={"enabled": True, "kms_key_arn": None if two else key.arn},
        deletion_protection_enabled=two,
        table_class="STANDARD_INFREQUENT_ACCESS" if two else None,
        tags={"note": str(two)},
    )
    content = {"note": {"S": str(two)}, "list": {"L": [{"N": "1"}, {"BOOL": two}]}, "bytes": {"B": "AQI="}}
    aws.dynamodb.TableItem(
        "item",
        table_name=table.name,
        hash_key="pk",
        range_key="sk",
        item=json.dumps({"pk": {"S": "one"}, "sk": {"N": "1"}, **content, f"only-{two}": {"S": "x"}}),
    )


def _function(queue: aws.sqs.Queue, rule: aws.cloudwatch.EventRule, two: bool) -> aws.lambda_.Function:
    role = _role("function-role", "lambda.amazonaws.com", str(two))
    actions = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]
    granted = aws.iam.RolePolicy("granted", role=role.id, policy=_policy(Action=actions, Resource=queue.arn))
    log = aws.cloudwatch.LogGroup("log", name=f"/aws/lambda/{PREFIX}", retention_in_days=14 if two else 7)
    function = aws.lambda_.Function(
        "function",
        name=PREFIX,
        role=role.arn,
        runtime="python3.12",
        handler="code.handler",
        timeout=30 if two else 20,
        code=pulumi.AssetArchive({"code.py": pulumi.StringAsset(f"def handler(*_): return {two}")}),
        environment={"variables": {"QUEUE": queue.url, "NOTE": str(two)}},
        tracing_config={"mode": "Active"},
        opts=ResourceOptions(depends_on=[log, granted]),
    )
    aws.lambda_.Permission(
        "permission",
        function=function.name,
        action="lambda:InvokeFunction",
        principal="events.amazonaws.com",
        source_arn=rule.arn,
    )
    aws.lambda_.EventSourceMapping(
        "mapping",
        function_name=function.name,
        event_source_arn=queue.arn,
        batch_size=5 if two else 10,
        function_response_types=["ReportBatchItemFailures"],
        scaling_config={"maximum_concurrency": 2},
    )
    return function


def _state_machine(note: str) -> None:
    role = _role("machine-role", "states.amazonaws.com", note, inline=True)
    log = aws.cloudwatch.LogGroup("machine-log", name=f"/aws/vendedlogs/states/{PREFIX}")
    put = _policy(
        Principal={"Service": "delivery.logs.amazonaws.com"}, Action="logs:PutLogEvents", Resource="*"
    )
    aws.cloudwatch.LogResourcePolicy("log-policy", policy_name=PREFIX, policy_document=put)
    states = {"Only": {"Type": "Pass", "Comment": note, "End": True}}
    aws.sfn.StateMachine(
        "machine",
        name=PREFIX,
        role_arn=role.arn,
        definition=json.dumps({"StartAt": "Only", "States": states}),
        logging_configuration={
            "level": "ERROR",
            "include_execution_data": False,
            "log_destination": log.arn.apply(lambda arn: f"{arn}:*"),
        },
        tracing_configuration={"enabled": True},
    )


def _alarms(function: aws.lambda_.Function, topic: aws.sns.Topic, two: bool) -> None:
    simple = aws.cloudwatch.MetricAlarm(
        "simple",
        name=f"{PREFIX}-simple",
        comparison_operator="GreaterThanThreshold",
        evaluation_periods=1,
        metric_name="Errors",
        namespace="AWS/Lambda",
        period=60,
        statistic="Sum",
        threshold=2 if two else 1,
        dimensions={"FunctionName": function.name},
        alarm_actions=[topic.arn],
        treat_missing_data="notBreaching",
    )
    metric = {
        "metric_name": "Errors",
        "namespace": "AWS/Lambda",
        "period": 60,
        "stat": "Sum",
        "dimensions": {"FunctionName": function.name},
    }
    computed = aws.cloudwatch.MetricAlarm(
        "computed",
        comparison_operator="GreaterThanThreshold",
        evaluation_periods=1,
        threshold=5,
        metric_queries=[
            {"id": "twice", "expression": "m1*2", "label": str(two), "return_data": True},
            {"id": "m1", "metric": metric},
        ],
    )
    aws.cloudwatch.CompositeAlarm(
        "both",
        alarm_name=f"{PREFIX}-both",
        alarm_rule=Output.concat("ALARM(", simple.name, ") OR ALARM(", computed.name, ")"),
        alarm_description=str(two),
        alarm_actions=[topic.arn],
    )
    words = {"markdown": str(two)}
    widget = {"type": "text", "x": 0, "y": 0, "width": 3, "height": 3, "properties": words}
    aws.cloudwatch.Dashboard(
        "dashboard", dashboard_name=PREFIX, dashboard_body=json.dumps({"widgets": [widget]})
    )


def _models(bucket: aws.s3.Bucket, note: str) -> None:
    aws.sagemaker.ModelPackageGroup(
        "group", model_package_group_name=PREFIX, model_package_group_description=note, tags={"note": note}
    )
    role = _role("model-role", "sagemaker.amazonaws.com", note)
    granted = aws.iam.RolePolicy(
        "model-reads", role=role.id, policy=_policy(Action=["s3:*", "kms:*"], Resource="*")
    )
    data = aws.s3.BucketObjectv2("data", bucket=bucket.id, key="model.tar.gz", content="not unpacked here")
    image = aws.sagemaker.get_prebuilt_ecr_image(
        repository_name="sagemaker-scikit-learn", image_tag="1.9-0-cpu-py3"
    )
    model = aws.sagemaker.Model(
        "model",
        execution_role_arn=role.arn,
        enable_network_isolation=True,
        primary_container={
            "image": image.registry_path,
            "model_data_url": Output.concat("s3://", bucket.bucket, "/model.tar.gz"),
            "environment": {"NOTE": note},
        },
        opts=ResourceOptions(depends_on=[data, granted]),
    )
    aws.sagemaker.EndpointConfiguration(
        "config",
        production_variants=[
            {
                "variant_name": "AllTraffic",
                "model_name": model.name,
                "initial_instance_count": 1,
                "instance_type": "ml.m5.large",
            }
        ],
        data_capture_config={
            "enable_capture": True,
            "initial_sampling_percentage": 100,
            "destination_s3_uri": Output.concat("s3://", bucket.bucket, "/capture/"),
            "capture_options": [{"capture_mode": "Input"}, {"capture_mode": "Output"}],
            "capture_content_type_header": {"csv_content_types": ["text/csv"]},
        },
    )
