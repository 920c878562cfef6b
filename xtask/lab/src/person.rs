//! Somebody with a vault, who uses the command line as a program would: with `--json`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::Binaries;
use crate::child::shown;
use crate::child::{PATIENCE, Running};

/// The vault's passphrase comes from the environment, as for a service.
const PASSPHRASE: (&str, &str) = ("HUSHWIRE_PASSPHRASE", "correct horse battery staple");

/// A user of the client.
#[derive(Debug)]
pub struct Person {
    name: String,
    client: PathBuf,
    vault: PathBuf,
    key_file: Option<PathBuf>,
    card: String,
    address: String,
}

impl Person {
    /// Makes a vault under a passphrase and registers at the relay.
    ///
    /// # Errors
    /// What the client says, in a sentence.
    pub fn join(binaries: &Binaries, folder: &Path, name: &str, relay: &str) -> Result<Self> {
        Self::unmade(binaries, folder, name).register(relay)
    }

    /// As [`Self::join`], under a key file: no passphrase is stretched at each command.
    ///
    /// # Errors
    /// What the client says, in a sentence.
    pub fn join_with_key_file(
        binaries: &Binaries,
        folder: &Path,
        name: &str,
        relay: &str,
    ) -> Result<Self> {
        let mut person = Self::unmade(binaries, folder, name);
        person.key_file = Some(folder.join(format!("{name}.key")));
        person.register(relay)
    }

    fn unmade(binaries: &Binaries, folder: &Path, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            client: binaries.client.clone(),
            vault: folder.join(name),
            key_file: None,
            card: String::new(),
            address: String::new(),
        }
    }

    fn register(mut self, relay: &str) -> Result<Self> {
        self.run(&["init", "--relay", relay])?;
        let own = self.run(&["address"])?;
        self.card = text(&own, "card").context("`address` printed no card")?;
        self.address = text(&own, "address").context("`address` printed no address")?;
        Ok(self)
    }

    /// What others call this person.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The address, `hush1…`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The contact card.
    pub fn card(&self) -> &str {
        &self.card
    }

    /// The folder of everything that is kept.
    pub fn vault(&self) -> &Path {
        &self.vault
    }

    /// Takes somebody's contact card.
    ///
    /// # Errors
    /// What the client says, in a sentence.
    pub fn learn(&self, other: &Self) -> Result<()> {
        self.learn_card(&other.name, &other.card)
    }

    /// Takes a contact card under a name.
    ///
    /// # Errors
    /// What the client says, in a sentence.
    pub fn learn_card(&self, name: &str, card: &str) -> Result<()> {
        self.run(&["contacts", "add", name, card]).map(drop)
    }

    /// Writes to a contact; returns the message's state when the command ends.
    ///
    /// # Errors
    /// What the client says, in a sentence.
    pub fn send(&self, to: &str, body: &str) -> Result<String> {
        let sent = self.run(&["send", to, body])?;
        text(&sent, "state").context("`send` printed no state")
    }

    /// Goes online, and prints what arrives as it arrives.
    ///
    /// # Errors
    /// What the client says, in a sentence.
    pub fn listen(&self) -> Result<Listening> {
        Running::start(&mut self.command(&["listen"])).map(Listening)
    }

    /// Waits until the history shows the message as received by the other end.
    ///
    /// # Errors
    /// What the client says, in a sentence.
    pub fn wait_until_delivered(&self, body: &str) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let history = self.run(&["inbox"])?;
            if says(&history, &|entry| entry_is(entry, body, "delivered")) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        bail!(
            "{} saw no receipt within {} s",
            self.name,
            PATIENCE.as_secs()
        )
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.client);
        command
            .arg("--vault")
            .arg(&self.vault)
            .arg("--json")
            .args(words);
        match &self.key_file {
            Some(file) => command.arg("--key-file").arg(file),
            None => command.env(PASSPHRASE.0, PASSPHRASE.1),
        };
        command
    }

    /// Runs a command that ends by itself; its output is one JSON value, or one on each line.
    ///
    /// # Errors
    /// What the client says, in a sentence.
    pub fn run(&self, words: &[&str]) -> Result<Value> {
        let mut command = self.command(words);
        let what = shown(&command);
        let output = command
            .output()
            .with_context(|| format!("cannot run `{what}`"))?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "`{what}` failed: {}",
            complaint.trim()
        );
        let values = serde_json::Deserializer::from_slice(&output.stdout).into_iter::<Value>();
        let values: Vec<Value> = values
            .collect::<Result<_, _>>()
            .with_context(|| format!("`{what}` printed no JSON"))?;
        Ok(match <[Value; 1]>::try_from(values) {
            Ok([value]) => value,
            Err(values) => Value::Array(values),
        })
    }
}

/// Somebody who is online.
#[derive(Debug)]
pub struct Listening(Running);

impl Listening {
    /// Ends it without a warning (SIGKILL).
    ///
    /// # Errors
    /// The system refuses.
    pub fn kill(mut self) -> Result<()> {
        self.0.kill()
    }

    /// Waits for a message with this text.
    ///
    /// # Errors
    /// What the client says, in a sentence.
    pub fn wait_for(&mut self, body: &str) -> Result<()> {
        self.0.line(|line| {
            serde_json::from_str(line).is_ok_and(|value: Value| says(&value, &|v| v == body))
        })?;
        Ok(())
    }
}

/// A field of an object.
fn text(value: &Value, field: &str) -> Option<String> {
    value.get(field)?.as_str().map(str::to_owned)
}

fn entry_is(entry: &Value, body: &str, state: &str) -> bool {
    let holds = |wanted: &str| {
        entry
            .as_object()
            .is_some_and(|fields| fields.values().any(|value| value == wanted))
    };
    holds(body) && holds(state)
}

/// Whether a value, or anything inside it, is what is looked for.
fn says(value: &Value, wanted: &dyn Fn(&Value) -> bool) -> bool {
    wanted(value)
        || match value {
            Value::Array(items) => items.iter().any(|item| says(item, wanted)),
            Value::Object(fields) => fields.values().any(|item| says(item, wanted)),
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn entries_are_found_wherever_they_stand() {
        let history = json!({ "messages": [{ "body": "hello", "state": "delivered" }] });
        assert!(says(&history, &|entry| entry_is(
            entry,
            "hello",
            "delivered"
        )));
        assert!(!says(&history, &|entry| entry_is(entry, "hello", "queued")));
        assert!(!says(&history, &|entry| entry_is(
            entry,
            "bye",
            "delivered"
        )));
    }
}
