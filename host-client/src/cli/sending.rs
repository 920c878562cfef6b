//! `send`: one message from the command line or standard input, or one for each line.

use std::io::{BufRead as _, IsTerminal as _, Read as _, stdin};

use hushwire::State;
use tokio::sync::mpsc;

use super::{
    args::Send,
    exit::{Code, Failure},
    operation::Operation,
    print::Printer,
    session::Session,
    shown,
};

/// Bytes of standard input that are read for one message: more than any message may have.
const MAX_INPUT: u64 = 64 * 1024;

pub(super) async fn run(
    session: &Session<'_>,
    send: Send,
    printer: Printer,
) -> Result<(), Failure> {
    let until = match (send.wait, send.queue) {
        (true, _) => State::Delivered,
        (false, true) => State::Queued,
        (false, false) => State::Accepted,
    };
    let seconds = send.timeout.unwrap_or(if send.wait { 60 } else { 10 });
    let patience_ms = seconds.saturating_mul(1000);
    if send.lines {
        return lines(session, &send.name, until, patience_ms, printer).await;
    }
    let body = match send.text {
        Some(text) if text != "-" => text.into_bytes(),
        None if stdin().is_terminal() => {
            let sentence = "nothing to send; give a text, or - and write on standard input";
            return Err(Failure::new(Code::Usage, sentence));
        }
        _ => {
            let mut body = Vec::new();
            stdin().take(MAX_INPUT).read_to_end(&mut body)?;
            body
        }
    };
    shown(
        session,
        Operation::Send {
            to: send.name,
            body,
            until,
            patience_ms,
        },
        printer,
    )
    .await
}

/// Each line is queued as it comes; then all are waited for.
async fn lines(
    session: &Session<'_>,
    to: &str,
    until: State,
    patience_ms: u64,
    printer: Printer,
) -> Result<(), Failure> {
    let (read, mut lines) = mpsc::channel(16);
    std::thread::spawn(move || {
        for line in stdin().lock().lines().map_while(Result::ok) {
            if read.blocking_send(line).is_err() {
                return;
            }
        }
    });
    while let Some(line) = lines.recv().await {
        let (to, body) = (to.to_owned(), line.into_bytes());
        let send = Operation::Send {
            to,
            body,
            until: State::Queued,
            patience_ms: 0,
        };
        shown(session, send, printer).await?;
    }
    match until {
        State::Queued => Ok(()),
        until => shown(session, Operation::Drain { until, patience_ms }, printer).await,
    }
}
