//! What happened and is no message: kept, so that nothing passes unseen while nobody looks.

use hushwire_core::storage::Event;
use serde::{Deserialize, Serialize};

use super::{
    Vault, VaultError,
    records::{Key, Table},
};

/// Alarms that are kept; the oldest go.
const KEPT: u64 = 200;
/// One that says the same as an earlier one, not older than this, is counted there: so a flood of
/// them neither fills the screen nor pushes out the others. Milliseconds.
const TOGETHER_MS: u64 = 24 * 60 * 60 * 1000;

/// Something that the user should know of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarm {
    /// When it happened last, milliseconds since 1970.
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
        let now = self.now();
        for number in (self.next_alarm.saturating_sub(KEPT)..self.next_alarm).rev() {
            let key = Key::number(Table::Event, number);
            let Some(earlier) = self.records.read::<Alarm>(&key)? else {
                continue;
            };
            if now.saturating_sub(earlier.at) < TOGETHER_MS
                && let Some(text) = crate::events::together(self, event, &earlier.text)
            {
                return self.records.stage(key, &Alarm { at: now, text });
            }
        }
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
        let numbers = self.records.numbers_back(all, KEPT as usize)?;
        let read = |number: &u64| self.records.read(&Key::number(Table::Event, *number));
        let alarms = numbers
            .iter()
            .rev()
            .filter_map(|number| read(number).transpose());
        let mut alarms: Vec<Alarm> = alarms.collect::<Result<_, _>>()?;
        // One that was counted together with a later one is as new as that.
        alarms.sort_by_key(|alarm| alarm.at);
        alarms.drain(..alarms.len().saturating_sub(limit));
        Ok(alarms)
    }
}

#[cfg(test)]
mod tests {
    use hushwire_core::{identity::Address, wire::answer::NoticeKind};

    use super::super::{Unlock, make_key_file};
    use super::*;

    const BOB: Address = Address([2; 20]);
    const CAROL: Address = Address([3; 20]);

    fn vault(folder: &std::path::Path) -> (Vault, Unlock) {
        let path = folder.join("key");
        make_key_file(&path).unwrap();
        let unlock = Unlock::KeyFile(path);
        let vault = Vault::create(folder, &unlock, &zeroize::Zeroizing::new([7; 32])).unwrap();
        (vault, unlock)
    }

    fn texts(vault: &mut Vault) -> Vec<String> {
        let alarms = vault.alarms(KEPT as usize).unwrap();
        alarms.into_iter().map(|alarm| alarm.text).collect()
    }

    fn notice(kind: NoticeKind, peer: Address, count: u32) -> Event {
        Event::Notice { kind, peer, count }
    }

    #[test]
    fn equal_notices_are_one_line_with_a_count() {
        let folder = tempfile::tempdir().unwrap();
        let (mut vault, unlock) = vault(folder.path());
        vault.keep_alarm("The relay has a new key.".into()).unwrap();
        for _ in 0..2 {
            for count in 1..=KEPT as u32 {
                let event = notice(NoticeKind::Refused, BOB, count);
                vault.keep_event(event).unwrap();
            }
            vault.flush().unwrap();
            drop(vault);
            vault = Vault::open(folder.path(), &unlock).unwrap();
        }
        let others = [
            notice(NoticeKind::Refused, CAROL, 7),
            notice(NoticeKind::ReceivedExpired, BOB, 4),
            Event::Lost {
                peer: BOB,
                count: 5,
            },
            Event::NoBundle { peer: BOB },
            Event::NoBundle { peer: BOB },
            Event::NoBundle { peer: BOB },
        ];
        for event in others {
            vault.keep_event(event).unwrap();
        }
        assert_eq!(
            texts(&mut vault),
            [
                "The relay has a new key.".to_owned(),
                format!("Your mailbox had no room for 40200 message(s) from {BOB}."),
                format!("Your mailbox had no room for 7 message(s) from {CAROL}."),
                format!("4 message(s) from {BOB} expired before you came."),
                format!(
                    "5 message(s) of {BOB} cannot be opened any more; what was not received is sent \
                     again."
                ),
                format!(
                    "{BOB} has no keys at its relay: it was never online there, or left. Messages \
                     wait. (3 times)"
                ),
            ]
        );
    }

    #[test]
    fn another_day_is_another_line() {
        let folder = tempfile::tempdir().unwrap();
        let (mut vault, _) = vault(folder.path());
        let event = notice(NoticeKind::Refused, BOB, 3);
        let text = crate::events::sentence(&vault, &event).unwrap();
        let at = vault.now() - TOGETHER_MS;
        let key = Key::number(Table::Event, vault.next_alarm);
        vault.next_alarm += 1;
        let yesterday = Alarm { at, text };
        vault.records.stage(key, &yesterday).unwrap();
        vault.keep_event(event).unwrap();
        let line = yesterday.text;
        assert_eq!(texts(&mut vault), [line.clone(), line]);
    }
}
