//! Bytes and first PCM of progressive files against their floors, measured in the same run.
//!
//! `cargo bench -p kithara-file [-- cached | loopback | first_pcm | seek]`: the best of interleaved rounds, so that what else the machine does falls on neither.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs, reason = "a bench")]

use std::io::{BufRead, BufReader, Read, Seek, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use kithara_assets::{AssetSettings, AssetStore};
use kithara_file::{File, FileOptions, LookAhead};
use kithara_net::{DefaultNet, NetExt, Request, Url};
use kithara_storage::{Streaming, StreamingResource};
use kithara_stream::{MediaInfo, PrefetchSettings, Reader, SyncReader};
use kithara_testkit::media::{self, Fixture};
use kithara_testkit::{DelayProxy, Gate, Origin, Reply, process};
use tokio::runtime::Runtime;

const LEN: u64 = 64 << 20;
const ROUNDS: usize = 15;
/// Bytes that a reader asks for at a time.
const STEP: usize = 64 * 1024;
/// Set in the process that serves.
const ROLE: &str = "KITHARA_BENCH_ROLE";

fn main() {
    if std::env::var_os(ROLE).is_some() {
        return serve();
    }
    // `cargo test --benches` runs this too, and wants no figures.
    if std::env::args().any(|arg| arg == "--test") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let wanted = |name: &str| {
        let mut filters = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).peekable();
        filters.peek().is_none() || filters.any(|filter| name.contains(&filter))
    };
    if wanted("cached") {
        cached(&runtime);
    }
    if wanted("loopback") {
        loopback(&runtime);
    }
    if wanted("first_pcm") {
        for trip in [20, 50] {
            first_pcm(&runtime, Duration::from_millis(trip));
        }
    }
    if wanted("seek") {
        seek(&runtime);
    }
}

/// The best of all rounds: what the work takes when nothing else gets in its way.
fn best(times: &[Duration]) -> Duration {
    times.iter().min().copied().unwrap_or_default()
}

/// What the rounds of one kind took: by the clock, and of the processors (all threads of this process).
struct Rounds {
    wall: Vec<Duration>,
    cpu: Vec<Duration>,
}

impl Rounds {
    const NEW: Self = Self { wall: Vec::new(), cpu: Vec::new() };

    fn time(&mut self, work: impl FnOnce() -> u64) {
        let (cpu, began) = (process::cpu_time().unwrap_or_default(), Instant::now());
        assert_eq!(work(), LEN);
        self.wall.push(began.elapsed());
        self.cpu.push(process::cpu_time().unwrap_or_default().saturating_sub(cpu));
    }
}

/// The origin of the bodies, in a process of its own: what serving costs is not the reader's.
struct Server {
    child: Child,
    url: String,
}

impl Server {
    fn start() -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let piped = command.env(ROLE, "serve").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = piped.spawn().unwrap();
        let mut url = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut url).unwrap();
        Self { child, url: url.trim_end().to_owned() }
    }

    fn url(&self, path: &str) -> Url {
        format!("{}{path}", self.url).parse().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// Serves until the process that asked for it ends, with as little work as a server can have: one write per body.
fn serve() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    println!("http://{}", listener.local_addr().unwrap());
    let body: &'static [u8] = vec![7; usize::try_from(LEN).unwrap()].leak();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            std::thread::spawn(move || answer(connection.unwrap(), body));
        }
    });
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

/// Answers what is asked on one connection: `/b.bin` as fast as it goes, `/gigabit.bin` in a piece each millisecond.
fn answer(connection: TcpStream, body: &[u8]) {
    let mut lines = BufReader::new(connection.try_clone().unwrap()).lines();
    while let Some(Ok(first)) = lines.next() {
        while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {LEN}\r\nContent-Type: audio/mpeg\r\n\r\n");
        let piece = if first.contains("/gigabit.bin") { 125_000 } else { body.len() };
        let began = Instant::now();
        let sent = (&connection).write_all(head.as_bytes()).and_then(|()| {
            body.chunks(piece).zip(0..).try_for_each(|(part, n)| {
                if piece < body.len() {
                    std::thread::sleep(
                        (began + Duration::from_millis(n)).saturating_duration_since(Instant::now()),
                    );
                }
                (&connection).write_all(part)
            })
        });
        if sent.is_err() {
            return;
        }
    }
}

fn drain(mut source: impl Read, buffer: usize) -> u64 {
    let mut buf = vec![0; buffer];
    let mut total = 0;
    loop {
        match source.read(&mut buf).unwrap() {
            0 => return total,
            read => total += read as u64,
        }
    }
}

/// A committed resource on disk, read in steps of 32 KiB as our decoders do, and of 8 KiB as a `BufReader` does.
fn cached(runtime: &Runtime) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("resource");
    let resource = StreamingResource::disk(&path, kithara_storage::StorageOptions::default()).unwrap();
    runtime.block_on(async {
        let block = vec![7; 1 << 20];
        for at in 0..LEN >> 20 {
            resource.write_at(at << 20, &block).await.unwrap();
        }
        resource.commit(LEN).await.unwrap();
    });
    let _context = runtime.enter();
    let source = || Reader::new(resource.clone(), MediaInfo::default());
    let mut file = std::fs::File::open(&path).unwrap();
    for step in [32 * 1024, 8 * 1024] {
        let [mut bare, mut direct, mut ahead] = [const { Rounds::NEW }; 3];
        for _ in 0..ROUNDS {
            file.rewind().unwrap();
            bare.time(|| drain(&file, step));
            direct.time(|| drain(SyncReader::direct(source()), step));
            let pool = kithara_bufpool::BytePool::new(kithara_bufpool::PoolSettings::default());
            let settings = PrefetchSettings::new(pool);
            ahead.time(|| drain(SyncReader::prefetching(source(), settings).unwrap(), step));
        }
        let steps = format!("cached, {} KiB a read", step / 1024);
        report(&format!("{steps}, SyncReader::direct / File"), &bare, &direct, 0.8);
        report(&format!("{steps}, SyncReader::prefetching / File"), &bare, &ahead, 0.8);
    }
}

/// A body over loopback into a store on disk and out of it again, while it arrives; then over a line as fast as networks
/// are: whether what it costs beside is in the way.
fn loopback(runtime: &Runtime) {
    let server = Server::start();
    for (line, path, rounds) in [("loopback", "/b.bin", ROUNDS), ("1 Gbit/s", "/gigabit.bin", 3)] {
        let url = server.url(path);
        let client = reqwest::Client::new();
        let [mut bare, mut file, mut kept, mut disk, mut memory] = [const { Rounds::NEW }; 5];
        for _ in 0..rounds {
            bare.time(|| runtime.block_on(bare_body(&client, &url, drop)));
            kept.time(|| bare_through_memory(runtime, &client, &url));
            let folder = tempfile::tempdir().unwrap();
            file.time(|| bare_through_file(runtime, &client, &url, &folder.path().join("bare")));
            let store = AssetStore::disk(folder.path(), AssetSettings::default()).unwrap();
            disk.time(|| through(runtime, &url, store));
            memory.time(|| through(runtime, &url, AssetStore::memory(AssetSettings::default())));
        }
        report(&format!("{line}, store on disk / reqwest"), &bare, &disk, 0.9);
        report(&format!("{line}, store on disk / reqwest through a file"), &file, &disk, 0.9);
        report(&format!("{line}, store in memory / reqwest"), &bare, &memory, 0.9);
        report(&format!("{line}, store in memory / reqwest through memory"), &kept, &memory, 0.9);
    }
}

async fn bare_body(client: &reqwest::Client, url: &Url, mut take: impl FnMut(bytes::Bytes)) -> u64 {
    let mut body = client.get(url.clone()).send().await.unwrap();
    let mut total = 0;
    while let Some(chunk) = body.chunk().await.unwrap() {
        total += chunk.len() as u64;
        take(chunk);
    }
    total
}

/// What a store on disk cannot do without: each chunk is written to a file, and read from there on another thread.
fn bare_through_file(runtime: &Runtime, client: &reqwest::Client, url: &Url, path: &Path) -> u64 {
    let (tell, told) = mpsc::channel();
    let mut writing = std::fs::File::create(path).unwrap();
    let mut reading = std::fs::File::open(path).unwrap();
    let reader = std::thread::spawn(move || {
        let mut buf = vec![0; STEP];
        for mut more in told {
            while more > 0 {
                let read = STEP.min(more);
                reading.read_exact(&mut buf[..read]).unwrap();
                more -= read;
            }
        }
    });
    let total = runtime.block_on(bare_body(client, url, |chunk| {
        writing.write_all(&chunk).unwrap();
        tell.send(chunk.len()).unwrap();
    }));
    drop(tell);
    reader.join().unwrap();
    total
}

/// What a store in memory cannot do without: each chunk is kept, and copied to a reader on another thread.
fn bare_through_memory(runtime: &Runtime, client: &reqwest::Client, url: &Url) -> u64 {
    let (tell, told) = mpsc::channel::<bytes::Bytes>();
    let reader = std::thread::spawn(move || {
        let (mut buf, mut kept) = (vec![0; STEP], Vec::new());
        for chunk in told {
            for piece in chunk.chunks(STEP) {
                buf[..piece.len()].copy_from_slice(piece);
            }
            kept.push(chunk);
        }
    });
    let total = runtime.block_on(bare_body(client, url, |chunk| tell.send(chunk).unwrap()));
    drop(tell);
    reader.join().unwrap();
    total
}

fn through(runtime: &Runtime, url: &Url, store: AssetStore) -> u64 {
    let mut options = FileOptions::new(DefaultNet::default(), store);
    options.look_ahead = LookAhead::unbounded();
    let source = runtime.block_on(File::open_source(url.clone(), &options)).unwrap();
    let _context = runtime.enter();
    drain(SyncReader::direct(source), STEP)
}

fn files() -> impl Iterator<Item = &'static Fixture> {
    media::all().iter().filter(|fixture| fixture.kind == media::Kind::File)
}

fn in_memory() -> FileOptions {
    FileOptions::new(DefaultNet::default(), AssetStore::memory(AssetSettings::default()))
}

/// With the handshake of TCP and the request: two round trips at least. The floor is the first byte of the same body, by bare
/// reqwest with a client that is as new.
fn first_pcm(runtime: &Runtime, trip: Duration) {
    let origin = Origin::start_blocking().unwrap();
    let proxy = DelayProxy::start_blocking(origin.address(), trip / 2).unwrap();
    let mut times: Vec<_> = files().map(|fixture| (fixture, Vec::new(), Vec::new())).collect();
    for _ in 0..ROUNDS {
        for (fixture, floor, ours) in &mut times {
            let url: Url = proxy.url(&format!("/{}", fixture.entry)).parse().unwrap();
            let began = Instant::now();
            runtime.block_on(async {
                let response = reqwest::Client::new().get(url.clone()).send().await;
                response.unwrap().chunk().await.unwrap().unwrap();
            });
            floor.push(began.elapsed());
            let began = Instant::now();
            runtime.block_on(async {
                let mut stream = File::open(url, in_memory()).await.unwrap();
                stream.next_chunk().await.unwrap().unwrap();
            });
            ours.push(began.elapsed());
        }
    }
    for (fixture, floor, ours) in &times {
        let (floor, ours) = (best(floor), best(ours));
        println!(
            "first PCM at {trip:?}, {}: {ours:.1?}, two round trips + {:.2?} (target + 2 ms; first byte + {:.2?})",
            fixture.name,
            ours.saturating_sub(2 * trip),
            floor.saturating_sub(2 * trip),
        );
    }
}

/// From a seek to its first PCM at a round trip of 50 ms: to what is stored, and to what is not with a connection that is
/// open and free, and without one.
fn seek(runtime: &Runtime) {
    const TRIP: Duration = Duration::from_millis(50);
    let origin = Origin::start_blocking().unwrap();
    let proxy = DelayProxy::start_blocking(origin.address(), TRIP / 2).unwrap();
    origin.serve("/warm", vec![7; 100]);
    let warm: Url = proxy.url("/warm").parse().unwrap();
    for (name, times_over) in [("cbr.mp3", 20), ("adts.aac", 40)] {
        // Far more than what comes in the time of a request.
        let body = media::find(name).unwrap().bytes().repeat(times_over);
        let path = format!("/{name}");
        origin.serve(&path, body);
        let url: Url = proxy.url(&path).parse().unwrap();
        let [mut stored, mut warmed, mut cold] = [const { Vec::new() }; 3];
        for round in 0..ROUNDS {
            // The first connection brings the beginning and is then busy with nothing.
            let held = Gate::new();
            origin.script(&path, [Reply::ok().stall_at(48 * 1024, &held)]);
            let mut options = in_memory();
            // To about the place, by one request: the exact one can only be counted from the start in these files.
            options.exact_seek = false;
            runtime.block_on(async {
                let mut stream = File::open(url.clone(), options.clone()).await.unwrap();
                stream.next_chunk().await.unwrap().unwrap();
                if round % 2 == 0 {
                    // Another request of the application has left a connection to the server open.
                    options.net.get_bytes(Request::new(warm.clone()), 1000).await.unwrap();
                }
                tokio::time::sleep(2 * TRIP).await;
                for (to, times) in [
                    (Duration::from_millis(300), &mut stored),
                    (Duration::from_secs(180), if round % 2 == 0 { &mut warmed } else { &mut cold }),
                ] {
                    let began = Instant::now();
                    stream.seek(to).await.unwrap();
                    stream.next_chunk().await.unwrap().unwrap();
                    times.push(began.elapsed());
                }
            });
        }
        println!(
            "seek to PCM at 50 ms, {}: stored {:.2?} (target 3 ms), not stored {:.1?} on a warm connection (target 60 ms), \
             {:.1?} on a new one",
            name,
            best(&stored),
            best(&warmed),
            best(&cold)
        );
    }
}

fn report(what: &str, floor: &Rounds, ours: &Rounds, target: f64) {
    let wall = best(&ours.wall).as_secs_f64();
    let ratio = best(&floor.wall).as_secs_f64() / wall;
    let rate = LEN as f64 / 1e6 / wall;
    let (cpu, floor_cpu) = (best(&ours.cpu), best(&floor.cpu));
    println!(
        "{what}: {ratio:.2} of the floor's throughput ({rate:.0} MB/s; target {target}); CPU {cpu:.1?}, floor {floor_cpu:.1?}"
    );
}
