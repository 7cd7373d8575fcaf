#!/usr/bin/env python3
"""Checks an audit log with LLMesh's own verifier: llmesh_verify.py FILE KEYHEX

Prints {"ok": true} or {"ok": false} and exits 0 or 1. Needs the package llmesh-mcp.
"""
import json
import sys

from llmesh.audit.trace import AuditTrace


def main() -> int:
    ok = AuditTrace.verify_chain(sys.argv[1], bytes.fromhex(sys.argv[2]))
    print(json.dumps({"ok": ok}))
    return 0 if ok else 1


if __name__ == "__main__":
    raise SystemExit(main())
