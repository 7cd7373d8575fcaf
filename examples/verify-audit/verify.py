#!/usr/bin/env python3
"""Checks an audit log of Portcullis with nothing but Python 3: chain, tree, checkpoints, proofs. See README.md."""
import argparse, base64, functools, hashlib, hmac, json, pathlib, re, sys
try: import zstandard
except ImportError: zstandard = None
MOST = 2**30  # Bytes that are unpacked of one file, at most: four segments of the usual size.
class CannotCheck(Exception): pass  # Nothing is said about the log: something that the check takes is not there.
def need(holds, why, kind=ValueError):
    if not holds: raise kind(why)
# Ed25519, RFC 8032 section 5.1: verifying alone, so nothing here is secret and nothing has to take constant time.
P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
def add(p, q):
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    return (b - a) * (d - c) % P, (d + c) * (b + a) % P, (d - c) * (d + c) % P, (b - a) * (b + a) % P
def times(n, p):
    rest = times(n >> 1, add(p, p)) if n else (0, 1, 1, 0)
    return add(rest, p) if n & 1 else rest
def point(data):
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & (1 << 255) - 1
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    x = x * pow(2, (P - 1) // 4, P) % P if (x * x - square) % P else x
    need(y < P and (x * x - square) % P == 0 and (x or not sign), "a point is not on the curve, or not in its one form")
    return (x := P - x if x & 1 != sign else x), y, 1, x * y % P
BASE = point((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))
def ed25519(public, message, signature):
    a, r, s = point(public), point(signature[:32]), int.from_bytes(signature[32:], "little")
    k = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % L
    p, q = times(s, BASE), add(r, times(k, a))
    same = all((p[i] * q[2] - q[i] * p[2]) % P == 0 for i in (0, 1))
    need(same and s < L and len(signature) == 64 and times(8, a)[0] % P, "a signature does not hold")
leaf = lambda line: hashlib.sha256(b"\0" + line).digest()
node = lambda left, right: hashlib.sha256(b"\1" + left + right).digest()
def checkpoint(note, vkey):  # Its size and root, when this key signed it (C2SP signed-note, tlog-checkpoint).
    match = re.fullmatch(r"([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]{44})", vkey)
    need(match, "the --vkey is none: NAME+ID+KEY", CannotCheck)
    name, key = match[1], base64.b64decode(match[3])
    full = hashlib.sha256(name.encode() + b"\n" + key).digest()[:4]
    need(key[0] == 1 and match[2] == full.hex(), "the --vkey is not one of a log", CannotCheck)
    text, _, signatures = note.rpartition("\n\n")
    found = [line.split(" ")[2] for line in signatures.split("\n") if line.startswith(f"\u2014 {name} ")]
    mine = [data[4:] for data in map(base64.b64decode, found) if data[:4] == full]
    need(mine, f"no signature by `{name}`")
    [ed25519(key[1:], text.encode() + b"\n", signature) for signature in mine]
    origin, size, root = text.split("\n")
    need(origin == name, f"it is of the log `{origin}`")
    return int(size), base64.b64decode(root)
def secret(path):
    match = re.fullmatch(r"((?:[0-9a-fA-F]{2})+)\s*", pathlib.Path(path).read_text())
    need(match, f"{path}: it is no key, expected hex digits", CannotCheck)
    return bytes.fromhex(match[1])
def segment_key(args, number):
    if args.segment_key or number == 0 and args.key:
        return secret(args.segment_key or args.key)
    if number and args.master:  # HKDF-SHA256 (RFC 5869) without salt, one block
        info = b"portcullis audit segment %d\x01" % number
        return hmac.digest(hmac.digest(bytes(32), secret(args.master), "sha256"), info, "sha256")
    need(not (args.key or args.master), f"no key of segment {number}: 0 has --key, others --master", CannotCheck)
def unpack(path, packed):
    need(zstandard, f"{path}: compressed, and there is no module `zstandard`; `zstd -d` unpacks it", CannotCheck)
    data, frame, at = bytearray(), None, 0
    while at < len(packed):
        frame = frame if frame and not frame.eof else zstandard.ZstdDecompressor(max_window_size=2**27).decompressobj()
        data += frame.decompress(packed[at : at + 1024])  # So little cannot become more than some MiB.
        at = min(at + 1024, len(packed)) - len(frame.unused_data)
        need(len(data) <= MOST, f"{path}: it holds more than {MOST} bytes; `zstd -d` unpacks it", CannotCheck)
    need(frame and frame.eof, f"{path}: it ends in the middle of a frame")
    return bytes(data)
def lines(path):
    data = unpack(path, path.read_bytes()) if path.suffix == ".zst" else path.read_bytes()
    need(not data or data.endswith(b"\n"), f"{path}: it ends in the middle of a line")
    return data.split(b"\n")[:-1]
def segments(folder):
    found = sorted((int(m[1]), p) for p in folder.iterdir() if (m := re.fullmatch(r"audit-(\d{6,})\.jsonl(\.zst)?", p.name)))
    need(len(dict(found)) == len(found), f"{folder}: a segment is there twice")
    return [path for _, path in found]
def log(args):
    folder = pathlib.Path(args.paths[0])
    all_signed, own = args.vkey and folder.is_dir(), sorted(folder.glob("audit-*.checkpoint"))
    paths = segments(folder) if folder.is_dir() else [pathlib.Path(path) for path in args.paths]
    need(paths and not (args.segment_key and len(paths) > 1), "expected segments; one for --segment-key", CannotCheck)
    notes = own + [pathlib.Path(path) for path in args.checkpoint] if args.vkey else []
    signed = [(path, *checkpoint(path.read_text("utf-8"), args.vkey)) for path in notes]
    ends, roots, peaks, size, segment = {p: over for p, over, _ in signed}, {0: hashlib.sha256().digest()}, [], None, None
    note = lambda number: folder / f"audit-{number:06}.checkpoint"
    for path in paths:
        for number, line in enumerate(lines(path), 1):
            where, entry = f"{path}:{number}", json.loads(line)
            numbers = [value for value in entry.values() if type(value) not in (str, bool)]
            need(all(type(n) is int and 0 <= n < 2**64 for n in numbers), f"{where}: it is no entry")
            if number == 1:
                last, segment = segment, entry.get("segment", 0)
                need(last in (None, segment - 1), f"{where}: it is not the segment that comes next")
                need(last is None or not all_signed or ends.get(note(last)) == size, f"{where}: not signed up to it")
                key = segment_key(args, segment)
            if size is None:
                size, before, first = entry["seq_no"], entry.get("previous_hmac", "0" * 64), entry["seq_no"]
                need(not first or entry.keys() >= {"segment", "previous_hmac"}, f"{where}: no segment begins here")
                need(not (first and args.vkey), f"{where}: checkpoints need the log from entry 0 on", CannotCheck)
            need(json.dumps(entry, sort_keys=True, ensure_ascii=False).encode() == line, f"{where}: not canonical")
            need((type(entry["seq_no"]), entry["seq_no"]) == (int, size), f"{where}: its number is not {size}")
            need(entry.get("previous_hmac", before) == before, f"{where}: it does not continue the segment before")
            seal, rest = entry["entry_hmac"], re.sub(rb', "entry_hmac": "[0-9a-f]{64}"', b"", line)
            good = hmac.digest(key, before.encode() + rest, "sha256").hex() if key else seal
            need(hmac.compare_digest(good, seal), f"{where}: its seal does not hold")
            before, at, peak, size = seal, size, leaf(line), size + 1
            while at & 1:
                peak, at = node(peaks.pop(), peak) if peaks else peak, at >> 1
            peaks.append(peak)
            if size in ends.values():
                roots[size] = functools.reduce(lambda right, left: node(left, right), reversed(peaks))
    for path, over, root in signed:
        need(over in roots, f"{path}: over {over} entries, and {size} are here: the newest were cut off")
        need(roots[over] == root, f"{path}: the first {over} entries are not those that it was signed over")
    need(size and (not all_signed or note(segment) in ends), "no entry, or the newest segment has no checkpoint", CannotCheck)
    how, more = "with" if key else "without", f"; {size - max(ends.values())} of them are under none" if ends else ""
    print(f"{size - first} entries hold, {how} seals, and {len(signed)} checkpoints{more}; {first} before are not here")
def proof(args):
    head, _, note = pathlib.Path(args.proof).read_text("utf-8").partition("\n\n")
    match = re.fullmatch(r"c2sp\.org/tlog-proof@v1\n(?:extra [^\n]*\n)?index (\d+)((?:\n[^\n]+)*)", head)
    (size, root), line = checkpoint(note, args.vkey), pathlib.Path(args.paths[0]).read_bytes().removesuffix(b"\n")
    at, last, found = int(match[1]), size - 1, leaf(line)
    need(at <= last, "the tree has too few entries")
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
parser.add_argument("--checkpoint", action="append", default=[], help="a checkpoint that somebody kept; needs --vkey")
parser.add_argument("--key", help="the file with the key of segment 0, audit.key")
parser.add_argument("--master", help="the file with the key that those of the others come from, audit-master.key")
parser.add_argument("--segment-key", help="a file with the key of the one segment that is given")
parser.add_argument("--vkey", help="the key that signs checkpoints")
parser.add_argument("--proof", help="a proof that this line is in the log; needs --vkey")
args = parser.parse_args()
try:
    need(args.vkey or not (args.checkpoint or args.proof), "--checkpoint and --proof need --vkey", CannotCheck)
    proof(args) if args.proof else log(args)
except (CannotCheck, OSError, MemoryError) as missing:
    parser.exit(2, f"it cannot be checked: {missing}\n")
except Exception as doubt:
    sys.exit(f"it does not hold: {doubt}")
