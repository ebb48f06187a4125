//! `grpc.health.v1` for the probes: `startup` = the gate is open, `ready` = RocketMQ serves, `live` = the agent
//! itself runs. The last never depends on Java: a restart of the agent helps no broker.

use proto::describe::Role;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::agent::Agent;
use crate::args::Service;

/// Reports until the agent ends.
pub async fn report(agent: &Agent, reporter: HealthReporter) {
    let mut gate = agent.gate.subscribe();
    let mut process = agent.process.clone();
    reporter.set_service_status(Service::Live.name(), ServingStatus::Serving).await;
    loop {
        let open = gate.borrow_and_update().open;
        reporter.set_service_status(Service::Startup.name(), status(open)).await;
        process.mark_unchanged();
        let mut registrations = agent.broker.as_ref().map(|side| side.registrations.changes());
        reporter.set_service_status(Service::Ready.name(), status(is_ready(agent))).await;
        let registrations_changed = async {
            match &mut registrations {
                Some(changes) => changes.changed().await.is_ok(),
                None => std::future::pending().await,
            }
        };
        let alive = tokio::select! {
            changed = gate.changed() => changed.is_ok(),
            changed = process.changed() => changed.is_ok(),
            changed = registrations_changed => changed,
        };
        if !alive {
            return;
        }
    }
}

/// A name server is ready when it answers; a broker when it answers and clients can find it.
fn is_ready(agent: &Agent) -> bool {
    let answers = agent.process.borrow().answers;
    match (agent.config.role(), &agent.broker) {
        (Role::Broker, Some(side)) => answers && side.registrations.any_listed(),
        _ => answers,
    }
}

fn status(serves: bool) -> ServingStatus {
    if serves { ServingStatus::Serving } else { ServingStatus::NotServing }
}
