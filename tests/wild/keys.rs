//! Encryption (RFC 8216bis, 4.4.4.4): AES-128 and AES-256 over whole segments.

use kithara::hls::HlsOptions;
use kithara_testkit::odd::aes::{encrypt, iv_of};
use kithara_testkit::odd::mp4::{Fragment, init};
use kithara_testkit::odd::ts::{Stream, Writer};

use kithara_testkit::{Origin, media};

use super::fmp4::{run, sound};
use super::proof::{Presentation, prove, refused};
use super::support::{hls_options, impatient, memory, open_hls, read_all, read_at_least};
use super::units::{Units, aac};

const KEY: [u8; 16] = *b"sixteen bytes ok";
const OTHER: [u8; 16] = [0xA7; 16];
const LONG: [u8; 32] = *b"a key of thirty-two bytes (32)!!";
const IV: [u8; 16] = [0x9C, 0x7D, 0xB8, 0x77, 0x85, 0x70, 0xD0, 0x5C, 0, 1, 2, 3, 0xFF, 0xFE, 0xFD, 0xFC];

fn hex(iv: [u8; 16]) -> String {
    iv.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The clear segments, as MPEG-TS.
fn ts(units: &Units) -> Vec<(f64, Vec<u8>)> {
    let segments = units.segments().into_iter().map(|(first, frames)| {
        let mut ts = Writer::new();
        ts.pat().pmt(&[Stream::new(0x101, 0x0F)]);
        for (number, part) in frames.chunks(8).enumerate() {
            ts.pes(0x101, 0xC0, Some(9_000 + units.time(first + number as u64 * 8)), &part.concat());
        }
        (units.seconds(frames.len()), ts.finish())
    });
    segments.collect()
}

/// The same in fragmented MP4, with the init section.
fn fmp4(units: &Units) -> (Vec<u8>, Vec<(f64, Vec<u8>)>) {
    let segments = units.segments().into_iter().map(|(first, frames)| {
        let fragment =
            Fragment { sequence: 1, runs: vec![run(frames, first, 44_100)], ..Fragment::default() };
        (units.seconds(frames.len()), fragment.build())
    });
    (init(&[sound(units, 44_100)]), segments.collect())
}

fn keyed(name: &'static str) -> Presentation {
    let mut presentation = Presentation::new(name);
    presentation.file("key", KEY.to_vec()).file("other", OTHER.to_vec()).file("long", LONG.to_vec());
    presentation
}

#[tokio::test]
async fn the_media_sequence_number_is_the_iv_in_128_bits() {
    let units = aac();
    for (name, first) in [("keys-seq", 0), ("keys-seq-7", 7), ("keys-seq-large", (1 << 40) + 5)] {
        let mut presentation = keyed(name);
        presentation.line(&format!("#EXT-X-MEDIA-SEQUENCE:{first}"));
        presentation.line("#EXT-X-KEY:METHOD=AES-128,URI=\"key\"");
        for (n, (seconds, clear)) in ts(&units).into_iter().enumerate() {
            let body = encrypt(&KEY, iv_of(first + n as u64), &clear);
            presentation.segment(seconds, &format!("{n}.ts"), body);
        }
        prove(&presentation, units.fixture).await;
    }
}

#[tokio::test]
async fn one_iv_for_all_begins_anew_in_each_segment() {
    let units = aac();
    let mut presentation = keyed("keys-iv");
    // Digits in either case, and leading zeros left out by nobody.
    presentation.line(&format!("#EXT-X-KEY:METHOD=AES-128,URI=\"key\",IV=0X{}", hex(IV).to_uppercase()));
    for (n, (seconds, clear)) in ts(&units).into_iter().enumerate() {
        presentation.segment(seconds, &format!("{n}.ts"), encrypt(&KEY, IV, &clear));
    }
    prove(&presentation, units.fixture).await;
}

#[tokio::test]
async fn keys_that_change_and_end() {
    let units = aac();
    let mut presentation = keyed("keys-rotate");
    let tags = [
        format!("#EXT-X-KEY:METHOD=AES-128,URI=\"key\",IV=0x{}", hex(IV)),
        "#EXT-X-KEY:METHOD=AES-128,URI=\"other\",KEYFORMAT=\"identity\",KEYFORMATVERSIONS=\"1\"".into(),
        "#EXT-X-KEY:METHOD=NONE".into(),
    ];
    for (n, ((seconds, clear), tag)) in ts(&units).into_iter().zip(&tags).enumerate() {
        presentation.line(tag);
        let body = match n {
            0 => encrypt(&KEY, IV, &clear),
            1 => encrypt(&OTHER, iv_of(1), &clear),
            _ => clear,
        };
        presentation.segment(seconds, &format!("{n}.ts"), body);
    }
    prove(&presentation, units.fixture).await;
}

#[tokio::test]
async fn aes_256() {
    // Of the bis draft; ffmpeg does not know it.
    let units = aac();
    let mut presentation = keyed("keys-256");
    presentation.line("#EXT-X-KEY:METHOD=AES-256,URI=\"long\"");
    for (n, (seconds, clear)) in ts(&units).into_iter().enumerate() {
        presentation.segment(seconds, &format!("{n}.ts"), encrypt(&LONG, iv_of(n as u64), &clear));
    }
    prove(&presentation, units.fixture).await;
}

#[tokio::test]
async fn an_init_section_in_the_clear_before_the_key() {
    let units = aac();
    let (head, segments) = fmp4(&units);
    let mut presentation = keyed("keys-map-clear");
    presentation.line("#EXT-X-MAP:URI=\"init.mp4\"").file("init.mp4", head);
    presentation.line(&format!("#EXT-X-KEY:METHOD=AES-128,URI=\"key\",IV=0x{}", hex(IV)));
    for (n, (seconds, clear)) in segments.into_iter().enumerate() {
        presentation.segment(seconds, &format!("{n}.m4s"), encrypt(&KEY, IV, &clear));
    }
    prove(&presentation, units.fixture).await;
}

#[tokio::test]
async fn an_encrypted_init_section() {
    let units = aac();
    let (head, segments) = fmp4(&units);
    let mut presentation = keyed("keys-map");
    presentation.line(&format!("#EXT-X-KEY:METHOD=AES-128,URI=\"key\",IV=0x{}", hex(IV)));
    presentation.line("#EXT-X-MAP:URI=\"init.mp4\"").file("init.mp4", encrypt(&KEY, IV, &head));
    // The segments are under another key: the map keeps the one that was in force before it.
    presentation.line("#EXT-X-KEY:METHOD=AES-128,URI=\"other\"");
    for (n, (seconds, clear)) in segments.into_iter().enumerate() {
        presentation.segment(seconds, &format!("{n}.m4s"), encrypt(&OTHER, iv_of(n as u64), &clear));
    }
    prove(&presentation, units.fixture).await;
}

#[tokio::test]
async fn encrypted_sub_ranges_of_one_file() {
    // Each sub-range is encrypted by itself (4.4.4.4): its length is a multiple of 16. ffmpeg decrypts from the start of the
    // file, and fails.
    let units = aac();
    let (head, segments) = fmp4(&units);
    let mut presentation = keyed("keys-ranges");
    let mut file = encrypt(&KEY, IV, &head);
    presentation.line(&format!("#EXT-X-KEY:METHOD=AES-128,URI=\"key\",IV=0x{}", hex(IV)));
    presentation.line(&format!("#EXT-X-MAP:URI=\"all.mp4\",BYTERANGE=\"{}@0\"", file.len()));
    presentation.line("#EXT-X-KEY:METHOD=AES-128,URI=\"key\"");
    for (n, (seconds, clear)) in segments.into_iter().enumerate() {
        let body = encrypt(&KEY, iv_of(n as u64), &clear);
        let at = if n == 0 { format!("@{}", file.len()) } else { String::new() };
        presentation.line(&format!("#EXTINF:{seconds:.6},\n#EXT-X-BYTERANGE:{}{at}\nall.mp4", body.len()));
        file.extend(body);
    }
    presentation.file("all.mp4", file);
    prove(&presentation, units.fixture).await;
}

#[tokio::test]
async fn a_key_of_another_format_beside_one_that_can_be_used() {
    // One tag of each KEYFORMAT holds (4.4.4.4); ffmpeg takes the last.
    let units = aac();
    let mut presentation = keyed("keys-formats");
    presentation.line(&format!("#EXT-X-KEY:METHOD=AES-128,URI=\"key\",IV=0x{}", hex(IV)));
    presentation
        .line("#EXT-X-KEY:METHOD=SAMPLE-AES,URI=\"skd://x\",KEYFORMAT=\"com.apple.streamingkeydelivery\"");
    for (n, (seconds, clear)) in ts(&units).into_iter().enumerate() {
        presentation.segment(seconds, &format!("{n}.ts"), encrypt(&KEY, IV, &clear));
    }
    prove(&presentation, units.fixture).await;
}

#[tokio::test]
async fn a_wrong_key_names_the_segment() {
    let (_, presentation) = encrypted("keys-wrong", "other");
    let error = refused(&presentation).await;
    assert!(error.contains("segment 0"), "{error}");
}

#[tokio::test]
async fn what_cannot_be_decrypted_is_refused_before_anything_is_heard() {
    let units = aac();
    for (name, tag) in [
        ("keys-sample", "METHOD=SAMPLE-AES,URI=\"key\""),
        (
            "keys-ctr",
            "METHOD=SAMPLE-AES-CTR,URI=\"key\",KEYFORMAT=\"urn:uuid:edef8ba9-79d6-4ace-a3c8-27dcd51d21ed\"",
        ),
        ("keys-format", "METHOD=AES-128,URI=\"key\",KEYFORMAT=\"com.example.secret\""),
        ("keys-unknown", "METHOD=ROT-13,URI=\"key\""),
    ] {
        // The first segment is in the clear: it must not be played either.
        let mut presentation = keyed(name);
        for (n, (seconds, clear)) in ts(&units).into_iter().enumerate() {
            if n == 1 {
                presentation.line(&format!("#EXT-X-KEY:{tag}"));
            }
            presentation.segment(seconds, &format!("{n}.ts"), clear);
        }
        let error = refused(&presentation).await;
        assert!(error.contains("unsupported") || error.contains("not supported"), "{name}: {error}");
    }
    // A key that is none.
    let mut presentation = Presentation::new("keys-short");
    presentation.file("key", vec![1; 15]).line("#EXT-X-KEY:METHOD=AES-128,URI=\"key\"");
    for (n, (seconds, clear)) in ts(&units).into_iter().enumerate() {
        presentation.segment(seconds, &format!("{n}.ts"), encrypt(&KEY, iv_of(n as u64), &clear));
    }
    let error = refused(&presentation).await;
    assert!(error.contains("key"), "{error}");
}

/// The segments under `KEY`, with IVs of their numbers.
fn encrypted(name: &'static str, key: &str) -> (Units, Presentation) {
    let units = aac();
    let mut presentation = keyed(name);
    presentation.line(&format!("#EXT-X-KEY:METHOD=AES-128,URI=\"{key}\""));
    for (n, (seconds, clear)) in ts(&units).into_iter().enumerate() {
        presentation.segment(seconds, &format!("{n}.ts"), encrypt(&KEY, iv_of(n as u64), &clear));
    }
    (units, presentation)
}

#[tokio::test]
async fn a_segment_is_decrypted_while_it_arrives() {
    let (units, presentation) = encrypted("keys-stream", "key");
    let origin = Origin::start().await.unwrap();
    let url = presentation.serve(&origin);
    let mut control = origin.expect("/wild/keys-stream/0.ts");
    let opening = tokio::spawn(async move { open_hls(&url, hls_options()).await.unwrap() });
    control.request().await.unwrap();
    let (_, body) = presentation.files.iter().find(|(name, _)| name == "0.ts").unwrap();
    control.send(..body.len() as u64 / 2).await.unwrap();
    // Half of it is there, and stays half: about a second is heard all the same.
    let mut stream = opening.await.unwrap();
    let mut heard = read_at_least!(stream, 40_000);
    control.finish();
    heard.extend(read_all!(stream));
    media::find(units.fixture).unwrap().reference.check(&heard).unwrap();
}

#[tokio::test]
async fn what_a_wrong_key_made_of_a_segment_is_not_kept() {
    let (units, presentation) = encrypted("keys-mended", "key");
    let origin = Origin::start().await.unwrap();
    let url = presentation.serve(&origin);
    origin.serve("/wild/keys-mended/key", OTHER.to_vec());
    let assets = memory();
    let options = || HlsOptions::new(impatient(), assets.clone());
    let failed = match open_hls(&url, options()).await {
        Err(error) => error,
        Ok(mut stream) => stream.next_chunk().await.unwrap_err(),
    };
    assert!(failed.to_string().contains("segment 0"), "{failed}");
    // The right key, the same store: everything is right.
    origin.serve("/wild/keys-mended/key", KEY.to_vec());
    let mut stream = open_hls(&url, options()).await.unwrap();
    media::find(units.fixture).unwrap().reference.check(&read_all!(stream)).unwrap();
}
