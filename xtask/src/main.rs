//! Build, test and measure Hushwire: `cargo xtask <command>`.
//!
//! One file or folder per command; what they share is below them.
//!
//! ```text
//!   setup   build_core   firmware   c_api   size   bench   test · full   demo   container   commands
//!      |         |          |         |       |      |         |         |        |
//!   needs ── toolchain ── elf   report  rules  story                         what a command knows
//!      └─────────┴─── process · project ──┴──────┘                           what every command uses
//! ```

mod bench;
mod build_core;
mod c_api;
mod container;
mod demo;
mod firmware;
mod full;
mod process;
mod project;
mod report;
mod setup;
mod size;
mod test;
mod toolchain;
mod vectors;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Set up, build, test, measure and show Hushwire.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Find or install what the other commands need, and say what was done.
    Setup,
    /// Compile the core for every bare-metal target, with and without end-to-end encryption.
    BuildCore,
    /// Flash, RAM and wire sizes of the core, per target; flash and RAM of each board's firmware.
    Size {
        /// Print one JSON object instead of tables.
        #[arg(long)]
        json: bool,
        /// Only where the bytes of a board's image go.
        #[arg(long, value_name = "BOARD", conflicts_with = "json")]
        #[arg(value_parser = firmware::board)]
        parts: Option<firmware::Board>,
    },
    /// Measure an area: the core beside its best peer, or on a device.
    Bench {
        #[command(subcommand)]
        area: Area,
    },
    /// The device: build its image, run it in QEMU, write it to a board.
    Firmware {
        #[command(subcommand)]
        action: firmware::Action,
    },
    /// Build the C library for this machine and the chips, and run its example in every way.
    CApi,
    /// Show the main job: people and a device talk through a relay that is killed and cannot read.
    Demo {
        /// Leave the device in QEMU out.
        #[arg(long)]
        host_only: bool,
    },
    /// Build the relay's container image with podman, run it as its file says, and use it.
    Container,
    /// Write `docs/vectors` anew: the worked transcript of the protocol.
    Vectors,
    /// Run everything that must pass on this machine, set-up included.
    Test,
    /// Run what `test` runs in small as large as it is meant to be, and print its figures. All of it
    /// takes more than an hour.
    Full {
        /// Only these rows, such as H3 or R1.
        rows: Vec<String>,
    },
    /// Run only the part of `test` that needs QEMU and C: C library, device's figures, images, trials.
    Trial,
}

#[derive(Subcommand)]
enum Area {
    /// Seal, open and session start of the core beside vodozemac.
    Core {
        /// Print one JSON object instead of a table.
        #[arg(long)]
        json: bool,
    },
    /// Instructions and stack of the core on a Cortex-M4 in QEMU, over each P-256 backend.
    Device {
        /// Print one JSON object instead of tables.
        #[arg(long)]
        json: bool,
        /// Make the figures the limits of `cargo xtask test`.
        #[arg(long)]
        accept: bool,
        /// Only what `cargo xtask test` asks of the device: vectors and limits.
        #[arg(long, conflicts_with_all = ["json", "accept"])]
        check: bool,
    },
    /// Messages a second, CPU time, latency and memory of the relay on one core.
    Relay {
        /// Print one JSON object instead of a table.
        #[arg(long)]
        json: bool,
        /// Pairs of a sender and a recipient.
        #[arg(long, default_value_t = 100)]
        pairs: usize,
        /// Seconds of each figure.
        #[arg(long, default_value_t = 5)]
        seconds: u64,
        /// Times that each figure is taken: its median is printed.
        #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..))]
        rounds: u8,
        /// Messages a second where latency is compared with the forwarder's.
        #[arg(long, value_delimiter = ',', default_values_t = [2_000, 5_000, 10_000, 20_000])]
        rates: Vec<u64>,
        /// Measure how cost grows instead: 100 to 50,000 connections, 10^3 to 10^7 stored messages,
        /// and how long a start takes on them.
        #[arg(long, conflicts_with = "peers")]
        growth: bool,
        /// The same work through Mosquitto, NATS and Redis too, which are installed if missing.
        #[arg(long)]
        peers: bool,
        /// What several relays of one store cost instead: through the relay that has it and through
        /// another one, beside a relay alone. NATS is installed if missing.
        #[arg(long, conflicts_with_all = ["peers", "growth"])]
        nodes: bool,
        /// Keep the cores from halting between two messages, by loops that run when nothing else does: what a
        /// virtual machine's host takes to wake a core up is no part of the figures then.
        #[arg(long)]
        awake: bool,
    },
}

fn main() -> ExitCode {
    let done = match Args::parse().command {
        Command::Setup => setup::run(),
        Command::BuildCore => build_core::run(),
        Command::Size {
            parts: Some(board), ..
        } => size::parts(board),
        Command::Size { json, .. } => size::run(json),
        Command::Bench {
            area: Area::Core { json },
        } => bench::core(json),
        Command::Bench {
            area: Area::Device { check: true, .. },
        } => return bench::device::check_alone(),
        Command::Bench {
            area: Area::Device { json, accept, .. },
        } => bench::device::run(json, accept),
        Command::Bench {
            area:
                Area::Relay {
                    json,
                    pairs,
                    seconds,
                    rounds,
                    rates,
                    growth,
                    peers,
                    nodes,
                    awake,
                },
        } => bench::relay(&bench::Work {
            pairs,
            seconds,
            rounds: rounds.into(),
            rates,
            growth,
            json,
            peers,
            nodes,
            awake,
        }),
        Command::Firmware { action } => firmware::run(action),
        Command::CApi => c_api::run(),
        Command::Demo { host_only } => demo::run(host_only),
        Command::Container => container::run(),
        Command::Vectors => vectors::run(),
        Command::Test => return test::run(),
        Command::Trial => return test::trial(),
        Command::Full { rows } => match full::run(&rows) {
            Ok(code) => return code,
            Err(error) => Err(error),
        },
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
