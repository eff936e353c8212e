"""Downloads are tested against a real server on this machine."""

from tests.file_server import _no_waiting, server

__all__ = ["_no_waiting", "server"]
