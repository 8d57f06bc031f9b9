"""The first worker wakes the others; the whole of it is tried with the image's own server elsewhere."""

import socket
import threading

import pytest

from inference import waking


@pytest.fixture(params=["unix", "tcp"])
def listening(request, tmp_path, monkeypatch):
    """A socket that this process listens on, as a worker does on that of its server."""
    if request.param == "unix":
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        made.bind(str(tmp_path / "s"))
    else:
        made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        made.bind(("127.0.0.1", 0))
    made.listen()
    descriptors = tmp_path / "fd"
    descriptors.mkdir()
    (descriptors / str(made.fileno())).touch()
    # Only this one: the test runner may listen on sockets of its own.
    monkeypatch.setattr(waking, "_DESCRIPTORS", descriptors)
    with made:
        yield made


def _heard(listening, count):
    found = []
    listening.settimeout(5)
    for _ in range(count):
        connection, _ = listening.accept()
        with connection:
            found.append(connection.recv(100))
    return found


@pytest.mark.parametrize("workers", [2, 4])
def test_every_other_worker_gets_a_ping_of_its_own(listening, monkeypatch, workers):
    monkeypatch.setenv(waking.WORKERS_VARIABLE, str(workers))
    sent = waking.wake_others()
    assert len(sent) == workers - 1
    assert all(text.startswith(b"GET /ping HTTP/1.1\r\n") for text in _heard(listening, workers - 1))
    for connection in sent:
        connection.close()
    assert listening.fileno() > 0, "the server's own socket is left open"


@pytest.mark.parametrize("workers", ["1", "many", ""])
def test_a_worker_alone_wakes_nobody(listening, monkeypatch, workers):
    monkeypatch.setenv(waking.WORKERS_VARIABLE, workers)
    assert waking.wake_others() == []


def test_a_process_that_listens_nowhere_wakes_nobody(tmp_path, monkeypatch):
    monkeypatch.setenv(waking.WORKERS_VARIABLE, "2")
    with socket.socket() as quiet, (tmp_path / "file").open("w") as file:
        folder = tmp_path / "fd"
        folder.mkdir()
        for number in (quiet.fileno(), file.fileno(), 999_999):
            (folder / str(number)).touch()
        monkeypatch.setattr(waking, "_DESCRIPTORS", folder)
        assert waking.wake_others() == []
    monkeypatch.setattr(waking, "_DESCRIPTORS", tmp_path / "no-proc-here")
    assert waking.wake_others() == []


def test_a_server_that_takes_no_connection_holds_nobody_up(listening, monkeypatch, caplog):
    monkeypatch.setenv(waking.WORKERS_VARIABLE, "8")
    monkeypatch.setattr(waking, "CONNECT_SECONDS", 0.05)
    address = (listening.family, listening.getsockname())
    listening.close()
    monkeypatch.setattr(waking, "listening_address", lambda: address)
    done = threading.Event()
    threading.Thread(target=lambda: (waking.wake_others(), done.set())).start()
    assert done.wait(5)
    assert "could not be woken" in caplog.text
