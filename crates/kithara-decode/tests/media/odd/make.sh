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
# The first track cannot be decoded, or none can.
voice="aevalsrc=0.5*sin(n*0.05)|0.4*sin(n*0.04):s=44100:d=0.4"
ff -f lavfi -i "$voice" -map 0 -map 0 -map_metadata -1 -fflags +bitexact -flags:a +bitexact -c:a:0 ac3 -b:a:0 64k \
    -c:a:1 aac -aac_pns 0 -b:a:1 48k two-ac3-aac.mka
ff -f lavfi -i "$voice" -map 0 -map 0 -map_metadata -1 -fflags +bitexact -flags:a +bitexact -c:a:0 ac3 -b:a:0 64k \
    -c:a:1 eac3 -b:a:1 64k two-ac3-eac3.mka
ff -f lavfi -i "$voice" -map 0 -map 0 -map_metadata -1 -fflags +bitexact -flags:a +bitexact -c:a:0 aac -ac:a:0 6 -b:a:0 96k \
    -c:a:1 aac -aac_pns 0 -b:a:1 48k two-51-stereo.mp4
ff -f lavfi -i "$voice" -map 0 -map 0 -map_metadata -1 -fflags +bitexact -flags:a +bitexact -c:a:0 ac3 -b:a:0 64k \
    -c:a:1 aac -ac:a:1 6 -b:a:1 96k two-ac3-51.mp4
ff -f lavfi -i "$voice" -map 0 -map 0 -map_metadata -1 -fflags +bitexact -flags:a +bitexact -c:a:0 libspeex -ar:a:0 16000 \
    -ac:a:0 1 -c:a:1 libvorbis two-speex-vorbis.ogg
ff -f lavfi -i "$voice" -map_metadata -1 -fflags +bitexact -flags:a +bitexact -c:a aac -b:a 48k plain.m4a

# Formats that are named.
short="aevalsrc=0.5*sin(n*0.05):s=44100:d=0.2"
for name in named.ac3 named.eac3 named.wma named.tta named.wv named.spx; do
    ff -f lavfi -i "$short" -map_metadata -1 -fflags +bitexact -flags:a +bitexact -ar 32000 "$name" ||
        ff -f lavfi -i "$short" -map_metadata -1 -fflags +bitexact -c:a libspeex -ar 16000 -f ogg "$name"
done
ff -f lavfi -i "$short" -map_metadata -1 -fflags +bitexact -f wav - | lame --quiet --freeformat -b 160 - free.mp3
ff -f lavfi -i "$short" -map_metadata -1 -fflags +bitexact -c:a wmav2 wma.wav

# PCM of QuickTime, and what ffmpeg decodes it to.
noise="aevalsrc=0.8*sin(n*n/900)|0.7*cos(n*n/1100):s=22050:d=0.0112472"
for codec in u8 s16be s16le s24be s24le s32be s32le f32be f32le f64be f64le alaw mulaw; do
    ff -f lavfi -i "$noise" -map_metadata -1 -fflags +bitexact -c:a "pcm_$codec" "$codec.mov"
    ff -i "$codec.mov" -f f32le "$codec.mov.f32"
done

# Two transport streams joined; the second has a third of the first one's bit rate.
for part in 128k:0.05 40k:0.03; do
    ff -f lavfi -i "aevalsrc=0.5*sin(n*${part#*:}):s=44100:d=6" -ac 1 -map_metadata -1 -fflags +bitexact -c:a libmp3lame \
        -b:a "${part%:*}" -f mpegts "part-${part%:*}.ts"
done
cat part-128k.ts part-40k.ts >joined.ts
rm part-*.ts

# The same tags in every container; a cover and chapters where ffmpeg writes them.
mkdir -p tagged
ff -f lavfi -i color=red:size=16x16 -frames:v 1 tagged/cover.png
printf ';FFMETADATA1\ntitle=A Title\nartist=Söme Artist\nalbum=An Album\nalbum_artist=Others\ngenre=Jazz\ntrack=3/9\ndisc=2/2\ndate=2024\nreplaygain_track_gain=-6.5 dB\n' >tagged/meta
printf '[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=150\ntitle=One\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=150\nEND=300\ntitle=Two\n' >tagged/chapters
cat tagged/meta tagged/chapters >tagged/both
tone="aevalsrc=0.3*sin(n*0.05):s=22050:d=0.3"
bits="-fflags +bitexact -flags:a +bitexact"
picture="-map 0:a -map 2:v -c:v copy -disposition:v attached_pic -metadata:s:v comment=Cover(front)"
ff -f lavfi -i "$tone" -i tagged/both -i tagged/cover.png -map_metadata 1 -map_chapters 1 $picture $bits -c:a libmp3lame -f mp3 tagged/mp3
ff -f lavfi -i "$tone" -i tagged/both -i tagged/cover.png -map_metadata 1 -map_chapters 1 $picture $bits -c:a aac -f mp4 tagged/m4a
ff -f lavfi -i "$tone" -i tagged/meta -i tagged/cover.png -map_metadata 1 $picture -metadata:s:v "title=" $bits -c:a flac -f flac tagged/flac
for name in ogg:libvorbis:ogg mka:flac:matroska wav:pcm_s16le:wav aiff:pcm_s16be:aiff caf:pcm_s16le:caf; do
    IFS=: read -r file codec format <<<"$name"
    ff -f lavfi -i "$tone" -i tagged/meta -map 0:a -map_metadata 1 $bits -c:a "$codec" -write_id3v2 1 -f "$format" "tagged/$file" 2>/dev/null ||
        ff -f lavfi -i "$tone" -i tagged/meta -map 0:a -map_metadata 1 $bits -c:a "$codec" -f "$format" "tagged/$file"
done
rm tagged/{cover.png,meta,chapters,both}

# An album: one sound of 1.5 s cut into three tracks at frames that no codec's packets end at.
mkdir -p album
ff -f lavfi -i "aevalsrc=0.4*sin(n*(0.02+n/2000000))+0.2*sin(n*0.11)|0.4*cos(n*(0.03+n/3000000)):s=44100:d=1.5" \
    -map_metadata -1 $bits -c:a pcm_s16le -f wav album/whole.wav
flac -s -f -8 -o album/whole.flac album/whole.wav
cut=(0 22011 44777 66150)
for n in 1 2 3; do
    ff -i album/whole.wav -af "atrim=start_sample=${cut[n - 1]}:end_sample=${cut[n]}" $bits -f wav album/part.wav
    lame --quiet -b 160 album/part.wav album/$n.mp3
    flac -s -f -8 -o album/$n.flac album/part.wav
    oggenc -Q -q 6 -s $n -o album/$n.ogg album/part.wav
    ff -i album/part.wav $bits -c:a aac -b:a 160k album/$n.m4a
    ff -i album/part.wav $bits -c:a alac album/$n.alac.m4a
done
rm album/*.wav
