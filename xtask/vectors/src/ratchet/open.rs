//! PROTOCOL 6.6: a message in. Bounds are left out: the vectors stay far below them.

use super::{Kept, Receiving, Session, body_key, header_key, step};
use crate::primitives::{Pair, hmac, join, open};

/// Where the parts of an envelope are.
struct Parts<'a> {
    clear: &'a [u8],
    salt: &'a [u8],
    commitment: &'a [u8],
    header: &'a [u8],
    body: &'a [u8],
}

impl<'a> Parts<'a> {
    fn cut(envelope: &'a [u8]) -> Self {
        let begin = if envelope[2] == 0x01 { 3 } else { 128 };
        Self {
            clear: &envelope[..begin + 32],
            salt: &envelope[begin..begin + 16],
            commitment: &envelope[begin + 16..begin + 32],
            header: &envelope[begin + 32..begin + 89],
            body: &envelope[begin + 89..],
        }
    }
}

impl Session {
    /// The padded content. `first` is the signed prekey of a responder's first message.
    pub(crate) fn open(&mut self, envelope: &[u8], first: Option<&Pair>) -> Option<Vec<u8>> {
        let parts = Parts::cut(envelope);
        let mut staged = self.clone();
        let (key, header) = staged.find(&parts, first)?;
        let way = self.way.reverse();
        let [key, nonce, commitment] = body_key(&key, parts.salt, way);
        if commitment != parts.commitment {
            return None;
        }
        let ad = join(&[&self.id, &[way as u8], parts.clear, &header]);
        let content = open(&key, &nonce, &ad, parts.body)?;
        *self = staged;
        Some(content)
    }

    fn header(&self, key: &[u8], parts: &Parts<'_>) -> Option<Vec<u8>> {
        let body_tag = &parts.body[parts.body.len() - 16..];
        let [key, nonce] = header_key(key, parts.salt, body_tag, self.way.reverse());
        open(&key, &nonce, parts.clear, parts.header)
    }

    /// The message key and the header. Works on a copy: what it changes is taken or thrown away.
    fn find(&mut self, parts: &Parts<'_>, first: Option<&Pair>) -> Option<(Vec<u8>, Vec<u8>)> {
        if let Some(chain) = &self.receiving
            && let Some(header) = self.header(&chain.header, parts)
        {
            let n = number(&header, 37);
            if n >= chain.n {
                assert_eq!(header[..33], self.peer);
                return Some((self.forward(n), header));
            }
        }
        let at = self.kept.iter().position(|kept| {
            let header = self.header(&kept.header, parts);
            header.is_some_and(|header| number(&header, 37) == kept.n)
        });
        if let Some(at) = at {
            let kept = self.kept.remove(at);
            return Some((kept.key, self.header(&kept.header, parts)?));
        }
        let header = self.header(&self.next_receiving_header, parts)?;
        self.step_to_receive(&header, first)?;
        Some((self.forward(number(&header, 37)), header))
    }

    fn step_to_receive(&mut self, header: &[u8], first: Option<&Pair>) -> Option<()> {
        if self.receiving.is_some() {
            self.keep_up_to(number(header, 33));
        }
        let own = match (first, &self.sending) {
            (Some(pair), _) => pair.clone(),
            (None, Some(chain)) => chain.pair.clone(),
            (None, None) => return None,
        };
        self.peer = header[..33].to_vec();
        let way = self.way.reverse();
        let [root, key, next_header] = step(&self.root, &own.agree(&self.peer), way);
        self.root = root;
        let header = std::mem::replace(&mut self.next_receiving_header, next_header);
        self.receiving = Some(Receiving { key, header, n: 0 });
        if let Some(chain) = self.sending.take() {
            self.pn = chain.n;
            self.confirmed = true;
        }
        Some(())
    }

    /// Keeps the keys of the current chain below `n`.
    fn keep_up_to(&mut self, n: u32) {
        let chain = self.receiving.as_mut().unwrap();
        while chain.n < n {
            self.kept.push(Kept {
                header: chain.header.clone(),
                n: chain.n,
                key: hmac(&chain.key, &[0x01]).to_vec(),
            });
            chain.key = hmac(&chain.key, &[0x02]).to_vec();
            chain.n += 1;
        }
    }

    /// The key of message `n` of the current chain, which then stands behind it.
    fn forward(&mut self, n: u32) -> Vec<u8> {
        self.keep_up_to(n);
        let chain = self.receiving.as_mut().unwrap();
        let key = hmac(&chain.key, &[0x01]).to_vec();
        chain.key = hmac(&chain.key, &[0x02]).to_vec();
        chain.n += 1;
        key
    }
}

fn number(header: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(header[at..at + 4].try_into().unwrap())
}
