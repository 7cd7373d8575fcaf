"""Signs a request for a Portcullis gate (RFC 9421, RFC 9530) and sends it. Needs `pip install cryptography`.

    KEY=node.key CA=ca.crt GATE=peer:… python3 sign.py POST https://gpu-box:8443/api/chat '{"model": "llama3.2", …}'
"""
import base64, hashlib, http.client, json, os, secrets, ssl, sys, time
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.serialization import load_pem_private_key

BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def node_id(key):
    """`peer:` and the base58 of the public key."""
    raw = key.public_key().public_bytes_raw()
    number, text = int.from_bytes(raw, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        text = BASE58[digit] + text
    return "peer:" + "1" * (len(raw) - len(raw.lstrip(b"\0"))) + text


def sign(key, method, url, body=b"", media=None, gate=None, created=None, nonce=None, more=None):
    """The headers to send with this request, which is to be sent once. `gate`: the node id of the gate that is meant.
    `more`: others to send and cover, in lower case; `portcullis-grant` and `portcullis-enroll` have to be covered."""
    target = urlsplit(url)
    usual = {"https": ":443", "http": ":80"}[target.scheme]
    headers = {"content-digest": f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"}
    if media:
        headers["content-type"] = media
    if gate:
        headers["portcullis-audience"] = gate
    headers.update(more or {})
    covered = {"@method": method, "@authority": target.netloc.lower().removesuffix(usual),
               "@path": target.path or "/", "@query": "?" + target.query, **headers}
    names = " ".join(f'"{name}"' for name in covered)
    created, nonce = created or int(time.time()), nonce or secrets.token_urlsafe(16)
    params = f'({names});created={created};nonce="{nonce}";keyid="{node_id(key)}";alg="ed25519"'
    base = "".join(f'"{name}": {value}\n' for name, value in covered.items()) + f'"@signature-params": {params}'
    signature = base64.b64encode(key.sign(base.encode())).decode()
    return {**headers, "signature-input": f"portcullis={params}", "signature": f"portcullis=:{signature}:"}


def main():
    key = load_pem_private_key(open(os.environ["KEY"], "rb").read(), None)
    if sys.argv[1:] == ["--lines"]:  # for programs: a request a line comes in as JSON, its headers go out
        for line in sys.stdin:
            wanted = json.loads(line)
            print(json.dumps(sign(key, **{**wanted, "body": base64.b64decode(wanted["body"])})), flush=True)
        return
    method, url, body = sys.argv[1], sys.argv[2], "".join(sys.argv[3:]).encode()
    headers = sign(key, method, url, body, "application/json" if body else None, os.environ.get("GATE"))
    target = urlsplit(url)
    connection = http.client.HTTPSConnection(target.netloc, context=ssl.create_default_context(cafile=os.environ["CA"]))
    connection.request(method, (target.path or "/") + (target.query and "?" + target.query), body, headers)
    answer = connection.getresponse()
    print(answer.read().decode())
    sys.exit(0 if answer.status < 300 else f"{answer.status} {answer.getheader('portcullis-verdict')}")


if __name__ == "__main__":
    main()
