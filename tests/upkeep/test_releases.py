from datetime import UTC, datetime

import pytest

from tests.upkeep.fakes import RELEASE, START, missing, raising
from tests.upkeep.shelf import GROUP, history
from upkeep import releases, serving
from upkeep.runs import Run

RUN = Run(id="r", model="flights", arn=f"{RELEASE}:r", status="RUNNING", started=START)
BAKING = {"Status": "Baking", "StatusMessage": "Baking for 300 seconds with traffic on canary capacity."}


@pytest.fixture
def moving(shelf):
    """A release whose endpoint is being updated."""
    events = history({"do": "wait", "reason": "the endpoint is Updating"})[:-1]
    shelf.stand.account.states.answers["get_execution_history"] = lambda **_: {"events": events}
    shelf.endpoint = {"EndpointStatus": "Updating"}
    return shelf


def last(shelf, run=RUN):
    return releases.phases(shelf.stand.context, shelf.stand.model, run)[-1].message


def test_while_the_traffic_moves_sagemakers_own_words_are_shown(moving):
    variant = {"VariantName": "AllTraffic", "VariantStatus": [{"Status": "Creating"}, BAKING]}
    moving.endpoint["PendingDeploymentSummary"] = {"ProductionVariants": [variant]}
    assert last(moving) == BAKING["StatusMessage"]
    variant["VariantStatus"] = [{"Status": "ActivatingTraffic"}]
    assert last(moving) == "traffic moves"


def test_before_there_are_stages_new_servers_start(moving):
    assert last(moving) == "new servers start"


def test_a_rollback_by_sagemaker_is_shown(moving):
    moving.endpoint["EndpointStatus"] = "RollingBack"
    assert last(moving) == "SageMaker takes the update back"


def test_what_the_release_said_stays_when_the_endpoint_says_nothing(moving):
    moving.endpoint["EndpointStatus"] = "InService"
    assert last(moving) == "the endpoint is Updating"
    moving.sagemaker.answers["describe_endpoint"] = raising(missing("endpoint"))
    assert serving.movement(moving.stand.context, moving.stand.model) == ""


def test_of_a_release_that_has_ended_the_endpoint_is_not_asked(moving):
    ended = Run(id="r", model="flights", arn=RUN.arn, status="FAILED", started=START)
    assert last(moving, ended) == "the endpoint is Updating"
    assert moving.sagemaker.asked("describe_endpoint") == []


def test_the_release_of_a_version_is_one_that_was_not_there_before(shelf):
    there, model = shelf.stand.context, shelf.stand.model
    shelf.add(1, "1.0.1")
    given = {"detail": {"ModelPackageArn": f"{GROUP}/1"}}
    shelf._execute("old", given)
    earlier = releases.executions(there, model)
    assert releases.started_for(there, model, f"{GROUP}/1", earlier) is None
    shelf._execute("other", {"detail": {"ModelPackageArn": f"{GROUP}/11"}})
    arn = shelf._execute("new", given)
    assert releases.started_for(there, model, f"{GROUP}/1", earlier).arn == arn


def test_a_watched_release_shows_its_heading_and_its_phases(shelf):
    shelf.add(1, "1.0.1")
    arn = shelf._execute("x", {})
    run = Run(id="x", model="flights", arn=arn, status="RUNNING", started=START)
    seen = []
    there, model, options = shelf.stand.context, shelf.stand.model, {"sleep": lambda _: None}
    done = releases.watch(there, model, "Release of 1.0.1", lambda: run, show=seen.append, **options)
    assert done.ended
    assert [row.name for row in done.rows(datetime.now(UTC))] == [
        "Release of 1.0.1", "Begin", "Check", "Move the traffic",
    ]  # fmt: skip
    assert [one.run.status for one in seen] == ["RUNNING", "SUCCEEDED"]
