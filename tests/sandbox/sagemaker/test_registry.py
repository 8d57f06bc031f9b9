from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sandbox.sagemaker.settings import Settings
from tests.sandbox.sagemaker.fakes import IMAGE, ROLE, tarball
from tests.sandbox.sagemaker.harness import Service

GROUP = "upkeep-sandbox-flights"
PACKAGE = f"arn:aws:sagemaker:us-east-1:000000000000:model-package/{GROUP}"
EVENT = "SageMaker Model Package State Change"


def group(service: Service, name: str = GROUP, **more: Any) -> None:
    service("CreateModelPackageGroup", ModelPackageGroupName=name, **more)


def package(service: Service, **more: Any) -> str:
    request = {
        "ModelPackageGroupName": GROUP,
        "InferenceSpecification": {
            "Containers": [{"Image": IMAGE, "ModelDataUrl": "s3://models/one.tar.gz"}],
            "SupportedContentTypes": ["text/csv"],
            "SupportedResponseMIMETypes": ["text/csv"],
        },
        **more,
    }
    answer: str = service("CreateModelPackage", **request)["ModelPackageArn"]
    return answer


def details(service: Service) -> list[dict[str, Any]]:
    service.sagemaker._context.events.flush()
    return service.platform.events_of(EVENT)


def test_versions_count_up_and_are_never_used_twice(service: Service) -> None:
    group(service)
    assert [package(service), package(service)] == [f"{PACKAGE}/1", f"{PACKAGE}/2"]
    service("DeleteModelPackage", ModelPackageName=f"{PACKAGE}/2")
    assert package(service) == f"{PACKAGE}/3"


def test_a_new_version_waits_for_approval_unless_it_says_otherwise(service: Service) -> None:
    group(service)
    described = service("DescribeModelPackage", ModelPackageName=package(service))
    assert described["ModelApprovalStatus"] == "PendingManualApproval"
    assert (described["ModelPackageGroupName"], described["ModelPackageVersion"]) == (GROUP, 1)
    arn = package(service, ModelApprovalStatus="Approved")
    assert service("DescribeModelPackage", ModelPackageName=arn)["ModelApprovalStatus"] == "Approved"


def test_creating_and_approving_raise_the_documented_event(service: Service) -> None:
    group(service)
    arn = package(service, CustomerMetadataProperties={"run": "ab12"})
    service(
        "UpdateModelPackage",
        ModelPackageArn=arn,
        ModelApprovalStatus="Approved",
        ApprovalDescription="better by 0.02",
    )
    created, approved = details(service)
    assert created["ModelApprovalStatus"] == "PendingManualApproval"
    assert "UpdatedModelPackageFields" not in created
    assert approved["ModelApprovalStatus"] == "Approved"
    assert approved["UpdatedModelPackageFields"] == ["ModelApprovalStatus", "ApprovalDescription"]
    assert approved["ModelPackageArn"] == arn
    assert approved["ModelPackageGroupName"] == GROUP
    assert approved["ModelPackageVersion"] == 1
    assert approved["ModelPackageStatus"] == "Completed"
    assert approved["InferenceSpecification"]["Containers"][0]["Image"] == IMAGE
    assert approved["CustomerMetadataProperties"] == {"run": "ab12"}
    assert approved["CreationTime"].endswith("Z")
    assert service.platform.events[-1][2] == [arn]


def test_metadata_alone_raises_no_event_and_merges(service: Service) -> None:
    group(service)
    arn = package(service, ModelApprovalStatus="Approved", CustomerMetadataProperties={"a": "1", "b": "2"})
    service(
        "UpdateModelPackage",
        ModelPackageArn=arn,
        CustomerMetadataProperties={"release": "live", "a": "9"},
        CustomerMetadataPropertiesToRemove=["b"],
    )
    described = service("DescribeModelPackage", ModelPackageName=arn)
    assert described["CustomerMetadataProperties"] == {"a": "9", "release": "live"}
    assert len(details(service)) == 1


def test_metadata_raises_an_event_where_the_setting_follows_the_documentation(tmp_path: Path) -> None:
    service = Service(tmp_path / "r", Settings(metadata_update_events=True))
    group(service)
    arn = package(service, ModelApprovalStatus="Approved")
    service("UpdateModelPackage", ModelPackageArn=arn, CustomerMetadataProperties={"release": "live"})
    last = details(service)[-1]
    service.close()
    assert last["UpdatedModelPackageFields"] == ["CustomerMetadataProperties"]
    assert last["ModelApprovalStatus"] == "Approved"


def test_approving_what_is_approved_raises_no_second_event(service: Service) -> None:
    group(service)
    arn = package(service, ModelApprovalStatus="Approved")
    service("UpdateModelPackage", ModelPackageArn=arn, ModelApprovalStatus="Approved")
    assert len(details(service)) == 1


def test_versions_are_listed_by_approval(service: Service) -> None:
    group(service)
    group(service, "other")
    package(service, ModelApprovalStatus="Approved")
    package(service, ModelApprovalStatus="Rejected")
    package(service, ModelApprovalStatus="Approved")
    package(service, ModelPackageGroupName="other", ModelApprovalStatus="Approved")
    listed = service(
        "ListModelPackages",
        ModelPackageGroupName=GROUP,
        ModelApprovalStatus="Approved",
        SortBy="CreationTime",
        SortOrder="Descending",
    )["ModelPackageSummaryList"]
    assert [row["ModelPackageVersion"] for row in listed] == [3, 1]
    assert service("ListModelPackages")["ModelPackageSummaryList"] == []


def test_a_group_with_versions_cannot_be_deleted(service: Service) -> None:
    group(service)
    arn = package(service)
    error = service.error("DeleteModelPackageGroup", ModelPackageGroupName=GROUP)
    assert error.code == "ConflictException"
    assert arn in error.message
    service("DeleteModelPackage", ModelPackageName=arn)
    service("DeleteModelPackageGroup", ModelPackageGroupName=GROUP)
    error = service.error("DescribeModelPackageGroup", ModelPackageGroupName=GROUP)
    assert error.message == (
        f"ModelPackageGroup arn:aws:sagemaker:us-east-1:000000000000:model-package-group/{GROUP} does not "
        "exist."
    )


def test_a_group_exists_once(service: Service) -> None:
    group(service, Tags=[{"Key": "a", "Value": "1"}])
    assert service.error("CreateModelPackageGroup", ModelPackageGroupName=GROUP).message.startswith(
        "Model Package Group already exists: arn:"
    )
    listed = service("ListModelPackageGroups", NameContains="flights")["ModelPackageGroupSummaryList"]
    assert [row["ModelPackageGroupName"] for row in listed] == [GROUP]


def test_a_version_can_have_no_tags_of_its_own(service: Service) -> None:
    group(service)
    request = {"ModelPackageGroupName": GROUP, "Tags": [{"Key": "a", "Value": "1"}]}
    assert "Tag upkeep-sandbox-flights instead" in service.error("CreateModelPackage", **request).message


def test_a_repeated_request_with_the_same_token_makes_one_version(service: Service) -> None:
    group(service)
    assert package(service, ClientToken="t" * 36) == package(service, ClientToken="t" * 36)


def test_a_version_that_is_gone_does_not_exist(service: Service) -> None:
    error = service.error("DescribeModelPackage", ModelPackageName=f"{PACKAGE}/9")
    assert (error.code, error.message) == ("ValidationException", f"ModelPackage {PACKAGE}/9 does not exist.")


def test_a_model_can_be_made_of_a_package_version(service: Service) -> None:
    group(service)
    service.platform.s3.objects["models", "one.tar.gz"] = tarball({"name.txt": b"one"})
    service(
        "CreateModel",
        ModelName="m",
        ExecutionRoleArn=ROLE,
        PrimaryContainer={"ModelPackageName": package(service)},
    )
    service.config("c", {"ModelName": "m"})
    service("CreateEndpoint", EndpointName="shop", EndpointConfigName="c")
    service.endpoint_status("shop", "InService")
    assert service.invoke("shop")[2] == b"one"


@pytest.mark.parametrize(
    ("container", "words"),
    [
        ({"Image": IMAGE, "ModelDataUrl": "s3://models/none.tar.gz"}, "Could not find model data at"),
        ({"ModelDataUrl": "s3://models/one.tar.gz"}, "neither Image nor ModelPackageName"),
        ({"ModelPackageName": f"{PACKAGE}/7"}, "does not exist"),
    ],
)
def test_a_model_whose_parts_are_missing_is_refused(
    service: Service, container: dict[str, Any], words: str
) -> None:
    error = service.error("CreateModel", ModelName="m", ExecutionRoleArn=ROLE, PrimaryContainer=container)
    assert error.code == "ValidationException"
    assert words in error.message


def test_model_data_the_role_may_not_read_is_refused(service: Service) -> None:
    service.platform.s3.denied = ["models/"]
    container = {"Image": IMAGE, "ModelDataUrl": "s3://models/one.tar.gz"}
    error = service.error("CreateModel", ModelName="m", ExecutionRoleArn=ROLE, PrimaryContainer=container)
    assert error.message.startswith("Could not access model data at s3://models/one.tar.gz")


def test_models_are_described_with_all_they_were_made_of(service: Service) -> None:
    service.platform.s3.objects["models", "one.tar.gz"] = b"x"
    container = {
        "Image": IMAGE,
        "ModelDataUrl": "s3://models/one.tar.gz",
        "Environment": {"PIP_NO_INDEX": "1"},
    }
    service(
        "CreateModel",
        ModelName="m",
        ExecutionRoleArn=ROLE,
        PrimaryContainer=container,
        EnableNetworkIsolation=True,
    )
    described = service("DescribeModel", ModelName="m")
    assert described["PrimaryContainer"] == container
    assert described["EnableNetworkIsolation"] is True
    arn = "arn:aws:sagemaker:us-east-1:000000000000:model/m"
    error = service.error("CreateModel", ModelName="m", PrimaryContainer=container)
    assert error.message == f'Cannot create already existing model "{arn}".'
    service("DeleteModel", ModelName="m")
    assert service.error("DescribeModel", ModelName="m").message == f'Could not find model "{arn}".'
    service.sagemaker._context.events.flush()
    assert len(service.platform.events_of("SageMaker Model State Change")) == 2


def test_a_configuration_needs_its_models_and_unique_variants(service: Service) -> None:
    variant = {"VariantName": "A", "ModelName": "m", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    request = {"EndpointConfigName": "c", "ProductionVariants": [variant]}
    assert 'Could not find model "arn' in service.error("CreateEndpointConfig", **request).message
    service.model("m")
    request["ProductionVariants"] = [variant, variant]
    assert "A appears more than once" in service.error("CreateEndpointConfig", **request).message
    request["ProductionVariants"] = [
        {**variant, "ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 1}}
    ]
    assert "no serverless variants" in service.error("CreateEndpointConfig", **request).message
    service.config("c", {"ModelName": "m"})
    described = service("DescribeEndpointConfig", EndpointConfigName="c")
    assert described["ProductionVariants"][0]["InitialVariantWeight"] == 1.0
    request["ProductionVariants"] = [variant]
    assert service.error("CreateEndpointConfig", **request).message.startswith(
        "Cannot create already existing endpoint configuration"
    )
    listed = service("ListEndpointConfigs")["EndpointConfigs"]
    assert [row["EndpointConfigName"] for row in listed] == ["c"]


def test_tags_are_added_changed_and_removed(service: Service) -> None:
    group(service, Tags=[{"Key": "a", "Value": "1"}])
    arn = service("DescribeModelPackageGroup", ModelPackageGroupName=GROUP)["ModelPackageGroupArn"]
    added = service("AddTags", ResourceArn=arn, Tags=[{"Key": "a", "Value": "2"}, {"Key": "b", "Value": "3"}])
    assert added["Tags"] == [{"Key": "a", "Value": "2"}, {"Key": "b", "Value": "3"}]
    service("DeleteTags", ResourceArn=arn, TagKeys=["a", "none"])
    assert service("ListTags", ResourceArn=arn)["Tags"] == [{"Key": "b", "Value": "3"}]
    error = service.error("ListTags", ResourceArn=arn + "x")
    assert arn in error.message


def test_an_operation_that_does_not_exist_is_named(service: Service) -> None:
    error = service.error(
        "CreateNotebookInstance", NotebookInstanceName="n", InstanceType="ml.t3.medium", RoleArn=ROLE
    )
    assert error.code == "UnknownOperationException"
    assert "CreateNotebookInstance" in error.message
    assert "CreateTrainingJob" in error.message


def test_a_refused_update_changes_nothing(service: Service) -> None:
    arn = service("CreateModelPackage", ModelPackageName="alone")["ModelPackageArn"]
    update = {"ModelPackageArn": arn, "ModelApprovalStatus": "Approved", "ApprovalDescription": "fine"}
    assert "is in no group" in service.error("UpdateModelPackage", **update).message
    assert "ApprovalDescription" not in service("DescribeModelPackage", ModelPackageName="alone")


def test_a_token_that_was_used_with_other_parameters_is_refused(service: Service) -> None:
    group(service)
    arn = package(service, ClientToken="t" * 36)
    refused = service.error("CreateModelPackage", ModelPackageGroupName=GROUP, ClientToken="t" * 36)
    assert refused.code == "ConflictException"
    assert f"was used with other parameters, for {arn}" in refused.message
    assert len(service("ListModelPackages", ModelPackageGroupName=GROUP)["ModelPackageSummaryList"]) == 1


def test_properties_that_add_up_to_too_many_are_refused_with_the_whole_update(service: Service) -> None:
    group(service)
    arn = package(service, CustomerMetadataProperties={f"k{i}": "v" for i in range(49)})
    service("UpdateModelPackage", ModelPackageArn=arn, CustomerMetadataProperties={"k0": "w", "k49": "v"})
    refused = service.error(
        "UpdateModelPackage",
        ModelPackageArn=arn,
        ModelApprovalStatus="Approved",
        CustomerMetadataProperties={"k50": "v"},
    )
    assert refused.code == "ValidationException"
    assert "would have 51 CustomerMetadataProperties; at most 50" in refused.message
    described = service("DescribeModelPackage", ModelPackageName=arn)
    assert described["ModelApprovalStatus"] == "PendingManualApproval"
    assert len(described["CustomerMetadataProperties"]) == 50
