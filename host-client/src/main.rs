//! The `hushwire` command: see `hushwire --help`.

mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
