"""Translate the common words of Chinese replies into English, so that one set of rules reads both languages."""

from __future__ import annotations

import re

# English for the words around an answer. The longest match counts.
_WORDS = {
    " the answer is ": (
        "正确答案是 正確答案是 答案是 答案为 答案為 答案应该是 答案應該是 答案应为 答案應為 答案应是 "
        "正确答案为 正確答案為 正确的答案是 最终答案是"
    ),
    " answer ": "正确答案 正確答案 最终答案 最終答案 参考答案 答案 回答",
    " the correct option is ": "正确选项是 正確選項是 正确的选项是 正确选项为 正確選項為",
    " option ": "正确选项 正確選項 选项 選項",
    " choose ": (
        "我选择 我選擇 应该选择 應該選擇 应选择 选择 選擇 我选 我選 应该选 應該選 应选 應選 故选 故選 "
        "选 選"
    ),
    " so ": "综上所述 综上 所以 因此 因而 故而 故",
    " because ": "因为 因為 由于 由於 原因是",
    " and ": "以及 并且 並且 和 与 與 且",
    " or ": "或者 还是 還是 或",
    " but is ": "而是",
    " but ": "但是 不过 不過 然而 但",
    " rather than ": "而不是 而非",
    ", it is ": ",是",
    " is not ": "并不是 並不是 不是 并非 並非 不属于 不屬於",
    " no ": "没有 沒有 无 無",
    " not ": "并不 並不 不 未 非",
    " than ": "相比于 比",
    " is wrong ": "不对 不對 是错误的 是錯誤的 不正确 不正確 错误 錯誤",
    " is correct ": "是正确的 是正確的 正确 正確",
    " should be ": "应该是 應該是 应是 應是 应为 應為",
    " i think ": "我认为 我認為 我觉得 我覺得",
    " is ": "属于 屬於 为 為 是",
    " all ": "全部 都",
    " , ": "、",
    " . ": "。 ｡",
}  # fmt: skip
# Replies that mean yes or no, if a pause or nothing follows.
_YES = "是的 是 对的 對的 对 對 有的 有 会 會 正确 正確 没错 沒錯 可以 能"
_NO = "不是的 不是 否 不 没有 沒有 并不是 並不是 不对 不對 不会 不會 不能 错误 錯誤 并没有 没"
# Words in which a syllable above has another meaning; they stay as they are.
_UNTRANSLATED = (
    "不同 不错 不錯 于是 可是 总是 總是 非常 不仅 不僅 不但 未来 未來 无人 無人 尤其是 特别是 不太 "
    "比较 比較 认为 認為 因为是 成为 成為"
)

_ENGLISH = {word: english for english, words in _WORDS.items() for word in words.split()}
_TRANSLATED = re.compile("|".join(sorted([*_ENGLISH, *_UNTRANSLATED.split()], key=len, reverse=True)))
_ANSWER = r"(?:(?:正确|正確)?答案(?:是|为|為|:)\W*)?"


def _opening(words: str) -> re.Pattern[str]:
    longest_first = sorted(words.split(), key=len, reverse=True)
    return re.compile(rf"\A\W*{_ANSWER}(?:{'|'.join(longest_first)})(?=\W|\Z)")


_OPENING = [(_opening(_NO), " no "), (_opening(_YES), " yes ")]
IDEOGRAPH = "\u3400-\u4dbf\u4e00-\u9fff"
_ANY = re.compile(f"[{IDEOGRAPH}、。]")


def to_english(text: str) -> str:
    """Return a text with an English translation of the Chinese words around an answer; all other words stay."""
    if not _ANY.search(text):
        return text
    for pattern, english in _OPENING:
        text = pattern.sub(english, text)
    return _TRANSLATED.sub(lambda found: _ENGLISH.get(found[0], found[0]), text)
