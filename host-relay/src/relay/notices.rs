//! Notices: what happened to messages while the one concerned was away. Kept outside the quota,
//! added up per kind and peer, until the client says that it has stored them.

use hushwire_core::identity::Address;
use hushwire_core::wire::answer::NoticeKind;

use super::{ConnId, Relay};
use crate::request::Answer;
use crate::store::record::{self, Notice};
use crate::store::{Key, StoreError};

/// Notices on their way to one client. The next follow as these are noted, so that a long list
/// never fills an outbox.
const TOLD_AT_ONCE: usize = 16;

impl Relay {
    /// Stores a notice for `owner`, and tells it if it is there. Who has no account gets none.
    pub(super) fn add_notice(
        &mut self,
        owner: &Address,
        kind: NoticeKind,
        peer: Address,
        count: u32,
    ) {
        if let Err(error) = self.try_add_notice(owner, kind, peer, count) {
            tracing::error!(%error, "a notice was lost to store trouble");
        }
        if let Some(conn) = self.online.get(owner) {
            self.tell_notices(*conn);
        }
    }

    fn try_add_notice(
        &mut self,
        owner: &Address,
        kind: NoticeKind,
        peer: Address,
        count: u32,
    ) -> Result<(), StoreError> {
        if self.ledger.account(owner)?.is_none() {
            return Ok(());
        }
        let mut notices = self.notices(owner)?;
        let full = notices.len() >= self.limits.notices as usize;
        let find =
            |of: Address| move |notice: &&mut Notice| notice.kind == kind && notice.peer == of;
        let unnamed = Address::ZERO;
        if let Some(notice) = notices.iter_mut().find(find(peer)) {
            notice.count = notice.count.saturating_add(count);
        } else if !full {
            notices.push(Notice { kind, peer, count });
        } else if let Some(notice) = notices.iter_mut().find(find(unnamed)) {
            notice.count = notice.count.saturating_add(count);
        } else {
            notices.push(Notice {
                kind,
                peer: unnamed,
                count,
            });
        }
        self.ledger
            .put(Key::Notices(*owner), record::emit_notices(&notices));
        Ok(())
    }

    fn notices(&self, owner: &Address) -> Result<Vec<Notice>, StoreError> {
        let row = self.ledger.read(&Key::Notices(*owner))?;
        row.map_or(Ok(Vec::new()), |row| record::parse_notices(&row))
    }

    /// Sends notices that are not on their way yet.
    pub(super) fn tell_notices(&mut self, conn: ConnId) {
        let Some(peer) = self.peers.get(&conn) else {
            return;
        };
        if peer.told.len() >= TOLD_AT_ONCE {
            return;
        }
        let notices = match self.notices(&peer.address) {
            Ok(notices) => notices,
            Err(error) => return tracing::error!(%error, "notices wait for the store"),
        };
        for Notice {
            kind,
            peer: about,
            count,
        } in notices
        {
            let Some(peer) = self.peers.get_mut(&conn) else {
                return;
            };
            if peer.told.contains(&(kind, about)) {
                continue;
            }
            if peer.told.len() >= TOLD_AT_ONCE {
                return;
            }
            peer.told.push((kind, about));
            self.send(
                conn,
                Answer::Notice {
                    kind,
                    peer: about,
                    count,
                },
            );
        }
    }

    /// The client has stored `count` of them; what came since is told anew.
    pub(super) fn noted(&mut self, conn: ConnId, kind: NoticeKind, about: Address, count: u32) {
        if count == 0 {
            return;
        }
        let Some(peer) = self.peers.get_mut(&conn) else {
            return;
        };
        let owner = peer.address;
        let before = peer.told.len();
        peer.told.retain(|told| *told != (kind, about));
        if peer.told.len() == before {
            return;
        }
        let mut notices = match self.notices(&owner) {
            Ok(notices) => notices,
            Err(error) => return tracing::error!(%error, "a noted notice stays"),
        };
        for notice in &mut notices {
            if notice.kind == kind && notice.peer == about {
                notice.count = notice.count.saturating_sub(count);
            }
        }
        notices.retain(|notice| notice.count > 0);
        match notices.is_empty() {
            true => self.ledger.delete(Key::Notices(owner)),
            false => self
                .ledger
                .put(Key::Notices(owner), record::emit_notices(&notices)),
        }
        self.tell_notices(conn);
    }

    /// A notice of the connection itself: it has no peer and no count, and is not stored.
    pub(super) fn send_notice(&mut self, conn: ConnId, kind: NoticeKind) {
        self.send(
            conn,
            Answer::Notice {
                kind,
                peer: Address::ZERO,
                count: 0,
            },
        );
    }
}
