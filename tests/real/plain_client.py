#!/usr/bin/env python3
"""Asks for one whole and one streamed answer as a beginner would: over plain HTTP, nothing configured.

plain_client.py openai|ollama URL MODEL prints {"whole": ..., "streamed": ..., "models": [...]}
"""
import json
import sys


def with_openai(url, model, messages):
    import openai

    client = openai.OpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0)
    ask = {"model": model, "messages": messages, "max_tokens": 40, "temperature": 0, "seed": 1}
    whole = client.chat.completions.create(**ask).choices[0].message.content
    pieces = client.chat.completions.create(stream=True, **ask)
    streamed = "".join(p.choices[0].delta.content or "" for p in pieces if p.choices)
    return whole, streamed, [m.id for m in client.models.list()]


def with_ollama(url, model, messages):
    import ollama

    client = ollama.Client(host=url)
    ask = {"model": model, "messages": messages, "options": {"num_predict": 40}}
    whole = client.chat(**ask).message.content
    streamed = "".join(p.message.content or "" for p in client.chat(stream=True, **ask))
    return whole, streamed, [m.model for m in client.list().models]


def main() -> int:
    which, url, model = sys.argv[1:4]
    ask = {"openai": with_openai, "ollama": with_ollama}[which]
    whole, streamed, models = ask(url, model, [{"role": "user", "content": "Hi"}])
    print(json.dumps({"whole": whole, "streamed": streamed, "models": models}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
