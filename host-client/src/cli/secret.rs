//! Secrets from the user: passphrases and words.

use std::{
    cell::RefCell,
    io::{IsTerminal as _, Read as _, stdin},
    path::PathBuf,
};

use hushwire::{Error, Unlock, VaultError, vault::make_key_file};
use zeroize::Zeroizing;

use super::exit::{Code, Failure};

const VARIABLE: &str = "HUSHWIRE_PASSPHRASE";

/// Where the vault's secret comes from; asked for once.
#[derive(Debug)]
pub(super) struct Secrets {
    key_file: Option<PathBuf>,
    asked: RefCell<Option<Unlock>>,
}

impl Secrets {
    pub(super) fn new(key_file: Option<PathBuf>) -> Self {
        Self {
            key_file,
            asked: RefCell::new(None),
        }
    }

    /// What opens the vault that is there.
    pub(super) fn existing(&self) -> Result<Unlock, Error> {
        if let Some(known) = self.asked.borrow().clone() {
            return Ok(known);
        }
        let unlock = match self.given() {
            Some(given) => given,
            None => Unlock::Passphrase(ask("Passphrase: ").map_err(VaultError::Io)?),
        };
        self.asked.replace(Some(unlock.clone()));
        Ok(unlock)
    }

    /// What a new vault will open with: a key file is made, a passphrase asked for twice.
    pub(super) fn fresh(&self) -> Result<Unlock, Failure> {
        let unlock = match self.given() {
            Some(Unlock::KeyFile(path)) => {
                make_key_file(&path)?;
                Unlock::KeyFile(path)
            }
            Some(given) => given,
            None => Unlock::Passphrase(ask_twice("Passphrase for the new vault: ")?),
        };
        self.asked.replace(Some(unlock.clone()));
        Ok(unlock)
    }

    fn given(&self) -> Option<Unlock> {
        if let Some(path) = &self.key_file {
            return Some(Unlock::KeyFile(path.clone()));
        }
        std::env::var(VARIABLE)
            .ok()
            .map(|text| Unlock::Passphrase(Zeroizing::new(text)))
    }
}

/// A new passphrase: from `HUSHWIRE_NEW_PASSPHRASE`, or asked for twice.
pub(super) fn new_passphrase() -> Result<Unlock, Failure> {
    if let Ok(text) = std::env::var("HUSHWIRE_NEW_PASSPHRASE") {
        return Ok(Unlock::Passphrase(Zeroizing::new(text)));
    }
    ask_twice("New passphrase: ").map(Unlock::Passphrase)
}

/// The 24 words: asked for at a terminal, read to the end elsewhere.
pub(super) fn words() -> Result<Zeroizing<String>, Failure> {
    if stdin().is_terminal() {
        return Ok(ask("The 24 words: ")?);
    }
    let mut words = Zeroizing::new(String::new());
    stdin().take(4096).read_to_string(&mut words)?;
    Ok(words)
}

fn ask(prompt: &str) -> std::io::Result<Zeroizing<String>> {
    let hint = |error: std::io::Error| {
        let sentence =
            format!("no terminal to ask at ({error}); set {VARIABLE} or give --key-file");
        std::io::Error::new(error.kind(), sentence)
    };
    rpassword::prompt_password(prompt)
        .map(Zeroizing::new)
        .map_err(hint)
}

fn ask_twice(prompt: &str) -> Result<Zeroizing<String>, Failure> {
    let first = ask(prompt)?;
    if first.is_empty() {
        return Err(Failure::new(
            Code::Secret,
            "an empty passphrase protects nothing",
        ));
    }
    if ask("Once more: ")? != first {
        return Err(Failure::new(
            Code::Secret,
            "the two passphrases differ; nothing was changed",
        ));
    }
    Ok(first)
}

/// Yes or no, at a terminal.
pub(super) fn confirm(question: &str) -> Result<bool, Failure> {
    if !stdin().is_terminal() {
        return Err(Failure::new(
            Code::Usage,
            "no terminal to ask at; give --yes to be sure",
        ));
    }
    eprint!("{question} [y/N] ");
    let mut line = String::new();
    stdin().read_line(&mut line)?;
    Ok(matches!(line.trim(), "y" | "Y" | "yes"))
}
