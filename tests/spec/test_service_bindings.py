"""Worker classes of the project in `env`, and with props: EP-09, EP-10, EP-12."""

from __future__ import annotations

import pytest

from perdure import ConfigError, DataCloneError, DurableObject, Request, Response, Runtime, WorkerEntrypoint


class Room(DurableObject):
    async def greet_through_service(self, name):
        return await self.env.GREETER.greet(name)


class Greeter(WorkerEntrypoint):
    made = 0

    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        Greeter.made += 1

    async def fetch(self, request):
        return Response(f"{request.method} {request.url}")

    async def greet(self, name):
        return f"{self.ctx.props.get('word', 'Hello')}, {name}"

    async def spoil(self):
        self.ctx.props["words"].append("spoilt")
        return self.ctx.props["words"]

    async def has_same_env(self):
        return await self.env.GREETER.greet("me")

    async def fail(self):
        raise ValueError("no greeting today")


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response(await self.env.GREETER.greet("worker"))


def runtime(**options):
    return Runtime([Room], worker=Default, **{"services": {"GREETER": Greeter}, **options})


@pytest.mark.rows("EP-09")
async def test_a_service_is_called_by_the_worker():
    """As any stub is."""
    async with runtime() as rt:
        assert await (await rt.handle(Request("http://x/"))).text() == "Hello, worker"


@pytest.mark.rows("EP-09")
async def test_a_service_is_called_by_an_object():
    """The env of objects has it too."""
    async with runtime() as rt:
        assert await rt.namespace(Room).get_by_name("a").greet_through_service("room") == "Hello, room"


@pytest.mark.rows("EP-09")
async def test_a_service_answers_requests():
    """By its own `fetch`, not by that of `Default`."""
    async with runtime() as rt:
        assert (
            await (await rt.env.GREETER.fetch("http://any/path", method="PUT")).text()
            == "PUT http://any/path"
        )


@pytest.mark.rows("EP-09")
async def test_every_call_of_a_service_has_an_instance_of_its_own():
    """It keeps nothing."""
    Greeter.made = 0
    async with runtime() as rt:
        await rt.env.GREETER.greet("a")
        await rt.env.GREETER.greet("b")
    assert Greeter.made == 2


@pytest.mark.rows("EP-09")
async def test_a_service_has_the_env_of_the_application():
    """With itself in it."""
    async with runtime() as rt:
        assert await rt.env.GREETER.has_same_env() == "Hello, me"


@pytest.mark.rows("EP-09", "ERR-01")
async def test_an_error_of_a_service_is_remote_to_its_caller():
    """It keeps its class."""
    async with runtime() as rt:
        with pytest.raises(ValueError, match="no greeting today") as raised:
            await rt.env.GREETER.fail()
        assert raised.value.remote is True


@pytest.mark.rows("EP-09")
async def test_the_props_of_a_binding_reach_the_worker():
    """Two bindings of one class may differ in them."""
    services = {"GREETER": Greeter, "POLITE": (Greeter, {"word": "Good evening"})}
    async with runtime(services=services) as rt:
        assert await rt.env.POLITE.greet("Ada") == "Good evening, Ada"
        assert await rt.env.GREETER.greet("Ada") == "Hello, Ada"


@pytest.mark.rows("EP-09", "EP-12")
async def test_props_are_each_instances_own():
    """What one changes, the next does not see; nor does who gave them."""
    given = {"words": []}
    async with runtime(services={"GREETER": (Greeter, given)}) as rt:
        given["words"].append("later")
        assert await rt.env.GREETER.spoil() == ["spoilt"]
        assert await rt.env.GREETER.spoil() == ["spoilt"]
    assert given == {"words": ["later"]}


@pytest.mark.rows("EP-11")
async def test_every_worker_class_is_among_the_exports():
    """Bound or not."""

    class Other(WorkerEntrypoint):
        async def exports(self):
            return sorted(self.ctx.exports)

    async with runtime(entrypoints=[Other], services={"GREETER": Greeter, "OTHER": Other}) as rt:
        assert await rt.env.OTHER.exports() == ["Default", "Greeter", "Other", "Room"]


class Specialist(WorkerEntrypoint):
    async def greet_with(self, props):
        return await self.ctx.exports.Greeter(props=props).greet("you")

    async def greet_without(self):
        return await self.ctx.exports.Greeter.greet("you")


@pytest.mark.rows("EP-12")
async def test_an_export_called_with_props_is_a_stub_of_a_worker_that_has_them():
    """The export itself stays as it was."""
    async with runtime(services={"GREETER": Greeter, "S": Specialist}) as rt:
        assert await rt.env.S.greet_with({"word": "Hey"}) == "Hey, you"
        assert await rt.env.S.greet_without() == "Hello, you"


@pytest.mark.rows("EP-12")
async def test_props_must_be_a_dict_of_values_that_can_travel():
    """The error says which cannot."""
    async with runtime(services={"S": Specialist}, entrypoints=[Greeter]) as rt:
        with pytest.raises(TypeError, match="props must be a dict, not str"):
            await rt.env.S.greet_with("loud")
    with pytest.raises(DataCloneError, match=r'at props\["f"\]'):
        async with runtime(services={"GREETER": (Greeter, {"f": object()})}):
            pass


@pytest.mark.rows("EP-09")
async def test_a_service_cannot_be_an_object():
    """Objects are bound as such."""
    with pytest.raises(TypeError, match="entrypoint name Room refers to a Durable Object class"):
        Runtime(services={"ROOM": Room})


async def test_a_service_and_a_binding_cannot_have_one_name():
    """One of them must be renamed."""
    with pytest.raises(ConfigError, match="'ROOM' stands for two things in env"):
        runtime(services={"ROOM": Greeter})
