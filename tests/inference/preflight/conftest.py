"""The image environment and short folders, as for the containers' own tests."""

from tests.sandbox.containers.conftest import folder, image  # noqa: F401 - fixtures
