#!/usr/bin/env python3
"""Fills corpus/ with seeds from the testkit's media and from playlists of the test corpus: fuzz/seeds.py"""
import pathlib, re, struct, zlib

here = pathlib.Path(__file__).parent
media = here.parent / "crates/kithara-testkit/media"


def seed(target, name, data):
    folder = here / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


def demux(target, name, data, most=9000):
    seed(target, name, bytes([0, 40]) + data[:most])
    seed(target, name + "-cut", bytes([1, 6]) + data[:most // 3])


for path in sorted(media.rglob("*")):
    if not path.is_file():
        continue
    name, data = str(path.relative_to(media)).replace("/", "_"), path.read_bytes()
    if path.suffix == ".m3u8":
        seed("playlist", name, data)
    elif path.suffix in (".ts", ".m2ts"):
        demux("ts", name, data)
    elif path.suffix == ".m4s" and path.with_name("init.mp4").exists() and "aes" not in name and "0." in path.name:
        demux("fmp4", name, path.with_name("init.mp4").read_bytes() + data)
    elif path.name in ("init.mp4", "media.mp4"):
        demux("fmp4", name, data)
    elif path.suffix == ".m4a":
        demux("file", name, data)
    elif path.suffix == ".aac":
        demux("adts", name, data, 3000)
        if data.startswith(b"ID3"):
            seed("id3", name, data[:1500])
    elif path.suffix == ".mp3":
        demux("mpa", name, data, 3000)
        if data.startswith(b"ID3"):
            seed("id3", name, data[:1500])

# Every string of the corpus of playlists.
for source in (here.parent / "crates/kithara-hls/tests/playlists").glob("*.rs"):
    for n, text in enumerate(re.findall(r'"((?:[^"\\]|\\.)*)"', source.read_text())):
        if "#EXT" in text:
            text = text.replace("\\n", "\n").replace('\\"', '"').replace("\\r", "\r").replace("\\\n", "")
            if not text.startswith("#EXTM3U"):
                text = "#EXTM3U\n" + text
            seed("playlist", f"{source.stem}-{n}", text.encode())

# Index files: frames of bincode payloads (variable length integers), behind the byte that chooses the file.
def frame(kind, payload):
    head = struct.pack("<HHI", 1, kind, len(payload))
    return b"KTHX" + head + struct.pack("<I", zlib.crc32(head + payload)) + payload


seed("index_frame", "snapshot", b"\x00" + frame(1, b"\x07\x01\x05album\x01\x01\x03a.b\x14\x15\x01"))
changes = b"\x03\x00\x05album\x03a.b\x14\x15\x01\x01\x05album\x03a.b\x02\x05album\x00"
seed("index_frame", "changes", b"\x00" + frame(2, changes))
seed("index_frame", "pins", b"\x01" + frame(3, b"\x02\x01a\x02bc"))
seed("index_frame", "pins-json", b'\x03{"pinned":["a","bc"]}')
for count in sorted((here / "corpus").iterdir()):
    print(count.name, sum(1 for _ in count.iterdir()), "seeds")

odd = here.parent / "crates/kithara-decode/tests/media/odd"
for target, files in {
    "flac": ["tagged/flac", "24k.flac"],
    "ogg": ["tagged/ogg", "t1000.ogg", "two-speex-vorbis.ogg"],
    "wav": ["tagged/wav", "wma.wav"],
    "aiff": ["tagged/aiff", "ima4.aiff"],
    "au": ["../raw/mulaw.au", "../raw/s16be.au"],
    "caf": ["tagged/caf", "ima4.caf"],
    "matroska": ["tagged/mka", "two-ac3-aac.mka"],
    "mp3_file": ["tagged/mp3", "album/1.mp3"],
}.items():
    for number, name in enumerate(files):
        for last in (0, 1):
            seed(target, f"{number}-{last}", (odd / name).read_bytes()[:20000] + bytes([last]))
