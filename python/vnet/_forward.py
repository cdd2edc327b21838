"""A service of a node, reached from outside the network."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Self

from vnet import _vnet
from vnet._html import Html, code, fields, mark
from vnet._shown import Shown, headed, titled

if TYPE_CHECKING:
    from vnet._network import Network

__all__ = ["Forward"]


class Forward(Shown):
    """A TCP port of this process's own host that leads to a port in a node, as :meth:`Node.forward` returns it.

    It stays until :meth:`close`, the end of a ``with`` block, or the close of the network; forgetting the handle does not end it.
    """

    __slots__ = ("_native", "_network", "_target")

    def __init__(self, native: _vnet.Forward, network: Network, target: str) -> None:
        self._native = native
        # Keeps the network alive while only the forward is referenced.
        self._network = network
        self._target = target

    @property
    def host(self) -> str:
        """The address that is listened on, such as ``"127.0.0.1"``."""
        return self._native.address()[0]

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return self._native.address()[1]

    @property
    def url(self) -> str:
        """``http://HOST:PORT/``, for a service that speaks HTTP."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}/"

    @property
    def closed(self) -> bool:
        """Whether it was closed, by itself or with its network."""
        return self._native.closed

    def close(self) -> None:
        """Stop listening and end the connections. Doing it again does nothing."""
        self._native.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        state = " closed" if self.closed else ""
        return f"<vnet.Forward {self.host}:{self.port} -> {self._target}{state}>"

    def _html(self) -> Html:
        state = mark("closed", "plain") if self.closed else mark("open", "good")
        ways = f"{self.host}:{self.port} \N{RIGHTWARDS ARROW} {self._target}"
        return titled(self, headed(self, ways, state), fields([("url", code(self.url))]))
