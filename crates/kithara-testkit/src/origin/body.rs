use std::{
    convert::Infallible,
    future::{self, Future},
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{BufMut as _, Bytes, BytesMut};
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::{mpsc, oneshot};

use super::{
    Content, Cut, Gate, Shared, connection::Connection, control::Command, link::Link, log::InFlight,
    reply::Icy,
};

/// A response body that a future writes: the future runs when the connection asks for more, in no task of its own.
pub(super) struct ScriptedBody {
    writer: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    pieces: mpsc::Receiver<Result<Bytes, io::Error>>,
    in_flight: InFlight,
}

impl ScriptedBody {
    pub(super) fn empty(in_flight: InFlight) -> Self {
        Self { writer: None, pieces: mpsc::channel(1).1, in_flight }
    }

    pub(super) fn new(script: Script, in_flight: InFlight) -> Self {
        let (sender, pieces) = mpsc::channel(1);
        Self { writer: Some(Box::pin(script.run(sender))), pieces, in_flight }
    }

    fn take(&mut self) -> Option<Result<Frame<Bytes>, io::Error>> {
        let piece = self.pieces.try_recv().ok()?;
        if let Ok(bytes) = &piece {
            self.in_flight.received.add_sent(bytes.len() as u64);
        }
        Some(piece.map(Frame::data))
    }
}

impl Body for ScriptedBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        // The writer runs in this task, so nobody else puts a piece there: no waker has to be left with the channel.
        if let Some(piece) = self.take() {
            return Poll::Ready(Some(piece));
        }
        let Some(writer) = self.writer.as_mut() else { return Poll::Ready(None) };
        let done = writer.as_mut().poll(cx).is_ready();
        if done {
            self.writer = None;
        }
        // A piece written in this poll goes out in it, too, even when the writer went on to end the connection.
        match self.take() {
            Some(piece) => Poll::Ready(Some(piece)),
            None if done => Poll::Ready(None),
            None => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.writer.is_none() && self.pieces.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        if self.is_end_stream() { SizeHint::with_exact(0) } else { SizeHint::default() }
    }
}

/// Everything that decides which bytes of a body are sent, and when.
pub(super) struct Script {
    pub(super) content: Content,
    /// Offset in the content.
    pub(super) start: u64,
    /// Offset in the content where the body ends; none for an endless one.
    pub(super) end: Option<u64>,
    pub(super) chunk_size: usize,
    pub(super) own_link: Link,
    pub(super) stalls: Vec<(u64, Gate)>,
    pub(super) pauses: Vec<(u64, Duration)>,
    pub(super) cut: Option<(u64, Cut)>,
    /// The body is shorter than declared: after its last byte the connection has to be closed.
    pub(super) is_short: bool,
    pub(super) icy: Option<Interleaver>,
    pub(super) control: Option<mpsc::UnboundedReceiver<Command>>,
    /// A command that was received before the head.
    pub(super) first: Option<Command>,
    /// Whom to tell that the last piece was taken.
    pub(super) taken: Option<oneshot::Sender<()>>,
    /// Streams can fail by themselves.
    pub(super) is_h2: bool,
    pub(super) connection: Arc<Connection>,
    pub(super) shared: Arc<Shared>,
}

/// The answer is over: the connection was cut, or the client is gone.
struct Over;

type Pieces = mpsc::Sender<Result<Bytes, io::Error>>;

impl Script {
    async fn run(mut self, pieces: Pieces) {
        let mut sent = 0;
        // Cut or gone: nothing is left to do.
        let _ = self.write(&pieces, &mut sent).await;
    }

    async fn write(&mut self, pieces: &Pieces, sent: &mut u64) -> Result<(), Over> {
        let mut until = if self.control.is_some() { Some(0) } else { None };
        loop {
            self.waypoints(*sent, pieces).await?;
            let offset = self.start.saturating_add(*sent);
            let is_at_end = self.end.is_some_and(|end| offset >= end);
            if until.is_some_and(|until| offset >= until || is_at_end) {
                until = self.obey(pieces).await?;
                continue;
            }
            if is_at_end {
                break;
            }
            let count = self.next_piece(offset, *sent, until);
            self.own_link.carry(count).await;
            self.shared.link.carry(count).await;
            let piece = self.content.read(offset, count).unwrap_or_default();
            if piece.is_empty() {
                // A file on disk that was cut meanwhile: the declared length cannot be kept.
                self.is_short = true;
                break;
            }
            *sent += piece.len() as u64;
            let piece = match &mut self.icy {
                Some(icy) => icy.interleave(&piece),
                None => piece,
            };
            pieces.send(Ok(piece)).await.map_err(|_| Over)?;
        }
        if self.is_short { self.end_by(Cut::Close, pieces).await } else { Ok(()) }
    }

    /// How many bytes go out at once from here.
    fn next_piece(&self, offset: u64, sent: u64, until: Option<u64>) -> usize {
        let mut count = self.chunk_size as u64;
        let ends = [self.end, until].into_iter().flatten().map(|end| end.saturating_sub(offset));
        let stalls = self.stalls.iter().map(|(at, _)| *at);
        let marks = stalls.chain(self.pauses.iter().map(|(at, _)| *at)).chain(self.cut.map(|(at, _)| at));
        for limit in ends.chain(marks.filter(|at| *at > sent).map(|at| at - sent)) {
            count = count.min(limit);
        }
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        self.shared.link.portion(self.own_link.portion(count)).max(1)
    }

    /// Stalls, pauses and cuts that are due after `sent` bytes.
    async fn waypoints(&mut self, sent: u64, pieces: &Pieces) -> Result<(), Over> {
        while self.stalls.first().is_some_and(|(at, _)| *at <= sent) {
            let (_, gate) = self.stalls.remove(0);
            gate.pass().await;
        }
        while self.pauses.first().is_some_and(|(at, _)| *at <= sent) {
            let (_, pause) = self.pauses.remove(0);
            tokio::time::sleep(pause).await;
        }
        match self.cut {
            Some((at, cut)) if at <= sent => self.end_by(cut, pieces).await,
            _ => Ok(()),
        }
    }

    /// Waits for the test's next word: up to which offset to send, `None` for all of the rest.
    async fn obey(&mut self, pieces: &Pieces) -> Result<Option<u64>, Over> {
        if let Some(taken) = self.taken.take() {
            let _ = taken.send(());
        }
        loop {
            let command = match (self.first.take(), &mut self.control) {
                (Some(command), _) => Some(command),
                (None, Some(commands)) => commands.recv().await,
                (None, None) => None,
            };
            match command {
                None | Some(Command::Finish) => {
                    self.control = None;
                    return Ok(None);
                }
                Some(Command::Head(_, done)) => {
                    let _ = done.send(());
                }
                Some(Command::Send { until, taken }) => {
                    self.taken = Some(taken);
                    return Ok(Some(until));
                }
                Some(Command::Cut(cut, done)) => {
                    let _ = done.send(());
                    self.end_by(cut, pieces).await?;
                }
            }
        }
    }

    /// Ends the connection (or the stream) after everything written so far was taken.
    async fn end_by(&mut self, cut: Cut, pieces: &Pieces) -> Result<(), Over> {
        if cut == Cut::Stream && self.is_h2 {
            self.connection.let_flush(|| pieces.capacity() > 0).await;
            let _ = pieces.send(Err(io::ErrorKind::ConnectionAborted.into())).await;
            return Err(Over);
        }
        // Room in the channel: the piece before has been taken.
        let _ = pieces.reserve().await;
        self.connection.cut(cut);
        future::pending::<Infallible>().await;
        Err(Over)
    }
}

/// Puts a block of metadata after each `interval` bytes of sound.
pub(super) struct Interleaver {
    icy: Icy,
    left: usize,
    next: usize,
}

impl Interleaver {
    pub(super) fn new(icy: Icy) -> Self {
        Self { left: icy.interval, icy, next: 0 }
    }

    fn interleave(&mut self, mut sound: &[u8]) -> Bytes {
        let mut out = BytesMut::with_capacity(sound.len() + 64);
        while !sound.is_empty() {
            let (now, later) = sound.split_at(self.left.min(sound.len()));
            out.put_slice(now);
            (sound, self.left) = (later, self.left - now.len());
            if self.left == 0 {
                self.block(&mut out);
                self.left = self.icy.interval;
            }
        }
        out.freeze()
    }

    /// Length in units of 16 bytes, then the text padded with zeros; one zero when there is no news.
    fn block(&mut self, out: &mut BytesMut) {
        let Some(title) = self.icy.titles.get(self.next) else {
            out.put_u8(0);
            return;
        };
        self.next += 1;
        let text = format!("StreamTitle='{title}';");
        let text = &text.as_bytes()[..text.len().min(255 * 16)];
        let units = text.len().div_ceil(16);
        out.put_u8(units as u8);
        out.put_slice(text);
        out.put_bytes(0, units * 16 - text.len());
    }
}
