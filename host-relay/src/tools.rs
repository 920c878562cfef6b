//! `hushwire-relay config | check | backup | restore | status | mailbox | invite`: what an owner does
//! beside serving.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use hushwire_core::identity::Address;

use crate::back_up::{back_up_to, put_back};
use crate::config::{Span, template};
use crate::key::KeyError;
use crate::operator;
use crate::operator::command::{Told, ask};
use crate::rotation::{KeyFile, KeyTool};
use crate::store::{Embedded, Findings, StoreError};

/// Bytes of a store's file that a command holds in memory.
pub(crate) const CACHE: usize = 64 * 1024 * 1024;
/// The store's name, in a back-up too.
pub(crate) const STORE: &str = "store.redb";

/// A command of an owner.
#[derive(Clone, Debug, Subcommand)]
pub enum Tool {
    /// Print a TOML file with every setting, its default, its unit and its meaning.
    Config,
    /// Read every row of a stopped relay's store, and say whether they are well and agree with one
    /// another. Ends with 1 where something is wrong. Rows that cannot be read are passed over by the
    /// relay, and left out of back-ups.
    Check {
        /// Which relay.
        #[command(flatten)]
        data: Data,
        /// Move rows that cannot be read to a file beside the store (set-aside-1.jsonl), and make
        /// accounts agree with what is there. A back-up first is wise.
        #[arg(long)]
        repair: bool,
    },
    /// Copy the store and the key into a new folder, while the relay runs or when it is stopped. The
    /// copy holds everything that was accepted before; guard it like the relay itself.
    Backup {
        /// Which relay. A running one knows where its key is.
        #[command(flatten)]
        of: KeyFile,
        /// The folder to make.
        #[arg(long, value_name = "FOLDER")]
        to: PathBuf,
    },
    /// The relay's link key, which clients pin: show it, rotate it, end the overlap.
    #[command(subcommand)]
    Key(KeyTool),
    /// Put a back-up in the place of a stopped relay's store. Mail that came or went after the back-up
    /// is as it was then; clients notice that the relay went back, and send again what is missing.
    Restore {
        /// Which relay.
        #[command(flatten)]
        of: KeyFile,
        /// The folder that `backup` made.
        #[arg(long, value_name = "FOLDER")]
        from: PathBuf,
        /// Replace a store that is there, in the folder and on the cluster.
        #[arg(long)]
        force: bool,
        /// Put it on this cluster too; no relay of its store may run.
        #[cfg(feature = "cluster")]
        #[arg(long, value_name = "URL")]
        store: Option<crate::store::nats::ClusterUrl>,
    },
    /// Figures of the running relay, as JSON.
    Status(Data),
    /// Mailboxes of the running relay, as lines of JSON.
    Mailbox {
        /// Which relay.
        #[command(flatten)]
        data: Data,
        /// What to do.
        #[command(subcommand)]
        what: Mailbox,
    },
    /// Invitations to the running relay, whose registration is by invitation.
    Invite {
        /// Which relay.
        #[command(flatten)]
        data: Data,
        /// What to do.
        #[command(subcommand)]
        what: Invite,
    },
}

/// What is done with invitations.
#[derive(Clone, Debug, Subcommand)]
pub enum Invite {
    /// Makes one and prints it, this once. Whoever has it can register: send it by a private way.
    New {
        /// How many identities it lets in.
        #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
        uses: u32,
        /// How long it is good, as in 7d; without it until it is used up or revoked.
        #[arg(long = "for", value_name = "TIME")]
        span: Option<Span>,
    },
    /// Those that are still good, by number.
    List,
    /// Takes one back.
    Revoke {
        /// Its number, as `invite list` shows it.
        number: u64,
    },
}

impl Invite {
    /// The words for the relay.
    fn words(&self) -> String {
        match self {
            Self::New { uses, span } => format!("invite new {uses} {}", seconds(*span)),
            Self::List => "invite list".to_owned(),
            Self::Revoke { number } => format!("invite revoke {number}"),
        }
    }
}

/// 0 for ever.
fn seconds(span: Option<Span>) -> u64 {
    span.map_or(0, |Span(span)| span.as_secs().max(1))
}

/// What is done with mailboxes.
#[derive(Clone, Debug, Subcommand)]
pub enum Mailbox {
    /// Those with messages in them, the fullest first, 1,000 at most.
    List,
    /// One of them.
    Show {
        /// Whose.
        address: Address,
    },
    /// Empties one; both sides are told that the messages expired.
    Rm {
        /// Whose.
        address: Address,
    },
    /// Bars an identity: its link ends, it is turned away when it comes, and it gets no mail.
    Ban {
        /// Whom.
        address: Address,
        /// For how long, as in 12h or 30d; without it until `unban`.
        #[arg(long = "for", value_name = "TIME")]
        span: Option<Span>,
    },
    /// Lifts a ban.
    Unban {
        /// Whose.
        address: Address,
    },
    /// Who is barred, and until when.
    Bans,
    /// Lets an identity register where registration is closed or by invitation.
    Add {
        /// Whom.
        address: Address,
    },
}

impl Mailbox {
    /// The words for the relay.
    fn words(&self) -> String {
        match self {
            Self::List => "mailbox list".to_owned(),
            Self::Show { address } => format!("mailbox show {address}"),
            Self::Rm { address } => format!("mailbox rm {address}"),
            Self::Ban { address, span } => format!("mailbox ban {address} {}", seconds(*span)),
            Self::Unban { address } => format!("mailbox unban {address}"),
            Self::Bans => "mailbox bans".to_owned(),
            Self::Add { address } => format!("mailbox add {address}"),
        }
    }
}

/// Which relay.
#[derive(Clone, Debug, Args)]
pub struct Data {
    /// The relay's data folder.
    #[arg(
        long,
        global = true,
        env = "HUSHWIRE_RELAY_DATA",
        value_name = "FOLDER",
        default_value = "hushwire-relay-data"
    )]
    data: PathBuf,
}

/// Why a command did not work.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// The store.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The key file.
    #[error("{0}")]
    Key(#[from] KeyError),
    /// A file or folder.
    #[error("{0}: {1}")]
    File(PathBuf, io::Error),
    /// No store where one should be.
    #[error("{0} holds no store; give the relay's data folder, or a back-up")]
    NoStore(PathBuf),
    /// A folder where none should be.
    #[error("{0} exists; a back-up makes its folder: give another name")]
    Exists(PathBuf),
    /// No key file where one should be.
    #[error(
        "{0} is not there, and a back-up without the relay's key is of no use; give --key where it is elsewhere"
    )]
    NoKey(PathBuf),
    /// A store where none should be.
    #[error("{0} holds a store already; --force replaces it")]
    Taken(PathBuf),
    /// Nobody could serve it with that key.
    #[error(
        "{0} is of a relay with another key file than {1}. If it is to be that relay, move {1} away: the \
         back-up's own key takes its place"
    )]
    OtherKey(PathBuf, PathBuf),
    /// The cluster's store.
    #[cfg(feature = "cluster")]
    #[error("{0}")]
    Cluster(#[from] crate::store::nats::ReplaceError),
    /// Checked, and not sound.
    #[error(
        "{damaged} of {all} rows are damaged, and {disagreeing} accounts do not agree with the rows \
         beside them; the relay passes over what it cannot read. Check the disk, restore a back-up \
         where mail is missing, or go on with what is there: hushwire-relay check --repair"
    )]
    Damaged {
        /// Rows that are not what was written.
        damaged: u64,
        /// All rows.
        all: u64,
        /// Accounts with wrong counts.
        disagreeing: u64,
    },
    /// Repaired as far as it goes.
    #[error(
        "{0} rows of the relay's own (meta) are damaged: no repair takes them out. Restore a back-up"
    )]
    Meta(u64),
    /// What the running relay says.
    #[error("{0}")]
    Relay(String),
    /// None runs.
    #[error("no relay answers on the data of {0} ({1}); does it run?")]
    Nobody(PathBuf, io::Error),
}

impl Tool {
    /// Does it, and says what was done.
    #[must_use]
    pub fn run(self) -> ExitCode {
        match self.work() {
            Ok(said) => {
                let end = if said.is_empty() { "" } else { "\n" };
                let mut out = io::stdout();
                let wrote = write!(out, "{}{end}", said.trim_end()).and_then(|()| out.flush());
                match wrote {
                    // Who closes the pipe has read enough.
                    Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                        eprintln!(
                            "hushwire-relay: it was done, and the answer was not written ({error})"
                        );
                        ExitCode::FAILURE
                    }
                    _ => ExitCode::SUCCESS,
                }
            }
            Err(error) => {
                eprintln!("hushwire-relay: {error}");
                ExitCode::FAILURE
            }
        }
    }

    fn work(self) -> Result<String, ToolError> {
        match self {
            Self::Config => Ok(template::text()),
            Self::Key(tool) => Ok(tool.work()?),
            Self::Check {
                data: Data { data },
                repair,
            } => {
                exists(&data)?;
                report(Embedded::examine(&data, CACHE, repair)?)
            }
            Self::Backup { of, to } => {
                exists(&of.data)?;
                let rows = back_up_to(&of.data, &of.path(), &to)?;
                Ok(format!("{rows} are in {}", to.display()))
            }
            Self::Restore {
                of,
                from,
                force,
                #[cfg(feature = "cluster")]
                store,
            } => {
                exists(&from)?;
                let (key, data) = (of.path(), of.data);
                if !force && exists(&data).is_ok() {
                    return Err(ToolError::Taken(data));
                }
                let put_back = || put_back(&from, &data, &key);
                #[cfg(feature = "cluster")]
                if let Some(url) = store {
                    let what = crate::store::nats::replace(&url, &data, CACHE, force, put_back)?;
                    return Ok(format!(
                        "{what} restored, and the cluster has it; start the relays"
                    ));
                }
                Ok(format!("{} restored; start the relay", put_back()?))
            }
            Self::Status(Data { data }) => ask_relay(&data, "status"),
            Self::Mailbox {
                data: Data { data },
                what,
            } => ask_relay(&data, &what.words()),
            Self::Invite {
                data: Data { data },
                what,
            } => ask_relay(&data, &what.words()),
        }
    }
}

/// What a check, or a repair, is told as.
fn report(found: Findings) -> Result<String, ToolError> {
    let Findings {
        sound,
        unreadable,
        of_meta,
        disagreeing,
        ref aside,
    } = found;
    match aside {
        None if found.is_well() => Ok(format!("{sound} rows, all sound")),
        _ if of_meta > 0 => Err(ToolError::Meta(of_meta)),
        None => Err(ToolError::Damaged {
            damaged: unreadable,
            all: sound + unreadable,
            disagreeing,
        }),
        Some(path) => Ok(format!(
            "{unreadable} rows that could not be read are in {}, with {disagreeing} accounts as they \
             were before they were mended; {sound} rows are sound. Start the relay",
            path.display()
        )),
    }
}

/// Lines of JSON, as the relay that runs on `data` says them.
pub(crate) fn ask_relay(data: &Path, words: &str) -> Result<String, ToolError> {
    let told = ask(data, words).map_err(|error| ToolError::File(operator::path(data), error))?;
    match told {
        Told::Lines(lines) => Ok(lines),
        Told::Refused(why) => Err(ToolError::Relay(why)),
        Told::Nobody(error) => Err(ToolError::Nobody(data.to_owned(), error)),
    }
}

/// The sentence in `{"done": "..."}`.
pub(crate) fn done(answer: &str) -> String {
    let line: serde_json::Value = serde_json::from_str(answer).unwrap_or_default();
    let said = line.get("done").and_then(serde_json::Value::as_str);
    said.unwrap_or("all rows").to_owned()
}

fn exists(folder: &Path) -> Result<(), ToolError> {
    match folder.join(STORE).exists() {
        true => Ok(()),
        false => Err(ToolError::NoStore(folder.to_owned())),
    }
}
