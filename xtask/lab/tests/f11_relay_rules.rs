//! F11: a relay that asks for an invitation, changes its key, and bars: the device says what is the
//! matter, and goes on where it can.

mod common;

use std::time::Duration;

use common::{address, binaries, folder, image, seen_by_device, until};
use hushwire_lab::{Device, Person, Relay};

#[test]
fn f11_relay_rules() {
    let folder = folder();
    let mut relay = Relay::start_with(
        &binaries(),
        &folder.path().join("relay"),
        "127.0.0.1:0",
        &["--registration", "invite"],
    )
    .unwrap();
    let url = format!("{}/{}", relay.url(), invitation(&relay));
    let alice = Person::join_with_key_file(&binaries(), folder.path(), "alice", &url).unwrap();
    let _listening = alice.listen().unwrap();
    let mut device = Device::new(&image(), &folder.path().join("device"));

    // It is refused, and says why.
    device.power_on().unwrap();
    device.wait_for("ready").unwrap();
    let first = seen_by_device(&relay);
    device.tell(&format!("relay {first}")).unwrap();
    device
        .wait_for("turned away by the relay: it takes new identities with an invitation only")
        .unwrap();
    let status = device.tell("status").unwrap();
    assert_eq!(status.value("state"), Some("turned-away"));
    let link = status.value("link").unwrap();
    assert!(link.contains("with an invitation only"), "{link}");

    // An invitation is kept over a loss of power, until it has done its work.
    let invite = invitation(&relay);
    relay.kill().unwrap();
    device.tell(&format!("invite {invite}")).unwrap();
    device.cut_power().unwrap();
    relay.restart().unwrap();
    device.power_on().unwrap();
    device.wait_for("# online").unwrap();
    let status = device.tell("status").unwrap();
    assert_eq!(status.value("state"), Some("online"));
    assert_eq!(status.value("invitation"), Some("none"));
    let add = format!("contact add alice {}", alice.address());
    device.tell(&add).unwrap();
    alice.learn_card("device", &address(&mut device)).unwrap();
    talk(&alice, &mut device, "by invitation");

    // The relay's key is rotated, and the device follows.
    relay
        .operate(&["key", "rotate", "--overlap", "1h"])
        .unwrap();
    relay.kill().unwrap();
    relay.restart_after_rotation().unwrap();
    let second = seen_by_device(&relay);
    assert_ne!(first, second);
    let told = device.wait_for("the relay has a new key").unwrap();
    assert!(told.ends_with(&second), "{told}");
    let status = device.tell("status").unwrap();
    assert_eq!(status.value("relay"), Some(second.as_str()));
    let card = device.tell("card").unwrap();
    assert!(card.last.starts_with(&format!("{second}/")), "{card:?}");
    talk(&alice, &mut device, "in the overlap");

    // The old key is of no use any more. The new one was in flash.
    device.cut_power().unwrap();
    relay.operate(&["key", "retire"]).unwrap();
    relay.kill().unwrap();
    relay.restart().unwrap();
    device.power_on().unwrap();
    device.wait_for("# online").unwrap();
    talk(&alice, &mut device, "with the new key");

    // The operator changes his mind.
    let own = address(&mut device);
    relay.operate(&["mailbox", "ban", &own]).unwrap();
    device
        .wait_for("turned away by the relay: the relay's operator has barred this identity")
        .unwrap();
    relay.operate(&["mailbox", "unban", &own]).unwrap();
    // It would come back by itself after minutes.
    device.tell(&format!("relay {second}")).unwrap();
    device.wait_for("# online").unwrap();
    talk(&alice, &mut device, "after all");
}

/// One for one identity.
fn invitation(relay: &Relay) -> String {
    let printed = relay.operate(&["invite", "new"]).unwrap();
    let start = printed.find("hushinvite1").expect("an invitation");
    printed[start..start + 49].to_owned()
}

/// Alice asks, and the device answers.
fn talk(alice: &Person, device: &mut Device, text: &str) {
    let question = format!("echo {text}");
    alice
        .run(&["send", "--queue", "device", &question])
        .unwrap();
    until(text, Duration::from_secs(120), device, || {
        let history = alice.run(&["inbox", "--limit", "20"]).unwrap();
        history.to_string().contains(&format!("\"{text}\""))
    });
}
