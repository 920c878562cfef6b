//! Names of rows.

use hushwire_core::identity::Address;

/// A nickname as the store knows it: a keyed hash, so that a stolen disk shows no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NameHash(pub [u8; 20]);

/// A kind of row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Table {
    /// The relay's own: format, epoch, clock.
    Meta,
    /// One small row for each registered identity.
    Accounts,
    /// Signed prekey bundles.
    Bundles,
    /// One-time prekeys that were not handed out yet.
    Prekeys,
    /// Who may write to a mailbox that takes contacts only.
    Contacts,
    /// Notices that their owner has not stored yet.
    Notices,
    /// Nicknames, by hash.
    Names,
    /// Stored messages, by arrival.
    Messages,
    /// Envelopes that were acknowledged lately, by number.
    Acked,
    /// Who may not come, who may, and invitations, by number.
    Access,
}

impl Table {
    /// Every table, in the order of their numbers.
    pub const ALL: [Table; 10] = [
        Table::Meta,
        Table::Accounts,
        Table::Bundles,
        Table::Prekeys,
        Table::Contacts,
        Table::Notices,
        Table::Names,
        Table::Messages,
        Table::Acked,
        Table::Access,
    ];

    /// The table's name in the engine.
    pub fn name(self) -> &'static str {
        match self {
            Table::Meta => "meta",
            Table::Accounts => "accounts",
            Table::Bundles => "bundles",
            Table::Prekeys => "prekeys",
            Table::Contacts => "contacts",
            Table::Notices => "notices",
            Table::Names => "names",
            Table::Messages => "messages",
            Table::Acked => "acked",
            Table::Access => "access",
        }
    }
}

/// The name of one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// A row of the relay's own.
    Meta(&'static str),
    /// An identity's small row.
    Account(Address),
    /// An identity's bundle.
    Bundle(Address),
    /// An identity's one-time prekeys.
    Prekeys(Address),
    /// An identity's contact list.
    Contacts(Address),
    /// An identity's waiting notices.
    Notices(Address),
    /// The owner of a nickname.
    Name(NameHash),
    /// A stored message, by order of arrival: neighbours in time are neighbours on the disk, which
    /// is what makes a group commit cheap (STORE.md).
    Message(u64),
    /// Acknowledged envelope ids, many to a row.
    Acked(u64),
    /// A ban, an invitation or an identity that is expected.
    Access(u64),
}

impl Key {
    /// The table that the row is in.
    pub fn table(&self) -> Table {
        match self {
            Key::Meta(_) => Table::Meta,
            Key::Account(_) => Table::Accounts,
            Key::Bundle(_) => Table::Bundles,
            Key::Prekeys(_) => Table::Prekeys,
            Key::Contacts(_) => Table::Contacts,
            Key::Notices(_) => Table::Notices,
            Key::Name(_) => Table::Names,
            Key::Message(_) => Table::Messages,
            Key::Acked(_) => Table::Acked,
            Key::Access(_) => Table::Access,
        }
    }

    /// Hands the row's bytes in its table to `f`.
    pub fn with_bytes<T>(&self, f: impl FnOnce(&[u8]) -> T) -> T {
        match self {
            Key::Meta(name) => f(name.as_bytes()),
            Key::Account(address)
            | Key::Bundle(address)
            | Key::Prekeys(address)
            | Key::Contacts(address)
            | Key::Notices(address) => f(&address.0),
            Key::Name(hash) => f(&hash.0),
            Key::Message(number) | Key::Acked(number) | Key::Access(number) => {
                f(&number.to_be_bytes())
            }
        }
    }
}
