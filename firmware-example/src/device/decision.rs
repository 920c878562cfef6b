//! What the relay decides about this device: whether it serves it, whether it has registered it, and
//! which key it proves from now on. PROTOCOL 3.5, 3.7, 3.9

use embedded_storage::nor_flash::NorFlash;
use hushwire_core::{
    crypto::PublicKey,
    wire::{
        answer::{Answer, NoticeKind},
        reason::Reason,
    },
};

use super::{Body, Device, Stop};
use crate::{
    board::{Entropy, Keeper, Panel},
    curve::Curve,
};

/// Why the relay does not serve this device, or does not register it; `None`: this answer does not say
/// so.
pub(super) fn turned_away(answer: &Answer<'_>, registered: bool) -> Option<Reason> {
    match answer {
        // Also in the welcome's place.
        Answer::Notice {
            kind: NoticeKind::TurnedAway,
            count,
            ..
        } => {
            let reason = u8::try_from(*count).ok().and_then(Reason::from_byte);
            Some(reason.unwrap_or(Reason::NotAccepted))
        }
        // Of the first bundle, or of an invitation. Later ones of these are about something else.
        Answer::Failed {
            reason: reason @ (Reason::Invitation | Reason::NotAccepted | Reason::Barred),
            ..
        } if !registered => Some(*reason),
        _ => None,
    }
}

impl<F: NorFlash, E: Entropy, K: Keeper, P: Panel> Device<'_, F, E, K, P> {
    /// The relay has this device's bundle, durably. An invitation has done its work.
    #[inline(never)]
    pub(super) fn registered(&mut self, uptime: u64) -> Result<(), Stop> {
        self.link.registered = true;
        self.link.down = None;
        self.link.tell_policy();
        self.log.note(uptime, format_args!("online"));
        if let (Body::Alive(alive), Some(relay), Some(_)) =
            (&mut self.body, self.settings.relay, self.settings.invite)
        {
            self.settings.set_relay(&mut alive.store, relay, None)?;
        }
        Ok(())
    }

    /// The relay says which key it has now. The new one is in flash before anybody is told of it.
    /// PROTOCOL 3.9
    #[inline(never)]
    pub(super) fn relay_key(
        &mut self,
        uptime: u64,
        point: &[u8; PublicKey::LEN],
    ) -> Result<(), Stop> {
        let (Body::Alive(alive), Some(made_to), Ok(told)) = (
            &mut self.body,
            self.link.made_to,
            PublicKey::parse(&mut Curve, point),
        ) else {
            return Ok(());
        };
        let adopted = self.settings.adopt_key(&mut alive.store, &made_to, told)?;
        if let (true, Some(relay)) = (adopted, &self.settings.relay) {
            self.log.note(
                uptime,
                format_args!("the relay has a new key, which is pinned now: {relay}"),
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use hushwire_core::identity::Address;

    use super::*;

    #[test]
    fn what_turns_away_is_told_from_what_refuses_something() {
        let notice = |count| Answer::Notice {
            kind: NoticeKind::TurnedAway,
            peer: Address([0; 20]),
            count,
        };
        for registered in [false, true] {
            let why = |count| turned_away(&notice(count), registered);
            assert_eq!(why(0x0d), Some(Reason::Barred));
            assert_eq!(why(0x03), Some(Reason::NotAccepted));
            assert_eq!(why(0xff), Some(Reason::NotAccepted), "a later code");
            assert_eq!(why(0x10d), Some(Reason::NotAccepted), "no code");
        }
        let failed = |reason| Answer::Failed {
            number: 9,
            reason,
            retry_after: 0,
        };
        let invitation = failed(Reason::Invitation);
        assert_eq!(turned_away(&invitation, false), Some(Reason::Invitation));
        assert_eq!(turned_away(&invitation, true), None);
        for reason in [Reason::RateLimited, Reason::NotFound, Reason::StoreTrouble] {
            assert_eq!(turned_away(&failed(reason), false), None);
        }
    }
}
