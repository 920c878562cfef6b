//! MQTT 3.1.1: QoS 0, and QoS 1 with its acknowledgement on both sides.

use anyhow::{Result, bail, ensure};

use super::Role;
use super::connection::{Event, Wire};

const CONNECT: u8 = 0x10;
const CONNACK: u8 = 0x20;
const PUBLISH: u8 = 0x30;
const PUBACK: u8 = 0x40;
const SUBSCRIBE: u8 = 0x82;
const SUBACK: u8 = 0x90;
const DISCONNECT: u8 = 0xe0;

pub(crate) struct Mqtt {
    role: Role,
    qos: u8,
    /// Packet identifiers of the last message sent and of the last one acknowledged.
    sent: u16,
    acknowledged: u16,
}

impl Mqtt {
    pub(crate) fn new(role: Role, qos: u8) -> Self {
        Self {
            role,
            qos,
            sent: 0,
            acknowledged: 0,
        }
    }

    /// A recipient's filter is sent when it is connected.
    fn subscribe(&self, out: &mut Vec<u8>, mailbox: u32) {
        let topic = topic(mailbox);
        packet(out, SUBSCRIBE, 2 + 2 + topic.len() + 1);
        out.extend_from_slice(&1_u16.to_be_bytes());
        string(out, &topic);
        out.push(self.qos);
    }

    /// MQTT 3.3: topic, packet identifier above QoS 0, payload.
    fn published<'a>(&self, first: u8, body: &'a [u8], out: &mut Vec<u8>) -> Result<Event<'a>> {
        let cut = "a message is cut short";
        let Some((len, rest)) = body.split_first_chunk::<2>() else {
            bail!(cut)
        };
        let Some(rest) = rest.get(usize::from(u16::from_be_bytes(*len))..) else {
            bail!(cut)
        };
        if first & 0x06 == 0 {
            return Ok(Event::Message(rest));
        }
        let Some((identifier, payload)) = rest.split_first_chunk::<2>() else {
            bail!(cut)
        };
        packet(out, PUBACK, 2);
        out.extend_from_slice(identifier);
        Ok(Event::Message(payload))
    }
}

impl Wire for Mqtt {
    fn open(&mut self, out: &mut Vec<u8>) {
        let (letter, number, clean) = match self.role {
            Role::Sender(number) => (b's', number, true),
            Role::Recipient(number) => (b'r', number, true),
            // The session, and what is queued for it, stays when its client leaves.
            Role::Away(number) => (b'a', number, false),
        };
        let mut name = topic(number);
        name[0] = letter;
        packet(out, CONNECT, 10 + 2 + name.len());
        string(out, b"MQTT");
        // Level 4 is 3.1.1; keep-alive is off.
        out.extend_from_slice(&[4, if clean { 0x02 } else { 0 }, 0, 0]);
        string(out, &name);
    }

    fn publish(&mut self, out: &mut Vec<u8>, to: u32, payload: &[u8]) {
        let topic = topic(to);
        let identifier = if self.qos > 0 { 2 } else { 0 };
        let len = 2 + topic.len() + identifier + payload.len();
        packet(out, PUBLISH | self.qos << 1, len);
        string(out, &topic);
        if self.qos > 0 {
            self.sent = after(self.sent);
            out.extend_from_slice(&self.sent.to_be_bytes());
        }
        out.extend_from_slice(payload);
    }

    fn next<'a>(
        &mut self,
        input: &'a [u8],
        out: &mut Vec<u8>,
    ) -> Result<Option<(usize, Event<'a>)>> {
        let Some((first, start, end)) = whole(input)? else {
            return Ok(None);
        };
        let body = &input[start..end];
        let event = match (first & 0xf0, body) {
            (PUBLISH, _) => self.published(first, body, out)?,
            (PUBACK, [high, low]) => {
                self.acknowledged = after(self.acknowledged);
                // MQTT 4.6: acknowledgements come in the messages' order.
                let identifier = u16::from_be_bytes([*high, *low]);
                ensure!(identifier == self.acknowledged, "an answer out of order");
                Event::Answered
            }
            (CONNACK, [_, 0]) => match self.role {
                Role::Sender(_) => Event::Ready,
                Role::Recipient(mailbox) | Role::Away(mailbox) => {
                    self.subscribe(out, mailbox);
                    Event::Other
                }
            },
            (SUBACK, [_, _, granted]) if *granted == self.qos => Event::Ready,
            _ => bail!("refused, or unknown: packet {first:#x} {body:x?}"),
        };
        Ok(Some((end, event)))
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        packet(out, DISCONNECT, 0);
    }
}

/// `m` and the mailbox's number in hexadecimal: no allocation.
fn topic(mailbox: u32) -> [u8; 9] {
    let mut topic = [b'm'; 9];
    for (place, digit) in topic[1..].iter_mut().enumerate() {
        let nibble = mailbox >> (28 - 4 * place) & 0xf;
        *digit = b"0123456789abcdef"[nibble as usize];
    }
    topic
}

/// MQTT 2.2: a packet's type and flags, and the length of what follows, seven bits a byte.
fn packet(out: &mut Vec<u8>, first: u8, mut len: usize) {
    out.push(first);
    while len >= 0x80 {
        out.push(len as u8 | 0x80);
        len >>= 7;
    }
    out.push(len as u8);
}

/// A packet's first byte, and where its body begins and ends, when all of it came.
fn whole(input: &[u8]) -> Result<Option<(u8, usize, usize)>> {
    let mut len = 0;
    for place in 1..5 {
        let Some(byte) = input.get(place) else {
            return Ok(None);
        };
        len |= usize::from(byte & 0x7f) << (7 * (place - 1));
        if byte & 0x80 == 0 {
            let end = place + 1 + len;
            return Ok((input.len() >= end).then(|| (input[0], place + 1, end)));
        }
    }
    bail!("a length of more than four bytes")
}

fn string(out: &mut Vec<u8>, text: &[u8]) {
    out.extend_from_slice(&(text.len() as u16).to_be_bytes());
    out.extend_from_slice(text);
}

/// The identifier after this one; zero is none.
fn after(identifier: u16) -> u16 {
    identifier.checked_add(1).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::super::connection::tests::fed;
    use super::*;

    #[test]
    fn a_recipient_subscribes_takes_a_long_message_and_acknowledges_it() {
        let mut wire = Mqtt::new(Role::Recipient(7), 1);
        let mut input = vec![CONNACK, 2, 0, 0, SUBACK, 3, 0, 1, 1];
        // What a sender makes is what a server hands over: here with the same identifier.
        let mut sender = Mqtt::new(Role::Sender(3), 1);
        sender.publish(&mut input, 7, &[b'x'; 300]);
        sender.publish(&mut input, 7, b"y");
        let (words, out) = fed(&mut wire, &input);
        assert_eq!(words, ["ready", &"x".repeat(300), "y"]);
        let acknowledged = [PUBACK, 2, 0, 1, PUBACK, 2, 0, 2];
        assert!(out.starts_with(&[SUBSCRIBE, 14, 0, 1, 0, 9]));
        assert!(out.ends_with(&acknowledged));
        assert_eq!(fed(&mut sender, &acknowledged).0, ["answered", "answered"]);
    }

    #[test]
    fn answers_out_of_order_and_refusals_are_errors() {
        let mut wire = Mqtt::new(Role::Sender(3), 1);
        assert!(wire.next(&[PUBACK, 2, 0, 2], &mut Vec::new()).is_err());
        assert!(wire.next(&[CONNACK, 2, 0, 5], &mut Vec::new()).is_err());
    }

    #[test]
    fn the_identifier_zero_is_left_out() {
        assert_eq!((after(0), after(u16::MAX)), (1, 1));
    }
}
