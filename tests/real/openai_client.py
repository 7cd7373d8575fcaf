#!/usr/bin/env python3
"""Asks for one whole and one streamed answer with the real `openai` package, over mutual TLS.

openai_client.py BASE_URL CA CERT KEY MODEL prints {"whole": ..., "streamed": ...}
"""
import json
import ssl
import sys

import openai

try:
    import httpx2 as httpx  # openai 3
except ImportError:
    import httpx  # openai 1 and 2


def main() -> int:
    url, ca, cert, key, model = sys.argv[1:6]
    context = ssl.create_default_context(cafile=ca)
    context.load_cert_chain(cert, key)
    client = openai.OpenAI(base_url=url, api_key="unused", http_client=httpx.Client(verify=context), max_retries=0)
    ask = {"model": model, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 40, "temperature": 0, "seed": 1}
    whole = client.chat.completions.create(**ask).choices[0].message.content
    pieces = client.chat.completions.create(stream=True, **ask)
    streamed = "".join(p.choices[0].delta.content or "" for p in pieces if p.choices)
    print(json.dumps({"whole": whole, "streamed": streamed}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
