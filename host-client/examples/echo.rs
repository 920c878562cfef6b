//! A program that answers whoever writes to it, in 20 lines of the library.
//!
//! `cargo run -p hushwire --example echo -- VAULT KEY_FILE` on a vault that
//! `hushwire --vault VAULT --key-file KEY_FILE init --relay URL` has made.

use hushwire::{Client, Error, Notification, Unlock};

#[tokio::main]
async fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let (Some(vault), Some(key)) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: echo VAULT KEY_FILE");
        return Ok(());
    };
    let client = Client::open(vault, Unlock::KeyFile(key.into())).await?;
    client.connect();
    println!("write to {}", client.card().await?);
    let mut listener = client.listen(client.read_cursor().await?);
    while let Some(notification) = listener.next().await {
        if let Notification::Message(message) = notification {
            client
                .send(&message.peer.to_string(), &message.body)
                .await?;
            // At least once: whoever is stopped right here answers again.
            client.mark_read(message.number).await?;
        }
    }
    client.close().await
}
