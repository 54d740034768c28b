use std::io::Read;
use std::path::Path;

use kithara_testkit::wav::Wav;
use kithara_testkit::{Origin, media};

use crate::tool::{decode, fixture, floats, last_line, path_of};

/// `f32le`, `s16le` and `wav`.
fn formats(to: impl Fn(&str) -> Vec<u8>) -> (Vec<f32>, Vec<u8>, Vec<u8>) {
    (floats(&to("f32le")), to("s16le"), to("wav"))
}

fn into_file(source: &str, folder: &Path, format: &str) -> Vec<u8> {
    let path = folder.join(format);
    let report =
        decode(source).with("--variant 1 --format").args(format).args("--output").args(&path).report();
    let bytes = std::fs::read(path).unwrap();
    let sample = if format == "f32le" { 4 } else { 2 };
    let header = if format == "wav" { 44 } else { 0 };
    assert_eq!(bytes.len() as u64, header + report["frames"].as_u64().unwrap() * 2 * sample);
    bytes
}

/// The PCM is on stdout and nothing else; the report is on stderr.
fn into_pipe(source: &str, format: &str) -> Vec<u8> {
    let outcome = decode(source).with("--variant 1 --json --output - --format").args(format).run().good();
    let report = last_line(&outcome.stderr);
    assert_eq!(outcome.stderr.lines().count(), 1, "{}", outcome.stderr);
    assert!(report["frames"].as_u64().unwrap() > 0);
    outcome.stdout
}

#[test]
fn all_formats_hold_the_same_sound() {
    let folder = tempfile::tempdir().unwrap();
    let (samples, shorts, wav) = formats(|format| into_file("demo", folder.path(), format));
    let known = fixture("aac4/128k");
    known.reference.check(&samples).unwrap();
    let rounded: Vec<u8> = samples
        .iter()
        .flat_map(|sample| ((sample * 32_768.0).round().clamp(-32_768.0, 32_767.0) as i16).to_le_bytes())
        .collect();
    assert!(rounded == shorts, "s16le is f32le, rounded");
    assert!(wav[44..] == shorts[..], "wav is a header and s16le");
    let read = Wav::parse(&wav).unwrap();
    assert_eq!((read.sample_rate, read.channels, read.frames()), (44_100, 2, known.frames));

    let (piped, piped_shorts, piped_wav) = formats(|format| into_pipe("demo", format));
    assert!(piped == samples && piped_shorts == shorts && piped_wav[44..] == wav[44..], "as in the file");
    // A pipe cannot be wound back: its header says "as much as there is".
    assert_eq!(piped_wav[40..44], [0xFF; 4]);
    assert_eq!(piped_wav[8..40], wav[8..40]);
}

#[test]
fn sixteen_bit_sound_comes_out_as_it_went_in() {
    let origin = Origin::start_blocking().unwrap();
    let url = origin.url(&path_of("pcm16.wav"));
    let written = decode(&url).with("--format s16le").bytes();
    let known = media::file("file/pcm16.wav").unwrap();
    assert!(written == known[known.len() - written.len()..]);
    assert_eq!(written.len() as u64, fixture("pcm16.wav").frames * 4);
    // WAV is the default.
    assert_eq!(&decode(&url).bytes()[..4], b"RIFF");
}

#[test]
fn an_output_that_cannot_be_written() {
    let folder = tempfile::tempdir().unwrap();
    for path in [folder.path().to_owned(), folder.path().join("no/such/folder.wav")] {
        let outcome = decode("demo").args("--output").args(path).run();
        assert!(outcome.error().starts_with("error: cannot write the output: "), "{}", outcome.stderr);
    }
}

#[test]
fn a_reader_that_goes_away_ends_the_run() {
    let mut child = decode("demo").with("--output - --format f32le").spawn();
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut [0; 1000]).unwrap();
    drop(stdout);
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert!(
        stderr.starts_with("error: cannot write the output: ") && stderr.lines().count() == 1,
        "{stderr}"
    );
}

#[test]
fn a_run_that_fails_destroys_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("kept.wav");
    let bytes = media::file("file/pcm16.wav").unwrap();
    std::fs::write(&kept, bytes).unwrap();
    let into_it = |source: &Path| decode(source).args("--output").args(&kept).run();
    assert!(into_it(&folder.path().join("none.mp3")).error().contains("none.mp3"));
    assert!(into_it(&kept).error().contains("the output is the source"));
    assert!(std::fs::read(&kept).unwrap() == bytes, "what was there is gone");
    // It is replaced as a whole, though it was longer.
    decode("demo").with("--duration 0.5 --output").args(&kept).run().good();
    let read = Wav::parse(&std::fs::read(&kept).unwrap()).unwrap();
    assert_eq!(read.frames(), 22_050);
    assert_eq!(std::fs::metadata(&kept).unwrap().len(), 44 + 22_050 * 4);
}

#[cfg(unix)]
#[test]
fn a_pipe_with_a_name_is_a_pipe() {
    let tool = decode("demo").with("--duration 0.5 --output /dev/stdout").run().good();
    let plain = decode("demo").with("--duration 0.5").bytes();
    assert!(tool.stdout == plain, "as with `-`");
}
