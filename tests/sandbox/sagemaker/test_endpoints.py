from __future__ import annotations

import concurrent.futures
import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sandbox.sagemaker.containers import OnLine, ServingRequest
from sandbox.sagemaker.settings import of_a_sandbox
from tests.sandbox.sagemaker.fakes import ROLE, FakeServer, tarball, within
from tests.sandbox.sagemaker.harness import FAST, Service

ARN = "arn:aws:sagemaker:us-east-1:000000000000:endpoint/shop"
CANARY = {
    "BlueGreenUpdatePolicy": {
        "TrafficRoutingConfiguration": {
            "Type": "CANARY",
            "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 10},
            "WaitIntervalInSeconds": 600,
        },
        "TerminationWaitInSeconds": 300,
    },
    "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "errors"}]},
}


def served(service: Service, count: int = 1) -> set[str]:
    return {service.invoke("shop")[2].decode() for _ in range(count)}


def variant(answer: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = answer["ProductionVariants"][0]
    return found


def test_an_endpoint_serves_its_model_from_as_many_servers_as_asked(service: Service) -> None:
    service.model("one")
    service.config("c", {"ModelName": "one", "InitialInstanceCount": 3})
    answer = service("CreateEndpoint", EndpointName="shop", EndpointConfigName="c")
    assert answer["EndpointArn"] == ARN
    described = service.endpoint_status("shop", "InService")
    assert variant(described)["CurrentInstanceCount"] == variant(described)["DesiredInstanceCount"] == 3
    assert "@sha256:" in variant(described)["DeployedImages"][0]["ResolvedImage"]
    assert len(service.containers.running()) == 3
    for _ in range(6):
        service.invoke("shop")
    assert [len(server.seen) for server in service.containers.running()] == [2, 2, 2]


@pytest.mark.parametrize("behaviour", ["never pings", "exits"])
def test_a_server_that_never_answers_a_ping_fails_the_endpoint(service: Service, behaviour: str) -> None:
    service.model("bad", BEHAVIOUR=behaviour)
    service.config("c", {"ModelName": "bad"})
    service("CreateEndpoint", EndpointName="shop", EndpointConfigName="c")
    described = service.endpoint_status("shop", "Failed", "InService")
    assert described["FailureReason"] == (
        "The primary container for production variant AllTraffic did not pass the ping health check. "
        "Please check CloudWatch logs for this endpoint."
    )
    error = service.error("UpdateEndpoint", EndpointName="shop", EndpointConfigName="c")
    assert "DeleteEndpoint is the only operation" in error.message
    service("DeleteEndpoint", EndpointName="shop")


def test_model_data_that_is_gone_at_the_start_fails_the_endpoint(service: Service) -> None:
    service.model("one")
    service.config("c", {"ModelName": "one"})
    del service.platform.s3.objects["models", "one.tar.gz"]
    service("CreateEndpoint", EndpointName="shop", EndpointConfigName="c")
    reason = service.endpoint_status("shop", "Failed")["FailureReason"]
    assert reason.startswith(
        'Failed to download model data for container "container_1" from URL: "s3://models/'
    )


def test_an_archive_that_climbs_out_of_its_folder_fails_the_endpoint(service: Service) -> None:
    service.model("one")
    service.platform.s3.objects["models", "one.tar.gz"] = tarball({"../../evil": b"x"})
    service.config("c", {"ModelName": "one"})
    service("CreateEndpoint", EndpointName="shop", EndpointConfigName="c")
    reason = service.endpoint_status("shop", "Failed")["FailureReason"]
    assert "Failed to extract model data archive" in reason
    assert "'../../evil' lies outside" in reason


def test_an_update_replaces_the_servers_and_the_old_ones_end(service: Service) -> None:
    service.endpoint()
    service.model("two")
    service.config("c2", {"ModelName": "two"})
    assert served(service) == {"one"}
    service("UpdateEndpoint", EndpointName="shop", EndpointConfigName="c2")
    described = service.endpoint_status("shop", "InService")
    assert described["EndpointConfigName"] == "c2"
    assert served(service, 5) == {"two"}
    with within() as wait:
        wait(lambda: len(service.containers.running()) == 1)


def test_an_update_whose_server_does_not_come_up_leaves_the_old_model_serving(service: Service) -> None:
    service.endpoint()
    service.model("bad", BEHAVIOUR="never pings")
    service.config("c2", {"ModelName": "bad"})
    service("UpdateEndpoint", EndpointName="shop", EndpointConfigName="c2")
    assert served(service, 3) == {"one"}
    described = service.endpoint_status("shop", "InService")
    assert described["EndpointConfigName"] == "one-config"
    assert "did not pass the ping health check" in described["FailureReason"]
    assert served(service, 3) == {"one"}


def test_a_server_that_cannot_load_its_model_is_given_up_after_some_pings_where_the_settings_say_so(
    tmp_path: Path,
) -> None:
    patient = Service(tmp_path / "r", replace(FAST, startup_timeout_seconds=60.0, bad_pings=3))
    try:
        patient.endpoint()
        patient.model("bad", BEHAVIOUR="cannot load")
        patient.config("c2", {"ModelName": "bad"})
        patient("UpdateEndpoint", EndpointName="shop", EndpointConfigName="c2")
        described = patient.endpoint_status("shop", "InService")
        assert described["EndpointConfigName"] == "one-config"
        assert "did not pass the ping health check" in described["FailureReason"]
        assert patient.containers.servers[-1].pings == 3
    finally:
        patient.close()


@pytest.mark.parametrize(("scale", "seconds"), [(1.0, 480.0), (0.1, 48.0), (0.01, 45.0)])
def test_a_sandbox_gives_a_fleet_up_that_never_answers_in_less_than_a_minute(
    scale: float, seconds: float
) -> None:
    settings = of_a_sandbox(scale)
    assert settings.startup_timeout_seconds == seconds
    assert settings.bad_pings is not None


def test_the_next_update_clears_the_reason_of_the_failed_one(service: Service) -> None:
    test_an_update_whose_server_does_not_come_up_leaves_the_old_model_serving(service)
    service.model("two")
    service.config("c3", {"ModelName": "two"})
    service("UpdateEndpoint", EndpointName="shop", EndpointConfigName="c3")
    assert "FailureReason" not in service.endpoint_status("shop", "InService")


def test_a_canary_takes_its_share_of_the_traffic_and_then_all_of_it(service: Service) -> None:
    service.endpoint()
    service.platform.alarms["errors"] = "OK"
    service.model("two")
    service.config("c2", {"ModelName": "two"})
    service("UpdateEndpoint", EndpointName="shop", EndpointConfigName="c2", DeploymentConfig=CANARY)
    seen: list[bytes] = []
    share = 0.0
    while service("DescribeEndpoint", EndpointName="shop")["EndpointStatus"] == "Updating":
        seen.append(service.invoke("shop")[2])
        pending = service("DescribeEndpoint", EndpointName="shop").get("PendingDeploymentSummary")
        if pending:
            assert pending["EndpointConfigName"] == "c2"
            share = max(share, pending["ProductionVariants"][0]["CurrentWeight"])
    assert share == 1.0
    assert b"one" in seen
    assert b"two" in seen
    described = service("DescribeEndpoint", EndpointName="shop")
    assert described["LastDeploymentConfig"] == CANARY
    assert served(service, 5) == {"two"}
    service.sagemaker.flush()
    deployments = service.platform.events_of("SageMaker Endpoint Deployment State Change")
    status = [d["PendingDeploymentSummary"]["ProductionVariants"][0]["VariantStatus"][0] for d in deployments]
    assert [entry["Status"] for entry in status] == ["Baking", "Baking"]
    assert status[0]["StatusMessage"].startswith("Baking for 600 seconds (WaitIntervalInSeconds)")


def test_an_alarm_during_the_canary_brings_the_old_configuration_back(service: Service) -> None:
    service.endpoint()
    service.platform.alarms["errors"] = "OK"
    service.model("two")
    service.config("c2", {"ModelName": "two"})
    service("UpdateEndpoint", EndpointName="shop", EndpointConfigName="c2", DeploymentConfig=CANARY)
    with within() as wait:
        wait(lambda: "PendingDeploymentSummary" in service("DescribeEndpoint", EndpointName="shop"))
    service.platform.alarms["errors"] = "ALARM"
    described = service.endpoint_status("shop", "InService")
    assert described["EndpointConfigName"] == "one-config"
    assert "errors" in described["FailureReason"]
    assert served(service, 20) == {"one"}
    service.sagemaker.flush()
    statuses = [d["EndpointStatus"] for d in service.platform.events_of("SageMaker Endpoint State Change")]
    assert statuses == ["CREATING", "IN_SERVICE", "UPDATING", "ROLLING_BACK", "IN_SERVICE"]


def test_an_alarm_that_does_not_exist_rolls_back(service: Service) -> None:
    service.endpoint()
    service.model("two")
    service.config("c2", {"ModelName": "two"})
    service("UpdateEndpoint", EndpointName="shop", EndpointConfigName="c2", DeploymentConfig=CANARY)
    described = service.endpoint_status("shop", "InService")
    assert "do not exist: errors" in described["FailureReason"]
    assert served(service) == {"one"}


def test_an_endpoint_in_progress_can_be_neither_updated_nor_deleted(service: Service) -> None:
    service.model("slow", BEHAVIOUR="never pings")
    service.config("c", {"ModelName": "slow"})
    service("CreateEndpoint", EndpointName="shop", EndpointConfigName="c")
    for error in (
        service.error("UpdateEndpoint", EndpointName="shop", EndpointConfigName="c"),
        service.error("DeleteEndpoint", EndpointName="shop"),
    ):
        assert (error.code, error.message) == (
            "ValidationException",
            f'Cannot update in-progress endpoint "{ARN}".',
        )
    service.endpoint_status("shop", "Failed")


def test_retained_properties_survive_an_update_except_the_excluded(service: Service) -> None:
    service.endpoint()
    service(
        "UpdateEndpointWeightsAndCapacities",
        EndpointName="shop",
        DesiredWeightsAndCapacities=[
            {"VariantName": "AllTraffic", "DesiredWeight": 5.0, "DesiredInstanceCount": 2}
        ],
    )
    service.endpoint_status("shop", "InService")
    service.config("c2", {"ModelName": "one"})
    update = {"EndpointName": "shop", "EndpointConfigName": "c2", "RetainAllVariantProperties": True}
    service("UpdateEndpoint", **update)
    kept = variant(service.endpoint_status("shop", "InService"))
    assert (kept["DesiredInstanceCount"], kept["DesiredWeight"]) == (2, 5.0)
    service(
        "UpdateEndpoint",
        **update,
        ExcludeRetainedVariantProperties=[{"VariantPropertyType": "DesiredInstanceCount"}],
    )
    kept = variant(service.endpoint_status("shop", "InService"))
    assert (kept["DesiredInstanceCount"], kept["DesiredWeight"]) == (1, 5.0)
    service("UpdateEndpoint", EndpointName="shop", EndpointConfigName="c2")
    kept = variant(service.endpoint_status("shop", "InService"))
    assert (kept["DesiredInstanceCount"], kept["DesiredWeight"]) == (1, 1.0)


def test_capacities_change_the_number_of_servers(service: Service) -> None:
    service.endpoint()
    for count in (3, 1):
        service(
            "UpdateEndpointWeightsAndCapacities",
            EndpointName="shop",
            DesiredWeightsAndCapacities=[{"VariantName": "AllTraffic", "DesiredInstanceCount": count}],
        )
        described = service.endpoint_status("shop", "InService")
        assert variant(described)["CurrentInstanceCount"] == count
        assert len(service.containers.running()) == count
    assert served(service) == {"one"}


def test_a_weight_for_an_unknown_variant_is_refused(service: Service) -> None:
    service.endpoint()
    error = service.error(
        "UpdateEndpointWeightsAndCapacities",
        EndpointName="shop",
        DesiredWeightsAndCapacities=[{"VariantName": "nope", "DesiredWeight": 1.0}],
    )
    assert "nope" in error.message
    assert "AllTraffic" in error.message


def test_a_server_that_dies_is_restarted(service: Service) -> None:
    service.endpoint()
    service.containers.servers[0].running = False
    with within() as wait:
        wait(lambda: service.invoke("shop")[0] == 200)
    assert len(service.containers.servers) == 2
    assert served(service) == {"one"}


def test_a_restart_that_never_pings_is_tried_again(service: Service) -> None:
    service.endpoint()
    make = service.containers.serving

    def first_one_hangs(request: ServingRequest, on_line: OnLine) -> FakeServer:
        server = make(request, on_line)
        if len(service.containers.servers) == 2:
            server.behaviour = "never pings"
        return server

    service.containers.serving = first_one_hangs  # type: ignore[method-assign]
    service.containers.servers[0].running = False
    with within() as wait:
        wait(lambda: service.invoke("shop")[0] == 200)
    assert len(service.containers.servers) == 3
    assert service.containers.running() == [service.containers.servers[2]]


@pytest.fixture
def without_a_second(service: Service) -> Service:
    """A service that can make one server and fails at the next, in a way that nobody expects."""
    make = service.containers.serving

    def one_only(request: ServingRequest, on_line: OnLine) -> FakeServer:
        if service.containers.servers:
            raise OSError("no process left")
        return make(request, on_line)

    service.containers.serving = one_only  # type: ignore[method-assign]
    return service


def test_an_unexpected_error_leaves_no_server_of_the_failed_endpoint(without_a_second: Service) -> None:
    service = without_a_second
    service.model("one")
    service.config("c", {"ModelName": "one", "InitialInstanceCount": 2})
    service("CreateEndpoint", EndpointName="shop", EndpointConfigName="c")
    described = service.endpoint_status("shop", "Failed", "InService")
    assert described["FailureReason"] == "InternalServerError: no process left"
    assert service.containers.running() == []


def test_an_unexpected_error_while_scaling_out_leaves_what_was_there(without_a_second: Service) -> None:
    service = without_a_second
    service.endpoint()
    service(
        "UpdateEndpointWeightsAndCapacities",
        EndpointName="shop",
        DesiredWeightsAndCapacities=[{"VariantName": "AllTraffic", "DesiredInstanceCount": 2}],
    )
    described = service.endpoint_status("shop", "InService")
    assert described["FailureReason"] == "InternalServerError: no process left"
    assert variant(described)["DesiredInstanceCount"] == len(service.containers.running()) == 1


def test_deleting_an_endpoint_stops_its_servers_and_frees_its_name(service: Service) -> None:
    service.endpoint()
    service("DeleteEndpoint", EndpointName="shop")
    with within() as wait:
        wait(lambda: service("ListEndpoints")["Endpoints"] == [])
    assert not service.containers.running()
    error = service.error("DescribeEndpoint", EndpointName="shop")
    assert (error.code, error.message) == ("ValidationException", f'Could not find endpoint "{ARN}".')
    service("CreateEndpoint", EndpointName="shop", EndpointConfigName="one-config")
    service.endpoint_status("shop", "InService")


def test_names_of_endpoints_and_their_configurations_are_checked(service: Service) -> None:
    service.endpoint()
    error = service.error("CreateEndpoint", EndpointName="shop", EndpointConfigName="one-config")
    assert error.message == f'Cannot create already existing endpoint "{ARN}".'
    error = service.error("CreateEndpoint", EndpointName="other", EndpointConfigName="nope")
    assert error.message == (
        "Could not find endpoint configuration "
        '"arn:aws:sagemaker:us-east-1:000000000000:endpoint-config/nope".'
    )


def test_deleting_the_configuration_in_service_breaks_the_next_update(service: Service) -> None:
    service.endpoint()
    service.config("c2", {"ModelName": "one"})
    service("DeleteEndpointConfig", EndpointConfigName="one-config")
    assert served(service) == {"one"}
    error = service.error("UpdateEndpoint", EndpointName="shop", EndpointConfigName="c2")
    assert error.message.startswith("Could not find endpoint configuration")
    assert "one-config" in error.message


def test_a_canary_needs_variants_of_the_same_names(service: Service) -> None:
    service.endpoint()
    service.config("c2", {"ModelName": "one", "VariantName": "Other"})
    error = service.error(
        "UpdateEndpoint", EndpointName="shop", EndpointConfigName="c2", DeploymentConfig=CANARY
    )
    assert "must keep their names" in error.message


def test_requests_under_way_are_answered_while_the_fleet_is_replaced(service: Service) -> None:
    service.endpoint()
    slow = service.containers.servers[0]

    def reply(body: bytes, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        time.sleep(0.2)
        return (200, {"content-type": "text/csv"}, b"late") if slow.running else (0, {}, b"")

    slow.reply = reply
    service.model("two")
    service.config("c2", {"ModelName": "two"})
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        asked = pool.submit(service.sagemaker._invoker.invoke, "shop", b"x", {})
        with within() as wait:
            wait(lambda: len(slow.seen) == 1)
        service("UpdateEndpoint", EndpointName="shop", EndpointConfigName="c2")
        service.endpoint_status("shop", "InService")
        assert asked.result(5)[2] == b"late"


def test_the_endpoints_log_stream_is_named_after_the_variant(service: Service) -> None:
    service.endpoint()
    service.sagemaker.flush()
    [(group, stream)] = list(service.platform.logs)
    assert group == "/aws/sagemaker/Endpoints/shop"
    assert stream.startswith("AllTraffic/i-")


def test_the_model_is_fetched_with_the_models_own_role(service: Service) -> None:
    service.endpoint()
    assert (ROLE, "shop") in service.platform.sessions


def test_no_request_fails_while_fleets_are_replaced_under_load(service: Service) -> None:
    service.endpoint()
    service.model("two")
    service.config("c2", {"ModelName": "two", "InitialInstanceCount": 2})
    done = threading.Event()
    statuses: Counter[int] = Counter()

    def load() -> None:
        while not done.is_set():
            statuses[service.sagemaker._invoker.invoke("shop", b"x", {})[0]] += 1

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for _ in range(4):
            pool.submit(load)
        for config in ("c2", "one-config") * 5:
            service("UpdateEndpoint", EndpointName="shop", EndpointConfigName=config)
            service.endpoint_status("shop", "InService")
        done.set()
    assert set(statuses) == {200}
