//! `cargo xtask firmware build|run|flash|check`: one board's image.

mod boards;
mod build;
mod check;
mod flash;
mod footprint;
mod run;

use std::path::PathBuf;

use anyhow::Result;
use clap::Subcommand;

pub(crate) use boards::{BOARDS, Board, QEMU, parse as board};
pub(crate) use build::{Backend, Image, build, folder};
pub(crate) use check::check;
pub(crate) use footprint::{Footprint, footprints};

/// What is done with an image.
#[derive(Subcommand)]
pub(crate) enum Action {
    /// Compile a board's image, in release.
    Build {
        /// Which board.
        #[arg(long, value_parser = boards::parse)]
        board: Board,
        /// Who computes on the curve P-256.
        #[arg(long, value_enum, default_value_t)]
        backend: Backend,
    },
    /// Start the device in QEMU, with this terminal as its console and a relay on loopback.
    Run {
        /// Which board; one that QEMU has.
        #[arg(long, value_parser = boards::parse, default_value = QEMU.name)]
        board: Board,
        /// Who computes on the curve P-256.
        #[arg(long, value_enum, default_value_t)]
        backend: Backend,
        /// A relay that runs already, as this machine knows it: `hush://127.0.0.1:7117/#02ab…`.
        #[arg(long)]
        relay: Option<String>,
        /// Where the device's flash is kept, and the relay's store; it goes on where it was.
        #[arg(long)]
        data: Option<PathBuf>,
        /// One instruction is one nanosecond of the device's time: slower, and repeatable.
        #[arg(long)]
        icount: bool,
    },
    /// Compile a board's image and write it to the board on the desk.
    Flash {
        /// Which board.
        #[arg(long, value_parser = boards::parse)]
        board: Board,
        /// Who computes on the curve P-256.
        #[arg(long, value_enum, default_value_t)]
        backend: Backend,
    },
    /// Try the parts of QEMU's board one by one: network, clock, flash, watchdog, faults.
    Check,
}

/// The command.
pub(crate) fn run(action: Action) -> Result<()> {
    match action {
        Action::Build { board, backend } => {
            let image = build(board, Image::App, backend)?;
            build::tell(&image)
        }
        Action::Run {
            board,
            backend,
            relay,
            data,
            icount,
        } => run::run(
            board,
            backend,
            &run::Wishes {
                relay,
                data,
                icount,
            },
        ),
        Action::Flash { board, backend } => flash::run(board, backend),
        Action::Check => {
            println!("{}", check()?);
            Ok(())
        }
    }
}
