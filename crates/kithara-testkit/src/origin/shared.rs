use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    fmt,
    path::{Component, Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use parking_lot::Mutex;
use tokio::sync::watch;

use super::{
    Content, Cut, Received, Reply, Resource, connection::Connection, control::Controlled, link::Link,
    log::InFlight,
};
use crate::media;

/// Chooses the reply to a request.
pub(super) type Answer = Arc<dyn Fn(&Received) -> Reply + Send + Sync>;
/// Stops a request, or lets it through.
pub(super) type Guard = Arc<dyn Fn(&Received) -> Option<Reply> + Send + Sync>;

/// The next answer of a path.
pub(super) enum Step {
    Reply(Box<Reply>),
    Control(Controlled),
}

/// All that the handle, the accept loop and the responses have in common.
pub(super) struct Shared {
    state: Mutex<State>,
    /// Counts everything that a test may wait for.
    changes: watch::Sender<u64>,
    pub(super) link: Link,
    /// Bytes written to all sockets, heads and framing included.
    pub(super) written: Arc<AtomicU64>,
}

#[derive(Default)]
struct State {
    routes: BTreeMap<String, Resource>,
    folders: Vec<(String, PathBuf)>,
    steps: HashMap<String, VecDeque<Step>>,
    answers: HashMap<String, Answer>,
    guards: Vec<(String, Guard)>,
    fallback: Reply,
    log: Vec<Received>,
    counts: HashMap<String, usize>,
    in_flight: usize,
    peak: usize,
    connections: HashMap<u64, Arc<Connection>>,
    opened: u64,
}

impl Shared {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            changes: watch::Sender::new(0),
            link: Link::default(),
            written: Arc::default(),
        })
    }

    pub(super) fn route(&self, path: &str, resource: Option<Resource>) {
        let mut state = self.state.lock();
        match resource {
            Some(resource) => drop(state.routes.insert(path.to_owned(), resource)),
            None => drop(state.routes.remove(path)),
        }
    }

    pub(super) fn folder(&self, prefix: &str, folder: PathBuf) {
        let mut state = self.state.lock();
        state.folders.push((prefix.trim_end_matches('/').to_owned(), folder));
        state.folders.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
    }

    pub(super) fn push_step(&self, path: &str, step: Step) {
        self.state.lock().steps.entry(path.to_owned()).or_default().push_back(step);
    }

    pub(super) fn set_answer(&self, path: &str, answer: Answer) {
        self.state.lock().answers.insert(path.to_owned(), answer);
    }

    pub(super) fn push_guard(&self, prefix: &str, guard: Guard) {
        self.state.lock().guards.push((prefix.to_owned(), guard));
    }

    pub(super) fn set_fallback(&self, reply: Reply) {
        self.state.lock().fallback = reply;
    }

    pub(super) fn clear_scripts(&self) {
        let mut state = self.state.lock();
        state.steps.clear();
        state.answers.clear();
        state.guards.clear();
        state.fallback = Reply::default();
    }

    /// Notes a request; its answer is under way until the guard is dropped.
    pub(super) fn received(self: &Arc<Self>, head: &http::request::Parts, connection: u64) -> InFlight {
        let received = {
            let mut state = self.state.lock();
            let count = state.counts.entry(head.uri.path().to_owned()).or_default();
            let nth = *count;
            *count += 1;
            let received = Received::new(head, connection, nth);
            state.log.push(received.clone());
            state.in_flight += 1;
            state.peak = state.peak.max(state.in_flight);
            received
        };
        self.changed();
        InFlight { received, shared: Arc::clone(self) }
    }

    pub(super) fn finished(&self) {
        {
            let mut state = self.state.lock();
            state.in_flight = state.in_flight.saturating_sub(1);
        }
        self.changed();
    }

    /// What the scripts say about a request: a guard first, then the path's next step, its answer, the fallback.
    ///
    /// The test's closures run without the lock: they may ask the origin.
    pub(super) fn step(&self, received: &Received) -> Step {
        let guards: Vec<Guard> = {
            let state = self.state.lock();
            let concerned =
                state.guards.iter().filter(|(prefix, _)| received.path().starts_with(prefix.as_str()));
            concerned.map(|(_, guard)| Arc::clone(guard)).collect()
        };
        if let Some(reply) = guards.iter().find_map(|guard| guard(received)) {
            return Step::Reply(Box::new(reply));
        }
        let (step, answer, fallback) = {
            let mut state = self.state.lock();
            let step = state.steps.get_mut(received.path()).and_then(VecDeque::pop_front);
            (step, state.answers.get(received.path()).cloned(), state.fallback.clone())
        };
        step.unwrap_or_else(|| Step::Reply(Box::new(answer.map_or(fallback, |answer| answer(received)))))
    }

    /// The resource at a path: set by the test, in a folder on disk, or embedded.
    pub(super) fn resource(&self, path: &str) -> Option<Resource> {
        let folders = {
            let state = self.state.lock();
            if let Some(resource) = state.routes.get(path) {
                return Some(resource.clone());
            }
            state.folders.clone()
        };
        for (prefix, folder) in &folders {
            let Some(rest) = path.strip_prefix(prefix.as_str()).and_then(|rest| rest.strip_prefix('/'))
            else {
                continue;
            };
            if let Some(content) = below(folder, rest) {
                return Some(Resource::new(content));
            }
        }
        media::file(path.strip_prefix('/')?).map(Resource::new)
    }

    pub(super) fn opened(&self) -> Arc<Connection> {
        let connection = {
            let mut state = self.state.lock();
            let connection = Connection::new(state.opened);
            state.opened += 1;
            state.connections.insert(connection.id, Arc::clone(&connection));
            connection
        };
        self.changed();
        connection
    }

    pub(super) fn closed(&self, id: u64) {
        self.state.lock().connections.remove(&id);
        self.changed();
    }

    pub(super) fn cut_all(&self, cut: Cut) {
        let connections: Vec<_> = self.state.lock().connections.values().cloned().collect();
        for connection in connections {
            connection.cut(cut);
        }
    }

    pub(super) fn log(&self) -> Vec<Received> {
        self.state.lock().log.clone()
    }

    pub(super) fn nth_request(&self, path: &str, nth: usize) -> Option<Received> {
        self.state
            .lock()
            .log
            .iter()
            .find(|received| received.path() == path && received.nth() == nth)
            .cloned()
    }

    pub(super) fn forget(&self) {
        let mut state = self.state.lock();
        state.log.clear();
        state.counts.clear();
        state.peak = state.in_flight;
        self.written.store(0, Relaxed);
    }

    pub(super) fn counters(&self) -> Counters {
        let state = self.state.lock();
        Counters {
            requests: state.log.len(),
            in_flight: state.in_flight,
            peak: state.peak,
            opened: state.opened,
            open: state.connections.len(),
            written: self.written.load(Relaxed),
        }
    }

    /// Waits until `ready` gives something; asked again after every change.
    pub(super) async fn wait<T>(&self, mut ready: impl FnMut(&Self) -> Option<T>) -> T {
        let mut changes = self.changes.subscribe();
        loop {
            changes.mark_unchanged();
            if let Some(value) = ready(self) {
                return value;
            }
            // It can only fail when the sender is gone, and `self` holds it.
            let _ = changes.changed().await;
        }
    }

    fn changed(&self) {
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.counters().fmt(f)
    }
}

/// What the origin has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Requests received.
    pub requests: usize,
    /// Answers that are under way.
    pub in_flight: usize,
    /// The most answers that were under way at once.
    pub peak: usize,
    /// Connections accepted.
    pub opened: u64,
    /// Connections that are open.
    pub open: usize,
    /// Bytes written to all connections, heads and framing included.
    pub written: u64,
}

/// The file at a path below a folder; none outside of it.
fn below(folder: &Path, path: &str) -> Option<Content> {
    let path = percent_decode(path)?;
    let path = Path::new(&path);
    if !path.components().all(|part| matches!(part, Component::Normal(_))) {
        return None;
    }
    Content::file(folder.join(path)).ok()
}

fn percent_decode(path: &str) -> Option<String> {
    let mut out = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        if first != b'%' {
            out.push(first);
            continue;
        }
        let (digits, tail) = rest.split_at_checked(2)?;
        out.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
        rest = tail;
    }
    String::from_utf8(out).ok()
}
