//! Answers on the terminal: JSON lines for programs, text for people.

use std::io::{IsTerminal as _, Write as _, stdout};

use hushwire::State;

use super::{
    exit::Failure,
    reply::{ContactView, Direction, MessageView, Reply, StateView, StatusView},
    time,
};

/// How answers are shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Printer {
    pub(super) json: bool,
    /// A QR code beside what has one.
    pub(super) qr: bool,
}

impl Printer {
    /// One answer on standard output. An error means that nobody reads it any more.
    pub(super) fn print(self, reply: &Reply) -> std::io::Result<()> {
        let text = match self.json {
            true => serde_json::to_string(reply)?,
            false => self.text(reply),
        };
        // A new line and a flush for each: programs read while we run.
        let mut out = stdout().lock();
        writeln!(out, "{text}")?;
        out.flush()
    }

    /// Why a command failed, on standard error.
    pub(super) fn complain(self, failure: &Failure) {
        if self.json {
            let reply = Reply::Failed(failure.clone());
            eprintln!("{}", serde_json::to_string(&reply).unwrap_or_default());
        } else {
            eprintln!("hushwire: {}", printable(&failure.message));
        }
    }

    /// What a person reads.
    pub(super) fn text(self, reply: &Reply) -> String {
        match reply {
            Reply::Identity {
                address,
                card,
                nickname,
                words,
            } => {
                let mut text = format!("Address: {address}\nCard:    {card}");
                if let Some(nickname) = nickname {
                    text += &format!("\nName:    @{nickname}");
                }
                if self.qr {
                    text += &format!("\n\n{}", qr(card));
                }
                if let Some(words) = words {
                    text += &format!("\n\n{}", word_list(words));
                }
                text
            }
            Reply::Contact(contact) => contact_line(contact),
            Reply::Safety {
                name,
                number,
                qr: payload,
                verified,
            } => {
                let groups: Vec<_> = number.split(' ').collect();
                let rows: Vec<_> = groups.chunks(4).map(|row| row.join(" ")).collect();
                let code = if stdout().is_terminal() || self.qr {
                    qr(payload)
                } else {
                    String::new()
                };
                let hint = match verified {
                    true => format!("{name} is verified."),
                    false => format!(
                        "Compare with {name} over another channel. If it is the same on both sides: \
                         hushwire verify {name} --yes"
                    ),
                };
                format!(
                    "Safety number with {name}:\n\n  {}\n\n{code}{hint}",
                    rows.join("\n  ")
                )
            }
            Reply::Message(message) => message_line(message),
            Reply::State(state) => state_line(state),
            Reply::Status(status) => status_text(status),
            Reply::Alarm { text, .. } => format!("! {}", printable(text)),
            Reply::Done { text } => printable(text),
            Reply::Failed(failure) => printable(&failure.message),
            Reply::End => String::new(),
        }
    }
}

/// Text that cannot steer a terminal.
pub(super) fn printable(text: &str) -> String {
    let shown = |c: char| match c {
        '\n' | '\t' => c,
        // Also what turns the direction of writing.
        c if c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') => {
            '\u{fffd}'
        }
        c => c,
    };
    text.chars().map(shown).collect()
}

/// One line (or more, if it has more) of a conversation.
pub(super) fn message_line(message: &MessageView) -> String {
    let body = match (&message.text, &message.hex) {
        (Some(text), _) => printable(text),
        (None, Some(hex)) => format!("({} bytes) {hex}", hex.len() / 2),
        (None, None) => String::new(),
    };
    let (at, contact) = (time::local(&message.at), printable(&message.contact));
    match message.direction {
        Direction::In if message.replayable => format!("{at}  {contact} (may be old): {body}"),
        Direction::In => format!("{at}  {contact}: {body}"),
        Direction::Out => {
            let state = state_word(message.state);
            let reason = message
                .reason
                .as_ref()
                .map_or_else(String::new, |why| format!(": {why}"));
            format!("{at}  to {contact} ({state}{reason}): {body}")
        }
    }
}

fn state_line(state: &StateView) -> String {
    let reason = state
        .reason
        .as_ref()
        .map_or_else(String::new, |reason| format!(" ({reason})"));
    format!(
        "{} to {}{reason}",
        state_word(state.state),
        printable(&state.contact)
    )
}

pub(super) const fn state_word(state: State) -> &'static str {
    match state {
        State::Received => "received",
        State::Queued => "queued",
        State::Accepted => "accepted",
        State::Delivered => "delivered",
        State::Failed => "failed",
    }
}

fn contact_line(contact: &ContactView) -> String {
    let mut marks = Vec::new();
    if contact.verified {
        marks.push("verified".to_owned());
    }
    if contact.blocked {
        marks.push("blocked".to_owned());
    }
    if let Some(nickname) = &contact.nickname {
        marks.push(format!("@{nickname}"));
    }
    if contact.key_changed {
        marks.push("KEY CHANGED".to_owned());
    }
    let marks = if marks.is_empty() {
        String::new()
    } else {
        format!("  ({})", marks.join(", "))
    };
    format!(
        "{:<16} {}{marks}",
        printable(&contact.name),
        contact.address
    )
}

fn status_text(status: &StatusView) -> String {
    let mut lines = vec![
        format!("Address:  {}", status.address),
        format!("Card:     {}", status.card),
        format!("Vault:    {}", status.vault),
    ];
    if let Some(nickname) = &status.nickname {
        lines.push(format!("Nickname: @{nickname}"));
    }
    for relay in &status.relays {
        let state = match &relay.problem {
            None => "up".to_owned(),
            Some(problem) => problem.clone(),
        };
        lines.push(format!("Relay {}:  {} {state}", relay.link, relay.url));
    }
    if let Some(mailbox) = &status.mailbox {
        lines.push(format!(
            "Mailbox:  {}; {} message(s) waiting, {} one-time prekeys left",
            mailbox.mode, mailbox.messages, mailbox.prekeys
        ));
    }
    lines.push(format!(
        "Here:     {} contact(s), {} unread, {} without a receipt",
        status.contacts, status.unread, status.waiting
    ));
    for alarm in &status.alarms {
        lines.push(format!(
            "! {}  {}",
            time::local(&alarm.at),
            printable(&alarm.text)
        ));
    }
    lines.join("\n")
}

fn word_list(words: &str) -> String {
    let words: Vec<_> = words.split(' ').collect();
    let rows: Vec<_> = words.chunks(6).map(|row| row.join(" ")).collect();
    format!(
        "These 24 words are your identity. Write them down; they are not shown again:\n\n  {}\n",
        rows.join("\n  ")
    )
}

fn qr(text: &str) -> String {
    use qrcode::{EcLevel, QrCode, render::unicode::Dense1x2};
    let code = QrCode::with_error_correction_level(text, EcLevel::L);
    code.map_or_else(
        |_| String::new(),
        |code| {
            let mut drawn = code.render::<Dense1x2>();
            drawn
                .dark_color(Dense1x2::Dark)
                .light_color(Dense1x2::Light)
                .quiet_zone(true);
            let drawn = drawn.build();
            format!("{drawn}\n")
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_cannot_steer_the_terminal() {
        assert_eq!(
            printable("a\u{1b}[2Jb\u{202e}c\rd\ne"),
            "a\u{fffd}[2Jb\u{fffd}c\u{fffd}d\ne"
        );
    }

    #[test]
    fn a_card_fits_a_qr_code() {
        let card = format!(
            "hush://relay.example.org:7011/#{}/hush1{}",
            "0".repeat(66),
            "q".repeat(38)
        );
        assert!(qr(&card).lines().count() > 20);
    }

    #[test]
    fn an_answer_is_one_line_of_json() {
        let done = Reply::Done {
            text: "two\nlines".into(),
        };
        let line = serde_json::to_string(&done).unwrap();
        assert_eq!(line, r#"{"type":"done","text":"two\nlines"}"#);
    }
}
