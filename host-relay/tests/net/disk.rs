//! R4 with the whole server on a disk that fails as it is told: on any machine, for it is in this
//! process. The same on a real file system is `process/real_disk.rs`.

use std::sync::Arc;

use hushwire_core::wire::EnvelopeId;
use hushwire_core::wire::answer::Answer;
use hushwire_core::wire::reason::Reason;
use hushwire_core::wire::request::Request;
use hushwire_relay::limits::Limits;
use hushwire_relay::store::{Embedded, Store};

use crate::faulty_disk::FaultyDisk;
use crate::relay::Relay;
use crate::support::{Client, address_of};

const ALICE: u16 = 1;
const BOB: u16 = 2;
const CARL: u16 = 3;
const READY: &str = "hushwire_relay_ready 1";
const NOT_READY: &str = "hushwire_relay_ready 0";

fn store(disk: &FaultyDisk) -> Arc<dyn Store> {
    let disk = disk.clone();
    Arc::new(Embedded::open_on(1 << 20, move || Ok(Box::new(disk.clone()))).unwrap())
}

/// Takes off what waits, and gives it back in its order.
async fn take_all(client: &mut Client) -> Vec<Vec<u8>> {
    let mut came = Vec::new();
    for _ in 0..client.welcome.waiting {
        let (_, envelope) = client.delivery().await.unwrap();
        let ack = Request::Ack(EnvelopeId::of(&envelope));
        client.send(&ack).await.unwrap();
        came.push(envelope);
    }
    client.ping().await.unwrap();
    came
}

/// Writes fail, syncs fail, both: nothing is accepted, who comes anew is served what waits, and when
/// the disk works again the relay takes messages without a restart. A power cut then loses none.
#[tokio::test(flavor = "multi_thread")]
async fn r4_a_failing_disk_beneath_the_whole_server() {
    let disk = FaultyDisk::default();
    let folder = tempfile::tempdir().unwrap();
    let relay = Relay::start_on(folder, Limits::default(), store(&disk)).await;
    for owner in [BOB, CARL] {
        let mut owner = Client::connect(&relay.target, owner).await.unwrap();
        owner.register().await.unwrap();
    }
    let mut alice = Client::connect(&relay.target, ALICE).await.unwrap();
    let mut accepted = Vec::new();
    for (case, (writes, syncs)) in [(true, false), (false, true), (true, true)]
        .into_iter()
        .enumerate()
    {
        // What waits for Bob before the disk fails; Carl's stays until the end.
        let before = format!("before {case}").into_bytes();
        for to in [BOB, CARL] {
            let said = alice.submit(address_of(to), &before).await.unwrap();
            assert_eq!(said, Ok(()));
        }
        accepted.push(before.clone());

        disk.fail(writes, syncs);
        for n in 0..3 {
            let lost = format!("lost {case} {n}").into_bytes();
            let submit = Request::Submit {
                to: address_of(CARL),
                envelope: &lost,
            };
            alice.send(&submit).await.unwrap();
            let of = EnvelopeId::of(&lost);
            let retry_after = alice.wait(|answer| match answer {
                Answer::Rejected {
                    id,
                    reason: Reason::StoreTrouble,
                    retry_after,
                } if *id == of => Some(*retry_after),
                Answer::Accepted(_) | Answer::Rejected { .. } => panic!("{answer:?}"),
                _ => None,
            });
            assert!(retry_after.await.unwrap() > 0, "to be sent again later");
        }
        relay.wait_for(NOT_READY).await;
        // A recipient that is not connected yet, so that the mail is read from the disk.
        let mut bob = Client::connect(&relay.target, BOB).await.unwrap();
        assert_eq!(take_all(&mut bob).await, std::slice::from_ref(&before));
        drop(bob);
        let again = Client::connect(&relay.target, BOB).await.unwrap();
        assert_eq!(
            again.welcome.waiting, 0,
            "an ack holds while the relay lives"
        );

        disk.fail(false, false);
        // By itself, without traffic: the clock's row finds out.
        relay.wait_for(READY).await;
        let after = format!("after {case}").into_bytes();
        let said = alice.submit(address_of(CARL), &after).await.unwrap();
        assert_eq!(said, Ok(()), "without a restart");
        accepted.push(after);
    }

    // The power fails, and with it goes what no sync wrote.
    let disk = disk.power_up(|| false);
    drop(alice);
    let folder = relay.stop().await;
    let relay = Relay::start_on(folder, Limits::default(), store(&disk)).await;
    let mut carl = Client::connect(&relay.target, CARL).await.unwrap();
    let mut came = take_all(&mut carl).await;
    // A refused one may have got there with a sync that failed: nobody was told either way.
    came.retain(|envelope| !envelope.starts_with(b"lost"));
    assert_eq!(came, accepted);
    // The acks of the failing time were written as soon as it was over.
    let bob = Client::connect(&relay.target, BOB).await.unwrap();
    assert_eq!(bob.welcome.waiting, 0);
    drop((bob, carl));
    relay.stop().await;
}
