//! Who consumes of the fake's brokers.

use std::time::Duration;

use agents::types::{Holding, OnlineGroup};
use k8s::names;
use k8s::pods::Pod;
use rocketmq::model::permission::Permission;

use super::State;
use super::world::identity;

/// How many queues of a broker a consumer holds.
const QUEUES: u32 = 8;

/// A client, which is a group of its own, and holds queues of every master that it may read.
#[derive(Debug, Clone)]
pub(crate) struct Consumer {
    /// Its id; its group's too.
    pub(crate) name: String,
    /// How long after a master may not be read any more it holds queues of it; `None` is for ever, as of a topic that is
    /// nowhere else.
    pub(crate) lets_go_after: Option<Duration>,
    /// Whether it says what it holds.
    pub(crate) tells: bool,
    /// The pods of masters that have not heard of it.
    pub(crate) unknown_to: Vec<String>,
    /// When it goes offline.
    pub(crate) until: Option<Duration>,
}

impl Consumer {
    /// One that tells every master, and lets go after so many seconds.
    pub(crate) fn new(name: &str, lets_go_after_seconds: u64) -> Self {
        Self {
            name: name.to_owned(),
            lets_go_after: Some(Duration::from_secs(lets_go_after_seconds)),
            tells: true,
            unknown_to: Vec::new(),
            until: None,
        }
    }
}

impl State {
    /// Sets what clients may do with a broker.
    pub(super) fn permit(&mut self, pod: &Pod, permission: Permission) {
        let now = self.now;
        let broker = self.broker_mut(&pod.name);
        broker.permission = permission;
        broker.unreadable_since = match permission.is_readable() {
            true => None,
            false => broker.unreadable_since.or(Some(now)),
        };
    }

    /// Who is online at the broker of a pod.
    pub(super) fn online(&self, pod: &Pod) -> Vec<OnlineGroup> {
        let present = self.consumers.iter().filter(|consumer| {
            self.lives(consumer) && !consumer.unknown_to.contains(&pod.name) && identity(pod).broker_id == 0
        });
        let groups = present.map(|consumer| {
            let client = consumer.name.clone();
            let held =
                self.pods_of(names::COMPONENT_BROKER).into_iter().filter(|pod| self.holds(consumer, pod));
            let queues_by_broker = held.map(|pod| (identity(&pod).broker_name, QUEUES)).collect();
            OnlineGroup {
                group: client.clone(),
                clients: vec![client.clone()],
                silent_clients: (!consumer.tells).then(|| client.clone()).into_iter().collect(),
                unheld_queues: Vec::new(),
                holdings: consumer
                    .tells
                    .then_some(Holding { client, queues_by_broker })
                    .into_iter()
                    .collect(),
            }
        });
        self.broker(&pod.name).online.into_iter().chain(groups).collect()
    }

    /// No master may go that somebody holds queues of who would let go of them: that is what a scale-in promises.
    pub(super) fn is_let_go(&self, pod: &Pod) {
        let holder = self.consumers.iter().find(|consumer| {
            consumer.lets_go_after.is_some() && self.lives(consumer) && self.holds(consumer, pod)
        });
        assert!(holder.is_none(), "`{}` goes while {holder:?} holds queues of it", pod.name);
    }

    fn lives(&self, consumer: &Consumer) -> bool {
        consumer.until.is_none_or(|until| self.now < until)
    }

    fn holds(&self, consumer: &Consumer, pod: &Pod) -> bool {
        let let_go =
            self.broker(&pod.name).unreadable_since.and_then(|since| Some(since + consumer.lets_go_after?));
        let is_master =
            pod.labels.get(names::LABEL_COMPONENT).is_some_and(|part| part == names::COMPONENT_BROKER)
                && identity(pod).broker_id == 0;
        is_master && let_go.is_none_or(|let_go| self.now < let_go)
    }
}
