//! [`Invite`]: what lets a new identity register at a relay that asks for it. PROTOCOL 2.5

use core::{fmt, str::FromStr};

use bech32::{Bech32m, Hrp, primitives::decode::CheckedHrpstring};

/// The human-readable part of an invitation.
const HRP: Hrp = Hrp::parse_unchecked("hushinvite");

/// An invitation: 20 bytes that mean something to its relay only. Shown as bech32m, `hushinvite1…`,
/// 49 characters. Whoever has it can use it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Invite(pub [u8; Self::LEN]);

impl Invite {
    /// Length in bytes.
    pub const LEN: usize = 20;
}

impl fmt::Display for Invite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        bech32::encode_lower_to_fmt::<Bech32m, _>(f, HRP, &self.0).map_err(|_| fmt::Error)
    }
}

impl fmt::Debug for Invite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(_) = self;
        f.write_str("Invite(..)")
    }
}

/// The text is no invitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAnInvite;

impl fmt::Display for NotAnInvite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the invitation is mistyped or cut off (expected hushinvite1 and 38 more characters)",
        )
    }
}

impl core::error::Error for NotAnInvite {}

impl FromStr for Invite {
    type Err = NotAnInvite;

    fn from_str(text: &str) -> Result<Self, NotAnInvite> {
        let parsed = CheckedHrpstring::new::<Bech32m>(text).map_err(|_| NotAnInvite)?;
        // As for an address: 20 bytes are 32 characters exactly, so one invitation has one text.
        let characters = parsed.data_part_ascii_no_checksum().len();
        if parsed.hrp() != HRP || characters != Self::LEN * 8 / 5 {
            return Err(NotAnInvite);
        }
        let mut bytes = [0; Self::LEN];
        let mut data = parsed.byte_iter();
        for slot in &mut bytes {
            *slot = data.next().ok_or(NotAnInvite)?;
        }
        match data.next() {
            None => Ok(Self(bytes)),
            Some(_) => Err(NotAnInvite),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString as _;

    use super::*;

    #[test]
    fn an_invitation_has_one_text_and_a_typing_error_shows() {
        let invite = Invite([0xa5; Invite::LEN]);
        let text = invite.to_string();
        assert_eq!(text.len(), 49);
        assert_eq!(text.parse(), Ok(invite));
        assert_eq!(text.to_uppercase().parse(), Ok(invite));
        for at in 11..text.len() {
            let mut wrong = text.clone().into_bytes();
            wrong[at] = if wrong[at] == b'q' { b'p' } else { b'q' };
            let wrong = std::string::String::from_utf8(wrong).unwrap();
            assert_eq!(wrong.parse::<Invite>(), Err(NotAnInvite), "{wrong}");
        }
        let address = crate::identity::Address([0xa5; 20]).to_string();
        for other in [&address, "", "hushinvite1", &text[..48]] {
            assert_eq!(other.parse::<Invite>(), Err(NotAnInvite));
        }
    }
}
