"""Collects prose that stands on a development machine into one compressed corpus file.

Sources: manual pages, /usr/share/doc, licences, package descriptions, header comments, Python docstrings and the API
descriptions that botocore ships. Nothing is downloaded. Output: xz-compressed JSON lines, one document each:

    {"source": "man/git-log.1", "group": "man:git", "heldout": true, "lang": "en", "paragraphs": ["...", ...]}

A paragraph has its white space collapsed to single spaces and is at most 1,200 characters long. A group (a package, a
command family, a service) is wholly training or wholly held out; HELDOUT_GROUPS and a hash of the name decide. Paragraphs
are unique over the corpus, and training paragraphs that share a sentence with held-out text are dropped.

    python3 -m data.collect_text --out corpus.jsonl.xz [--megabytes 60]
"""

import argparse
import ast
import gzip
import hashlib
import html
import json
import lzma
import multiprocessing
import os
import random
import re
import site
import sys
import sysconfig

from data.text import split_sentences

# Never trained on. Evaluation texts, here and in the service's own tests, come from these alone.
HELDOUT_GROUPS = {
    "man:git", "man:gpg", "man:ssh", "man:openssl", "man:systemd", "man:journalctl", "man:psql", "man:rsync", "man:tar",
    "doc:valgrind", "doc:gdb", "doc:gnupg", "doc:nettle-dev", "doc:python3.11", "doc:zlib1g-dev", "doc:bash", "doc:sudo",
    "doc:cmake", "doc:libgnutls30",
    "py:networkx", "py:werkzeug", "py:trio", "py:libcst", "py:prompt_toolkit", "py:docutils", "py:urllib3", "py:docker",
    "py:botorch", "py:gpytorch", "py:numpyro", "py:PIL", "py:onnxruntime", "py:fsspec", "py:sentencepiece", "py:linear_operator",
    "licence:MPL", "licence:Artistic", "licence:CC0",
    "aws:s3", "aws:glacier", "aws:polly", "aws:route53", "aws:backup", "aws:workmail", "aws:iot",
}
HELDOUT_PERCENT = 4  # of the remaining groups, by hash
MAX_CHARS = 1200


def is_heldout(group):
    """True if the group belongs to evaluation only."""
    return group in HELDOUT_GROUPS or int(hashlib.sha1(group.encode()).hexdigest(), 16) % 100 < HELDOUT_PERCENT


def clean(text):
    """Collapses white space and drops control characters."""
    text = re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\ufeff]", " ", text)
    return re.sub(r"\s+", " ", text.replace("\xad", "").replace("¶", "")).strip()


def acceptable(paragraph):
    """Keeps prose and short headings; drops code, rules and tables of numbers."""
    if not 4 <= len(paragraph) <= MAX_CHARS:
        return False
    letters = sum(ch.isalpha() or ch == " " for ch in paragraph)
    return letters >= 0.72 * len(paragraph) and not re.search(r"(.)\1{5}|[{};]\s*[{};]|=\s*\w+\(", paragraph)


def paragraphs_of(text):
    """Splits plain text at blank lines and list bullets; returns acceptable paragraphs."""
    result = []
    for block in re.split(r"\n\s*\n|\n(?=\s*(?:[-*o•]|\d+[.)])\s+\S)", text.expandtabs()):
        # Underlines of headings, comment prefixes and bullets are layout, not text.
        lines = [re.sub(r"^\s*(?://+|#+|\*+|[-•o](?=\s))\s?", "", line) for line in block.split("\n")]
        lines = [line for line in lines if not re.fullmatch(r"\s*[-=~^*#_+.:|]{3,}\s*", line)]
        paragraph = clean(" ".join(lines))
        while len(paragraph) > MAX_CHARS:  # cut long blocks at a sentence end
            cut = paragraph.rfind(". ", 200, MAX_CHARS)
            if cut < 0:
                break
            result.append(paragraph[: cut + 1])
            paragraph = paragraph[cut + 2:]
        result.append(paragraph)
    return [p for p in result if acceptable(p)]


def read_text(path):
    """Reads a possibly gzipped file as UTF-8 with a Latin-1 fallback; empty string on failure."""
    try:
        with (gzip.open if path.endswith(".gz") else open)(path, "rb") as f:
            raw = f.read(600_000)
    except (OSError, EOFError):
        return ""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


_ROFF_CHARS = {"-": "-", "aq": "'", "dq": '"', "lq": '"', "rq": '"', "bu": "-", "em": "—", "en": "–", "oq": "'", "cq": "'",
               "co": "(c)", "rs": "\\", "ti": "~", "ha": "^", "Fo": "«", "Fc": "»", "ga": "`", "dg": "+"}


def strip_roff(text):
    """Turns manual page source (man macros) into plain text with blank lines between paragraphs."""
    out, skip = [], False
    for line in text.split("\n"):
        if line.startswith((".nf", ".EX", ".TS")):
            skip = True
        elif line.startswith((".fi", ".EE", ".TE")):
            skip = False
            continue
        if skip or line.startswith(("'", '.\\"', '\\"')):
            continue
        if line.startswith("."):
            macro, _, rest = line[1:].partition(" ")
            if macro in ("SH", "SS", "Sh", "Ss"):
                out.append("\n" + rest.strip('" ').capitalize() + "\n")
            elif macro in ("PP", "P", "LP", "TP", "IP", "sp", "HP", "Pp", "It", "br"):
                out.append("")
            elif macro in ("B", "I", "BR", "RB", "IR", "RI", "BI", "IB", "SM", "SB"):
                glue = "" if len(macro) == 2 and macro not in ("SM", "SB") else " "
                out.append(glue.join(a or b for a, b in re.findall(r'"([^"]*)"|(\S+)', rest)))
            continue
        out.append(line)
    text = "\n".join(out)
    text = re.sub(r"\\f(?:\[\w*\]|\(\w\w|.)|\\s[-+]?\d|\\[&|^/,:%c)]|\\m\[\w*\]", "", text)
    text = re.sub(r"\\\*?\((..)|\\\*?\[([^\]]*)\]", lambda m: _ROFF_CHARS.get(m.group(1) or m.group(2), "'"), text)
    return text.replace("\\-", "-").replace("\\ ", " ").replace("\\(", "").replace("\\e", "\\").replace("\\~", " ")


def strip_html(text):
    """Text of an HTML page with block elements as paragraph breaks."""
    text = re.sub(r"(?is)<(script|style|pre|head|table).*?</\1>", " ", text)
    text = re.sub(r"(?i)</?(p|div|h\d|li|ul|ol|dd|dt|dl|tr|br|section|note)\b[^>]*>", "\n\n", text)
    return html.unescape(re.sub(r"<[^>]+>", "", text))


def strip_markdown(text):
    text = re.sub(r"(?s)```.*?```|<!--.*?-->", "\n\n", text)
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"(?m)^#+\s*(.*?)\s*#*$", r"\n\1\n", text)
    return re.sub(r"[*`]{1,3}", "", text)


def strip_rst(text):
    text = re.sub(r"(?m)^\s*\.\. .*$|^\s*:\w[\w ]*:.*$", "\n", text)
    text = re.sub(r":[\w:]+:`~?([^`<]*?)(?: <[^>]*>)?`", r"\1", text)
    return re.sub(r"``?|\*\*?", "", text)


def from_man(path):
    name = os.path.basename(path)
    lang = path.split("/man/")[1].split("/")[0]
    lang = "en" if lang.startswith("man") else lang
    stem = re.split(r"[-_.]", name)
    group = "-".join(stem[:2]) if stem[0] == "gcloud" else stem[0]
    if lang != "en":
        group = lang + ":" + group
    text = read_text(path)
    if "\n.Dd " in text[:3000]:  # mdoc needs a real formatter
        return None
    return {"source": "man/" + name, "group": "man:" + group, "lang": lang, "paragraphs": paragraphs_of(strip_roff(text))}


def from_doc(path):
    package = path.split("/doc/")[1].split("/")[0]
    text = read_text(path)
    lower = path.lower().removesuffix(".gz")
    if lower.endswith((".html", ".htm")):
        text = strip_html(text)
    elif lower.endswith(".md"):
        text = strip_markdown(text)
    else:
        text = strip_rst(text)
    return {"source": "doc" + path.split("/doc")[1], "group": "doc:" + package, "lang": "en", "paragraphs": paragraphs_of(text)}


def from_licence(path):
    name = os.path.basename(path)
    return {"source": "licence/" + name, "group": "licence:" + name.split("-")[0], "lang": "en",
            "paragraphs": paragraphs_of(read_text(path))}


def from_header(path):
    text = read_text(path)
    comments = re.findall(r"(?s)/\*+(.*?)\*/|((?:^[ \t]*//[^\n]*\n)+)", text, flags=re.M)
    parts = []
    for block, line in comments:
        body = re.sub(r"(?m)^\s*(\*+|//+[/!]?) ?", "", block or line)
        body = re.sub(r"[\\@](?:ref|p|c|a|e|b|param(?:\[\w+\])?|return[s]?|brief|note|sa|li|ingroup|details|tparam)\b", "\n", body)
        parts.extend(p for p in paragraphs_of(body) if len(p.split()) >= 6)
    package = path.split("/include/")[1].split("/")
    return {"source": "include/" + path.split("/include/")[1], "group": "h:" + (package[0] if len(package) > 1 else "top"),
            "lang": "en", "paragraphs": parts}


def from_python(path):
    """Docstrings of one module, outermost first."""
    try:
        tree = ast.parse(read_text(path))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    parts = []
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            doc = ast.get_docstring(node)
            if doc:
                doc = re.sub(r"(?m)^\s*>>>.*$|^\s*\.\.\. .*$", "", doc)
                parts.extend(paragraphs_of(strip_rst(doc)))
    rel = re.split(r"(?:site|dist)-packages/|/lib/python3[^/]*/", path)[-1]
    return {"source": "py/" + rel, "group": "py:" + rel.split("/")[0].removesuffix(".py"), "lang": "en", "paragraphs": parts}


def from_aws(path):
    service = path.split("/data/")[1].split("/")[0]
    try:
        model = json.loads(read_text_full(path))
    except (ValueError, OSError):
        return None
    rng = random.Random(service)
    texts = [s.get("documentation", "") for s in [*model.get("operations", {}).values(), *model.get("shapes", {}).values()]]
    texts += [m.get("documentation", "") for s in model.get("shapes", {}).values() for m in s.get("members", {}).values()]
    texts = [t for t in texts if len(t) > 80]
    rng.shuffle(texts)
    parts = []
    for text in texts[:220]:
        parts.extend(paragraphs_of(strip_html(text)))
    return {"source": "aws/" + service, "group": "aws:" + service, "lang": "en", "paragraphs": parts}


def read_text_full(path):
    with (gzip.open if path.endswith(".gz") else open)(path, "rb") as f:
        return f.read().decode()


def from_dpkg(path):
    """Package descriptions of the installed packages, in chunks of 40."""
    blocks = re.findall(r"(?m)^Description: (.*\n(?: .*\n)+)", read_text_full(path))
    parts = [p for b in blocks for p in paragraphs_of(re.sub(r"(?m)^ \.?$", "\n", b.replace("\n .\n", "\n\n")))]
    return {"source": "dpkg/status", "group": "dpkg:descriptions", "lang": "en", "paragraphs": parts}


def walk(root, pattern):
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)
            if re.search(pattern, name) and os.path.isfile(path) and (not os.path.islink(path)):
                yield path


def jobs():
    """All (reader, path) pairs on this machine, in a fixed random order."""
    found = [(from_man, p) for p in walk("/usr/share/man", r"\.\d\w*(\.gz)?$")]
    gcloud = [j for j in found if "/gcloud" in j[1]]
    found = [j for j in found if "/gcloud" not in j[1]] + random.Random(1).sample(sorted(gcloud, key=lambda j: j[1]),
                                                                                 min(2500, len(gcloud)))
    found += [(from_doc, p) for p in walk("/usr/share/doc", r"(?i)(\.(txt|md|rst|html?)|README[^.]*|NEWS|FAQ|copyright|HACKING"
                                                            r"|AUTHORS|TODO|\.Debian)(\.gz)?$")]
    found += [(from_licence, p) for p in walk("/usr/share/common-licenses", r".")]
    found += [(from_header, p) for root in ("/usr/include", "/usr/local/include", "/usr/local/cuda/include")
              for p in walk(root, r"\.(h|hpp|hh|cuh)$")]
    if os.path.exists("/var/lib/dpkg/status"):
        found.append((from_dpkg, "/var/lib/dpkg/status"))
    roots = {*site.getsitepackages(), sysconfig.get_path("stdlib"), "/usr/lib/python3/dist-packages", "/usr/lib/python3.11",
             "/usr/lib/python3.12", *(p for p in sys.path if p.endswith("-packages"))}
    for root in sorted(roots):
        found += [(from_python, p) for p in walk(root, r"\.py$") if not re.search(r"/(tests?|testing|_vendor|moto|cfnlint)/", p)]
        found += [(from_aws, p) for p in walk(os.path.join(root, "botocore/data"), r"^service-2\.json(\.gz)?$")]
    found = sorted(set(found), key=lambda j: (j[1], j[0].__name__))
    random.Random(2).shuffle(found)
    return found


def run_job(job):
    reader, path = job
    return reader(path)


def collect(megabytes, small=False):
    """Returns (documents, statistics); paragraphs unique, held-out sentences absent from training documents."""
    todo = jobs()[:1500] if small else jobs()
    with multiprocessing.Pool(min(16, os.cpu_count() or 1)) as pool:
        docs = [d for d in pool.imap(run_job, todo, chunksize=64) if d and len(d["paragraphs"]) >= 3]
    for doc in docs:
        doc["heldout"] = is_heldout(doc["group"])
    # Held-out documents claim shared paragraphs first, so nothing of theirs is left in training.
    docs.sort(key=lambda d: not d["heldout"])
    seen, heldout_sentences, per_group, kept, size = set(), set(), {}, [], 0
    for doc in docs:
        unique = []
        for p in doc["paragraphs"]:
            key = hash(re.sub(r"\W+", " ", p.lower()))
            sentences = [s for s in split_sentences(p) if len(s.split()) >= 6]
            if key in seen or (not doc["heldout"] and any(s.lower() in heldout_sentences for s in sentences)):
                continue
            seen.add(key)
            if doc["heldout"]:
                heldout_sentences.update(s.lower() for s in sentences)
            unique.append(p)
        doc["paragraphs"] = unique
        # A single source may not flood the corpus.
        chars = sum(map(len, unique))
        limit = 4_000_000 if doc["group"].startswith(("man:gcloud", "h:", "py:")) else 8_000_000
        if len(unique) < 3 or per_group.get(doc["group"], 0) > limit or size > megabytes * 1e6:
            continue
        per_group[doc["group"]] = per_group.get(doc["group"], 0) + chars
        size += chars
        kept.append(doc)
    kinds = {}
    for doc in kept:
        name = ("heldout " if doc["heldout"] else "train ") + doc["group"].split(":")[0] + (
            "" if doc["lang"] == "en" else " foreign")
        kinds[name] = kinds.get(name, 0) + sum(map(len, doc["paragraphs"]))
    return kept, kinds


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", required=True)
    parser.add_argument("--megabytes", type=float, default=100)
    parser.add_argument("--small", action="store_true", help="a sample, for smoke runs")
    args = parser.parse_args()
    docs, kinds = collect(args.megabytes, args.small)
    with lzma.open(args.out, "wt", preset=4, encoding="utf-8") as f:
        for doc in docs:
            f.write(json.dumps(doc, ensure_ascii=False) + "\n")
    print(json.dumps({"documents": len(docs), "characters": kinds}, indent=1))


if __name__ == "__main__":
    main()
