//! F10: a thousand messages between a device and a person, while relay, device and person are
//! killed in turn.

mod common;

use std::collections::BTreeMap;
use std::time::Duration;

use common::{folder, image, provision, relay_and_alice, seen_by_device, setting, until};
use hushwire_lab::{Device, Person};

/// Questions that are out at once: fewer than a sender's share of a mailbox.
const BATCH: u64 = 10;

#[test]
fn f10_killed_in_turn() {
    // Each question is a message, and so is each answer.
    let questions = setting("HUSHWIRE_TRIAL_MESSAGES", 1000) / 2;
    let folder = folder();
    let (mut relay, alice) = relay_and_alice(folder.path());
    let mut device = Device::new(&image(), &folder.path().join("device"));
    let address = provision(&mut device, &seen_by_device(&relay), &alice);
    alice.learn_card("device", &address).unwrap();

    let mut listening = Some(alice.listen().unwrap());
    let mut kills = [0; 3];
    for (round, first) in (0..questions).step_by(BATCH as usize).enumerate() {
        let batch = first..(first + BATCH).min(questions);
        for question in batch.clone() {
            let text = format!("echo answer {question:04}");
            alice.run(&["send", "--queue", "device", &text]).unwrap();
        }
        // In the middle of the batch, whatever is on its way.
        std::thread::sleep(Duration::from_millis(37 * (round as u64 % 11)));
        kills[round % 3] += 1;
        match round % 3 {
            0 => {
                relay.kill().unwrap();
                relay.restart().unwrap();
            }
            1 => {
                device.cut_power().unwrap();
                device.power_on().unwrap();
            }
            _ => {
                listening.take().unwrap().kill().unwrap();
                listening = Some(alice.listen().unwrap());
            }
        }
        until(
            "the batch's answers",
            Duration::from_secs(180),
            &mut device,
            || {
                let counts = answers(&alice, 4 * BATCH as usize);
                batch.clone().all(|question| counts.contains_key(&question))
            },
        );
    }
    let all = answers(&alice, 4 * questions as usize);
    let [relays, devices, people] = kills;
    println!(
        "{} questions, {} answers; kills: relay {relays}, device {devices}, person {people}",
        questions,
        all.len()
    );
    assert_eq!(all.len() as u64, questions);
    let doubled: Vec<_> = all.iter().filter(|(_, count)| **count > 1).collect();
    // Effects on the device are at least once: a question whose answer was queued when the power
    // went, and whose end was not yet recorded, is answered again. It is never lost.
    println!("answered twice: {doubled:?}");
    assert!(
        doubled.len() as u64 <= devices,
        "more doubles than losses of power"
    );
}

/// How often each answer stands in alice's history, of its newest entries.
fn answers(alice: &Person, newest: usize) -> BTreeMap<u64, u64> {
    let limit = newest.to_string();
    let history = alice.run(&["inbox", "--limit", &limit, "--with", "device"]);
    let mut counts = BTreeMap::new();
    collect(&history.unwrap(), &mut counts);
    counts
}

fn collect(value: &serde_json::Value, counts: &mut BTreeMap<u64, u64>) {
    match value {
        serde_json::Value::Array(items) => items.iter().for_each(|item| collect(item, counts)),
        serde_json::Value::Object(fields) => fields.values().for_each(|v| collect(v, counts)),
        serde_json::Value::String(text) => {
            if let Some(number) = text.strip_prefix("answer ")
                && let Ok(number) = number.parse()
            {
                *counts.entry(number).or_default() += 1;
            }
        }
        _ => {}
    }
}
