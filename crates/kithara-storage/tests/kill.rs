//! A download in another process that is killed at random moments, over and over: what is found afterwards is always a part
//! of one version of the body, never taken for the whole, and can always be finished.
//!
//! The other process is this test binary, told by an environment variable to be the downloader.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use kithara_storage::{ResourceStatus, StorageOptions, Streaming, StreamingExt, StreamingResource, block_on};

const FOLDER: &str = "KITHARA_KILL_FOLDER";
const SEED: &str = "KITHARA_KILL_SEED";
const KILLS: u64 = 220;
/// Space is reserved ahead of a download that has come so far.
const FAR: u64 = 1024 * 1024;
const LEN: u64 = 3 * FAR + 123;
const SETTINGS: StorageOptions = StorageOptions::new().with_journal_every(20_000).with_sync_every(200_000);

struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 8) % end
    }
}

/// The body of a version: every byte tells its offset and its version. Never zero, which is what holes are made of.
fn fill(version: u64, offset: u64, out: &mut [u8]) {
    let salt = version.wrapping_mul(0xD134_2543_DE82_EF95);
    for (at, byte) in out.iter_mut().enumerate() {
        let mixed = (offset + at as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ salt;
        *byte = (mixed >> 32) as u8 | 1;
    }
}

fn version_of(resource: &StreamingResource) -> Option<u64> {
    let tag = resource.tag()?;
    Some(std::str::from_utf8(&tag).unwrap().parse().unwrap())
}

fn open(folder: &Path) -> StreamingResource {
    StreamingResource::disk(folder.join("song"), SETTINGS).unwrap()
}

/// Downloads what is missing, run by run in a random order; sometimes the entity has changed, and all begins anew.
async fn download(resource: &StreamingResource, random: &mut Random) {
    let mut version = version_of(resource);
    if version.is_none() || random.below(4) == 0 {
        resource.reset().await.unwrap();
        version = Some(version.map_or(1, |version| version + 1));
        resource.set_tag(version.map(|version| Bytes::from(version.to_string())));
        resource.set_expected_len(LEN);
    }
    let version = version.unwrap();
    let (mut piece, mut is_far) = (vec![0; 3_000], false);
    while resource.available_at(0) < LEN {
        let from = random.below(LEN);
        let known = resource.available();
        let Some(gap) = known.first_gap(from..LEN).or_else(|| known.first_gap(0..LEN)) else { break };
        let end = gap.end.min(gap.start + random.below(100_000) + 1);
        let mut at = gap.start;
        while at < end {
            let len = (end - at).min(random.below(piece.len() as u64) + 1) as usize;
            fill(version, at, &mut piece[..len]);
            resource.write_at(at, &piece[..len]).await.unwrap();
            at += len as u64;
        }
        // So far that even without the last note there is as much.
        if !is_far && resource.available().covered() > FAR + SETTINGS.journal_every {
            is_far = true;
            say("far");
        }
    }
    resource.commit(LEN).await.unwrap();
}

/// Tells the process that is going to kill this one.
fn say(word: &str) {
    println!("\n{word}");
    std::io::stdout().flush().unwrap();
}

/// Not a test by itself: the other process.
#[test]
fn downloader() {
    let (Ok(folder), Ok(seed)) = (std::env::var(FOLDER), std::env::var(SEED)) else { return };
    let mut random = Random::new(seed.parse().unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    runtime.block_on(async {
        let resource = open(Path::new(&folder));
        let claim = resource.claim().await.unwrap();
        say("ready");
        if resource.len().is_none() {
            download(&resource, &mut random).await;
        }
        drop(claim);
    });
}

/// Every stored byte is of the version that the note names. Returns how many there are.
fn check(resource: &StreamingResource, version: Option<u64>) -> u64 {
    let (mut stored, mut expected) = (vec![0; 256 * 1024], vec![0; 256 * 1024]);
    for range in resource.available().iter() {
        let mut at = range.start;
        while at < range.end {
            let want = (range.end - at).min(stored.len() as u64) as usize;
            let read = resource.read_at_blocking(at, &mut stored[..want]).unwrap();
            assert!(read > 0);
            fill(version.expect("bytes of no version"), at, &mut expected[..read]);
            assert!(stored[..read] == expected[..read], "wrong bytes in {at}..{}", at + read as u64);
            at += read as u64;
        }
    }
    resource.available().covered()
}

/// The version that a committed body is of, from its first bytes.
fn version_of_committed(resource: &StreamingResource) -> u64 {
    let (mut head, mut expected) = ([0; 64], [0; 64]);
    resource.read_at_blocking(0, &mut head).unwrap();
    let is = |version: &u64| {
        fill(*version, 0, &mut expected);
        head == expected
    };
    (1..=2 * KILLS).find(is).expect("a committed body of no version")
}

/// True: the resource was found complete, every byte of it, and was removed.
fn check_and_remove_if_complete(folder: &Path, resource: &StreamingResource) -> bool {
    let ResourceStatus::Committed { len } = resource.status() else { return false };
    assert_eq!(len, LEN, "an unfinished resource was taken for complete");
    assert_eq!(check(resource, Some(version_of_committed(resource))), LEN);
    std::fs::remove_file(folder.join("song")).unwrap();
    true
}

/// Kills it `delay` after it began, or after it came `far`, or when it is done.
fn kill_once(folder: &Path, seed: u64, far: bool, delay: Duration) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["downloader", "--exact", "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .env(SEED, seed.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(
        lines.any(|line| line.unwrap() == "ready"),
        "the downloader did not begin: stale lock, bricked resource?"
    );
    if far {
        lines.any(|line| line.unwrap() == "far");
    }
    let begin = Instant::now();
    while begin.elapsed() < delay {
        std::hint::spin_loop();
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn killed_at_random_moments() {
    if std::env::var_os(FOLDER).is_some() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut random = Random::new(20_260_101);
    let (mut partial, mut far, mut empty, mut complete, mut resumed) = (0, 0, 0, 0, 0);
    for round in 0..KILLS {
        let delay = Duration::from_micros(random.below(if round % 2 == 0 { 16_000 } else { 2_000 }));
        kill_once(folder, round, round % 2 == 1, delay);
        let resource = open(folder);
        if check_and_remove_if_complete(folder, &resource) {
            complete += 1;
            continue;
        }
        match check(&resource, version_of(&resource)) {
            0 => empty += 1,
            stored => (partial, far) = (partial + 1, far + usize::from(stored > FAR)),
        }
        if round % 10 == 9 {
            // It can always be finished, from what is there.
            let claim = resource.try_claim().unwrap().expect("nobody else");
            resumed += usize::from(resource.available().covered() > 0);
            block_on(download(&resource, &mut random));
            drop(claim);
            assert!(check_and_remove_if_complete(folder, &open(folder)), "finished");
        }
    }
    println!(
        "{KILLS} kills: {partial} found a part, {far} a large one, {empty} nothing, {complete} the whole; {resumed} parts finished"
    );
    assert!(far > 0 && resumed > 0, "the kills came too early or too late to show anything");
}
