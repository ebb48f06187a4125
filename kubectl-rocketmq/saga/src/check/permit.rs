//! A permit for tests of changing calls: the executor gives it to a step that is nothing but the test.

use std::sync::{Arc, Mutex};

use futures::future::BoxFuture;
use serde_json::Value;

use super::{CLUSTER, Violation};
use crate::executor::Executor;
use crate::interrupt::Interrupt;
use crate::lock::MemoryLock;
use crate::operation::Operation;
use crate::outcome::Outcome;
use crate::permit::Permit;
use crate::progress::Silent;
use crate::step::{Change, Seen, Step, StepError};
use crate::store::MemoryJournals;

type Act<T> = Box<dyn for<'p> FnOnce(&'p Permit) -> BoxFuture<'p, T> + Send>;

/// A step that does one act and keeps its result.
struct Once<T> {
    act: Mutex<Option<Act<T>>>,
    result: Arc<Mutex<Option<T>>>,
}

impl<T: Send> Step<()> for Once<T> {
    type Before = ();
    const NAME: &'static str = "once";

    fn describe(&self) -> Change {
        Change::new("act once")
    }

    async fn look(&self, _world: &()) -> Result<Seen<()>, StepError> {
        Ok(Seen::Todo(()))
    }

    async fn apply(&self, _world: &(), permit: &Permit, _before: &()) -> Result<(), StepError> {
        let act = self.act.lock().ok().and_then(|mut act| act.take());
        let act = act.ok_or_else(|| StepError::new("there is nothing to do"))?;
        let done = act(permit).await;
        if let Ok(mut result) = self.result.lock() {
            *result = Some(done);
        }
        Ok(())
    }

    async fn confirm(&self, _world: &()) -> Result<(), StepError> {
        Ok(())
    }

    async fn undo(&self, _world: &(), _permit: &Permit, _before: &()) -> Result<(), StepError> {
        Ok(())
    }
}

/// Makes a changing call as the only step of an operation in memory, and returns what it returned.
///
/// # Errors
/// When the executor did not come to its end.
pub async fn under_permit<T: Send + 'static>(
    act: impl for<'p> FnOnce(&'p Permit) -> BoxFuture<'p, T> + Send + 'static,
) -> Result<T, Violation> {
    let result = Arc::new(Mutex::new(None));
    let once = Once { act: Mutex::new(Some(Box::new(act))), result: Arc::clone(&result) };
    let operation = Operation {
        kind: "once".to_owned(),
        format: 1,
        title: "act once".to_owned(),
        params: Value::Null,
        steps: vec![Box::new(once)],
        afterwards: Vec::new(),
        ends_cluster: false,
    };
    let (journals, lock, interrupt) = (MemoryJournals::default(), MemoryLock::default(), Interrupt::new());
    let violation = |what: String| Violation { when: "under a permit".to_owned(), what };
    let executor = Executor::new(&(), &journals, &lock, &Silent, &interrupt);
    let end = executor.run(CLUSTER, &operation).await.map_err(|refusal| violation(refusal.to_string()))?;
    let result = result.lock().ok().and_then(|mut result| result.take());
    match (end.outcome, result) {
        (Outcome::Done, Some(result)) => Ok(result),
        (outcome, _) => Err(violation(format!("it came to {outcome:?}"))),
    }
}
