//! Whole files over loopback HTTP to PCM, compared with the reference decode.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::time::Duration;

use kithara_assets::{AssetSettings, AssetStore};
use kithara_file::{File, FileError, FileEvent, FileOptions, FileStream};
use kithara_net::{DefaultNet, Url};
use kithara_testkit::media::{self, Fixture, Kind};
use kithara_testkit::{Content, Cut, Gate, HeldClock, Origin, Reply, Resource};
use tokio::time::timeout;

mod common;

use common::{LONG, play_until_stalled, some};

fn options() -> FileOptions {
    FileOptions::new(DefaultNet::default(), AssetStore::memory(AssetSettings::default()))
}

fn files() -> impl Iterator<Item = &'static Fixture> {
    media::all().iter().filter(|fixture| fixture.kind == Kind::File)
}

fn url(origin: &Origin, fixture: &Fixture) -> Url {
    origin.url(&format!("/{}", fixture.entry)).parse().unwrap()
}

async fn rest(stream: &mut FileStream) -> Vec<f32> {
    let mut samples = Vec::new();
    while let Some(chunk) = timeout(LONG, stream.next_chunk()).await.expect("stuck").unwrap() {
        samples.extend_from_slice(chunk.samples());
    }
    samples
}

#[tokio::test]
async fn every_container_decodes_as_the_reference_and_again_from_the_store() {
    let origin = Origin::start().await.unwrap();
    for fixture in files() {
        let options = options();
        for pass in 0..2 {
            let mut stream = File::open(url(&origin, fixture), options.clone()).await.unwrap();
            let samples = rest(&mut stream).await;
            fixture
                .reference
                .check(&samples)
                .unwrap_or_else(|error| panic!("{} {pass}: {error}", fixture.name));
            let details = stream.details();
            assert_eq!((details.sample_rate, details.channels), (fixture.sample_rate, fixture.channels));
            assert_eq!(stream.stats().cache_hits, pass, "{}", fixture.name);
        }
        let path = format!("/{}", fixture.entry);
        let asked: Vec<_> = origin.requests_for(&path).iter().map(|request| request.range_start()).collect();
        assert!(asked.len() <= 2, "{}: {asked:?}", fixture.name);
        assert!(asked.len() == 1 || fixture.name == "tail.m4a", "{}: {asked:?}", fixture.name);
    }
}

#[tokio::test]
async fn first_pcm_needs_the_first_bytes_alone() {
    let origin = Origin::start().await.unwrap();
    for fixture in files().filter(|fixture| fixture.name != "tail.m4a") {
        let gate = Gate::new();
        let path = format!("/{}", fixture.entry);
        origin.always(&path, Reply::ok().stall_at(16 * 1024, &gate));
        let mut stream =
            timeout(LONG, File::open(url(&origin, fixture), options())).await.expect(fixture.name).unwrap();
        let (first, samples) = some(&mut stream, 2000).await;
        assert_eq!(first, 0);
        fixture.reference.check_from(0, &samples).unwrap();
        assert_eq!(origin.count(&path), 1, "{}", fixture.name);
    }
}

#[tokio::test]
async fn the_tail_of_an_mp4_is_asked_for_at_once() {
    let origin = Origin::start().await.unwrap();
    let fixture = media::find("tail.m4a").unwrap();
    let path = format!("/{}", fixture.entry);
    let gate = Gate::new();
    origin.script(&path, [Reply::ok().stall_at(40_000, &gate)]);
    let mut stream =
        timeout(LONG, File::open(url(&origin, fixture), options())).await.expect("stuck").unwrap();
    let (first, samples) = some(&mut stream, 2000).await;
    assert_eq!(first, 0);
    fixture.reference.check_from(0, &samples).unwrap();
    assert_eq!(origin.count(&path), 2);
    let sent: u64 = origin.requests_for(&path).iter().map(|request| request.body_sent()).sum();
    assert!(sent < fixture.bytes().len() as u64, "{sent}");
}

#[tokio::test(start_paused = true)]
async fn a_seek_plays_from_the_exact_frame_by_one_request() {
    // No answer is so late that another one is asked for.
    let _clock = HeldClock::new();
    let origin = Origin::start().await.unwrap();
    let options = options();
    for fixture in files() {
        let path = format!("/{}", fixture.entry);
        origin.forget();
        let gate = Gate::new();
        // The first connection brings only the beginning.
        let held = Reply::ok().stall_at(40 * 1024, &gate);
        origin.script(&path, [held]);
        let mut stream = File::open(url(&origin, fixture), options.clone()).await.unwrap();
        some(&mut stream, 1000).await;
        if ["vbr.mp3", "adts.aac", "vorbis.ogg"].contains(&fixture.name) {
            // Only the frames before it tell where the exact one is; and what is looked at in the middle of an Ogg file
            // is about to come.
            gate.open();
        }
        let before = origin.count(&path);
        let to = Duration::from_secs_f64(fixture.frames as f64 / f64::from(fixture.sample_rate) * 0.8);
        let frame = timeout(LONG, stream.seek(to)).await.expect("stuck").unwrap();
        let (first, samples) = some(&mut stream, 4000).await;
        assert_eq!(first, frame, "{}", fixture.name);
        fixture
            .reference
            .check_from(frame, &samples)
            .unwrap_or_else(|error| panic!("{}: {error}", fixture.name));
        let requests = origin.requests_for(&path);
        let asked: Vec<_> = requests.iter().map(|request| request.range_start()).collect();
        assert!(requests.len() <= before + 1, "{}: {asked:?}", fixture.name);
    }
}

/// What the burst costs is counted in virtual time, in the tests of the bytes.
#[tokio::test]
async fn a_burst_of_seeks_lands_on_the_last() {
    let origin = Origin::start().await.unwrap();
    let fixture = media::find("cbr.mp3").unwrap();
    let path = format!("/{}", fixture.entry);
    origin.always(&path, Reply::ok().latency(Duration::from_millis(20)).bandwidth(200_000));
    let mut stream = File::open(url(&origin, fixture), options()).await.unwrap();
    some(&mut stream, 1000).await;
    let mut frame = 0;
    for tenth in [9, 1, 8, 2, 7, 3, 6, 4, 8, 9] {
        frame = stream.seek(Duration::from_secs(tenth)).await.unwrap();
    }
    let (first, samples) = some(&mut stream, 4000).await;
    assert_eq!(first, frame);
    fixture.reference.check_from(frame, &samples).unwrap();
}

#[tokio::test]
async fn a_broken_line_is_not_heard() {
    let origin = Origin::start().await.unwrap();
    for fixture in files() {
        let path = format!("/{}", fixture.entry);
        let cuts = [(20_000, Cut::Close), (50_000, Cut::Reset), (130_000, Cut::Close), (10, Cut::Reset)];
        let mut replies: Vec<_> = cuts.iter().map(|(at, cut)| Reply::ok().cut_at(*at, *cut)).collect();
        replies.insert(1, Reply::status(503));
        origin.script(&path, replies);
        let mut stream = File::open(url(&origin, fixture), options()).await.unwrap();
        let samples = rest(&mut stream).await;
        fixture.reference.check(&samples).unwrap_or_else(|error| panic!("{}: {error}", fixture.name));
    }
}

#[tokio::test]
async fn a_server_without_ranges_or_length_plays_everything() {
    let origin = Origin::start().await.unwrap();
    for fixture in files() {
        let path = format!("/{}", fixture.entry);
        for reply in [Reply::ok().chunked(), Reply::ok().close_delimited(), Reply::ok().ignore_range()] {
            origin.always(&path, reply);
            let mut stream =
                timeout(LONG, File::open(url(&origin, fixture), options())).await.unwrap().unwrap();
            let samples = rest(&mut stream).await;
            fixture.reference.check(&samples).unwrap_or_else(|error| panic!("{}: {error}", fixture.name));
        }
    }
}

#[tokio::test]
async fn names_and_types_that_lie_do_not_matter() {
    let origin = Origin::start().await.unwrap();
    for (fixture, kind) in
        files().zip(["video/mp4", "text/html", "audio/flac", "audio/mpeg"].into_iter().cycle())
    {
        let path = "/lies/track.ogg";
        origin.serve(path, Resource::new(fixture.bytes()).content_type(kind));
        let mut stream = File::open(origin.url(path).parse().unwrap(), options()).await.unwrap();
        let (_, samples) = some(&mut stream, 3000).await;
        fixture.reference.check_from(0, &samples).unwrap_or_else(|error| panic!("{}: {error}", fixture.name));
    }
}

#[tokio::test]
async fn what_is_no_audio_is_an_error() {
    let origin = Origin::start().await.unwrap();
    let bodies: [&'static [u8]; 4] =
        [b"", b"<!doctype html><title>Sign in</title>", &[0; 5000], b"#EXTM3U\n"];
    for body in bodies {
        origin.serve("/x.mp3", body);
        let error = timeout(LONG, File::open(origin.url("/x.mp3").parse().unwrap(), options()))
            .await
            .unwrap()
            .unwrap_err();
        assert!(matches!(error, FileError::Decode(_)), "{error:?}");
    }
    origin.always("/x.mp3", Reply::status(404));
    let error = File::open(origin.url("/x.mp3").parse().unwrap(), options()).await.unwrap_err();
    assert!(matches!(&error, FileError::Net(net) if net.status().unwrap() == 404));
    let error = File::open("ftp://x/y".parse().unwrap(), options()).await.unwrap_err();
    assert!(matches!(error, FileError::InvalidUrl { .. }));
}

#[tokio::test]
async fn an_error_in_the_middle_is_told_and_reading_on_works_once_the_server_does() {
    let origin = Origin::start().await.unwrap();
    let fixture = media::find("vbr.mp3").unwrap();
    let path = format!("/{}", fixture.entry);
    origin.script(&path, [Reply::ok().cut_at(100_000, Cut::Reset)]);
    origin.always(&path, Reply::status(403));
    let mut stream = File::open(url(&origin, fixture), options()).await.unwrap();
    let mut samples = Vec::new();
    let error = loop {
        match timeout(LONG, stream.next_chunk()).await.expect("stuck") {
            Ok(chunk) => samples.extend_from_slice(chunk.expect("a clean end").samples()),
            Err(error) => break error,
        }
    };
    assert!(matches!(&error, FileError::Net(net) if net.status().unwrap() == 403), "{error:?}");
    assert!(!samples.is_empty());
    fixture.reference.check_from(0, &samples).unwrap();
}

#[tokio::test]
async fn dropping_a_stream_that_waits_hangs_nobody() {
    let origin = Origin::start().await.unwrap();
    let fixture = media::find("cbr.mp3").unwrap();
    let path = format!("/{}", fixture.entry);
    origin.always(&path, Reply::ok().stall_at(40_000, &Gate::new()));
    let mut stream = File::open(url(&origin, fixture), options()).await.unwrap();
    let mut events = stream.events();
    play_until_stalled(&mut stream, &mut events, 40_000).await;
    drop(stream);
    // While it is being opened, too.
    for in_body in [true, false] {
        let gate = Gate::new();
        let held = if in_body { Reply::ok().stall_at(100, &gate) } else { Reply::ok().gate(&gate) };
        origin.always(&path, held);
        tokio::select! {
            _ = File::open(url(&origin, fixture), options()) => panic!("opened without bytes"),
            () = gate.wait_for_arrivals(1) => {}
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_seek_back_does_not_wait_for_bytes_that_nobody_wants_any_more() {
    // Nothing else ends the stall.
    let _clock = HeldClock::new();
    let origin = Origin::start().await.unwrap();
    for name in ["cbr.mp3", "lossless.flac", "pcm16.wav", "faststart.m4a", "vorbis.ogg"] {
        let fixture = media::find(name).unwrap();
        let path = format!("/{}", fixture.entry);
        origin.always(&path, Reply::ok().stall_at(70_000, &Gate::new()));
        let mut stream = File::open(url(&origin, fixture), options()).await.unwrap();
        let mut events = stream.events();
        play_until_stalled(&mut stream, &mut events, 70_000).await;
        let frame = timeout(LONG, stream.seek(Duration::from_millis(100))).await.expect("stuck").unwrap();
        let (first, samples) = some(&mut stream, 4000).await;
        assert_eq!(first, frame);
        fixture.reference.check_from(frame, &samples).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[tokio::test(start_paused = true)]
async fn stalls_are_counted_when_they_are_heard() {
    let _clock = HeldClock::new();
    let origin = Origin::start().await.unwrap();
    let fixture = media::find("pcm16.wav").unwrap();
    let path = format!("/{}", fixture.entry);
    let gate = Gate::new();
    origin.always(&path, Reply::ok().stall_at(200_000, &gate));
    let mut stream = File::open(url(&origin, fixture), options()).await.unwrap();
    let mut events = stream.events();
    let (mut stalled, lasts) = (0, Duration::from_millis(1234));
    let stall = async {
        loop {
            if let FileEvent::Stalled { offset } = events.recv().await.unwrap() {
                stalled += 1;
                if offset >= 200_000 {
                    break;
                }
            }
        }
        tokio::time::advance(lasts).await;
        gate.open();
    };
    let (samples, ()) = tokio::join!(rest(&mut stream), stall);
    fixture.reference.check(&samples).unwrap();
    while let Ok(event) = events.try_recv() {
        stalled += u64::from(matches!(event, FileEvent::Stalled { .. }));
    }
    let stats = stream.stats();
    assert_eq!((stats.stalls, stats.stall_time), (stalled, lasts));
}

#[tokio::test]
async fn local_files_decode_without_a_network() {
    let folder = tempfile::tempdir().unwrap();
    for fixture in files() {
        let path = folder.path().join(fixture.name);
        std::fs::write(&path, fixture.bytes()).unwrap();
        let mut stream = File::open_path(&path, options()).await.unwrap();
        fixture
            .reference
            .check(&rest(&mut stream).await)
            .unwrap_or_else(|error| panic!("{}: {error}", fixture.name));
        assert_eq!(stream.stats().requests, 0);
        let url = Url::from_file_path(&path).unwrap();
        assert!(File::open(url, options()).await.is_ok());
    }
    let error = File::open_path(folder.path(), options()).await.unwrap_err();
    assert!(matches!(error, FileError::Open { .. }));
    let error = File::open_path(folder.path().join("none"), options()).await.unwrap_err();
    assert!(matches!(error, FileError::Open { .. }));
}

#[test]
fn a_plain_thread_reads_through_the_blocking_face() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let fixture = media::find("lossless.flac").unwrap();
    let (mut stream, _origin) = runtime.block_on(async {
        let origin = Origin::start().await.unwrap();
        (File::open(url(&origin, fixture), options()).await.unwrap(), origin)
    });
    let mut samples = Vec::new();
    for chunk in &mut *stream.pcm() {
        samples.extend_from_slice(chunk.unwrap().samples());
    }
    fixture.reference.check(&samples).unwrap();
}

#[tokio::test]
async fn a_current_thread_runtime_is_enough_for_two_streams_at_once() {
    let origin = Origin::start().await.unwrap();
    let fixture = media::find("faststart.m4a").unwrap();
    let options = options();
    let (one, two) = tokio::join!(
        File::open(url(&origin, fixture), options.clone()),
        File::open(url(&origin, fixture), options.clone())
    );
    let (mut one, mut two) = (one.unwrap(), two.unwrap());
    let (one, two) = tokio::join!(rest(&mut one), rest(&mut two));
    fixture.reference.check(&one).unwrap();
    fixture.reference.check(&two).unwrap();
    assert_eq!(origin.count(&format!("/{}", fixture.entry)), 1);
}

#[tokio::test]
async fn a_picture_before_the_audio_is_stepped_over() {
    let origin = Origin::start().await.unwrap();
    let fixture = media::find("cbr.mp3").unwrap();
    let picture = 5_000_000_u32;
    let size = [21, 14, 7, 0].map(|shift| (picture >> shift & 0x7f) as u8);
    let mut body = [b"ID3\x04\0\0".as_slice(), &size].concat();
    body.resize(10 + picture as usize, 0);
    body.extend_from_slice(fixture.bytes());
    origin.serve("/picture.mp3", body);
    origin.always("/picture.mp3", Reply::ok().bandwidth(1_000_000));
    let mut stream = File::open(origin.url("/picture.mp3").parse().unwrap(), options()).await.unwrap();
    let (first, samples) = some(&mut stream, 2000).await;
    assert_eq!(first, 0);
    fixture.reference.check_from(0, &samples).unwrap();
    assert!(stream.stats().bytes_downloaded < 2_000_000, "{:?}", stream.stats());
}

#[tokio::test]
async fn a_radio_station_plays_and_tells_its_titles() {
    let origin = Origin::start().await.unwrap();
    let fixture = media::find("adts.aac").unwrap();
    origin.serve("/radio", Resource::new(Content::repeat(fixture.bytes())).content_type("audio/aac"));
    let station = Reply::ok().close_delimited().icy(8192, ["One", "Two"]).header("icy-name", "Test FM");
    origin.always("/radio", station);
    let mut stream = File::open(origin.url("/radio").parse().unwrap(), options()).await.unwrap();
    let mut events = stream.events();
    assert_eq!(stream.duration(), None);
    // Several times round the file.
    let (_, samples) = some(&mut stream, 44_100 * 40).await;
    fixture.reference.check_from(0, &samples[..2 * 44_100 * 9]).unwrap();
    let stats = stream.stats();
    assert_eq!((stats.bytes_stored, stats.requests), (0, 1));
    let (mut titles, mut names) = (Vec::new(), Vec::new());
    while let Ok(event) = events.try_recv() {
        match event {
            FileEvent::Title { title, .. } => titles.extend(title),
            FileEvent::Station { name, .. } => names.extend(name),
            _ => {}
        }
    }
    assert_eq!(names, ["Test FM"]);
    assert!(titles.contains(&"One".to_owned()), "{titles:?}");
    // There is nothing to seek in; that is an error or the same sound, not a wait.
    if timeout(LONG, stream.seek(Duration::from_secs(1000))).await.expect("stuck").is_ok() {
        drop(timeout(LONG, stream.next_chunk()).await.expect("stuck"));
    }
}

#[tokio::test]
async fn a_stored_file_that_lost_its_end_is_fetched_anew() {
    let origin = Origin::start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let fixture = media::find("vbr.mp3").unwrap();
    let open = || async {
        let assets = AssetStore::disk(folder.path(), AssetSettings::default()).unwrap();
        File::open(url(&origin, fixture), FileOptions::new(DefaultNet::default(), assets)).await
    };
    rest(&mut open().await.unwrap()).await;
    let files = walk(folder.path());
    let stored =
        files.iter().find(|path| path.metadata().unwrap().len() == fixture.bytes().len() as u64).unwrap();
    std::fs::File::options().write(true).open(stored).unwrap().set_len(50_000).unwrap();
    // The first visit may tell of the damage, the second one plays.
    let mut healed = false;
    for _ in 0..2 {
        let Ok(mut stream) = open().await else { continue };
        let mut samples = Vec::new();
        while let Ok(Some(chunk)) = timeout(LONG, stream.next_chunk()).await.expect("stuck") {
            samples.extend_from_slice(chunk.samples());
        }
        healed = fixture.reference.check(&samples).is_ok();
    }
    assert!(healed);
}

/// A byte that changed on the disk, at the beginning, in the middle and at the end: an error at most once, and never heard.
#[tokio::test]
async fn a_stored_file_that_changed_is_fetched_anew() {
    let origin = Origin::start().await.unwrap();
    for name in ["vbr.mp3", "faststart.m4a", "lossless.flac"] {
        let fixture = media::find(name).unwrap();
        let open = |folder: std::path::PathBuf| {
            let url = url(&origin, fixture);
            async move {
                let assets = AssetStore::disk(folder, AssetSettings::default()).unwrap();
                File::open(url, FileOptions::new(DefaultNet::default(), assets)).await
            }
        };
        let len = fixture.bytes().len();
        for at in [10, len / 2, len - 10] {
            let folder = tempfile::tempdir().unwrap();
            let mut stream = open(folder.path().to_owned()).await.unwrap();
            let mut events = stream.events();
            rest(&mut stream).await;
            let is_stored =
                |event: &FileEvent| matches!(event, FileEvent::Complete { .. } | FileEvent::CacheHit { .. });
            while !is_stored(&timeout(LONG, events.recv()).await.expect("stored").unwrap()) {}
            drop(stream);
            // A copy: what this process verified while it wrote it is not verified again as long as it is open.
            let copy = tempfile::tempdir().unwrap();
            for path in walk(folder.path()) {
                let to = copy.path().join(path.strip_prefix(folder.path()).unwrap());
                std::fs::create_dir_all(to.parent().unwrap()).unwrap();
                std::fs::copy(path, to).unwrap();
            }
            let mut files = walk(copy.path());
            files.retain(|path| path.metadata().unwrap().len() == len as u64);
            let [stored] = &files[..] else { panic!("{files:?}") };
            let mut bytes = std::fs::read(stored).unwrap();
            bytes[at] ^= 0x10;
            std::fs::write(stored, bytes).unwrap();
            let mut healed = false;
            for _ in 0..2 {
                let Ok(mut stream) = open(copy.path().to_owned()).await else { continue };
                let mut samples = Vec::new();
                let failed = loop {
                    match timeout(LONG, stream.next_chunk()).await.expect("stuck") {
                        Ok(Some(chunk)) => samples.extend_from_slice(chunk.samples()),
                        Ok(None) => break false,
                        Err(_) => break true,
                    }
                };
                if !failed {
                    fixture.reference.check(&samples).unwrap_or_else(|error| panic!("{name} {at}: {error}"));
                    healed = true;
                }
            }
            assert!(healed, "{name} {at}");
        }
    }
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(walk(&path)) } else { found.push(path) }
    }
    found
}
