"""Training and evaluation sequences: numbered paragraphs, then questions with exact quotes.

A sequence is `[gMASK]<sop><|system|>` + `¶{n} {text}\\n` per paragraph + turns `<|user|> {question}<|assistant|>{answer}` and a
last `<|user|>`; an answer is `¶{n} {sentences}` with exactly the document's tokens, or NOT_STATED. Every question is
checked to have one answer: for key words under folding of case, inflection and synonyms (text.fold), for templates by the
slot values the question names. A question counts as unanswerable only where no sentence holds more than half its words.
"""

import bisect
import collections
import dataclasses
import itertools
import random
import re

import numpy as np

from data import templates
from data import wordings
from data.text import STOPWORDS, SYNONYM_SETS, content_words, fold, split_sentences, words

NOT_STATED = " Not stated in the document."
PREFIX = "[gMASK]<sop><|system|>"
SOURCE_WEIGHTS = {"man": 28, "doc": 22, "py": 20, "aws": 11, "include": 10, "licence": 4, "dpkg": 2, "foreign": 3}
DOCUMENT_KINDS = {"real": 44, "template": 20, "random": 11, "scripts": 4, "mixed": 21}
_SCRIPTS = [(0x00DF, 0x017E), (0x0391, 0x03C9), (0x0410, 0x044F), (0x05D0, 0x05EA), (0x0621, 0x064A), (0x0905, 0x0939),
            (0x0E01, 0x0E2E), (0x3041, 0x3096), (0x30A1, 0x30FA), (0x4E00, 0x9FA0), (0xAC00, 0xD7A3), (0x10D0, 0x10F0)]


@dataclasses.dataclass
class Unit:
    """One sentence of a document. fact: index into Document.facts, or -1."""
    text: str
    ids: list
    fact: int
    kind: str
    paragraph: int = 0
    folds: frozenset = frozenset()


@dataclasses.dataclass
class Question:
    """first..last: the units that answer (None if unanswerable). kind: of the units; form: how it was asked."""
    text: str
    first: int
    last: int
    kind: str
    form: str


@dataclasses.dataclass
class Answer:
    """Token span [start, end) of an answer in a sequence, its <|user|> included; the marker takes marker_len tokens."""
    start: int
    end: int
    marker_len: int
    answerable: bool
    kind: str
    form: str
    depth: float  # 0 = first paragraph, 1 = last


class Library:
    """What all documents draw from: corpus, vocabulary, templates. Build once, share by fork."""

    def __init__(self, tokenizer, documents, heldout=False, seed=0):
        self.tokenizer = tokenizer
        self.heldout = heldout
        self.sources = collections.defaultdict(list)
        for doc in documents:
            if doc["heldout"] == heldout and len(doc["paragraphs"]) >= 3:
                name = doc["source"].split("/")[0] if doc["lang"] == "en" else "foreign"
                self.sources[name].append(doc["paragraphs"])
        self.cumulative = {name: list(itertools.accumulate(min(len(d), 80) for d in docs)) for name, docs in self.sources.items()}
        self.source_names = [n for n in SOURCE_WEIGHTS if n in self.sources]
        self.source_weights = [SOURCE_WEIGHTS[n] for n in self.source_names]
        self.templates = templates.load("templates.txt")
        self.templates_heldout = templates.load("templates_heldout.txt") if heldout else []
        self.vocabulary, self.frequencies, self.variants = self._vocabulary(random.Random(seed))

    def _vocabulary(self, rng):
        """Words of the English text, cumulative square roots of their counts, and the spellings seen of each fold."""
        counts = collections.Counter()
        for name in self.source_names:
            if name == "foreign":
                continue
            for _ in range(min(4000, 4 * len(self.sources[name]))):
                for paragraph in self.run(rng, name, 6):
                    for sentence in paragraph:
                        counts.update(words(sentence.lower()))
        common = [w for w, n in counts.items() if n >= 4 and 2 < len(w) < 18 and w.isalpha() and w not in STOPWORDS]
        variants = collections.defaultdict(list)
        for w in common:
            if w.isascii():
                variants[fold(w)].append(w)
        frequencies = list(itertools.accumulate(counts[w] ** 0.5 for w in common))
        return common, frequencies, {k: v for k, v in variants.items() if len(v) > 1}

    def word(self, rng):
        return self.vocabulary[bisect.bisect(self.frequencies, rng.random() * self.frequencies[-1])]

    def run(self, rng, name, length):
        """`length` consecutive paragraphs (lists of sentences) of one document."""
        docs, cumulative = self.sources[name], self.cumulative[name]
        doc = docs[bisect.bisect(cumulative, rng.random() * cumulative[-1])]
        start = rng.randrange(max(1, len(doc) - length // 2))
        return doc[start:start + length]

    def source(self, rng):
        return rng.choices(self.source_names, self.source_weights)[0]


def _visible_sentences(paragraph):
    """Parts running text anew, so that every sentence has an end that a reader can see.

    List items and fragments without a full stop become part of the sentence that follows them; facts stay as they are.
    """
    result = []
    for is_fact, group in itertools.groupby(paragraph, key=lambda item: item[1] >= 0):
        group = list(group)
        if is_fact:
            result += group
        else:
            result += [(s, -1, group[0][2]) for s in split_sentences(" ".join(text for text, _, _ in group))]
    return result


class Document:
    """Numbered paragraphs, an index over folded words, and the facts that templates put in."""

    def __init__(self, library, rng, kind, budget, first_number, new_templates=False):
        self.library, self.rng, self.kind = library, rng, kind
        self.entities = templates.Entities(rng)
        self.units, self.facts, self.withheld = [], [], []
        self.first_number = first_number
        self.tokens = []
        self.num_paragraphs = 0
        self.pool = library.templates_heldout if new_templates else library.templates
        if rng.random() < 0.5:  # documents about few things are full of near-duplicates
            self.pool = rng.sample(self.pool, min(len(self.pool), rng.randint(2, 12)))
        self._encode = library.tokenizer.encode_text
        self._newline = self._encode("\n")
        self._marker = [library.tokenizer.marker]
        streams = {"real": [self._real], "template": [self._template], "random": [self._random], "scripts": [self._scripts],
                   "mixed": [self._real, self._real, self._template, self._random, self._scripts]}[kind]
        while len(self.tokens) < budget:
            for paragraph in rng.choice(streams)():
                if len(self.tokens) >= budget:
                    break
                self._append(paragraph, budget)
        self._index()

    # Paragraph streams: lists of paragraphs, a paragraph being a list of (text, fact, kind).

    def _real(self):
        rng, lib = self.rng, self.library
        if rng.random() < 0.75:
            name = lib.source(rng)
            paragraphs = lib.run(rng, name, rng.randint(3, 30) if rng.random() < 0.7 else 200)
        else:
            paragraphs = [lib.run(rng, lib.source(rng), 1)[0] for _ in range(rng.randint(2, 8))]
        title = " ".join(paragraphs[0])[:60]
        result = []
        for sentences in paragraphs:
            if rng.random() < 0.25 and len(sentences) == 1 and len(sentences[0].split()) < 12 and result and len(result[-1]) < 6:
                result[-1].append((sentences[0], -1, "real"))  # list items run together, as extraction often leaves them
                continue
            if rng.random() < 0.03:
                sentences = [self._hyphenate(s) for s in sentences]
            result.append([(s, -1, "real") for s in sentences[:rng.randint(3, 12)]])
            if rng.random() < 0.02:
                result.append([(f"{rng.choice(['Page', 'page', title])} {rng.randint(1, 400)}", -1, "real")])
        for paragraph in list(result):
            text, _, _ = paragraph[rng.randrange(len(paragraph))]
            if rng.random() < 0.08 and len(text.split()) > 6:
                twin = self._rewrite(text)
                target = rng.choice(result)
                target.insert(rng.randint(0, len(target)), (twin, -1, "real"))
        return result

    def _hyphenate(self, sentence):
        parts = sentence.split(" ")
        at = self.rng.randrange(len(parts))
        if len(parts[at]) > 6 and parts[at].isalpha():
            cut = self.rng.randint(2, len(parts[at]) - 2)
            parts[at] = parts[at][:cut] + "- " + parts[at][cut:]
        return " ".join(parts)

    def _rewrite(self, sentence):
        """A near-duplicate: one to four words replaced."""
        parts = sentence.split(" ")
        for _ in range(self.rng.randint(1, 4)):
            parts[self.rng.randrange(len(parts))] = self.library.word(self.rng)
        return " ".join(parts)

    def _fact(self, keep=None, template=None):
        template = template or self.rng.choice(self.pool)
        fact = template.instantiate(self.rng, self.entities, keep)
        self.facts.append(fact)
        return [(s, len(self.facts) - 1, "template") for s in fact.sentences]

    def _template(self):
        rng, result = self.rng, []
        for _ in range(rng.randint(1, 4)):
            paragraph = []
            for _ in range(rng.choice([1, 1, 2, 3, 4, 5, 6])):
                if self.facts and rng.random() < 0.3:  # distractor: an earlier fact with some values kept
                    old = rng.choice(self.facts[-40:])
                    slots = rng.sample(old.template.slots, rng.randint(1, max(1, len(old.template.slots) - 1)))
                    paragraph += self._fact({s: old.values[s] for s in slots}, old.template)
                else:
                    paragraph += self._fact()
                if not paragraph[-1][0].endswith("."):  # log lines stand alone
                    result.append([paragraph.pop()])
                elif rng.random() < 0.05:
                    paragraph.append((self._phrase("words"), -1, "random"))
            result.append(paragraph)
            if rng.random() < 0.06:
                result.append([(rng.choice(["Section {}", "{} Overview", "{}. General", "Chapter {}"]).format(rng.randint(1, 40)), -1, "template")])
        return result

    def _word(self, style):
        rng = self.rng
        if style == "words":
            return self.library.word(rng)
        if style == "pseudo":
            return templates.syllables(rng, 1, 3)
        if style == "codes":
            return self.entities.value("code") if rng.random() < 0.6 else self.entities.number()
        low, high = style
        return "".join(chr(rng.randint(low, high)) for _ in range(rng.randint(2, 8)))

    def _phrase(self, style, low=5, high=16):
        """A sentence of random words."""
        rng = self.rng
        mixed = rng.random() < 0.3 and isinstance(style, str)
        parts = [self._word(rng.choice(["words", "pseudo", "codes"]) if mixed else style) for _ in range(rng.randint(low, high))]
        if len(parts) > 8 and rng.random() < 0.3:
            parts[len(parts) // 2] += rng.choice([",", ";", ":"])
        text = " ".join(parts)
        return text[:1].upper() + text[1:] + rng.choice([".", ".", ".", ".", "", "!", "?"])

    def _random(self):
        rng = self.rng
        style = rng.choice(["words", "words", "pseudo", "codes"])
        result = [[(self._phrase(style), -1, "random") for _ in range(rng.choice([1, 1, 2, 3, 4, 5]))] for _ in range(rng.randint(1, 6))]
        if rng.random() < 0.3:
            text = rng.choice(rng.choice(result))[0]
            rng.choice(result).append((self._rewrite(text), -1, "random"))
        return result

    def _scripts(self):
        rng, result = self.rng, []
        style = rng.choice(_SCRIPTS)
        for _ in range(rng.randint(1, 4)):
            paragraph = []
            for _ in range(rng.randint(1, 3)):
                text = self._phrase(style if rng.random() < 0.8 else "words", 3, 5 if style[0] > 0x0800 else 8)
                if style[0] >= 0x3041 and style[0] < 0xAC00 and rng.random() < 0.7:
                    text = text.replace(" ", "").rstrip(".") + "。"
                paragraph.append((text, -1, "scripts"))
            result.append(paragraph)
        return result

    def _append(self, paragraph, budget):
        """Adds one paragraph; drops a few sentences on purpose, which later make unanswerable questions."""
        rng = self.rng
        kept = []
        for text, fact, kind in paragraph:
            if fact < 0 and rng.random() < 0.03 and len(paragraph) > 1:
                self.withheld.append((text, kind))
            else:
                kept.append((text, fact, kind))
        kept = _visible_sentences(kept)
        size, at = 0, len(self.tokens)
        number = self._encode(str(self.first_number + self.num_paragraphs))
        tokens = self._marker + number
        for text, fact, kind in kept:
            size += len(text) + 1
            if size > 1200 and tokens[len(number) + 1:]:
                break
            ids = self._encode(" " + text)
            self.units.append(Unit(text, ids, fact, kind, self.num_paragraphs))
            tokens = tokens + ids
        if len(tokens) == 1 + len(number):
            return
        self.tokens += tokens + self._newline
        self.num_paragraphs += 1
        assert at < len(self.tokens)

    def _index(self):
        self.postings = collections.defaultdict(set)
        present = collections.Counter()
        for i, unit in enumerate(self.units):
            unit.folds = frozenset(fold(w) for w in words(unit.text))
            for key in unit.folds:
                self.postings[key].add(i)
            if unit.fact >= 0:
                present[unit.fact] += 1
        # A fact cut by the paragraph's end cannot be asked for.
        self.spans = {}
        for i, unit in enumerate(self.units):
            if unit.fact >= 0 and present[unit.fact] == len(self.facts[unit.fact].sentences):
                first, _ = self.spans.get(unit.fact, (i, i))
                self.spans[unit.fact] = (first, i)
        self.keys = collections.Counter(key for f in self.spans for key in self.facts[f].template.keys_of(self.facts[f].values))
        # Keys of facts partly in the document are not answerable, but not absent either.
        self.touched = {key for f in present for key in self.facts[f].template.keys_of(self.facts[f].values)}

    def holders(self, keys):
        """Units that hold every one of the folded words."""
        sets = sorted((self.postings.get(k, set()) for k in keys), key=len)
        return set.intersection(*sets) if sets else set()

    def overlap(self, keys):
        """Largest share of `keys` found in two neighbouring units."""
        hits = collections.Counter()
        for k in keys:
            near = set()
            for i in self.postings.get(k, ()):
                near.update((i, i + 1))
            hits.update(near)
        return max(hits.values(), default=0) / len(keys)


class Asker:
    """Questions over one document."""

    def __init__(self, document, heldout_wordings=False):
        self.doc, self.rng, self.lib = document, document.rng, document.library
        self.heldout = heldout_wordings
        self.candidates = [i for i, u in enumerate(document.units)
                           if u.fact < 0 and len(u.ids) <= 120 and (len(u.text.split()) >= 4 or (u.kind == "scripts" and len(u.ids) > 6))]

    def _surface(self, word):
        """The word as someone else might write it: other case, other inflection, a synonym."""
        rng = self.rng
        lowered = word.lower()
        key = fold(word)
        roll = rng.random()
        if roll < 0.12 and key in SYNONYM_SETS:
            return rng.choice(SYNONYM_SETS[key])
        if roll < 0.30 and key in self.lib.variants and word.isalpha():
            return rng.choice(self.lib.variants[key])
        return lowered if roll < 0.62 and not any(c.isdigit() for c in word) else word

    def _pick_words(self, text, count):
        """`count` content words, rarer in the document preferred, in text order."""
        pool = content_words(text)
        if len(pool) < count:
            return None
        weights = [1.0 / (len(self.doc.postings.get(fold(w), ())) + 0.5) ** 0.7 for w in pool]
        chosen = set()
        while len(chosen) < count:
            chosen.add(self.rng.choices(range(len(pool)), weights)[0])
        return [pool[i] for i in sorted(chosen)]

    def _phrase(self, chosen):
        rng = self.rng
        chosen = [self._surface(w) for w in chosen]
        if rng.random() < 0.25:
            rng.shuffle(chosen)
        style = rng.random()
        if len(chosen) > 1 and style < 0.45:
            return ", ".join(chosen[:-1]) + " and " + chosen[-1] if style < 0.3 else " and ".join(chosen)
        if len(chosen) == 2 and style < 0.65:
            return rng.choice(["the {} of the {}", "{} in {}", "{} for {}", "{} with the {}", "{} of {}", "the {} and {}"]).format(*chosen)
        return " ".join(chosen)

    def _wording(self, options, phrase):
        text = self.rng.choice(options).replace("{k}", phrase)
        roll = self.rng.random()
        if roll < 0.08:
            text = text.rstrip("?.").lower()
        elif roll < 0.85:
            text = text[:1].upper() + text[1:]
        return text

    def _keyword_options(self):
        return wordings.KEYWORD_HELDOUT if self.heldout else wordings.KEYWORD

    def keyword(self, unit_index):
        """Key words of one unit that no other unit holds together."""
        unit, rng = self.doc.units[unit_index], self.rng
        for count in rng.choice([(1, 2, 3), (2, 3, 4), (2, 3), (3, 4), (2, 4)]):
            chosen = self._pick_words(unit.text, count)
            if chosen is None:
                return None
            if self.doc.holders({fold(w) for w in chosen}) == {unit_index}:
                if count >= 3 and rng.random() < 0.08:  # a word of the asker's own
                    stranger = self.lib.word(rng)
                    if fold(stranger) not in self.doc.postings:
                        chosen.insert(rng.randrange(count + 1), stranger)
                return Question(self._wording(self._keyword_options(), self._phrase(chosen)), unit_index, unit_index, unit.kind, "keyword")
        return None

    def _unique_phrase(self, phrase, unit_index):
        keys = {fold(w) for w in content_words(phrase)}
        return bool(keys) and self.doc.holders(keys) == {unit_index}

    def cloze(self, unit_index):
        unit, rng = self.doc.units[unit_index], self.rng
        parts = unit.text.split(" ")
        length = rng.randint(2, min(9, max(2, len(parts) - 1)))
        start = 0 if rng.random() < 0.4 else rng.randrange(max(1, len(parts) - length + 1))
        phrase = " ".join(parts[start:start + length]).strip(".,;:!?")
        if not self._unique_phrase(phrase, unit_index):
            return None
        return Question(self._wording(wordings.CLOZE, phrase), unit_index, unit_index, unit.kind, "cloze")

    _IF = re.compile(r"^(?:If|When|Whenever|Where|Should|Unless) (.{8,90}?),|\b(?:if|when|unless) (.{8,90}?)[,.;]")
    _TO = re.compile(r"^To ([a-z].{6,80}?),|\b(?:used|able|order|want|wish|need|necessary|possible) to ([a-z].{6,80}?)[,.;(]")
    _IS = re.compile(r"^((?:The |A |An |This )?[\w' -]{3,50}?) (?:is|are|was|were|means|refers to|describes|specifies|contains|defines) ")
    _MODAL = re.compile(r"^([\w', -]{3,60}?) (must|shall|should|can|may|will|cannot|must not|does not|do not) (.{6,70}?)[,.;(]")
    _WHY = re.compile(r"^(.{8,80}?),? (?:because|since|due to|so that|in order to) ")

    def natural(self, unit_index):
        """An everyday question made from the sentence's own grammar, where it has a shape we know."""
        unit, rng = self.doc.units[unit_index], self.rng
        text = unit.text
        options = []
        if m := self._IF.search(text):
            options.append((wordings.CONDITION, m.group(1) or m.group(2)))
        if m := self._TO.search(text):
            options.append((wordings.PURPOSE, m.group(1) or m.group(2)))
        if m := self._IS.search(text):
            subject = m.group(1)
            options.append((wordings.DEFINITION, subject[:1].lower() + subject[1:] if subject[1:2].islower() else subject))
        if m := self._WHY.search(text):
            options.append((wordings.WHY, m.group(1)[:1].lower() + m.group(1)[1:]))
        if m := self._MODAL.search(text):
            s, modal, rest = m.groups()
            s = s[:1].lower() + s[1:] if s[1:2].islower() else s
            pattern = rng.choice(wordings.MODAL)
            asked = pattern.replace("{m}", modal).replace("{s}", s).replace("{r}", rest).replace("{k}", f"{s} {rest}")
            options.append(([asked], f"{s} {rest}" if "{k}" in pattern or "{r}" in pattern else s))
        if not options:
            return None
        form, phrase = rng.choice(options)
        parts = phrase.split(" ")
        if len(parts) > 5 and rng.random() < 0.4 and form is not options[-1][0]:
            phrase = " ".join(parts[:rng.randint(4, len(parts))])
        if not self._unique_phrase(phrase, unit_index):
            return None
        if rng.random() < 0.5 and "{k}" in form[0]:
            phrase = re.sub(r"[^\W_]+", lambda m: self._surface(m.group()) if m.group().lower() not in STOPWORDS else m.group(), phrase)
        return Question(self._wording(form, phrase), unit_index, unit_index, unit.kind, "natural")

    def template(self):
        """A question to a fact."""
        doc, rng = self.doc, self.rng
        if not doc.spans:
            return None
        fact_index = rng.choice(list(doc.spans))
        text, key = rng.choice(doc.facts[fact_index].questions)
        if doc.keys[key] != 1:
            return None
        first, last = doc.spans[fact_index]
        if last - first + 1 != len(doc.facts[fact_index].sentences):
            return None
        if rng.random() < 0.08:
            text = text.rstrip("?").lower()
        return Question(text, first, last, "template", "template")

    def several(self, unit_index):
        """Answers of more than one sentence."""
        doc, rng = self.doc, self.rng
        unit = doc.units[unit_index]
        form = rng.choice(["pair", "pair", "next", "paragraph"])
        following = unit_index + 1
        if following >= len(doc.units) or doc.units[following].paragraph != unit.paragraph:
            return None
        if form == "pair":
            a, b = self._pick_words(unit.text, rng.randint(1, 2)), self._pick_words(doc.units[following].text, rng.randint(1, 2))
            if not a or not b or doc.units[following].fact >= 0:
                return None
            keys_a, keys_b = {fold(w) for w in a}, {fold(w) for w in b}
            if doc.holders(keys_a) != {unit_index} or doc.holders(keys_b) != {following}:
                return None
            if keys_a & doc.units[following].folds or keys_b & unit.folds:
                return None
            text = self._wording(self._keyword_options(), self._phrase(a + b))
            return Question(text, unit_index, following, unit.kind, "several")
        chosen = self._pick_words(unit.text, rng.randint(1, 3))
        if not chosen or doc.holders({fold(w) for w in chosen}) != {unit_index}:
            return None
        if form == "next":
            return Question(self._wording(wordings.NEXT, self._phrase(chosen)), unit_index, following, unit.kind, "several")
        inside = [i for i in range(max(0, unit_index - 5), min(len(doc.units), unit_index + 6)) if doc.units[i].paragraph == unit.paragraph]
        if len(inside) > 4:
            return None
        return Question(self._wording(wordings.PARAGRAPH, self._phrase(chosen)), inside[0], inside[-1], unit.kind, "several")

    def unanswerable(self):
        """A question that nothing in the document answers; most share some words with it."""
        doc, rng, lib = self.doc, self.rng, self.lib
        forms = ["stranger", "apart"] + ["withheld"] * 2 * bool(doc.withheld) + ["fact"] * 3 * bool(doc.spans)
        if not self.candidates:
            forms = ["fact"] if doc.spans else ["stranger"]
        form = rng.choice(forms)
        if form == "fact":
            old = doc.facts[rng.choice(list(doc.spans))]
            slots = rng.sample(old.template.slots, rng.randint(1, max(1, len(old.template.slots) - 1)))
            if rng.random() < 0.2:
                fact = rng.choice(doc.pool).instantiate(rng, doc.entities)
            else:
                fact = old.template.instantiate(rng, doc.entities, {s: old.values[s] for s in slots})
            text, key = rng.choice(fact.questions)
            if key in doc.touched:
                return None
            return Question(text, None, None, "template", "unanswerable")
        kind = doc.kind if doc.kind != "mixed" else "real"
        count = rng.randint(2, 4)
        if form == "apart":
            picks = rng.sample(self.candidates, min(count, len(self.candidates)))
            chosen = [w for i in picks for w in (self._pick_words(doc.units[i].text, 1) or [])]
            kind = doc.units[picks[0]].kind
        else:
            if form == "withheld":
                text, kind = rng.choice(doc.withheld)
            elif doc.kind in ("random", "scripts"):
                text = doc._phrase(rng.choice(["words", "pseudo", "codes"]) if doc.kind == "random" else rng.choice(_SCRIPTS))
            else:
                text = " ".join(rng.choice(lib.run(rng, lib.source(rng), 1)[0]).split(" ")[:40])
            chosen = self._pick_words(text, min(count, max(1, len(content_words(text)))))
        keys = {fold(w) for w in chosen or []}
        if not keys or doc.overlap(keys) > 0.5:
            return None
        return Question(self._wording(self._keyword_options(), self._phrase(chosen)), None, None, kind, "unanswerable")

    def ask(self, unanswerable_share):
        """One question of a random form, or None where the draw did not work out."""
        rng, doc = self.rng, self.doc
        roll = rng.random()
        if roll < unanswerable_share:
            return self.unanswerable()
        if doc.spans and (not self.candidates or rng.random() < len(doc.spans) / (len(doc.spans) + len(self.candidates))):
            return self.template()
        if not self.candidates:
            return None
        unit_index = rng.choice(self.candidates)
        roll = rng.random()
        if roll < 0.09:
            return self.several(unit_index)
        if roll < 0.17:
            return self.cloze(unit_index)
        if roll < 0.45:
            # Few sentences have a shape that gives a natural question: look at several.
            for candidate in [unit_index, *rng.choices(self.candidates, k=7)]:
                if question := self.natural(candidate):
                    return question
        return self.keyword(unit_index)


class Sequence:
    """tokens [T], weights [T] (loss class of predicting each token: 0 text, 1 answer, 2 first answer tokens), positions [T]."""

    def __init__(self, tokens, weights, positions, answers, document):
        self.tokens, self.weights, self.positions, self.answers, self.document = tokens, weights, positions, answers, document


def make_sequence(library, rng, length, kind=None, jumps=True, heldout_wordings=0.0, unanswerable_share=0.17, new_templates=False,
                  question_share=None, only_kind=None):
    """A sequence of exactly `length` tokens, training settings by default.

    jumps: random gaps in the positions and a random first paragraph number. heldout_wordings: share of questions to text in
    evaluation wordings. only_kind: keep to questions about units of that kind.
    """
    tokenizer = library.tokenizer
    user, assistant = tokenizer.added["<|user|>"], tokenizer.added["<|assistant|>"]
    kind = kind or rng.choices(list(DOCUMENT_KINDS), list(DOCUMENT_KINDS.values()))[0]
    share = question_share or rng.uniform(0.18, 0.42)
    first = rng.randint(0, 1400) if jumps and rng.random() < 0.6 else 1
    document = Document(library, rng, kind, int(length * (1 - share)) - 8, first, new_templates)
    tokens = tokenizer.encode(PREFIX) + document.tokens
    weights, answers = [0] * len(tokens), []
    marker = tokenizer.marker
    not_stated = tokenizer.encode_text(NOT_STATED)
    failures, askers, asked = 0, [Asker(document), Asker(document, heldout_wordings=True)], set()
    while len(tokens) < length and failures < 400:
        question = askers[rng.random() < heldout_wordings].ask(unanswerable_share)
        if question is None or (only_kind and question.kind != only_kind) or question.text in asked or (
                question.first in asked and rng.random() < 0.85):
            failures += 1
            continue
        asked.update((question.text, question.first) if question.first is not None else (question.text,))
        tokens += [user, *tokenizer.encode_text(" " + question.text), assistant]
        weights += [0] * (len(tokens) - len(weights))
        if question.first is None:
            answer, marker_len, depth = not_stated, 0, 0.0
        else:
            units = document.units[question.first:question.last + 1]
            number = tokenizer.encode_text(str(document.first_number + units[0].paragraph))
            answer = [marker, *number, *(t for u in units for t in u.ids)]
            marker_len = 1 + len(number)
            depth = units[0].paragraph / max(1, document.num_paragraphs - 1)
        start = len(tokens)
        tokens += answer
        # The closing <|user|> belongs to the answer: it says where the quote ends.
        answers.append(Answer(start, len(tokens) + 1, marker_len, question.first is not None, question.kind, question.form, depth))
        weights += [2] * min(4, len(answer)) + [1] * (len(answer) - min(4, len(answer)))
        if question.first is None:
            weights[start] = 2
    tokens.append(user)
    weights.append(1)
    # After each answer, the next turn's <|user|> carries the answer's weight.
    for a in answers:
        if a.end - 1 < len(weights):
            weights[a.end - 1] = 1
    padding = length - len(tokens)
    if padding > 0:
        tokens += [tokenizer.added["<|endoftext|>"]] * padding
        weights += [-1] * padding
    positions = np.arange(length, dtype=np.int32)
    if jumps and rng.random() < 0.6:
        for _ in range(rng.randint(1, 4)):
            positions[rng.randrange(1, length):] += int(2 ** rng.uniform(4, 14))
    return Sequence(np.array(tokens[:length], dtype=np.int32), np.array(weights[:length], dtype=np.int8), positions,
                    [a for a in answers if a.end <= length], document)
