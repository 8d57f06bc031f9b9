from __future__ import annotations

import base64
import json
import re
from typing import Any

from sandbox.sagemaker.invoke import MAX_BODY_BYTES
from tests.sandbox.sagemaker.fakes import FakeServer, within
from tests.sandbox.sagemaker.harness import Service

CAPTURE = {
    "EnableCapture": True,
    "InitialSamplingPercentage": 100,
    "DestinationS3Uri": "s3://data/capture/flights",
    "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
    "CaptureContentTypeHeader": {"CsvContentTypes": ["text/csv"], "JsonContentTypes": ["application/json"]},
}


def server(service: Service) -> FakeServer:
    return service.containers.running()[0]


def captured(service: Service, bucket: str = "data") -> dict[str, list[dict[str, Any]]]:
    return {
        key: [json.loads(line) for line in content.decode().splitlines()]
        for (where, key), content in service.platform.s3.objects.items()
        if where == bucket
    }


def capturing(service: Service, **change: Any) -> None:
    service.model("one")
    service.config("c", {"ModelName": "one"}, DataCaptureConfig={**CAPTURE, **change})
    service("CreateEndpoint", EndpointName="shop", EndpointConfigName="c")
    service.endpoint_status("shop", "InService")


def test_only_the_headers_of_the_api_reach_the_container(service: Service) -> None:
    service.endpoint()
    service._loop.run_until_complete(
        service.sagemaker.invoke_endpoint(
            "shop",
            b"1",
            {
                "content-type": "text/csv",
                "accept": "application/json",
                "x-amzn-sagemaker-custom-attributes": "a=1",
                "x-amzn-sagemaker-inference-id": "id-1",
                "authorization": "AWS4 secret",
                "x_under_score": "gone",
                "user-agent": "boto3",
            },
        )
    )
    assert server(service).seen == [
        (
            b"1",
            {
                "Content-Type": "text/csv",
                "Accept": "application/json",
                "X-Amzn-SageMaker-Custom-Attributes": "a=1",
                "X-Amzn-SageMaker-Inference-Id": "id-1",
            },
        )
    ]


def test_the_answer_names_the_variant_and_keeps_the_containers_custom_attributes(service: Service) -> None:
    service.endpoint()
    server(service).reply = lambda body, headers: (
        201,
        {"content-type": "application/json", "x-amzn-sagemaker-custom-attributes": "v=2", "server": "g"},
        b"{}",
    )
    assert service.invoke("shop") == (
        200,
        {
            "Content-Type": "application/json",
            "x-Amzn-Invoked-Production-Variant": "AllTraffic",
            "X-Amzn-SageMaker-Custom-Attributes": "v=2",
        },
        b"{}",
    )


def test_a_containers_error_becomes_a_model_error_with_the_original_inside(service: Service) -> None:
    service.endpoint()
    server(service).reply = lambda body, headers: (415, {"content-type": "text/plain"}, b"no such format")
    status, headers, body = service.invoke("shop")
    error = json.loads(body)
    assert (status, headers["x-amzn-ErrorType"]) == (424, "ModelError")
    assert (error["OriginalStatusCode"], error["OriginalMessage"]) == (415, "no such format")
    words = 'Received client error (415) from primary with message "no such format". See https://us-east-1'
    assert error["Message"].startswith(words)
    group = "/aws/sagemaker/Endpoints/shop"
    assert error["LogStreamArn"] == f"arn:aws:logs:us-east-1:000000000000:log-group:{group}"


def test_an_answer_that_takes_too_long_is_a_model_error_without_a_status(service: Service) -> None:
    service.endpoint(BEHAVIOUR="hangs")
    status, _, body = service.invoke("shop")
    error = json.loads(body)
    assert (status, error["OriginalStatusCode"]) == (424, 0)
    assert error["OriginalMessage"].startswith("Your invocation timed out while waiting for a response")


def test_a_body_over_six_mebibytes_is_refused_before_the_container(service: Service) -> None:
    service.endpoint()
    status, _, body = service.invoke("shop", b"x" * (MAX_BODY_BYTES + 1))
    assert status == 413
    assert str(MAX_BODY_BYTES).encode() in body
    assert server(service).seen == []
    assert service.invoke("shop", b"x" * MAX_BODY_BYTES)[0] == 200


def test_an_endpoint_that_is_not_there_is_a_validation_error(service: Service) -> None:
    status, headers, body = service.invoke("nope")
    assert (status, headers["x-amzn-ErrorType"]) == (400, "ValidationError")
    assert json.loads(body)["Message"] == "Endpoint nope of account 000000000000 not found."


def test_a_target_variant_gets_every_request_that_names_it(service: Service) -> None:
    for name in ("one", "two"):
        service.model(name)
    service.config(
        "c",
        {"ModelName": "one", "VariantName": "One", "InitialVariantWeight": 1.0},
        {"ModelName": "two", "VariantName": "Two", "InitialVariantWeight": 0.0},
    )
    service("CreateEndpoint", EndpointName="shop", EndpointConfigName="c")
    service.endpoint_status("shop", "InService")
    assert {service.invoke("shop")[2] for _ in range(20)} == {b"one"}
    status, headers, body = service.invoke("shop", X_Amzn_SageMaker_Target_Variant="Two")
    assert (status, headers["x-Amzn-Invoked-Production-Variant"], body) == (200, "Two", b"two")
    status, _, body = service.invoke("shop", X_Amzn_SageMaker_Target_Variant="Three")
    assert status == 400
    assert "One, Two" in json.loads(body)["Message"]


def test_every_invocation_is_counted_with_its_latency(service: Service) -> None:
    service.endpoint()
    for _ in range(3):
        service.invoke("shop")
    server(service).reply = lambda body, headers: (422, {}, b"")
    service.invoke("shop")
    server(service).reply = lambda body, headers: (500, {}, b"")
    service.invoke("shop")
    service.sagemaker.flush()
    where = {"EndpointName": "shop", "VariantName": "AllTraffic"}
    sums = service.platform.sums
    assert sums("Invocations", **where) == 5
    assert sums("InvocationsPerInstance", **where) == 5
    assert sums("Invocation4XXErrors", **where) == 1
    assert sums("Invocation5XXErrors", **where) == 1
    assert sums("InvocationModelErrors", **where) == 2
    latencies = [d for _, d in service.platform.metrics if d["MetricName"] == "ModelLatency"]
    assert {d["Unit"] for d in latencies} == {"Microseconds"}
    assert sum(sum(d["Counts"]) for d in latencies) == 5


def test_a_captured_invocation_is_one_line_in_the_documented_form(service: Service) -> None:
    capturing(service)
    service.invoke(
        "shop",
        b"1,2\n3,4",
        Content_Type="text/csv",
        X_Amzn_SageMaker_Inference_Id="id-1",
        X_Amzn_SageMaker_Custom_Attributes="a=1",
    )
    service.sagemaker.flush()
    [(key, [line])] = captured(service).items()
    hour, name = key.removeprefix("capture/flights/shop/AllTraffic/").rsplit("/", 1)
    assert re.fullmatch(r"\d{4}/\d\d/\d\d/\d\d", hour)
    assert re.fullmatch(r"\d\d-\d\d-\d{3}-[-0-9a-f]{36}\.jsonl", name)
    metadata = line["eventMetadata"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", metadata.pop("inferenceTime"))
    assert re.fullmatch(r"[-0-9a-f]{36}", metadata.pop("eventId"))
    assert line == {
        "captureData": {
            "endpointInput": {
                "observedContentType": "text/csv",
                "mode": "INPUT",
                "data": "1,2\n3,4",
                "encoding": "CSV",
            },
            "endpointOutput": {
                "observedContentType": "text/csv; charset=utf-8",
                "mode": "OUTPUT",
                "data": "one",
                "encoding": "CSV",
            },
        },
        "eventMetadata": {"inferenceId": "id-1", "customAttributes": ["a=1"]},
        "eventVersion": "0",
    }


def test_a_content_type_that_is_not_listed_is_captured_as_base64(service: Service) -> None:
    capturing(service, CaptureOptions=[{"CaptureMode": "Input"}])
    service.invoke("shop", b"\x93NUMPY", Content_Type="application/x-npy")
    service.sagemaker.flush()
    [[line]] = captured(service).values()
    assert list(line["captureData"]) == ["endpointInput"]
    side = line["captureData"]["endpointInput"]
    assert (side["encoding"], base64.b64decode(side["data"])) == ("BASE64", b"\x93NUMPY")


def test_captures_are_written_by_themselves_after_a_moment(service: Service) -> None:
    capturing(service)
    service.invoke("shop", b"1", Content_Type="text/csv")
    with within() as wait:
        wait(lambda: bool(captured(service)))


def test_failed_invocations_and_unsampled_ones_are_not_captured(service: Service) -> None:
    capturing(service, InitialSamplingPercentage=0)
    service.invoke("shop", b"1", Content_Type="text/csv")
    service.sagemaker.flush()
    assert captured(service) == {}
    described = service("DescribeEndpoint", EndpointName="shop")["DataCaptureConfig"]
    assert described == {
        "EnableCapture": True,
        "CaptureStatus": "Started",
        "CurrentSamplingPercentage": 0,
        "DestinationS3Uri": "s3://data/capture/flights",
        "KmsKeyId": "",
    }


def test_an_error_of_the_container_is_not_captured(service: Service) -> None:
    capturing(service)
    server(service).reply = lambda body, headers: (500, {}, b"")
    service.invoke("shop", b"1", Content_Type="text/csv")
    service.sagemaker.flush()
    assert captured(service) == {}


def test_a_role_without_rights_loses_captures_but_no_request(service: Service) -> None:
    capturing(service)
    service.platform.s3.denied = ["data/"]
    assert service.invoke("shop", b"1", Content_Type="text/csv")[0] == 200
    service.sagemaker.flush()
    assert captured(service) == {}


def test_no_healthy_server_is_service_unavailable(service: Service) -> None:
    service.endpoint()
    live = service.sagemaker._endpoints.live("shop")
    assert live is not None
    live.router.current()[0].fleet._instances[0].ready = False
    status, headers, _ = service.invoke("shop")
    assert (status, headers["x-amzn-ErrorType"]) == (503, "ServiceUnavailable")
