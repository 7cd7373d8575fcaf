#!/usr/bin/env python3
"""Checks an audit log with LLMesh's own verifier: llmesh_verify.py FILE KEYHEX

Prints {"ok": true} or {"ok": false, ...} and exits 0 or 1. Needs the package llmesh-mcp.
"""
import importlib
import inspect
import json
import pathlib
import pkgutil
import sys


def find_trace():
    """The class AuditTrace, wherever the package keeps it."""
    for name in ("llmesh", "llmesh_mcp"):
        try:
            package = importlib.import_module(name)
        except ImportError:
            continue
        for module in pkgutil.walk_packages(package.__path__, name + "."):
            if "audit" not in module.name:
                continue
            found = getattr(importlib.import_module(module.name), "AuditTrace", None)
            if found is not None:
                return found
    raise SystemExit("llmesh-mcp is not installed, or has no AuditTrace")


def main() -> int:
    path, key = pathlib.Path(sys.argv[1]), bytes.fromhex(sys.argv[2])
    trace = find_trace()
    names = list(inspect.signature(trace.__init__).parameters)[1:]
    known = {"path": path, "log_path": path, "file": path, "hmac_key": key, "key": key, "secret": key, "node_id": "verify"}
    values = {n: known[n] for n in names if n in known}
    try:
        verdict = trace(**values).verify_chain()
    except Exception as error:  # any exception of the verifier is its way of saying no
        print(json.dumps({"ok": False, "error": f"{type(error).__name__}: {error}"}))
        return 1
    good = verdict if isinstance(verdict, bool) else (verdict[0] if isinstance(verdict, tuple) else verdict is None or bool(verdict))
    print(json.dumps({"ok": bool(good)}))
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
