"""The seam to MiniStack: the only package that knows its internals.

MiniStack publishes no interface for what is done here, so `internals.check` names everything relied on and
fails first when a new version moves it.
"""

from sandbox.seam.account import Account
from sandbox.seam.emulator import Emulator, connect
from sandbox.seam.environment import prepare
from sandbox.seam.internals import check

__all__ = ["Account", "Emulator", "check", "connect", "prepare"]
