"""Makes the model folder from a run, and checks it in Hugging Face transformers.

    python3 convert.py --work DIR --out configs/models/lectern-small
    python3 convert.py --work DIR --out configs/models/lectern-small --check      needs transformers and tokenizers

The model card (README.md of the folder) is written by hand and left alone.
"""

import argparse
import json
import os
import shutil

import torch

import evaluate
import model as model_lib
from data import generator
from data.tokenizer import Tokenizer


def reliable_context(results, floor=70.0):
    """Longest context up to which at least `floor` percent of the questions to real text get the right paragraph; in tokens."""
    reliable = 0
    for length, cell in sorted(results["real text, unseen sources"].items(), key=lambda item: int(item[0])):
        if (cell["right_paragraph"] or 0.0) < floor:
            break
        reliable = int(length)
    return reliable


def write_folder(work, out):
    """config.json, model.safetensors, tokenizer, generation_config.json, lectern.json, evaluation.json, run.json."""
    os.makedirs(out, exist_ok=True)
    tokenizer = Tokenizer.load(os.path.join(work, "tokenizer.json"))
    with open(os.path.join(work, "export/run.json"), encoding="utf-8") as f:
        run = json.load(f)
    fields = dict(run["config"])
    fields["indexer_types"] = tuple(fields["indexer_types"])
    config = model_lib.Config(**fields)
    final = [e for e in run["evaluations"] if e["label"] == "final"]
    results = final[-1]["results"] if final else None

    def write(name, value, **style):
        with open(os.path.join(out, name), "w", encoding="utf-8") as f:
            json.dump(value, f, ensure_ascii=False, **(style or {"indent": 2}))
            f.write("\n")

    hf = model_lib.hf_config(config, tokenizer)
    write("config.json", hf)
    write("generation_config.json", {"do_sample": False, "eos_token_id": hf["eos_token_id"], "pad_token_id": hf["pad_token_id"],
                                     "max_new_tokens": 512})
    write("tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False,
                                    "model_max_length": config.max_position_embeddings, "eos_token": "<|user|>", "pad_token": "<|endoftext|>"})
    write("lectern.json", {
        "prompt_format": "lectern-small-v1", "reliable_context": reliable_context(results) if results else None,
        "trained_context": max(int(n) for s in run["plan"] for n in s["lengths"]),
        "prefix": generator.PREFIX, "paragraph": "¶{n} {text}\n", "turn": "<|user|> {question}<|assistant|>",
        "answer": "¶{n} {sentences}", "not_stated": generator.NOT_STATED, "stop": ["<|user|>", "<|endoftext|>"],
        "paragraph_marker": "¶", "paragraph_marker_token_id": tokenizer.marker, "paragraph_max_bytes": 1200,
    })
    if results:
        write("evaluation.json", results, indent=1)
    run["evaluations"] = [{**e, "results": {k: {n: [c["exact_quote"], c["right_paragraph"]] for n, c in cells.items()}
                                            for k, cells in e["results"].items()}} for e in run["evaluations"]]
    write("run.json", run, separators=(",", ":"))
    shutil.copy(os.path.join(work, "export/model.safetensors"), out)
    shutil.copy(os.path.join(work, "tokenizer.json"), out)
    size = sum(os.path.getsize(os.path.join(out, n)) for n in os.listdir(out))
    print(f"{out}: {size / 2**20:.2f} MiB, reliable_context {reliable_context(results) if results else None}")


def check(work, out):
    """Strict load, logits against our own model, arg-max on answer tokens, tokenizer ids, five greedy answers."""
    import transformers
    from tokenizers import Tokenizer as FastTokenizer
    device = "cuda" if torch.cuda.is_available() else "cpu"
    ours_tokenizer = Tokenizer.load(os.path.join(out, "tokenizer.json"))
    fast = FastTokenizer.from_file(os.path.join(out, "tokenizer.json"))
    sets = evaluate.load(os.path.join(work, "eval.pkl"))
    texts = [ours_tokenizer.decode(t[:1500]) for (kind, length), items in sets.items() if length == 2048 for t, _ in items[:20]]
    different = sum(fast.encode(text, add_special_tokens=False).ids != ours_tokenizer.encode(text) for text in texts)
    whole = [tokens[:answers[-1].end].tolist() for items in sets.values() for tokens, answers in items[:5] if answers]
    exact = sum(ours_tokenizer.encode(ours_tokenizer.decode(tokens)) == tokens for tokens in whole)
    report = {"tokenizer_texts": len(texts), "tokenizer_different": different,
              "sequences_equal_to_their_text_encoded": f"{exact} of {len(whole)}"}

    model, info = transformers.GlmMoeDsaForCausalLM.from_pretrained(out, dtype=torch.bfloat16, output_loading_info=True)
    model = model.to(device).eval()
    report["loading"] = {k: sorted(v) for k, v in info.items() if v}
    with open(os.path.join(out, "config.json"), encoding="utf-8") as f:
        raw = json.load(f)
    known = {k: raw[k] for k in model_lib.Config.__dataclass_fields__ if k in raw}
    ours = model_lib.Model(model_lib.Config(**known)).to(device)
    model_lib.import_tensors(ours, model_lib.load_safetensors(os.path.join(out, "model.safetensors")))
    exact32 = transformers.GlmMoeDsaForCausalLM.from_pretrained(out, dtype=torch.float32).to(device).eval()
    for name, reference in (("bf16", model), ("fp32", exact32)):
        error, norm, same, total, same_all, total_all = 0.0, 0.0, 0, 0, 0, 0
        for (kind, length), items in sets.items():
            if length != 2048:
                continue
            for tokens, answers in items[:3]:
                ids = torch.from_numpy(tokens.astype("int64")).to(device)[None]
                with torch.no_grad():
                    theirs = reference(ids, use_cache=False).logits[0].float()
                    x, _ = ours.hidden(ids, torch.arange(length, device=device)[None], sparse=True)
                    mine = (model_lib.rms_norm(x, ours.norm.to(ours.dtype), 1e-6) @ ours.head.to(ours.dtype).T).float()
                error += (mine - theirs).square().sum().item()
                norm += theirs.square().sum().item()
                agree = (mine.argmax(-1) == theirs.argmax(-1))
                index = torch.cat([torch.arange(a.start - 1, a.end - 1) for a in answers]).to(device)
                same, total = same + agree[index].sum().item(), total + len(index)
                same_all, total_all = same_all + agree.sum().item(), total_all + length
        report[f"against transformers {name}"] = {
            "logit_difference": round((error / norm) ** 0.5, 5), "argmax_on_answer_tokens": f"{same} of {total}",
            "argmax_on_all_tokens": round(same_all / total_all, 5)}
    print(json.dumps(report, indent=1), flush=True)
    with open(os.path.join(out, "check.json"), "w", encoding="utf-8") as f:
        json.dump({"transformers": transformers.__version__, **report}, f, indent=1)

    for (kind, length), items in sets.items():
        if length != 2048:
            continue
        tokens, answers = items[-1]
        answer = next(a for a in answers if a.answerable)
        # The document alone and this one question, as a user would ask it.
        first = min(a.start for a in answers)
        user = ours_tokenizer.added["<|user|>"]
        turns = [i for i in range(length) if tokens[i] == user]
        question = tokens[max(t for t in turns if t < answer.start):answer.start]
        prompt = torch.tensor([*tokens[:max(t for t in turns if t < first)], *question], device=device)[None].long()
        with torch.no_grad():
            out_ids = model.generate(prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=100, do_sample=False)
        print(f"[{kind}] {ours_tokenizer.decode(question)}\n  generated: {ours_tokenizer.decode(out_ids[0, prompt.shape[1]:])}\n"
              f"  reference: {ours_tokenizer.decode(tokens[answer.start:answer.end])}", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--work", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    if args.check:
        check(args.work, args.out)
    else:
        write_folder(args.work, args.out)


if __name__ == "__main__":
    main()
