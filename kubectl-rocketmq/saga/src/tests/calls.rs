//! The check of every call finds what the others do not: a step that is cut inside.

use std::collections::BTreeMap;
use std::sync::Mutex;

use serde::{Deserialize, Serialize};

use crate::check::{self, Access, Calls, CountsCalls, Scenario, Violation};
use crate::{Change, OperationKind, Permit, Seen, Step, StepError, Steps};

const KEYS: [&str; 2] = ["a", "b"];

#[derive(Debug, Default)]
struct World {
    values: Mutex<BTreeMap<String, u32>>,
    calls: Calls,
}

impl CountsCalls for World {
    fn calls(&self) -> &Calls {
        &self.calls
    }
}

impl World {
    async fn get(&self, key: &str) -> Result<u32, StepError> {
        let act = async { Ok(self.values.lock().unwrap().get(key).copied().unwrap_or_default()) };
        self.calls.call("get", Access::Reads, StepError::new, act).await
    }

    async fn put(&self, key: &str, value: u32) -> Result<(), StepError> {
        let act = async {
            self.values.lock().unwrap().insert(key.to_owned(), value);
            Ok(())
        };
        self.calls.call("put", Access::Writes, StepError::new, act).await
    }
}

/// What is wrong with the step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Flaw {
    None,
    /// It takes a half-done act for a done one.
    LooksAtTheFirst,
    /// It does not care what the second call says, nor reads back.
    SwallowsTheSecond,
    /// Its undo takes the first value for both.
    UndoesTheFirst,
}

/// Sets two values.
#[derive(Debug, Clone, Copy)]
struct SetBoth(Flaw);

impl Step<World> for SetBoth {
    type Before = ();
    const NAME: &'static str = "set-both";

    fn describe(&self) -> Change {
        Change::new("set both")
    }

    async fn look(&self, _world: &World) -> Result<Seen<()>, StepError> {
        Ok(Seen::Todo(()))
    }

    async fn apply(&self, world: &World, _permit: &Permit, _before: &()) -> Result<(), StepError> {
        if self.0 == Flaw::LooksAtTheFirst && world.get("a").await? == 7 {
            return Ok(());
        }
        world.put("a", 7).await?;
        let second = world.put("b", 7).await;
        if self.0 == Flaw::SwallowsTheSecond { Ok(()) } else { second }
    }

    async fn confirm(&self, world: &World) -> Result<(), StepError> {
        let read_back = if self.0 == Flaw::SwallowsTheSecond { &KEYS[..1] } else { &KEYS };
        for key in read_back {
            if world.get(key).await? != 7 {
                return Err(StepError::new(format!("{key} is not 7")));
            }
        }
        Ok(())
    }

    async fn undo(&self, world: &World, _permit: &Permit, _before: &()) -> Result<(), StepError> {
        if self.0 == Flaw::UndoesTheFirst && world.get("a").await? == 0 {
            return Ok(());
        }
        world.put("a", 0).await?;
        world.put("b", 0).await
    }
}

struct Both;

impl OperationKind<World> for Both {
    type Params = Flaw;
    const NAME: &'static str = "both";

    fn title(_: &Flaw) -> String {
        "set both".to_owned()
    }

    fn steps(flaw: &Flaw) -> Steps<World> {
        vec![Box::new(SetBoth(*flaw))]
    }
}

async fn checked(flaw: Flaw) -> Result<(), Violation> {
    let values = |world: &World| {
        let values = world.values.lock().unwrap();
        KEYS.map(|key| values.get(key).copied().unwrap_or_default())
    };
    let scenario = Scenario::new::<Both>(flaw, World::default, values);
    check::unwinds_at_every_step(&scenario).await.unwrap();
    check::every_step_twice(&scenario).await.unwrap();
    check::killed_after_every_event_then_resumed(&scenario).await.unwrap();
    check::killed_then_undone(&scenario).await.unwrap();
    check::faults_at_every_call(&scenario).await
}

#[tokio::test]
async fn a_step_that_is_cut_inside_is_found_wherever_it_is_wrong() {
    assert_eq!(checked(Flaw::None).await, Ok(()));
    for (flaw, when) in [
        (Flaw::LooksAtTheFirst, "run: DiesAfterwards at call 1, `put`, then Resumed"),
        (Flaw::SwallowsTheSecond, "run: Errors at call 1, `put`, then Resumed"),
        (Flaw::UndoesTheFirst, "undo: DiesAfterwards at call 1, `put`, then Resumed"),
    ] {
        assert_eq!(checked(flaw).await.unwrap_err().when, when);
    }
}
