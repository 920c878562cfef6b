//! Commands for the store of a stopped relay: check, back up, restore.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::store::{BackupError, Copied, Embedded, Report, Table, backup, check, restore};

/// Bytes of the store's file that are held in memory.
const CACHE: usize = 64 << 20;

/// Looks after the store of a stopped relay.
#[derive(Debug, Parser)]
#[command(name = "hushwire-relay", version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Reads every row and says what is there and what is damaged; exits with 1 if something is.
    Check {
        /// The folder of the store.
        #[arg(long, env = "HUSHWIRE_RELAY_DATA", value_name = "FOLDER")]
        data: PathBuf,
        /// Take damaged rows out. Whose account was damaged must publish its bundle again.
        #[arg(long)]
        repair: bool,
    },
    /// Copies the store into a new file. The relay's key is a file of its own: keep it, too.
    Backup {
        /// The folder of the store.
        #[arg(long, env = "HUSHWIRE_RELAY_DATA", value_name = "FOLDER")]
        data: PathBuf,
        /// The copy; it must not be there.
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
    },
    /// Puts a copy in the place of the store, under a new epoch: clients notice, send again what
    /// has no receipt, and may get again what they had acknowledged since the copy was made.
    Restore {
        /// The copy.
        #[arg(long, value_name = "FILE")]
        from: PathBuf,
        /// The folder of the store.
        #[arg(long, env = "HUSHWIRE_RELAY_DATA", value_name = "FOLDER")]
        data: PathBuf,
        /// Replace a store that is there; it is kept as store.redb.old.
        #[arg(long)]
        force: bool,
    },
}

/// Runs the command, if the arguments name one: 0 for done and well, 1 for trouble, 2 for wrong
/// arguments.
pub fn main(arguments: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    let arguments: Vec<_> = arguments.collect();
    let name = arguments.get(1)?.to_str()?;
    if !["check", "backup", "restore"].contains(&name) {
        return None;
    }
    let command = match Arguments::try_parse_from(arguments) {
        Ok(Arguments { command }) => command,
        Err(error) => error.exit(),
    };
    Some(match run(command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("hushwire-relay: {error}");
            ExitCode::FAILURE
        }
    })
}

fn run(command: Command) -> Result<bool, BackupError> {
    match command {
        Command::Check { data, repair } => {
            let report = check(&Embedded::open_present(&data, CACHE)?, repair)?;
            print(&report);
            Ok(report.is_well())
        }
        Command::Backup { data, to } => {
            let copied = backup(&Embedded::open_present(&data, CACHE)?, &to)?;
            Ok(say(&copied))
        }
        Command::Restore { from, data, force } => Ok(say(&restore(&from, &data, force)?)),
    }
}

/// A copy without the rows that could not be read is a copy all the same, and worth a word.
fn say(copied: &Copied) -> bool {
    println!("{} rows copied", copied.rows);
    if copied.altered > 0 {
        eprintln!(
            "hushwire-relay: {} damaged rows were left out",
            copied.altered
        );
    }
    true
}

fn print(report: &Report) {
    for (table, rows) in Table::ALL.iter().zip(report.rows) {
        println!("{:10} {rows}", table.name());
    }
    println!(
        "{} unreadable rows ({} taken out), {} wrong counts of prekeys, {} messages out of order",
        report.unreadable, report.removed, report.wrong_counts, report.disordered
    );
}
