//! Writes the vectors: `vectors <folder>`.

use std::{env, fs, path::PathBuf, process::ExitCode};

fn main() -> ExitCode {
    let Some(folder) = env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: vectors <folder>");
        return ExitCode::from(2);
    };
    if let Err(error) = fs::create_dir_all(&folder) {
        eprintln!("error: {} cannot be made: {error}", folder.display());
        return ExitCode::FAILURE;
    }
    for (name, text) in vectors::files() {
        let path = folder.join(name);
        if let Err(error) = fs::write(&path, text) {
            eprintln!("error: {} cannot be written: {error}", path.display());
            return ExitCode::FAILURE;
        }
        println!("wrote {}", path.display());
    }
    ExitCode::SUCCESS
}
