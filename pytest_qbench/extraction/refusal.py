"""Refusals: replies that say why there is no answer."""

from __future__ import annotations

import re

# Patterns of folded text (see `normalize.plain`), in which "can't" is "ca not".
_I = r"\bi\b[^.!?\n]{0,30}?"
_BEGINS = rf"(?:^|[.!?,;\n]\s*|{_I})"
_CANNOT = (
    r"(?:(?:ca|can|could|do|would) not(?: be able to)?|(?:am|'m|are|is|was)? ?(?:not able|unable) to)"
    r"(?: (?:directly|currently|actually|really|yet|also|physically|visually|accurately|reliably|definitively))*"
)
_IMAGE = (
    r"(?:(?:the|this|that|any|your|an?|actual|provided|attached|uploaded|specific|individual|such) )*"
    r"(?:images?|pictures?|photos?|photographs?|screenshots?|visuals?|attachments?|visual content)\b"
    r"(?!'s| (?:clearly|well|sharply|in (?:full|detail)|noise|blur|quality issue))"
)
_REFUSALS = (
    rf"{_BEGINS}{_CANNOT} (?:see|view|access|open|load|process|analy[sz]e|examine|inspect|perceive|display|look at"
    rf"|interpret|evaluate|assess) (?:or \w+ )?{_IMAGE}",
    rf"{_I}{_CANNOT} (?:assist|help|comply|fulfil|answer|respond|participate)",
    rf"{_I}{_CANNOT} (?:provide|give|offer|make|generate) (?:an? |the |any |that )?(?:\w+ ){{0,2}}"
    r"(?:answer|assess|analys|respons|evaluation|information|opinion|judg|determination|description)",
    rf"{_I}{_CANNOT} (?:determine|tell|judge|decide|choose|select|know) (?:this|that|which|whether|what)\b",
    rf"\b(?:sorry|apologi[sz]e|apologies|afraid)\b[^.!?\n]{{0,60}}?"
    rf"(?:{_CANNOT}(?! (?:see|find|detect|spot|notice) any)|\bno (?:image|picture|photo))",
    r"\bas an? (?:ai|artificial|language|large language|text|multimodal)\b[^.!?\n]{0,60}?"
    rf"(?:{_CANNOT}|\black)",
    r"\b(?:do|does|did|have) not (?:see|have|receive|find|receive|received|detect|contain)"
    rf" (?:access to |received )?{_IMAGE}",
    r"\b(?:do not have|lack) (?:the |an? |any )?(?:visual )?"
    r"(?:ability|abilities|capability|capabilities|capacity|access|means|way)",
    r"\bno (?:image|picture|photo|photograph|visual)s?\b(?: \w+){0,4}? (?:provided|attached|uploaded|included|shared"
    r"|supplied|available|given|displayed|received|to (?:analy|look|evaluat|assess))",
    r"\b(?:image|picture|photo) (?:is|was|has|did|could|does) not (?:been |be |seem to (?:be |have been )?)?"
    r"(?:provided|attached|uploaded|included|shared|load|loaded|available|given|opened|come through)",
    r"\bplease (?:provide|upload|share|attach|send|supply|describe|re-?upload)\b[^.!?\n]{0,40}"
    r"\b(?:image|picture|photo|detail|description|context|information|it)",
    r"\bwithout (?:seeing|viewing|access to|having|being able to|looking at|(?:an?|the) (?:actual )?"
    r"(?:image|picture|photo)|(?:more|further|additional) (?:information|context|details))\b",
)
_CHINESE = (
    "抱歉|对不起|對不起|很遗憾|很遺憾",
    "(?:无法|無法)(?:直接)?(?:查看|看到|识别|判断|回答|访问|确定|提供|分析|处理|观察|完成|满足)",
    "(?:无法|無法)(?:直接)?(?:識別|判斷|訪問|確定|處理|觀察)",
    "(?:不能|没法|没有办法)(?:直接)?(?:查看|看到|回答|判断|提供|访问|确定)",
    "作为(?:一个|一名)?(?:ai|人工智能|语言模型|大模型|助手)|作為(?:一個)?(?:ai|人工智慧|語言模型)",
    "(?:没有|未|沒有)(?:看到|收到|提供|上传|附上|上傳)(?:任何)?(?:图|照片|圖|相片)",
    "请(?:您)?(?:重新)?(?:提供|上传|发送)|請(?:您)?(?:提供|上傳)",
)
_REFUSAL, _CHINESE_REFUSAL = (re.compile("|".join(patterns)) for patterns in (_REFUSALS, _CHINESE))


def is_refusal(folded: str, text: str) -> bool:
    """Whether a reply refuses to answer, whatever option it mentions besides.

    `folded` is the reply as `normalize.plain` returns it, `text` the reply itself.
    """
    return bool(_REFUSAL.search(folded) or _CHINESE_REFUSAL.search(text.casefold()))
