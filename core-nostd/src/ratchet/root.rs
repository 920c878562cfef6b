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

secret! {
    /// What a step gives, as it is derived.
    struct Derived([u8; 96]);
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
    #[inline(never)]
    pub(crate) fn step(&self, agreed: &SharedSecret, direction: Direction) -> Step {
        let info: [&[u8]; 2] = [label::STEP, &[direction.byte()]];
        let out = Derived::made(|out| hkdf(self.bytes(), agreed.bytes(), &info, out));
        let ([root, chain, next_header], _) = out.bytes().as_chunks::<32>() else {
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
