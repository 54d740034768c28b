use kithara_testkit::{Cut, Origin, Reply, Resource};

use crate::tool::{decode, kithara, path_of};

#[test]
fn usage_errors_have_a_status_of_their_own() {
    for line in [
        "",
        "play demo",
        "decode",
        "decode demo demo",
        "decode demo --format mp3",
        "decode demo --rate 0",
        "decode demo --rate fast",
        "decode demo --start -1",
        "decode demo --start nan",
        "decode demo --duration x",
        "decode demo --seek 1,x",
        "decode demo --seek 1 --duration 2",
        "decode demo --variant best",
        "decode demo --variant -1",
        "decode demo --header nocolon",
        "decode demo --header =:x",
        "decode demo --realtime=0",
        "decode demo --realtime=-2",
        "decode demo --cache x --no-cache",
        "decode demo --unknown",
    ] {
        let outcome = kithara().with(line).run();
        assert_eq!(outcome.status, 2, "{line}: {}", outcome.stderr);
        assert!(outcome.stdout.is_empty() && !outcome.stderr.is_empty(), "{line}");
    }
}

#[test]
fn help_and_version_are_no_errors() {
    for line in ["--help", "--version", "decode --help"] {
        let outcome = kithara().with(line).run().good();
        assert!(outcome.stderr.is_empty() && !outcome.stdout.is_empty(), "{line}");
    }
}

/// One line, that holds each of these words.
fn fails(source: &str, words: &[&str]) {
    let outcome = decode(source).run();
    let line = outcome.error();
    for word in words {
        assert!(line.to_lowercase().contains(&word.to_lowercase()), "no {word:?} in {line:?}");
    }
}

#[test]
fn what_a_server_answers() {
    let origin = Origin::start_blocking().unwrap();
    for path in ["/none.mp3", "/none.m3u8", "/none"] {
        fails(&origin.url(&format!("{path}?token=secret")), &["404", "/none"]);
        origin.always("/closed", Reply::status(403));
        fails(&origin.url("/closed?token=secret"), &["403"]);
    }
    // What is missing only inside.
    let list = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-KEY:METHOD=AES-128,URI=\"key?token=secret\"\n\
                #EXTINF:4,\na.ts\n#EXT-X-ENDLIST\n";
    origin.serve("/list.m3u8", Resource::new(list));
    origin.always("/key", Reply::status(403));
    fails(&origin.url("/list.m3u8"), &["403", "/key"]);
}

#[test]
fn nobody_answers() {
    // Taken, so that no other test gets it, and not listened to.
    let taken = tokio::net::TcpSocket::new_v4().unwrap();
    taken.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let address = taken.local_addr().unwrap();
    for path in ["x.mp3", "x.m3u8", "x"] {
        fails(&format!("http://user:secret@{address}/{path}?token=secret"), &["refused", path]);
    }
}

#[test]
fn a_page_instead_of_media() {
    let origin = Origin::start_blocking().unwrap();
    let page = "<!DOCTYPE html>\n<html><body>Sign in</body></html>";
    for path in ["/page.m3u8", "/page.mp3", "/page"] {
        origin.serve(path, Resource::new(page));
        fails(&origin.url(&format!("{path}?token=secret")), &["html"]);
    }
    origin.serve("/empty.m3u8", Resource::new(""));
    fails(&origin.url("/empty.m3u8"), &["playlist"]);
    origin.serve("/empty.mp3", Resource::new(""));
    fails(&origin.url("/empty.mp3"), &[]);
}

#[test]
fn a_codec_that_nobody_here_decodes_is_named() {
    let origin = Origin::start_blocking().unwrap();
    let master = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=100000,CODECS=\"ac-3\"\nlist.m3u8\n";
    origin.serve("/master.m3u8", Resource::new(master));
    fails(&origin.url("/master.m3u8"), &["ac-3"]);
    // An unknown name for its extension, but known by its content.
    origin.serve("/listen", Resource::new(master));
    fails(&origin.url("/listen"), &["ac-3"]);
}

#[test]
fn a_body_that_always_ends_too_early() {
    let origin = Origin::start_blocking().unwrap();
    let path = path_of("pcm16.wav");
    origin.script(&path, [Reply::ok().cut_at(100_000, Cut::Close)]);
    origin.always(&path, Reply::ok().cut_at(0, Cut::Close));
    let outcome = decode(origin.url(&path)).run();
    assert!(outcome.error().contains("pcm16.wav"), "{}", outcome.stderr);
}

#[test]
fn a_segment_that_is_no_media() {
    let origin = Origin::start_blocking().unwrap();
    origin.serve("/a.ts", Resource::new("these are words"));
    let list = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\na.ts?token=secret\n#EXT-X-ENDLIST\n";
    origin.serve("/list.m3u8", Resource::new(list));
    fails(&origin.url("/list.m3u8"), &["segment"]);
}

#[test]
fn variants_that_are_not_there() {
    let outcome = decode("demo").with("--variant 4").run();
    assert!(outcome.error().contains("variant 4"), "{}", outcome.stderr);
}

#[test]
fn files_that_are_not_there_or_no_media() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    fails(&path("none.mp3"), &["none.mp3", "no such file"]);
    fails(&path("none.m3u8"), &["none.m3u8", "no such file"]);
    fails(&folder.path().display().to_string(), &[]);
    std::fs::write(path("text.mp3"), "some words").unwrap();
    fails(&path("text.mp3"), &[]);
    fails("ftp://example.org/x.mp3?token=secret", &["ftp"]);
    fails("rtsp://user:secret@example.org/x.mp3", &["rtsp"]);
    fails("http://user:secret@[::1/x.mp3?token=secret", &["no url", "ipv6"]);
    fails("-", &["standard input"]);
    fails("file://host/x.mp3?token=secret", &["file://host/x.mp3"]);
}

/// A daemon's log may be on a full disk.
#[cfg(target_os = "linux")]
#[test]
fn nobody_hears_what_it_says() {
    let full = || std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let status = |tool: crate::tool::Tool| tool.stderr(full()).spawn().wait().unwrap().code();
    assert_eq!(status(decode("/none.mp3")), Some(1));
    let folder = tempfile::NamedTempFile::new().unwrap();
    let playing = || {
        decode("demo").with("--duration 1 --cache").args(folder.path()).stdout(std::process::Stdio::null())
    };
    assert_eq!(status(playing()), Some(0), "a warning that nobody hears is no failure");
    assert_eq!(status(playing().with("--json --output -")), Some(1), "the report was asked for");
}
