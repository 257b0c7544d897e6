"""English words by their function in a reply: negation, conjunction, introduction of an answer. Data only."""

from __future__ import annotations

import re

# Error messages of a server or a client library in place of an answer.
ERROR = re.compile(
    r"""\W*(?: error\s*(?:code|:|-|\d|$) | (?:\w+\.)*\w*(?:error|exception)\s*(?:[:(]|$) | an\ error\ (?:has\ )?occurred
    | https?\ ?(?:/[\d.]+)?\s*(?:error)?\s*[45]\d\d | object["']\s*:\s*["']error
    | (?:errors?|detail|status\ code)["']\s*: | bad\ gateway | gateway\ time-?out | too\ many\ requests
    | [45]\d\d\s+(?:[a-z]+\ ){0,3}(?:error|gateway|unavailable|time-?out|requests?|unauthorized|forbidden|found)\b
    | (?:internal\ server|server|connection|upstream\ connect|api|time-?out)\ error\b | request\ timed\ out
    | (?:service|model)\ (?:is\ )?(?:temporarily\ )?unavailable | connection\ (?:refused|reset|aborted|timed)
    | failed\ to\ obtain\ answer | rate\ limit | !doctype\ html )
    | .*(?:traceback\ \(most\ recent\ call|\berror\ code:\s*\d{3}\b)""",
    re.VERBOSE | re.DOTALL,
)
SELF_CONTRADICTION = {
    "yes": r"\byes\W+(?!why\b)(?:\w+ ){1,3}not\W*$",  # "Yes, it is not."
    "no": r"\bno\W+(?:it|they|there|this|that) (?:is|are|does|do|was|were|has|have|can)\W*$",  # "No, it is."
}


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


def _pairs(words: str) -> frozenset[tuple[str, str]]:
    return frozenset((a, b) for a, _, b in (pair.partition("-") for pair in words.split()))


NO = _set("no none neither nothing")
NEGATORS = _set(
    """not never neither nor none nothing without hardly barely scarcely lack lacks lacking lacked except excluding
    exclude excludes excluded eliminate eliminated unlike unlikely wrong incorrect false untrue inaccurate non
    devoid deny denies reject rejected unless"""
)
NEGATING_PAIRS = _pairs(
    """rather-than instead-of free-of free-from far-from anything-but opposite-of all-but other-than rule-out ruled-out
    ruling-out absence-of everything-but i-doubt would-doubt highly-doubt seriously-doubt fails-to"""
)
AFFIRMING_PAIRS = _pairs(  # they only look like a negation
    "no-doubt no-question not-only not-just not-merely nothing-but without-doubt none-other wrong-with wrong-in"
)
NEGATED_AFTER = _set(
    """not never wrong incorrect false untrue inaccurate excluded eliminated rejected unlikely impossible absent
    neither ruled hardly"""
)
LINKS = _set(  # between an option and the negation that follows it: "A is definitely not the ..."
    """is are was were be been being ca can could wo would should does do did seems seem looks appears has have had
    also clearly definitely certainly probably simply really option answer choice it this that the as an a must may
    might will to which what obviously surely most i think"""
)
TURNS = _set("rather instead so then therefore thus hence making indicating suggesting resulting")
JOINS = _set("and while whereas because since although though as")
SUBJECTS = _set("it its i the this that there these those they we he she which my")
VERBS = _set(
    """is are was were looks look seems seem appears appear has have must would should say think choose pick be shows
    makes"""
)
RETRACTING = _set("no not wrong incorrect false")
COMPARED = _set("than versus vs less")
IDIOMS = _pairs(
    "at-all after-all above-all right-answer right-choice right-option clear-that be-fair above-average below-average"
)
STATING = _set(
    "answer conclusion verdict choose chose pick select selected say conclude go going therefore thus hence finally"
)
STATING_LINKS = _set(
    """is was be would should must will that it the to this question option letter choice most likely probably clearly
    definitely as a an correct best my for with image picture photo looks seems appears boxed text so final"""
)
INTRODUCING = STATING | STATING_LINKS | _set("option choice letter assistant")
NAMES_LETTER = _set("option options choice choices letter letters candidate candidates")
BEFORE_LETTER = _set(
    """answer answered is are was be say saying choose chose choosing pick picked select selected with guess think
    believe or and nor not neither either both than versus vs so therefore thus hence correct probably definitely
    likely clearly maybe perhaps only except to between as that but like"""
)
AFTER_LETTER = _set(  # words that never follow the article "a"
    """is was because since as and or nor but for due it the this that which seems appears looks would should must
    cannot could may might has matches although though if in on based with describes"""
)
DEGREES = _set("很 较 較 偏 太 更 极 極 挺 度")
# Replies that mean yes or no, if a pause or nothing follows.
YES = re.compile(
    r"(?:yeah|yep|yup|yes indeed|absolutely|certainly|definitely|indeed|of course|sure|correct|true|right|exactly"
    r"|affirmative)(?=\W*$|\s*[,.!;:\n-])"
)
NO_WORDS = re.compile(
    r"(?:nope|nah|not really|not at all|(?:definitely|certainly|absolutely|probably|of course) not|false|incorrect"
    r"|negative)(?=\W*$|\s*[,.!;:\n-])"
)
# Words that a reply may use for an option of this name.
RELATED = {"noisy": "noise", "overexposed": "overexposure", "underexposed": "underexposure"}
NUMBERS = {
    "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7", "eight": "8", "nine": "9",
    "ten": "10",
}  # fmt: skip
# The beginning of a clause that ends with a conclusion.
FOREMOST = re.compile(
    r".*\b(?:most \w+|main|primary|dominant|biggest|worst|chief)\b[\w ]* (?:is|was|seems to be|appears to be)"
    r"(?: the| a| an)?"
)
# Words with which a reply withdraws an earlier statement.
REVISES = re.compile(
    r"(?:^|[.!?\n,;:-]\s*|\b(?:but|oh|no)\s+)(?:wait|hmm|actually|correction|scratch that|on second thought|i mean"
    r"|let me (?:re|think|check|correct|look)|i made a mistake|my mistake)\b"
)
# The beginning of a sentence about the whole image.
OF_THE_IMAGE = re.compile(
    r"(?:(?:the|this|that) )?(?:(?:whole|entire|overall|given) )?(?:image|picture|photo|photograph|it|this|that|answer)"
    r" (?:is|looks|seems|appears)(?: to be)?(?: \w+ly| very| quite| too| so| a| an| the)*\Z"
)
PAUSE = re.compile(r"\s*[.,:;!?()\[\]}\"'/=|$]|\s*\n|\s+-")
RETRACTED = re.compile(
    r"(?:no )?(?:this|that|it) (?:is|was|would be)"
    r" (?:wrong|incorrect|false|untrue|not (?:the )?(?:right|correct|true|answer|case))\b"
)
STOP = re.compile(r"[.!?;\n]")
GLUE = re.compile(r"[-.'&+@#]")
OPENS, CLOSES = "([{\"'$", ")]}\"'$"
