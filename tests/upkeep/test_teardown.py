# ruff: noqa: N803, PLW0108 - arguments are spelt as boto3 spells them
import pytest
from botocore.exceptions import ClientError

from inference.preflight import places
from tests.upkeep.fakes import (
    RAW,
    RETRAIN,
    FakeClient,
    answering,
    missing,
    raising,
    refusal,
    stack_outputs,
)
from upkeep import teardown

SERVING = "upkeep-dev-flights-v2-0002"
DONE, RUNNING = (f"upkeep-dev-flights-{digits * 5}" for digits in ("0001", "0003"))
CHECK = places.job_name("upkeep-dev-flights", "0001", "first")
OTHER_CHECK = places.job_name("upkeep-dev-flights-long", "0001", "first")
TRAINING, PROCESSING = "/aws/sagemaker/TrainingJobs", "/aws/sagemaker/ProcessingJobs"
SEED = RAW["models"]["flights"]["seed_job"]


class Account:
    """SageMaker, Step Functions and Logs of an account that remembers what is deleted."""

    def __init__(self, **changes):
        self.running = ["arn:execution"]
        self.jobs = {DONE: "Completed", RUNNING: "InProgress", SEED: "Completed"}
        self.checks = {CHECK: "InProgress", OTHER_CHECK: "Completed"}
        self.packages = ["arn:pkg/1", "arn:pkg/2"]
        self.configs = ["upkeep-dev-flights-v1-0001", SERVING]
        self.models = ["upkeep-dev-flights-v1-0001", SERVING]
        self.groups = ["/aws/sagemaker/Endpoints/upkeep-dev-flights"]
        self.streams = {
            TRAINING: [f"{DONE}/algo-1", "another/algo-1"],
            PROCESSING: [f"{CHECK}/algo-1", f"{OTHER_CHECK}/algo-1"],
        }
        self.serving = True
        self.sagemaker = FakeClient(
            **{
                "list_training_jobs": self.list_jobs,
                "describe_training_job": self.describe_job,
                "stop_training_job": self.stop_job,
                "delete_training_job": lambda TrainingJobName: self.jobs.pop(TrainingJobName),
                "list_processing_jobs": self.list_checks,
                "describe_processing_job": lambda ProcessingJobName: {
                    "ProcessingJobStatus": self.checks[ProcessingJobName]
                },
                "stop_processing_job": lambda ProcessingJobName: self.checks.update(
                    {ProcessingJobName: "Stopped"}
                ),
                "delete_processing_job": lambda ProcessingJobName: self.checks.pop(ProcessingJobName),
                "list_model_packages": lambda **_a: {
                    "ModelPackageSummaryList": [{"ModelPackageArn": arn} for arn in self.packages]
                },
                "delete_model_package": lambda ModelPackageName: self.packages.remove(ModelPackageName),
                "describe_endpoint": self.describe_endpoint,
                "describe_endpoint_config": answering({"ProductionVariants": [{"ModelName": SERVING}]}),
                "list_endpoint_configs": lambda **_a: {
                    "EndpointConfigs": [{"EndpointConfigName": name} for name in self.configs]
                },
                "delete_endpoint_config": lambda EndpointConfigName: self.configs.remove(EndpointConfigName),
                "list_models": lambda **_a: {"Models": [{"ModelName": name} for name in self.models]},
                "delete_model": lambda ModelName: self.models.remove(ModelName),
                **changes,
            }
        )
        self.dynamodb = FakeClient(delete_item=answering({}))
        self.states = FakeClient(list_executions=self.list_executions, stop_execution=self.stop_execution)
        self.logs = FakeClient(
            delete_log_group=self.delete_group,
            describe_log_streams=self.list_streams,
            delete_log_stream=lambda logGroupName, logStreamName: self.streams[logGroupName].remove(
                logStreamName
            ),
        )

    def client(self, service, **_options):
        clients = {"sagemaker": self.sagemaker, "stepfunctions": self.states, "logs": self.logs}
        return {**clients, "dynamodb": self.dynamodb}[service]

    def list_executions(self, stateMachineArn, statusFilter):
        assert statusFilter == "RUNNING"
        found = self.running if stateMachineArn == RETRAIN else []
        return {"executions": [{"executionArn": arn} for arn in found]}

    def stop_execution(self, executionArn, **_why):
        self.running.remove(executionArn)

    def list_jobs(self, NameContains):
        found = [name for name in self.jobs if NameContains in name]
        return {
            "TrainingJobSummaries": [{"TrainingJobName": n, "TrainingJobStatus": self.jobs[n]} for n in found]
        }

    def list_checks(self, NameContains):
        return {
            "ProcessingJobSummaries": [
                {"ProcessingJobName": n, "ProcessingJobStatus": s}
                for n, s in self.checks.items()
                if NameContains in n
            ]
        }

    def describe_job(self, TrainingJobName):
        status = self.jobs[TrainingJobName]
        if status == "Stopping":
            self.jobs[TrainingJobName] = "Stopped"
        return {"TrainingJobStatus": status}

    def stop_job(self, TrainingJobName):
        self.jobs[TrainingJobName] = "Stopping"

    def describe_endpoint(self, **_arguments):
        if not self.serving:
            raise missing("endpoint")
        return {"EndpointConfigName": SERVING}

    def delete_group(self, logGroupName):
        if logGroupName not in [*self.groups, *self.streams] or self.streams.get(logGroupName):
            raise refusal("ResourceNotFoundException")
        self.groups = [name for name in self.groups if name != logGroupName]
        self.streams.pop(logGroupName, None)

    def list_streams(self, logGroupName, logStreamNamePrefix=""):
        if logGroupName not in self.streams:
            raise refusal("ResourceNotFoundException")
        found = [s for s in self.streams[logGroupName] if s.startswith(logStreamNamePrefix)]
        return {"logStreams": [{"logStreamName": s} for s in found]}


def swept(account, after=False, outputs=None):
    told = []
    call = teardown.sweep_after if after else teardown.sweep
    call(account, outputs or stack_outputs(), told.append, sleep=lambda _s: None)
    return told


def test_running_work_is_stopped_and_jobs_versions_and_old_releases_are_deleted():
    account = Account()
    told = swept(account)
    assert account.running == []
    assert account.packages == []
    assert list(account.jobs) == [SEED]
    assert "deleted 2 model versions" in told
    assert "deleted 2 training jobs" in told


def test_what_serves_stays_until_the_endpoint_is_gone():
    account = Account()
    swept(account)
    assert (account.configs, account.models) == ([SERVING], [SERVING])
    swept(account, after=True)
    assert account.configs == [SERVING]
    account.serving = False
    swept(account, after=True)
    assert (account.configs, account.models) == ([], [])


def test_the_seeds_training_job_is_left_to_pulumi():
    account = Account()
    swept(account)
    deleted = [call["TrainingJobName"] for call in account.sagemaker.asked("delete_training_job")]
    assert SEED not in deleted


def test_a_running_job_is_stopped_before_it_is_deleted():
    account = Account()
    swept(account)
    order = [name for name, arguments in account.sagemaker.calls if RUNNING in str(arguments)]
    assert order == [
        "stop_training_job",
        "describe_training_job",
        "describe_training_job",
        "delete_training_job",
    ]


def test_a_job_that_does_not_stop_does_not_hold_up_the_teardown_for_ever():
    now = iter(range(0, 10_000, 100))
    account = Account(
        describe_training_job=answering({"TrainingJobStatus": "Stopping"}),
        delete_training_job=answering({}),
    )
    teardown.sweep(account, stack_outputs(), sleep=lambda _s: None, clock=lambda: float(next(now)))
    assert len(account.sagemaker.asked("describe_training_job")) < 10


def test_a_second_sweep_finds_nothing_and_says_nothing():
    account = Account()
    account.serving = False
    swept(account)
    swept(account, after=True)
    assert swept(account) == []
    assert swept(account, after=True) == []


def test_a_group_that_is_gone_already_is_no_error():
    account = Account(list_model_packages=raising(missing("group")))
    swept(account)
    assert account.configs == [SERVING]


def test_a_refusal_is_not_taken_for_something_gone():
    account = Account(delete_model_package=raising(refusal("AccessDeniedException")))
    with pytest.raises(ClientError, match="AccessDenied"):
        swept(account)


def test_a_model_whose_name_begins_alike_keeps_everything_when_the_shorter_one_goes():
    account = Account()
    for name in ("long", "v1", "seed"):
        account.jobs |= {f"upkeep-dev-flights-{name}-{'0004' * 5}": "Completed"}
        account.configs.append(f"upkeep-dev-flights-{name}-v3-0004")
        account.models.append(f"upkeep-dev-flights-{name}-v3-0004")
    others = (list(account.jobs)[3:], account.configs[2:], account.models[2:])
    account.serving = False
    swept(account, outputs=stack_outputs(models={"flights": RAW["models"]["flights"]}))
    assert (list(account.jobs), account.configs, account.models) == ([SEED, *others[0]], *others[1:])


def test_logs_of_the_services_go_but_not_those_of_other_jobs():
    account = Account()
    swept(account, after=True)
    assert account.groups == []
    assert account.streams == {TRAINING: ["another/algo-1"], PROCESSING: [f"{OTHER_CHECK}/algo-1"]}


def test_checks_of_releases_are_stopped_and_deleted_and_those_of_other_models_are_not():
    account = Account()
    told = swept(account)
    assert account.checks == {OTHER_CHECK: "Completed"}
    assert "deleted 1 processing job" in told
    assert "deleted 1 running processing job" in told


def test_a_long_name_that_cuts_the_checks_hides_none():
    long = "upkeep-a-very-long-name-of-a-stack-flights-and-more-a"
    outputs = stack_outputs(models={"flights": {**RAW["models"]["flights"], "endpoint": long}})
    account = Account()
    account.checks = {places.job_name(long, "0001", "first"): "Completed"}
    swept(account, outputs=outputs)
    assert account.checks == {}


def test_a_stack_whose_first_deployment_failed_has_nothing_to_sweep():
    assert teardown.sweep(Account(), {"region": "us-east-1"}) == {}


def test_only_models_that_are_no_longer_declared_count_as_removed():
    outputs = {"region": "us-east-1", "models": {"flights": {}, "trains": {}}}
    assert teardown.removed(outputs, ["flights"]) == {"region": "us-east-1", "models": {"trains": {}}}
    assert teardown.removed(outputs, ["flights", "trains"]) == {}


def test_a_stack_declares_the_models_of_its_file_or_those_of_the_schema(tmp_path):
    (tmp_path / "Pulumi.yaml").write_text("config: {models: {type: array, default: [flights]}}")
    (tmp_path / "Pulumi.dev.yaml").write_text("config: {'upkeep:models': [trains]}")
    (tmp_path / "Pulumi.prod.yaml").write_text("")
    assert teardown.declared_models(tmp_path, "dev") == ["trains"]
    assert teardown.declared_models(tmp_path, "prod") == ["flights"]


def test_what_served_is_no_way_back_for_an_endpoint_that_is_made_anew():
    account = Account()
    swept(account, outputs=stack_outputs(ledger_table="ledger"))
    key = {"pk": {"S": "flights"}, "sk": {"S": "rollout"}}
    assert account.dynamodb.asked("delete_item") == [{"TableName": "ledger", "Key": key}]
    account.dynamodb.answers["delete_item"] = raising(missing("table"))
    swept(account, outputs=stack_outputs(ledger_table="ledger"))
