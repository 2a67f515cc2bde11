"""What is written in one turn leaves together, and only when it is durable."""

from __future__ import annotations

import asyncio

import pytest

from trader_cli.paper.serving.gathering import GatheringTransport


class Wire(asyncio.Transport):
    """Keeps what is written; `said` also holds what happened besides."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[bytes | str] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.said.append(bytes(data))

    def close(self) -> None:
        self.said.append("closed")

    def abort(self) -> None:
        self.said.append("aborted")

    def is_closing(self) -> bool:
        return "closed" in self.said or "aborted" in self.said

    def get_write_buffer_size(self) -> int:
        return 0


def gathering(wire: Wire) -> GatheringTransport:
    return GatheringTransport(wire, lambda: wire.said.append("committed"))


async def test_one_turns_writes_leave_as_one_after_the_commit() -> None:
    wire = Wire()
    transport = gathering(wire)

    transport.write(b"one ")
    transport.writelines([b"two ", bytearray(b"three")])
    assert wire.said == []
    assert transport.get_write_buffer_size() == 13
    await asyncio.sleep(0)
    transport.write(b"four")
    await asyncio.sleep(0)

    assert wire.said == ["committed", b"one two three", "committed", b"four"]


async def test_a_connection_that_is_closed_says_its_last_words() -> None:
    wire = Wire()
    transport = gathering(wire)

    transport.write(b"goodbye")
    transport.close()
    await asyncio.sleep(0)

    assert wire.said == ["committed", b"goodbye", "closed"]


async def test_an_aborted_connection_says_nothing_more() -> None:
    wire = Wire()
    transport = gathering(wire)

    transport.write(b"never heard")
    transport.abort()
    await asyncio.sleep(0)

    assert wire.said == ["aborted"]


async def test_what_could_not_be_committed_is_not_told() -> None:
    wire = Wire()

    def fail() -> None:
        raise OSError("no room")

    transport = GatheringTransport(wire, fail)
    transport.write(b"an order")

    with pytest.raises(OSError, match="no room"):
        transport.flush()

    assert wire.said == ["aborted"]


@pytest.mark.parametrize(("size", "leaves"), [(65_535, False), (65_536, True)])
async def test_much_leaves_at_once(size: int, leaves: bool) -> None:
    """Otherwise nobody would notice a reader who is slow."""
    wire = Wire()

    gathering(wire).write(bytes(size))

    assert (bytes(size) in wire.said) is leaves


async def test_nothing_is_written_to_a_connection_that_is_gone() -> None:
    wire = Wire()
    transport = gathering(wire)

    transport.write(b"too late")
    wire.close()
    await asyncio.sleep(0)

    assert wire.said == ["closed", "committed"]
