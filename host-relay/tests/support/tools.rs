//! Programs that `cargo xtask setup` brings, beside what cargo builds.

use std::path::PathBuf;

/// NATS's server as Debian has it. People who are not root have no PATH to where it is.
pub(crate) fn nats_of_debian() -> PathBuf {
    let beside = PathBuf::from("/usr/sbin/nats-server");
    match beside.is_file() {
        true => beside,
        false => "nats-server".into(),
    }
}

/// NATS's server of today: Debian's cannot sync before it acknowledges.
pub(crate) fn nats_of_today() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let beside = own
        .ancestors()
        .map(|folder| folder.join("tools/nats-server"));
    let found = beside.into_iter().find(|path| path.is_file());
    found.expect("no NATS server of today is here: cargo xtask setup")
}
