//! R4 with the program itself: the file system takes no more.

use std::path::Path;

use hushwire_core::wire::EnvelopeId;
use hushwire_core::wire::reason::Reason;
use hushwire_core::wire::request::Request;

use crate::process::{self, Process};
use crate::support::{Client, address_of};

const ALICE: u16 = 1;
const BOB: u16 = 2;
const BODY: usize = 16_000;
/// More than the store's file can have room for without growing.
const ENOUGH: u32 = 4_000;

fn start(data: &Path) -> Process {
    let mut command = process::on_a_limited_disk(&process::command(data));
    command.args([
        "--mailbox-messages",
        "100000",
        "--mailbox-bytes",
        "1000000000",
    ]);
    command.args(["--sender-share", "1", "--submit-burst", "100000"]);
    Process::spawn(&mut command)
}

#[tokio::test(flavor = "multi_thread")]
async fn r4_a_full_disk_accepts_nothing_reads_on_and_recovers_without_restart() {
    let folder = tempfile::tempdir().unwrap();
    let relay = start(folder.path());
    let mut bob = Client::connect(&relay.target, BOB).await.unwrap();
    bob.register().await.unwrap();
    drop(bob);
    let mut alice = Client::connect(&relay.target, ALICE).await.unwrap();
    let mut accepted = Vec::new();
    let mut refused = 0;
    let mut numbers = 0u32..ENOUGH;
    let body = |n: u32| [n.to_be_bytes().to_vec(), vec![7; BODY]].concat();

    // At the size that the files have; then at none, where every write fails, as on a disk that
    // went bad or read-only.
    let largest = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|file| file.unwrap());
    let largest = largest
        .map(|file| file.metadata().unwrap().len())
        .max()
        .unwrap();
    for bytes in [largest.to_string(), "0".to_owned()] {
        relay.limit_files(&bytes);
        loop {
            let envelope = body(numbers.next().expect("the disk is never full"));
            match alice.submit(address_of(BOB), &envelope).await.unwrap() {
                Ok(()) => accepted.push(envelope),
                Err(reason) => {
                    assert_eq!(reason, Reason::StoreTrouble);
                    refused += 1;
                    break;
                }
            }
        }
        // Still so, and reads go on.
        for _ in 0..3 {
            let envelope = body(numbers.next().unwrap());
            let said = alice.submit(address_of(BOB), &envelope).await.unwrap();
            assert_eq!(said, Err(Reason::StoreTrouble));
            refused += 1;
        }
        if !accepted.is_empty() {
            let mut bob = Client::connect(&relay.target, BOB).await.unwrap();
            assert_eq!(bob.delivery().await.unwrap().1, accepted[0]);
        }
        relay.limit_files("unlimited");
        let envelope = body(numbers.next().unwrap());
        let said = alice.submit(address_of(BOB), &envelope).await.unwrap();
        assert_eq!(said, Ok(()), "there is room again: without a restart");
        accepted.push(envelope);
    }
    relay.kill();

    let relay = start(folder.path());
    let mut bob = Client::connect(&relay.target, BOB).await.unwrap();
    assert_eq!(
        bob.welcome.waiting as usize,
        accepted.len(),
        "and nothing refused"
    );
    for envelope in &accepted {
        assert!(bob.delivery().await.unwrap().1 == *envelope);
        bob.send(&Request::Ack(EnvelopeId::of(envelope)))
            .await
            .unwrap();
    }
    println!(
        "r4: {} accepted, all there after a kill; {refused} told to retry",
        accepted.len()
    );
    relay.kill();
}
