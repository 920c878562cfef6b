//! Sentences for what happened.

use hushwire_core::{identity::Address, storage::Event, wire::answer::NoticeKind};

use crate::vault::Vault;

/// What the user should know of, or `None` where a message's state says it already.
pub(crate) fn sentence(vault: &Vault, event: &Event) -> Option<String> {
    let who = |address: &Address| name(vault, address);
    let relay = |link: u8| {
        vault
            .relay(link)
            .map_or_else(|| format!("relay {link}"), |url| url.authority)
    };
    Some(match event {
        Event::Accepted { .. }
        | Event::Delivered { .. }
        | Event::Delayed { .. }
        | Event::Failed { .. } => return None,
        Event::Restarted { peer } => format!(
            "The conversation with {0} began anew with fresh keys: {0} may have a new device or an \
             older copy of its state. If that surprises you, compare safety numbers.",
            who(peer)
        ),
        Event::Lost { peer, count } => format!(
            "{count} message(s) of {} cannot be opened any more; what was not received is sent again.",
            who(peer)
        ),
        Event::NoBundle { peer } => format!(
            "{} has no keys at its relay: it was never online there, or left. Messages wait.",
            who(peer)
        ),
        Event::BadBundle { peer, error } => format!(
            "The relay gave keys for {} that must not be used ({error}). Messages wait.",
            who(peer)
        ),
        Event::RelayWentBack { link } => format!(
            "The relay {} has forgotten what it knew: an older copy of its store was brought back, \
             or it lies. What it accepted from you without a receipt is sent again; nothing is shown \
             twice to you.",
            relay(*link)
        ),
        Event::Notice { kind, peer, count } => match kind {
            NoticeKind::SentExpired => {
                format!(
                    "{count} message(s) to {} expired in its mailbox; they are sent again.",
                    who(peer)
                )
            }
            NoticeKind::ReceivedExpired => {
                format!(
                    "{count} message(s) from {} expired before you came.",
                    who(peer)
                )
            }
            NoticeKind::Refused => {
                format!(
                    "Your mailbox had no room for {count} message(s) from {}.",
                    who(peer)
                )
            }
            NoticeKind::Unopened => {
                format!(
                    "{} could not open {count} message(s); they are sent again.",
                    who(peer)
                )
            }
            NoticeKind::Superseded => {
                "Another device with your words has taken over at the relay.".to_owned()
            }
            // What ends a link is told as the link's state.
            NoticeKind::Stopping | NoticeKind::PrekeysLeft | NoticeKind::TurnedAway => return None,
        },
    })
}

/// The sentence for `event` and what an earlier `sentence` told of, together: where they say the same,
/// but for their counts.
pub(crate) fn together(vault: &Vault, event: Event, earlier: &str) -> Option<String> {
    let now = sentence(vault, &event)?;
    let Some(count) = count_of(event) else {
        let rest = earlier.strip_prefix(now.as_str())?;
        let times = match rest {
            "" => 1,
            _ => rest
                .strip_prefix(" (")?
                .strip_suffix(" times)")?
                .parse()
                .ok()?,
        };
        return Some(format!("{now} ({} times)", u32::saturating_add(times, 1)));
    };
    // A name may have digits in it, so each number is tried.
    let numbers = earlier.split(|c: char| !c.is_ascii_digit());
    let before = numbers
        .filter_map(|digits| digits.parse::<u32>().ok())
        .find(|number| {
            sentence(vault, &with_count(event, *number)).is_some_and(|text| text == earlier)
        })?;
    sentence(vault, &with_count(event, before.saturating_add(count)))
}

const fn count_of(event: Event) -> Option<u32> {
    match event {
        Event::Lost { count, .. } => Some(count),
        Event::Notice { kind, count, .. } if kind.is_stored() => Some(count),
        _ => None,
    }
}

const fn with_count(event: Event, count: u32) -> Event {
    match event {
        Event::Lost { peer, .. } => Event::Lost { peer, count },
        Event::Notice { kind, peer, .. } => Event::Notice { kind, peer, count },
        other => other,
    }
}

/// What the user calls an address.
pub(crate) fn name(vault: &Vault, address: &Address) -> String {
    vault
        .contact_at(address)
        .map_or_else(|| address.to_string(), |contact| contact.name.clone())
}
