//! Where somebody is to be found: `hush://host:port/#<relay key>/hush1…`, or at one of several:
//! `hush://host:port,host:port/#<relay key>/hush1…`. The scheme says what is under the link, the rest
//! is the same for all. PROTOCOL 2.4, 3.8

use std::{fmt, str::FromStr};

use hushwire_core::{
    crypto::{PublicKey, Software},
    identity::Address,
    wire::invite::Invite,
};

/// What is between TCP and the link to a relay. PROTOCOL 3.8
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Way {
    /// Nothing: `hush://`.
    #[default]
    Tcp,
    /// TLS: `hush+tls://`.
    Tls,
    /// A WebSocket: `hush+ws://`.
    WebSocket,
    /// A WebSocket in TLS: `hush+wss://`.
    WebSocketInTls,
}

impl Way {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Tcp, Self::Tls, Self::WebSocket, Self::WebSocketInTls];

    /// How a URL begins.
    #[must_use]
    pub const fn scheme(self) -> &'static str {
        match self {
            Self::Tcp => "hush://",
            Self::Tls => "hush+tls://",
            Self::WebSocket => "hush+ws://",
            Self::WebSocketInTls => "hush+wss://",
        }
    }

    /// Whether this build speaks it.
    #[must_use]
    pub const fn is_built_in(self) -> bool {
        match self {
            Self::Tcp => true,
            Self::Tls => cfg!(feature = "tls"),
            Self::WebSocket => cfg!(feature = "websocket"),
            Self::WebSocketInTls => cfg!(all(feature = "websocket", feature = "tls")),
        }
    }

    /// The way of a URL, and the rest of it.
    fn strip(url: &str) -> Result<(Self, &str), CardError> {
        let strip = |way: Self| Some((way, url.strip_prefix(way.scheme())?));
        let found = Self::ALL.into_iter().find_map(strip);
        found.ok_or(CardError::Scheme)
    }
}

/// Places at which one relay may be.
pub const MAX_HOSTS: usize = 8;

/// A relay: where it listens, and the key that it must prove to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelayUrl {
    /// What is under the link.
    pub way: Way,
    /// `host:port`, or several with commas between them, as it was written.
    pub authority: String,
    /// The pinned key.
    pub key: PublicKey,
}

/// A contact card: a relay, and who has a mailbox there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    /// Where the mailbox is.
    pub relay: RelayUrl,
    /// Whose it is.
    pub address: Address,
}

/// Why a text is no card or relay URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CardError {
    /// Another scheme, or none.
    #[error("it does not begin with hush://, hush+tls://, hush+ws:// or hush+wss://")]
    Scheme,
    /// No host and port.
    #[error(
        "host and port are missing or wrong (expected hush://host:port/#key, or up to {MAX_HOSTS} \
         of host:port with commas between them)"
    )]
    Authority,
    /// No relay key after `#`, or not a canonical point.
    #[error("the relay's key after # is missing or wrong (expected 66 hexadecimal digits)")]
    Key,
    /// The address does not read.
    #[error("the address is mistyped or cut off (expected hush1 and 38 more characters)")]
    Address,
    /// The invitation behind the relay's URL does not read.
    #[error("the invitation is mistyped or cut off (expected hushinvite1 and 38 more characters)")]
    Invite,
    /// A contact card stands where a relay's URL is wanted.
    #[error("it is a contact card; a relay's URL ends after the key")]
    HasAddress,
}

impl RelayUrl {
    /// The places at which the relay may be, each `host:port`, in the order in which they are tried.
    pub fn hosts(&self) -> impl Iterator<Item = &str> {
        self.authority.split(',')
    }

    /// Whether one of the places, as `authority` has them, is one of this relay's.
    pub(crate) fn shares_a_host(&self, authority: &str) -> bool {
        // Names of hosts are the same in capitals.
        let known = |place: &str| self.hosts().any(|host| host.eq_ignore_ascii_case(place));
        authority.split(',').any(known)
    }
}

impl fmt::Display for RelayUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}{}/#{}",
            self.way.scheme(),
            self.authority,
            hex::encode(self.key.bytes())
        )
    }
}

impl FromStr for RelayUrl {
    type Err = CardError;

    fn from_str(text: &str) -> Result<Self, CardError> {
        let (way, rest) = Way::strip(text.trim())?;
        let (authority, key) = rest.split_once('#').ok_or(CardError::Key)?;
        if key.contains('/') {
            return Err(CardError::HasAddress);
        }
        Ok(Self {
            way,
            authority: check_authority(authority)?,
            key: parse_key(key)?,
        })
    }
}

/// A relay's URL, perhaps with an invitation: `hush://host:port/#<relay key>/hushinvite1…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invited {
    /// Where to.
    pub relay: RelayUrl,
    /// What the relay asks of new identities.
    pub invite: Option<Invite>,
}

impl FromStr for Invited {
    type Err = CardError;

    fn from_str(text: &str) -> Result<Self, CardError> {
        let text = text.trim();
        let (relay, invite) = match text.rsplit_once('/') {
            Some((relay, last)) if last.starts_with("hushinvite1") => (relay, Some(last)),
            _ => (text, None),
        };
        let invite = invite.map(|invite| invite.parse().map_err(|_| CardError::Invite));
        Ok(Self {
            relay: relay.parse()?,
            invite: invite.transpose()?,
        })
    }
}

impl fmt::Display for Card {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.relay, self.address)
    }
}

impl FromStr for Card {
    type Err = CardError;

    fn from_str(text: &str) -> Result<Self, CardError> {
        let text = text.trim();
        Way::strip(text)?;
        let (relay, address) = text.rsplit_once('/').ok_or(CardError::Address)?;
        if relay.ends_with('/') || !relay.contains('#') {
            return Err(CardError::Address);
        }
        let relay = relay.parse()?;
        Ok(Self {
            relay,
            address: address.parse().map_err(|_| CardError::Address)?,
        })
    }
}

fn check_authority(text: &str) -> Result<String, CardError> {
    let authority = text.strip_suffix('/').unwrap_or(text);
    if authority.split(',').count() > MAX_HOSTS {
        return Err(CardError::Authority);
    }
    authority.split(',').try_for_each(check_host)?;
    Ok(authority.to_owned())
}

fn check_host(authority: &str) -> Result<(), CardError> {
    let (host, port) = authority.rsplit_once(':').ok_or(CardError::Authority)?;
    let bracketed = host.starts_with('[') && host.ends_with(']');
    let plain = host
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && !b"/#@:?[]".contains(&byte));
    if host.is_empty() || !(bracketed || plain) || port.parse::<u16>().is_err() {
        return Err(CardError::Authority);
    }
    Ok(())
}

fn parse_key(text: &str) -> Result<PublicKey, CardError> {
    let mut bytes = [0; PublicKey::LEN];
    hex::decode_to_slice(text, &mut bytes).map_err(|_| CardError::Key)?;
    PublicKey::parse(&mut Software, &bytes).map_err(|_| CardError::Key)
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str =
        "hush://127.0.0.1:7011/#036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296";

    #[test]
    fn an_invitation_stands_behind_the_relay() {
        let relay: RelayUrl = URL.parse().unwrap();
        let invite = Invite([9; 20]);
        let both = format!("{relay}/{invite}").parse();
        let invited = Invited {
            relay: relay.clone(),
            invite: Some(invite),
        };
        assert_eq!(both, Ok(invited));
        let none = relay.to_string().parse::<Invited>().unwrap();
        assert_eq!((none.relay, none.invite), (relay.clone(), None));
        let wrong = format!("{relay}/hushinvite1qqqq").parse::<Invited>();
        assert_eq!(wrong, Err(CardError::Invite));
    }

    #[test]
    fn cards_and_urls_read_back() {
        let card = format!("{URL}/{}", Address([3; 20]));
        assert_eq!(URL.parse::<RelayUrl>().unwrap().to_string(), URL);
        assert_eq!(card.parse::<Card>().unwrap().to_string(), card);
        assert_eq!(
            card.parse::<Card>().unwrap().relay.authority,
            "127.0.0.1:7011"
        );
        for way in Way::ALL {
            let card = card.replace("hush://", way.scheme());
            assert_eq!(card.parse::<Card>().unwrap().to_string(), card);
            assert_eq!(card.parse::<Card>().unwrap().relay.way, way);
        }
        let v6 = URL.replace("127.0.0.1", "[::1]");
        assert_eq!(v6.parse::<RelayUrl>().unwrap().authority, "[::1]:7011");
    }

    #[test]
    fn a_relay_may_be_in_several_places() {
        let many = URL.replace("127.0.0.1:7011", "a:1,[::1]:2,127.0.0.1:3");
        let url: RelayUrl = many.parse().unwrap();
        assert_eq!(
            url.hosts().collect::<Vec<_>>(),
            ["a:1", "[::1]:2", "127.0.0.1:3"]
        );
        let card = format!("{many}/{}", Address([3; 20]));
        assert_eq!(card.parse::<Card>().unwrap().to_string(), card);
        for wrong in ["a:1,", ",a:1", "a:1,,b:2", "a:1,b", "a,b:1", "a:1, b:2"] {
            let url = URL.replace("127.0.0.1:7011", wrong);
            assert_eq!(
                url.parse::<RelayUrl>(),
                Err(CardError::Authority),
                "{wrong}"
            );
        }
        let full = |n| URL.replace("127.0.0.1:7011", &vec!["a:1"; n].join(","));
        assert!(full(MAX_HOSTS).parse::<RelayUrl>().is_ok());
        assert!(full(MAX_HOSTS + 1).parse::<RelayUrl>().is_err());
    }

    #[test]
    fn mistakes_are_named() {
        let relay = |text: &str| text.parse::<RelayUrl>().unwrap_err();
        for bad in ["http://x:1/#00", "hush+quic://x:1/#00", "hush:x"] {
            assert_eq!(relay(bad), CardError::Scheme);
        }
        assert_eq!(relay(&URL.replace(":7011", "")), CardError::Authority);
        assert_eq!(relay(&URL.replace(":7011", ":99999")), CardError::Authority);
        assert_eq!(
            relay(&URL.replace("127.0.0.1", "a b")),
            CardError::Authority
        );
        assert_eq!(relay(&URL[..URL.len() - 1]), CardError::Key);
        assert_eq!(relay(&URL.replace("#036b", "#046b")), CardError::Key);
        assert_eq!(relay(&format!("{URL}/hush1")), CardError::HasAddress);
        let card = format!("{URL}/{}", Address([3; 20]));
        assert_eq!(
            card[..card.len() - 1].parse::<Card>(),
            Err(CardError::Address)
        );
        assert_eq!(URL.parse::<Card>(), Err(CardError::Address));
    }
}
