# Sourced by make.sh: short presentations as packagers in the wild write them, by flags of ffmpeg that the main ones do
# without, and what we must refuse by name. Mono or small, a few seconds each.
#
# `ff`, `exact`, `tmp` come from make.sh.

python3 synth.py "$tmp/wild44.wav" 176519 44100 17   # 4.003 s
python3 synth.py "$tmp/wild48.wav" 144127 48000 19   # 3.003 s
python3 synth.py "$tmp/wild22.wav" 66179 22050 23    # 3.001 s
# Noise first, which ffmpeg's encoder replaces by numbers of a noise generator (PNS).
ff -f lavfi -i "anoisesrc=d=3:r=44100:c=white:a=0.2:seed=5" -ac 1 "$tmp/noise.wav"
aac_mono=(-ac 1 -c:a aac -aac_pns 0 -b:a 40k)
video=(-f lavfi -i "color=c=gray:s=32x32:r=5:d=4.1")
x264=(-c:v libx264 -preset ultrafast -threads 1 -g 10 -crf 51 -pix_fmt yuv420p)

wild() { # NAME SECONDS EXTENSION ARGS... (inputs and encoders first, then options of the hls muxer)
    local out=hls/wild-$1 seconds=$2 extension=$3
    shift 3
    mkdir -p "$out"
    (cd "$out" && ff "$@" "${exact[@]}" -f hls -hls_time "$seconds" -hls_list_size 0 -hls_playlist_type vod \
        -hls_fmp4_init_filename init.mp4 -hls_segment_filename "seg%d.$extension" index.m3u8)
}
fmp4=(-hls_segment_type fmp4)
# MPEG-TS: packets of 192 bytes with the audio as private data; a video PID; timestamps that wrap; durations rounded to
# seconds; tables and stuffing all the time; one file by sub-ranges; low sample rates.
wild m2ts 1.5 ts -i "$tmp/wild44.wav" "${aac_mono[@]}" -hls_segment_options mpegts_m2ts_mode=1
wild ts-video 1.5 ts "${video[@]}" -i "$tmp/wild44.wav" "${x264[@]}" "${aac_mono[@]}" -shortest
wild ts-wrap 1.5 ts -i "$tmp/wild44.wav" "${aac_mono[@]}" -output_ts_offset 95441.2
wild ts-rounded 1.3 ts -i "$tmp/wild44.wav" "${aac_mono[@]}" -hls_flags round_durations
wild ts-tables 1.5 ts -i "$tmp/wild44.wav" "${aac_mono[@]}" \
    -hls_segment_options "mpegts_flags=resend_headers+pat_pmt_at_frames:pat_period=0.1:mpegts_pmt_start_pid=500:mpegts_start_pid=837:muxrate=130000"
wild ts-single 1.5 ts -i "$tmp/wild44.wav" "${aac_mono[@]}" -hls_flags single_file
wild ts-mp3-22k 1.5 ts -i "$tmp/wild22.wav" -ac 1 -c:a libmp3lame -b:a 32k
wild ts-mp2 1.5 ts -i "$tmp/wild44.wav" -t 1.6 -ac 1 -c:a mp2 -b:a 64k
wild ts-noise 1.5 ts -i "$tmp/noise.wav" -ac 1 -c:a aac -b:a 40k
wild ts-48k-mono 1.5 ts -i "$tmp/wild48.wav" "${aac_mono[@]}"
# Fragmented MP4: video beside it, an index (sidx) per segment, a fragment for each frame, a producer's clock (prft), a
# track that does not begin at 0, FLAC whose last segment is a styp alone, 24 bits.
wild fmp4-video 1.5 m4s "${video[@]}" -i "$tmp/wild44.wav" "${x264[@]}" "${aac_mono[@]}" -shortest "${fmp4[@]}"
wild fmp4-dash 1.5 m4s -i "$tmp/wild44.wav" "${aac_mono[@]}" "${fmp4[@]}" -hls_segment_options movflags=+dash
wild fmp4-frames 1.5 m4s -i "$tmp/wild48.wav" "${aac_mono[@]}" "${fmp4[@]}" -movflags +frag_every_frame
wild fmp4-offset 1.5 m4s -i "$tmp/wild44.wav" "${aac_mono[@]}" "${fmp4[@]}" -output_ts_offset 1000.7
wild fmp4-flac 1 m4s -i "$tmp/wild22.wav" -t 2.3 -ac 1 -c:a flac -strict -2 "${fmp4[@]}"
wild fmp4-alac-24 0.5 m4s -i "$tmp/wild22.wav" -t 1.1 -ac 1 -c:a alac -sample_fmt s32p "${fmp4[@]}"
wild fmp4-mp3 1.5 m4s -i "$tmp/wild48.wav" -ac 1 -c:a libmp3lame -b:a 40k "${fmp4[@]}"
# Opus with an edit list that begins at 0 beside a pre-skip of 312 frames.
wild fmp4-opus 1 m4s -i "$tmp/wild48.wav" -t 1.7 -ac 1 -c:a libopus -b:a 32k "${fmp4[@]}"
# HE-AAC, both versions, signalled by nothing but the bits of its packets. ffmpeg has no encoder for it: source/ holds what
# libfdk-aac's made of wild44.wav (AOT 5 at 32 kbit/s, AOT 29 at 24 kbit/s).
for version in he-aac he-aac-v2; do
    wild ts-$version 1.5 ts -i ../../source/$version.aac -c copy
    wild fmp4-$version 1.5 m4s -i ../../source/$version.aac -c copy -bsf:a aac_adtstoasc "${fmp4[@]}"
done
# ffmpeg's segment muxer: bare ADTS and MP3 without timestamps, TS whose timestamps begin anew in each.
segments() { # NAME FORMAT EXTENSION ARGS...
    local out=hls/wild-$1 format=$2 extension=$3
    shift 3
    mkdir -p "$out"
    (cd "$out" && ff "$@" "${exact[@]}" -f segment -segment_time 1.5 -segment_format "$format" -segment_list index.m3u8 \
        -segment_list_type m3u8 -write_xing 0 "seg%d.$extension")
}
segments bare-adts adts aac -i "$tmp/wild44.wav" "${aac_mono[@]}"
segments bare-mp3 mp3 mp3 -i "$tmp/wild48.wav" -ac 1 -c:a libmp3lame -b:a 40k
segments ts-reset mpegts ts -i "$tmp/wild44.wav" "${aac_mono[@]}" -reset_timestamps 1
# What cannot be decoded: LATM, AC-3 in both containers.
wild no-latm 1 ts -i "$tmp/wild48.wav" -t 1 "${aac_mono[@]}" -hls_segment_options mpegts_flags=latm
wild no-ac3 1 ts -i "$tmp/wild48.wav" -t 1 -ac 1 -c:a ac3 -b:a 48k
wild no-ac3-fmp4 1 m4s -i "$tmp/wild48.wav" -t 1 -ac 1 -c:a ac3 -b:a 48k "${fmp4[@]}"
