#!/usr/bin/env python3
"""Gives a real llama.cpp server the routes of an Ollama, as an Ollama does that starts one itself.

ollama_upstream.py LLAMA_URL MODEL prints one JSON line {"listening": "http://127.0.0.1:PORT"} when ready.
"""
import json
import sys
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LLAMA, MODEL = sys.argv[1:3]
NAME = f"{MODEL}:latest"


class Ollama(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def whole(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        if self.path == "/api/tags":
            model = {"name": NAME, "model": NAME, "modified_at": "2026-01-01T00:00:00Z", "size": 3, "digest": "0" * 64}
            self.whole(200, {"models": [model]})
        else:
            self.whole(200, {"version": "0.32.15"})

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/api/show":
            details = {"format": "gguf", "family": "llama", "parameter_size": "122K", "quantization_level": "F16"}
            return self.whole(200, {"details": details, "model_info": {}, "capabilities": ["completion"]})
        options = asked.get("options") or {}
        messages = asked.get("messages") or [{"role": "user", "content": asked.get("prompt") or "-"}]
        body = {"model": MODEL, "messages": messages, "stream": True, "temperature": 0, "seed": 1,
                "max_tokens": options.get("num_predict", 40)}
        request = urllib.request.Request(f"{LLAMA}/v1/chat/completions", json.dumps(body).encode(),
                                         {"Content-Type": "application/json"})
        pieces = (json.loads(line[6:]) for line in urllib.request.urlopen(request)
                  if line.startswith(b"data: {"))
        words = (p["choices"][0]["delta"].get("content") or "" for p in pieces if p.get("choices"))
        if not asked.get("stream", True):
            said = list(words)
            return self.whole(200, self.frame("".join(said), len(said)))
        self.send_response(200)
        self.send_header("Content-Type", "application/x-ndjson")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        count = 0
        for word in words:
            count += 1
            self.chunk(self.frame(word))
        self.chunk(self.frame("", count))
        self.wfile.write(b"0\r\n\r\n")

    def frame(self, content, count=None):
        frame = {"model": NAME, "created_at": "2026-01-01T00:00:00Z",
                 "done": count is not None}
        if self.path == "/api/generate":
            frame["response"] = content
        else:
            frame["message"] = {"role": "assistant", "content": content}
        if count is not None:
            frame |= {"done_reason": "stop", "prompt_eval_count": 1, "eval_count": count}
        return frame

    def chunk(self, frame):
        line = json.dumps(frame).encode() + b"\n"
        self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))


server = ThreadingHTTPServer(("127.0.0.1", 0), Ollama)
print(json.dumps({"listening": f"http://127.0.0.1:{server.server_address[1]}"}), flush=True)
server.serve_forever()
