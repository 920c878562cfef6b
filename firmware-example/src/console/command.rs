//! What the owner can say at the console.

use core::net::Ipv4Addr;

use hushwire_core::wire::invite::Invite;

use crate::{
    relay::{Card, Complaint, Invited, parse_invite},
    settings::{Name, Network},
};

/// One line of the console.
#[derive(Debug, PartialEq)]
pub enum Command<'a> {
    /// An empty line.
    Nothing,
    /// What can be said.
    Help,
    /// How the device is.
    Status,
    /// Its address.
    Address,
    /// Its card with a code to scan.
    Card,
    /// Use this relay.
    Relay(Invited),
    /// Show the relay this invitation.
    Invite(Invite),
    /// Get an IP address so.
    Network(Network),
    /// Trust somebody.
    Add(Name, Card),
    /// Who is trusted.
    List,
    /// Trust somebody no more.
    Remove(&'a str),
    /// Open nothing of somebody's.
    Block(&'a str),
    /// Whether strangers may write.
    Strangers(bool),
    /// Write to somebody.
    Send(&'a str, &'a str),
    /// Seconds between telemetry messages; 0 for none.
    Telemetry(u32),
    /// Compare keys with somebody.
    Verify(&'a str),
    /// What happened.
    Log,
    /// Stop in order and start again.
    Restart,
    /// Forget everything, keys first.
    Reset,
}

/// Shown by `help`.
pub const HELP: [&str; 19] = [
    "help                          this",
    "status                        how the device is",
    "address                       its address",
    "card                          its contact card, and a code to scan",
    "relay hush://IP:PORT/#KEY     use this relay, at once; /INVITATION may follow",
    "invite INVITATION             register with it at a relay that asks for one",
    "net dhcp                      get an IP address from the network",
    "net static IP/BITS GATEWAY    use this IP address",
    "contact add NAME ADDRESS|CARD trust somebody; again: rename or unblock",
    "contact list                  who is known",
    "contact remove NAME           forget somebody",
    "contact block NAME            open nothing of somebody's",
    "strangers on|off              may others write? (they may never command)",
    "send NAME TEXT                write to somebody",
    "telemetry SECONDS|off         write a reading to all contacts, again and again",
    "verify NAME                   digits to compare with somebody",
    "log                           what happened since the start",
    "restart                       stop in order and start again",
    "reset CONFIRM                 forget keys, contacts and settings: a new device for a new owner",
];

impl<'a> Command<'a> {
    /// Reads a line.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(line: &'a str) -> Result<Self, Complaint> {
        let (word, rest) = cut(line.trim());
        let command = match word {
            "" => Self::Nothing,
            "help" | "?" => Self::Help,
            "status" => Self::Status,
            "address" => Self::Address,
            "card" => Self::Card,
            "log" => Self::Log,
            "restart" => Self::Restart,
            "relay" => return Invited::parse(rest).map(Self::Relay),
            "invite" => return parse_invite(rest).map(Self::Invite),
            "net" => return network(rest).map(Self::Network),
            "contact" => return contact(rest),
            "strangers" => return switch(rest).map(Self::Strangers),
            "telemetry" => return telemetry(rest).map(Self::Telemetry),
            "verify" => return named(rest).map(Self::Verify),
            "send" => {
                let (name, text) = cut(rest);
                if text.is_empty() {
                    return Err("expected: send NAME TEXT");
                }
                return Ok(Self::Send(name, text));
            }
            "reset" if rest == "CONFIRM" => return Ok(Self::Reset),
            "reset" => {
                return Err("this forgets keys, contacts and settings for ever: reset CONFIRM");
            }
            _ => return Err("unknown command; try help"),
        };
        if rest.is_empty() {
            Ok(command)
        } else {
            Err("this command takes nothing behind it")
        }
    }
}

fn cut(text: &str) -> (&str, &str) {
    match text.split_once(' ') {
        Some((word, rest)) => (word, rest.trim_start()),
        None => (text, ""),
    }
}

fn switch(text: &str) -> Result<bool, Complaint> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("expected on or off"),
    }
}

fn named(text: &str) -> Result<&str, Complaint> {
    if text.is_empty() || text.contains(' ') {
        return Err("expected one contact's name");
    }
    Ok(text)
}

fn telemetry(text: &str) -> Result<u32, Complaint> {
    // Less would fill the outbox of a device whose contact is away.
    const LEAST: u32 = 5;
    match text.parse() {
        Ok(seconds) if seconds >= LEAST => Ok(seconds),
        _ if text == "off" => Ok(0),
        _ => Err("expected seconds, 5 or more, or off"),
    }
}

fn network(text: &str) -> Result<Network, Complaint> {
    const STATIC: Complaint = "expected: net static 192.168.1.7/24 192.168.1.1";
    let (kind, rest) = cut(text);
    match kind {
        "dhcp" if rest.is_empty() => Ok(Network::Dhcp),
        "static" => {
            let (own, gateway) = cut(rest);
            let (address, prefix) = own.split_once('/').ok_or(STATIC)?;
            let address: Ipv4Addr = address.parse().map_err(|_| STATIC)?;
            let prefix = prefix
                .parse()
                .ok()
                .filter(|bits| *bits <= 32)
                .ok_or(STATIC)?;
            let gateway: Ipv4Addr = gateway.parse().map_err(|_| STATIC)?;
            let usable =
                |ip: &Ipv4Addr| !(ip.is_unspecified() || ip.is_multicast() || ip.is_broadcast());
            if !usable(&address) || !usable(&gateway) {
                return Err("a device cannot have that IP address");
            }
            Ok(Network::Static {
                address,
                prefix,
                gateway,
            })
        }
        _ => Err("expected: net dhcp, or net static IP/BITS GATEWAY"),
    }
}

fn contact(text: &str) -> Result<Command<'_>, Complaint> {
    let (verb, rest) = cut(text);
    match verb {
        "list" if rest.is_empty() => Ok(Command::List),
        "add" => {
            let (name, who) = cut(rest);
            if !name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
            {
                return Err("a name has letters, digits, '-', '_' and '.'");
            }
            let name = Name::try_from(name).map_err(|_| "a name has at most 16 characters")?;
            if name.is_empty() || who.is_empty() {
                return Err("expected: contact add NAME ADDRESS");
            }
            Ok(Command::Add(name, Card::parse(who)?))
        }
        "remove" => named(rest).map(Command::Remove),
        "block" => named(rest).map(Command::Block),
        _ => Err("expected: contact add, list, remove or block"),
    }
}

#[cfg(test)]
mod tests {
    use std::format;

    use hushwire_core::identity::Address;

    use super::*;

    #[test]
    fn each_line_of_the_help_is_a_command() {
        for line in HELP {
            let word = line.split(' ').next().unwrap();
            let unknown = Command::parse(word) == Err("unknown command; try help");
            assert!(!unknown, "{word}");
        }
    }

    #[test]
    fn lines_become_commands() {
        fn parse(line: &str) -> Command<'_> {
            Command::parse(line).unwrap()
        }
        assert_eq!(parse("  "), Command::Nothing);
        assert_eq!(parse(" status "), Command::Status);
        assert_eq!(parse("net dhcp"), Command::Network(Network::Dhcp));
        let Command::Network(Network::Static {
            prefix: 24,
            gateway,
            ..
        }) = parse("net static 10.0.0.7/24  10.0.0.1")
        else {
            panic!("static");
        };
        assert_eq!(gateway, Ipv4Addr::new(10, 0, 0, 1));
        assert_eq!(
            parse("send bob  two  words"),
            Command::Send("bob", "two  words")
        );
        assert_eq!(parse("telemetry 60"), Command::Telemetry(60));
        assert_eq!(parse("telemetry off"), Command::Telemetry(0));
        assert_eq!(parse("strangers on"), Command::Strangers(true));
        assert_eq!(parse("reset CONFIRM"), Command::Reset);
        let invite = Invite([4; Invite::LEN]);
        assert_eq!(parse(&format!("invite {invite}")), Command::Invite(invite));
        let line = format!("contact add bob {}", Address([1; 20]));
        let Command::Add(name, card) = Command::parse(&line).unwrap() else {
            panic!("add");
        };
        assert_eq!((name.as_str(), card.address), ("bob", Address([1; 20])));
    }

    #[test]
    fn what_is_wrong_is_said_and_does_nothing() {
        for line in [
            "reset",
            "reset confirm",
            "reset CONFIRM now",
            "restart now",
            "sta",
            "send bob",
            "send",
            "telemetry 1",
            "telemetry -5",
            "telemetry",
            "strangers",
            "strangers maybe",
            "net",
            "net static 10.0.0.7 10.0.0.1",
            "net static 10.0.0.7/33 10.0.0.1",
            "net static 10.0.0.7/24",
            "net static 255.255.255.255/24 10.0.0.1",
            "contact",
            "contact add",
            "contact add bob",
            "contact add b*b hush1",
            "contact add averyveryverylongname hush1",
            "contact remove",
            "contact remove a b",
            "verify",
            "relay",
            "invite",
            "invite hushinvite1qqqq",
            "help me",
            "contact list all",
            "net dhcp now",
        ] {
            assert!(Command::parse(line).is_err(), "{line}");
        }
    }
}
