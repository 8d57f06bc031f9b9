import json

import pytest

from sandbox import lifecycle
from tests.upkeep.fakes import RAW
from upkeep import context
from upkeep.errors import UpkeepError


@pytest.fixture(autouse=True)
def no_environment(monkeypatch, tmp_path):
    for name in ("UPKEEP_STACK", "UPKEEP_PORT", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(lifecycle, "run_dir", lambda port: tmp_path / "sandboxes" / str(port))


@pytest.fixture
def running(monkeypatch, tmp_path):
    """Say which ports have a sandbox."""

    def run(*ports):
        def find(port=lifecycle.DEFAULT_PORT):
            if port not in ports:
                return None
            return lifecycle.SandboxInfo(1, port, f"http://127.0.0.1:{port}", lifecycle.run_dir(port))

        monkeypatch.setattr(lifecycle, "find", find)
        for port in ports:
            lifecycle.run_dir(port).mkdir(parents=True)

    return run


def test_without_a_sandbox_the_message_says_how_to_start_one(running):
    running()
    with pytest.raises(UpkeepError, match=r"No sandbox is running.*upkeep sandbox.*upkeep demo"):
        context.find_sandbox()


def test_the_only_sandbox_is_found_on_any_port(running):
    running(4701)
    assert context.find_sandbox().port == 4701


def test_the_usual_port_goes_before_others(running):
    running(4566, 4701)
    assert context.find_sandbox().port == 4566


def test_several_sandboxes_on_other_ports_must_be_told_apart(running):
    running(4701, 4702)
    with pytest.raises(UpkeepError, match="4701, 4702; say which with --port"):
        context.find_sandbox()


def test_a_port_asked_for_is_the_only_one_that_counts(running):
    running(4566)
    with pytest.raises(UpkeepError, match="No sandbox runs on port 4700"):
        context.find_sandbox(4700)


def test_the_endpoint_variable_chooses_the_sandbox(running, monkeypatch):
    running(4566, 4701)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://localhost:4701")
    assert context.find_sandbox().port == 4701


def test_an_endpoint_elsewhere_is_no_sandbox(running, monkeypatch):
    running(4566)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://example.com:4566")
    with pytest.raises(UpkeepError, match="not on this machine"):
        context.find_sandbox()


def test_a_port_that_is_no_number_is_shown(running, monkeypatch):
    running(4566)
    monkeypatch.setenv("UPKEEP_PORT", "many")
    with pytest.raises(UpkeepError, match="UPKEEP_PORT: found 'many'"):
        context.find_sandbox()


def test_an_empty_sandbox_says_that_the_stack_is_not_deployed(running):
    running(4566)
    with pytest.raises(UpkeepError, match="'sandbox' is not deployed"):
        context.load()


def test_the_sandbox_stack_uses_its_checkpoint_and_test_credentials(running):
    running(4701)
    resources = [{"type": "pulumi:pulumi:Stack", "outputs": RAW}]
    path = context.checkpoint(context.find_sandbox())
    path.parent.mkdir()
    path.write_text(json.dumps({"version": 3, "deployment": {"resources": resources}}))
    there = context.load()
    assert there.client("s3").meta.endpoint_url == "http://127.0.0.1:4701"
    assert there.session.get_credentials().access_key == "test"
    assert there.poll_seconds < 1


def test_the_checkpoint_is_not_the_record_of_the_process(running):
    running(4701)
    info = context.find_sandbox()
    assert context.checkpoint(info, "sandbox") != info.run_dir / "sandbox.json"


def test_another_stack_without_pulumi_says_where_to_get_it(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UpkeepError, match="`pulumi` is not on PATH"):
        context.load("prod")


def test_the_stack_comes_from_the_environment(monkeypatch):
    monkeypatch.setenv("UPKEEP_STACK", "staging")
    assert context.stack_name(None) == "staging"
    assert context.stack_name("dev") == "dev"
