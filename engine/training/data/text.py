"""Sentences, words and word folding: what the generator and the evaluation share."""

import re

_END = re.compile(r"""(?<=[.!?。！？])(?P<close>["')\]»”’]*)\s+(?=["'(\[«“‘]*[^\Wa-z_])""")
_ABBREVIATION = re.compile(r"(?:\b(?:e\.g|i\.e|etc|vs|cf|al|fig|no|mr|mrs|dr|st|inc|ltd|co|approx|sec|art|vol|pp?|ed)|\b[A-Z])\.$",
                           re.I)
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


def split_sentences(paragraph):
    """Sentences of a paragraph; joining them with one space gives the paragraph back."""
    sentences, start = [], 0
    for match in _END.finditer(paragraph):
        head = paragraph[start:match.end("close")]
        if _ABBREVIATION.search(head):
            continue
        sentences.append(head)
        start = match.end()
    sentences.append(paragraph[start:])
    return sentences


def words(text):
    """Words of a text in order: letters and digits, apostrophes inside."""
    return _WORD.findall(text)


_SUFFIXES = ("ations", "ation", "ments", "ment", "ities", "ingly", "ences", "ances", "ing", "ies", "ied", "ers", "ions", "ion",
             "ity", "ence", "ance", "ives", "ive", "edly", "ed", "er", "es", "or", "ly", "al", "s", "e", "y")


def _stem(word):
    for suffix in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= 4:
            return word[: -len(suffix)]
    if word.endswith("s") and len(word) > 3 and not word.endswith("ss"):
        return word[:-1]
    return word


_fold_cache = {}


def fold(word):
    """Case, inflection and common derivation removed: the key under which two words count as the same in questions.

    Coarser than plural folding, so a question unique under it is unique for any reader.
    """
    key = _fold_cache.get(word)
    if key is None:
        lowered = word.lower().replace("’", "'").removesuffix("'s")
        key = _stem(lowered) if lowered.isascii() else lowered
        # Doubled consonants before a cut suffix: "stopped" and "stop".
        if len(key) > 4 and key != lowered and key[-1] == key[-2] and key[-1] in "bdgklmnprt":
            key = key[:-1]
        key = _CANONICAL.get(key, key)
        _fold_cache[word] = key
    return key


# Everyday words for the same thing. Questions may use any member; uniqueness is checked over the whole set.
SYNONYMS = """
buy purchase acquire|begin start commence|end finish terminate conclude|cancel revoke rescind|big large|small little tiny
fast quick rapid|show display|delete remove erase|get obtain receive|give provide supply|help assist aid|need require
use utilize employ|try attempt|change modify alter|make create produce|fix repair mend|build construct|choose select pick
send transmit|allow permit|forbid prohibit|stop halt cease|keep retain|error fault failure|price cost|pay remit|job task
car vehicle|doctor physician|worker employee|boss manager supervisor|house home|rent lease|landlord lessor|tenant lessee
contract agreement|law statute|fee charge|fine penalty|damage harm injury|illness disease sickness|drug medicine medication
test examine|check verify inspect|ask request inquire|answer reply respond|tell inform notify|happen occur|money funds
yearly annual|monthly|weekly|daily|firm company business|customer client|folder directory|picture image photo|screen monitor
turn switch|shut close|broken defective faulty|empty vacant|full complete|enough sufficient|about approximately|whole entire
wrong incorrect|right correct|safe secure|danger hazard|quiet silent|noise sound|trip journey travel|road street|kid child
teach instruct|learn study|speak talk|write record|read|see view|look|think believe|know|hold contain include|join connect attach
split divide separate|grow increase rise|drop decrease decline reduce|limit restrict|goal aim objective|result outcome
reason cause|way method approach|part component|kind type sort|list|number amount quantity|place location site|time|hard difficult
easy simple|new recent|old ancient|rich wealthy|sick ill|glad happy|sad unhappy|angry mad|strange odd unusual|important essential
main primary principal|last final|first initial|often frequently|seldom rarely|maybe perhaps|now currently|later afterwards
boat ship vessel|shop store|meal dinner|trash garbage waste|movie film|lawyer attorney|soldier|city town|country nation|speed velocity
""".replace("\n", "|").strip("|")
_CANONICAL = {}
SYNONYM_SETS = {}


def _build_synonyms():
    for group in SYNONYMS.split("|"):
        members = group.split()
        if len(members) > 1:
            for word in members:
                key = _stem(word)
                _CANONICAL.setdefault(key, _CANONICAL.get(_stem(members[0]), _stem(members[0])))
                SYNONYM_SETS.setdefault(_CANONICAL[key], []).append(word)


_build_synonyms()

STOPWORDS = frozenset("""
a an the this that these those of to in on at by for from with without into onto over under as is are was were be been being am do does
did done has have had having it its it's he she they them their his her we our you your i me my and or but not no nor if then else than
so such too very can could may might must shall should will would which who whom whose what when where why how there here also only
any all each every some none more most other another same one two first new used using use via per e.g i.e etc about up out off just
because while until after before between through during both either neither own again further once s t don doesn isn aren
""".split())


def content_words(sentence):
    """Distinct words of a sentence that can carry a question, in order of appearance."""
    seen, result = set(), []
    for word in words(sentence):
        lowered = word.lower()
        if lowered in STOPWORDS or (len(word) < 3 and not word.isdigit()):
            continue
        key = fold(word)
        if key not in seen:
            seen.add(key)
            result.append(word)
    return result
