//! Ctrl-C and TERM.

use std::io;

use tokio::sync::mpsc;

/// Signals that ask the process to end, one after the other.
#[derive(Debug)]
pub struct Signals {
    received: mpsc::Receiver<()>,
}

impl Signals {
    /// Takes the signals over from their default, which is to end the process.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub fn listen() -> io::Result<Self> {
        let (sender, received) = mpsc::channel(4);
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
                let mut signals = signal(kind)?;
                let sender = sender.clone();
                tokio::spawn(async move {
                    while signals.recv().await.is_some() {
                        // A full queue already says all there is to say.
                        let _ = sender.try_send(());
                    }
                });
            }
        }
        #[cfg(not(unix))]
        tokio::spawn(async move {
            while tokio::signal::ctrl_c().await.is_ok() {
                let _ = sender.try_send(());
            }
        });
        Ok(Self { received })
    }

    /// Signals that a test sends.
    #[cfg(test)]
    pub(crate) fn by_hand() -> (mpsc::Sender<()>, Self) {
        let (sender, received) = mpsc::channel(4);
        (sender, Self { received })
    }

    /// The next signal.
    pub async fn next(&mut self) {
        if self.received.recv().await.is_none() {
            std::future::pending().await
        }
    }
}
