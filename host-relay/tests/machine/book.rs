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
        let first = text.split_inclusive(';').next().expect("altered");
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
        let fields = text.strip_suffix(';').ok_or("half a line")?.split(',');
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
    /// What is to be lost is written.
    Wrote,
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
            Self::Wrote => "wrote -".to_owned(),
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
            "wrote" => Some(Self::Wrote),
            "serves" => Some(Self::Serves),
            "drained" => Some(Self::Drained),
            "got" => of.parse().ok().map(Self::Got),
            "accepted" => of.parse().ok().map(Self::Accepted),
            _ => None,
        }
    }
}

/// How far a boot came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) enum Stage {
    #[default]
    Off,
    /// Relays and servers start.
    Starts,
    /// A relay gives the servers back what they lost.
    WritesBack,
    /// Bob reads what waits.
    Drains,
    Loaded,
}

/// All that was said over all boots.
#[derive(Default)]
pub(crate) struct Book {
    accepted: HashSet<Message>,
    received: HashSet<Message>,
    /// Received, and their acks durable: they come no more.
    removed: HashSet<Message>,
    twice: u32,
    after_removal: Vec<Message>,
    /// Of this boot.
    pub(crate) stage: Stage,
    pub(crate) accepted_now: u32,
    /// Whether this boot wrote what is to be lost, and the one before.
    wrote: [bool; 2],
    /// Cuts behind which something was to be lost, and those behind which it was.
    pub(crate) could_take: u32,
    pub(crate) took: u32,
    /// What should not be said.
    troubles: Vec<String>,
    pub(crate) written_back: u32,
    /// How many cuts met which stage.
    met: [u32; 5],
}

impl Book {
    /// A machine is switched on.
    pub(crate) fn begin(&mut self) {
        self.accepted_now = 0;
        self.stage = Stage::Off;
        self.wrote = [false, self.wrote[0]];
    }

    pub(crate) fn cut(&mut self) {
        self.met[self.stage as usize] += 1;
    }

    pub(crate) fn enter(&mut self, line: &str) {
        match Said::parse(line) {
            Some(Said::Cut(is_gone)) if self.wrote[1] => {
                self.could_take += 1;
                self.took += u32::from(is_gone);
            }
            Some(Said::Cut(_)) => {}
            Some(Said::Wrote) => {
                self.wrote[0] = true;
                self.stage = Stage::Starts;
            }
            Some(Said::Serves) => self.stage = Stage::Drains,
            Some(Said::Drained) => {
                self.removed = self.received.clone();
                self.stage = Stage::Loaded;
            }
            Some(Said::Accepted(message)) => {
                self.accepted.insert(message);
                self.accepted_now += 1;
            }
            Some(Said::Got(message)) => {
                self.twice += u32::from(!self.received.insert(message));
                if self.removed.contains(&message) {
                    self.after_removal.push(message);
                }
            }
            None => {
                // A relay's log.
                if line.contains("they are written back") {
                    self.written_back += 1;
                    self.stage = Stage::WritesBack;
                }
                if line.contains("panicked at") || !self.troubles.is_empty() {
                    self.troubles.push(line.to_owned());
                }
            }
        }
    }

    pub(crate) fn troubles(&self) -> &[String] {
        &self.troubles
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
        let [_, starts, writes_back, drains, loaded] = self.met;
        write!(
            to,
            "{} accepted, {} received, {} of them again, {} after a durable removal, {} lost; cut {starts} times while starting, \
             {writes_back} while writing back, {drains} while reading what waited, {loaded} under load; {} of {} cuts took what was not \
             synced; the store written back {} times",
            self.accepted.len(),
            self.received.len(),
            self.twice,
            self.after_removal.len(),
            self.lost().len(),
            self.took,
            self.could_take,
            self.written_back,
        )
    }
}
