#!/usr/bin/env python3
"""Compares the presentations that the tests make with ffmpeg's decode of them, count of frames and samples:

    KITHARA_WILD_DUMP=/tmp/wild cargo test --test wild
    tests/wild/ffmpeg.py /tmp/wild [NAME...]

Needs ffmpeg. The tests themselves need nothing: their references are committed.
"""
import array, os, pathlib, subprocess, sys

# Where ffmpeg does something else; the tests say why.
KNOWN = """fmp4-absolute gap keys-256 keys-formats keys-ranges map-change names packed-id3-2.mp3 packed-id3-5.mp3 packed-id3-9.mp3
packed-long.mp3 packed-title.mp3 ranges ts-loss ts-moves ts-twice""".split()

root = pathlib.Path(sys.argv[1])
names = sys.argv[2:] or sorted(os.listdir(root))
TOLERANCE = 1e-3


def floats(data):
    out = array.array("f")
    out.frombytes(data[: len(data) // 4 * 4])
    return out


different = 0
for name in names:
    ours = next((root / name).glob("kithara-*.f32"))
    channels = int(ours.stem.split("-")[1])
    command = ["ffmpeg", "-nostdin", "-v", "error", "-protocol_whitelist", "file,crypto,data", "-allowed_extensions", "ALL",
               "-i", str(root / name / "index.m3u8"), "-ac", str(channels), "-f", "f32le", "-"]
    done = subprocess.run(command, capture_output=True)
    a, b = floats(ours.read_bytes()), floats(done.stdout)
    most = max((abs(x - y) for x, y in zip(a, b)), default=0.0)
    same = len(a) == len(b) and most <= TOLERANCE
    known = not same and any(name == k or name.rsplit(".", 1)[0] == k for k in KNOWN)
    different += not same and not known
    said = done.stderr.decode(errors="replace").strip().splitlines()
    print(f"{'same     ' if same else 'known    ' if known else 'DIFFERENT'} {name:24} {len(a) // channels} frames, ffmpeg {len(b) // channels}, off by {most:.1e}"
          + ("" if same or not said else f"  ({said[0][-90:]})"))
print(different, "different")
sys.exit(different > 0)
