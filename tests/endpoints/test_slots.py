"""Slots shared by several processes, each with its own `Slots` object."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pytest_qbench.endpoints.address import parse_address
from pytest_qbench.endpoints.event_loop import Endpoints
from pytest_qbench.endpoints.slots import Slots

HOLD = """
import asyncio, sys, time
from pathlib import Path
from pytest_qbench.endpoints.slots import Slots
async def one(slots, log):
    async with slots:
        log.append((time.time(), 1)); await asyncio.sleep(0.05); log.append((time.time(), -1))
async def main():
    slots, log = Slots(2, 4, Path(sys.argv[1])), []
    await asyncio.gather(*(one(slots, log) for _ in range(5)))
    print(*(f"{at!r}:{step}" for at, step in log))
asyncio.run(main())
"""


def test_four_processes_never_hold_more_than_two_slots(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path / "slots")]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    events = " ".join(process.communicate(timeout=60)[0] for process in running).split()
    steps = sorted((float(at), int(step)) for at, _, step in (event.partition(":") for event in events))
    assert len(steps) == 40
    held = most = 0
    for _, step in steps:
        held += step
        most = max(most, held)
    assert most <= 2


def test_with_enough_slots_each_process_gets_its_share(tmp_path: Path) -> None:
    async def most() -> int:
        slots, held, seen = Slots(8, 3, tmp_path / "slots"), 0, []

        async def one() -> None:
            nonlocal held
            async with slots:
                held += 1
                seen.append(held)
                await asyncio.sleep(0.01)
                held -= 1

        await asyncio.gather(*(one() for _ in range(6)))
        return max(seen)

    assert asyncio.run(most()) == 2
    assert not (tmp_path / "slots").exists()


def test_a_request_cancelled_while_waiting_holds_no_slot(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD.replace("0.05", "60").replace("range(5)", "range(1)").replace("2, 4", "1, 2"), str(tmp_path / "slots")]  # fmt: skip
    holder = subprocess.Popen(command, stdout=subprocess.DEVNULL)

    async def wait() -> None:
        slots = Slots(1, 2, tmp_path / "slots")
        while True:
            try:
                async with asyncio.timeout(0.1), slots:
                    pass
            except TimeoutError:
                break
            await asyncio.sleep(0.05)
        holder.kill()
        holder.wait()
        async with asyncio.timeout(10), slots:
            pass

    began = time.monotonic()
    try:
        asyncio.run(wait())
    finally:
        holder.kill()
    assert time.monotonic() - began < 60


def test_model_and_judge_share_the_slots_of_one_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "")
    endpoints = Endpoints()
    one, other, elsewhere = (
        endpoints.connect(parse_address(text), role)  # type: ignore[arg-type]
        for text, role in (("a@http://h/v1", "model"), ("b@http://h/v1", "judge"), ("a@http://g/v1", "model"))
    )
    assert one._slots is other._slots is not elsewhere._slots
