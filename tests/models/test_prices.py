"""The price table holds instances that SageMaker trains on, and says of when it is."""

from datetime import date

import botocore.session
import pytest

from models.prices import AS_OF, KNOWN_INSTANCES, usd_per_hour

# vCPUs: https://docs.aws.amazon.com/ec2/latest/instancetypes/gp.html and co.html
VCPUS = {
    "large": 2,
    "xlarge": 4,
    "2xlarge": 8,
    "4xlarge": 16,
    "9xlarge": 36,
    "12xlarge": 48,
    "18xlarge": 72,
    "24xlarge": 96,
}


def test_every_instance_is_one_that_sagemaker_trains_on():
    sagemaker = botocore.session.get_session().get_service_model("sagemaker")
    assert set(KNOWN_INSTANCES) <= set(sagemaker.shape_for("TrainingInstanceType").enum)


@pytest.mark.parametrize("instance", KNOWN_INSTANCES)
def test_within_a_family_a_cpu_has_one_price(instance):
    _, family, size = instance.split(".")
    smallest = min(
        (one for one in KNOWN_INSTANCES if family in one), key=lambda one: VCPUS[one.split(".")[2]]
    )
    per_cpu = usd_per_hour(smallest) / VCPUS[smallest.split(".")[2]]
    assert usd_per_hour(instance) / VCPUS[size] == pytest.approx(per_cpu, rel=0.01)


def test_the_table_is_dated():
    assert date.fromisoformat(AS_OF) <= date.today()  # noqa: DTZ011 - a day, anywhere


def test_an_instance_that_is_not_in_the_table_has_no_price():
    assert usd_per_hour("ml.unknown.large") is None
