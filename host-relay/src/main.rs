//! The relay's program: see `hushwire-relay --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    hushwire_relay::start::main()
}
