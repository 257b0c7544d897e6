"""Writes replies to questions in the forms that other harnesses log them, after their writers' sources."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pytest_qbench.items import Item

Answer = str | Sequence[float]  # a reply, or a likelihood per option


def question(number: int, text: str = "", options: Sequence[str] = ("Sharp", "Blurred", "Noisy")) -> Item:
    ident = f"llvisionqa/dev/{number}"
    asked = text or f"How does object {number} look?"
    return Item(ident, "perception", "llvisionqa", "dev", ident, (), asked, tuple(options), options[0])


def prompt(item: Item) -> str:
    options = "\n".join(f"{letter}. {option}" for letter, option in zip("ABCDEFGH", item.options, strict=False))
    return f"{item.question}\n{options}\nAnswer with the option's letter from the given choices directly.\n"


def lines(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def texts(value: Any) -> Any:
    """Both harnesses turn everything in `resps` into text."""
    return [texts(one) for one in value] if isinstance(value, list | tuple) else str(value)


def lmms_eval(path: Path, version: str, answers: Sequence[tuple[Item, Answer]]) -> Path:
    """lmms-eval logs losses, not log-likelihoods; 0.4 drops `doc`, 0.7 unwraps a single reply."""
    rows = []
    for number, (item, answer) in enumerate(answers):
        requests = [answer] if isinstance(answer, str) else [(-value, False) for value in answer]
        ident = int(item.id.rpartition("/")[2])
        row: dict[str, Any] = {"doc_id": number, "target": "A", "resps": texts([[one] for one in requests]),
                               "filtered_resps": texts(requests), "doc_hash": "0", "input": prompt(item)}  # fmt: skip
        if isinstance(answer, str):
            row["qbench_acc"] = {"id": ident, "question_type": 1, "answer": "A", "parsed_pred": "A"}
            row["submission"] = {ident: answer}
        if version == "0.3":
            row["doc"] = {"id": ident, "question": item.question, "correct_choice": "A", "image": None}
            row["doc"] |= {f"option{i}": item.options[i] if i < len(item.options) else "N/A" for i in range(4)}
        elif version == "0.4":
            if row["filtered_resps"] in (row["resps"][0], row["resps"]):
                del row["resps"]
        else:
            row["resps"] = row["resps"][0] if len(row["resps"]) == 1 else row["resps"]
            row["filtered_resps"] = row["filtered_resps"][0] if len(requests) == 1 else row["filtered_resps"]
            if row["resps"] == row["filtered_resps"] or row["resps"] == [row["filtered_resps"]]:
                del row["resps"]
        rows.append(row)
    return lines(path, rows)


def lm_eval(path: Path, answers: Sequence[tuple[Item, Answer]], filters: Sequence[str] = ("none",)) -> Path:
    rows = []
    for name in filters:
        for number, (item, answer) in enumerate(answers):
            requests = [answer] if isinstance(answer, str) else [(value, False) for value in answer]
            doc = {"question": item.question, "choices": list(item.options), "id": item.id.rpartition("/")[2]}
            arguments = {f"gen_args_{i}": {"arg_0": prompt(item), "arg_1": " A"} for i in range(len(requests))}
            rows.append({"doc_id": number, "doc": doc, "target": "0", "arguments": arguments,
                         "resps": texts([[one] for one in requests]), "filtered_resps": texts(requests),
                         "filter": name, "metrics": ["acc"], "doc_hash": "0", "acc": 1.0})  # fmt: skip
    return lines(path, rows)


def inspect_sample(item: Item, answer: str, epoch: int = 1, **more: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": answer, "source": "generate"}
    return {
        "id": item.id.rpartition("/")[2], "epoch": epoch, "input": item.question, "choices": list(item.options),
        "target": "A", "messages": [], "metadata": {}, "attachments": {},
        "output": {"model": "m", "choices": [{"message": message, "stop_reason": "stop"}], "completion": answer},
    } | more  # fmt: skip


HEADER = {"version": 2, "status": "success", "eval": {"task": "evals/qbench_dev", "model": "openai/m", "run_id": "r1"}}


def inspect_log(
    path: Path, samples: Sequence[dict[str, Any]], *, finished: bool = True, zstandard: bool = False, **spec: str
) -> Path:
    """A killed run leaves no header.json; a log since April 2026 is compressed with Zstandard."""
    header = {**HEADER, "eval": {**HEADER["eval"], **spec}}  # type: ignore[dict-item]
    members: list[tuple[str, Any]] = [("_journal/start.json", header)]
    members += [(f"samples/{one['id']}_epoch_{one['epoch']}.json", one) for one in samples]
    members += [("header.json", header)] if finished else []
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, json.dumps(content))
    if zstandard:
        path.write_bytes(_as_zstandard(path))
    return path


def _as_zstandard(path: Path) -> bytes:
    """Return a zip of the same members with method 93: stored as Zstandard frames, then methods and sizes rewritten."""
    import pyarrow

    packed = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as new:
        infos = old.infolist()
        for info in infos:
            new.writestr(info.filename, pyarrow.compress(old.read(info), "zstd", asbytes=True))
        offsets = [info.header_offset for info in new.infolist()]
    content = bytearray(packed.getvalue())
    for info, offset in zip(infos, offsets, strict=True):
        content[offset + 8 : offset + 10] = (93).to_bytes(2, "little")
        content[offset + 14 : offset + 18] = info.CRC.to_bytes(4, "little")
        content[offset + 22 : offset + 26] = info.file_size.to_bytes(4, "little")
    position = 0
    for info in infos:
        position = content.index(b"PK\x01\x02", position)
        content[position + 10 : position + 12] = (93).to_bytes(2, "little")
        content[position + 16 : position + 20] = info.CRC.to_bytes(4, "little")
        content[position + 24 : position + 28] = info.file_size.to_bytes(4, "little")
        position += 4
    return bytes(content)
