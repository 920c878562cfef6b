//! The command line: arguments to operations, answers to the terminal.

mod args;
mod chat;
mod execute;
mod exit;
mod operation;
mod print;
mod reply;
mod secret;
mod sending;
mod session;
mod socket;
mod time;

use std::{io::IsTerminal as _, path::PathBuf, process::ExitCode};

use clap::{CommandFactory as _, Parser as _};
use hushwire::{Client, Error, Invited};
use tokio::sync::mpsc;
use zeroize::Zeroizing;

use args::{Arguments, Command, Contacts, Nickname};
use exit::{Code, Failure};
use operation::Operation;
use print::Printer;
use reply::Reply;
use secret::Secrets;
#[cfg(feature = "tls")]
use session::Authorities;
use session::Session;

/// The whole program.
pub(crate) fn main() -> ExitCode {
    let arguments = Arguments::parse();
    start_log();
    if let Command::Completions { shell } = arguments.command {
        let mut command = Arguments::command();
        clap_complete::generate(shell, &mut command, "hushwire", &mut std::io::stdout());
        return ExitCode::SUCCESS;
    }
    let printer = Printer {
        json: arguments.common.json,
        qr: wants_qr(&arguments.command),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let ended = match runtime {
        Ok(runtime) => {
            let ended = runtime.block_on(start(arguments, printer));
            // A thread that waits for a key does not hold us.
            runtime.shutdown_background();
            ended
        }
        Err(error) => Err(error.into()),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            printer.complain(&failure);
            ExitCode::from(failure.code as u8)
        }
    }
}

/// Warnings on standard error; HUSHWIRE_LOG asks for more.
fn start_log() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("HUSHWIRE_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("hushwire=warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
}

fn wants_qr(command: &Command) -> bool {
    match command {
        Command::Init { .. } => std::io::stdout().is_terminal(),
        Command::Address { qr } => *qr,
        _ => false,
    }
}

async fn start(arguments: Arguments, printer: Printer) -> Result<(), Failure> {
    let folder = match arguments.common.vault {
        Some(folder) => folder,
        None => default_folder()?,
    };
    let secrets = Secrets::new(arguments.common.key_file);
    #[cfg(feature = "tls")]
    let authorities = arguments
        .common
        .tls_ca
        .as_deref()
        .map(read_ca)
        .transpose()?;
    #[cfg(not(feature = "tls"))]
    let authorities = None;
    let session = Session::new(&folder, &secrets, authorities);
    let ended = tokio::select! {
        ended = run(arguments.command, &session, printer) => ended,
        ended = until_told() => ended,
    };
    let closed = session.close().await;
    ended.and(closed)
}

/// What `--tls-ca` names, looked at before a vault is made with it.
#[cfg(feature = "tls")]
fn read_ca(path: &std::path::Path) -> Result<Authorities, Failure> {
    if path.as_os_str() == "web" {
        return Ok(Authorities::Web);
    }
    let pem = std::fs::read(path).map_err(|error| {
        let file = path.display();
        let sentence = format!("the file {file} of --tls-ca cannot be read: {error}");
        Failure::new(Code::Usage, sentence)
    })?;
    hushwire::NoCertificates::check(&pem).map_err(Error::from)?;
    Ok(Authorities::Only(pem))
}

/// SIGINT and SIGTERM end a command in order.
async fn until_told() -> Result<(), Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        ended = tokio::signal::ctrl_c() => Ok(ended?),
        _ = terminate.recv() => Ok(()),
    }
}

fn default_folder() -> Result<PathBuf, Failure> {
    let folders = directories::ProjectDirs::from("", "", "hushwire");
    let none = || {
        Failure::new(
            Code::Usage,
            "this system has no folder for data; give --vault DIR",
        )
    };
    Ok(folders.ok_or_else(none)?.data_dir().to_owned())
}

async fn run(command: Command, session: &Session<'_>, printer: Printer) -> Result<(), Failure> {
    let operation = match command {
        Command::Init { relay, invite } => {
            let (to, unlock) = (
                relay.parse::<Invited>().map_err(Error::from)?,
                session.fresh()?,
            );
            let (client, words) = Client::create(session.folder(), unlock, to.relay).await?;
            if let Some(invite) = invite.or(to.invite) {
                client.use_invite(invite).await?;
            }
            return begin(session, client, Some(words), printer).await;
        }
        Command::Register { invite } => Operation::Register {
            invite: invite.map(|invite| invite.to_string()),
        },
        Command::Restore { relay, invite } => {
            let to = relay.parse::<Invited>().map_err(Error::from)?;
            let (words, unlock) = (secret::words()?, session.fresh()?);
            let client = Client::restore(session.folder(), unlock, to.relay, &words).await?;
            if let Some(invite) = invite.or(to.invite) {
                client.use_invite(invite).await?;
            }
            return begin(session, client, None, printer).await;
        }
        Command::Chat { name } => return chat::run(session, name, printer).await,
        Command::Send(send) => return sending::run(session, send, printer).await,
        Command::Address { .. } => Operation::Address,
        Command::Contacts(Contacts::Add { name, who }) => Operation::AddContact { name, who },
        Command::Contacts(Contacts::List) => Operation::ListContacts,
        Command::Contacts(Contacts::Rename { name, new }) => Operation::RenameContact { name, new },
        Command::Contacts(Contacts::Remove { name }) => Operation::RemoveContact { name },
        Command::Contacts(Contacts::Block { name, undo }) => Operation::BlockContact {
            name,
            blocked: !undo,
        },
        Command::Verify { name, yes, accept } => Operation::Verify { name, yes, accept },
        Command::Listen { after, states } => Operation::Listen {
            after,
            states: states || printer.json,
            with: None,
        },
        Command::Inbox {
            with,
            since,
            limit,
            offline,
        } => {
            let since = since.as_deref().map(time::since).transpose()?.unwrap_or(0);
            Operation::History {
                with,
                since,
                limit,
                fetch: !offline,
            }
        }
        Command::Status { offline } => Operation::Status { connect: !offline },
        Command::Relay { url, replaces } => Operation::MoveRelay { url, replaces },
        Command::Nickname(Nickname::Claim { name }) => Operation::Claim { name },
        Command::Nickname(Nickname::Release { name }) => Operation::Release { name },
        Command::Mailbox { mode } => Operation::mailbox(mode.into()),
        Command::Passwd {
            new_key_file,
            to_passphrase,
        } => {
            let (old, new) = session.change_secret(new_key_file, to_passphrase)?;
            Operation::Passwd {
                old: old.into(),
                new: new.into(),
            }
        }
        Command::Leave { yes } => {
            let question =
                "Delete mailbox, undelivered messages, keys and nicknames at every relay?";
            if !yes && !secret::confirm(question)? {
                return Err(Failure::new(Code::Other, "nothing was deleted"));
            }
            Operation::Leave
        }
        // Printed before anything was started.
        Command::Completions { .. } => return Ok(()),
    };
    shown(session, operation, printer).await
}

/// Has an operation done and prints its answers as they come.
async fn shown(
    session: &Session<'_>,
    operation: Operation,
    printer: Printer,
) -> Result<(), Failure> {
    let (replies, mut answers) = mpsc::channel(64);
    let print = async move {
        while let Some(reply) = answers.recv().await {
            // Our reader has gone: nothing is to be done for it any more.
            printer.print(&reply)?;
        }
        Ok(())
    };
    let perform = session.perform(operation, replies);
    tokio::try_join!(perform, print).map(drop)
}

/// After `init` and `restore`: shows who this is, then registers at the relay.
async fn begin(
    session: &Session<'_>,
    client: Client,
    words: Option<Zeroizing<String>>,
    printer: Printer,
) -> Result<(), Failure> {
    let mut identity = execute::identity(&client).await?;
    if let Reply::Identity { words: shown, .. } = &mut identity {
        *shown = words.map(|words| words.to_string());
    }
    session.take(client).await?;
    printer.print(&identity)?;
    shown(session, Operation::Register { invite: None }, printer)
        .await
        .map_err(|failure| {
            let sentence = format!(
                "the vault is made, and nobody can write to you yet: {}. Then: hushwire status",
                failure.message
            );
            Failure::new(failure.code, sentence)
        })
}
