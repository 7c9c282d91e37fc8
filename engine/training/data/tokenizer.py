"""Byte-level BPE with the GLM split pattern: trainer, encoder and the tokenizer.json both make.

Written in plain Python so that the recipe needs no tokenizer package; the file loads in Hugging Face tokenizers and gives
equal ids there (`convert.py` checks it). Numbers 0..999 are single tokens, because paragraph numbers are the address that
the model copies. No token holds a line break beside another character: paragraph text never has one, so "end.\n" is always
the tokens of "end." and then "\n", as inside an answer.

    python3 -m data.tokenizer --corpus corpus.jsonl.xz --out tokenizer.json
"""

import argparse
import collections
import heapq
import json
import random
import re
import sys
import unicodedata

from data import corpus as corpus_lib

VOCAB_SIZE = 6144
ADDED = ["<|endoftext|>", "[gMASK]", "<sop>", "<|system|>", "<|user|>", "<|assistant|>"]
# The paragraph marker "¶" (bytes C2 B6) is an ordinary token, spelled thus in the byte alphabet. As an added token its name
# would collide with the alphabet's own "¶", which is byte B6.
MARKER = "Â¶"
PATTERN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")


def _category_class(initial):
    """Body of a character class with all code points whose Unicode category starts with `initial`."""
    ranges, start = [], None
    for cp in range(sys.maxunicode + 2):
        inside = cp <= sys.maxunicode and unicodedata.category(chr(cp))[0] == initial
        if inside and start is None:
            start = cp
        elif not inside and start is not None:
            ranges.append(f"\\U{start:08x}" + (f"-\\U{cp - 1:08x}" if cp - 1 > start else ""))
            start = None
    return "".join(ranges)


def compile_pattern():
    """The GLM split pattern for Python's re, which lacks \\p classes."""
    letters, numbers = _category_class("L"), _category_class("N")
    body = PATTERN.replace(r"[^\r\n\p{L}\p{N}]", f"[^\\r\\n{letters}{numbers}]")
    body = body.replace(r"[^\s\p{L}\p{N}]", f"[^\\s{letters}{numbers}]")
    return re.compile(body.replace(r"\p{L}", f"[{letters}]").replace(r"\p{N}", f"[{numbers}]"))


def byte_alphabet():
    """GPT-2's byte -> printable character table."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    table, extra = {b: chr(b) for b in printable}, 0
    for b in range(256):
        if b not in table:
            table[b] = chr(256 + extra)
            extra += 1
    return table


class Tokenizer:
    """Encoder of a tokenizer.json made here. Not thread-safe; cheap to share by fork."""

    def __init__(self, spec):
        self.spec = spec
        self.vocab = spec["model"]["vocab"]
        self.ranks = {tuple(pair): i for i, pair in enumerate(spec["model"]["merges"])}
        self.added = {t["content"]: t["id"] for t in spec["added_tokens"]}
        self.marker = self.vocab[MARKER]
        self._split_added = re.compile("(" + "|".join(re.escape(t) for t in self.added) + ")")
        self._pattern = compile_pattern()
        self._bytes = byte_alphabet()
        self._cache = {}
        self._names = {i: t for t, i in {**self.vocab, **self.added}.items()}
        self._unbytes = {c: b for b, c in self._bytes.items()}

    @classmethod
    def load(cls, path):
        with open(path, encoding="utf-8") as f:
            return cls(json.load(f))

    def _piece(self, piece):
        """Ids of one pre-token: repeatedly merges the pair of lowest rank, leftmost first."""
        parts = [self._bytes[b] for b in piece.encode("utf-8", "replace")]
        while len(parts) > 1:
            rank, at = min((self.ranks.get(pair, 1 << 30), i) for i, pair in enumerate(zip(parts, parts[1:])))
            if rank == 1 << 30:
                break
            parts[at:at + 2] = [parts[at] + parts[at + 1]]
        ids = [self.vocab[p] for p in parts]
        if len(self._cache) < 400_000:
            self._cache[piece] = ids
        return ids

    def encode_text(self, text):
        """Ids of text without added tokens."""
        ids, cache = [], self._cache
        for piece in self._pattern.findall(text):
            known = cache.get(piece)
            ids.extend(known if known is not None else self._piece(piece))
        return ids

    def encode(self, text):
        """Ids of text in which added tokens may occur."""
        ids = []
        for i, part in enumerate(self._split_added.split(text)):
            if i % 2:
                ids.append(self.added[part])
            elif part:
                ids.extend(self.encode_text(part))
        return ids

    def decode(self, ids):
        out, pending = [], bytearray()
        for i in ids:
            name = self._names[int(i)]
            if name in self.added:
                out.append(pending.decode("utf-8", "replace") + name)
                pending = bytearray()
            else:
                pending.extend(self._unbytes[c] for c in name)
        return "".join(out) + pending.decode("utf-8", "replace")


def _number_merges():
    """Merges that build every number 10..999, whichever pair of digits comes first."""
    merges = [(a, b) for a in "123456789" for b in "0123456789"]
    for n in range(100, 1000):
        s = str(n)
        merges.append((s[:2], s[2]))
        if s[1] != "0":
            merges.append((s[0], s[1:]))
    return merges


def _learn_merges(counts, num_merges):
    """Ordinary BPE over word counts (word = tuple of symbols); stable order: count, then the pair itself."""
    words = [list(w) for w in counts]
    freq = list(counts.values())
    pairs, where = collections.Counter(), collections.defaultdict(set)
    for i, word in enumerate(words):
        for pair in zip(word, word[1:]):
            pairs[pair] += freq[i]
            where[pair].add(i)
    heap = [(-c, p) for p, c in pairs.items()]
    heapq.heapify(heap)
    merges = []
    while len(merges) < num_merges and heap:
        count, pair = heapq.heappop(heap)
        if pairs.get(pair, 0) != -count:
            if pairs.get(pair, 0) > 0:
                heapq.heappush(heap, (-pairs[pair], pair))
            continue
        merges.append(pair)
        changed = set()
        for i in where.pop(pair):
            word, f = words[i], freq[i]
            for old in zip(word, word[1:]):
                pairs[old] -= f
            merged, j = [], 0
            while j < len(word):
                if j + 1 < len(word) and (word[j], word[j + 1]) == pair:
                    merged.append(word[j] + word[j + 1])
                    j += 2
                else:
                    merged.append(word[j])
                    j += 1
            words[i] = merged
            for new in zip(merged, merged[1:]):
                pairs[new] += f
                where[new].add(i)
                changed.add(new)
        del pairs[pair]
        for new in changed:
            heapq.heappush(heap, (-pairs[new], new))
    return merges


def train(texts, vocab_size=VOCAB_SIZE):
    """Learns a tokenizer.json (as a dict) from an iterable of texts without line breaks."""
    pattern, table = compile_pattern(), byte_alphabet()
    raw = collections.Counter()
    for text in texts:
        raw.update(pattern.findall(text))
    counts = collections.Counter()
    for piece, n in raw.items():
        if n >= 2 and len(piece) <= 40 and not re.search(r"[\d\r\n]", piece):
            counts[tuple(table[b] for b in piece.encode("utf-8", "replace"))] += n
    fixed = [tuple(MARKER), *_number_merges()]
    fixed_tokens = list(dict.fromkeys(a + b for a, b in fixed))
    learned = _learn_merges(counts, vocab_size - 256 - len(fixed_tokens) - len(ADDED))
    tokens = [*(table[b] for b in range(256)), *fixed_tokens, *dict.fromkeys(a + b for a, b in learned)]
    tokens += [f"<|unused_{i}|>" for i in range(vocab_size - len(ADDED) - len(tokens))]
    assert len(tokens) + len(ADDED) == vocab_size and len(set(tokens)) == len(tokens)
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    return {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [{"id": len(tokens) + i, "content": t, "single_word": False, "lstrip": False, "rstrip": False,
                          "normalized": False, "special": True} for i, t in enumerate(ADDED)],
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": PATTERN}, "behavior": "Isolated", "invert": False}, byte_level]},
        "post_processor": None,
        "decoder": byte_level,
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                  "vocab": {t: i for i, t in enumerate(tokens)}, "merges": [list(m) for m in fixed + learned]},
    }


def training_texts(documents, megabytes, seed=0):
    """A sample of training paragraphs, other languages at half weight, plus template sentences and questions."""
    from data import templates
    rng = random.Random(seed)
    paragraphs = [" ".join(p) for d in documents if not d["heldout"] for p in d["paragraphs"]
                  if d["lang"] == "en" or rng.random() < 0.5]
    rng.shuffle(paragraphs)
    size = 0
    for p in paragraphs:
        size += len(p)
        if size > megabytes * 1e6:
            break
        yield p
    entities = templates.Entities(rng)
    library = templates.load("templates.txt")
    for _ in range(int(megabytes * 1200)):
        fact = rng.choice(library).instantiate(rng, entities)
        yield " ".join(fact.sentences)
        yield " " + rng.choice(fact.questions)[0]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--corpus", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--megabytes", type=float, default=20)
    parser.add_argument("--vocab", type=int, default=VOCAB_SIZE)
    args = parser.parse_args()
    documents = corpus_lib.load(args.corpus)
    spec = train(training_texts(documents, args.megabytes), args.vocab)
    with open(args.out, "w", encoding="utf-8") as f:
        json.dump(spec, f, ensure_ascii=False, separators=(",", ":"))
    tokenizer = Tokenizer(spec)
    sample = [" ".join(p) for d in documents if d["heldout"] and d["lang"] == "en" for p in d["paragraphs"]][:4000]
    ids = [tokenizer.encode(p) for p in sample]
    assert all(tokenizer.decode(i) == p for i, p in zip(ids, sample))
    assert all(len(tokenizer.encode_text(str(n))) == 1 for n in range(1000))
    assert tokenizer.encode("end.\n¶12 A")[-4:-1] == [*tokenizer.encode_text("\n"), tokenizer.marker, tokenizer.vocab["12"]]
    print(f"held-out characters per token: {sum(map(len, sample)) / sum(map(len, ids)):.2f}")


if __name__ == "__main__":
    main()
