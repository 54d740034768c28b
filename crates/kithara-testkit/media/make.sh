#!/usr/bin/env bash
# Makes every media fixture of the testkit, from synthesis to reference decode:
#
#   crates/kithara-testkit/media/make.sh        (about a minute; needs ffmpeg, lame, flac, openssl, python3)
#
# The results are committed, so that no test needs these tools. Everything is deterministic for one version of
# them; made with ffmpeg 5.1.9, lame 3.100, flac 1.4.2. `media.json` and `../src/media/embedded.rs` are written last.
#
# PNS (noise substitution) is off in AAC: a decoder fills it with random numbers, so that no two would agree.
set -euo pipefail
cd "$(dirname "$0")"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
exact=(-map_metadata -1 -fflags +bitexact -flags +bitexact)
ff() { ffmpeg -nostdin -v error -y "$@"; }
package() { python3 package.py "$@"; }
aac() { ff -i "$1" -c:a aac -aac_pns 0 -b:a "$2" "${exact[@]}" "$3"; }      # IN RATE OUT
flac_mp4() { ff -i "$1" -c:a flac -strict -2 -frame_size 1024 -compression_level 12 "${exact[@]}" "$2"; }

rm -rf hls file ref media.json
mkdir -p hls file ref

# 33.1 s: neither a multiple of 1024 frames nor of 4 s; then three shorter pieces, each another music.
python3 synth.py "$tmp/long.wav" 1460301
python3 synth.py "$tmp/short.wav" 310211 44100 7
python3 synth.py "$tmp/file.wav" 441301 44100 11
python3 synth.py "$tmp/bits.wav" 110347 44100 13
# An AAC track without an edit list sounds 1024 frames (the encoder's delay) late: so does the FLAC variant.
python3 - "$tmp/long.wav" "$tmp/late.wav" <<'PY'
import sys, wave
with wave.open(sys.argv[1]) as r, wave.open(sys.argv[2], "wb") as w:
    w.setparams(r.getparams())
    w.writeframes(bytes(4 * 1024) + r.readframes(r.getnframes()))
PY

# The main presentation: three AAC variants and FLAC, cut at the same frames, one moof per segment.
for rate in 64k 128k 256k; do
    aac "$tmp/long.wav" $rate "$tmp/$rate.mp4"
    package fmp4 "$tmp/$rate.mp4" hls/aac4/$rate 4 --grid 1024
done
flac_mp4 "$tmp/late.wav" "$tmp/late.mp4"
package fmp4 "$tmp/late.mp4" hls/aac4/flac 4 --grid 1024
package master hls/aac4/master.m3u8 64k:mp4a.40.2 128k:mp4a.40.2 256k:mp4a.40.2 flac:fLaC

# ffmpeg's own packager and its habits.
hls() { # IN OUTDIR SECONDS TYPE(fmp4|mpegts) EXTENSION ENCODER...
    local input=$1 out=$2 seconds=$3 type=$4 extension=$5
    shift 5
    mkdir -p "$out"
    ff -i "$input" "$@" "${exact[@]}" -f hls -hls_time "$seconds" -hls_playlist_type vod -hls_segment_type "$type" \
        -hls_fmp4_init_filename init.mp4 -hls_segment_filename "$out/seg%d.$extension" "$out/index.m3u8"
}
for rate in 64k 128k 256k; do
    hls "$tmp/long.wav" hls/aac6/$rate 6 fmp4 m4s -c:a aac -aac_pns 0 -b:a $rate
done
package master hls/aac6/master.m3u8 64k:mp4a.40.2 128k:mp4a.40.2 256k:mp4a.40.2
hls "$tmp/short.wav" hls/ts-aac 3 mpegts ts -c:a aac -aac_pns 0 -b:a 64k
hls "$tmp/short.wav" hls/ts-mp3 3 mpegts ts -c:a libmp3lame -b:a 64k -reservoir 1

# Packed audio with ID3 timestamps (that wrap at 2^33 in the MP3).
aac "$tmp/short.wav" 64k "$tmp/short.aac"
package packed "$tmp/short.aac" hls/packed-aac 3 aac 900000
lame --quiet -t -b 64 --cbr --resample 44.1 "$tmp/short.wav" "$tmp/short.mp3"
package packed "$tmp/short.mp3" hls/packed-mp3 3 mp3 $(((1 << 33) - 180000))

# One file by sub-ranges; an edit list, with tracks that begin late and two moofs per segment.
aac "$tmp/short.wav" 64k "$tmp/short.mp4"
package fmp4 "$tmp/short.mp4" hls/byterange 3 --grid 1024 --single
package fmp4 "$tmp/short.mp4" hls/edit-list 3 --grid 1024 --delay 1024 --moofs 2 --start 44100000

# AES-128. fMP4 with one key and an explicit IV (the init section stays clear).
key0=000102030405060708090a0b0c0d0e0f key1=f0e0d0c0b0a090807060504030201000 iv=9c7db8778570d05c3177c349fd9236aa
encrypt() { openssl enc -aes-128-cbc -K "$1" -iv "$2" -in "$3" -out "$4"; }
mkdir -p hls/aes-fmp4 hls/aes-ts
package fmp4 "$tmp/short.mp4" "$tmp/clear" 3 --grid 1024
cp "$tmp/clear/init.mp4" hls/aes-fmp4/
for segment in "$tmp"/clear/seg*.m4s; do encrypt $key0 $iv "$segment" "hls/aes-fmp4/$(basename "$segment")"; done
sed "s|^#EXT-X-MAP.*|&\n#EXT-X-KEY:METHOD=AES-128,URI=\"key.bin\",IV=0x$iv|" "$tmp/clear/index.m3u8" >hls/aes-fmp4/index.m3u8
printf '%s' $key0 | xxd -r -p >hls/aes-fmp4/key.bin
# TS whose IV is the media sequence number (from 7), a second key for the second segment, the last one clear.
encrypt $key0 "$(printf %032x 7)" hls/ts-aac/seg0.ts hls/aes-ts/seg0.ts
encrypt $key1 "$(printf %032x 8)" hls/ts-aac/seg1.ts hls/aes-ts/seg1.ts
cp hls/ts-aac/seg2.ts hls/aes-ts/
printf '%s' $key0 | xxd -r -p >hls/aes-ts/key0.bin
printf '%s' $key1 | xxd -r -p >hls/aes-ts/key1.bin
python3 - <<'PY'
text = open("hls/ts-aac/index.m3u8").read().replace("MEDIA-SEQUENCE:0", "MEDIA-SEQUENCE:7")
keys = ['METHOD=AES-128,URI="key0.bin"', 'METHOD=AES-128,URI="key1.bin"', "METHOD=NONE"]
out, n = [], 0
for line in text.splitlines():
    if line.startswith("#EXTINF"):
        out, n = out + ["#EXT-X-KEY:" + keys[n]], n + 1
    out.append(line)
open("hls/aes-ts/index.m3u8", "w").write("\n".join(out) + "\n")
PY

# Discontinuities: TS whose timestamps start again, and fMP4 that goes from AAC to FLAC with another init section.
mkdir -p hls/discontinuity hls/codec-change
hls "$tmp/bits.wav" "$tmp/second" 3 mpegts ts -c:a aac -aac_pns 0 -b:a 64k
cp hls/ts-aac/seg0.ts hls/ts-aac/seg1.ts hls/discontinuity/
cp "$tmp/second/seg0.ts" hls/discontinuity/other.ts
flac_mp4 "$tmp/bits.wav" "$tmp/bits.mp4"
package fmp4 "$tmp/bits.mp4" "$tmp/third" 3 --grid 1024
cp "$tmp/clear/init.mp4" "$tmp/clear/seg0.m4s" hls/codec-change/
cp "$tmp/third/init.mp4" hls/codec-change/flac.mp4
cp "$tmp/third/seg0.m4s" hls/codec-change/flac0.m4s
python3 - "$tmp" <<'PY'
import sys
def times(path):
    return [l.split(":")[1].rstrip(",") for l in open(path) if l.startswith("#EXTINF")]
head = "#EXTM3U\n#EXT-X-VERSION:{}\n#EXT-X-TARGETDURATION:3\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:VOD\n"
tmp, a = sys.argv[1], lambda t: t.strip().rstrip(",")
ts, other = times("hls/ts-aac/index.m3u8"), times(f"{tmp}/second/index.m3u8")
open("hls/discontinuity/index.m3u8", "w").write(head.format(3) +
    f"#EXTINF:{a(ts[0])},\nseg0.ts\n#EXTINF:{a(ts[1])},\nseg1.ts\n#EXT-X-DISCONTINUITY\n#EXTINF:{a(other[0])},\nother.ts\n#EXT-X-ENDLIST\n")
clear, third = times(f"{tmp}/clear/index.m3u8"), times(f"{tmp}/third/index.m3u8")
open("hls/codec-change/index.m3u8", "w").write(head.format(7) +
    f'#EXT-X-MAP:URI="init.mp4"\n#EXTINF:{a(clear[0])},\nseg0.m4s\n#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI="flac.mp4"\n'
    f"#EXTINF:{a(third[0])},\nflac0.m4s\n#EXT-X-ENDLIST\n")
PY

# Other codecs in fragmented MP4, short. Opus has its own rate.
ff -i "$tmp/bits.wav" -t 0.9 -c:a alac "${exact[@]}" "$tmp/alac.mp4"
package fmp4 "$tmp/alac.mp4" hls/alac 0.5
ff -i "$tmp/bits.wav" -t 1.2 -c:a libmp3lame -b:a 64k "${exact[@]}" "$tmp/mp3.mp4"
package fmp4 "$tmp/mp3.mp4" hls/mp3-fmp4 0.6
ff -i "$tmp/bits.wav" -t 1.2 -ar 48000 -c:a libopus -b:a 64k "${exact[@]}" "$tmp/opus.mp4"
package fmp4 "$tmp/opus.mp4" hls/opus 0.6

# Presentations as they are in the wild.
. ./habits.sh

# Single files.
lame --quiet -b 128 --cbr --tt "Kithara" --add-id3v2 "$tmp/file.wav" file/cbr.mp3
lame --quiet -V 5 "$tmp/file.wav" file/vbr.mp3
aac "$tmp/file.wav" 64k "$tmp/file.m4a"
ff -i "$tmp/file.m4a" -c copy "${exact[@]}" -movflags +faststart file/faststart.m4a
cp "$tmp/file.m4a" file/tail.m4a
aac "$tmp/file.wav" 64k file/adts.aac
oggenc --quiet -q 1 --serial 1 -o file/vorbis.ogg "$tmp/file.wav"
flac -8 -s -f --no-padding "$tmp/short.wav" -o file/lossless.flac
cp "$tmp/bits.wav" file/pcm16.wav

python3 reference.py "$tmp"
find . -type f -printf '%s\n' | awk '{ s += $1 } END { print s " bytes in all"; exit s >= 9000000 }'
