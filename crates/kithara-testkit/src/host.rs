//! Where a server's tasks live: on the caller's runtime, or on a thread of their own.

use std::{future::Future, io, sync::Arc, thread};

use parking_lot::Mutex;
use tokio::{
    sync::oneshot,
    task::{JoinHandle, JoinSet},
};

/// Owns the running server; dropping it ends everything that the server started.
#[derive(Debug)]
pub(crate) enum Host {
    Task(JoinHandle<()>),
    Thread { stop: Option<oneshot::Sender<()>>, thread: Option<thread::JoinHandle<()>> },
    Stopped,
}

impl Host {
    /// Runs the server on the current tokio runtime.
    pub(crate) fn task(server: impl Future<Output = ()> + Send + 'static) -> Self {
        Self::Task(tokio::spawn(server))
    }

    /// Runs the server that `start` makes on a current-thread runtime in a thread of its own.
    pub(crate) fn thread<T, F>(
        start: impl FnOnce() -> io::Result<(T, F)> + Send + 'static,
    ) -> io::Result<(T, Self)>
    where
        T: Send + 'static,
        F: Future<Output = ()> + 'static,
    {
        let (stop, stopped) = oneshot::channel::<()>();
        let (ready, started) = std::sync::mpsc::channel();
        let thread = thread::Builder::new().name("kithara-origin".to_owned()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let started = runtime.and_then(|runtime| {
                let entered = runtime.enter();
                let (value, server) = start()?;
                drop(entered);
                Ok((runtime, value, server))
            });
            match started {
                Err(error) => drop(ready.send(Err(error))),
                Ok((runtime, value, server)) => {
                    drop(ready.send(Ok(value)));
                    runtime.block_on(async {
                        tokio::select! {
                            () = server => {}
                            _ = stopped => {}
                        }
                    });
                }
            }
        })?;
        let value = started.recv().map_err(|_| io::Error::other("the server's thread ended at once"))??;
        Ok((value, Self::Thread { stop: Some(stop), thread: Some(thread) }))
    }

    /// Ends the server and waits until its sockets are closed.
    pub(crate) async fn stop(&mut self) {
        self.end();
        if let Self::Task(task) = self {
            let _ = task.await;
        }
        *self = Self::Stopped;
    }

    fn end(&mut self) {
        match self {
            Self::Task(task) => task.abort(),
            Self::Thread { stop, thread } => {
                drop(stop.take());
                if let Some(thread) = thread.take() {
                    let _ = thread.join();
                }
            }
            Self::Stopped => {}
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.end();
    }
}

/// Tasks that end with their owner, for hyper's HTTP/2 streams.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tasks(Arc<Mutex<JoinSet<()>>>);

impl<F> hyper::rt::Executor<F> for Tasks
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, future: F) {
        let mut tasks = self.0.lock();
        while tasks.try_join_next().is_some() {}
        tasks.spawn(async move {
            future.await;
        });
    }
}
