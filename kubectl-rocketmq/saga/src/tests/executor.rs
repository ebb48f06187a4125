//! Runs, resumes, undos and refusals on the fake world.

use std::sync::Mutex;
use std::time::Duration;

use crate::tests::{Fill, Seal, World, abc, half_done, mark};
use crate::{
    Change, End, Executor, Failure, Interrupt, JournalStore, MemoryJournals, MemoryLock, Observer, Operation,
    OperationKind, Outcome, Progress, Refusal, Registry, Repair, Silent, Status, StepError, check, plan,
};

/// Keeps progress as lines.
#[derive(Default)]
pub(super) struct Lines(pub(super) Mutex<Vec<String>>);

impl Observer for Lines {
    fn observe(&self, progress: Progress<'_>) {
        let line = match progress {
            Progress::Journaled { .. } => "journaled".to_owned(),
            Progress::Started { step, of, change } => format!("{step}/{of} {change}"),
            Progress::Done { step, already, .. } => {
                format!("{step} done{}", if already { " already" } else { "" })
            }
            Progress::Failed { step, error, .. } => format!("{step} failed: {error}"),
            Progress::Paused { step, error, .. } => format!("{step} paused: {error}"),
            Progress::UndoStarted { step, .. } => format!("{step} undo"),
            Progress::Undone { step, .. } => format!("{step} undone"),
            Progress::UndoFailed { step, error, .. } => format!("{step} undo failed: {error}"),
            Progress::Waiting { what } | Progress::Warning { what } => what.to_owned(),
        };
        self.0.lock().unwrap().push(line);
    }
}

/// A world with its journals and lock.
#[derive(Default)]
pub(super) struct Place {
    pub(super) world: World,
    pub(super) journals: MemoryJournals,
    pub(super) lock: MemoryLock,
    pub(super) interrupt: Interrupt,
    pub(super) lines: Lines,
}

impl Place {
    fn on(world: World) -> Self {
        Self { world, ..Self::default() }
    }

    pub(super) fn executor(&self) -> Executor<'_, World, MemoryJournals, MemoryLock> {
        Executor::new(&self.world, &self.journals, &self.lock, &self.lines, &self.interrupt)
    }

    pub(super) async fn run<K: OperationKind<World, Params = Vec<(String, u32)>>>(&self) -> End {
        let operation = Operation::new::<K>(&abc()).unwrap();
        self.executor().run("demo", &operation).await.unwrap()
    }

    async fn resume(&self, id: &str) -> Result<End, Refusal> {
        self.executor().resume(id, &Registry::new().with::<Fill>().with::<Seal>()).await
    }

    async fn undo(&self, id: &str) -> Result<End, Refusal> {
        self.executor().undo(id, &Registry::new().with::<Fill>().with::<Seal>()).await
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.lines.0.lock().unwrap().clone()
    }
}

fn failure(step: usize, sentence: &str, error: &str) -> Failure {
    Failure { step, change: Change::new(sentence), error: StepError::new(error) }
}

fn waiting(step: usize, sentence: &str, error: &str) -> Failure {
    Failure { error: StepError::paused(error), ..failure(step, sentence, "") }
}

#[tokio::test]
async fn an_operation_passes_the_four_checks() {
    let scenario = check::Scenario::new::<Fill>(abc(), half_done, World::values);
    check::unwinds_at_every_step(&scenario).await.unwrap();
    check::every_step_twice(&scenario).await.unwrap();
    check::killed_after_every_event_then_resumed(&scenario).await.unwrap();
    check::killed_then_undone(&scenario).await.unwrap();
}

#[tokio::test]
async fn an_operation_with_a_point_of_no_return_passes_the_four_checks() {
    // What is swept afterwards is no part of the promise: a kill leaves it.
    let values = |world: &World| {
        let mut values = world.values();
        values.remove("swept");
        values
    };
    let scenario = check::Scenario::new::<Seal>(abc(), World::default, values);
    check::unwinds_at_every_step(&scenario).await.unwrap();
    check::every_step_twice(&scenario).await.unwrap();
    check::killed_after_every_event_then_resumed(&scenario).await.unwrap();
    check::killed_then_undone(&scenario).await.unwrap();
}

#[tokio::test]
async fn a_step_whose_undo_forgets_something_is_caught() {
    struct Forgetful;
    impl OperationKind<World> for Forgetful {
        type Params = Vec<(String, u32)>;
        const NAME: &'static str = "forgetful";
        fn title(_: &Self::Params) -> String {
            String::new()
        }
        fn steps(params: &Self::Params) -> crate::Steps<World> {
            Fill::steps(params)
        }
    }
    let sticky = || {
        let world = half_done();
        mark(&world.sticky, "a");
        world
    };
    let scenario = check::Scenario::new::<Forgetful>(abc(), sticky, World::values);
    let violation = check::unwinds_at_every_step(&scenario).await.unwrap_err();
    assert_eq!(violation.when, "step 1 fails at BeforeApply");
}

#[tokio::test]
async fn the_plan_is_what_runs_and_progress_tells_each_step() {
    let place = Place::on(half_done());
    let operation = Operation::new::<Fill>(&abc()).unwrap();
    let planned: Vec<String> = plan(operation.steps()).iter().map(Change::to_string).collect();
    assert_eq!(planned, ["set a to 1", "set b to 2", "set c to 3"]);
    let end = place.run::<Fill>().await;
    assert_eq!(end.outcome, Outcome::Done);
    let expected = [
        "journaled",
        "1/3 set a to 1",
        "1 done",
        "2/3 set b to 2",
        "2 done already",
        "3/3 set c to 3",
        "3 done",
    ];
    assert_eq!(place.lines(), expected);
    assert_eq!((end.journal.status(), end.journal.steps_done()), (Status::Done, 3));
}

#[tokio::test]
async fn a_failed_step_takes_everything_back() {
    let place = Place::on(half_done());
    mark(&place.world.broken, "c");
    let end = place.run::<Fill>().await;
    let failure = failure(3, "set c to 3", "c is broken");
    assert_eq!(end.outcome, Outcome::Undone { failure: Some(failure) });
    assert_eq!(place.world.values(), half_done().values());
    assert_eq!(
        place.lines()[5..],
        ["3/3 set c to 3", "3 failed: c is broken", "3 undo", "3 undone", "1 undo", "1 undone"]
    );
}

#[tokio::test]
async fn an_undo_that_fails_keeps_those_before_it_from_being_tried_and_says_what_to_repair() {
    let place = Place::on(World::default());
    mark(&place.world.broken, "c");
    mark(&place.world.sticky, "b");
    let end = place.run::<Fill>().await;
    let repair = Repair {
        step: 2,
        object: "b".to_owned(),
        change: Change::new("set b to 2"),
        error: StepError::new("b sticks"),
    };
    let failure = failure(3, "set c to 3", "c is broken");
    assert_eq!(end.outcome, Outcome::Stuck { failure: Some(failure), repair });
    assert_eq!(place.world.values(), World::with(&[("a", 1), ("b", 2)]).values());

    // Repaired by hand, the same undo ends.
    place.world.sticky.lock().unwrap().clear();
    let end = place.undo(end.journal.id()).await.unwrap();
    assert!(matches!(end.outcome, Outcome::Undone { .. }), "{:?}", end.outcome);
    assert_eq!(place.world.values(), World::default().values());
}

#[tokio::test]
async fn after_the_point_of_no_return_an_error_pauses_undo_is_refused_and_resume_goes_forward() {
    let place = Place::on(World::default());
    mark(&place.world.broken, "c");
    let end = place.run::<Seal>().await;
    assert_eq!(end.outcome, Outcome::Paused { failure: failure(3, "set c to 3", "c is broken") });
    let id = end.journal.id();
    let refusal = place.undo(id).await.unwrap_err();
    assert_eq!(
        refusal.to_string(),
        format!(
            "operation `{id}` cannot be undone: step 2 (set b to 2) has started and cannot be taken back"
        )
    );
    place.world.broken.lock().unwrap().clear();
    assert_eq!(place.resume(id).await.unwrap().outcome, Outcome::Done);
    assert_eq!(place.world.values().get("c"), Some(&3));
    assert_eq!(place.world.values().get("swept"), Some(&1), "what comes after the journal's end");
}

#[tokio::test]
async fn an_interrupt_finishes_the_step_and_resume_ends_the_rest() {
    let place = Place::on(World::default());
    place.interrupt.after_step("interrupted");
    let end = place.run::<Fill>().await;
    assert_eq!(end.outcome, Outcome::Interrupted { reason: "interrupted".to_owned(), in_doubt: None });
    assert_eq!(end.journal.status(), Status::Paused);
    let again = Place { interrupt: Interrupt::new(), ..place };
    assert_eq!(again.resume(end.journal.id()).await.unwrap().outcome, Outcome::Done);
    assert_eq!(again.world.fences.lock().unwrap().as_slice(), [2, 2, 2], "the second holder's fence");
}

#[tokio::test]
async fn a_step_that_is_left_at_once_is_in_doubt_and_can_be_undone() {
    let place = Place::on(World::default());
    place.world.let_last("b", Duration::from_secs(3600));
    let operation = Operation::new::<Fill>(&abc()).unwrap();
    let (end, ()) = tokio::join!(async { place.executor().run("demo", &operation).await.unwrap() }, async {
        while place.world.values().len() < 2 {
            tokio::task::yield_now().await;
        }
        place.interrupt.now("timeout");
    });
    assert_eq!(end.outcome, Outcome::Interrupted { reason: "timeout".to_owned(), in_doubt: Some(2) });
    let end = place.undo(end.journal.id()).await.unwrap();
    assert_eq!(end.outcome, Outcome::Undone { failure: None }, "undo does not look at the interrupt");
    assert_eq!(place.world.values(), World::default().values());
}

#[tokio::test]
async fn a_step_that_waits_for_its_user_is_tried_again_or_undone() {
    let place = Place::on(half_done());
    mark(&place.world.held, "c");
    let end = place.run::<Fill>().await;
    assert_eq!(end.outcome, Outcome::Waiting { failure: waiting(3, "set c to 3", "c is held") });
    assert_eq!(end.journal.status(), Status::Paused);
    assert_eq!(place.lines().last().unwrap(), "3 paused: c is held");
    let id = end.journal.id();
    let again = place.resume(id).await.unwrap();
    assert_eq!(again.outcome, end.outcome, "as often as it likes");
    let undone = Place { world: place.world, journals: place.journals, ..Place::default() };
    let end = undone.undo(id).await.unwrap();
    assert_eq!(end.outcome, Outcome::Undone { failure: None });
    assert_eq!(undone.world.values(), half_done().values());

    let place = Place::on(World::default());
    mark(&place.world.held, "b");
    let id = place.run::<Fill>().await.journal.id().to_owned();
    place.world.held.lock().unwrap().clear();
    assert_eq!(place.resume(&id).await.unwrap().outcome, Outcome::Done);
}

#[tokio::test]
async fn after_the_point_of_no_return_a_step_that_waits_is_only_tried_again() {
    let place = Place::on(World::default());
    mark(&place.world.held, "c");
    let id = place.run::<Seal>().await.journal.id().to_owned();
    assert!(matches!(place.undo(&id).await, Err(Refusal::PastNoReturn { step: 2, .. })));
    place.world.held.lock().unwrap().clear();
    assert_eq!(place.resume(&id).await.unwrap().outcome, Outcome::Done);
}

#[tokio::test]
async fn a_step_that_only_waits_is_left_at_the_first_wish_and_is_in_no_doubt() {
    let place = Place::on(World::default());
    place.world.let_last("wait", Duration::from_secs(3600));
    let values = vec![("a".to_owned(), 1), ("wait".to_owned(), 2)];
    let operation = Operation::new::<Fill>(&values).unwrap();
    let (end, ()) = tokio::join!(async { place.executor().run("demo", &operation).await.unwrap() }, async {
        while place.world.values().len() < 2 {
            tokio::task::yield_now().await;
        }
        place.interrupt.after_step("interrupted");
    });
    assert_eq!(end.outcome, Outcome::Interrupted { reason: "interrupted".to_owned(), in_doubt: None });
    assert_eq!((end.journal.status(), end.journal.steps_done()), (Status::Paused, 1));
    let end = place.undo(end.journal.id()).await.unwrap();
    assert_eq!(end.outcome, Outcome::Undone { failure: None });
    assert_eq!(place.world.values(), World::default().values());
}

#[tokio::test]
async fn a_run_that_was_killed_after_a_wait_waits_once_more_but_not_when_it_went_on() {
    let values = vec![("a".to_owned(), 1), ("wait".to_owned(), 2), ("c".to_owned(), 3)];
    let operation = Operation::new::<Fill>(&values).unwrap();
    let whole = Place::default().executor().run("demo", &operation).await.unwrap().journal;
    let resumed_after = async |events: usize| {
        let place = Place::default();
        let mut revision = place.journals.create(whole.header()).await.unwrap();
        for (number, entry) in whole.entries().iter().take(events).enumerate() {
            revision = place.journals.append(whole.id(), &revision, number, entry).await.unwrap();
        }
        assert_eq!(place.resume(whole.id()).await.unwrap().outcome, Outcome::Done);
        place.world.values().into_keys().collect::<Vec<String>>()
    };
    // Nothing is in the world but what a resumed run does again.
    assert_eq!(resumed_after(2).await, ["c", "wait"], "done: a");
    assert_eq!(resumed_after(3).await, ["c", "wait"], "begun: wait");
    assert_eq!(resumed_after(4).await, ["c", "wait"], "done: wait");
    assert_eq!(resumed_after(5).await, ["c"], "begun: c");
}

#[tokio::test]
async fn one_unfinished_operation_keeps_the_next_from_beginning() {
    let place = Place::on(World::default());
    place.interrupt.after_step("interrupted");
    let id = place.run::<Fill>().await.journal.id().to_owned();
    let operation = Operation::new::<Fill>(&abc()).unwrap();
    let refusal = place.executor().run("demo", &operation).await.unwrap_err();
    assert_eq!(
        refusal.to_string(),
        format!("operation `{id}` (fill 3 values) is paused: resume or undo it first")
    );
    let interrupt = Interrupt::new();
    let elsewhere = Executor::new(&place.world, &place.journals, &place.lock, &Silent, &interrupt);
    let end = elsewhere.run("other", &operation).await.unwrap();
    assert_eq!(end.outcome, Outcome::Done, "another cluster is free");
}

#[tokio::test]
async fn what_has_ended_is_neither_resumed_nor_undone() {
    let place = Place::on(World::default());
    let id = place.run::<Fill>().await.journal.id().to_owned();
    let expected = format!("operation `{id}` is done already");
    assert_eq!(place.resume(&id).await.unwrap_err().to_string(), expected);
    assert_eq!(place.undo(&id).await.unwrap_err().to_string(), expected);
    assert_eq!(place.undo("op-0").await.unwrap_err().to_string(), "there is no operation `op-0`");
}

#[tokio::test]
async fn kinds_and_formats_that_are_not_known_are_refused() {
    struct NextFill;
    impl OperationKind<World> for NextFill {
        type Params = Vec<(String, u32)>;
        const NAME: &'static str = "fill";
        const FORMAT: u32 = 2;
        fn title(_: &Self::Params) -> String {
            String::new()
        }
        fn steps(params: &Self::Params) -> crate::Steps<World> {
            Fill::steps(params)
        }
    }
    struct ShortFill;
    impl OperationKind<World> for ShortFill {
        type Params = Vec<(String, u32)>;
        const NAME: &'static str = "fill";
        fn title(_: &Self::Params) -> String {
            String::new()
        }
        fn steps(params: &Self::Params) -> crate::Steps<World> {
            Fill::steps(&params[1..].to_vec())
        }
    }
    let place = Place::on(World::default());
    place.interrupt.after_step("interrupted");
    let id = place.run::<Fill>().await.journal.id().to_owned();
    let version = env!("CARGO_PKG_VERSION");
    let reason = |refusal: Refusal| std::error::Error::source(&refusal).unwrap().to_string();
    let unknown = place.executor().resume(&id, &Registry::new()).await.unwrap_err();
    assert_eq!(
        reason(unknown),
        format!("this version does not know operations of kind `fill` (written by version {version})")
    );
    let format = place.executor().undo(&id, &Registry::new().with::<NextFill>()).await.unwrap_err();
    assert_eq!(
        reason(format),
        format!("operation of kind `fill` has format 1, this version knows 2 (written by version {version})")
    );
    let other = place.executor().undo(&id, &Registry::new().with::<ShortFill>()).await.unwrap_err();
    assert_eq!(
        reason(other),
        format!(
            "this version would do other steps than the operation was planned with (written by version {version})"
        )
    );
    let stored = place.journals.load(&id).await.unwrap().unwrap();
    assert_eq!(stored.journal.status(), Status::Paused, "nothing was changed");
}

#[tokio::test]
async fn a_test_of_a_changing_call_gets_its_permit_from_the_executor() {
    let fence = check::under_permit(|permit| Box::pin(async move { permit.fence() })).await.unwrap();
    assert_eq!(fence, 1);
}

#[test]
fn a_run_can_be_moved_between_threads() {
    fn moves<T: Send>(_: &T) {}
    let (place, operation) = (Place::default(), Operation::new::<Fill>(&abc()).unwrap());
    let (executor, registry) = (place.executor(), Registry::new());
    moves(&executor.run("demo", &operation));
    moves(&executor.resume("op-1", &registry));
    moves(&executor.undo("op-1", &registry));
}
