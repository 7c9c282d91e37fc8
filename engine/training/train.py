"""Trains the default model: dense base, long contexts, indexer warm-up, sparse training. Resumable in legs.

    python3 train.py --work DIR [--leg-minutes 9]      run again with the same arguments to continue
    python3 train.py --work DIR --smoke                every stage at toy size, about a minute on a CPU

DIR receives the corpus and the tokenizer (made if absent), the evaluation sequences, `state.pt` (everything needed to go on
exactly), `export/` (model.safetensors in bf16, run.json: configuration, minutes, curve, evaluations) after every stage, every
two minutes and at the end of a leg.
"""

import argparse
import contextlib
import dataclasses
import gc
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time

import torch

import evaluate
import model as model_lib
import optim
from data import corpus as corpus_lib
from data import generator
from data.feeder import Feeder
from data.tokenizer import Tokenizer

HERE = os.path.dirname(os.path.abspath(__file__))
TEXT_WEIGHT_START, TEXT_WEIGHT_END = 0.1, 0.03  # loss weight of document and question tokens, over the whole run
FIRST_TOKENS_WEIGHT = 2.0  # marker, paragraph number and first token choose the answer; the rest is copying
LOSS_SHARE = 3 / 8  # of the positions get logits: all answers, the rest at random


@dataclasses.dataclass
class Stage:
    """kind: dense, warmup (indexers alone) or sparse. lengths: {tokens: share}. lr: (start, end) of the peak rates."""
    name: str
    kind: str
    minutes: float
    lengths: dict
    lr: tuple = (1.0, 1.0)
    index_lr: tuple = (1.0, 1.0)
    rows: int = 0  # query rows a sequence at which the indexers learn


def default_plan(scale=1.0):
    """About 30 minutes on one H200.

    The learning rate comes down before attention becomes sparse: the shipped model went sparse at 0.8 of the peak rates and
    first lost 2 points of answer accuracy to it (run.json beside the model).
    """
    mixed = {1024: 0.04, 2048: 0.2, 4096: 0.16, 8192: 0.3, 16384: 0.2, 32768: 0.1}
    return [
        Stage("base-512", "dense", 0.6 * scale, {512: 1}),
        Stage("base-1k", "dense", 0.7 * scale, {1024: 1}),
        Stage("base-2k", "dense", 4.2 * scale, {2048: 0.9, 1024: 0.1}),
        Stage("base-4k", "dense", 3.0 * scale, {4096: 0.6, 2048: 0.4}),
        Stage("base-8k", "dense", 4.5 * scale, {8192: 0.5, 4096: 0.25, 2048: 0.25}),
        Stage("long", "dense", 3.0 * scale, mixed, lr=(1.0, 1.0)),
        Stage("long-decay", "dense", 6.0 * scale, mixed, lr=(1.0, 0.1)),
        Stage("warm-up", "warmup", 1.5 * scale, mixed, index_lr=(1.0, 0.5), rows=128),
        Stage("sparse", "sparse", 6.5 * scale, mixed, lr=(0.15, 0.0), index_lr=(0.25, 0.02), rows=64),
    ]


def smoke_plan():
    seconds = 1 / 60
    return [Stage("base", "dense", 12 * seconds, {256: 1}), Stage("warm-up", "warmup", 4 * seconds, {256: 1}, rows=16),
            Stage("decay", "sparse", 8 * seconds, {256: 0.5, 512: 0.5}, lr=(0.6, 0.0), index_lr=(0.5, 0.02), rows=16)]


class Trainer:
    """Model, optimizers, feeder and progress of one run."""

    def __init__(self, args, tokenizer, feeder, plan, sets_job):
        self.args, self.tokenizer, self.feeder, self.plan, self.sets_job = args, tokenizer, feeder, plan, sets_job
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        torch.manual_seed(args.seed)
        vocab = len(tokenizer.vocab) + len(tokenizer.added)
        config = model_lib.Config.tiny(vocab) if args.smoke else model_lib.Config(vocab_size=vocab)
        cuda = self.device == "cuda"
        self.model = model_lib.Model(config, compiled=cuda, dtype=torch.bfloat16 if cuda else torch.float32).to(self.device)
        self.optimizer, self.index_optimizer = optim.for_model(self.model)
        self.progress = {"stage": 0, "stage_seconds": 0.0, "step": 0, "tokens": 0, "seconds": 0.0, "stages": [], "curve": [],
                         "evaluations": [], "resumed": 0}
        self.total_seconds = 60 * sum(s.minutes for s in plan)
        self.leg_end = time.time() + 60 * args.leg_minutes - (time.time() - args.started)
        self.last_save = time.time()
        self.path = lambda name: os.path.join(args.work, name)
        os.makedirs(self.path("export"), exist_ok=True)
        if os.path.exists(self.path("state.pt")):
            state = torch.load(self.path("state.pt"), map_location=self.device, weights_only=False)
            self.model.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.index_optimizer.load_state_dict(state["index_optimizer"])
            self.progress = {**state["progress"], "resumed": state["progress"]["resumed"] + 1}
        elif args.init:
            model_lib.import_tensors(self.model, model_lib.load_safetensors(args.init))
        self.sums = torch.zeros(5, device=self.device)  # loss, right answer tokens, answer tokens, KL, captured mass

    def save(self):
        """state.pt for an exact continuation, export/ for use."""
        torch.save({"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(),
                    "index_optimizer": self.index_optimizer.state_dict(), "progress": self.progress}, self.path("state.pt.part"))
        os.replace(self.path("state.pt.part"), self.path("state.pt"))
        model_lib.save_safetensors(model_lib.export_tensors(self.model), self.path("export/model.safetensors.part"))
        os.replace(self.path("export/model.safetensors.part"), self.path("export/model.safetensors"))
        run = {"seed": self.args.seed, "tokens_per_step": self.args.tokens_per_step, "config": dataclasses.asdict(self.model.config),
               "plan": [dataclasses.asdict(s) for s in self.plan], "torch": torch.__version__,
               "device": torch.cuda.get_device_name() if self.device == "cuda" else "cpu", **self.progress}
        with open(self.path("export/run.json.part"), "w", encoding="utf-8") as f:
            json.dump(run, f, indent=None, separators=(",", ":"))
        os.replace(self.path("export/run.json.part"), self.path("export/run.json"))
        self.last_save = time.time()

    def batch(self):
        """Next batch on the device: tokens, loss classes, positions [B, T] int64."""
        arrays = [torch.from_numpy(a) for a in self.feeder.next()]
        if self.device == "cuda":  # nothing in a step may wait for the device: launching takes almost as long as computing
            arrays = [a.pin_memory().to(self.device, non_blocking=True) for a in arrays]
        return [a.long() for a in arrays]

    def loss_positions(self, tokens, classes):
        """Flat positions with a loss, their targets and weights: all answers, other tokens at random."""
        targets = tokens.roll(-1, 1)
        classes = classes.roll(-1, 1).clone()
        classes[:, -1] = -1
        flat = classes.flatten()
        priority = torch.rand(flat.shape, device=flat.device) + 2.0 * (flat > 0) - 4.0 * (flat < 0)
        index = priority.topk(int(LOSS_SHARE * flat.numel()), sorted=False).indices
        share = min(1.0, self.progress["seconds"] / self.total_seconds)
        text = TEXT_WEIGHT_START + share * (TEXT_WEIGHT_END - TEXT_WEIGHT_START)
        chosen = flat[index]
        weights = torch.where(chosen > 0, 1.0 + (FIRST_TOKENS_WEIGHT - 1.0) * (chosen == 2), text * (chosen == 0))
        return index, targets.flatten()[index], weights, chosen > 0

    def sample_rows(self, classes, count):
        """[B, count] query positions for the indexer loss: half predict answer tokens, half are anywhere."""
        is_answer = (classes.roll(-1, 1) > 0).float()
        answer = (torch.rand(classes.shape, device=classes.device) * (0.1 + is_answer)).topk(count // 2, dim=1).indices
        anywhere = torch.randint(0, classes.shape[1], (classes.shape[0], count - count // 2), device=classes.device)
        return torch.cat([answer, anywhere], 1)

    def step(self, stage, fraction):
        """One optimizer step; `fraction` of the stage is done."""
        tokens, classes, positions = self.batch()
        at = lambda ends: ends[0] + (ends[1] - ends[0]) * fraction
        rows = self.sample_rows(classes, stage.rows) if stage.rows else None
        record = {} if rows is not None and self.progress["step"] % 100 == 0 else None
        frozen = stage.kind == "warmup"
        with torch.no_grad() if frozen else contextlib.nullcontext():
            x, kl = self.model.hidden(tokens, positions, stage.kind == "sparse", rows, record)
        loss = torch.zeros((), device=self.device)
        if not frozen:
            index, targets, weights, is_answer = self.loss_positions(tokens, classes)
            loss, predicted = self.model.logits_loss(x, index, targets, weights)
            self.sums[1] += ((predicted == targets) & is_answer).sum()
            self.sums[2] += is_answer.sum()
        (loss if kl is None else loss + kl).backward()
        warm = min(1.0, (self.progress["step"] + 1) / (150 if self.args.init else 50))
        if not frozen:
            self.optimizer.step(warm * at(stage.lr))
        if rows is not None:
            self.index_optimizer.step(at(stage.index_lr))
            self.sums[3] += kl.detach()
        self.sums[0] += loss.detach()
        if record:
            self.progress["mass"] = [round(float(m), 3) for m in record["mass"]]
        self.progress["step"] += 1
        self.progress["tokens"] += tokens.numel()

    def log(self, stage, steps, seconds):
        sums = self.sums.tolist()
        self.sums.zero_()
        p = self.progress
        entry = {"stage": stage.name, "step": p["step"], "Mtokens": round(p["tokens"] / 1e6, 1), "s": round(p["seconds"], 1),
                 "loss": round(sums[0] / steps, 4), "answer_accuracy": round(sums[1] / max(1, sums[2]), 4)}
        if stage.rows:
            entry.update(kl=round(sums[3] / steps, 4), mass=p.get("mass"))
        p["curve"].append(entry)
        rate = steps * self.args.tokens_per_step / seconds / 1e6
        print(json.dumps(entry), f"{rate:.2f} Mtok/s, {self.feeder.ready()} batches ready", flush=True)
        if not sums[0] < float("inf"):
            raise FloatingPointError("loss is not finite; the last checkpoint is kept")

    def run_evaluation(self, label, sparse, limit=None, lengths=None):
        """Evaluates if the sequences are ready; prints and records."""
        if self.sets_job.is_alive() and limit:
            return
        self.sets_job.join()
        began = time.time()
        sets = {k: v for k, v in evaluate.load(self.path("eval.pkl")).items() if lengths is None or k[1] in lengths}
        results = evaluate.run(self.model, sets, sparse, self.args.tokens_per_step, limit)
        self.progress["evaluations"].append({"label": label, "step": self.progress["step"], "sparse": sparse, "results": results})
        print(f"evaluation after {label}, {'sparse' if sparse else 'dense'}, {time.time() - began:.0f} s\n{evaluate.table(results)}", flush=True)

    def run(self):
        """Trains until the plan or the leg ends. Returns True if the plan is done."""
        every = 10 if self.args.smoke else 50
        while self.progress["stage"] < len(self.plan):
            stage = self.plan[self.progress["stage"]]
            self.feeder.set_mix(stage.lengths)
            budget, steps, mark = 60 * stage.minutes, 0, time.time()
            since_log, last_log = 0, time.time()
            while self.progress["stage_seconds"] < budget:
                if time.time() > self.leg_end:
                    self.save()
                    return False
                self.step(stage, min(1.0, self.progress["stage_seconds"] / budget))
                steps, since_log = steps + 1, since_log + 1
                if since_log == every or self.args.smoke:
                    if self.device == "cuda":
                        torch.cuda.synchronize()
                    if since_log == every:
                        self.log(stage, since_log, time.time() - last_log)
                        since_log, last_log = 0, time.time()
                if time.time() - self.last_save > 120:
                    self.save()
                now = time.time()
                self.progress["stage_seconds"] += now - mark
                self.progress["seconds"] += now - mark
                mark = now
            if since_log:
                self.log(stage, since_log, time.time() - last_log)
            self.progress["stages"].append({"name": stage.name, "kind": stage.kind, "minutes": round(self.progress["stage_seconds"] / 60, 2),
                                            "steps": self.progress["step"], "Mtokens": round(self.progress["tokens"] / 1e6, 1)})
            self.progress["stage"] += 1
            self.progress["stage_seconds"] = 0.0
            last = self.progress["stage"] == len(self.plan)
            if not last:
                self.run_evaluation(stage.name, stage.kind != "dense", limit=1, lengths=(256, 512, 2048, 8192))
            self.save()
        if not any(e["label"] == "final" for e in self.progress["evaluations"]):
            self.run_evaluation("final", True)
            self.save()
        return True


def prepare(args):
    """Makes corpus and tokenizer where DIR has none. Returns their paths."""
    corpus, tokenizer = (os.path.join(args.work, n) for n in ("corpus.jsonl.xz", "tokenizer.json"))
    run = lambda *command: subprocess.run([sys.executable, "-m", *command], cwd=HERE, check=True)
    if not os.path.exists(corpus):
        raw = os.path.join(args.work, "collected.jsonl.xz")
        run("data.collect_text", "--out", raw, "--megabytes", "3" if args.smoke else "100", *(["--small"] if args.smoke else []))
        run("data.corpus", "--inputs", raw, "--out", corpus)
    if not os.path.exists(tokenizer):
        run("data.tokenizer", "--corpus", corpus, "--out", tokenizer, "--megabytes", "0.5" if args.smoke else "20",
            "--vocab", "2048" if args.smoke else "6144")
    return corpus, tokenizer


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--work", required=True)
    parser.add_argument("--leg-minutes", type=float, default=9.0)
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies the minutes of every stage")
    parser.add_argument("--init", help="bf16 safetensors to begin from, with new optimizer states")
    parser.add_argument("--plan", help="JSON list of stages in place of the default plan")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=min(12, max(1, (os.cpu_count() or 2) - 4)))
    parser.add_argument("--smoke", action="store_true")
    args = parser.parse_args()
    args.started = time.time()
    args.work = os.path.abspath(args.work)
    args.tokens_per_step = 1024 if args.smoke else 65536
    os.makedirs(args.work, exist_ok=True)
    corpus, tokenizer_path = prepare(args)
    tokenizer = Tokenizer.load(tokenizer_path)
    documents = corpus_lib.load(corpus)
    libraries = {heldout: generator.Library(tokenizer, documents, heldout) for heldout in (False, True)}
    del documents
    gc.freeze()  # keeps the shared pages of the forks unwritten
    plan = smoke_plan() if args.smoke else default_plan(args.scale)
    if args.plan:
        with open(args.plan, encoding="utf-8") as f:
            plan = [Stage(**{**s, "lengths": {int(n): share for n, share in s["lengths"].items()}}) for s in json.load(f)]
    counts = {256: 4, 512: 2} if args.smoke else {1024: 64, 2048: 64, 8192: 24, 16384: 16, 32768: 12}
    sets_path = os.path.join(args.work, "eval.pkl")
    sets_job = multiprocessing.get_context("fork").Process(
        target=lambda: os.path.exists(sets_path) or evaluate.build(libraries, counts, sets_path, processes=1 if args.smoke else 4))
    sets_job.start()
    # Another seed after every resumption: workers do not remember what they have written.
    feeder = Feeder(libraries[False], args.seed + int(time.time()) % 10_000, args.workers, args.tokens_per_step, plan[0].lengths)
    trainer = Trainer(args, tokenizer, feeder, plan, sets_job)
    # A terminated run saves itself first.
    signal.signal(signal.SIGTERM, lambda *_: setattr(trainer, "leg_end", 0.0))
    print(f"set-up {time.time() - args.started:.0f} s, {sum(p.numel() for p in trainer.model.parameters()) / 1e6:.2f} M parameters", flush=True)
    try:
        done = trainer.run()
    finally:
        feeder.stop()
    sets_job.join()
    print("plan done" if done else "leg ended; run the same command to continue", flush=True)


if __name__ == "__main__":
    main()
