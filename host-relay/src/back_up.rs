//! Back-ups: made of a relay that runs or is stopped, and put back. A folder with the store and the key.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use crate::key::RelayKey;
use crate::start::may_be_of;
use crate::store::{Embedded, restore};
use crate::tools::{CACHE, STORE, ToolError, ask_relay, done};

/// The key's name in a back-up.
const KEY: &str = "relay.key";
const UNFINISHED: &str = ".unfinished";

/// Removes what back-ups left that were interrupted: each has the whole store, and the key.
pub(crate) fn sweep(data: &Path) {
    for entry in fs::read_dir(data).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("backup-") && name.ends_with(UNFINISHED) {
            match fs::remove_dir_all(entry.path()) {
                Ok(()) => tracing::info!(%name, "what an interrupted back-up left is removed"),
                Err(error) => {
                    tracing::warn!(%name, %error, "what an interrupted back-up left stays")
                }
            }
        }
    }
}

/// Copies what a relay has into the new folder `to`, whether it runs or not. A running one may have
/// another user, and a sandbox in which `to` is not, or is another folder (a private /tmp): it copies
/// into its own folder, and the copy is fetched from there.
pub(crate) fn back_up_to(data: &Path, key: &Path, to: &Path) -> Result<String, ToolError> {
    if to.exists() {
        return Err(ToolError::Exists(to.to_owned()));
    }
    let unfinished = format!("backup-{}{UNFINISHED}", std::process::id());
    let copy = data.join(&unfinished);
    let fetched = match ask_relay(data, &format!("backup {unfinished}")) {
        Ok(answer) => fetch(&copy, to).map(|()| done(&answer)),
        Err(ToolError::Nobody(..)) => {
            return back_up(&Embedded::open(data, CACHE)?, key, to);
        }
        // Its own disk takes no copy, being full or read-only: perhaps it may write where the copy is to be.
        Err(ToolError::Relay(why)) => straight_to(data, to).map_err(|_| ToolError::Relay(why)),
        Err(error) => Err(error),
    };
    // What is left of it after a failure is of no use to anybody.
    match fs::remove_dir_all(&copy) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            fetched.and(Err(ToolError::File(copy, error)))
        }
        _ => fetched,
    }
}

/// Lets the running relay itself make the folder `to`.
fn straight_to(data: &Path, to: &Path) -> Result<String, ToolError> {
    let failed = |error| ToolError::File(to.to_owned(), error);
    let absolute = std::path::absolute(to).map_err(failed)?;
    let made = ask_relay(data, &format!("backup {}", absolute.display()));
    let made = made.inspect_err(|_| {
        // There was none before.
        let _ = fs::remove_dir_all(to);
    });
    Ok(done(&made?))
}

/// Copies a back-up, so that it is its new owner's.
fn fetch(from: &Path, to: &Path) -> Result<(), ToolError> {
    make_folder(to, false)?;
    let copy = || {
        copy_secret(&from.join(KEY), &to.join(KEY))?;
        copy_secret(&from.join(STORE), &to.join(STORE))
    };
    copy().inspect_err(|_| {
        // Half a back-up looks like one.
        let _ = fs::remove_dir_all(to);
    })
}

/// Copies a store that may be in use, and the relay's key, into the new folder `to`; says of how much.
pub(crate) fn back_up(store: &Embedded, key: &Path, to: &Path) -> Result<String, ToolError> {
    if !key.exists() {
        return Err(ToolError::NoKey(key.to_owned()));
    }
    make_folder(to, false)?;
    let rows = store.copy_to(&to.join(STORE))?;
    copy_secret(key, &to.join(KEY))?;
    let damaged = match rows.damaged {
        0 => String::new(),
        damaged => format!(" (without {damaged} damaged rows)"),
    };
    Ok(format!("{} rows and the key{damaged}", rows.sound))
}

/// Puts the back-up in `from` in the place of what `data` has, and its key where none is; says of how much.
pub(crate) fn put_back(from: &Path, data: &Path, key: &Path) -> Result<String, ToolError> {
    make_folder(data, true)?;
    if key.exists() && !may_be_of(&Embedded::open(from, CACHE)?, &RelayKey::load(key)?)? {
        return Err(ToolError::OtherKey(from.to_owned(), key.to_owned()));
    }
    let kept = from.join(KEY);
    let with_key = !key.exists();
    if with_key && !kept.exists() {
        return Err(ToolError::NoKey(key.to_owned()));
    }
    // Before the store, which would stand there without one.
    if with_key {
        copy_secret(&kept, key)?;
    }
    let rows = restore(from, data, CACHE).inspect_err(|_| {
        if with_key {
            let _ = fs::remove_file(key);
        }
    })?;
    let key = if with_key { " and the key" } else { "" };
    Ok(format!("{} rows{key}", rows.sound))
}

fn make_folder(folder: &Path, may_exist: bool) -> Result<(), ToolError> {
    fs::DirBuilder::new()
        .recursive(may_exist)
        .mode(0o700)
        .create(folder)
        .map_err(|error| ToolError::File(folder.to_owned(), error))
}

/// A copy for the owner's eyes only, durable.
fn copy_secret(from: &Path, to: &Path) -> Result<(), ToolError> {
    let copy = || {
        let mut options = fs::OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(to)?;
        io::copy(&mut fs::File::open(from)?, &mut file)?;
        file.sync_all()
    };
    copy().map_err(|error| ToolError::File(to.to_owned(), error))
}
