//! What every engine must do, whatever is beneath it.

use std::ops::ControlFlow;
use std::sync::Arc;

use hushwire_core::identity::Address;
use hushwire_relay::store::{Key, Store, StoreError, Table, Write};

/// Opens one and the same store, again and again.
pub(crate) type Open<'a> = &'a dyn Fn() -> Result<Box<dyn Store>, StoreError>;

pub(crate) fn put(arrival: u64, row: &[u8]) -> Write {
    Write::Put(Key::Message(arrival), Arc::from(row))
}

pub(crate) fn messages(store: &dyn Store) -> Vec<(u64, Vec<u8>)> {
    let mut found = Vec::new();
    store
        .walk(Table::Messages, 0, &mut |arrival, row| {
            found.push((arrival, row.to_vec()));
            ControlFlow::Continue(())
        })
        .unwrap();
    found
}

pub(crate) fn rows_are_read_as_they_were_written_over_a_reopening(open: Open) {
    let store = open().unwrap();
    let epoch = store.epoch();
    let account = Key::Account(Address([1; 20]));
    let name = Key::Meta("something");
    store
        .commit(&[
            put(2, b"two"),
            put(1, b"one"),
            put(300, b"three hundred"),
            Write::Put(account, Arc::from(*b"account")),
            Write::Put(name, Arc::from(*b"first")),
            Write::Put(name, Arc::from(*b"second")),
            Write::Delete(Key::Message(2)),
            Write::Delete(Key::Message(99)),
        ])
        .unwrap();
    drop(store);

    let store = open().unwrap();
    assert_eq!(store.epoch(), epoch);
    assert_eq!(store.get(&account).unwrap().unwrap(), b"account");
    assert_eq!(store.get(&name).unwrap().unwrap(), b"second", "in order");
    assert_eq!(
        store.get(&Key::Bundle(Address([1; 20]))).unwrap(),
        None,
        "tables are apart"
    );
    let expected = [(1, b"one".to_vec()), (300, b"three hundred".to_vec())];
    assert_eq!(messages(&*store), expected, "oldest first");
    assert_eq!(store.count(Table::Messages).unwrap(), 2);

    let mut seen = Vec::new();
    store
        .walk(Table::Messages, 2, &mut |arrival, _| {
            seen.push(arrival);
            ControlFlow::Break(())
        })
        .unwrap();
    assert_eq!(seen, [300]);
}

pub(crate) fn stores_have_names_of_their_own(first: Open, second: Open) {
    assert_ne!(first().unwrap().epoch(), second().unwrap().epoch());
}

pub(crate) fn a_newer_format_is_refused_in_a_sentence(open: Open) {
    let store = open().unwrap();
    let newer = Write::Put(Key::Meta("format"), Arc::from(9u32.to_be_bytes()));
    store.commit(&[newer]).unwrap();
    drop(store);
    let Err(error) = open() else {
        panic!("a store of the future was opened")
    };
    assert!(matches!(error, StoreError::Newer { found: 9, known: 1 }));
    assert!(error.to_string().contains("at least as new"), "{error}");
}

pub(crate) fn a_store_has_one_user(open: Open) {
    let first = open().unwrap();
    assert!(matches!(open(), Err(StoreError::Busy)));
    drop(first);
    open().unwrap();
}

/// The bound of `disk-bytes` goes by it.
pub(crate) fn what_it_takes_of_the_disk_is_known(open: Open) {
    let store = open().unwrap();
    let large: Vec<_> = (0..100).map(|n| put(n, &[1; 10_000])).collect();
    store.commit(&large).unwrap();
    let free = store.free_bytes().unwrap();
    let free = free.expect("they were not counted a moment ago");
    assert!(store.file_bytes() - free >= 1_000_000, "{free} are free");
}
