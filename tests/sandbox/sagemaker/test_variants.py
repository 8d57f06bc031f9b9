"""Two variants behind one endpoint: shares, captures and changes, as an experiment needs them."""

from __future__ import annotations

import json
from collections import Counter

from tests.sandbox.sagemaker.harness import Service

REQUESTS = 300
CAPTURE = {
    "EnableCapture": True,
    "InitialSamplingPercentage": 100,
    "DestinationS3Uri": "s3://data/capture/shop",
    "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
    "CaptureContentTypeHeader": {"JsonContentTypes": ["application/json"]},
}


def experiment(service: Service, share: float = 0.2) -> None:
    """An endpoint that has served one model, and has a second beside it now."""
    for name in ("old", "new"):
        service.model(name)
    service.config("alone", {"ModelName": "old"}, DataCaptureConfig=CAPTURE)
    service.config(
        "both",
        {"ModelName": "old", "InitialVariantWeight": 1 - share},
        {"ModelName": "new", "VariantName": "Challenger", "InitialVariantWeight": share},
        DataCaptureConfig=CAPTURE,
    )
    service("CreateEndpoint", EndpointName="shop", EndpointConfigName="alone")
    service.endpoint_status("shop", "InService")
    service("UpdateEndpoint", EndpointName="shop", EndpointConfigName="both")
    service.endpoint_status("shop", "InService")


def ask(service: Service, count: int = REQUESTS, **headers: str) -> Counter[str]:
    """Which variants answered."""
    answered: Counter[str] = Counter()
    for number in range(count):
        status, said, body = service.invoke(
            "shop",
            b"{}",
            Content_Type="application/json",
            X_Amzn_SageMaker_Inference_Id=f"r{number}",
            **headers,
        )
        variant = said["x-Amzn-Invoked-Production-Variant"]
        assert (status, body) == (200, {"AllTraffic": b"old", "Challenger": b"new"}[variant])
        answered[variant] += 1
    return answered


def shares(service: Service) -> dict[str, float]:
    variants = service("DescribeEndpoint", EndpointName="shop")["ProductionVariants"]
    return {one["VariantName"]: one["CurrentWeight"] for one in variants}


def test_each_variant_gets_about_its_share(service: Service) -> None:
    experiment(service, share=0.2)
    answered = ask(service)
    # 60 of 300 with a deviation of 7: five of them on either side happen once in two million times.
    assert 25 <= answered["Challenger"] <= 95
    assert sum(answered.values()) == REQUESTS


def test_the_requests_of_each_variant_are_captured_in_its_folder_with_their_ids(service: Service) -> None:
    experiment(service)
    answered = ask(service)
    service.sagemaker.flush()
    ids: dict[str, set[str]] = {}
    for (bucket, key), body in service.platform.s3.objects.items():
        if bucket == "data":
            variant = key.split("/")[3]
            assert key.startswith(f"capture/shop/shop/{variant}/")
            lines = [json.loads(line) for line in body.decode().splitlines()]
            ids.setdefault(variant, set()).update(line["eventMetadata"]["inferenceId"] for line in lines)
            answers = {line["captureData"]["endpointOutput"]["data"] for line in lines}
            assert len(answers) == 1
    assert {variant: len(found) for variant, found in ids.items()} == dict(answered)
    assert not ids["AllTraffic"] & ids["Challenger"]


def test_requests_are_counted_by_variant(service: Service) -> None:
    experiment(service)
    answered = ask(service, 50)
    service.sagemaker.flush()
    for variant, count in answered.items():
        where = {"EndpointName": "shop", "VariantName": variant}
        assert service.platform.sums("Invocations", **where) == count


def test_weights_change_while_the_servers_stay(service: Service) -> None:
    experiment(service, share=0.2)
    servers = service.containers.running()
    service(
        "UpdateEndpointWeightsAndCapacities",
        EndpointName="shop",
        DesiredWeightsAndCapacities=[
            {"VariantName": "AllTraffic", "DesiredWeight": 0.0},
            {"VariantName": "Challenger", "DesiredWeight": 1.0},
        ],
    )
    described = service.endpoint_status("shop", "InService")
    assert described["EndpointConfigName"] == "both"
    assert shares(service) == {"AllTraffic": 0.0, "Challenger": 1.0}
    assert ask(service, 30) == {"Challenger": 30}
    assert service.containers.running() == servers


def test_a_request_may_choose_its_variant(service: Service) -> None:
    experiment(service, share=0.01)
    assert ask(service, 20, X_Amzn_SageMaker_Target_Variant="Challenger") == {"Challenger": 20}


def test_going_back_to_one_variant_leaves_no_server_of_the_other(service: Service) -> None:
    experiment(service)
    service(
        "UpdateEndpoint", EndpointName="shop", EndpointConfigName="alone", RetainAllVariantProperties=True
    )
    service.endpoint_status("shop", "InService")
    assert list(shares(service)) == ["AllTraffic"]
    assert ask(service, 30) == {"AllTraffic": 30}


def test_a_treatment_that_does_not_start_leaves_the_control_alone(service: Service) -> None:
    service.model("old")
    service.model("bad", BEHAVIOUR="never pings")
    service.config("alone", {"ModelName": "old"})
    service.config("both", {"ModelName": "old"}, {"ModelName": "bad", "VariantName": "Challenger"})
    service("CreateEndpoint", EndpointName="shop", EndpointConfigName="alone")
    service.endpoint_status("shop", "InService")
    service("UpdateEndpoint", EndpointName="shop", EndpointConfigName="both")
    described = service.endpoint_status("shop", "InService")
    assert described["EndpointConfigName"] == "alone"
    assert "Challenger" in described["FailureReason"]
    assert ask(service, 10) == {"AllTraffic": 10}
