//! The relay's program: see `hushwire-relay --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    if let Some(done) = hushwire_relay::operator::command::run(std::env::args_os()) {
        return done;
    }
    hushwire_relay::start::main()
}
