use std::{
    ops::{Bound, RangeBounds},
    pin::Pin,
};

use tokio::sync::{mpsc, oneshot};

use super::{Cut, Received, Reply};

/// The test's hand on one answer: what is sent, and when.
///
/// From [`Origin::expect`](super::Origin::expect). Nothing is sent, not even the head, before the test says so. When
/// a `Control` is dropped, its answer runs to its end.
#[derive(Debug)]
pub struct Control {
    commands: mpsc::UnboundedSender<Command>,
    arrival: Arrival,
}

#[derive(Debug)]
enum Arrival {
    Waiting(oneshot::Receiver<Received>),
    Here(Received),
    /// The origin stopped before a request came.
    Never,
}

/// The client (or the origin) went away before what the test wanted to send was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the client has gone away")]
pub struct Gone;

#[derive(Debug)]
pub(super) enum Command {
    Head(Box<Reply>, oneshot::Sender<()>),
    Send { until: u64, taken: oneshot::Sender<()> },
    Cut(Cut, oneshot::Sender<()>),
    Finish,
}

/// The response's side of a [`Control`].
#[derive(Debug)]
pub(super) struct Controlled {
    pub(super) commands: mpsc::UnboundedReceiver<Command>,
    pub(super) arrived: oneshot::Sender<Received>,
}

pub(super) fn pair() -> (Control, Controlled) {
    let (commands, receiver) = mpsc::unbounded_channel();
    let (arrived, arrival) = oneshot::channel();
    let control = Control { commands, arrival: Arrival::Waiting(arrival) };
    (control, Controlled { commands: receiver, arrived })
}

impl Control {
    /// Waits for the request that this control answers. Cancel-safe.
    ///
    /// # Errors
    /// The origin stopped.
    pub async fn request(&mut self) -> Result<Received, Gone> {
        if let Arrival::Waiting(arrival) = &mut self.arrival {
            self.arrival = match Pin::new(arrival).await {
                Ok(received) => Arrival::Here(received),
                Err(_) => Arrival::Never,
            };
        }
        match &self.arrival {
            Arrival::Here(received) => Ok(received.clone()),
            Arrival::Waiting(_) | Arrival::Never => Err(Gone),
        }
    }

    /// Sends the head of this reply: its status, headers and framing rule; the body still waits for [`send`](Self::send).
    ///
    /// Only before the first `send`: later it does nothing.
    ///
    /// # Errors
    /// The client went away.
    pub async fn respond(&mut self, reply: Reply) -> Result<(), Gone> {
        let (done, wait) = oneshot::channel();
        self.command(Command::Head(Box::new(reply), done), wait).await
    }

    /// Sends the body up to an offset *of the resource* (`..1024`; `..` is all there is), and waits until the
    /// connection has taken it.
    ///
    /// The start of the range is what was sent before and need not be given. A response to `Range: bytes=1024-` goes
    /// on from there: `send(..2048)` is its first 1024 bytes. The body does not end by it, not even after `..`
    /// (though a client that counts the Content-Length will know): see [`finish`](Self::finish).
    ///
    /// # Errors
    /// The client went away.
    pub async fn send(&mut self, range: impl RangeBounds<u64>) -> Result<(), Gone> {
        let until = match range.end_bound() {
            Bound::Included(last) => last.saturating_add(1),
            Bound::Excluded(end) => *end,
            Bound::Unbounded => u64::MAX,
        };
        let (taken, wait) = oneshot::channel();
        self.command(Command::Send { until, taken }, wait).await
    }

    /// Closes the connection in an orderly way after what was sent.
    ///
    /// # Errors
    /// The client went away before.
    pub async fn drop_connection(mut self) -> Result<(), Gone> {
        self.cut(Cut::Close).await
    }

    /// Ends the answer by this cut after what was sent.
    ///
    /// # Errors
    /// The client went away before.
    pub async fn cut(&mut self, cut: Cut) -> Result<(), Gone> {
        let (done, wait) = oneshot::channel();
        self.command(Command::Cut(cut, done), wait).await
    }

    /// Lets the answer run to its end.
    pub fn finish(self) {
        let _ = self.commands.send(Command::Finish);
    }

    async fn command(&mut self, command: Command, wait: oneshot::Receiver<()>) -> Result<(), Gone> {
        self.request().await?;
        self.commands.send(command).map_err(|_| Gone)?;
        wait.await.map_err(|_| Gone)
    }
}
