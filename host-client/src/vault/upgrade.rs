//! From one format of the vault to the next, in one transaction: all of it or none.
//!
//! | format | what changed |
//! | --- | --- |
//! | 0 | before the first release: messages without threads |
//! | 1 | each message stands in its contact's thread |

use hushwire_core::snapshot::StorageKey;
use redb::{Database, ReadableTable as _};

use super::{
    OsRng, Unlock, VaultError,
    header::{self, FORMAT, RawKey},
    message::StoredMessage,
    open::{HEADER, HEADER_KEY},
    records::{self, Key, Names, RECORDS, Table},
};

/// Brings a vault of format `from` to [`FORMAT`]: records are sealed anew under their new format.
pub(super) fn run(
    database: &Database,
    from: u16,
    key: &RawKey,
    unlock: &Unlock,
) -> Result<(), VaultError> {
    let storage = StorageKey::from_bytes(**key);
    let mut rng = OsRng::default();
    let header = header::seal(FORMAT, key, unlock, &mut rng)?;
    let transaction = database.begin_write()?;
    {
        let mut table = transaction.open_table(RECORDS)?;
        let mut old = Vec::new();
        for row in table.range::<&[u8]>(..)? {
            let (key, sealed) = row?;
            old.push((Key::from_bytes(key.value()), sealed.value().to_vec()));
        }
        let names = Names::new(key)?;
        for (key, sealed) in old {
            let value = records::open(&storage, &key, u64::from(from), sealed)?;
            if from == 0 && key.bytes().first() == Some(&(Table::Message as u8)) {
                let message: StoredMessage = records::decode(&value)?;
                let place = names.thread(message.peer(), key.last_number());
                let empty = records::seal(&storage, &mut rng, &place, u64::from(FORMAT), &[])?;
                table.insert(place.bytes(), empty.as_slice())?;
            }
            let sealed = records::seal(&storage, &mut rng, &key, u64::from(FORMAT), &value)?;
            table.insert(key.bytes(), sealed.as_slice())?;
        }
        let mut headers = transaction.open_table(HEADER)?;
        headers.insert(HEADER_KEY, header.as_slice())?;
    }
    transaction.commit()?;
    Ok(())
}
