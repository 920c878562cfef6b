//! What was said on the console, and what must be true of it.

use std::collections::HashSet;
use std::fmt;
use std::io::Write as _;
use std::str::FromStr;

/// A message that tells whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Message {
    pub(crate) sender: u16,
    pub(crate) boot: u32,
    pub(crate) n: u32,
}

impl Message {
    /// Long enough that what was cut or altered shows.
    pub(crate) fn envelope(self) -> Vec<u8> {
        let word = self.to_string();
        word.bytes().cycle().take(300 - 300 % word.len()).collect()
    }

    #[track_caller]
    pub(crate) fn parse(envelope: &[u8]) -> Self {
        let text = std::str::from_utf8(envelope).expect("altered");
        let (first, _) = text.split_once(';').expect("altered");
        let message: Self = first.parse().expect("altered");
        assert_eq!(envelope, message.envelope(), "altered");
        message
    }
}

impl fmt::Display for Message {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sender, boot, n } = self;
        write!(to, "{sender},{boot},{n};")
    }
}

impl FromStr for Message {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fields = text.trim_end_matches(';').split(',');
        let fields: Result<Vec<u32>, _> = fields.map(str::parse).collect();
        match fields.as_deref() {
            Ok(&[sender, boot, n]) => Ok(Self {
                sender: u16::try_from(sender).map_err(|_| text.to_owned())?,
                boot,
                n,
            }),
            _ => Err(text.to_owned()),
        }
    }
}

/// A line of the console.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// Whether what an earlier boot had written and not synced is gone.
    Cut(bool),
    /// Bob is connected.
    Serves,
    /// Bob has what waited for him, and that he acknowledged it is durable.
    Drained,
    Got(Message),
    Accepted(Message),
}

impl Said {
    pub(crate) fn say(self) {
        let line = match self {
            Self::Cut(is_gone) => format!("cut {is_gone}"),
            Self::Serves => "serves -".to_owned(),
            Self::Drained => "drained -".to_owned(),
            Self::Got(message) => format!("got {message}"),
            Self::Accepted(message) => format!("accepted {message}"),
        };
        // In one write: others say something too.
        std::io::stdout()
            .write_all(format!("{line}\n").as_bytes())
            .unwrap();
    }

    pub(crate) fn parse(line: &str) -> Option<Self> {
        let (what, of) = line.split_once(' ')?;
        match what {
            "cut" => of.parse().ok().map(Self::Cut),
            "serves" => Some(Self::Serves),
            "drained" => Some(Self::Drained),
            "got" => of.parse().ok().map(Self::Got),
            "accepted" => of.parse().ok().map(Self::Accepted),
            _ => None,
        }
    }
}

/// All that was said over all boots.
#[derive(Default)]
pub(crate) struct Book {
    accepted: HashSet<Message>,
    received: HashSet<Message>,
    /// Received, and their acks durable: they come no more.
    removed: HashSet<Message>,
    pub(crate) cuts_that_took: u32,
    pub(crate) written_back: u32,
    twice: u32,
    after_removal: Vec<Message>,
    /// What is none of these lines, for who wonders.
    pub(crate) others: Vec<String>,
}

impl Book {
    pub(crate) fn enter(&mut self, line: &str) -> Option<Said> {
        let said = Said::parse(line);
        match said {
            Some(Said::Cut(is_gone)) => self.cuts_that_took += u32::from(is_gone),
            Some(Said::Serves) => {}
            Some(Said::Drained) => self.removed = self.received.clone(),
            Some(Said::Accepted(message)) => drop(self.accepted.insert(message)),
            Some(Said::Got(message)) => {
                self.twice += u32::from(!self.received.insert(message));
                if self.removed.contains(&message) {
                    self.after_removal.push(message);
                }
            }
            None => {
                self.written_back += u32::from(line.contains("they are written back"));
                self.others.push(line.to_owned());
            }
        }
        said
    }

    /// Accepted, and nowhere.
    pub(crate) fn lost(&self) -> Vec<Message> {
        let lost = self.accepted.difference(&self.received);
        lost.copied().collect()
    }

    pub(crate) fn after_removal(&self) -> &[Message] {
        &self.after_removal
    }

    pub(crate) fn accepted(&self) -> usize {
        self.accepted.len()
    }
}

impl fmt::Display for Book {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            to,
            "{} accepted, {} received, {} of them again, {} after a durable removal, {} lost; the store written back {} times; \
             {} cuts took what was not synced",
            self.accepted.len(),
            self.received.len(),
            self.twice,
            self.after_removal.len(),
            self.lost().len(),
            self.written_back,
            self.cuts_that_took,
        )
    }
}
