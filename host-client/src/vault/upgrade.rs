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

#[cfg(test)]
mod tests {
    use hushwire_core::{
        identity::Address,
        session::Kind,
        storage::{Incoming, Storage as _},
        wire::MessageId,
    };
    use zeroize::Zeroizing;

    use super::*;
    use crate::vault::{Filter, Vault, make_key_file};

    /// Makes a vault as format 0 had it: records of epoch 0, and no threads.
    fn downgrade(folder: &std::path::Path, unlock: &Unlock) {
        let database = Database::open(folder.join("vault.redb")).unwrap();
        let key =
            header::open(&super::super::open::read_header(&database).unwrap(), unlock).unwrap();
        let (storage, mut rng) = (StorageKey::from_bytes(*key), OsRng::default());
        let header = header::seal(0, &key, unlock, &mut rng).unwrap();
        let transaction = database.begin_write().unwrap();
        {
            let mut table = transaction.open_table(RECORDS).unwrap();
            let rows: Vec<_> = table
                .range::<&[u8]>(..)
                .unwrap()
                .map(|row| row.map(|(key, value)| (key.value().to_vec(), value.value().to_vec())))
                .collect::<Result<_, _>>()
                .unwrap();
            for (name, sealed) in rows {
                table.remove(name.as_slice()).unwrap();
                let name = Key::from_bytes(&name);
                if name.bytes()[0] != Table::Thread as u8 {
                    let value = records::open(&storage, &name, 1, sealed).unwrap();
                    let sealed = records::seal(&storage, &mut rng, &name, 0, &value).unwrap();
                    table.insert(name.bytes(), sealed.as_slice()).unwrap();
                }
            }
            let mut headers = transaction.open_table(HEADER).unwrap();
            headers.insert(HEADER_KEY, header.as_slice()).unwrap();
        }
        transaction.commit().unwrap();
    }

    #[test]
    fn a_vault_of_format_0_is_upgraded_once_and_keeps_everything() {
        let folder = tempfile::tempdir().unwrap();
        let unlock = Unlock::KeyFile(folder.path().join("key"));
        make_key_file(&folder.path().join("key")).unwrap();
        let mut vault = Vault::create(folder.path(), &unlock, &Zeroizing::new([7; 32])).unwrap();
        let from = Address([2; 20]);
        for n in 1..=3 {
            let incoming = Incoming {
                from,
                id: MessageId([n; 16]),
                kind: Kind::DATA,
                body: &[n],
                replayable: false,
                stored_at: 0,
            };
            vault.receive(&incoming).unwrap();
        }
        vault.commit().unwrap();
        drop(vault);
        downgrade(folder.path(), &unlock);

        for _ in 0..2 {
            let mut vault = Vault::open(folder.path(), &unlock).unwrap();
            let filter = Filter {
                with: vec![from],
                limit: 10,
                ..Filter::default()
            };
            let bodies: Vec<_> = vault
                .history(&filter)
                .unwrap()
                .into_iter()
                .map(|message| message.body)
                .collect();
            assert_eq!(bodies, [[1], [2], [3]]);
            assert_eq!(*vault.seed().unwrap(), [7; 32]);
            assert!(vault.seen(&from, MessageId([3; 16])).unwrap());
        }
    }

    #[test]
    fn a_vault_of_a_newer_build_is_refused_with_a_sentence() {
        let folder = tempfile::tempdir().unwrap();
        let unlock = Unlock::KeyFile(folder.path().join("key"));
        make_key_file(&folder.path().join("key")).unwrap();
        drop(Vault::create(folder.path(), &unlock, &Zeroizing::new([7; 32])).unwrap());
        let database = Database::open(folder.path().join("vault.redb")).unwrap();
        let mut header = super::super::open::read_header(&database).unwrap();
        header[1] += 1;
        let transaction = database.begin_write().unwrap();
        let mut table = transaction.open_table(HEADER).unwrap();
        table.insert(HEADER_KEY, header.as_slice()).unwrap();
        drop(table);
        transaction.commit().unwrap();
        drop(database);
        let error = Vault::open(folder.path(), &unlock).unwrap_err();
        assert!(error.to_string().contains("use a newer one"), "{error}");
    }
}
