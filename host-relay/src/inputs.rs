//! How connections hand what they are asked to the logic: through one queue, whose bound is a number of inputs.

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::{SendError, TrySendError};

use crate::actor::Input;
use crate::relay::ConnId;
use crate::request::Request;

/// Requests that are handed to the logic at a time.
pub(crate) const REQUESTS: usize = 64;

/// A connection that the logic knows of. It hears of the end even where the task panics.
pub(crate) struct Known<'a> {
    conn: ConnId,
    inputs: &'a mpsc::Sender<Input>,
}

impl<'a> Known<'a> {
    pub(crate) const fn new(conn: ConnId, inputs: &'a mpsc::Sender<Input>) -> Self {
        Self { conn, inputs }
    }

    pub(crate) async fn leaves(self) {
        // The logic's end has heard of every connection's before its own.
        let _ = tell(self.inputs, Input::Gone(self.conn)).await;
        // It is told. A flag for that would be kept as long as the connection idles.
        std::mem::forget(self);
    }
}

impl Drop for Known<'_> {
    fn drop(&mut self) {
        tell_later(self.inputs, Input::Gone(self.conn));
    }
}

/// Hands requests to the logic, few at a time: its queue is bounded by their number. A read full of
/// the smallest ones holds thousands.
pub(crate) async fn hand_over(
    conn: ConnId,
    requests: Vec<Request>,
    inputs: &mpsc::Sender<Input>,
) -> Result<(), SendError<Input>> {
    let mut requests = requests.into_iter();
    while requests.len() > 0 {
        let some = requests.by_ref().take(REQUESTS).collect();
        tell(inputs, Input::Requests(conn, some)).await?;
    }
    Ok(())
}

/// Hands an input to the logic. Only where its queue is full one has to wait, and needs room for it.
pub(crate) async fn tell(
    inputs: &mpsc::Sender<Input>,
    input: Input,
) -> Result<(), SendError<Input>> {
    match inputs.try_send(input) {
        Ok(()) => Ok(()),
        Err(TrySendError::Full(input)) => Box::pin(inputs.send(input)).await,
        Err(TrySendError::Closed(input)) => Err(SendError(input)),
    }
}

/// Where nothing can be awaited.
pub(crate) fn tell_later(inputs: &mpsc::Sender<Input>, input: Input) {
    let Err(TrySendError::Full(input)) = inputs.try_send(input) else {
        return;
    };
    // Without a runtime the logic ends too.
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        let inputs = inputs.clone();
        runtime.spawn(async move { inputs.send(input).await });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hushwire_core::wire::EnvelopeId;
    use tokio::time::timeout;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(5);

    /// The queue's bound counts inputs: none of them may be a whole read of the smallest requests.
    #[tokio::test]
    async fn requests_are_handed_over_few_at_a_time() {
        let (inputs, mut handed) = mpsc::channel(64);
        let ack = || Request::Ack(EnvelopeId([0; 16]));
        let all: Vec<_> = std::iter::repeat_with(ack).take(1000).collect();
        hand_over(ConnId(1), all, &inputs).await.unwrap();
        drop(inputs);
        let mut count = 0;
        while let Some(input) = handed.recv().await {
            let Input::Requests(_, some) = input else {
                panic!("only requests")
            };
            assert!(some.len() <= REQUESTS);
            count += some.len();
        }
        assert_eq!(count, 1000);
    }

    #[tokio::test]
    async fn the_logic_hears_of_the_end_of_a_task_that_panics() {
        let (inputs, mut told) = mpsc::channel(1);
        // There is no room for the word at first.
        inputs.send(Input::Gone(ConnId(1))).await.unwrap();
        let panics = tokio::spawn(async move {
            let _known = Known::new(ConnId(2), &inputs);
            panic!("a defect");
        });
        assert!(panics.await.unwrap_err().is_panic());
        for conn in [1, 2] {
            let word = timeout(PATIENCE, told.recv()).await.unwrap();
            assert!(matches!(word, Some(Input::Gone(ConnId(gone))) if gone == conn));
        }
    }
}
