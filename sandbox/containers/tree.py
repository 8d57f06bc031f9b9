"""The /opt/ml of one container, as a folder of ours, and what the platform writes into it.

Layout: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-running-container.html
The toolkits take their root from SAGEMAKER_BASE_DIR. What the image has outside /opt/ml and a container
writes to (home, temporary files, the virtual environment, gunicorn's socket) is in the hidden folder `.run`.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# sun_path of sockaddr_un is 108 bytes with the closing zero (man 7 unix).
MAX_SOCKET_PATH_BYTES = 107
# The toolkit looks every host up before it starts the script and retries for 15 minutes: it must resolve
# here, also without a network. On AWS it is algo-1.
HOST = "localhost"
INSTANCE_GROUP = "homogeneousCluster"


@dataclass(frozen=True)
class Tree:
    """The folders of one container.

    Attributes:
        root: What the container calls /opt/ml.
    """

    root: Path

    @property
    def model(self) -> Path:
        """/opt/ml/model."""
        return self.root / "model"

    @property
    def config(self) -> Path:
        """/opt/ml/input/config."""
        return self.root / "input" / "config"

    @property
    def channels(self) -> Path:
        """/opt/ml/input/data, one folder per channel."""
        return self.root / "input" / "data"

    @property
    def output(self) -> Path:
        """/opt/ml/output: `failure`, and `data/`, which becomes output.tar.gz."""
        return self.root / "output"

    @property
    def private(self) -> Path:
        """What the image keeps outside /opt/ml."""
        return self.root / ".run"

    @property
    def venv(self) -> Path:
        """/opt/venv, the container's own layer."""
        return self.private / "venv"

    @property
    def home(self) -> Path:
        """/root."""
        return self.private / "home"

    @property
    def temporary(self) -> Path:
        """/home/model-server/tmp, where the image sends temporary files."""
        return self.private / "tmp"

    @property
    def working_directory(self) -> Path:
        """The directory the toolkit starts in: / in the image, an empty folder here."""
        return self.private / "cwd"

    @property
    def socket(self) -> Path:
        """Where gunicorn listens."""
        return self.private / "http.sock"

    def make(self) -> None:
        """Create the folders every container has.

        Raises:
            ValueError: The root is so long that a unix socket in it could not be opened.
        """
        length = len(str(self.socket).encode())
        if length > MAX_SOCKET_PATH_BYTES:
            raise ValueError(
                f"{self.root} is too long for a container: {self.socket.name} in it has {length} bytes, "
                f"{MAX_SOCKET_PATH_BYTES} are allowed; choose a shorter folder"
            )
        for folder in (self.model, self.home, self.temporary, self.working_directory):
            folder.mkdir(parents=True, exist_ok=True)

    def make_training(
        self,
        *,
        hyperparameters: Mapping[str, str],
        channels: Mapping[str, Mapping[str, object]],
        instance_type: str,
    ) -> None:
        """Create the folders of a training job and the files the platform writes before the start."""
        self.make()
        for folder in (self.config, self.channels, self.output / "data"):
            folder.mkdir(parents=True, exist_ok=True)
        for channel in channels:
            (self.channels / channel).mkdir(exist_ok=True)
        self._write("hyperparameters.json", self.map_values(hyperparameters))
        self._write("inputdataconfig.json", channels)
        group = {"instance_group_name": INSTANCE_GROUP, "instance_type": instance_type, "hosts": [HOST]}
        resources = {
            "current_host": HOST,
            "current_instance_type": instance_type,
            "current_group_name": INSTANCE_GROUP,
            "hosts": [HOST],
            "instance_groups": [group],
            "network_interface_name": "eth0",
        }
        self._write("resourceconfig.json", resources)

    def _write(self, name: str, content: object) -> None:
        (self.config / name).write_text(json.dumps(content))

    def map(self, value: str) -> str:
        """Replace the image's paths in a text by ours, wherever one begins: alone, in a list, quoted, after file://.

        A path inside another one (s3://bucket/opt/ml) stays as it is.
        """
        places = {"/opt/ml": self.root, "/opt/venv": self.venv, "/home/model-server/tmp": self.temporary}
        return _IMAGE_PATH.sub(lambda found: str(places[found[0]]), value)

    def map_values(self, values: Mapping[str, str]) -> dict[str, str]:
        """`map` on every value."""
        return {name: self.map(value) for name, value in values.items()}

    def map_all(self, values: Iterable[str]) -> list[str]:
        """`map` on every member."""
        return [self.map(value) for value in values]


_IMAGE_PATH = re.compile(
    r"""(?:(?<![^\s:,;="'\[({])|(?<=file://))(?:/opt/ml|/opt/venv|/home/model-server/tmp)(?=$|[/:,;\s"'\])}])"""
)
