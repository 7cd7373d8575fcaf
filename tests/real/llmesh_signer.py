#!/usr/bin/env python3
"""Signs requests with LLMesh's own signer: llmesh_signer.py SEEDHEX

Reads one JSON object a line, with `method`, `path` and `body`, and prints the headers of each as one. Needs the package
llmesh-mcp.
"""
import json
import sys

from llmesh.auth.signer import RequestSigner
from llmesh.identity.node_id import NodeIdentity


def main() -> None:
    signer = RequestSigner(NodeIdentity.from_private_bytes(bytes.fromhex(sys.argv[1])))
    for line in sys.stdin:
        wanted = json.loads(line)
        print(json.dumps(signer.auth_headers(wanted["method"], wanted["path"], wanted["body"].encode())), flush=True)


if __name__ == "__main__":
    main()
