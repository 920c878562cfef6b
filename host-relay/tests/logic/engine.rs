//! A store in memory.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};

use hushwire_relay::store::{Key, Store, StoreError, Table, Walked, Write};

use crate::logic::Open;

pub(crate) fn fresh() -> Open {
    let store = Memory::default();
    Box::new(move || Box::new(store.clone()))
}

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

#[derive(Clone, Default)]
struct Memory(Arc<Mutex<HashMap<&'static str, Rows>>>);

impl Store for Memory {
    fn epoch(&self) -> u64 {
        77
    }

    fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, StoreError> {
        let rows = self.0.lock().unwrap();
        let table = rows.get(key.table().name());
        Ok(key.with_bytes(|bytes| table?.get(bytes).cloned()))
    }

    fn walk(
        &self,
        table: Table,
        from: u64,
        visit: &mut dyn FnMut(u64, &[u8]) -> ControlFlow<()>,
    ) -> Result<Walked, StoreError> {
        let rows = self.0.lock().unwrap();
        let mut walked = Walked::default();
        for (key, row) in rows.get(table.name()).into_iter().flatten() {
            let number = u64::from_be_bytes(key[..].try_into().unwrap());
            if number < from {
                continue;
            }
            walked.next = number + 1;
            if visit(number, row).is_break() {
                break;
            }
        }
        Ok(walked)
    }

    fn count(&self, table: Table) -> Result<u64, StoreError> {
        Ok(self
            .0
            .lock()
            .unwrap()
            .get(table.name())
            .map_or(0, |rows| rows.len() as u64))
    }

    fn commit(&self, writes: &[Write]) -> Result<(), StoreError> {
        let mut rows = self.0.lock().unwrap();
        for write in writes {
            let (Write::Put(key, _) | Write::Delete(key)) = write;
            let table = rows.entry(key.table().name()).or_default();
            key.with_bytes(|bytes| match write {
                Write::Put(_, row) => drop(table.insert(bytes.to_vec(), row.to_vec())),
                Write::Delete(_) => drop(table.remove(bytes)),
            });
        }
        Ok(())
    }
}
