//! Entries of the journal as bytes. Every integer is big-endian.
//!
//! One entry is one batch. It is cut into parts that fit a NATS message; a batch whose last part
//! never came is no batch. Part:
//! `version 1 | flags 1 | epoch 8 | term 8 | number 8 | follows 8 | node 8 | part 4 | parts 4 | crc 4 | rows`

use super::local::Mark;
use crate::store::{StoreError, Table, Write};

const VERSION: u8 = 1;
const HEAD: usize = 54;

/// Its writer holds the truth, and the cluster has not got it yet: nobody else may go on from here.
pub(super) const RESTORING: u8 = 1;

/// What stands before the rows of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) flags: u8,
    /// The store's epoch: entries of another store are damage.
    pub(super) epoch: u64,
    /// Rises with each relay that takes the store over.
    pub(super) term: u64,
    /// Rises by one with each batch.
    pub(super) number: u64,
    /// The number of the last batch that counts. What stands in between was given up by its writer,
    /// which has told nobody that it is durable.
    pub(super) follows: u64,
    /// The data folder that wrote it.
    pub(super) node: u64,
    pub(super) part: u32,
    pub(super) parts: u32,
}

impl Head {
    /// Whether both are parts of one entry.
    pub(super) fn is_of(&self, other: &Self) -> bool {
        (self.term, self.number, self.node) == (other.term, other.number, other.node)
    }

    /// Whether a copy that has come as far as `mark` has come to this entry.
    pub(super) fn is_at(&self, mark: &Mark) -> bool {
        (self.term, self.number) == (mark.term, mark.number)
    }

    fn emit(&self, rows: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEAD + rows.len());
        out.extend([VERSION, self.flags]);
        for field in [self.epoch, self.term, self.number, self.follows, self.node] {
            out.extend(field.to_be_bytes());
        }
        out.extend(self.part.to_be_bytes());
        out.extend(self.parts.to_be_bytes());
        let crc = crc(&out, rows);
        out.extend(crc);
        out.extend_from_slice(rows);
        out
    }

    /// A part's head and rows.
    pub(super) fn parse(part: &[u8]) -> Result<(Self, &[u8]), StoreError> {
        let damaged =
            || StoreError::Damaged("an entry of the journal is not what was written".into());
        let (head, rows) = part.split_at_checked(HEAD).ok_or_else(damaged)?;
        let (fields, check) = head.split_at(HEAD - 4);
        if fields[0] > VERSION {
            return Err(StoreError::Newer {
                found: u32::from(fields[0]),
                known: u32::from(VERSION),
            });
        }
        if fields[0] < VERSION || check != crc(fields, rows) {
            return Err(damaged());
        }
        let u64_at =
            |at: usize| u64::from_be_bytes(fields[at..at + 8].try_into().unwrap_or([0; 8]));
        let u32_at =
            |at: usize| u32::from_be_bytes(fields[at..at + 4].try_into().unwrap_or([0; 4]));
        let head = Self {
            flags: fields[1],
            epoch: u64_at(2),
            term: u64_at(10),
            number: u64_at(18),
            follows: u64_at(26),
            node: u64_at(34),
            part: u32_at(42),
            parts: u32_at(46),
        };
        match head.part < head.parts {
            true => Ok((head, rows)),
            false => Err(damaged()),
        }
    }
}

fn crc(fields: &[u8], rows: &[u8]) -> [u8; 4] {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(fields);
    hasher.update(rows);
    hasher.finalize().to_be_bytes()
}

/// An entry's parts, `room` bytes of rows in each at most.
pub(super) fn parts(head: Head, body: &[u8], room: usize) -> Vec<Vec<u8>> {
    let pieces: Vec<_> = match body.is_empty() {
        true => vec![body],
        false => body.chunks(room.max(1)).collect(),
    };
    let parts = pieces.len() as u32;
    let part = |(part, rows): (usize, &&[u8])| {
        let part = part as u32;
        Head {
            part,
            parts,
            ..head
        }
        .emit(rows)
    };
    pieces.iter().enumerate().map(part).collect()
}

/// Appends a row: `table 1 | put 1 | key length 2 | value length 4 | key | value`.
pub(super) fn push_row(body: &mut Vec<u8>, table: Table, key: &[u8], value: Option<&[u8]>) {
    body.extend([table as u8, u8::from(value.is_some())]);
    body.extend((key.len() as u16).to_be_bytes());
    let value = value.unwrap_or_default();
    body.extend((value.len() as u32).to_be_bytes());
    body.extend_from_slice(key);
    body.extend_from_slice(value);
}

/// A batch as an entry's body.
pub(super) fn body(writes: &[Write]) -> Vec<u8> {
    let mut body = Vec::new();
    for write in writes {
        match write {
            Write::Put(key, value) => {
                key.with_bytes(|bytes| push_row(&mut body, key.table(), bytes, Some(value)));
            }
            Write::Delete(key) => {
                key.with_bytes(|bytes| push_row(&mut body, key.table(), bytes, None));
            }
        }
    }
    body
}

/// A row that was put, or deleted where there is no value.
pub(super) type Row<'a> = (Table, &'a [u8], Option<&'a [u8]>);

/// The rows of a body, in order.
pub(super) fn rows(mut body: &[u8]) -> impl Iterator<Item = Result<Row<'_>, StoreError>> {
    std::iter::from_fn(move || {
        if body.is_empty() {
            return None;
        }
        let row = take_row(&mut body);
        if row.is_none() {
            body = &[];
        }
        Some(row.ok_or_else(|| StoreError::Damaged("a row of the journal is cut".into())))
    })
}

fn take_row<'a>(body: &mut &'a [u8]) -> Option<Row<'a>> {
    let (&[table, put, k1, k2, v1, v2, v3, v4], rest) = body.split_first_chunk()?;
    let (key, rest) = rest.split_at_checked(u16::from_be_bytes([k1, k2]).into())?;
    let (value, rest) = rest.split_at_checked(u32::from_be_bytes([v1, v2, v3, v4]) as usize)?;
    *body = rest;
    let table = *Table::ALL.get(usize::from(table))?;
    Some((table, key, (put == 1).then_some(value)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::store::Key;

    const HEAD_1: Head = Head {
        flags: 0,
        epoch: 1,
        term: 2,
        number: 3,
        follows: 0,
        node: 5,
        part: 0,
        parts: 1,
    };

    #[test]
    fn a_batch_comes_back_whole_whatever_the_parts() {
        let writes = [
            Write::Put(Key::Message(7), Arc::from([9; 300])),
            Write::Delete(Key::Meta("x")),
            Write::Put(Key::Acked(1), Arc::from([])),
        ];
        let whole = body(&writes);
        for room in [1, 7, 4096] {
            let mut joined = Vec::new();
            for (at, part) in parts(HEAD_1, &whole, room).iter().enumerate() {
                let (head, rows) = Head::parse(part).unwrap();
                assert_eq!(head.part as usize, at);
                assert!(head.is_of(&HEAD_1));
                joined.extend_from_slice(rows);
            }
            assert_eq!(joined, whole);
        }
        let rows: Vec<_> = rows(&whole).map(Result::unwrap).collect();
        assert_eq!(
            rows[0],
            (
                Table::Messages,
                &7u64.to_be_bytes()[..],
                Some(&[9; 300][..])
            )
        );
        assert_eq!(rows[1], (Table::Meta, &b"x"[..], None));
        assert_eq!(rows[2].2, Some(&[][..]), "empty is not deleted");
    }

    #[test]
    fn what_was_altered_or_cut_is_damage() {
        let part = parts(HEAD_1, b"rows", 9).remove(0);
        for at in 1..part.len() {
            let mut wrong = part.clone();
            wrong[at] ^= 1;
            assert!(Head::parse(&wrong).is_err(), "byte {at}");
            assert!(Head::parse(&part[..at]).is_err(), "cut at {at}");
        }
        let whole = body(&[Write::Put(Key::Message(7), Arc::from([9; 30]))]);
        for at in 1..whole.len() {
            assert!(rows(&whole[..at]).any(|row| row.is_err()), "cut at {at}");
        }
    }
}
