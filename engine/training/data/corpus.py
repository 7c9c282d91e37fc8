"""Merges corpus files into the one the generator reads: paragraphs parted into sentences, training and held-out text apart.

    python3 -m data.corpus --inputs a.jsonl.xz b.jsonl.xz --out corpus.jsonl.xz

Output lines: {"source", "lang", "heldout", "paragraphs": [["Sentence.", "Sentence."], ...]}.
"""

import argparse
import json
import lzma

from data.text import split_sentences


def read_lines(path):
    with lzma.open(path, "rt", encoding="utf-8") as f:
        for line in f:
            yield json.loads(line)


def merge(paths):
    """Unique paragraphs of all files; training paragraphs that share a long sentence with held-out text are dropped."""
    documents = [doc for path in paths for doc in read_lines(path)]
    documents.sort(key=lambda d: not d["heldout"])
    seen, heldout_sentences = set(), set()
    for doc in documents:
        kept = []
        for paragraph in doc["paragraphs"]:
            sentences = split_sentences(paragraph)
            long_ones = [s.lower() for s in sentences if len(s.split()) >= 6]
            if paragraph in seen or (not doc["heldout"] and any(s in heldout_sentences for s in long_ones)):
                continue
            seen.add(paragraph)
            if doc["heldout"]:
                heldout_sentences.update(long_ones)
            kept.append(sentences)
        if len(kept) >= 3:
            yield {"source": doc["source"], "lang": doc["lang"], "heldout": doc["heldout"], "paragraphs": kept}


def load(path):
    """All documents of a merged corpus file."""
    return list(read_lines(path))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--inputs", required=True, nargs="+")
    parser.add_argument("--out", required=True)
    args = parser.parse_args()
    counts = {}
    with lzma.open(args.out, "wt", preset=4, encoding="utf-8") as f:
        for doc in merge(args.inputs):
            f.write(json.dumps(doc, ensure_ascii=False) + "\n")
            key = ("heldout" if doc["heldout"] else "train") + ("" if doc["lang"] == "en" else " foreign")
            total = counts.setdefault(key, {"documents": 0, "paragraphs": 0, "sentences": 0, "characters": 0})
            total["documents"] += 1
            total["paragraphs"] += len(doc["paragraphs"])
            total["sentences"] += sum(map(len, doc["paragraphs"]))
            total["characters"] += sum(len(s) + 1 for p in doc["paragraphs"] for s in p)
    print(json.dumps(counts, indent=1))


if __name__ == "__main__":
    main()
