//! The caller's wish to stop: after the current step, or at once.

use tokio::sync::watch;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum Wish {
    #[default]
    GoOn,
    AfterStep(String),
    Now(String),
}

/// A flag between whoever watches signals and deadlines and the executor. Undo does not look at it.
#[derive(Debug, Clone)]
pub struct Interrupt {
    wish: watch::Sender<Wish>,
}

impl Default for Interrupt {
    fn default() -> Self {
        Self { wish: watch::Sender::new(Wish::GoOn) }
    }
}

impl Interrupt {
    /// A flag that nobody has raised yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks to finish the current step and stop, or to leave one that only waits; `reason` is for the journal, for example "interrupted".
    pub fn after_step(&self, reason: impl Into<String>) {
        let reason = reason.into();
        self.wish.send_if_modified(|wish| {
            let first = *wish == Wish::GoOn;
            if first {
                *wish = Wish::AfterStep(reason);
            }
            first
        });
    }

    /// Asks to leave the current step where it is; the journal then says that it is in doubt.
    pub fn now(&self, reason: impl Into<String>) {
        self.wish.send_replace(Wish::Now(reason.into()));
    }

    /// The reason to stop before the next step, if there is one.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        match &*self.wish.borrow() {
            Wish::GoOn => None,
            Wish::AfterStep(reason) | Wish::Now(reason) => Some(reason.clone()),
        }
    }

    /// Comes true when the current step shall be left; never otherwise. One that may be left at any moment is left at
    /// the first wish to stop.
    pub(crate) async fn leaves(&self, interruptible: bool) -> String {
        let mut wishes = self.wish.subscribe();
        loop {
            match &*wishes.borrow_and_update() {
                Wish::Now(reason) => return reason.clone(),
                Wish::AfterStep(reason) if interruptible => return reason.clone(),
                _ => {}
            }
            if wishes.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }
}
