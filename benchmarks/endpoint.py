"""The client of endpoints against AsyncOpenAI alone: ``python benchmarks/endpoint.py [ROUNDS] [PART ...]``.

A server on loopback, in its own process, answers every request at once (parts ``small``, ``jpeg``, ``large``) or after
0.1 to 0.9 s (``latency``, ``judge``). Both sides send the same files and questions by turns, 64 requests in flight. The
table has medians over ROUNDS (3). CPU is that of the client's process. CPU and wall time of a run with few items are
subtracted, which leaves the start out.
"""

from __future__ import annotations

import asyncio
import base64
import io
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]
FEW, IN_FLIGHT = 8, 64
# part: photographs' size, number of requests, seconds that the server takes at least and at most
PARTS = {
    "small": ((320, 240), 640, (0.0, 0.0)),
    "jpeg": ((1024, 768), 400, (0.0, 0.0)),
    "large": ((4000, 3000), 100, (0.0, 0.0)),
    "latency": ((320, 240), 640, (0.1, 0.9)),
    "judge": (None, 300, (0.1, 0.9)),
}


def serve(port_file: str, least: float, most: float) -> None:
    """Answer chat requests: a verdict to a judge's prompt, else an option."""

    def body(data: bytes) -> bytes:
        found = data.rfind(b'"n":')
        n = int(data[found + 4 :].lstrip()[:1]) if found > 0 else 1
        text = "A"
        if b"Score: N" in data:
            messages = json.loads(data)["messages"]
            said = "".join(
                text if isinstance(text, str) else text[0]["text"] for text in (m["content"] for m in messages)
            )
            golden, reply = (
                said.partition(mark)[2].partition(">>>")[0].strip(" \n<") for mark in ("Reference:", "judge:")
            )
            text = f"Score: {0 if not reply else 2 if not golden or reply.split()[:2] == golden.split()[:2] else 0}"
        choices = [{"index": i, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
                   for i in range(n)]  # fmt: skip
        tokens = 10 + 90 * (b"data:image" in data)
        usage = {"prompt_tokens": tokens, "completion_tokens": 2, "total_tokens": tokens + 2}
        whole = {"id": "0", "object": "chat.completion", "created": 0, "model": "m", "choices": choices, "usage": usage}
        return json.dumps(whole).encode()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if b"content-length" in line
                )
                payload = body(await reader.readexactly(length))
                if most:
                    await asyncio.sleep(random.uniform(least, most))
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s"
                             % (len(payload), payload))  # fmt: skip
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def main() -> None:
        server = await asyncio.start_server(handle, "127.0.0.1", 0, limit=1 << 25)
        Path(port_file).write_text(str(server.sockets[0].getsockname()[1]))
        await server.serve_forever()

    asyncio.run(main())


def ask_raw(port: str, folder: str, n: int, judge: bool) -> None:
    """The same requests with AsyncOpenAI alone; images are read and encoded as they go."""
    import openai

    data = Path(folder)

    async def main() -> None:
        gate = asyncio.Semaphore(IN_FLIGHT)
        async with openai.AsyncOpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="-", max_retries=0) as client:

            async def question(row: dict[str, str]) -> None:
                async with gate:
                    image = base64.b64encode((data / "llvisionqa" / "images" / row["img_path"]).read_bytes()).decode()
                    content = [{"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{image}"}},
                               {"type": "text", "text": row["question"]}]  # fmt: skip
                    await client.chat.completions.create(
                        model="m",
                        messages=[{"role": "user", "content": content}],
                        temperature=0,
                        max_tokens=32,
                    )

            async def verdict(i: int, dimension: int) -> None:
                text = f"Score: N {'Evaluate the description by the reference. ' * 12} {i} {dimension}"
                async with gate:
                    await client.chat.completions.create(
                        model="j", messages=[{"role": "user", "content": text}], n=5, temperature=1, max_tokens=16
                    )

            if judge:
                await asyncio.gather(*(verdict(i, d) for i in range(n) for d in range(3)))
            else:
                rows = json.loads((data / "llvisionqa" / "llvisionqa_dev.json").read_text())[:n]
                await asyncio.gather(*map(question, rows))

    asyncio.run(main())


def write_questions(folder: Path, size: tuple[int, int], n: int) -> None:
    """A data folder of questions over ten photographs."""
    import numpy as np
    from PIL import Image

    images = folder / "llvisionqa" / "images"
    images.mkdir(parents=True)
    for i in range(10):
        rng = np.random.default_rng(i)
        coarse = Image.fromarray(rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)).resize(
            size, Image.Resampling.BICUBIC
        )
        noise = rng.normal(0, 6, (size[1], size[0], 1)).astype(np.float32)
        pixels = np.clip(np.asarray(coarse, np.float32) + noise, 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(images / f"{i}.jpg", quality=92)
    rows = [{"img_path": f"{i % 10}.jpg", "question": f"Is it sharp ({i})?", "candidates": ["Yes", "No", "Somewhat"],
             "correct_ans": "Yes", "type": 0, "concern": 0} for i in range(n)]  # fmt: skip
    (folder / "llvisionqa" / "llvisionqa_dev.json").write_text(json.dumps(rows))


def write_descriptions(folder: Path, n: int) -> None:
    """A data folder of golden texts, and recorded descriptions."""
    from PIL import Image

    images = folder / "lldescribe" / "images"
    images.mkdir(parents=True)
    rows, outputs = [], []
    for i in range(n):
        Image.new("RGB", (8, 8)).save(images / f"{i}.png")
        rows.append({"img_path": f"{i}.png", "golden": f"Picture {i} is blurry, dark and noisy."})
        outputs.append({"img_path": f"{i}.png", "response": f"Picture {i} is blurry and dark."})
    (folder / "lldescribe" / "lldescribe.json").write_text(json.dumps(rows))
    (folder.parent / "lldescribe.json").write_text(json.dumps(outputs))


@contextmanager
def serving(least: float, most: float, folder: Path) -> Iterator[str]:
    """Run the server in a process of its own and return its port."""
    port = folder / "port"
    process = subprocess.Popen([sys.executable, __file__, "serve", str(port), str(least), str(most)])
    try:
        while not port.is_file() or not port.read_text():
            time.sleep(0.05)
        yield port.read_text()
    finally:
        process.terminate()
        process.wait()


def cost(command: list[str], folder: Path) -> tuple[float, float]:
    """Return CPU and wall seconds of a command."""
    before, began = os.times(), time.perf_counter()
    subprocess.run(
        command, check=True, stdout=subprocess.DEVNULL, cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    wall, after = time.perf_counter() - began, os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system, wall


def compare(part: str, rounds: int) -> str:
    """Return a row of the table."""
    size, n, (least, most) = PARTS[part]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        data = folder / "data"
        if size is None:
            write_descriptions(data, n)
        else:
            write_questions(data, size, n)
        with serving(least, most, folder) as port:
            endpoint = f"http://127.0.0.1:{port}/v1"
            named = (
                [f"--qbench-model=replay:{folder / 'lldescribe.json'}", f"--qbench-judge=openai:j@{endpoint}"]
                if size is None
                else [f"--qbench-model=openai:m@{endpoint}"]
            )
            suite = ROOT / "suites" / ("test_description.py" if size is None else "test_perception.py")

            def ours(items: int) -> list[str]:
                return [
                    sys.executable, "-m", "pytest", "-q", "--rootdir", place, "-p", "no:cacheprovider", *named,
                    f"--qbench-data={data}", "--qbench-no-gates", "--qbench-no-cache", f"--qbench-limit={items}",
                    str(suite),
                ]  # fmt: skip

            def raw(items: int) -> list[str]:
                return [sys.executable, __file__, "raw", port, str(data), str(items), part]

            found: dict[str, list[tuple[float, float]]] = {"ours": [], "raw": []}
            sides: dict[str, Callable[[int], list[str]]] = {"ours": ours, "raw": raw}
            for _ in range(rounds):
                for name, command in sides.items():
                    few, whole = cost(command(FEW), folder), cost(command(n), folder)
                    requests = (n - FEW) * (3 if size is None else 1)
                    found[name].append((1000 * (whole[0] - few[0]) / requests, whole[1] - few[1]))
    (cpu, wall), (raw_cpu, raw_wall) = (
        [statistics.median(each[i] for each in found[name]) for i in (0, 1)] for name in ("ours", "raw")
    )
    ratios = [statistics.median(a[i] / b[i] for a, b in zip(found["ours"], found["raw"], strict=True)) for i in (0, 1)]
    numbers = f"{cpu:.2f} | {raw_cpu:.2f} | **{ratios[0]:.2f}** | {wall:.1f} | {raw_wall:.1f} | **{ratios[1]:.2f}**"
    return f"| {part} | {numbers} |"


def encode(rounds: int) -> str:
    """Return what a photograph of 12 megapixels costs: CPU and bytes of its data URL against those of the file."""
    from pytest_qbench.items import FileImage
    from pytest_qbench.models.images import LazyImage
    from pytest_qbench.models.openai import FILES

    with tempfile.TemporaryDirectory() as place:
        write_questions(Path(place), (4000, 3000), 10)
        images = Path(place, "llvisionqa", "images")
        times, ratios = [], []
        for _ in range(rounds):
            for path in sorted(images.iterdir()):
                before = time.process_time()
                url = LazyImage(FileImage(images, "images", path.name)).url(FILES)
                times.append(1000 * (time.process_time() - before))
                ratios.append(len(url) / path.stat().st_size)
        png = io.BytesIO(LazyImage(FileImage(images, "images", "0.jpg")).url(()).encode()).getbuffer().nbytes
    return (
        f"12 megapixels: {statistics.median(times):.1f} ms of CPU (at most {max(times):.1f}), {max(ratios):.2f} times "
        f"the bytes of the file; as PNG {png / len(url):.1f} times the bytes"
    )


def main(arguments: list[str]) -> None:
    rounds = int(arguments[0]) if arguments else 3
    print(encode(rounds))
    print("\n| part | ms CPU a request | raw | ratio | wall s, without start | raw | ratio |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for part in arguments[1:] or PARTS:
        print(compare(part, rounds), flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(sys.argv[2], float(sys.argv[3]), float(sys.argv[4]))
    elif sys.argv[1:2] == ["raw"]:
        ask_raw(sys.argv[2], sys.argv[3], int(sys.argv[4]), sys.argv[5] == "judge")
    else:
        sys.path.insert(0, str(ROOT))
        main(sys.argv[1:])
