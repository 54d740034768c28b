//! Runs the tool.

use std::ffi::OsStr;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use kithara_testkit::media::{self, Fixture};
use serde_json::Value;

/// No run of these tests takes longer than some seconds; what does has hung.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// What a run left behind.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) status: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

/// A run of `kithara decode` that is being put together.
#[derive(Debug)]
pub(crate) struct Tool(Command);

/// `kithara decode SOURCE`.
pub(crate) fn decode(source: impl AsRef<OsStr>) -> Tool {
    kithara().args("decode").args(source)
}

/// `kithara`, without the environment that would change what it does.
pub(crate) fn kithara() -> Tool {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kithara"));
    for name in
        ["RUST_LOG", "http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]
    {
        command.env_remove(name);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Tool(command)
}

impl Tool {
    pub(crate) fn args(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.0.arg(argument);
        self
    }

    /// Arguments, separated by blanks.
    pub(crate) fn with(mut self, line: &str) -> Self {
        self.0.args(line.split_whitespace());
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.0.env(name, value);
        self
    }

    pub(crate) fn folder(mut self, folder: impl AsRef<std::path::Path>) -> Self {
        self.0.current_dir(folder);
        self
    }

    pub(crate) fn stdout(mut self, to: impl Into<Stdio>) -> Self {
        self.0.stdout(to);
        self
    }

    pub(crate) fn stderr(mut self, to: impl Into<Stdio>) -> Self {
        self.0.stderr(to);
        self
    }

    pub(crate) fn spawn(mut self) -> Child {
        self.0.spawn().unwrap()
    }

    /// Runs it to its end.
    pub(crate) fn run(self) -> Outcome {
        let mut child = self.spawn();
        let (sender, ended) = mpsc::channel();
        let mut stdout = child.stdout.take().unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let errors = thread::spawn(move || {
            let mut text = String::new();
            stderr.read_to_string(&mut text).unwrap();
            text
        });
        let output = thread::spawn(move || {
            let mut bytes = Vec::new();
            stdout.read_to_end(&mut bytes).unwrap();
            // The tool closes it by ending.
            let _ = sender.send(());
            bytes
        });
        if ended.recv_timeout(PATIENCE).is_err() {
            child.kill().unwrap();
            panic!("it hangs; its stderr: {}", errors.join().unwrap());
        }
        let status = child.wait().unwrap();
        Outcome {
            status: status.code().expect("it was killed by a signal"),
            stdout: output.join().unwrap(),
            stderr: errors.join().unwrap(),
        }
    }

    /// Runs it to an end that must be good, and gives the report that ends its standard output.
    pub(crate) fn report(self) -> Value {
        let outcome = self.with("--json").run().good();
        assert_eq!(outcome.stderr, "", "nothing on stderr");
        last_line(std::str::from_utf8(&outcome.stdout).unwrap())
    }

    /// Runs it to a good end and gives the bytes of its standard output: PCM, with `--output -`.
    pub(crate) fn bytes(self) -> Vec<u8> {
        self.with("--output -").run().good().stdout
    }
}

impl Outcome {
    pub(crate) fn good(self) -> Self {
        assert_eq!(self.status, 0, "{}", self.stderr);
        self
    }

    /// The one line on standard error that a failure ends with.
    pub(crate) fn error(&self) -> &str {
        assert_eq!(self.status, 1, "{self:?}");
        let line = self.stderr.strip_suffix('\n').expect("a whole line");
        assert!(
            line.starts_with("error: ") && !line.contains('\n'),
            "not one line of error: {:?}",
            self.stderr
        );
        assert!(!line.contains("secret"), "a secret is shown: {line}");
        assert!(self.stdout.is_empty(), "output of a failed run");
        line
    }
}

/// The JSON object of the last line.
pub(crate) fn last_line(text: &str) -> Value {
    let line = text.lines().last().expect("a line");
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
}

pub(crate) fn fixture(name: &str) -> &'static Fixture {
    media::find(name).unwrap()
}

/// The path on an origin at which a fixture stands.
pub(crate) fn path_of(name: &str) -> String {
    format!("/{}", fixture(name).entry)
}

/// Little-endian bytes as samples.
pub(crate) fn floats(bytes: &[u8]) -> Vec<f32> {
    assert!(bytes.len().is_multiple_of(4));
    bytes.chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect()
}
