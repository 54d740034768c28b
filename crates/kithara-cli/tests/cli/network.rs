use kithara_testkit::{Origin, Reply, Resource, media};

use crate::tool::{decode, fixture, path_of};

#[test]
fn headers_go_with_every_request() {
    let origin = Origin::start_blocking().unwrap();
    origin.require_header("/", "x-token", "open: sesame", 401);
    for name in ["ts-aac", "vbr.mp3"] {
        let url = origin.url(&path_of(name));
        let report =
            decode(&url).args("--header").args("X-Token: open: sesame").with("--header Accept:*/*").report();
        assert_eq!(report["frames"], fixture(name).frames);
        assert!(decode(&url).run().error().contains("401"));
    }
    for request in origin.requests().iter().filter(|request| request.header("x-token").is_some()) {
        assert_eq!(request.header("accept"), Some("*/*"), "{request:?}");
    }
}

#[test]
fn a_playlist_is_known_by_what_it_holds() {
    let origin = Origin::start_blocking().unwrap();
    let list = media::file("hls/ts-aac/index.m3u8").unwrap();
    for (path, content_type) in
        [("/hls/ts-aac/listen", "application/vnd.apple.mpegurl"), ("/hls/ts-aac/stream.php", "text/plain")]
    {
        origin.serve(path, Resource::new(list));
        origin.always(path, Reply::ok().header("content-type", content_type));
        let report = decode(origin.url(&format!("{path}?token=secret"))).report();
        assert_eq!(
            (&report["kind"], report["frames"].as_u64()),
            (&"hls".into(), Some(fixture("ts-aac").frames))
        );
    }
}

#[test]
fn a_file_is_known_by_what_it_holds() {
    let origin = Origin::start_blocking().unwrap();
    for name in ["cbr.mp3", "tail.m4a", "lossless.flac"] {
        origin.serve("/play", Resource::new(fixture(name).bytes()));
        let report = decode(origin.url("/play?id=1")).with("--no-cache").report();
        assert_eq!(
            (&report["kind"], report["frames"].as_u64()),
            (&"file".into(), Some(fixture(name).frames)),
            "{name}"
        );
    }
}

#[test]
fn files_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["cbr.mp3", "tail.m4a", "vorbis.ogg"] {
        let path = folder.path().join(format!("ü {name}"));
        std::fs::write(&path, fixture(name).bytes()).unwrap();
        let report = decode(&path).report();
        assert_eq!(
            (&report["kind"], report["frames"].as_u64()),
            (&"file".into(), Some(fixture(name).frames))
        );
        assert_eq!((&report["requests"], &report["bytes_downloaded"]), (&0.into(), &0.into()));
    }
    let relative = decode("ü cbr.mp3").folder(folder.path()).report();
    assert_eq!(relative["frames"], fixture("cbr.mp3").frames);
    let url = format!("file://{}", folder.path().join("%C3%BC%20cbr.mp3").display());
    assert_eq!(decode(url).report()["frames"], fixture("cbr.mp3").frames);
}

#[test]
fn playlists_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in media::folder("hls/aac4").files() {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    let report = decode(folder.path().join("master.m3u8")).with("--variant 0").report();
    assert_eq!(
        (&report["kind"], report["frames"].as_u64()),
        (&"hls".into(), Some(fixture("aac4/64k").frames))
    );
    let relative = decode("64k/index.m3u8").folder(folder.path()).report();
    assert_eq!(relative["frames"], fixture("aac4/64k").frames);
    let bare = decode("index.m3u8").folder(folder.path().join("64k")).report();
    assert_eq!(bare["frames"], fixture("aac4/64k").frames);
}

#[cfg(unix)]
#[test]
fn names_that_are_no_urls_and_no_text() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in media::folder("hls/ts-aac").files() {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    let list = folder.path().join("a#b? 100%41 ü.m3u8");
    std::fs::rename(folder.path().join("index.m3u8"), &list).unwrap();
    assert_eq!(decode(&list).report()["frames"], fixture("ts-aac").frames);

    let odd = |bytes| folder.path().join(OsStr::from_bytes(bytes));
    std::fs::write(odd(b"\xff.mp3"), media::file("file/cbr.mp3").unwrap()).unwrap();
    assert_eq!(decode(odd(b"\xff.mp3")).report()["frames"], fixture("cbr.mp3").frames);
    std::fs::copy(&list, odd(b"\xff.m3u8")).unwrap();
    assert!(decode(odd(b"\xff.m3u8")).run().error().contains("UTF-8"));
}
