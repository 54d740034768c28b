#!/usr/bin/env bash
# Makes the small files of this folder that cannot be made by changing bytes of others in the tests. t1000.ogg and
# sil.ogg were made with oggenc: 1,000 frames of a 440 Hz tone (mono), 3 s of silence (stereo), one page of audio each.
#
#   crates/kithara-decode/tests/media/odd/make.sh        (a second; needs ffmpeg and flac; made with 5.1.9 and 1.4.2)
set -euo pipefail
cd "$(dirname "$0")"
ff() { ffmpeg -nostdin -v error -y "$@"; }
tone="aevalsrc=0.5*sin(n*n/9000)|0.4*cos(n*n/7000):s=24000:d=0.5"
ff -f lavfi -i "$tone" -map_metadata -1 -fflags +bitexact -sample_fmt s16 -compression_level 5 24k.flac
for container in aiff caf mov; do
    ff -f lavfi -i "aevalsrc=0.5*sin(n*0.07)|0.4*cos(n*0.05):s=22050:d=0.25" -map_metadata -1 -fflags +bitexact \
        -c:a adpcm_ima_qt "ima4.$container"
done
ff -i ima4.mov -f f32le ima4.f32
