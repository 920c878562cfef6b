//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use hushwire::{Invite, MailboxMode};

/// End-to-end encrypted messaging through a relay that cannot read.
///
/// Everything is kept in a vault, sealed under a passphrase (asked for, or in HUSHWIRE_PASSPHRASE)
/// or a key file. While one hushwire runs, others on the same vault hand their command to it.
#[derive(Debug, Parser)]
#[command(name = "hushwire", version, max_term_width = 100, after_help = super::exit::HELP)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) common: Common,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Args)]
pub(super) struct Common {
    /// The vault's folder [default: `hushwire` in the user's data folder].
    #[arg(long, global = true, env = "HUSHWIRE_VAULT", value_name = "DIR")]
    pub(super) vault: Option<PathBuf>,
    /// Open the vault with this file of 32 random bytes in place of a passphrase; `init` makes it.
    #[arg(long, global = true, env = "HUSHWIRE_KEY_FILE", value_name = "FILE")]
    pub(super) key_file: Option<PathBuf>,
    /// Trust relays' TLS certificates that this file's (PEM) signed, in place of the web's
    /// authorities. The vault keeps a copy: give it once, again where the file is another one, and as
    /// the word `web` to go back to the web's authorities.
    #[cfg(feature = "tls")]
    #[arg(long, global = true, env = "HUSHWIRE_TLS_CA", value_name = "FILE")]
    pub(super) tls_ca: Option<PathBuf>,
    /// Print JSON: one object, or one on each line.
    #[arg(long, global = true)]
    pub(super) json: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make an identity and a vault; prints address, contact card, QR code and the 24 words that
    /// bring it back.
    Init {
        /// The relay's URL, as the relay prints it: hush://host:port/#key, or hush+tls, hush+ws,
        /// hush+wss. An invitation may stand behind it: hush://host:port/#key/hushinvite1...
        #[arg(long, value_name = "URL")]
        relay: String,
        /// The invitation, where the relay asks for one.
        #[arg(long, value_name = "INVITATION")]
        invite: Option<Invite>,
    },
    /// Bring an identity back from its 24 words (asked for, or on standard input).
    Restore {
        /// The relay's URL: hush://host:port/#key, or with an invitation behind it.
        #[arg(long, value_name = "URL")]
        relay: String,
        /// The invitation, where the relay asks for one.
        #[arg(long, value_name = "INVITATION")]
        invite: Option<Invite>,
    },
    /// Register at the home relay where that did not work before.
    Register {
        /// The invitation that the relay asks for.
        #[arg(long, value_name = "INVITATION")]
        invite: Option<Invite>,
    },
    /// Print the own address and contact card.
    Address {
        /// As a QR code, too.
        #[arg(long)]
        qr: bool,
    },
    /// Add, list, rename, remove or block contacts.
    #[command(subcommand)]
    Contacts(Contacts),
    /// Show the safety number of a contact, to be compared over another channel.
    Verify {
        /// The contact.
        name: String,
        /// The numbers are equal: mark the contact as verified.
        #[arg(long)]
        yes: bool,
        /// Take the changed key of the contact's nickname.
        #[arg(long)]
        accept: bool,
    },
    /// Send a message; without a relay it waits in the vault and goes out later.
    Send(Send),
    /// Stay online and print what arrives, unread messages first.
    Listen {
        /// Begin after the message of this number in place of the first unread one.
        #[arg(long, value_name = "NUMBER")]
        after: Option<u64>,
        /// Print what becomes of own messages, too (always with --json).
        #[arg(long)]
        states: bool,
    },
    /// Print the history, in both directions, newest last.
    Inbox {
        /// Only with this contact (or address).
        #[arg(long, value_name = "NAME")]
        with: Option<String>,
        /// Only since a date (2026-11-23, 2026-11-23T10:00) or for a span back (3d, 2h 30m).
        #[arg(long, value_name = "DATE")]
        since: Option<String>,
        /// At most so many, the newest.
        #[arg(long, default_value_t = 100, value_name = "N")]
        limit: usize,
        /// Do not ask the relay for new messages first.
        #[arg(long)]
        offline: bool,
    },
    /// Talk with a contact, line by line; ends with Ctrl-D.
    Chat {
        /// The contact.
        name: String,
    },
    /// Show relays, mailbox, what waits, and what happened.
    Status {
        /// Do not ask the relay.
        #[arg(long)]
        offline: bool,
    },
    /// Say where a relay is now, or which key it has: its URL anew, from its operator.
    Relay {
        /// The relay's URL: hush://host:port/#key.
        url: String,
        /// The relay that this one replaces, as `status` shows it; else the one at the same place.
        #[arg(long, value_name = "HOST:PORT")]
        replaces: Option<String>,
    },
    /// Claim or release a nickname at the home relay.
    #[command(subcommand)]
    Nickname(Nickname),
    /// Say who may write to the mailbox.
    Mailbox {
        /// Who.
        #[arg(value_enum)]
        mode: Mode,
    },
    /// Change the passphrase (or the key file: --new-key-file).
    Passwd {
        /// From now on the vault opens with this key file, which is made if it is not there.
        #[arg(long, value_name = "FILE")]
        new_key_file: Option<PathBuf>,
        /// From now on the vault opens with a passphrase, though it has a key file.
        #[arg(long, conflicts_with = "new_key_file")]
        to_passphrase: bool,
    },
    /// Delete mailbox, keys and nicknames at every relay. The vault stays.
    Leave {
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// Print completions for a shell.
    Completions {
        /// The shell.
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum Contacts {
    /// Add a contact.
    Add {
        /// What you call it.
        name: String,
        /// Its contact card, an address at your relay, or @nickname at your relay.
        who: String,
    },
    /// List all contacts.
    List,
    /// Call a contact something else.
    Rename {
        /// The name so far.
        name: String,
        /// The new one.
        new: String,
    },
    /// Forget a contact's name; the history stays.
    Remove {
        /// The contact.
        name: String,
    },
    /// Open nothing more of a contact.
    Block {
        /// The contact.
        name: String,
        /// Take that back.
        #[arg(long)]
        undo: bool,
    },
}

#[derive(Debug, Args)]
pub(super) struct Send {
    /// The contact, or an address that has written.
    pub(super) name: String,
    /// The text; `-` or nothing reads standard input.
    pub(super) text: Option<String>,
    /// Each line of standard input is a message.
    #[arg(long, conflicts_with = "text")]
    pub(super) lines: bool,
    /// Wait for the receipt of the recipient's device.
    #[arg(long)]
    pub(super) wait: bool,
    /// Only put it into the outbox.
    #[arg(long, conflicts_with = "wait")]
    pub(super) queue: bool,
    /// Seconds to wait for the relay, or with --wait for the receipt [default: 10, or 60].
    #[arg(long, value_name = "SECONDS")]
    pub(super) timeout: Option<u64>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Nickname {
    /// Claim a free nickname: 3 to 32 of a-z, 0-9, dot, underscore, hyphen; a letter first.
    Claim {
        /// The nickname.
        name: String,
    },
    /// Give a nickname back.
    Release {
        /// The nickname.
        name: String,
    },
}

/// Who may write to the mailbox.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Mode {
    /// Everybody.
    Open,
    /// Contacts that are not blocked.
    Contacts,
    /// Nobody.
    Closed,
}

impl From<Mode> for MailboxMode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Open => Self::Open,
            Mode::Contacts => Self::ContactsOnly,
            Mode::Closed => Self::Closed,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
