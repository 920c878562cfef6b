//! The other end of the socket: what `hushwire-relay status`, `mailbox` and `backup` ask.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

/// The relay answers within 5 s or not at all, back-ups aside.
const PATIENCE: Duration = Duration::from_secs(15);

const CUT_OFF: &str =
    "the relay went away before it had answered: look whether it runs, and ask again";

/// What came of a question.
pub(crate) enum Told {
    /// Lines of JSON.
    Lines(String),
    /// Why not.
    Refused(String),
    /// No relay runs on this data.
    Nobody(io::Error),
}

/// Asks the relay that runs on `data`.
pub(crate) fn ask(data: &Path, words: &str) -> io::Result<Told> {
    let mut stream = match UnixStream::connect(super::path(data)) {
        Ok(stream) => stream,
        Err(error) => return Ok(Told::Nobody(error)),
    };
    if !words.starts_with("backup ") {
        stream.set_read_timeout(Some(PATIENCE))?;
    }
    stream.write_all(format!("{words}\n").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let Some(lines) = whole(&answer) else {
        return Ok(Told::Refused(CUT_OFF.to_owned()));
    };
    Ok(match refusal(lines) {
        Some(why) => Told::Refused(why),
        None => Told::Lines(lines.to_owned()),
    })
}

/// The lines before the empty one with which an answer ends.
fn whole(answer: &str) -> Option<&str> {
    let lines = answer.strip_suffix('\n')?;
    (lines.is_empty() || lines.ends_with('\n')).then_some(lines)
}

fn refusal(answer: &str) -> Option<String> {
    let line: Value = serde_json::from_str(answer.lines().next()?).ok()?;
    Some(line.get("error")?.as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_was_cut_off_is_none() {
        for (answer, lines) in [
            ("\n", Some("")),
            ("{}\n\n", Some("{}\n")),
            ("{}\n{}\n\n", Some("{}\n{}\n")),
            ("", None),
            ("{}", None),
            ("{}\n", None),
        ] {
            assert_eq!(whole(answer), lines, "{answer:?}");
        }
    }
}
