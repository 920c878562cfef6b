//! Where the relay is: `hush://A.B.C.D:PORT/#<relay key>`, and the card that others add. Of a relay
//! with several places (`A.B.C.D:PORT,…`) a device keeps the first.

use core::fmt;
use core::net::{Ipv4Addr, SocketAddrV4};

use hushwire_core::{crypto::PublicKey, identity::Address, wire::invite::Invite};

use crate::curve::Curve;

const SCHEME: &str = "hush://";
/// Ways by which others come to their relay. This device goes by TCP. PROTOCOL 3.8
const OTHER_SCHEMES: [&str; 3] = ["hush+tls://", "hush+ws://", "hush+wss://"];

/// A relay: where it listens, and the key that it must prove to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relay {
    /// Where. A device resolves no names.
    pub at: SocketAddrV4,
    /// The pinned key.
    pub key: PublicKey,
}

/// A relay's URL, perhaps with an invitation behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invited {
    /// The relay.
    pub relay: Relay,
    /// What it asks of a new identity.
    pub invite: Option<Invite>,
}

/// A contact card, or the address alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Card {
    /// The key of the relay with the mailbox; `None`: this device's.
    pub relay: Option<PublicKey>,
    /// Whose it is.
    pub address: Address,
}

/// Why a text is none; for people.
pub type Complaint = &'static str;

impl Relay {
    /// Bytes in storage.
    pub const LEN: usize = 4 + 2 + PublicKey::LEN;

    /// Reads a relay's URL.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, Complaint> {
        let rest = text
            .strip_prefix(SCHEME)
            .ok_or("a relay's URL begins with hush://")?;
        let (authority, key) = rest
            .split_once("/#")
            .ok_or("the relay's key after /# is missing")?;
        if key.contains('/') {
            return Err("this is a contact card; a relay's URL ends after the key");
        }
        // Storage has room for one place (docs/PROTOCOL.md 2.4).
        let first = authority.split(',').next().unwrap_or(authority);
        let at = first
            .parse()
            .map_err(|_| "expected an IP address and a port: 10.0.2.2:7011")?;
        Ok(Self {
            at,
            key: parse_key(key)?,
        })
    }

    /// For storage.
    #[must_use]
    pub fn bytes(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..4].copy_from_slice(&self.at.ip().octets());
        bytes[4..6].copy_from_slice(&self.at.port().to_be_bytes());
        bytes[6..].copy_from_slice(self.key.bytes());
        bytes
    }

    /// From storage. `None`: it is damaged.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; Self::LEN]) -> Option<Self> {
        let (ip, rest) = bytes.split_first_chunk::<4>()?;
        let (port, key) = rest.split_first_chunk::<2>()?;
        Some(Self {
            at: SocketAddrV4::new(Ipv4Addr::from(*ip), u16::from_be_bytes(*port)),
            key: PublicKey::parse(&mut Curve, key.first_chunk()?).ok()?,
        })
    }
}

impl Invited {
    /// Reads a relay's URL with or without an invitation: `hush://IP:PORT/#KEY/hushinvite1…`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, Complaint> {
        let (url, invite) = match text.rsplit_once('/') {
            Some((url, last)) if last.starts_with("hushinvite1") => (url, Some(last)),
            _ => (text, None),
        };
        Ok(Self {
            relay: Relay::parse(url)?,
            invite: invite.map(parse_invite).transpose()?,
        })
    }
}

/// Reads an invitation.
///
/// # Errors
/// It is mistyped.
pub fn parse_invite(text: &str) -> Result<Invite, Complaint> {
    text.parse()
        .map_err(|_| "the invitation is mistyped or cut off (hushinvite1 and 38 more characters)")
}

impl fmt::Display for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}/#", self.at)?;
        self.key
            .bytes()
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Card {
    /// Reads a card or an address.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, Complaint> {
        const ADDRESS: Complaint = "the address is mistyped or cut off";
        let mut schemes = [SCHEME].into_iter().chain(OTHER_SCHEMES);
        let Some(rest) = schemes.find_map(|scheme| text.strip_prefix(scheme)) else {
            let address = text.parse().map_err(|_| ADDRESS)?;
            return Ok(Self {
                relay: None,
                address,
            });
        };
        // Where the relay listens may read otherwise from here; its key says which it is.
        let (_, rest) = rest
            .split_once("/#")
            .ok_or("the relay's key after /# is missing")?;
        let (key, address) = rest
            .split_once('/')
            .ok_or("the address at the end is missing")?;
        Ok(Self {
            relay: Some(parse_key(key)?),
            address: address.parse().map_err(|_| ADDRESS)?,
        })
    }
}

fn parse_key(text: &str) -> Result<PublicKey, Complaint> {
    const KEY: Complaint = "the relay's key is mistyped or cut off (66 hexadecimal digits)";
    let mut bytes = [0; PublicKey::LEN];
    let (digits, []) = text.as_bytes().as_chunks::<2>() else {
        return Err(KEY);
    };
    if digits.len() != bytes.len() {
        return Err(KEY);
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    for (byte, [high, low]) in bytes.iter_mut().zip(digits) {
        let (high, low) = digit(*high).zip(digit(*low)).ok_or(KEY)?;
        *byte = (high << 4 | low) as u8;
    }
    PublicKey::parse(&mut Curve, &bytes).map_err(|_| KEY)
}

#[cfg(test)]
mod tests {
    use std::{format, string::ToString as _};

    use super::*;

    const URL: &str =
        "hush://127.0.0.1:7011/#036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296";

    #[test]
    fn urls_and_cards_read_back() {
        let relay = Relay::parse(URL).unwrap();
        assert_eq!(relay.to_string(), URL);
        assert_eq!(Relay::from_bytes(&relay.bytes()), Some(relay));
        let address = Address([3; 20]);
        let card = Card::parse(&format!("{URL}/{address}")).unwrap();
        assert_eq!((card.relay, card.address), (Some(relay.key), address));
        assert_eq!(Card::parse(&address.to_string()).unwrap().relay, None);
        let several = URL.replace("7011", "7011,10.0.0.9:7012");
        assert_eq!(Relay::parse(&several), Ok(relay), "the first place");
        assert_eq!(
            Card::parse(&format!("{several}/{address}")).map(|card| card.relay),
            Ok(Some(relay.key))
        );
        let named = URL.replace("127.0.0.1", "relay.example");
        assert!(Card::parse(&format!("{named}/{address}")).is_ok());
        // Somebody else goes to the same relay by a WebSocket in TLS.
        let other = URL.replace("hush:", "hush+wss:");
        let card = Card::parse(&format!("{other}/{address}")).unwrap();
        assert_eq!(card.relay, Some(relay.key));
        assert!(Relay::parse(&other).is_err());
    }

    #[test]
    fn an_invitation_may_stand_behind_the_url() {
        let (relay, invite) = (Relay::parse(URL).unwrap(), Invite([9; Invite::LEN]));
        let both = format!("{URL}/{invite}");
        let parsed = Invited::parse(&both).unwrap();
        assert_eq!((parsed.relay, parsed.invite), (relay, Some(invite)));
        let parsed = Invited::parse(URL).unwrap();
        assert_eq!((parsed.relay, parsed.invite), (relay, None));
        for end in URL.len() + 1..both.len() {
            assert!(Invited::parse(&both[..end]).is_err(), "{end}");
        }
        let wrong = Invited::parse(&both[..both.len() - 1]).unwrap_err();
        assert!(wrong.contains("invitation"), "{wrong}");
        assert!(Invited::parse(&format!("{URL}/{}", Address([3; 20]))).is_err());
    }

    #[test]
    fn mistakes_are_named() {
        let complaint = |text: &str| Relay::parse(text).unwrap_err();
        assert!(complaint("http://x").contains("hush://"));
        assert!(complaint("hush://1.2.3.4:5").contains("key"));
        assert!(complaint(&URL.replace(":7011", "")).contains("port"));
        assert!(complaint(&URL.replace("127.0.0.1", "relay.example")).contains("IP"));
        assert!(complaint(&URL[..URL.len() - 1]).contains("66"));
        assert!(complaint(&URL[..URL.len() - 2]).contains("66"));
        assert!(complaint(&URL.replace("#036b", "#046b")).contains("66"));
        assert!(complaint(&URL.replace("#036b", "#0+6b")).contains("66"));
        assert!(complaint(&format!("{URL}/hush1")).contains("card"));
        let card = format!("{URL}/{}", Address([3; 20]));
        for end in 0..card.len() {
            assert!(Card::parse(&card[..end]).is_err(), "{end}");
        }
        let mut bytes = Relay::parse(URL).unwrap().bytes();
        bytes[10] ^= 1;
        bytes[6] = 4;
        assert_eq!(Relay::from_bytes(&bytes), None);
    }
}
