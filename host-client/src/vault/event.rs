//! What happened and is no message: kept, so that nothing passes unseen while nobody looks.

use hushwire_core::storage::Event;
use serde::{Deserialize, Serialize};

use super::{
    Vault, VaultError,
    records::{Key, Table},
};

/// Alarms that are kept; the oldest go.
const KEPT: u64 = 200;

/// Something that the user should know of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarm {
    /// When it happened, milliseconds since 1970.
    pub at: u64,
    /// What happened, a sentence.
    pub text: String,
}

/// What a commit made true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Happening {
    /// The message of this number came in.
    Message(u64),
    /// Something else.
    Event(Event),
}

impl Vault {
    pub(super) fn keep_event(&mut self, event: Event) -> Result<(), VaultError> {
        let Some(text) = crate::events::sentence(self, &event) else {
            return Ok(());
        };
        self.keep_alarm(text)
    }

    /// Stages an alarm.
    pub(crate) fn keep_alarm(&mut self, text: String) -> Result<(), VaultError> {
        let number = self.next_alarm;
        self.next_alarm += 1;
        let at = self.now();
        self.records
            .stage(Key::number(Table::Event, number), &Alarm { at, text })?;
        if let Some(old) = number.checked_sub(KEPT) {
            self.records.stage_removal(Key::number(Table::Event, old));
        }
        Ok(())
    }

    /// The newest alarms, oldest first.
    pub(crate) fn alarms(&mut self, limit: usize) -> Result<Vec<Alarm>, VaultError> {
        self.flush()?;
        let all = Key::number(Table::Event, 0)..=Key::number(Table::Event, u64::MAX);
        let numbers = self.records.numbers_back(all, limit)?;
        let read = |number: &u64| self.records.read(&Key::number(Table::Event, *number));
        numbers
            .iter()
            .rev()
            .filter_map(|number| read(number).transpose())
            .collect()
    }
}
