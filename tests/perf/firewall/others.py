"""What detect-secrets and LLMesh's firewall find in the same texts, and how long they take.

Usage: others.py KIND FILE, KIND one of `corpus` and `prompts`. Prints one JSON object.
"""

import json
import os
import sys
import tempfile
import time

# detect-secrets reads files, some hundred a second: of unlabelled prompts it is shown the first ones.
DETECT_SECRETS_PROMPTS = 300

# Of unlabelled prompts each is judged so often, its fastest is its time: as our own are.
ROUNDS = {"detect-secrets": 1, "LLMesh": 5}


def detect_secrets():
    from detect_secrets.core.scan import scan_file
    from detect_secrets.settings import default_settings

    folder = tempfile.mkdtemp()
    path = os.path.join(folder, "prompt.txt")

    def judge(text):
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        with default_settings():
            return any(True for _ in scan_file(path))

    return judge


def llmesh():
    from llmesh.privacy.firewall import PromptFirewall

    firewall = PromptFirewall()
    return lambda text: firewall.classify(text).blocked


def share(hits, items):
    return {"hits": sum(1 for item in items if item in hits), "of": len(items)}


def corpus(items, judge):
    flagged = {number for number, item in enumerate(items) if judge(item["text"])}

    def those(keep):
        return share(flagged, [number for number, item in enumerate(items) if keep(item)])

    def secret(item):
        return item["label"] == "secret"

    clean = those(lambda item: item["label"] == "clean")
    return {
        "plain": those(lambda item: secret(item) and not item.get("evasion")),
        "evasions": those(lambda item: secret(item) and item.get("evasion") and not item.get("hard")),
        "hard": those(lambda item: secret(item) and item.get("hard")),
        "injections": those(lambda item: item["label"] == "injection"),
        "clean": clean,
        "clean_secret": clean,
        "benign": those(lambda item: item.get("neg_kind") == "injection-benign"),
    }


def prompts(items, judge, rounds):
    times = [float("inf")] * len(items)
    for _ in range(rounds):
        flagged = 0
        for number, item in enumerate(items):
            began = time.perf_counter()
            flagged += judge(item["text"])
            times[number] = min(times[number], time.perf_counter() - began)
    size = sum(len(item["text"].encode()) for item in items)
    total = sum(times)
    times.sort()
    return {
        "prompts": len(items),
        "flagged": flagged,
        "mb_per_s": size / 1e6 / total,
        "p50_us": times[len(times) // 2] * 1e6,
        "p99_us": times[int((len(times) - 1) * 0.99)] * 1e6,
        "max_us": times[-1] * 1e6,
    }


def main():
    kind, path = sys.argv[1:]
    with open(path, encoding="utf-8") as file:
        items = [json.loads(line) for line in file if line.strip()]
    outcome = {}
    for name, make in (("detect-secrets", detect_secrets), ("LLMesh", llmesh)):
        judge = make()
        if kind == "corpus":
            outcome[name] = corpus(items, judge)
        else:
            some = items[:DETECT_SECRETS_PROMPTS] if name == "detect-secrets" else items
            outcome[name] = prompts(some, judge, ROUNDS[name])
    print(json.dumps(outcome))


if __name__ == "__main__":
    main()
