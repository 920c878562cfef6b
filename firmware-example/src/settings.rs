//! What the owner has set, each in a slot of the store with its version in front.
//!
//! | slot | setting | bytes |
//! | --- | --- | --- |
//! | 0 | relay | 1 ‖ IPv4 4 ‖ port u16 ‖ key 33 ‖ nothing, or an invitation of 20 |
//! | 1 | network | 1 ‖ 0 (DHCP), or 1 ‖ IPv4 4 ‖ prefix u8 ‖ gateway 4 |
//! | 2 | policy | 1 ‖ strangers u8 ‖ telemetry in seconds u32 |
//! | 3 | starts | 1 ‖ how often the device started u32 |
//! | 4 | the relay's former key | 1 ‖ key 33 ‖ the key 33 that took its place |
//! | 8.. | a contact's name | 1 ‖ address 20 ‖ name in UTF-8 |
//!
//! The invitation is the relay's, so both are one setting, written at once: no loss of power comes
//! between, and none is ever shown to another relay. It goes when this device is registered.
//!
//! A version that this build does not know counts as not set: a newer build's settings are kept
//! until the owner sets them again.

use core::net::Ipv4Addr;

use heapless::{String, Vec};
use hushwire_core::{crypto::PublicKey, identity::Address, wire::invite::Invite};

use crate::{CONTACTS, curve::Curve, relay::Relay};

const RELAY: u8 = 0;
const NETWORK: u8 = 1;
const POLICY: u8 = 2;
const STARTS: u8 = 3;
const FORMER: u8 = 4;
const NAMES: u8 = 8;
const VERSION: u8 = 1;

/// Bytes of the longest name.
pub const NAME: usize = 16;

/// What a contact is called at this device.
pub type Name = String<NAME>;

/// The largest of these settings.
const LARGEST: usize = 1 + 2 * PublicKey::LEN;

const _: () = assert!(
    LARGEST <= hushwire_flash::MAX_SETTING
        && 1 + Relay::LEN + Invite::LEN <= LARGEST
        && 1 + Address::LEN + NAME <= LARGEST
        && NAMES as usize + CONTACTS <= hushwire_flash::SETTINGS as usize,
    "every setting has its place"
);

/// How the device gets its own IP address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Network {
    /// From the network.
    #[default]
    Dhcp,
    /// As set.
    Static {
        /// The device's own.
        address: Ipv4Addr,
        /// Length of the network's part in bits, at most 32.
        prefix: u8,
        /// The way to other networks.
        gateway: Ipv4Addr,
    },
}

/// All settings, as they are in the store.
#[derive(Debug)]
pub struct Settings {
    /// `None`: not provisioned.
    pub relay: Option<Relay>,
    /// What this relay gets shown until the device is registered there.
    pub invite: Option<Invite>,
    /// The key that the relay had before its present one: cards with it are this relay's.
    former: Option<PublicKey>,
    /// The own IP address.
    pub network: Network,
    /// Whether somebody who is no contact may write. Nobody but a contact may command.
    pub strangers: bool,
    /// Seconds between two telemetry messages; 0 for none.
    pub telemetry: u32,
    /// Starts of the device, this one included.
    pub starts: u32,
    names: Vec<(Address, Name), CONTACTS>,
}

/// Where settings lie: a slot's bytes.
pub trait Slots {
    /// What can go wrong.
    type Error;

    /// Reads a slot; the buffer holds the largest setting.
    ///
    /// # Errors
    /// Those of the medium.
    fn read(&mut self, slot: u8, buffer: &mut [u8]) -> Result<Option<usize>, Self::Error>;

    /// Writes a slot, durably when it returns.
    ///
    /// # Errors
    /// Those of the medium.
    fn write(&mut self, slot: u8, bytes: &[u8]) -> Result<(), Self::Error>;
}

impl Default for Settings {
    fn default() -> Self {
        Self::new()
    }
}

impl Settings {
    /// Nothing is set.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            relay: None,
            invite: None,
            former: None,
            network: Network::Dhcp,
            strangers: false,
            telemetry: 0,
            starts: 0,
            names: Vec::new(),
        }
    }

    /// Reads everything.
    ///
    /// # Errors
    /// Those of the medium.
    pub fn load<S: Slots>(&mut self, slots: &mut S) -> Result<(), S::Error> {
        let settings = self;
        *settings = Self::new();
        let mut buffer = [0; hushwire_flash::MAX_SETTING];
        if let Some((relay, invite)) =
            read(slots, RELAY, &mut buffer)?.and_then(<[u8]>::split_first_chunk)
            && (invite.is_empty() || invite.len() == Invite::LEN)
        {
            settings.relay = Relay::from_bytes(relay);
            settings.invite = invite.try_into().ok().map(Invite);
        }
        if let Some((former, present)) =
            read(slots, FORMER, &mut buffer)?.and_then(<[u8]>::split_first_chunk)
            && let Some(relay) = &settings.relay
            && present == relay.key.bytes()
        {
            settings.former = PublicKey::parse(&mut Curve, former).ok();
        }
        if let Some(bytes) = read(slots, NETWORK, &mut buffer)? {
            settings.network = Network::from_bytes(bytes);
        }
        if let Some([strangers, telemetry @ ..]) = read(slots, POLICY, &mut buffer)? {
            settings.strangers = *strangers == 1;
            settings.telemetry = telemetry.try_into().map_or(0, u32::from_be_bytes);
        }
        if let Some(starts) = read(slots, STARTS, &mut buffer)? {
            settings.starts = starts.try_into().map_or(0, u32::from_be_bytes);
        }
        for slot in (NAMES..).take(CONTACTS) {
            let bytes = read(slots, slot, &mut buffer)?;
            if let Some((address, name)) = bytes.and_then(<[u8]>::split_first_chunk)
                && let Ok(name) = core::str::from_utf8(name)
                && let Ok(name) = Name::try_from(name)
            {
                // As many slots as places.
                let _ = settings.names.push((Address(*address), name));
            }
        }
        Ok(())
    }

    /// Sets the relay, and the invitation for it.
    ///
    /// # Errors
    /// Those of the medium.
    pub fn set_relay<S: Slots>(
        &mut self,
        slots: &mut S,
        relay: Relay,
        invite: Option<Invite>,
    ) -> Result<(), S::Error> {
        let shown = invite.as_ref().map_or(&[][..], |invite| &invite.0);
        write(slots, RELAY, &[&relay.bytes(), shown])?;
        if self.relay.is_none_or(|old| old.key != relay.key) {
            self.former = None;
        }
        (self.relay, self.invite) = (Some(relay), invite);
        Ok(())
    }

    /// Whether a key is this device's relay's: the pinned one, or the one before.
    #[must_use]
    pub fn is_own_relay(&self, key: &PublicKey) -> bool {
        self.relay.is_some_and(|relay| relay.key == *key) || self.former == Some(*key)
    }

    /// The relay told its present key, inside a link to `made_to`. Where that is the pinned one, the
    /// told key takes its place, durably when this returns `true`. PROTOCOL 3.9
    ///
    /// # Errors
    /// Those of the medium.
    pub fn adopt_key<S: Slots>(
        &mut self,
        slots: &mut S,
        made_to: &PublicKey,
        told: PublicKey,
    ) -> Result<bool, S::Error> {
        match self.relay {
            Some(relay) if relay.key == *made_to && relay.key != told => {
                // First what counts for nothing while the old key is pinned.
                write(slots, FORMER, &[made_to.bytes(), told.bytes()])?;
                self.set_relay(slots, Relay { key: told, ..relay }, self.invite)?;
                self.former = Some(*made_to);
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Sets how the own IP address is got.
    ///
    /// # Errors
    /// Those of the medium.
    pub fn set_network<S: Slots>(
        &mut self,
        slots: &mut S,
        network: Network,
    ) -> Result<(), S::Error> {
        match network {
            Network::Dhcp => write(slots, NETWORK, &[&[0]])?,
            Network::Static {
                address,
                prefix,
                gateway,
            } => {
                let fields: [&[u8]; 4] = [&[1], &address.octets(), &[prefix], &gateway.octets()];
                write(slots, NETWORK, &fields)?;
            }
        }
        self.network = network;
        Ok(())
    }

    /// Sets whether strangers may write, and the seconds between telemetry messages (0 for none).
    ///
    /// # Errors
    /// Those of the medium.
    pub fn set_policy<S: Slots>(
        &mut self,
        slots: &mut S,
        strangers: bool,
        telemetry: u32,
    ) -> Result<(), S::Error> {
        write(
            slots,
            POLICY,
            &[&[u8::from(strangers)], &telemetry.to_be_bytes()],
        )?;
        (self.strangers, self.telemetry) = (strangers, telemetry);
        Ok(())
    }

    /// Counts a start.
    ///
    /// # Errors
    /// Those of the medium.
    pub fn count_start<S: Slots>(&mut self, slots: &mut S) -> Result<(), S::Error> {
        self.starts = self.starts.wrapping_add(1);
        write(slots, STARTS, &[&self.starts.to_be_bytes()])
    }

    /// What somebody is called.
    #[must_use]
    pub fn name(&self, of: &Address) -> Option<&str> {
        let found = self.names.iter().find(|(address, _)| address == of);
        found.map(|(_, name)| name.as_str())
    }

    /// Who is called so.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<Address> {
        let found = self.names.iter().find(|(_, known)| known == name);
        found.map(|(address, _)| *address)
    }

    /// Names somebody. `false`: there is no place left.
    ///
    /// # Errors
    /// Those of the medium.
    pub fn set_name<S: Slots>(
        &mut self,
        slots: &mut S,
        of: Address,
        name: &Name,
    ) -> Result<bool, S::Error> {
        if let Some(known) = self.names.iter_mut().find(|(address, _)| *address == of) {
            known.1 = name.clone();
        } else if self.names.push((of, name.clone())).is_err() {
            return Ok(false);
        }
        self.save_names(slots).map(|()| true)
    }

    /// Forgets what somebody is called.
    ///
    /// # Errors
    /// Those of the medium.
    pub fn forget_name<S: Slots>(&mut self, slots: &mut S, of: &Address) -> Result<(), S::Error> {
        self.names.retain(|(address, _)| address != of);
        self.save_names(slots)
    }

    fn save_names<S: Slots>(&self, slots: &mut S) -> Result<(), S::Error> {
        let mut buffer = [0; hushwire_flash::MAX_SETTING];
        for (index, slot) in (NAMES..).take(CONTACTS).enumerate() {
            let fields: [&[u8]; 2] = match self.names.get(index) {
                Some((address, name)) => [&address.0, name.as_bytes()],
                None => [&[], &[]],
            };
            // Most have not moved: flash is not written for them.
            let known = read(slots, slot, &mut buffer)?.unwrap_or_default();
            if !known.iter().eq(fields.iter().copied().flatten()) {
                write(slots, slot, &fields)?;
            }
        }
        Ok(())
    }
}

impl Network {
    fn from_bytes(bytes: &[u8]) -> Self {
        let [1, a, b, c, d, prefix @ 0..=32, gateway @ ..] = bytes else {
            return Self::Dhcp;
        };
        let Ok(gateway) = <[u8; 4]>::try_from(gateway) else {
            return Self::Dhcp;
        };
        Self::Static {
            address: Ipv4Addr::new(*a, *b, *c, *d),
            prefix: *prefix,
            gateway: Ipv4Addr::from(gateway),
        }
    }
}

/// A setting behind its version.
fn read<'b, S: Slots>(
    slots: &mut S,
    slot: u8,
    buffer: &'b mut [u8; hushwire_flash::MAX_SETTING],
) -> Result<Option<&'b [u8]>, S::Error> {
    let len = slots.read(slot, buffer)?;
    let bytes = len.and_then(|len| buffer.get(..len)).unwrap_or_default();
    Ok(bytes.strip_prefix(&[VERSION]))
}

fn write<S: Slots>(slots: &mut S, slot: u8, fields: &[&[u8]]) -> Result<(), S::Error> {
    let mut buffer = Vec::<u8, LARGEST>::new();
    for field in core::iter::once(&[VERSION][..]).chain(fields.iter().copied()) {
        // Const-asserted: every setting fits.
        let _ = buffer.extend_from_slice(field);
    }
    slots.write(slot, &buffer)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, vec::Vec};

    use super::*;

    #[derive(Default)]
    struct Map(BTreeMap<u8, Vec<u8>>, usize);

    impl Slots for Map {
        type Error = ();

        fn read(&mut self, slot: u8, buffer: &mut [u8]) -> Result<Option<usize>, ()> {
            Ok(self.0.get(&slot).map(|bytes| {
                buffer[..bytes.len()].copy_from_slice(bytes);
                bytes.len()
            }))
        }

        fn write(&mut self, slot: u8, bytes: &[u8]) -> Result<(), ()> {
            self.1 += 1;
            self.0.insert(slot, bytes.to_vec());
            Ok(())
        }
    }

    fn load(map: &mut Map) -> Settings {
        let mut settings = Settings::new();
        settings.load(map).unwrap();
        settings
    }

    fn name(text: &str) -> Name {
        Name::try_from(text).unwrap()
    }

    #[test]
    fn settings_survive() {
        let mut map = Map::default();
        let mut settings = load(&mut map);
        assert_eq!(
            (settings.relay, settings.strangers, settings.telemetry),
            (None, false, 0)
        );
        let relay = Relay::parse(
            "hush://10.0.2.2:7011/#036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296",
        )
        .unwrap();
        settings.set_relay(&mut map, relay, None).unwrap();
        let network = Network::Static {
            address: Ipv4Addr::new(192, 168, 1, 7),
            prefix: 24,
            gateway: Ipv4Addr::new(192, 168, 1, 1),
        };
        settings.set_network(&mut map, network).unwrap();
        settings.set_policy(&mut map, true, 90).unwrap();
        for n in 0..CONTACTS as u8 {
            let called = name(&std::format!("contact {n}"));
            assert!(
                settings
                    .set_name(&mut map, Address([n; 20]), &called)
                    .unwrap()
            );
        }
        assert!(
            !settings
                .set_name(&mut map, Address([99; 20]), &name("late"))
                .unwrap()
        );
        settings.forget_name(&mut map, &Address([1; 20])).unwrap();
        assert!(
            settings
                .set_name(&mut map, Address([2; 20]), &name("bob"))
                .unwrap()
        );

        let again = load(&mut map);
        assert_eq!(std::format!("{again:?}"), std::format!("{settings:?}"));
        assert_eq!((again.relay, again.network), (Some(relay), network));
        assert_eq!(again.named("bob"), Some(Address([2; 20])));
        assert_eq!(again.name(&Address([1; 20])), None);
        settings.set_network(&mut map, Network::Dhcp).unwrap();
        assert_eq!(load(&mut map).network, Network::Dhcp);
    }

    fn relay(key: &str) -> Relay {
        let url = std::format!("hush://10.0.2.2:7011/#{key}");
        Relay::parse(&url).unwrap()
    }

    const KEYS: [&str; 3] = [
        "036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296",
        "026b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296",
        "027cf27b188d034f7e8a52380304b51ac3c08969e277f21b35a60b48fc47669978",
    ];

    #[test]
    fn an_invitation_stays_with_its_relay() {
        let mut map = Map::default();
        let mut settings = load(&mut map);
        let (here, invite) = (relay(KEYS[0]), Invite([9; Invite::LEN]));
        settings.set_relay(&mut map, here, Some(invite)).unwrap();
        assert_eq!(map.1, 1, "both in one write");
        let again = load(&mut map);
        assert_eq!((again.relay, again.invite), (Some(here), Some(invite)));
        // A new key of the relay leaves it.
        let told = relay(KEYS[1]);
        assert_eq!(settings.adopt_key(&mut map, &here.key, told.key), Ok(true));
        let again = load(&mut map);
        assert_eq!((again.relay, again.invite), (Some(told), Some(invite)));
        settings.set_relay(&mut map, told, None).unwrap();
        assert_eq!(load(&mut map).invite, None);
    }

    #[test]
    fn only_the_pinned_key_speaks_for_a_relay() {
        let [here, told, other] = KEYS.map(relay);
        let mut map = Map::default();
        let mut settings = load(&mut map);
        let adopt = |settings: &mut Settings, map: &mut Map, made_to: Relay, told: Relay| {
            settings.adopt_key(map, &made_to.key, told.key).unwrap()
        };
        assert!(!adopt(&mut settings, &mut map, here, told), "no relay yet");
        settings.set_relay(&mut map, here, None).unwrap();
        assert!(!adopt(&mut settings, &mut map, other, told), "another link");
        assert!(!adopt(&mut settings, &mut map, here, here), "no news");
        assert_eq!((settings.relay, map.1), (Some(here), 1));
        assert!(adopt(&mut settings, &mut map, here, told));
        assert_eq!(settings.relay, Some(told));
        assert_eq!(load(&mut map).relay, Some(told));
        // The old key has said its last word.
        assert!(!adopt(&mut settings, &mut map, here, other));
        assert_eq!(load(&mut map).relay, Some(told));
    }

    #[test]
    fn cards_with_the_key_before_are_of_the_same_relay() {
        let [here, told, other] = KEYS.map(relay);
        let mut map = Map::default();
        let mut settings = load(&mut map);
        settings.set_relay(&mut map, here, None).unwrap();
        settings.adopt_key(&mut map, &here.key, told.key).unwrap();
        // The power went before the new key was pinned.
        let mut early = Map(map.0.clone(), 0);
        let relay = [&[VERSION][..], &here.bytes()].concat();
        early.0.insert(RELAY, relay);
        assert!(load(&mut early).is_own_relay(&here.key));
        assert!(!load(&mut early).is_own_relay(&told.key));
        for settings in [&settings, &load(&mut map)] {
            assert!(settings.is_own_relay(&here.key) && settings.is_own_relay(&told.key));
            assert!(!settings.is_own_relay(&other.key));
        }
        // What another relay had before is nobody's.
        settings.set_relay(&mut map, other, None).unwrap();
        for settings in [&settings, &load(&mut map)] {
            assert!(settings.is_own_relay(&other.key) && !settings.is_own_relay(&here.key));
        }
    }

    #[test]
    fn what_did_not_change_is_not_written() {
        let mut map = Map::default();
        let mut settings = load(&mut map);
        settings
            .set_name(&mut map, Address([1; 20]), &name("a"))
            .unwrap();
        let before = map.1;
        settings
            .set_name(&mut map, Address([2; 20]), &name("b"))
            .unwrap();
        assert_eq!(map.1, before + 1);
    }

    #[test]
    fn foreign_bytes_are_no_settings() {
        for seed in 0..64_u8 {
            for len in 0..80 {
                let mut map = Map::default();
                for slot in 0..hushwire_flash::SETTINGS {
                    let mut bytes: Vec<u8> = (0..len)
                        .map(|n: u8| seed.wrapping_mul(n.wrapping_add(31)).wrapping_add(slot))
                        .collect();
                    if seed % 2 == 0 && !bytes.is_empty() {
                        bytes[0] = VERSION;
                    }
                    map.0.insert(slot, bytes);
                }
                let settings = load(&mut map);
                assert!(settings.names.len() <= CONTACTS);
            }
        }
        let mut map = Map::default();
        map.0.insert(RELAY, std::vec![2; 1 + Relay::LEN]);
        assert_eq!(load(&mut map).relay, None, "a newer version");
    }
}
