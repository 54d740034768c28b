#!/usr/bin/env bash
# Makes the AU, W64 and AIFF files, and beside each what ffmpeg decodes it to (f32, little-endian):
#
#   crates/kithara-decode/tests/media/make.sh        (a second; needs ffmpeg; made with 5.1.9)
set -euo pipefail
cd "$(dirname "$0")"
rm -rf raw
mkdir raw
ff() { ffmpeg -nostdin -v error -y "$@"; }
# 248 frames: where a chunk of W64 ends with padding, ffmpeg plays that too.
noise="aevalsrc=0.8*sin(n*n/900)|0.7*cos(n*n/1100):s=22050:d=0.0112472"
for format in au:s8 au:s16be au:s24be au:s32be au:f32be au:f64be au:alaw au:mulaw \
    w64:u8 w64:s16le w64:s24le w64:s32le w64:f32le w64:f64le w64:alaw w64:mulaw \
    aiff:s8 aiff:s16be aiff:s16le aiff:s24be aiff:s32be aiff:f32be aiff:f64be aiff:alaw aiff:mulaw; do
    container=${format%:*} codec=${format#*:}
    ff -f lavfi -i "$noise" -map_metadata -1 -fflags +bitexact -c:a "pcm_$codec" "raw/$codec.$container"
    ff -i "raw/$codec.$container" -f f32le "raw/$codec.$container.f32"
done
