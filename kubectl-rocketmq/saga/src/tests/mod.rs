//! A small fake world and the operations on it that the tests of this crate run.

#![expect(clippy::disallowed_methods, reason = "the clock is paused, so a sleep takes no time")]

mod calls;
mod executor;
mod locked;
mod transitions;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Change, OperationKind, Permit, Reversal, Seen, Step, StepError, Steps};

/// Values under keys, and what goes wrong with them.
#[derive(Debug, Default)]
pub(super) struct World {
    values: Mutex<BTreeMap<String, u32>>,
    /// Keys whose undo fails.
    sticky: Mutex<BTreeSet<String>>,
    /// Keys whose act fails.
    broken: Mutex<BTreeSet<String>>,
    /// Keys whose act waits for the user.
    held: Mutex<BTreeSet<String>>,
    /// How long acts last after they have set their value.
    lasts: Mutex<BTreeMap<String, Duration>>,
    fences: Mutex<Vec<u64>>,
}

impl World {
    fn with(values: &[(&str, u32)]) -> Self {
        let world = Self::default();
        *world.values.lock().unwrap() =
            values.iter().map(|(key, value)| ((*key).to_owned(), *value)).collect();
        world
    }

    fn values(&self) -> BTreeMap<String, u32> {
        self.values.lock().unwrap().clone()
    }

    fn let_last(&self, key: &str, lasts: Duration) {
        self.lasts.lock().unwrap().insert(key.to_owned(), lasts);
    }

    fn set(&self, key: &str, value: Option<u32>) {
        let mut values = self.values.lock().unwrap();
        match value {
            Some(value) => values.insert(key.to_owned(), value),
            None => values.remove(key),
        };
    }
}

fn mark(keys: &Mutex<BTreeSet<String>>, key: &str) {
    keys.lock().unwrap().insert(key.to_owned());
}

fn marked(keys: &Mutex<BTreeSet<String>>, key: &str) -> bool {
    keys.lock().unwrap().contains(key)
}

/// Sets one value.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Set {
    key: String,
    value: u32,
    reversal: Reversal,
}

impl Step<World> for Set {
    type Before = Option<u32>;
    const NAME: &'static str = "set";

    fn instance(&self) -> String {
        self.key.clone()
    }

    fn describe(&self) -> Change {
        Change::new(format!("set {} to {}", self.key, self.value))
    }

    async fn look(&self, world: &World) -> Result<Seen<Option<u32>>, StepError> {
        let value = world.values().get(&self.key).copied();
        Ok(if value == Some(self.value) { Seen::Done } else { Seen::Todo(value) })
    }

    async fn apply(&self, world: &World, permit: &Permit, _before: &Option<u32>) -> Result<(), StepError> {
        if marked(&world.broken, &self.key) {
            return Err(StepError::new(format!("{} is broken", self.key)));
        }
        if marked(&world.held, &self.key) {
            return Err(StepError::paused(format!("{} is held", self.key)));
        }
        world.fences.lock().unwrap().push(permit.fence());
        world.set(&self.key, Some(self.value));
        let lasts = world.lasts.lock().unwrap().get(&self.key).copied().unwrap_or_default();
        tokio::time::sleep(lasts).await;
        Ok(())
    }

    async fn confirm(&self, world: &World) -> Result<(), StepError> {
        match world.values().get(&self.key) {
            Some(value) if *value == self.value => Ok(()),
            other => Err(StepError::new(format!("{} is {other:?}", self.key))),
        }
    }

    async fn undo(&self, world: &World, _permit: &Permit, before: &Option<u32>) -> Result<(), StepError> {
        if marked(&world.sticky, &self.key) {
            return Err(StepError::new(format!("{} sticks", self.key)));
        }
        world.set(&self.key, *before);
        Ok(())
    }

    fn reversal(&self) -> Reversal {
        self.reversal
    }

    /// By its name.
    fn interruptible(&self) -> bool {
        self.key == "wait"
    }
}

fn sets(values: &[(String, u32)], no_return: Option<usize>) -> Steps<World> {
    let step = |(number, (key, value)): (usize, &(String, u32))| {
        let reversal = if no_return == Some(number) { Reversal::PointOfNoReturn } else { Reversal::Undoable };
        Box::new(Set { key: key.clone(), value: *value, reversal }) as _
    };
    values.iter().enumerate().map(step).collect()
}

/// Sets some values, one a step.
pub(super) struct Fill;

impl OperationKind<World> for Fill {
    type Params = Vec<(String, u32)>;
    const NAME: &'static str = "fill";

    fn title(params: &Self::Params) -> String {
        format!("fill {} values", params.len())
    }

    fn steps(params: &Self::Params) -> Steps<World> {
        sets(params, None)
    }
}

/// Sets some values; the second cannot be taken back.
pub(super) struct Seal;

impl OperationKind<World> for Seal {
    type Params = Vec<(String, u32)>;
    const NAME: &'static str = "seal";
    const ENDS_CLUSTER: bool = true;

    fn title(_params: &Self::Params) -> String {
        "seal".to_owned()
    }

    fn steps(params: &Self::Params) -> Steps<World> {
        sets(params, Some(1))
    }

    fn afterwards(_params: &Self::Params) -> Steps<World> {
        sets(&[("swept".to_owned(), 1)], None)
    }
}

/// Values 1, 2, 3 under `a`, `b`, `c`.
pub(super) fn abc() -> Vec<(String, u32)> {
    [("a", 1), ("b", 2), ("c", 3)].map(|(key, value)| (key.to_owned(), value)).into()
}

/// A world in which `b` is as wanted already.
pub(super) fn half_done() -> World {
    World::with(&[("a", 9), ("b", 2)])
}
