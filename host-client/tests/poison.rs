//! A28: what cannot be opened blocks nobody and fills nothing.

mod common;

use common::{PATIENCE, Relay, friends};
use hushwire_core::{
    crypto::Software,
    identity::{Address, SoftwareIdentity},
    link::{
        FLIGHT_1_LEN, FLIGHT_2_LEN, FLIGHT_3_LEN, HEAD_ROOM, Initiator, LinkLimits, Opener, Sealer,
        TAIL_ROOM,
    },
    wire::{answer::Answer, frame, frame::Frames, reason::Reason, request::Request},
};
use hushwire_relay::limits::Limits;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

type Rng = rand_core::UnwrapErr<getrandom::SysRng>;

/// A stranger who speaks the link and no protocol beyond it.
struct Stranger {
    stream: TcpStream,
    sealer: Sealer,
    opener: Opener,
}

impl Stranger {
    async fn at(relay: &Relay) -> Self {
        let (p256, rng) = (&mut Software, &mut Rng::default());
        let mut identity = SoftwareIdentity::generate(p256, rng).unwrap();
        let mut stream = TcpStream::connect(&relay.url.authority).await.unwrap();
        let limits = LinkLimits::new(32_768, 17_000, 16).unwrap();
        let mut first = [0; FLIGHT_1_LEN];
        let link = Initiator::new(relay.url.key, limits);
        let link = link.write_message_1(p256, rng, &mut first).unwrap();
        stream.write_all(&first).await.unwrap();
        let mut second = [0; FLIGHT_2_LEN];
        stream.read_exact(&mut second).await.unwrap();
        let mut third = [0; FLIGHT_3_LEN];
        let link = link.read_message_2(p256, &second[HEAD_ROOM..]).unwrap();
        let transport = link
            .write_message_3(p256, &mut identity, &mut third)
            .unwrap();
        stream.write_all(&third).await.unwrap();
        let (sealer, opener) = transport.split();
        Self {
            stream,
            sealer,
            opener,
        }
    }

    async fn submit(&mut self, to: Address, envelope: &[u8]) {
        let mut record = vec![0; HEAD_ROOM + 1024 + TAIL_ROOM];
        let request = Request::Submit { to, envelope };
        let plaintext = &mut record[HEAD_ROOM..HEAD_ROOM + 1024];
        let len = frame::append(plaintext, 0, |room| request.emit(room)).unwrap();
        let len = self.sealer.seal(&mut record, len).unwrap();
        self.stream.write_all(&record[..len]).await.unwrap();
    }

    /// What the relay says to the last submission.
    async fn verdict(&mut self) -> Result<(), Reason> {
        loop {
            let len = self.stream.read_u16().await.unwrap();
            let mut record = vec![0; usize::from(len)];
            self.stream.read_exact(&mut record).await.unwrap();
            let plaintext = self.opener.open(&mut record).unwrap();
            for frame in Frames::new(plaintext) {
                match Answer::parse(frame.unwrap()).unwrap() {
                    Answer::Accepted(_) => return Ok(()),
                    Answer::Rejected { reason, .. } => return Err(reason),
                    _ => {}
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a28_poison_neither_blocks_a_window_of_1_nor_fills_the_mailbox() {
    // The relay hands out one delivery at a time, whatever the client would take.
    let relay = Relay::with(Limits {
        window: 1,
        ..Limits::default()
    })
    .await;
    let (alice, mut bob) = friends(&relay).await;
    alice.tell("bob", "before").await;
    bob.client.close().await.unwrap();

    let mut stranger = Stranger::at(&relay).await;
    let to = bob.client.address();
    let poison = |n: u8| {
        let kind = 1 + n % 2;
        let mut envelope = vec![1, 1, kind];
        envelope.extend((0..400_u16).map(|at| n.wrapping_mul(31).wrapping_add(at as u8)));
        envelope
    };
    // While Bob is away, a stranger gets its share of the mailbox and no more.
    let mut taken = 0;
    while taken < 128 {
        stranger.submit(to, &poison(taken)).await;
        match stranger.verdict().await {
            Ok(()) => taken += 1,
            Err(reason) => {
                assert_eq!(reason, Reason::ShareFull);
                break;
            }
        }
    }
    assert_eq!(taken, 32, "a quarter of 128");
    let sent = alice.send("bob", "behind the poison").await;

    bob.restart().await;
    alice.delivered(sent).await;
    // With Bob there the rest of the 128 goes through, one by one, and is thrown away.
    for n in taken..128 {
        let mut tries = 0;
        loop {
            stranger.submit(to, &poison(n)).await;
            match stranger.verdict().await {
                Ok(()) => break,
                Err(reason) => assert_eq!(reason, Reason::ShareFull),
            }
            tries += 1;
            assert!(tries < 1000, "the mailbox is emptied");
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }
    alice.tell("bob", "after").await;
    bob.client.fetch(PATIENCE).await.unwrap();
    assert_eq!(bob.client.mailbox().await.unwrap().messages, 0);
    assert_eq!(
        bob.received().await,
        ["before", "behind the poison", "after"]
    );
    let alarms = bob.client.alarms(10).await.unwrap();
    // That the mailbox was full is told; anything else would be the stranger's doing.
    let others = alarms
        .iter()
        .filter(|alarm| !alarm.text.contains("no room"));
    assert_eq!(others.count(), 0, "strangers restart nothing: {alarms:?}");
}
