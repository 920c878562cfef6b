//! The root key: each Diffie-Hellman result moves it on and gives a chain.

use super::{chain::ChainKey, header::HeaderKey};
use crate::crypto::{
    SharedSecret,
    kdf::{Direction, hkdf, label},
    secret::secret,
};

secret! {
    /// The root of all chains. A step replaces it, so that no earlier one can be computed.
    pub(crate) struct RootKey([u8; 32]);
}

/// What one Diffie-Hellman step gives.
pub(crate) struct Step {
    pub(crate) root: RootKey,
    pub(crate) chain: ChainKey,
    /// Hides the headers of the chain that follows the next step in this direction.
    pub(crate) next_header: HeaderKey,
}

impl RootKey {
    /// KDF_RK_HE (DR 4.2): `direction` is the way of the new chain.
    pub(crate) fn step(&self, agreed: &SharedSecret, direction: Direction) -> Step {
        let mut out = zeroize::Zeroizing::new([0; 96]);
        let info: [&[u8]; 2] = [label::STEP, &[direction.byte()]];
        hkdf(self.bytes(), agreed.bytes(), &info, &mut *out);
        let ([root, chain, next_header], _) = out.as_chunks::<32>() else {
            // 96 bytes are three times 32.
            return Step {
                root: RootKey::new([0; 32]),
                chain: ChainKey::new([0; 32]),
                next_header: HeaderKey::new([0; 32]),
            };
        };
        Step {
            root: RootKey::new(*root),
            chain: ChainKey::new(*chain),
            next_header: HeaderKey::new(*next_header),
        }
    }
}
