#!/usr/bin/env python3
"""Packages one encoded track as HLS: fragmented MP4 with an edit list, or packed audio with ID3 timestamps.

Where ffmpeg's own `-f hls` is enough it is used; this writes what it cannot: segments of several encodings cut at
the same *presentation* time, an edit list that says where the sound begins, sub-ranges with a sidx, and ID3.

usage: package.py fmp4 IN.mp4 OUTDIR SECONDS [--delay FRAMES] [--grid FRAMES] [--moofs N] [--start FRAMES]
       package.py packed IN.(aac|mp3) OUTDIR SECONDS EXT START_90KHZ
       package.py master OUT.m3u8 NAME:CODECS:SUBDIR ...
"""
import argparse, os, re, struct, sys


def boxes(data, at=0, end=None):
    end = len(data) if end is None else end
    while at + 8 <= end:
        size, kind = struct.unpack(">I4s", data[at:at + 8])
        head = 8
        if size == 1:
            size, head = struct.unpack(">Q", data[at + 8:at + 16])[0], 16
        yield kind.decode("latin1"), at + head, at + size
        at += size


def find(data, path, at=0, end=None):
    for kind, start, stop in boxes(data, at, end):
        if kind == path[0]:
            return (start, stop) if len(path) == 1 else find(data, path[1:], start, stop)
    raise SystemExit(f"no box {path}")


def box(kind, *parts):
    body = b"".join(parts)
    return struct.pack(">I4s", 8 + len(body), kind.encode()) + body


def full(kind, version, flags, *parts):
    return box(kind, struct.pack(">I", version << 24 | flags), *parts)


class Track:
    """The only track of a progressive MP4: sample entry, time scale, and each sample with its duration."""

    def __init__(self, path):
        data = open(path, "rb").read()
        media = ["moov", "trak", "mdia"]
        start, _ = find(data, media + ["mdhd"])
        self.timescale = struct.unpack(">I", data[start + 12:start + 16])[0]
        table = media + ["minf", "stbl"]
        start, stop = find(data, table + ["stsd"])
        self.stsd = box("stsd", data[start:stop])
        start, _ = find(data, table + ["stsz"])
        same, count = struct.unpack(">II", data[start + 4:start + 12])
        sizes = [same] * count if same else struct.unpack(f">{count}I", data[start + 12:start + 12 + 4 * count])
        start, _ = find(data, table + ["stco"])
        n = struct.unpack(">I", data[start + 4:start + 8])[0]
        offsets = struct.unpack(f">{n}I", data[start + 8:start + 8 + 4 * n])
        start, _ = find(data, table + ["stsc"])
        n = struct.unpack(">I", data[start + 4:start + 8])[0]
        runs = [struct.unpack(">III", data[start + 8 + 12 * i:start + 20 + 12 * i]) for i in range(n)]
        start, _ = find(data, table + ["stts"])
        n = struct.unpack(">I", data[start + 4:start + 8])[0]
        durations = []
        for i in range(n):
            repeat, each = struct.unpack(">II", data[start + 8 + 8 * i:start + 16 + 8 * i])
            durations += [each] * repeat
        self.samples, index = [], 0
        for chunk, offset in enumerate(offsets, 1):
            per = [r[1] for r in runs if r[0] <= chunk][-1]
            for _ in range(per):
                if index < count:
                    self.samples.append((data[offset:offset + sizes[index]], durations[index]))
                    offset, index = offset + sizes[index], index + 1
        if index != count:
            raise SystemExit("sample table does not add up")

    def init(self, delay):
        matrix = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
        mvhd = full("mvhd", 0, 0, struct.pack(">IIIIIH10x", 0, 0, 1000, 0, 0x10000, 0x100), matrix, bytes(24), struct.pack(">I", 2))
        tkhd = full("tkhd", 0, 7, struct.pack(">IIIII8xHHHH", 0, 0, 1, 0, 0, 0, 1, 0x100, 0), matrix, bytes(8))
        edts = box("edts", full("elst", 0, 0, struct.pack(">IIiI", 1, 0, delay, 0x10000))) if delay else b""
        mdhd = full("mdhd", 0, 0, struct.pack(">IIIIHH", 0, 0, self.timescale, 0, 0x55C4, 0))
        hdlr = full("hdlr", 0, 0, bytes(4), b"soun", bytes(12), b"SoundHandler\0")
        dinf = box("dinf", full("dref", 0, 0, struct.pack(">I", 1), full("url ", 0, 1)))
        empty = [full("stts", 0, 0, bytes(4)), full("stsc", 0, 0, bytes(4)), full("stsz", 0, 0, bytes(8)), full("stco", 0, 0, bytes(4))]
        minf = box("minf", full("smhd", 0, 0, bytes(4)), dinf, box("stbl", self.stsd, *empty))
        trak = box("trak", tkhd, edts, box("mdia", mdhd, hdlr, minf))
        trex = full("trex", 0, 0, struct.pack(">IIIII", 1, 1, 0, 0, 0))
        return box("ftyp", b"iso6\0\0\0\1iso6mp41dash") + box("moov", mvhd, trak, box("mvex", trex))

    def fragment(self, sequence, time, samples):
        default = samples[0][1]
        even = all(d == default for _, d in samples)
        def trun(offset):
            flags = 0x201 if even else 0x301
            rows = [struct.pack(">I", len(s)) if even else struct.pack(">II", d, len(s)) for s, d in samples]
            return full("trun", 0, flags, struct.pack(">Ii", len(samples), offset), *rows)
        def moof(offset):
            tfhd = full("tfhd", 0, 0x020028, struct.pack(">III", 1, default, 0x02000000))
            tfdt = full("tfdt", 1, 0, struct.pack(">Q", time))
            return box("moof", full("mfhd", 0, 0, struct.pack(">I", sequence)), box("traf", tfhd, tfdt, trun(offset)))
        return moof(len(moof(0)) + 8) + box("mdat", *[s for s, _ in samples])


def fmp4(args):
    track = Track(args.input)
    os.makedirs(args.out, exist_ok=True)
    open(f"{args.out}/init.mp4", "wb").write(track.init(args.delay))
    # A cut is the last multiple of the grid at or before n × SECONDS, in presentation frames.
    segments, current, time, cut = [], [], 0, 1
    for data, duration in track.samples:
        limit = int(cut * args.seconds * track.timescale) // args.grid * args.grid
        if time - args.delay >= limit and current:
            segments.append(current)
            current, cut = [], cut + 1
        current.append((time, data, duration))
        time += duration
    segments.append(current)
    lines, sequence, offset = [], 1, 0
    whole = open(f"{args.out}/media.mp4", "wb") if args.single else None
    if whole:
        whole.write(track.init(args.delay))
        offset = whole.tell()
    for n, segment in enumerate(segments):
        body = box("styp", b"msdh\0\0\0\0msdhmsix")
        step = -(-len(segment) // args.moofs)
        for i in range(0, len(segment), step):
            part = segment[i:i + step]
            body += track.fragment(sequence, part[0][0] + args.start, [(d, t) for _, d, t in part])
            sequence += 1
        start = max(segment[0][0], args.delay)
        seconds = (segment[-1][0] + segment[-1][2] - start) / track.timescale
        lines.append((f"{seconds:.6f}", len(body)))
        if whole:
            whole.write(body)
        else:
            open(f"{args.out}/seg{n}.m4s", "wb").write(body)
    target = max(int(float(s) + 0.5) for s, _ in lines)
    out = ["#EXTM3U", "#EXT-X-VERSION:7", f"#EXT-X-TARGETDURATION:{target}", "#EXT-X-MEDIA-SEQUENCE:0",
           "#EXT-X-PLAYLIST-TYPE:VOD", "#EXT-X-INDEPENDENT-SEGMENTS"]
    if whole:
        out += [f'#EXT-X-MAP:URI="media.mp4",BYTERANGE="{offset}@0"']
        os.remove(f"{args.out}/init.mp4")
    else:
        out += ['#EXT-X-MAP:URI="init.mp4"']
    for n, (seconds, size) in enumerate(lines):
        if whole:
            # The offset is left out where it follows the previous sub-range, as packagers do.
            out += [f"#EXTINF:{seconds},", f"#EXT-X-BYTERANGE:{size}" + (f"@{offset}" if n == 0 else ""), "media.mp4"]
        else:
            out += [f"#EXTINF:{seconds},", f"seg{n}.m4s"]
    open(f"{args.out}/index.m3u8", "w").write("\n".join(out + ["#EXT-X-ENDLIST", ""]))


def frames_of(data, mpeg):
    """Frames of an ADTS or MPEG audio (layer III) stream, with their length in samples."""
    at = 0
    while at + 7 <= len(data):
        if mpeg:
            word = struct.unpack(">I", data[at:at + 4])[0]
            version, bitrate, rate, pad = word >> 19 & 3, word >> 12 & 15, word >> 10 & 3, word >> 9 & 1
            if version != 3:
                raise SystemExit("MPEG-1 layer III only")
            kbps = [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320][bitrate]
            size, samples = 144000 * kbps // [44100, 48000, 32000][rate] + pad, 1152
        else:
            size, samples = struct.unpack(">I", data[at + 3:at + 7])[0] >> 13 & 0x1FFF, 1024
        yield data[at:at + size], samples
        at += size


def packed(args):
    data = open(args.input, "rb").read()
    os.makedirs(args.out, exist_ok=True)
    rate, time, begun, cut, current, lines = 44100, 0, 0, 1, b"", []
    def close(upto):
        stamp = (args.start + begun * 90000 // rate) & 0x1FFFFFFFF
        priv = b"com.apple.streaming.transportStreamTimestamp\0" + struct.pack(">Q", stamp)
        frame = b"PRIV" + struct.pack(">IH", len(priv), 0) + priv
        tag = b"ID3\x04\0\0" + bytes([0, 0, len(frame) >> 7 & 0x7F, len(frame) & 0x7F]) + frame
        open(f"{args.out}/seg{len(lines)}.{args.ext}", "wb").write(tag + current)
        lines.append(f"{(upto - begun) / rate:.6f}")
    for frame, samples in frames_of(data, args.ext == "mp3"):
        if time >= cut * args.seconds * rate:
            close(time)
            begun, current, cut = time, b"", cut + 1
        current, time = current + frame, time + samples
    close(time)
    target = max(int(float(s) + 0.5) for s in lines)
    out = ["#EXTM3U", "#EXT-X-VERSION:3", f"#EXT-X-TARGETDURATION:{target}", "#EXT-X-MEDIA-SEQUENCE:0", "#EXT-X-PLAYLIST-TYPE:VOD"]
    for n, seconds in enumerate(lines):
        out += [f"#EXTINF:{seconds},", f"seg{n}.{args.ext}"]
    open(f"{args.out}/index.m3u8", "w").write("\n".join(out + ["#EXT-X-ENDLIST", ""]))


def master(args):
    base, out = os.path.dirname(args.out), ["#EXTM3U", "#EXT-X-VERSION:7", "#EXT-X-INDEPENDENT-SEGMENTS"]
    for entry in args.variants:
        folder, codecs = entry.split(":")
        text = open(f"{base}/{folder}/index.m3u8").read()
        parts = re.findall(r"#EXTINF:([\d.]+),\n(\S+)", text)
        bits = [(8 * os.path.getsize(f"{base}/{folder}/{name}"), float(s)) for s, name in parts]
        # A closing segment shorter than half the target duration does not set the peak (RFC 8216, 4.4.6.2).
        longest = max(s for _, s in bits)
        peak = max(int(b / s) for b, s in bits if s >= longest / 2)
        mean = int(sum(b for b, _ in bits) / sum(s for _, s in bits))
        out += [f'#EXT-X-STREAM-INF:BANDWIDTH={peak},AVERAGE-BANDWIDTH={mean},CODECS="{codecs}"', f"{folder}/index.m3u8"]
    open(args.out, "w").write("\n".join(out + [""]))


parser = argparse.ArgumentParser()
commands = parser.add_subparsers(required=True)
p = commands.add_parser("fmp4")
p.add_argument("input"), p.add_argument("out"), p.add_argument("seconds", type=float)
p.add_argument("--delay", type=int, default=0), p.add_argument("--grid", type=int, default=1)
p.add_argument("--moofs", type=int, default=1), p.add_argument("--start", type=int, default=0)
p.add_argument("--single", action="store_true"), p.set_defaults(run=fmp4)
p = commands.add_parser("packed")
p.add_argument("input"), p.add_argument("out"), p.add_argument("seconds", type=float)
p.add_argument("ext"), p.add_argument("start", type=int), p.set_defaults(run=packed)
p = commands.add_parser("master")
p.add_argument("out"), p.add_argument("variants", nargs="+"), p.set_defaults(run=master)
args = parser.parse_args()
args.run(args)
