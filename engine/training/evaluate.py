"""Held-out evaluation: exact quote, right paragraph and unanswerable questions, by kind of text and context length.

Teacher-forced: an answer counts as an exact quote if every token of marker, sentences and closing <|user|> is the arg-max
given the reference before it, which is the same as greedy decoding giving the reference. Earlier questions of a sequence have
reference answers. Held-out text comes from sources never trained on; half of the questions to it use wordings never trained.
"""

import argparse
import collections
import json
import multiprocessing
import pickle
import os
import random

import numpy as np
import torch

from data import generator

KINDS = {  # name -> make_sequence arguments; "heldout": which library
    "real text, unseen sources": dict(heldout=True, kind="real", only_kind="real", heldout_wordings=0.5),
    "new templates and wordings": dict(heldout=True, kind="template", only_kind="template", new_templates=True),
    "trained templates, fresh entities": dict(heldout=False, kind="template", only_kind="template"),
    "random words and codes": dict(heldout=False, kind="random", only_kind="random"),
    "other scripts": dict(heldout=True, kind="scripts", only_kind="scripts", heldout_wordings=0.5),
}
QUESTION_SHARE = {256: 0.4, 512: 0.4, 1024: 0.35, 2048: 0.35, 4096: 0.25, 8192: 0.2, 16384: 0.12, 32768: 0.1, 65536: 0.06}


def _make(job):
    name, length, seed = job
    options = dict(KINDS[name])
    library = _libraries[options.pop("heldout")]
    s = generator.make_sequence(library, random.Random(seed), length, jumps=False, question_share=QUESTION_SHARE[length], **options)
    return name, length, s.tokens.astype(np.uint16), s.answers


def build(libraries, counts, path, seed=12345, processes=4):
    """Writes evaluation sequences. libraries: {heldout?: Library}; counts: {length: sequences per kind}."""
    global _libraries
    _libraries = libraries
    jobs = [(name, length, seed + 100_000 * k + 1000 * length + i) for k, name in enumerate(KINDS)
            for length, count in counts.items() for i in range(count)]
    sets = collections.defaultdict(list)
    with multiprocessing.get_context("fork").Pool(processes) as pool:
        for name, length, tokens, answers in pool.imap(_make, jobs, chunksize=4):
            sets[name, length].append((tokens, answers))
    with open(path + ".part", "wb") as f:
        pickle.dump(dict(sets), f)
    os.replace(path + ".part", path)


def load(path):
    with open(path, "rb") as f:
        return pickle.load(f)


@torch.no_grad()
def run(model, sets, sparse, tokens_per_batch, limit=None):
    """{kind: {length: metrics}}. limit: at most so many batches a cell."""
    device = model.embed.device
    results = collections.defaultdict(dict)
    for (name, length), sequences in sets.items():
        per_batch = max(1, tokens_per_batch // length)
        counts = collections.Counter()
        batches = [sequences[i:i + per_batch] for i in range(0, len(sequences), per_batch)]
        for batch in batches[:limit]:
            real = len(batch)
            batch = batch + [batch[-1]] * (per_batch - real)  # one shape for the compiled parts
            tokens = torch.from_numpy(np.stack([t for t, _ in batch]).astype(np.int64)).to(device)
            positions = torch.arange(length, device=device).expand(len(batch), -1)
            spans = [(b, a) for b in range(real) for a in batch[b][1]]
            index = np.concatenate([np.arange(a.start - 1, a.end - 1) + b * length for b, a in spans])
            index = torch.from_numpy(index).to(device)
            right = (model.predict(tokens, positions, index, sparse) == tokens.flatten()[index + 1]).cpu().numpy()
            at = 0
            for _, a in spans:
                hits = right[at:at + a.end - a.start]
                at += a.end - a.start
                _score(counts, a, hits)
        results[name][length] = _summary(counts)
    return {name: dict(cells) for name, cells in results.items()}


def _score(counts, answer, hits):
    """Adds one answer. The first token alone says whether the model answers: marker or NOT_STATED."""
    if not answer.answerable:
        counts["unanswerable"] += 1
        counts["said not stated, rightly"] += bool(hits[0])
        return
    counts["answerable"] += 1
    counts["said not stated, wrongly"] += not hits[0]
    quote = bool(hits.all())
    counts["quote"] += quote
    counts["paragraph"] += bool(hits[:answer.marker_len].all())
    counts["form", answer.form] += 1
    counts["form quote", answer.form] += quote
    third = min(2, int(answer.depth * 3))
    counts["depth", third] += 1
    counts["depth quote", third] += quote


def _summary(counts):
    share = lambda part, whole: round(100 * counts[part] / counts[whole], 1) if counts[whole] else None
    said = counts["said not stated, rightly"] + counts["said not stated, wrongly"]
    return {
        "questions": counts["answerable"], "exact_quote": share("quote", "answerable"), "right_paragraph": share("paragraph", "answerable"),
        "unanswerable": counts["unanswerable"],
        "unanswerable_precision": round(100 * counts["said not stated, rightly"] / said, 1) if said else None,
        "unanswerable_recall": share("said not stated, rightly", "unanswerable"),
        "said_not_stated": said,
        "by_form": {k[1]: [counts[k], share(("form quote", k[1]), k)] for k in list(counts) if k[0] == "form"},
        "by_third_of_document": [share(("depth quote", d), ("depth", d)) for d in range(3)],
    }


def table(results):
    """The results as Markdown."""
    lengths = sorted({n for cells in results.values() for n in cells})
    name_of = lambda n: f"{n // 1024}K" if n >= 1024 else str(n)
    lines = ["| exact quote / right paragraph (questions) | " + " | ".join(map(name_of, lengths)) + " |", "|---|" + "---|" * len(lengths)]
    for name, cells in results.items():
        row = [f"{c['exact_quote']} / {c['right_paragraph']} ({c['questions']})" if (c := cells.get(n)) else "–" for n in lengths]
        lines.append(f"| {name} | " + " | ".join(row) + " |")
    lines += ["", "| unanswerable: precision / recall (questions) | " + " | ".join(map(name_of, lengths)) + " |", "|---|" + "---|" * len(lengths)]
    for name, cells in results.items():
        row = [f"{c['unanswerable_precision']} / {c['unanswerable_recall']} ({c['unanswerable']})" if (c := cells.get(n)) else "–"
               for n in lengths]
        lines.append(f"| {name} | " + " | ".join(row) + " |")
    return "\n".join(lines)


def main():
    import model as model_lib
    from data.tokenizer import Tokenizer
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True, help="a safetensors file of this recipe")
    parser.add_argument("--sets", required=True)
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--dense", action="store_true", help="attention over all positions")
    parser.add_argument("--out")
    args = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = model_lib.Model(model_lib.Config(vocab_size=len(Tokenizer.load(args.tokenizer).vocab) + 6)).to(device)
    model_lib.import_tensors(model, model_lib.load_safetensors(args.model))
    results = run(model, load(args.sets), not args.dense, 65536)
    print(table(results))
    if args.out:
        with open(args.out, "w", encoding="utf-8") as f:
            json.dump(results, f, indent=1)


if __name__ == "__main__":
    main()
