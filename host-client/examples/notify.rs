//! Sends one message from a program and waits for the receipt of the recipient's device.
//!
//! `cargo run -p hushwire --example notify -- VAULT KEY_FILE CONTACT TEXT`

use std::time::Duration;

use hushwire::{Client, Error, State, Unlock};

#[tokio::main]
async fn main() -> Result<(), Error> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [vault, key, contact, text] = arguments.as_slice() else {
        eprintln!("usage: notify VAULT KEY_FILE CONTACT TEXT");
        return Ok(());
    };
    let client = Client::open(vault, Unlock::KeyFile(key.into())).await?;
    client.connect();
    let sent = client.send(contact, text.as_bytes()).await?;
    let sent = client
        .wait(sent, State::Delivered, Duration::from_secs(60))
        .await?;
    println!("{:?}", sent.state);
    client.close().await
}
