#!/usr/bin/env bash
# Makes the Opus files of this folder and their references, which libopus decodes. Synthesised speech-like tones with noise.
#
#   crates/kithara-decode/tests/media/opus/make.sh        (a second; needs ffmpeg with libopus; made with 5.1.9)
set -euo pipefail
cd "$(dirname "$0")"
ff() { ffmpeg -nostdin -v error -y "$@"; }
make() { # name, samples, seconds, encoder options
    ff -f lavfi -i "aevalsrc=$2:s=48000:d=$3" -map_metadata -1 -fflags +bitexact -c:a libopus "${@:4}" "$1"
    ff -request_sample_fmt flt -c:a libopus -i "$1" -f f32le "${1%.*}.f32"
}
voice="0.3*sin(n*0.02+3*sin(n*0.0005))*(0.6+0.4*sin(n*0.001))+0.05*random(0)"
make silk.opus "$voice" 0.4 -application voip -b:a 12k
make hybrid.opus "$voice" 0.4 -application voip -b:a 32k -frame_duration 20
make celt.opus "$voice|0.3*sin(n*0.05)" 0.3 -application audio -b:a 96k -frame_duration 2.5
make long.opus "$voice" 0.4 -application voip -b:a 16k -frame_duration 60
make 51.opus "0.1*sin(n*0.01)|0.1*sin(n*0.02)|0.1*sin(n*0.03)|0.1*sin(n*0.005)|0.1*sin(n*0.05)|0.1*sin(n*0.06):c=5.1" 0.1 \
    -mapping_family 1 -b:a 256k
make web.webm "$voice|0.3*sin(n*0.05)" 0.3 -application audio -b:a 96k
make mp4.mp4 "$voice|0.3*sin(n*0.05)" 0.3 -application audio -b:a 96k
