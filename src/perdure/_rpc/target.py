"""RpcTarget: a class whose instances are passed by reference. (pure)"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import Self


class RpcTarget:
    """
    Base of classes whose instances cross a call by reference: who gets one gets a stub of it.

    Public methods and properties of the class can be reached through the stub; instance attributes, and names
    that begin with an underscore, cannot. `dup` and `dispose` are not reachable either.

    A method `dispose(self)`, if the class has one, is called when the last stub of one delivery is gone: once for
    each time the instance was passed. It is a plain function; what it raises is logged (RPC-21).

    ```python
    class Subscription(RpcTarget):
        def __init__(self, room: Room) -> None:
            self._room = room

        def dispose(self) -> None:
            self._room.listeners.discard(self)
    ```
    """

    __perdure_base__ = True

    if TYPE_CHECKING:  # a stub has the type of its target, and is used in a `with` block

        def __enter__(self) -> Self: ...
        def __exit__(self, *exception: object) -> None: ...

    def __perdure_cross__(self, crossing: Any) -> Any:
        return crossing.export(self)
