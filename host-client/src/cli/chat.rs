//! Line mode: what comes in does not tear the line that is being typed.

use std::io::{BufRead as _, IsTerminal as _, Write as _, stdin, stdout};

use hushwire::State;
use rustyline::{DefaultEditor, ExternalPrinter, error::ReadlineError};
use tokio::sync::mpsc;

use super::{
    exit::{Code, Failure},
    operation::Operation,
    print::Printer,
    reply::Reply,
    session::Session,
};

/// Prints above the line that is being typed.
type Show = Box<dyn FnMut(String) + Send>;

/// Until the user ends it (Ctrl-D) or something fails.
pub(super) async fn run(
    session: &Session<'_>,
    name: String,
    printer: Printer,
) -> Result<(), Failure> {
    let (typed, mut lines) = mpsc::channel(16);
    let mut show = start_editor(&name, printer.json, typed)?;
    let (replies, mut answers) = mpsc::channel(64);
    let listen = Operation::Listen {
        after: None,
        states: printer.json,
        with: Some(name.clone()),
    };
    let listening = session.perform(listen, replies.clone());
    let showing = async {
        while let Some(reply) = answers.recv().await {
            show_reply(&mut show, printer, &reply);
        }
    };
    // All three at once: each may have to wait for the vault that another one opens.
    tokio::select! {
        ended = listening => ended,
        () = showing => Ok(()),
        ended = say_all(session, &name, &mut lines, replies) => ended,
    }
}

/// Sends what is typed, until its end; then waits for the relay to take it.
async fn say_all(
    session: &Session<'_>,
    name: &str,
    lines: &mut mpsc::Receiver<String>,
    replies: mpsc::Sender<Reply>,
) -> Result<(), Failure> {
    // An answer says "queued", which the line on the screen says, too: nobody reads it.
    let quiet = || mpsc::channel(16);
    while let Some(line) = lines.recv().await {
        if line.trim().is_empty() {
            continue;
        }
        let (to, body) = (name.to_owned(), line.into_bytes());
        let send = Operation::Send {
            to,
            body,
            until: State::Queued,
            patience_ms: 0,
        };
        let (unread, _kept) = quiet();
        if let Err(failure) = session.perform(send, unread).await {
            // Nobody shows it any more: then nobody sees it.
            let _ = replies.send(Reply::Failed(failure)).await;
        }
    }
    let (unread, _kept) = quiet();
    session
        .perform(
            Operation::Drain {
                until: State::Accepted,
                patience_ms: 5000,
            },
            unread,
        )
        .await
}

fn show_reply(show: &mut Show, printer: Printer, reply: &Reply) {
    show(match printer.json {
        true => serde_json::to_string(reply).unwrap_or_default(),
        false => printer.text(reply),
    });
}

/// A thread that reads lines: with an editor at a terminal, plainly elsewhere.
fn start_editor(name: &str, json: bool, typed: mpsc::Sender<String>) -> Result<Show, Failure> {
    if json || !stdin().is_terminal() || !stdout().is_terminal() {
        std::thread::spawn(move || {
            for line in stdin().lock().lines().map_while(Result::ok) {
                if typed.blocking_send(line).is_err() {
                    return;
                }
            }
        });
        return Ok(Box::new(|text| {
            // Whoever read our output has gone; the end of the input ends us.
            let _ = writeln!(stdout().lock(), "{text}");
        }));
    }
    let failed = |error: ReadlineError| Failure::new(Code::Other, format!("the terminal: {error}"));
    let mut editor = DefaultEditor::new().map_err(failed)?;
    let mut printer = editor.create_external_printer().map_err(failed)?;
    let prompt = format!("to {}> ", super::print::printable(name));
    std::thread::spawn(move || {
        while let Ok(line) = editor.readline(&prompt) {
            // Kept in memory only, for the arrow keys.
            let _ = editor.add_history_entry(&line);
            if typed.blocking_send(line).is_err() {
                return;
            }
        }
    });
    Ok(Box::new(move |text| {
        let _ = printer.print(format!("{text}\n"));
    }))
}
