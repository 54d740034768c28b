//! Work in a process of its own: a bench calls itself, so that a figure is that of a whole process.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use serde_json::Value;

/// Name of the role and its arguments, in the environment of the process that plays it.
pub const ROLE: &str = "KITHARA_BENCH_ROLE";
const ARGUMENTS: &str = "KITHARA_BENCH_ARGUMENTS";

/// What a process can be called for: a name, and what makes an answer of arguments.
pub type Role = (&'static str, fn(Value) -> Value);

/// Plays the role that this process was called for, if it was: then `main` is over.
pub fn has_played(roles: &[Role]) -> bool {
    let Ok(name) = env::var(ROLE) else { return false };
    if super::server::serve(&name) {
        return true;
    }
    let arguments = env::var(ARGUMENTS).ok().and_then(|text| serde_json::from_str(&text).ok());
    let (_, play) = roles.iter().find(|(role, _)| *role == name).expect("a role of this bench");
    let answer = play(arguments.unwrap_or(Value::Null));
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{answer}").unwrap();
    stdout.flush().unwrap();
    true
}

/// Calls this program in a new process and waits for the answer.
pub fn call(role: &str, arguments: &Value) -> Value {
    let mut child = Command::new(env::current_exe().unwrap())
        .env(ROLE, role)
        .env(ARGUMENTS, arguments.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let answer = lines.map_while(Result::ok).last();
    assert!(child.wait().unwrap().success(), "{role} {arguments} failed");
    serde_json::from_str(&answer.expect("an answer")).unwrap()
}
