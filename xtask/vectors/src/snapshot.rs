//! PROTOCOL 8.2: a session as bytes.

use crate::{
    bundle::LARGEST_BODY,
    primitives::{hmac, join},
    ratchet::Session,
};

const RESERVE: u32 = 8;

impl Session {
    /// The snapshot after a chain's first messages, at most [`RESERVE`] of them: it holds the
    /// position that the first of them reserved.
    pub(crate) fn snapshot(&self) -> Vec<u8> {
        let head = join(&[
            &[0x01, self.way as u8],
            &self.id,
            &self.tag,
            &[u8::from(self.confirmed)],
            &self.one_time.unwrap_or(0).to_be_bytes(),
            &LARGEST_BODY.to_be_bytes(),
            &self.root,
            &self.peer,
            &self.next_sending_header,
            &self.pn.to_be_bytes(),
            &self.next_receiving_header,
        ]);
        assert_eq!(head.len(), 166);
        join(&[&head, &self.sending_part(), &self.receiving_part()])
    }

    fn sending_part(&self) -> Vec<u8> {
        let chain = self.sending.as_ref().unwrap();
        assert!(chain.n <= RESERVE);
        let key = (chain.n..RESERVE).fold(chain.key.clone(), |key, _| hmac(&key, &[0x02]).to_vec());
        join(&[
            &[0x01],
            &key,
            &chain.header,
            &chain.pair.scalar,
            &chain.pair.point,
            &RESERVE.to_be_bytes(),
        ])
    }

    /// With one older chain of which keys are kept, as the conversation leaves it.
    fn receiving_part(&self) -> Vec<u8> {
        let chain = self.receiving.as_ref().unwrap();
        let older = &self.kept[0].header;
        assert!(older != &chain.header && self.kept.iter().all(|kept| kept.header == *older));
        let kept = self.kept.iter();
        let kept = kept.flat_map(|kept| join(&[&[0x02], &kept.n.to_be_bytes(), &kept.key]));
        let mut kept: Vec<u8> = kept.collect();
        kept.resize(32 * 37, 0);
        join(&[
            &[0x02],
            &chain.key,
            &chain.header,
            &chain.n.to_be_bytes(),
            older,
            &[0; 32],
            &(self.kept.len() as u16).to_be_bytes(),
            &kept,
        ])
    }
}
