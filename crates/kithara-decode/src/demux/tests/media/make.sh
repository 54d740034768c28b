#!/bin/sh
# Makes the small media beside this script, and what ffprobe says of their packets. Needs ffmpeg 5.1 or later.
set -eu
cd "$(dirname "$0")"
tone="sine=frequency=440:sample_rate=44100:duration=1"
run() { ffmpeg -v error -y -fflags +bitexact -f lavfi -i "$tone" -flags +bitexact -fflags +bitexact "$@"; }
hls="-f hls -hls_time 0.5 -hls_playlist_type vod -hls_segment_type"

run -c:a aac -b:a 24k $hls fmp4 -hls_fmp4_init_filename aac-init.mp4 -hls_segment_filename 'aac-%d.m4s' aac.m3u8
run -c:a aac -b:a 24k $hls mpegts -hls_segment_filename 'aac-%d.ts' aac-ts.m3u8
run -c:a libmp3lame -b:a 32k -ar 22050 $hls mpegts -hls_segment_filename 'mp3-%d.ts' mp3-ts.m3u8
run -c:a aac -b:a 24k -movflags frag_keyframe+empty_moov -frag_duration 300000 aac-absolute.mp4
run -c:a aac -b:a 24k aac-end.m4a
run -c:a libmp3lame -b:a 32k -ar 22050 tone.mp3

# One line per packet: pts, size, checksum.
list() { # name, options and input of ffprobe
    name=$1; shift
    ffprobe -v error -select_streams a:0 -show_packets -show_data_hash adler32 \
        -show_entries packet=pts,size,data_hash -of default=nw=1:nk=0 "$@" |
        sed -n 's/^pts=//p; s/^size=//p; s/^data_hash=adler32://p' | paste -d, - - - > "$name.csv"
}
list aac aac.m3u8
list mp3-ts mp3-ts.m3u8
list aac-absolute -ignore_editlist 1 aac-absolute.mp4
list aac-end -ignore_editlist 1 aac-end.m4a
list tone tone.mp3
rm -f ./*.m3u8
