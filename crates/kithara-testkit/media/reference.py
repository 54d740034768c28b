#!/usr/bin/env python3
"""Decodes every fixture with ffmpeg and writes what a test needs to check another decoder: `media.json`, the
compact references in `ref/`, and the table that embeds them, `../src/media/embedded.rs`.

A lossy reference holds single frames at a constant stride over the whole track, and windows of full-rate PCM at
the start, the end and around every segment boundary; samples are 16-bit integers times `scale`.

usage: reference.py TMPDIR
"""
import array, hashlib, json, os, subprocess, sys

fixtures, known = [], {}
STRIDE, EDGE, AROUND = 331, 1024, 192


def decode(path, form="f32le", decoder=()):
    command = ["ffmpeg", "-nostdin", "-v", "error", *decoder, "-protocol_whitelist", "file,crypto,data", "-allowed_extensions", "ALL"]
    if not path.endswith(".m3u8"):
        command = command[:4]
    return subprocess.run(command + ["-i", path, "-f", form, "-"], check=True, capture_output=True).stdout


def boundaries(playlist, rate):
    total, out = 0.0, []
    for line in open(playlist):
        if line.startswith("#EXTINF"):
            total += float(line.split(":")[1].split(",")[0])
            out.append(round(total * rate))
    return out[:-1]


def probe(path):
    show = "stream=sample_rate,channels"
    text = subprocess.run(["ffprobe", "-v", "error", "-protocol_whitelist", "file,crypto,data", "-allowed_extensions", "ALL",
                           "-select_streams", "a", "-show_entries", show, "-of", "json", path] if path.endswith(".m3u8") else
                          ["ffprobe", "-v", "error", "-show_entries", show, "-of", "json", path],
                          check=True, capture_output=True).stdout
    stream = json.loads(text)["streams"][0]
    return int(stream["sample_rate"]), int(stream["channels"])


def reference(name, entry, info, pcm=None, end=None):
    rate, channels = probe(entry)
    raw = decode(entry) if pcm is None else pcm
    ffmpeg_frames = len(raw) // (4 * channels)
    raw = raw[:4 * channels * end] if end else raw
    frames = len(raw) // (4 * channels)
    out = {"name": name, "entry": entry, **info, "sample_rate": rate, "channels": channels, "frames": frames,
           "ffmpeg_frames": ffmpeg_frames}
    out["f32le_sha256"] = hashlib.sha256(raw).hexdigest()
    same = known.get(out["f32le_sha256"])
    if same:  # the same sound in another packaging
        out["reference"] = same
        if info["tolerance"] == 0:
            out["s16le_sha256"] = hashlib.sha256(decode(entry, "s16le")).hexdigest()
        fixtures.append(out)
        print(f"{name:16} {frames:8} frames, reference as before", file=sys.stderr)
        return
    if info["tolerance"] == 0:
        out["s16le_sha256"] = hashlib.sha256(decode(entry, "s16le")).hexdigest()
    samples = array.array("f", raw)
    scale = 1.0 / 32768.0 if max(samples) >= 0.499 or min(samples) <= -0.499 else 1.0 / 65536.0
    cuts = boundaries(entry, rate) if entry.endswith(".m3u8") else [frames * k // 4 for k in (1, 2, 3)]
    windows = [(0, min(EDGE, frames))]
    for cut in cuts:
        windows.append((max(0, cut - AROUND // 2), AROUND))
    windows.append((max(0, frames - EDGE), min(EDGE, frames)))
    windows = [(s, min(n, frames - s)) for s, n in windows if s < frames]
    values = array.array("h")
    def put(frame):
        for c in range(channels):
            values.append(max(-32768, min(32767, round(samples[frame * channels + c] / scale))))
    for frame in range(0, frames, STRIDE):
        put(frame)
    for start, count in windows:
        for frame in range(start, start + count):
            put(frame)
    if sys.byteorder == "big":
        values.byteswap()
    path = f"ref/{name.replace('/', '-')}.bin"
    open(path, "wb").write(values.tobytes())
    out["reference"] = {"file": path, "scale_bits": 15 if scale == 1.0 / 32768.0 else 16, "stride": STRIDE, "windows": windows}
    print(f"{name:16} {frames:8} frames, {len(values) * 2:6} bytes of reference", file=sys.stderr)
    known[out["f32le_sha256"]] = out["reference"]
    fixtures.append(out)


M3U8, MP4, TS = "application/vnd.apple.mpegurl", "video/mp4", "video/mp2t"



def hls(name, container, codec, tolerance, folder=None, note="", pcm=None, master=None):
    folder = folder or f"hls/{name}"
    info = {"kind": "hls", "container": container, "codec": codec, "tolerance": tolerance, "content_type": M3U8,
            "master": master, "note": note}
    reference(name, f"{folder}/index.m3u8", info, pcm)


def single(name, container, codec, tolerance, content_type, note="", end=None):
    info = {"kind": "file", "container": container, "codec": codec, "tolerance": tolerance,
            "content_type": content_type, "master": None, "note": note}
    reference(name, f"file/{name}", info, end=end)


NO_EDIT = "no edit list: the encoder's 1024 frames of delay are part of the presentation, as ffmpeg gives them"
for rate in ("64k", "128k", "256k"):
    hls(f"aac4/{rate}", "fmp4", "aac", 1e-3, note=NO_EDIT, master="hls/aac4/master.m3u8")
hls("aac4/flac", "fmp4", "flac", 0, note="the sound of aac4, 1024 frames late as the AAC variants are", master="hls/aac4/master.m3u8")
for rate in ("64k", "128k", "256k"):
    hls(f"aac6/{rate}", "fmp4", "aac", 1e-3, note=NO_EDIT, master="hls/aac6/master.m3u8")
hls("ts-aac", "mpegts", "aac", 1e-3)
hls("ts-mp3", "mpegts", "mp3", 1e-4)
hls("packed-aac", "adts", "aac", 1e-3)
hls("packed-mp3", "mpa", "mp3", 1e-4)
hls("byterange", "fmp4", "aac", 1e-3, note=NO_EDIT)
hls("edit-list", "fmp4", "aac", 1e-3,
    note="the edit list presents from media time 1024 on (ISO 14496-12); tfdt begins at 1000 s, so nothing lies before that and nothing is trimmed, as ffmpeg gives it")
hls("aes-fmp4", "fmp4", "aac", 1e-3, note=NO_EDIT)
hls("aes-ts", "mpegts", "aac", 1e-3)
hls("discontinuity", "mpegts", "aac", 1e-3, note="timestamps start again after two segments")
tmp = sys.argv[1]
for part, names in (("aac", ("init.mp4", "seg0.m4s")), ("flac", ("flac.mp4", "flac0.m4s"))):
    with open(f"{tmp}/part-{part}.mp4", "wb") as out:
        for name in names:
            out.write(open(f"hls/codec-change/{name}", "rb").read())
hls("codec-change", "fmp4", "aac+flac", 1e-3, pcm=decode(f"{tmp}/part-aac.mp4") + decode(f"{tmp}/part-flac.mp4"),
    note="the reference is the decode of each side of the discontinuity, one after the other")
hls("alac", "fmp4", "alac", 0)
hls("mp3-fmp4", "fmp4", "mp3", 1e-4)
hls("opus", "fmp4", "opus", 1e-3)
TS_PRIVATE = "192-byte packets; the PMT calls the audio private data and does not say what it is"
SBR = ("spectral band replication that only the packets tell of; version 2 with parametric stereo. Above 5 kHz, where the band is "
       "replicated, ffmpeg and Fraunhofer's decoder agree in energy and not in phase; below, to 58 dB")
RESET = "timestamps begin anew in each segment without a discontinuity"
for name, container, codec, tolerance, note in (
        ("m2ts", "mpegts", "aac", 1e-3, TS_PRIVATE),
        ("ts-video", "mpegts", "aac", 1e-3, "a video PID beside the audio"),
        ("ts-wrap", "mpegts", "aac", 1e-3, "timestamps pass 2^33"),
        ("ts-rounded", "mpegts", "aac", 1e-3, "EXTINF rounded to whole seconds"),
        ("ts-tables", "mpegts", "aac", 1e-3, "PAT and PMT at each frame, other PIDs, null packets up to a constant rate"),
        ("ts-single", "mpegts", "aac", 1e-3, "one file by sub-ranges"),
        ("ts-mp3-22k", "mpegts", "mp3", 1e-4, "MPEG-2 layer III"),
        ("ts-mp2", "mpegts", "mp2", 1e-4, "layer II"),
        ("ts-noise", "mpegts", "aac", 1e-3, "noise that the decoder makes (PNS)"),
        ("ts-48k-mono", "mpegts", "aac", 1e-3, ""),
        ("fmp4-video", "fmp4", "aac", 1e-3, "a video track beside the audio"),
        ("fmp4-dash", "fmp4", "aac", 1e-3, "a sidx in each segment"),
        ("fmp4-frames", "fmp4", "aac", 1e-3, "a moof for each frame"),
        ("fmp4-offset", "fmp4", "aac", 1e-3, "media time begins at 1000.7 s"),
        ("fmp4-flac", "fmp4", "flac", 0, "ends with a segment that is a styp alone"),
        ("fmp4-alac-24", "fmp4", "alac", 0, "24 bits"),
        ("fmp4-mp3", "fmp4", "mp3", 1e-4, ""),
        ("fmp4-opus", "fmp4", "opus", 1e-3, "an edit list from 0, and a pre-skip, which is hidden; "
         "decoded by libopus, which is the specification (RFC 6716, 6): ffmpeg's own decoder resamples SILK otherwise"),
        ("ts-he-aac", "mpegts", "he-aac", 0.15, SBR),
        ("fmp4-he-aac", "fmp4", "he-aac", 0.15, SBR),
        ("ts-he-aac-v2", "mpegts", "he-aac", 0.15, SBR),
        ("fmp4-he-aac-v2", "fmp4", "he-aac", 0.15, SBR),
        ("bare-adts", "adts", "aac", 1e-3, "no ID3, no timestamps"),
        ("bare-mp3", "mpa", "mp3", 1e-4, "no ID3, no timestamps"),
        ("ts-reset", "mpegts", "aac", 1e-3, RESET)):
    pcm = decode(f"hls/wild-{name}/index.m3u8", decoder=("-c:a", "libopus")) if codec == "opus" else None
    hls(f"wild-{name}", container, codec, tolerance, note=note, pcm=pcm)
single("cbr.mp3", "mp3", "mp3", 1e-4, "audio/mpeg")
single("vbr.mp3", "mp3", "mp3", 1e-4, "audio/mpeg")
PADDED = "ends where the edit list and the sample table end it, without the encoder's padding, which ffmpeg plays"
single("faststart.m4a", "mp4", "aac", 1e-3, "audio/mp4", note=PADDED, end=441_309)
single("tail.m4a", "mp4", "aac", 1e-3, "audio/mp4", note="moov after mdat; " + PADDED, end=441_301)
single("adts.aac", "adts", "aac", 1e-3, "audio/aac")
single("vorbis.ogg", "ogg", "vorbis", 1e-4, "audio/ogg")
single("lossless.flac", "flac", "flac", 0, "audio/flac")
single("pcm16.wav", "wav", "pcm_s16le", 0, "audio/wav")

with open("media.json", "w") as out:
    rows = ",\n".join(json.dumps(f) for f in fixtures)
    out.write('{"fixtures": [\n' + rows + "\n]}\n")
files = sorted(os.path.join(d, f)[2:] for d, _, names in os.walk(".") for f in names
               if d.split(os.sep)[1:2] in (["hls"], ["file"], ["ref"]))


def text(value):
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def maybe(value):
    return f"Some({text(value)})" if value else "None"


def row(f):
    r = f["reference"]
    windows = ", ".join(f"({s}, {n})" for s, n in r["windows"])
    return f"""    Fixture {{
        name: {text(f["name"])},
        kind: Kind::{f["kind"].capitalize()},
        entry: {text(f["entry"])},
        master: {maybe(f["master"])},
        container: {text(f["container"])},
        codec: {text(f["codec"])},
        content_type: {text(f["content_type"])},
        sample_rate: {f["sample_rate"]},
        channels: {f["channels"]},
        frames: {f["frames"]},
        ffmpeg_frames: {f["ffmpeg_frames"]},
        note: {text(f["note"])},
        reference: Reference {{
            channels: {f["channels"]},
            frames: {f["frames"]},
            tolerance: {float(f["tolerance"])},
            f32le_sha256: {text(f["f32le_sha256"])},
            s16le_sha256: {maybe(f.get("s16le_sha256"))},
            scale_bits: {r["scale_bits"]},
            stride: {r["stride"]},
            windows: &[{windows}],
            probes: include_bytes!("../../media/{r["file"]}"),
        }},
    }},
"""


os.makedirs("../src/media", exist_ok=True)
with open("../src/media/embedded.rs", "w") as out:
    out.write("//! Written by `media/reference.py`: do not edit.\n\nuse super::{Fixture, Kind, Reference};\n\n")
    out.write("/// Every fixture file by its path below `media/`, sorted.\n#[rustfmt::skip]\n")
    out.write("pub(super) static FILES: &[(&str, &[u8])] = &[\n")
    for f in files:
        if not f.startswith("ref/"):
            out.write(f'    ("{f}", include_bytes!("../../media/{f}")),\n')
    out.write("];\n\n/// Every fixture with its reference, in the order of `media.json`.\n#[rustfmt::skip]\n")
    out.write("pub(super) static FIXTURES: &[Fixture] = &[\n" + "".join(row(f) for f in fixtures) + "];\n")
