//! Messages that somebody still wants of one broker, made by RocketMQ's own client: `tests/java/Backlog.java`. Whether they
//! are there is asked of the broker itself.

use std::time::Duration;

use rocketmq::metadata::Subscription;
use rocketmq::remoting::client::{Client, Request};
use rocketmq::remoting::request_code::RequestCode;
use serde::Deserialize;

use crate::e2e::clusters;
use crate::e2e::java::{self, Report, STOP_FILE};
use crate::e2e::judge::{ANSWERS_WITHIN, Judge, broker_address};
use crate::e2e::kubectl::Kubectl;
use crate::e2e::pods::{self, Pod};
use crate::e2e::scene::{PODS_WITHIN, Scene};
use crate::e2e::watch;
use crate::error::{Context, LabError, Result};
use crate::wait::Look;

/// How long after they were sent the last messages may come: half an hour is no test, so delays are minutes. Transactions
/// are asked for each 30 s (5.x) or minute.
const ARRIVES_WITHIN: Duration = Duration::from_secs(420);

/// What becomes of the messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// A group that has read at this broker, and has gone, has not read them.
    Unread,
    /// A group refused them once; they come again after the delay of this level.
    Retry(u32),
    /// A group refused them for good.
    Dead,
    /// They were sent with the delay of this level.
    Delayed(u32),
    /// They were sent with a delay of so many seconds, which is not one of the levels (5.x).
    Timer(u32),
    /// They were sent in transactions that have no end.
    Half,
}

impl Fate {
    /// The client's word for it, and what it must know besides, quoted for a shell.
    fn arguments(self) -> String {
        match self {
            Self::Unread => "kind=unread".to_owned(),
            Self::Retry(level) => format!("kind=retry level={level}"),
            Self::Dead => "kind=dead".to_owned(),
            Self::Delayed(level) => format!("kind=delayed level={level}"),
            Self::Timer(seconds) => format!("kind=timer delaySeconds={seconds}"),
            Self::Half => "kind=half".to_owned(),
        }
    }

    /// The topic that RocketMQ keeps them in, and the queue.
    ///
    /// Source: `TopicValidator.RMQ_SYS_SCHEDULE_TOPIC`, `TransactionalMessageUtil.buildHalfTopic`, all tags;
    /// `TimerMessageStore.TIMER_TOPIC`, 5.x; `MixAll.getDLQTopic`, all tags.
    fn kept_in(self, topic: &str, group: &str) -> (String, u32) {
        match self {
            Self::Unread => (topic.to_owned(), 0),
            Self::Retry(level) | Self::Delayed(level) => ("SCHEDULE_TOPIC_XXXX".to_owned(), level - 1),
            Self::Dead => (format!("%DLQ%{group}"), 0),
            Self::Timer(_) => ("rmq_sys_wheel_timer".to_owned(), 0),
            Self::Half => ("RMQ_SYS_TRANS_HALF_TOPIC".to_owned(), 0),
        }
    }
}

/// Messages of one fate, of a topic that has one queue at each broker, and whoever reads them.
#[derive(Debug)]
pub struct Backlog {
    kubectl: Kubectl,
    version: &'static str,
    wanted: Wanted,
    pod: String,
    run: String,
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The topic; the client's pod is named after it.
    pub topic: &'static str,
    /// The broker that gets the messages.
    pub broker: String,
    /// How many.
    pub messages: u32,
    /// What becomes of them.
    pub fate: Fate,
}

impl Wanted {
    /// The group that reads.
    pub fn group(&self) -> String {
        format!("{}-readers", self.topic)
    }

    /// What the group reads.
    pub fn subscription(&self) -> Subscription {
        Subscription { topic: self.topic.to_owned(), group: self.group() }
    }
}

/// What the client counted so far.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Counts {
    /// `starting`, `made` or `done`.
    pub state: String,
    /// Messages that a broker took.
    pub sent: u64,
    /// Messages that were refused.
    pub refused: u64,
    /// Messages that arrived and were not refused.
    pub arrived: u64,
}

impl Report for Counts {
    fn state(&self) -> &str {
        &self.state
    }
}

impl Backlog {
    /// Makes them, and waits until the broker holds them.
    ///
    /// # Errors
    /// When that does not come true.
    pub fn make(scene: &Scene, judge: &Judge, version: &'static str, wanted: Wanted) -> Result<Self> {
        let kubectl = &scene.kubectl;
        // A name of its own for each run: a topic may be used again.
        let run = format!("{}-{}", wanted.topic, jiff::Timestamp::now().as_millisecond());
        let pod = format!("backlog-{run}");
        let backlog = Self { kubectl: kubectl.clone(), version, wanted, pod, run };
        let Wanted { topic, fate, messages, .. } = &backlog.wanted;
        let broker = pods::pod(kubectl, &format!("{}-master-0", backlog.wanted.broker))?;
        let (kept_in, queue) = fate.kept_in(topic, &backlog.wanted.group());
        let before = judge.queue_end(&broker, &kept_in, queue)?;
        backlog.start(scene, &backlog.pod, &fate.arguments())?;
        let made = if *fate == Fate::Unread { "done" } else { "made" };
        java::await_state::<Counts>(kubectl, &backlog.pod, &[made], PODS_WITHIN)?;
        let wanted = u64::from(*messages);
        // The client hands a refused message over in its own time, and tells the broker so how far it came.
        watch::until(&format!("{messages} message(s) in {kept_in} of {}", broker.name), PODS_WITHIN, || {
            // Only what is unread keeps its number: a transaction is stored anew each time it is asked for.
            let held = match fate {
                Fate::Unread => judge
                    .unread(&broker, &backlog.wanted.subscription(), queue)
                    .map(|unread| (unread, unread == wanted)),
                _ => judge.queue_end(&broker, &kept_in, queue).map(|end| {
                    let held = end.saturating_sub(before);
                    (held, held >= wanted)
                }),
            };
            match held {
                Ok((_, true)) => Look::Ready(()),
                Ok((held, false)) => Look::NotYet(format!("{held} are there")),
                Err(error) => Look::NotYet(error.to_string()),
            }
        })?;
        Ok(backlog)
    }

    /// What was asked for.
    pub fn wanted(&self) -> &Wanted {
        &self.wanted
    }

    /// Lets everything arrive that can, and demands that it does: unread messages at their group, which comes back;
    /// transactions once they are committed. Messages that were refused for good stay where they are.
    ///
    /// # Errors
    /// When something does not arrive.
    pub fn finish(self, scene: &Scene) -> Result<()> {
        let pod = if self.wanted.fate == Fate::Unread {
            let pod = format!("{}-read", self.pod);
            self.start(scene, &pod, "kind=read")?;
            pod
        } else {
            java::stop(&self.kubectl, &self.pod)?;
            self.pod.clone()
        };
        let counts: Counts = java::await_state(&self.kubectl, &pod, &["done"], ARRIVES_WITHIN)?;
        scene.step(&format!("{} are over: {counts:?}", self.wanted.topic));
        Ok(())
    }

    fn start(&self, scene: &Scene, pod: &str, kind: &str) -> Result<()> {
        let Wanted { topic, broker, messages, .. } = &self.wanted;
        let name_servers = clusters::addresses(&self.kubectl, 1).join(";");
        let arguments = format!(
            "'nameServers={name_servers}' run={} topic={topic} group={} broker={broker} count={messages} \
             stopFile={STOP_FILE} {kind}",
            self.run,
            self.wanted.group(),
        );
        java::create(scene, self.version, "Backlog", pod, &arguments)
    }
}

/// Broker: where a queue ends (`RequestCode.GET_MAX_OFFSET`, all tags).
const GET_MAX_OFFSET: RequestCode = RequestCode(30);

impl Judge {
    /// Where a queue of a broker ends: how many messages it ever held. 0 if there is no such queue.
    ///
    /// Source: `GetMaxOffsetRequestHeader`, `AdminBrokerProcessor.getMaxOffset`, all tags.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub fn queue_end(&self, broker: &Pod, topic: &str, queue: u32) -> Result<u64> {
        let request = Request::new(GET_MAX_OFFSET).field("topic", topic).field("queueId", queue);
        let untold = || format!("pod `{}` does not tell where {topic} ends", broker.name);
        let answer = self
            .runtime
            .block_on(async {
                Client::connect(&broker_address(broker), ANSWERS_WITHIN).await?.call(request).await
            })
            .context(untold)?;
        let end = answer.header.ext_fields.get("offset").and_then(|text| text.parse().ok());
        end.ok_or_else(|| LabError::new(untold()))
    }

    /// How many messages of a queue a group has not read; all of them if the broker knows no offset.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub fn unread(&self, broker: &Pod, subscription: &Subscription, queue: u32) -> Result<u64> {
        let end = self.queue_end(broker, &subscription.topic, queue)?;
        let read = self
            .runtime
            .block_on(async {
                let client = Client::connect(&broker_address(broker), ANSWERS_WITHIN).await?;
                client.consumer_offset(subscription, queue).await
            })
            .context(|| format!("pod `{}` does not tell how far {subscription} came", broker.name))?
            .value
            .unwrap_or_default();
        Ok(end.saturating_sub(u64::try_from(read).unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fate_is_kept_somewhere() {
        for (fate, kept_in, queue) in [
            (Fate::Unread, "orders", 0),
            (Fate::Retry(3), "SCHEDULE_TOPIC_XXXX", 2),
            (Fate::Dead, "%DLQ%billing", 0),
            (Fate::Timer(240), "rmq_sys_wheel_timer", 0),
        ] {
            assert_eq!(fate.kept_in("orders", "billing"), (kept_in.to_owned(), queue));
        }
        assert_eq!(Fate::Delayed(7).arguments(), "kind=delayed level=7");
    }
}
