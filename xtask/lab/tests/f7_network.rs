//! F7: a device whose network loses, doubles and disorders frames, and whose relay restarts.

mod common;

use std::time::{Duration, Instant};

use common::{folder, image, provision, relay_and_alice, setting, until, url_at};
use hushwire_lab::{Device, GATEWAY, Gateway, Weather};

const PORT: u16 = 7117;

#[test]
fn f7_network() {
    let rounds = setting("HUSHWIRE_TRIAL_ROUNDS", 10);
    let folder = folder();
    let (mut relay, alice) = relay_and_alice(folder.path());
    let beyond = relay.authority().parse().unwrap();
    let gateway = Gateway::start(beyond, PORT, Weather::default()).unwrap();
    let mut device = Device::new(&image(), &folder.path().join("device"));
    device.connect_to(&gateway.netdev("net"));

    let url = url_at(&relay, &GATEWAY.to_string());
    let url = url.replace(
        &format!(":{}", relay.authority().rsplit(':').next().unwrap()),
        &format!(":{PORT}"),
    );
    device.power_on().unwrap();
    device.wait_for("address").unwrap();
    // This network has no DHCP: the other way to get an address is tried with it.
    device.tell("net static 10.0.2.15/24 10.0.2.2").unwrap();
    device.cut_power().unwrap();
    let address = provision(&mut device, &url, &alice);
    alice.learn_card("device", &address).unwrap();
    let _listening = alice.listen().unwrap();

    for (name, weather) in [
        ("fair", Weather::default()),
        ("10 % loss", storm(10)),
        ("20 % loss", storm(20)),
        ("30 % loss", storm(30)),
    ] {
        gateway.set_weather(weather);
        let before = gateway.tale();
        let started = Instant::now();
        for round in 0..rounds {
            let text = format!("echo {name} {round}");
            alice.run(&["send", "--queue", "device", &text]).unwrap();
            if round == rounds / 2 {
                relay.kill().unwrap();
                relay.restart().unwrap();
            }
        }
        until(name, Duration::from_secs(600), &mut device, || {
            let limit = (4 * rounds).to_string();
            let history = alice.run(&["inbox", "--limit", &limit]).unwrap();
            let text = history.to_string();
            (0..rounds).all(|round| text.contains(&format!("\"{name} {round}\"")))
        });
        let tale = gateway.tale();
        println!(
            "{name:<10} {rounds} questions and answers in {:.1} s; frames {}, lost {}, doubled {}, overtaken {}",
            started.elapsed().as_secs_f32(),
            tale.frames - before.frames,
            tale.lost - before.lost,
            tale.doubled - before.doubled,
            tale.overtaken - before.overtaken,
        );
    }
}

fn storm(loss: u8) -> Weather {
    Weather {
        loss,
        doubled: 5,
        overtaken: 5,
    }
}
