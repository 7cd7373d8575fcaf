#!/usr/bin/env python3
"""Checks an audit log of Portcullis with nothing but Python 3: chain, tree, checkpoints, proofs. See README.md."""
import argparse, base64, hashlib, hmac, json, pathlib, re, sys

def need(holds, why):
    if not holds:
        raise ValueError(why)

class CannotCheck(Exception):
    """Nothing is said about the log: something that the check takes is not there."""

def able(can, why):
    if not can:
        raise CannotCheck(why)

# Ed25519, RFC 8032 section 5.1: verifying alone, so nothing here is secret and nothing has to take constant time.
P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P

def add(p, q):
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P

def times(n, p):
    q = (0, 1, 1, 0)
    while n:
        q, p, n = add(q, p) if n & 1 else q, add(p, p), n >> 1
    return q

def point(data):
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & (1 << 255) - 1
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    need(y < P and (x * x - square) % P == 0 and (x or not sign), "a point is not on the curve, or not in its one form")
    return (x := P - x if x & 1 != sign else x), y, 1, x * y % P

BASE = point((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))

def ed25519(public, message, signature):
    need(len(signature) == 64, "a signature has not 64 bytes")
    a, r, s = point(public), point(signature[:32]), int.from_bytes(signature[32:], "little")
    k = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % L
    p, q = times(s, BASE), add(r, times(k, a))
    same = all((p[i] * q[2] - q[i] * p[2]) % P == 0 for i in (0, 1))
    need(same and s < L and times(8, a)[0] % P, "a signature does not hold")

leaf = lambda line: hashlib.sha256(b"\0" + line).digest()
node = lambda left, right: hashlib.sha256(b"\1" + left + right).digest()

def log_key(vkey):
    """Name, id and key of a vkey (C2SP signed-note)."""
    parts = vkey.split("+", 2)
    try:
        key = base64.b64decode(parts[2], validate=True)
    except (ValueError, IndexError):
        key = b""
    full = hashlib.sha256(parts[0].encode() + b"\n" + key).digest()[:4]
    able(len(key) == 33 and key[0] == 1 and parts[1] == full.hex(), "the --vkey is not one of a log: NAME+ID+KEY")
    return parts[0], full, key

def checkpoint(note, vkey):
    """Size and root of a checkpoint that this key signed (C2SP signed-note, tlog-checkpoint)."""
    name, full, key = log_key(vkey)
    text, _, signatures = note.rpartition("\n\n")
    found = [line.split(" ")[2] for line in signatures.split("\n") if line.startswith(f"\u2014 {name} ")]
    mine = [data[4:] for data in map(base64.b64decode, found) if data[:4] == full]
    need(mine, f"no signature by `{name}`")
    for signature in mine:
        ed25519(key[1:], text.encode() + b"\n", signature)
    origin, size, root = text.split("\n")
    need(origin == name, f"it is of the log `{origin}`")
    return int(size), base64.b64decode(root)

def secret(path):
    try:
        return bytes.fromhex(pathlib.Path(path).read_text())
    except ValueError:
        raise CannotCheck(f"{path}: it is no key, expected hex digits") from None

def segment_key(args, number):
    if args.segment_key or number == 0 and args.key:
        return secret(args.segment_key or args.key)
    if number and args.master:  # HKDF-SHA256 (RFC 5869) without salt, one block
        extracted = hmac.digest(bytes(32), secret(args.master), "sha256")
        return hmac.digest(extracted, b"portcullis audit segment %d\x01" % number, "sha256")
    able(not (args.key or args.master), f"no key of segment {number}: segment 0 has --key, the others --master")

def lines(path):
    data = path.read_bytes()
    if path.suffix == ".zst":
        try:
            import zstandard
        except ImportError:
            able(False, f"{path}: compressed, and this Python has no module `zstandard`; `zstd -d` unpacks it")
        unpacking = zstandard.ZstdDecompressor().decompressobj()
        try:
            data = unpacking.decompress(data)
            need(getattr(unpacking, "eof", True), f"{path}: it is cut off, and cannot be decompressed")
        except zstandard.ZstdError as error:
            raise ValueError(f"{path}: it cannot be decompressed: {error}") from None
    need(not data or data.endswith(b"\n"), f"{path}: it ends in the middle of a line")
    return data.split(b"\n")[:-1]

def log(args):
    paths, notes = [pathlib.Path(path) for path in args.paths], []
    if paths[0].is_dir():
        found = {path.name[:12]: path for end in (".zst", "") for path in paths[0].glob(f"audit-*.jsonl{end}")}
        notes, paths = sorted(paths[0].glob("audit-*.checkpoint")), [found[name] for name in sorted(found)]
    able(paths and not (args.segment_key and len(paths) > 1), "expected segments, and one alone for --segment-key")
    notes = notes + [pathlib.Path(path) for path in args.checkpoint] if args.vkey else []
    if args.vkey:
        log_key(args.vkey)
    signed = [(path, *checkpoint(path.read_text("utf-8"), args.vkey)) for path in notes]
    wanted, roots, peaks = {over for _, over, _ in signed}, {0: hashlib.sha256().digest()}, []
    size, entries, pruned = None, 0, False
    for path in paths:
        for number, line in enumerate(lines(path), 1):
            where, entry = f"{path}:{number}", json.loads(line)
            if number == 1:
                key = segment_key(args, entry.get("segment", 0))
            if size is None:
                size, before = entry["seq_no"], entry.get("previous_hmac", "0" * 64)
                pruned = size > 0
            need(json.dumps(entry, sort_keys=True, ensure_ascii=False).encode() == line, f"{where}: not canonical")
            need(entry["seq_no"] == size, f"{where}: its number is {entry['seq_no']}, expected {size}")
            need(entry.get("previous_hmac", before) == before, f"{where}: it does not continue the segment before")
            seal = entry["entry_hmac"]
            unsealed = before.encode() + line.replace(b', "entry_hmac": "%s"' % seal.encode(), b"")
            good = hmac.digest(key, unsealed, "sha256").hex() if key else seal
            need(hmac.compare_digest(good, seal), f"{where}: its seal does not hold")
            before, entries, at, peak, size = seal, entries + 1, size, leaf(line), size + 1
            while at & 1:
                peak, at = node(peaks.pop(), peak) if peaks else peak, at >> 1
            peaks.append(peak)
            if size in wanted:
                roots[size] = peaks[-1]
                for left in reversed(peaks[:-1]):
                    roots[size] = node(left, roots[size])
    able(not (pruned and signed), f"the chain of {entries} entries holds, and does not begin with the log's first, which"
         " checkpoints need here; leave --vkey out, or use `portcullis audit verify`")
    for path, over, root in signed:
        need(over in roots, f"{path}: over {over} entries, and {size} are here: the newest were cut off")
        need(roots[over] == root, f"{path}: the first {over} entries are not those that it was signed over")
    print(f"{entries} entries hold, {'with' if entries and key else 'without'} seals, and {len(signed)} checkpoints")

def proof(args):
    head, _, note = pathlib.Path(args.proof).read_text("utf-8").partition("\n\n")
    match = re.fullmatch(r"c2sp\.org/tlog-proof@v1\n(?:extra [^\n]*\n)?index (\d+)((?:\n[^\n]+)*)", head)
    need(match, "it is not a proof")
    size, root = checkpoint(note, args.vkey)
    line = pathlib.Path(args.paths[0]).read_bytes().removesuffix(b"\n")
    at, last, found = int(match[1]), size - 1, leaf(line)
    need(at < size, "the tree has too few entries")
    for sibling in map(base64.b64decode, match[2].split()):  # RFC 9162 section 2.1.3.2
        need(last, "it has too many hashes")
        found = node(sibling, found) if at & 1 or at == last else node(found, sibling)
        while at == last and at and not at & 1:
            at, last = at >> 1, last >> 1
        at, last = at >> 1, last >> 1
    need(last == 0 and found == root and json.loads(line)["seq_no"] == int(match[1]), "it does not lead to the line")
    print(f"the line is entry {match[1]} of the log, as it was signed with {size} entries")

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("paths", nargs="+", help="the folder of a log, its files in order, or with --proof one line")
parser.add_argument("--key", help="the file with the key of segment 0, audit.key")
parser.add_argument("--master", help="the file with the key that those of the others come from, audit-master.key")
parser.add_argument("--segment-key", help="a file with the key of the one segment that is given")
parser.add_argument("--vkey", help="the key that signs checkpoints")
parser.add_argument("--checkpoint", action="append", default=[], help="a checkpoint that somebody kept; needs --vkey")
parser.add_argument("--proof", help="a proof that this line is in the log; needs --vkey")
args = parser.parse_args()
try:
    able(args.vkey or not (args.checkpoint or args.proof), "--checkpoint and --proof need --vkey")
    proof(args) if args.proof else log(args)
except (ValueError, KeyError, TypeError) as doubt:
    sys.exit(f"it does not hold: {doubt}")
except (CannotCheck, OSError) as missing:
    print(f"it cannot be checked: {missing}", file=sys.stderr)
    sys.exit(2)
