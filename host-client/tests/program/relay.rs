//! The relay's program in a process of its own: this test binary, which becomes it.

use std::{ffi::OsString, path::Path, process::Command};

use super::Running;

/// Its arguments, one on each line.
const ARGUMENTS: &str = "HUSHWIRE_TEST_RELAY_ARGUMENTS";

/// What the ignored test `relay_program` of a test file calls: it becomes the relay where a test of
/// that file started it so.
pub(crate) fn become_relay() {
    let Some(arguments) = std::env::var_os(ARGUMENTS) else {
        return;
    };
    let arguments = arguments.into_string().unwrap();
    let arguments = ["hushwire-relay"].into_iter().chain(arguments.lines());
    let code = hushwire_relay::start::main_of(arguments.map(OsString::from));
    std::process::exit(i32::from(code != std::process::ExitCode::SUCCESS));
}

/// The program with these arguments.
pub(crate) fn relay_command(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["relay_program", "--exact", "--ignored", "--nocapture"]);
    command.env_clear().env(ARGUMENTS, arguments.join("\n"));
    command
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    command
}

/// A relay that runs until it is dropped, and the URLs that it printed.
pub(crate) struct RelayProgram {
    pub(crate) running: Running,
    pub(crate) urls: Vec<String>,
}

impl RelayProgram {
    /// `listeners`: how many URLs are waited for.
    pub(crate) fn start(data: &Path, more: &[&str], listeners: usize) -> Self {
        let data = data.to_str().unwrap();
        let arguments = [&["--data", data], more].concat();
        let mut running = Running::start(relay_command(&arguments));
        let mut urls = Vec::new();
        while urls.len() < listeners {
            // The test's harness talks on the same line.
            let line = running.next_line();
            urls.extend(line.find("hush").and_then(|at| {
                let url = line.get(at..)?;
                url.contains("://").then(|| url.to_owned())
            }));
        }
        Self { running, urls }
    }

    /// The URL of a scheme.
    pub(crate) fn url(&self, scheme: &str) -> String {
        let mut urls = self.urls.iter();
        urls.find(|url| url.starts_with(scheme)).unwrap().clone()
    }
}
