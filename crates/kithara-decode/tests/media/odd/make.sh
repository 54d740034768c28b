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

# Joined files whose channels change: mono and stereo, one second each, another tone in each part.
part() { ff -f lavfi -i "aevalsrc=$1:s=44100:d=1" -map_metadata -1 -fflags +bitexact "${@:2}"; }
temp=$(mktemp -d)
part "0.4*sin(n*0.05)" -b:a 64k -write_xing 0 -id3v2_version 0 "$temp/mono.mp3"
part "0.4*sin(n*0.03)|0.3*sin(n*0.04)" -b:a 96k -write_xing 0 -id3v2_version 0 "$temp/stereo.mp3"
cat "$temp/mono.mp3" "$temp/stereo.mp3" > m2s.mp3
cat "$temp/stereo.mp3" "$temp/mono.mp3" "$temp/stereo.mp3" > s2m2s.mp3
part "0.4*sin(n*0.05)" -c:a aac -b:a 48k "$temp/mono.m4a"
part "0.4*sin(n*0.03)|0.3*sin(n*0.04)" -c:a aac -b:a 64k "$temp/stereo.m4a"
for order in mono:stereo stereo:mono; do
    printf "file '%s.m4a'\nfile '%s.m4a'\n" "${order%:*}" "${order#*:}" > "$temp/list"
    ff -f concat -safe 0 -i "$temp/list" -c copy -map_metadata -1 -fflags +bitexact "${order%:*}-${order#*:}.m4a"
done
# 5.1 with sound in the centre alone, and in front left alone.
ff -f lavfi -i "aevalsrc=0|0|0.5*sin(n*0.05)|0|0|0:s=44100:d=0.5:c=5.1" -map_metadata -1 -fflags +bitexact centre.flac
ff -f lavfi -i "aevalsrc=0.1*sin(n*0.01)|0.1*sin(n*0.02)|0.1*sin(n*0.03)|0.1*sin(n*0.04)|0.1*sin(n*0.05)|0.1*sin(n*0.06):s=44100:d=0.3:c=5.1" \
    -map_metadata -1 -fflags +bitexact -c:a alac order.m4a
ff -f lavfi -i "aevalsrc=0|0|0.5*sin(n*0.05)|0|0|0:s=44100:d=0.2:c=5.1(side)" -map_metadata -1 -fflags +bitexact centre-side.wav
rm -r "$temp"
