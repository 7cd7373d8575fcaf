"""An LLMesh node on a free loopback port: says where it listens, then serves until it is ended."""
import json
import socket

import uvicorn
from llmesh.mcp.server import app

listener = socket.socket()
listener.bind(("127.0.0.1", 0))
print(json.dumps({"listening": f"http://127.0.0.1:{listener.getsockname()[1]}"}), flush=True)
uvicorn.Server(uvicorn.Config(app, log_level="error")).run(sockets=[listener])
