//! Conversations: loaded when they are needed, a bounded number of them kept in memory.

use std::collections::HashMap;

use hushwire_core::{
    identity::Address,
    limits::HOST_MAX_SKIP,
    peer::{Conversation, Peer},
    session::{Position, Session},
};
use zeroize::Zeroizing;

use super::{
    Vault, VaultError,
    records::{Records, Table},
};

/// Conversations in memory, about 45 KB each at most.
const KEPT: usize = 128;

#[derive(Debug)]
struct Cached {
    peer: Peer<HOST_MAX_SKIP>,
    tentative: Option<Session<HOST_MAX_SKIP>>,
    used: u64,
}

/// The conversations in memory.
#[derive(Debug, Default)]
pub(super) struct Conversations {
    cached: HashMap<Address, Box<Cached>>,
    clock: u64,
}

impl Conversations {
    fn keep(&mut self, peer: Peer<HOST_MAX_SKIP>, tentative: Option<Session<HOST_MAX_SKIP>>) {
        self.clock += 1;
        let used = self.clock;
        self.cached.insert(
            peer.address,
            Box::new(Cached {
                peer,
                tentative,
                used,
            }),
        );
    }

    fn get(&mut self, who: &Address) -> Option<Conversation<'_, HOST_MAX_SKIP>> {
        self.clock += 1;
        let cached = self.cached.get_mut(who)?;
        cached.used = self.clock;
        Some(Conversation {
            peer: &mut cached.peer,
            tentative: Some(&mut cached.tentative),
        })
    }

    /// Stages one as it is now.
    fn stage(
        &mut self,
        records: &mut Records,
        who: &Address,
        position: Position,
    ) -> Result<(), VaultError> {
        let Some(mut conversation) = self.get(who) else {
            return Ok(());
        };
        let most = Conversation::<HOST_MAX_SKIP>::MAX_ENCODED;
        let mut buffer = Zeroizing::new(vec![0; most]);
        let len = conversation.encode(position, &mut buffer);
        let len = len.map_err(|_| VaultError::damaged("a conversation does not encode"))?;
        let key = records.blind(Table::Conversation, &[&who.0]);
        records.stage_bytes(key, Zeroizing::new(buffer[..len].to_vec()));
        Ok(())
    }

    /// Makes room by putting the one that was unused for longest to rest, as an orderly stop would.
    fn make_room(&mut self, records: &mut Records) -> Result<(), VaultError> {
        while self.cached.len() >= KEPT {
            let oldest = self.cached.iter().min_by_key(|(_, cached)| cached.used);
            let Some(who) = oldest.map(|(who, _)| *who) else {
                return Ok(());
            };
            self.stage(records, &who, Position::Exact)?;
            self.cached.remove(&who);
        }
        Ok(())
    }

    pub(super) fn forget(&mut self) {
        self.cached.clear();
    }
}

impl Vault {
    pub(super) fn load_conversation(
        &mut self,
        who: &Address,
    ) -> Result<Option<Conversation<'_, HOST_MAX_SKIP>>, VaultError> {
        if !self.conversations.cached.contains_key(who) {
            let key = self.records.blind(Table::Conversation, &[&who.0]);
            let Some(bytes) = self.records.read_bytes(&key)? else {
                return Ok(None);
            };
            let decoded = Peer::decode(&bytes);
            let (peer, tentative) =
                decoded.map_err(|_| VaultError::damaged("a conversation does not decode"))?;
            self.conversations.make_room(&mut self.records)?;
            self.conversations.keep(peer, tentative);
        }
        Ok(self.conversations.get(who))
    }

    pub(super) fn add_conversation(&mut self, peer: Peer<HOST_MAX_SKIP>) -> Result<(), VaultError> {
        self.conversations.make_room(&mut self.records)?;
        let who = peer.address;
        self.conversations.keep(peer, None);
        self.save_conversation(&who)
    }

    pub(super) fn save_conversation(&mut self, who: &Address) -> Result<(), VaultError> {
        self.conversations
            .stage(&mut self.records, who, Position::Reserved)
    }

    /// Stages every conversation's exact position: nothing is sealed after this.
    pub(super) fn rest_conversations(&mut self) -> Result<(), VaultError> {
        let all: Vec<_> = self.conversations.cached.keys().copied().collect();
        for who in all {
            self.conversations
                .stage(&mut self.records, &who, Position::Exact)?;
            self.conversations.cached.remove(&who);
        }
        Ok(())
    }
}
