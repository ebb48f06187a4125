//! A command that has read everything and changed nothing: its plan is shown, then it runs.

use std::convert::Infallible;
use std::time::Duration;

use k8s::objects::Object;
use saga::{Executor, Journal, Operation, OperationKind, Reversal, StepState as JournalState};

use super::end::{self, Ending};
use super::{Confirmation, RunOptions, WaitFor};
use crate::aftermath::{Aftermath, await_owned};
use crate::error::OpsError;
use crate::live::{LiveWorld, Unproved};
use crate::operations::delete::{Delete, DeleteCluster, Planned};
use crate::operations::registry;
use crate::progress::{Interrupt, Observer, Translator, tell};
use crate::report::{
    API_VERSION, CommandReport, NextCommand, OperationPlan, OperationReport, PlanReport, PlannedStep,
};
use crate::session::Session;

/// How long a step that runs when the time is over may take to end.
const GRACE: Duration = Duration::from_secs(30);

/// A command that is ready to run.
#[derive(Debug)]
pub struct Prepared {
    session: Session,
    pub(super) plan: PlanReport,
    pub(super) objects: Vec<Object>,
    confirmation: Option<Confirmation>,
    work: Vec<Work>,
}

/// One operation of a command.
#[derive(Debug)]
enum Work {
    New(Operation<LiveWorld>),
    Stored(String, Way),
}

/// What becomes of an operation of the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Resume,
    Undo,
}

impl Prepared {
    pub(super) fn new(session: &Session) -> Self {
        let plan = PlanReport {
            api_version: API_VERSION,
            kind: "Plan",
            operations: Vec::new(),
            unchanged: Vec::new(),
            warnings: Vec::new(),
        };
        Self { session: session.clone(), plan, objects: Vec::new(), confirmation: None, work: Vec::new() }
    }

    /// Adds an operation to run.
    pub(super) fn add<K: OperationKind<LiveWorld>>(
        &mut self,
        cluster: &str,
        params: &K::Params,
        stays: Vec<String>,
    ) -> Result<(), OpsError> {
        let operation = Operation::new::<K>(params).map_err(|error| OpsError::failed(error.to_string()))?;
        let steps = operation.steps().iter().enumerate().map(|(index, step)| {
            let change = step.describe();
            PlannedStep {
                number: index + 1,
                sentence: change.sentence,
                from: change.from,
                to: change.to,
                point_of_no_return: step.reversal() == Reversal::PointOfNoReturn,
                state: None,
            }
        });
        self.plan.operations.push(OperationPlan {
            operation: None,
            operation_kind: K::NAME.to_owned(),
            title: operation.title().to_owned(),
            cluster: cluster.to_owned(),
            namespace: self.session.namespace().to_owned(),
            steps: steps.collect(),
            stays,
        });
        self.work.push(Work::New(operation));
        Ok(())
    }

    /// Adds a deletion, and what has to be asked before it.
    pub(super) fn add_deletion(&mut self, planned: Planned) -> Result<(), OpsError> {
        let Planned { params, whole, stays, loses_data_of } = planned;
        let what = if whole { format!("cluster `{}`", params.cluster) } else { params.documents.join(", ") };
        let cluster = params.cluster.clone();
        let confirmation = if loses_data_of.is_empty() {
            Confirmation::YesOrNo { question: format!("delete {what}?") }
        } else {
            self.plan.warnings.push(format!("data in the pods of {} are lost", loses_data_of.join(", ")));
            Confirmation::TypeName {
                question: format!("delete {what} and its data? Type the name of the cluster, `{cluster}`"),
                name: cluster.clone(),
            }
        };
        // Where data of one cluster of several are lost, that question is asked.
        if self.confirmation.is_none() || matches!(confirmation, Confirmation::TypeName { .. }) {
            self.confirmation = Some(confirmation);
        }
        if whole {
            self.add::<DeleteCluster>(&cluster, &params, stays)
        } else {
            self.add::<Delete>(&cluster, &params, stays)
        }
    }

    /// Adds what is left of an operation of the journal, or its way back.
    pub(super) fn add_stored(&mut self, journal: &Journal, way: Way) {
        let header = journal.header();
        self.plan.operations.push(OperationPlan {
            operation: Some(header.id.clone()),
            operation_kind: header.kind.clone(),
            title: match way {
                Way::Resume => header.title.clone(),
                Way::Undo => format!("undo: {}", header.title),
            },
            cluster: header.cluster.clone(),
            namespace: self.session.namespace().to_owned(),
            steps: journaled_steps(journal),
            stays: Vec::new(),
        });
        self.work.push(Work::Stored(header.id.clone(), way));
    }

    /// Asks for a yes before the operations of the plan, if there are any.
    pub(super) fn ask_whether(&mut self) {
        let titles: Vec<&str> =
            self.plan.operations.iter().map(|operation| operation.title.as_str()).collect();
        if !titles.is_empty() {
            self.confirmation = Some(Confirmation::YesOrNo { question: format!("{}?", titles.join("; ")) });
        }
    }

    /// Asks for the number of messages that the plan abandons, if there are any.
    pub(super) fn ask_how_many(&mut self, abandons: u64) {
        if abandons > 0 {
            let question = format!("{abandons} message(s) that nobody has consumed would be lost. How many?");
            self.confirmation = Some(Confirmation::TypeNumber { question, number: abandons });
        }
    }

    /// The plan, for printing.
    #[must_use]
    pub fn plan(&self) -> &PlanReport {
        &self.plan
    }

    /// True when everything is as wanted already.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.work.is_empty()
    }

    /// What to ask first; `None` when nothing has to be asked.
    #[must_use]
    pub fn confirmation(&self) -> Option<&Confirmation> {
        self.confirmation.as_ref()
    }

    /// Lets the API server check every object that would be written.
    ///
    /// # Errors
    /// `Refused`, with everything that it objects to.
    pub async fn dry_run_on_server(&self) -> Result<(), OpsError> {
        use crate::world::World;
        let world = self.session.world(Unproved::Refused);
        let mut objections = Vec::new();
        for object in &self.objects {
            if let Err(error) = world.check_on_server(object).await {
                objections.push(error.to_string());
            }
        }
        if objections.is_empty() {
            return Ok(());
        }
        Err(OpsError::refused("the API server would not take every object").causes(objections))
    }

    /// Runs the operations one after the other.
    ///
    /// # Errors
    /// See [`crate::error::ErrorKind`]; the error's state says what became of the operation.
    pub async fn run(
        &self,
        options: RunOptions,
        observer: &dyn Observer,
        interrupt: &Interrupt,
    ) -> Result<CommandReport, OpsError> {
        let mut report = CommandReport {
            api_version: API_VERSION,
            kind: "Report",
            operations: Vec::new(),
            unchanged: self.plan.unchanged.clone(),
            warnings: self.plan.warnings.clone(),
            next: Vec::new(),
        };
        let world = self.session.world(Unproved::Refused);
        let work = async {
            for (work, plan) in self.work.iter().zip(&self.plan.operations) {
                let done =
                    self.run_one(&world, work, plan, observer, interrupt, &mut report.warnings).await?;
                report.operations.push(done);
            }
            if options.wait == WaitFor::Owned {
                await_owned(&world, &mut report.operations, interrupt, self.session.namespace()).await?;
            }
            Ok::<(), OpsError>(())
        };
        tokio::select! {
            result = work => result?,
            never = tell(world.told(), observer) => match never {},
            never = end_in_time(options.timeout, interrupt) => match never {},
        }
        let clusters: Vec<&OperationReport> =
            report.operations.iter().filter(|operation| operation.clients_name_servers.is_some()).collect();
        report.next = clusters
            .iter()
            .map(|operation| NextCommand {
                command: format!("kubectl rocketmq status {} -n {}", operation.cluster, operation.namespace),
                reason: "look at the cluster".to_owned(),
            })
            .collect();
        report.next.dedup();
        Ok(report)
    }

    async fn run_one(
        &self,
        world: &LiveWorld,
        work: &Work,
        plan: &OperationPlan,
        observer: &dyn Observer,
        interrupt: &Interrupt,
        warnings: &mut Vec<String>,
    ) -> Result<OperationReport, OpsError> {
        let (journals, lock) = (self.session.journals(), self.session.lock(&plan.cluster));
        let translator = Translator::new(observer, &plan.cluster, plan.steps.len());
        let executor = Executor::new(world, &journals, &lock, &translator, interrupt);
        #[expect(clippy::disallowed_methods, reason = "for the report: how long it took")]
        let start = tokio::time::Instant::now();
        let ended = match work {
            Work::New(operation) => executor.run(&plan.cluster, operation).await,
            Work::Stored(id, way) => {
                translator.journaled(id);
                match way {
                    Way::Resume => executor.resume(id, &registry()).await,
                    Way::Undo => executor.undo(id, &registry()).await,
                }
            }
        };
        warnings.extend(translator.warnings());
        let namespace = self.session.namespace();
        let ended = ended.map_err(|refusal| end::refusal(refusal, namespace))?;
        let asked_to_undo = matches!(work, Work::Stored(_, Way::Undo));
        let Ending { operation, outcome } = end::ending(ended, asked_to_undo, namespace)?;
        // Reading the proof again must not turn a finished operation into a failed command.
        let after = Aftermath::read(world, &plan.cluster).await.unwrap_or_else(|error| {
            warnings.push(format!("the routes could not be read again: {error}"));
            Aftermath::default()
        });
        Ok(OperationReport {
            operation,
            operation_kind: plan.operation_kind.clone(),
            title: plan.title.clone(),
            cluster: plan.cluster.clone(),
            namespace: namespace.to_owned(),
            outcome,
            took_millis: u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX),
            matrix: after.matrix,
            bridges: after.bridges,
            clients_name_servers: after.clients_name_servers,
            stays: plan.stays.clone(),
        })
    }
}

/// The steps of a journal with where each stands.
pub(crate) fn journaled_steps(journal: &Journal) -> Vec<PlannedStep> {
    let states = journal.states().iter();
    let steps = journal.header().plan.iter().zip(states).enumerate();
    steps
        .map(|(index, (step, state))| PlannedStep {
            number: index + 1,
            sentence: step.change.sentence.clone(),
            from: step.change.from.clone(),
            to: step.change.to.clone(),
            point_of_no_return: step.reversal == Reversal::PointOfNoReturn,
            state: Some(
                match state {
                    JournalState::Pending => "to do",
                    JournalState::Started { .. } => "in doubt",
                    JournalState::Done { .. } => "done",
                    JournalState::Failed { .. } => "failed",
                    JournalState::UndoStarted { .. } => "undo in doubt",
                    JournalState::Undone => "undone",
                    JournalState::UndoFailed { .. } => "undo failed",
                }
                .to_owned(),
            ),
        })
        .collect()
}

/// When the time is over, the running step may end; then it is left.
#[expect(clippy::disallowed_methods, reason = "`--timeout` is the user's clock, not the operation's")]
async fn end_in_time(timeout: Option<Duration>, interrupt: &Interrupt) -> Infallible {
    if let Some(timeout) = timeout {
        tokio::time::sleep(timeout).await;
        interrupt.after_step(format!("the timeout of {}s is over", timeout.as_secs()));
        tokio::time::sleep(GRACE).await;
        interrupt.now(format!("the timeout of {}s is over", timeout.as_secs()));
    }
    std::future::pending().await
}
